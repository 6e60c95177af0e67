"""Putting work off until a time window ends, many rows in one UPDATE, and taking that back when windows are edited."""

from datetime import datetime, timedelta

from django.db.models import Model, QuerySet
from django.utils import timezone

from registry import PausedError
from replication.models import Execution, Rule, Status, Task, Transfer
from replication.queue.claims import due
from targets.models import Endpoint

# The scheduler looks once a second; a few looks see each edit.
EDIT_SECONDS = 3.0


def park_execution(execution_id: int, *, until: datetime, reason: str) -> int:
    """Put off everything of an execution that could be claimed now; return how many rows that was."""
    now = timezone.now()
    values = _parked(until)
    listing = Execution.objects.filter(due(now), pk=execution_id, listed_at__isnull=True)
    return (
        listing.update(status_text=reason, **values)
        + _due_tasks(execution_id, now).update(reason=reason, **values)
        + _due_transfers(execution_id, now).update(reason=reason, **values)
    )


def park_target(execution_id: int, endpoint_id: int, *, until: datetime, reason: str) -> int:
    """Put off what could be claimed now for one target; return how many rows that was."""
    now = timezone.now()
    values = {"reason": reason, **_parked(until)}
    return _due_tasks(execution_id, now).filter(target=endpoint_id).update(**values) + _due_transfers(
        execution_id, now
    ).filter(task__target=endpoint_id).update(**values)


def wake_after_edits(now: datetime) -> None:
    """Have parked work looked at again when a rule or a registry was changed in the last moments."""
    since = now - timedelta(seconds=EDIT_SECONDS)
    rules, endpoints = (model.objects.filter(updated_at__gt=since).values("pk") for model in (Rule, Endpoint))
    if rules.union(endpoints).exists():
        wake_all(now)


def wake_all(now: datetime) -> None:
    """Have all parked work looked at again; what is still paused is put off anew, all at once."""
    models: tuple[type[Model], ...] = (Execution, Task, Transfer)
    for model in models:
        parked = model._default_manager.filter(
            status=Status.PENDING, reason_code=PausedError.code, next_attempt_at__gt=now
        )
        parked.update(next_attempt_at=now)


def _due_tasks(execution_id: int, now: datetime) -> QuerySet[Task]:
    return Task.objects.filter(due(now), execution_id=execution_id, planned_at__isnull=True)


def _due_transfers(execution_id: int, now: datetime) -> QuerySet[Transfer]:
    return Transfer.objects.filter(due(now), execution_id=execution_id)


def _parked(until: datetime) -> dict[str, object]:
    """Return the field values of a row that waits for a window to end: time that counts for nothing."""
    return {"next_attempt_at": until, "reason_code": PausedError.code, "started_at": None}
