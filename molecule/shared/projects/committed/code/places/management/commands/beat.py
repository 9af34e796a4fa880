import os
import time

from django.core.management.base import BaseCommand
from places.models import Beat


class Command(BaseCommand):
    help = "Leave a sign of life; with --forever, one every second, until told to stop."

    def add_arguments(self, parser):
        parser.add_argument("by")
        parser.add_argument("--forever", action="store_true")

    def handle(self, by, forever, **options):
        while True:
            Beat.objects.create(by=by, release=os.environ["APP_RELEASE"])
            if not forever:
                break
            time.sleep(1)
