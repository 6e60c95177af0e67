"""The addresses of the registry pages."""

from django.urls import path

from targets import views

app_name = "targets"

urlpatterns = [
    path("", views.endpoint_list, name="list"),
    path("new/", views.endpoint_edit, name="new"),
    path("<int:pk>/edit/", views.endpoint_edit, name="edit"),
    path("<int:pk>/check/", views.endpoint_check, name="check"),
    path("<int:pk>/delete/", views.endpoint_delete, name="delete"),
    path("<int:pk>/notifications/", views.notification_setup, name="notifications"),
]
