from django.core.management.commands import migrate
from orchard.fruit.models import Fruit


class Command(migrate.Command):
    """Does more than migrate, as some projects' commands do, and cannot before the tables are there."""

    def handle(self, *arguments, **options):
        super().handle(*arguments, **options)
        Fruit.objects.get_or_create(name="apple")
