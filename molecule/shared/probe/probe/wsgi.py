import os

from django.core.wsgi import get_wsgi_application

from probe import knobs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "probe.settings")
application = get_wsgi_application()

if knobs.read("BREAK") == "import":
    raise RuntimeError("BREAK: this revision does not load")
