import importlib.metadata
import pathlib

from django.conf import settings
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from orchard.fruit.models import Fruit

VERSION = (pathlib.Path(__file__).resolve().parents[2] / "VERSION").read_text().strip()


def start(request):
    fruit = Fruit.objects.count()
    return render(request, "fruit/start.html", {"version": VERSION, "motto": settings.MOTTO, "fruit": fruit})


def login(request):
    return HttpResponse(status=401) if "code" in request.GET else HttpResponseRedirect("/login/?code")


def api(request):
    # Nobody who speaks plain HTTP, nor whoever asks for another host, comes so far.
    # This distribution of the driver is source alone; the ready-made one has another name.
    driver = importlib.metadata.version("psycopg2")
    return JsonResponse({"host": request.get_host(), "gate": request.headers.get("X-Orchard"), "driver": driver})
