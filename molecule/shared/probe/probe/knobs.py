"""What a commit can set: VERSION, and BREAK (`500`: the start page fails; `import`: the application does not load)."""

from django.conf import settings


def read(name):
    path = settings.BASE_DIR / name
    return path.read_text().strip() if path.exists() else ""
