"""Settings that come from the environment, as the deploy gives it: nothing has a default that would hide a missing one."""

import os
import pathlib
import urllib.parse

BASE_DIR = pathlib.Path(__file__).resolve().parent.parent


def database():
    """Return the database of DATABASE_URL, or of PG*, which libpq reads itself."""
    if "DATABASE_URL" not in os.environ:
        return {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"]}
    url = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
    name = urllib.parse.unquote(url.path.removeprefix("/"))
    if url.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": urllib.parse.unquote(url.username or ""),
        "PASSWORD": urllib.parse.unquote(url.password or ""),
        "HOST": url.hostname or "",
        "PORT": url.port or "",
        "OPTIONS": dict(urllib.parse.parse_qsl(url.query)),
    }


SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split(",")
DEBUG = False

# No SECURE_PROXY_SSL_HEADER: that a request came by HTTPS has to be said by the server.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
SECURE_SSL_REDIRECT = os.environ.get("SECURE_SSL_REDIRECT") == "1"

INSTALLED_APPS = ["django.contrib.staticfiles", "pages"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "probe.urls"
WSGI_APPLICATION = "probe.wsgi.application"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
MEDIA_URL = "/media/"
MEDIA_ROOT = BASE_DIR / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
