"""Django's handle on the app."""

from django.apps import AppConfig


class ReplicationConfig(AppConfig):
    """Names the app."""

    name = "replication"
