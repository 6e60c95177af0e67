"""Django's handle on the app."""

from django.apps import AppConfig


class TargetsConfig(AppConfig):
    """Names the app."""

    name = "targets"
