"""Does one job after the other, or one, and writes down what began and what ended in a release that it names."""

import os
import signal
import time

from django.conf import settings
from django.core.management.base import BaseCommand

from pages.models import Note


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("name")
        parser.add_argument("--seconds", type=float, default=1, help="that a job takes")
        parser.add_argument("--once", action="store_true", help="end after one job")

    def handle(self, name, seconds, once, **options):
        stopped = []
        signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
        note = (settings.MEDIA_ROOT / f"{name}.log").open("a", buffering=1)

        def say(what):
            print(what, os.environ["APP_RELEASE"], os.getpid(), file=note)
            self.stdout.write(f"{name}: {what}")

        say("start")
        while not stopped:
            Note.objects.count()
            say("begin")
            # A signal does not cut a job short.
            time.sleep(seconds)
            say("end")
            if once:
                break
        say("stop")
