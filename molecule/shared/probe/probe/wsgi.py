import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "probe.settings")
application = get_wsgi_application()

from probe import knobs  # noqa: E402

if knobs.read("BREAK") == "import":
    raise RuntimeError("BREAK: this revision does not load")
