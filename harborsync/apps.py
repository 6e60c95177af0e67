"""The composition root as a Django app: it registers the system checks and the commands that run the product."""

from django.apps import AppConfig


class HarborSyncConfig(AppConfig):
    """Comes first in INSTALLED_APPS, so that its commands win over those of the libraries."""

    name = "harborsync"
    verbose_name = "HarborSync"

    def ready(self) -> None:
        """Register the system checks and make our Celery application the current one."""
        from harborsync import celery, checks  # noqa: F401
