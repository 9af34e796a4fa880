import os

import django.contrib.gis.db.models
from django.db import migrations, models


def work(apps, schema_editor):
    """Take as long as the conversion of a large table, in one transaction, without a word."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [float(os.environ.get("MIGRATION_SECONDS", 0))])


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            "Place",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True, verbose_name="ID")),
                ("name", models.TextField()),
                ("point", django.contrib.gis.db.models.PointField(geography=True, srid=4326)),
            ],
        ),
        migrations.CreateModel(
            "Beat",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True, verbose_name="ID")),
                ("by", models.TextField()),
                ("release", models.TextField()),
                ("at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.RunPython(work),
    ]
