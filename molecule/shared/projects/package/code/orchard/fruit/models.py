from django.db import models


class Fruit(models.Model):
    name = models.TextField()
