"""Putting work off until a time window ends, many rows at once, and taking that back when windows are edited."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from registry import PausedError
from replication.counting import count_waits
from replication.models import Execution, Rule, Status, Task, Transfer
from replication.queue.claims import due
from replication.queue.transitions import note_wait
from targets.models import Endpoint

# The scheduler looks once a second; a few looks see each edit.
EDIT_SECONDS = 3.0


def park(execution_id: int, *, target_id: int | None, until: datetime, reason: str) -> int:
    """Put off what could be claimed now, for one target or (None) all of it; return how many rows that was.

    Costs three indexed queries when there is nothing to put off.
    """
    now = timezone.now()
    tasks = Task.objects.filter(due(now), execution_id=execution_id, planned_at__isnull=True)
    transfers = Transfer.objects.filter(due(now), execution_id=execution_id)
    listing = Execution.objects.filter(due(now), pk=execution_id, listed_at__isnull=True)
    if target_id is not None:
        tasks, transfers = tasks.filter(target=target_id), transfers.filter(task__target=target_id)
        listing = listing.none()
    with transaction.atomic():
        parked = _park(transfers, until, now, reason=reason)
        parked += _park(tasks, until, now, reason=reason)
        parked += _park(listing, until, now, status_text=reason)
        if parked:
            note_wait(execution_id, until, reason)
    return parked


def _park(
    rows: "QuerySet[Transfer] | QuerySet[Task] | QuerySet[Execution]", until: datetime, now: datetime, **reason: str
) -> int:
    """Put rows off. It is no attempt at them, and the time counts for nothing."""
    if not rows.exists():
        return 0
    count_waits(rows)
    waiting = {"next_attempt_at": until, "parked_at": Coalesce("parked_at", now), "started_at": None}
    return rows.update(reason_code=PausedError.code, **waiting, **reason)


def wake_after_edits(now: datetime) -> None:
    """Have parked work looked at again when a rule or a registry was changed in the last moments."""
    since = now - timedelta(seconds=EDIT_SECONDS)
    rules, endpoints = (model.objects.filter(updated_at__gt=since).values("pk") for model in (Rule, Endpoint))
    if rules.union(endpoints).exists():
        wake_all(now)


def wake_all(now: datetime) -> None:
    """Have all parked work looked at again; what is still paused is put off anew, all at once."""
    asleep = {"status": Status.PENDING, "reason_code": PausedError.code, "next_attempt_at__gt": now}
    executions = set(Task.objects.filter(**asleep).values_list("execution_id", flat=True).distinct())
    executions |= set(Transfer.objects.filter(**asleep).values_list("execution_id", flat=True).distinct())
    executions |= set(Execution.objects.filter(**asleep).values_list("pk", flat=True))
    for rows in (Transfer.objects.filter(**asleep), Task.objects.filter(**asleep), Execution.objects.filter(**asleep)):
        rows.update(next_attempt_at=now)
    Execution.objects.filter(pk__in=executions).update(waiting_until=None)
