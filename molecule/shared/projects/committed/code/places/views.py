import pathlib

from django.contrib.gis.db.models.functions import Distance
from django.contrib.gis.geos import Point
from django.shortcuts import render
from places.models import Beat, Place

VERSION = (pathlib.Path(__file__).resolve().parents[1] / "VERSION").read_text().strip()


def start(request):
    london = Point(-0.1, 51.5, srid=4326)
    places = Place.objects.annotate(distance=Distance("point", london)).order_by("distance")
    beats = {f"{beat.by}@{beat.release}" for beat in Beat.objects.all()}
    return render(request, "places/start.html", {"version": VERSION, "places": places, "beats": sorted(beats)})
