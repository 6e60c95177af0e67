"""Where registries send their notifications."""

from django.urls import path

from replication.notification_view import notifications

urlpatterns = [path("notifications/<str:token>/", notifications, name="notifications")]
