"""Django's handle on the app."""

from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    """Names the app."""

    name = "projects"
