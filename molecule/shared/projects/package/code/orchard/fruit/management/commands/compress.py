import pathlib

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Put all style sheets that collectstatic left into one."

    def handle(self, **options):
        root = pathlib.Path(settings.STATIC_ROOT)
        sheet = root / staticfiles_storage.stored_name("fruit/orchard.css")
        (root / staticfiles_storage.stored_name("compressed.css")).write_text("".join(sheet.read_text().split()))
