import logging
import pathlib

from django.http import JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from words.models import Word

VERSION = (pathlib.Path(__file__).resolve().parents[2] / "VERSION").read_text().strip()
REVISION = (pathlib.Path(__file__).resolve().parents[1] / "revision.txt").read_text().strip()


def start(request):
    words = Word.objects.count()
    return render(request, "start.html", {"version": VERSION, "revision": REVISION, "words": words, "here": request.path})


@csrf_exempt
def add(request):
    word = Word.objects.create(text=request.POST["text"], file=request.FILES["file"])
    logging.getLogger("words").info("added %s", word.text)
    return JsonResponse({"url": word.file.url}, status=201)
