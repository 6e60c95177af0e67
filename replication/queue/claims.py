"""Claims: a worker takes a row by one conditional change, holds it by a lease, and loses it by silence.

On PostgreSQL the candidates are read FOR UPDATE SKIP LOCKED; on SQLite the IMMEDIATE transaction lets one worker at a
time look for work.
"""

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from replication.counting import count_another_attempt
from replication.models import OPEN, Execution, Operation, Status, Task, Transfer, released

# Work that workers die of (out of memory, a bug of ours) must not kill them one after another for ever.
LOSSES_AT_MOST = 5

Row = TypeVar("Row", bound=Model)
Claimed = TypeVar("Claimed", Task, Transfer)


def new_worker_id() -> str:
    """Return a name for one drain: where it runs, and something unique."""
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(6)}"


def due(now: datetime) -> Q:
    """Return the condition that a pending row may be tried now."""
    return Q(status=Status.PENDING) & (Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=now))


def claim_listing(execution_id: int, *, worker: str, now: datetime) -> Execution | None:
    """Take the listing of an execution's repositories, if it is to be done."""
    claimed = Execution.objects.filter(
        due(now), pk=execution_id, listed_at__isnull=True, stop_requested_at__isnull=True
    ).update(**_taken(worker, now))
    if not claimed:
        return None
    execution = Execution.objects.get(pk=execution_id)
    count_another_attempt([execution], now)
    return execution


def claim_repository(execution_id: int, *, worker: str, now: datetime) -> list[Task]:
    """Take one repository to plan, for all its targets that are due; empty when there is none."""
    waiting = Task.objects.filter(due(now), execution_id=execution_id, planned_at__isnull=True)
    if _is_nothing_there(waiting):
        return []
    with transaction.atomic():
        first = _lock(waiting.order_by("id")).first()
        if first is None:
            return []
        siblings = _lock(waiting.filter(source_repository=first.source_repository).order_by("id"))
        return _take(Task, siblings, worker=worker, now=now)


@dataclass
class TaskMemory:
    """The tasks of one execution, read once each: what copying needs to know of them stays as planning left it."""

    has_one_target: bool = False
    _tasks: dict[int, Task] = field(default_factory=dict)

    def give_to(self, transfers: Sequence[Transfer]) -> None:
        """Give each transfer its task."""
        missing = {transfer.task_id for transfer in transfers} - self._tasks.keys()
        if missing:
            self._tasks |= Task.objects.in_bulk(missing)
        for transfer in transfers:
            transfer.task = self._tasks[transfer.task_id]


def claim_artifacts(
    execution_id: int, *, worker: str, now: datetime, at_most: int, tasks: TaskMemory | None = None
) -> list[list[Transfer]]:
    """Take some artifacts, each with all its targets that are due, and with their tasks.

    Two statements, three where there may be other targets, however many are taken; one for tasks not met before.
    Empty when there is none.
    """
    tasks = tasks or TaskMemory()
    waiting = _claimable_transfers(execution_id, now)
    if _is_nothing_there(waiting):
        return []
    with transaction.atomic():
        first = list(_lock(waiting.order_by("id"))[:at_most])
        if not first:
            return []
        artifacts = _with_siblings(first, waiting, tasks)
        transfers = [transfer for siblings in artifacts for transfer in siblings]
        Transfer.objects.filter(pk__in=[transfer.pk for transfer in transfers]).update(**_taken(worker, now))
        for transfer in transfers:
            _show_taken(transfer, worker, now)
        count_another_attempt(transfers, now)
    return artifacts


def _with_siblings(first: Sequence[Transfer], waiting: QuerySet[Transfer], tasks: TaskMemory) -> list[list[Transfer]]:
    """Return the artifacts of the transfers, each with what is to go to its other targets."""
    tasks.give_to(first)
    artifacts: dict[tuple[str, str, str], list[Transfer]] = {_artifact_of(transfer): [] for transfer in first}
    others: Sequence[Transfer] = ()
    if not tasks.has_one_target:
        digests, taken = {transfer.digest for transfer in first}, {transfer.pk for transfer in first}
        others = list(_lock(waiting.filter(digest__in=digests).exclude(pk__in=taken).order_by("id")))
        tasks.give_to(others)
    for transfer in (*first, *others):
        if _artifact_of(transfer) in artifacts:
            artifacts[_artifact_of(transfer)].append(transfer)
    return list(artifacts.values())


def _artifact_of(transfer: Transfer) -> tuple[str, str, str]:
    """Return what transfers to several targets have in common when one reading can serve them all."""
    return (transfer.task.source_repository, transfer.operation, transfer.digest)


def _show_taken(transfer: Transfer, worker: str, now: datetime) -> None:
    """Have the object show what the row is now, which saves reading it again."""
    transfer.status, transfer.lease_owner, transfer.lease_until = Status.RUNNING, worker, lease_end(now)
    transfer.attempts += 1
    transfer.next_attempt_at = None
    transfer.started_at = transfer.started_at or now


def _claimable_transfers(execution_id: int, now: datetime) -> QuerySet[Transfer]:
    """Return what is due; a deletion only when all copies to its repository are over.

    A tag that moves on must have moved before what it pointed at is deleted: registries that delete by digest would
    take it along. A companion goes after what it may be about: Harbor shows it only then (goharbor/harbor #16461).
    """
    copies = Transfer.objects.filter(task=OuterRef("task"), operation=Operation.COPY, status__in=OPEN)
    may_go = ~Q(operation=Operation.DELETION) | ~Exists(copies)
    may_follow = Q(is_companion=False) | ~Exists(copies.filter(is_companion=False))
    return Transfer.objects.filter(due(now), may_go, may_follow, execution_id=execution_id)


def _is_nothing_there(rows: "QuerySet[Row]") -> bool:
    """Look before the transaction where that spares something: on SQLite it takes the write lock."""
    return not connection.features.has_select_for_update_skip_locked and not rows.exists()


def _lock(rows: "QuerySet[Row]") -> "QuerySet[Row]":
    """Lock the rows where the database can, passing over those that another worker has."""
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True)
    return rows


def _take(model: type[Claimed], rows: "QuerySet[Claimed]", *, worker: str, now: datetime) -> list[Claimed]:
    """Mark the rows as held by this worker and return them as they are now."""
    ids = list(rows.values_list("pk", flat=True))
    manager = model._default_manager
    manager.filter(pk__in=ids).update(**_taken(worker, now))
    taken = list(manager.filter(pk__in=ids).order_by("pk"))
    count_another_attempt(taken, now)
    return taken


def _taken(worker: str, now: datetime) -> dict[str, object]:
    return {
        "status": Status.RUNNING,
        "attempts": F("attempts") + 1,
        "next_attempt_at": None,
        "lease_owner": worker,
        "lease_until": lease_end(now),
        "started_at": Coalesce("started_at", now),
    }


def lease_end(now: datetime) -> datetime:
    """Return until when a row taken or renewed now is held."""
    return now + timedelta(seconds=settings.LEASE_SECONDS)


def renew(worker: str, now: datetime) -> None:
    """Hold on to everything this worker has."""
    for model in (Execution, Task, Transfer):
        model._default_manager.filter(lease_owner=worker, status=Status.RUNNING).update(lease_until=lease_end(now))


def is_listed(execution_id: int) -> bool:
    """Say whether an execution's repositories are all known: they are never listed again then."""
    return Execution.objects.filter(pk=execution_id, listed_at__isnull=False).exists()


def is_planned(execution_id: int) -> bool:
    """Say whether nothing of a listed execution is left to plan, now or later: what was planned stays so."""
    return not Task.objects.filter(execution_id=execution_id, planned_at__isnull=True, status__in=OPEN).exists()


def is_claimable(execution_id: int, now: datetime) -> bool:
    """Say whether an execution has anything that a worker could take now."""
    return (
        _claimable_transfers(execution_id, now).exists()
        or Task.objects.filter(due(now), execution_id=execution_id, planned_at__isnull=True).exists()
        or Execution.objects.filter(due(now), pk=execution_id, listed_at__isnull=True).exists()
    )


def revive_expired(now: datetime) -> set[int]:
    """Give back what dead workers held; return the executions that can go on. Costs three indexed queries.

    What took several workers with it is not given back; `lost_for_good` finds it.
    """
    revived: set[int] = set()
    for model, key in ((Execution, "pk"), (Task, "execution_id"), (Transfer, "execution_id")):
        expired = _expired(model, now)
        rows = list(expired.values_list("pk", key))
        if rows:
            expired.filter(pk__in=[pk for pk, _ in rows], losses__lt=LOSSES_AT_MOST).update(
                status=Status.PENDING, losses=F("losses") + 1, **released()
            )
            revived.update(execution_id for _, execution_id in rows)
    return revived


def lost_for_good(model: type[Row], now: datetime) -> list[Row]:
    """Return the rows that too many workers fell silent over, to be ended as failed."""
    return list(_expired(model, now).filter(losses__gte=LOSSES_AT_MOST))


def _expired(model: type[Row], now: datetime) -> QuerySet[Row]:
    """Return the held rows whose lease ran out; unordered, or SQLite walks the whole table in the order of ids."""
    return model._default_manager.filter(status=Status.RUNNING, lease_until__lt=now).order_by()
