"""The states that executions, tasks and transfers go through."""

from django.db import models
from django.utils.translation import pgettext_lazy


class Status(models.TextChoices):
    """pending → running → succeeded | failed | skipped | stopped; retrying is pending with attempts."""

    PENDING = "pending", pgettext_lazy("status", "Pending")
    RUNNING = "running", pgettext_lazy("status", "Running")
    SUCCEEDED = "succeeded", pgettext_lazy("status", "Succeeded")
    FAILED = "failed", pgettext_lazy("status", "Failed")
    SKIPPED = "skipped", pgettext_lazy("status", "Skipped")
    STOPPED = "stopped", pgettext_lazy("status", "Stopped")

    @property
    def is_finished(self) -> bool:
        """Say whether nothing can change it any more."""
        return self in FINISHED


OPEN = (Status.PENDING, Status.RUNNING)
FINISHED = (Status.SUCCEEDED, Status.FAILED, Status.SKIPPED, Status.STOPPED)


class Trigger(models.TextChoices):
    """What starts a rule. The values are Harbor's."""

    MANUAL = "manual", pgettext_lazy("trigger", "Manual")
    SCHEDULED = "scheduled", pgettext_lazy("trigger", "Scheduled")
    EVENT_BASED = "event_based", pgettext_lazy("trigger", "Event Based")


class Operation(models.TextChoices):
    """What is done at the target. The values are Harbor's."""

    COPY = "copy", pgettext_lazy("operation", "Copy")
    DELETION = "deletion", pgettext_lazy("operation", "Deletion")
