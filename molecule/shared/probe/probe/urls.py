from django.urls import path

from pages import views

urlpatterns = [
    path("", views.start),
    path("slow/", views.slow),
    path("upload/", views.upload),
    path("whoami/", views.whoami),
    path("write/", views.write),
    path("status/", views.status),
    path("number/<int:number>/", views.number),
]
