from django.urls import path
from orchard.fruit import views

urlpatterns = [path("", views.start), path("login/", views.login), path("api/", views.api)]
