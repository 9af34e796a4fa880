"""Pages that show what a test wants to know; each answer says which version and release gave it."""

import os
import time

from django.apps import apps
from django.core.files.storage import default_storage
from django.db import connection
from django.http import HttpResponseBadRequest, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from pages.models import Note
from probe import knobs

# Read once, as code is: a process serves what it was started with.
VERSION = knobs.read("VERSION")
BREAK = knobs.read("BREAK")


def answer(code=200, **values):
    return JsonResponse({"version": VERSION, "release": os.environ.get("APP_RELEASE", ""), **values}, status=code)


def database():
    """Return the kind and the name of the database, the latter by asking it."""
    with connection.cursor() as cursor:
        postgresql = connection.vendor == "postgresql"
        cursor.execute("SELECT current_database()" if postgresql else "SELECT 'main'")
        return {"vendor": connection.vendor, "name": cursor.fetchone()[0]}


def start(request):
    if BREAK == "500":
        raise RuntimeError("BREAK: this revision fails")
    environment = {name: os.environ.get(name, "") for name in ("APP_RELEASE", "APP_REVISION")}
    return render(
        request,
        "pages/start.html",
        {
            "version": VERSION,
            "release": environment["APP_RELEASE"],
            "revision": environment["APP_REVISION"],
            "database": database(),
            "notes": Note.objects.count(),
        },
    )


def slow(request):
    """Take `seconds` to answer, of which the client sees nothing before the end."""
    try:
        seconds = min(float(request.GET.get("seconds", 5)), 120)
    except ValueError:
        return HttpResponseBadRequest("seconds is no number")
    time.sleep(seconds)
    return answer(seconds=seconds)


@csrf_exempt
def upload(request):
    """Store the file of the form, and say where it is served."""
    if request.method != "POST":
        return render(request, "pages/upload.html")
    file = request.FILES.get("file")
    if file is None:
        return HttpResponseBadRequest("no file")
    name = default_storage.save(file.name, file)
    return answer(code=201, url=default_storage.url(name), size=file.size)


def whoami(request):
    """Say what the application believes about the request."""
    return answer(
        scheme=request.scheme,
        secure=request.is_secure(),
        host=request.get_host(),
        port=request.get_port(),
        remote_address=request.META["REMOTE_ADDR"],
        url=request.build_absolute_uri(),
        forwarded={
            name: value
            for name, value in request.META.items()
            if name.startswith(("HTTP_X_FORWARDED", "HTTP_X_REAL", "HTTP_FORWARDED", "HTTP_PROXY"))
        },
    )


@csrf_exempt
@require_POST
def write(request):
    Note.objects.create(text=request.POST.get("text", "")[:200])
    return answer(count=Note.objects.count())


def number(request, number):
    """Answer with the number that was asked for, by way of the database: on a connection of the application's own where it has one."""
    own = getattr(apps.get_app_config("pages"), "own_connection", connection)
    with own.cursor() as cursor:
        cursor.execute("SELECT %s::int, pg_sleep(0.02)", [number])
        return answer(number=cursor.fetchone()[0])


def status(request):
    return answer(status="ok", database=database())
