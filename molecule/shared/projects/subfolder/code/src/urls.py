from django.contrib.staticfiles.storage import staticfiles_storage
from django.urls import path
from django.views.generic import RedirectView

from words import views

# Read at import: without the manifest of collectstatic there are no URLs, nor any command that checks them.
ICON = staticfiles_storage.url("words/icon.svg")

urlpatterns = [
    path("", views.start),
    path("add/", views.add),
    path("icon/", RedirectView.as_view(url=ICON)),
]
