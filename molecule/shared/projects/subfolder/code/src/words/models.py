from django.db import models


class Word(models.Model):
    text = models.TextField()
    file = models.FileField(upload_to="words")
