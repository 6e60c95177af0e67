"""Changes of state. Each is a conditional UPDATE together with the counters that depend on it, in one transaction."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from registry import PausedError, RateLimitedError
from replication.counting import add_costs, count_stopped_waits
from replication.models import OPEN, Execution, LogLine, Status, Task, Transfer, released
from replication.wording import count_of

# Reason codes of our own, beside those of registry.errors.
INTERNAL_ERROR = "internal_error"
NOTHING_MATCHED = "nothing_matched"
WORKER_LOST = "worker_lost"


def postpone_task(task: Task, *, worker: str, until: datetime, reason_code: str, reason: str) -> None:
    """Put a repository back to be planned again at `until`."""
    held = Task.objects.filter(pk=task.pk, status=Status.RUNNING, lease_owner=worker)
    with transaction.atomic():
        if held.update(reason=reason, **_postponed(until, reason_code)) and is_limit(reason_code):
            add_costs({"waits": 1}, execution_id=task.execution_id)
            note_wait(task.execution_id, until, reason)


def postpone_listing(execution: Execution, *, worker: str, until: datetime, reason_code: str, reason: str) -> None:
    """Put an execution back to be listed again at `until`."""
    held = Execution.objects.filter(pk=execution.pk, status=Status.RUNNING, lease_owner=worker)
    with transaction.atomic():
        if held.update(status_text=reason, **_postponed(until, reason_code)) and is_limit(reason_code):
            note_wait(execution.pk, until, reason)


def _postponed(until: datetime, reason_code: str) -> dict[str, object]:
    """Return the field values of a row that waits. What it waits because of a rate limit is not failed attempts.

    So the time after which retries are given up, which counts from `started_at`, begins anew.
    """
    values = {"status": Status.PENDING, "next_attempt_at": until, "reason_code": reason_code, **released()}
    if not is_limit(reason_code):
        return values
    return {**values, "started_at": None, "parked_at": timezone.now(), "waits": F("waits") + 1}


def is_limit(reason_code: str) -> bool:
    """Say whether work is put back because of a limit: the registry's own, or one that is set for it."""
    return reason_code in (RateLimitedError.code, PausedError.code)


def note_wait(execution_id: int, until: datetime | None, reason: str) -> None:
    """Have the execution show until when and why work of it was parked last, so that lists need not look for it."""
    Execution.objects.filter(pk=execution_id).update(waiting_until=until, waiting_reason=reason)


def count_transfers(execution_id: int, task_id: int, finished: dict[Status, int], *, added: int = 0) -> None:
    """Add finished (and new) transfers to the counters of their task and execution."""
    changes = {f"transfers_{status}": F(f"transfers_{status}") + n for status, n in finished.items() if n}
    if added:
        changes["transfers_total"] = F("transfers_total") + added
    if changes:
        Task.objects.filter(pk=task_id).update(**changes)
        Execution.objects.filter(pk=execution_id).update(**changes)


def finish_task(task: Task, *, worker: str, status: Status, reason_code: str = "", reason: str = "") -> bool:
    """Write the final status of a task that this worker holds (planning failed, or there is nothing to do)."""
    held = Task.objects.filter(pk=task.pk, status=Status.RUNNING, lease_owner=worker)
    return _end_task(held, task, status, reason_code=reason_code, reason=reason)


def close_tasks(task_ids: Iterable[int]) -> None:
    """Write the final status of those tasks whose last transfer is over.

    Not in the transaction that ends a transfer: two workers that end the last two would each see the other's as open.
    """
    for task_id in sorted(task_ids):
        close_task(task_id)


def close_task(task_id: int) -> bool:
    """Write a planned task's final status when its last transfer is over. Say whether it did."""
    if Transfer.objects.filter(task_id=task_id, status__in=OPEN).exists():
        return False
    # Read after the check: the counters were committed together with each transfer's end.
    task = Task.objects.get(pk=task_id)
    if task.status != Status.RUNNING or task.planned_at is None:
        return False
    status = _outcome(failed=task.transfers_failed, stopped=task.transfers_stopped)
    worst = _first_reason(task) if status is Status.FAILED else None
    open_transfers = Transfer.objects.filter(task_id=OuterRef("pk"), status__in=OPEN)
    rows = Task.objects.filter(~Exists(open_transfers), pk=task_id, status=Status.RUNNING)
    return _end_task(
        rows, task, status, reason_code=worst.reason_code if worst else "", reason=worst.reason if worst else ""
    )


def _end_task(rows: QuerySet[Task], task: Task, status: Status, *, reason_code: str, reason: str) -> bool:
    """End a task through `rows`, the conditional selection of it, and count it."""
    with transaction.atomic():
        changed = rows.update(
            status=status, reason_code=reason_code, reason=reason, ended_at=timezone.now(), **released()
        )
        if changed:
            counter = f"tasks_{status}"
            Execution.objects.filter(pk=task.execution_id).update(**{counter: F(counter) + 1})
    if changed:
        close_execution(task.execution_id)
    return bool(changed)


def _first_reason(task: Task) -> Transfer | None:
    return Transfer.objects.filter(task=task, status=Status.FAILED).only("reason_code", "reason").first()


def _outcome(*, failed: int, stopped: int) -> Status:
    if failed:
        return Status.FAILED
    return Status.STOPPED if stopped else Status.SUCCEEDED


def _execution_outcome(execution: Execution) -> Status:
    """Return how an execution whose tasks are all over ended; one that was stopped says so, whatever failed before."""
    if execution.stop_requested_at and (execution.tasks_stopped or not execution.tasks_total):
        return Status.STOPPED
    return _outcome(failed=execution.tasks_failed, stopped=execution.tasks_stopped)


def close_execution(execution_id: int) -> bool:
    """Write an execution's final status, once, when it is listed and its last task is over. Say whether it did."""
    if Task.objects.filter(execution_id=execution_id, status__in=OPEN).exists():
        return False
    execution = Execution.objects.get(pk=execution_id)
    if execution.status != Status.RUNNING or execution.listed_at is None:
        return False
    status = _execution_outcome(execution)
    open_tasks = Task.objects.filter(execution_id=OuterRef("pk"), status__in=OPEN)
    changed = Execution.objects.filter(~Exists(open_tasks), pk=execution_id, status=Status.RUNNING).update(
        status=status, ended_at=timezone.now(), **_summary(execution, status), **released()
    )
    if changed:
        level = LogLine.Level.ERROR if status is Status.FAILED else LogLine.Level.INFO
        log(execution_id, f"The execution {status}.", level=level)
    return bool(changed)


def _summary(execution: Execution, status: Status) -> dict[str, str]:
    """Return the reason code and sentence that a finished execution shows."""
    if status is Status.FAILED:
        codes = Counter(execution.tasks.filter(status=Status.FAILED).values_list("reason_code", flat=True))
        causes = ", ".join(f"{code or INTERNAL_ERROR} {count}" for code, count in codes.most_common(3))
        total = count_of(execution.tasks_total, "repository", "repositories")
        text = f"{execution.tasks_failed} of {total} failed: {causes}"
        return {"reason_code": codes.most_common(1)[0][0], "status_text": text}
    if status is Status.SUCCEEDED and not execution.tasks_total:
        return {"reason_code": NOTHING_MATCHED, "status_text": "no resources need to be replicated"}
    return {"reason_code": "", "status_text": ""}


def fail_execution(execution: Execution, *, worker: str, reason_code: str, reason: str) -> bool:
    """End an execution whose repositories could not be listed."""
    changed = Execution.objects.filter(pk=execution.pk, status=Status.RUNNING, lease_owner=worker).update(
        status=Status.FAILED, reason_code=reason_code, status_text=reason, ended_at=timezone.now(), **released()
    )
    return bool(changed)


def stop_waiting_rows(execution_id: int) -> None:
    """End everything of an execution that waits; what runs is ended by the worker that holds it."""
    now = timezone.now()
    ended = {"status": Status.STOPPED, "ended_at": now, "next_attempt_at": None}
    tasks = Task.objects.filter(execution_id=execution_id)
    for task_id in tasks.filter(transfers__status=Status.PENDING).values_list("pk", flat=True).distinct():
        waiting = Transfer.objects.filter(task_id=task_id, status=Status.PENDING)
        with transaction.atomic():
            count_stopped_waits(waiting, now)
            stopped = waiting.update(**ended)
            count_transfers(execution_id, task_id, {Status.STOPPED: stopped})
        close_task(task_id)
    with transaction.atomic():
        count_stopped_waits(tasks.filter(status=Status.PENDING), now)
        stopped = tasks.filter(status=Status.PENDING).update(**ended)
        Execution.objects.filter(pk=execution_id).update(tasks_stopped=F("tasks_stopped") + stopped)
    # An execution that nobody lists any more has no more to come.
    unlisted = Execution.objects.filter(pk=execution_id, status=Status.PENDING)
    with transaction.atomic():
        count_stopped_waits(unlisted, now)
        unlisted.update(status=Status.RUNNING, listed_at=now, next_attempt_at=None)
    close_execution(execution_id)


def log(execution_id: int, message: str, *, level: str = LogLine.Level.INFO, task_id: int | None = None) -> None:
    """Write one log line now. Workers batch theirs through the recorder."""
    LogLine.objects.create(execution_id=execution_id, task_id=task_id, at=timezone.now(), level=level, message=message)
