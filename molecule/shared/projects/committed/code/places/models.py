from django.contrib.gis.db import models


class Place(models.Model):
    name = models.TextField()
    point = models.PointField(geography=True)


class Beat(models.Model):
    """A sign of life of the timer or the worker."""

    by = models.TextField()
    release = models.TextField()
    at = models.DateTimeField(auto_now_add=True)
