"""The counters that executions and tasks carry, so that no page counts rows."""

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.db.models import F


class Progress(models.Model):
    """Counters of transfers and bytes. Changed by F() only, in the transaction that changes the state."""

    transfers_total = models.PositiveIntegerField(default=0)
    transfers_succeeded = models.PositiveIntegerField(default=0)
    transfers_failed = models.PositiveIntegerField(default=0)
    transfers_skipped = models.PositiveIntegerField(default=0)
    transfers_stopped = models.PositiveIntegerField(default=0)
    # Tags that were in step already: no row is made for them.
    tags_unchanged = models.PositiveIntegerField(default=0)
    # bytes_done of bytes_total drives the progress bar and never goes back; bytes_copied is what really travelled.
    bytes_total = models.BigIntegerField(default=0)
    bytes_done = models.BigIntegerField(default=0)
    bytes_copied = models.BigIntegerField(default=0)
    bytes_mounted = models.BigIntegerField(default=0)
    bytes_present = models.BigIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def transfers_finished(self) -> int:
        """Return how many transfers have come to an end, whichever."""
        return self.transfers_succeeded + self.transfers_failed + self.transfers_skipped + self.transfers_stopped


class Leased(models.Model):
    """A row that a worker claims: who holds it, until when, and when it may be tried again."""

    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    # Since when it waits because of a limit (the registry's, or one that is set for it); what waits holds no worker.
    parked_at = models.DateTimeField(null=True, blank=True)
    lease_owner = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    # How often a worker fell silent while it held the row.
    losses = models.PositiveSmallIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def is_parked(self) -> bool:
        """Say whether it waits for a registry's limit, and not because something went wrong."""
        return self.parked_at is not None


def increments(deltas: Mapping[str, int]) -> dict[str, Any]:
    """Return the field values that make counters grow; what stays as it is, is left out."""
    return {name: F(name) + delta for name, delta in deltas.items() if delta}


def released() -> dict[str, Any]:
    """Return the field values of a row that nobody holds."""
    return {"lease_owner": "", "lease_until": None}
