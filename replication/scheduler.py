"""The clock: due schedules, the sweep that rings for rows that should be moving, health checks, pruning.

Several may run at once; each step is a conditional UPDATE that one of them wins.
"""

import logging
import signal
import threading
from datetime import datetime, timedelta
from types import FrameType

from django.conf import settings
from django.db import close_old_connections
from django.db.models import Q
from django.utils import timezone

from replication.models import OPEN, Event, Execution, Rule, RuleEvent, Status, Task, Transfer, Trigger
from replication.pruning import prune
from replication.queue import claims, doorbell
from replication.queue.parking import wake_after_edits, wake_all
from replication.queue.settlements import finish_transfer
from replication.queue.transitions import (
    WORKER_LOST,
    close_execution,
    close_task,
    fail_execution,
    finish_task,
    stop_waiting_rows,
)
from replication.schedules import next_runs
from replication.services import RuleDisabled, start_execution, start_waiting
from targets.models import Endpoint

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
# A doorbell may be lost with the broker: rows that wait longer than this without a ring are rung for again.
RING_AGAIN_SECONDS = 20.0
EVENTS_LATE_SECONDS = 3.0
PRUNE_EVERY_SECONDS = 3600.0


def run_forever() -> None:
    """Tick once a second until SIGTERM or SIGINT."""
    stop = threading.Event()

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    pruned_at: datetime | None = None
    wake_all(timezone.now())  # what was edited while nobody looked
    while not stop.is_set():
        now = timezone.now()
        close_old_connections()
        tick(now)
        if pruned_at is None or (now - pruned_at).total_seconds() > PRUNE_EVERY_SECONDS:
            pruned_at = now
            prune(now)
        stop.wait(TICK_SECONDS)


def tick(now: datetime) -> None:
    """Do everything that is due. Costs about ten indexed queries when nothing is."""
    start_due_rules(now)
    wake_after_edits(now)
    sweep(now)
    start_late_events(now)
    request_health_checks(now)


def start_due_rules(now: datetime) -> None:
    """Start the scheduled rules whose time has come; runs missed while nobody ticked become one."""
    due = Rule.objects.filter(enabled=True, trigger=Trigger.SCHEDULED, next_run_at__lte=now)
    for rule in due:
        following = next_runs(rule.cron, rule.time_zone, now=now, count=1)[0]
        won = Rule.objects.filter(pk=rule.pk, next_run_at=rule.next_run_at).update(next_run_at=following)
        if not won:
            continue
        try:
            start_execution(rule, trigger=Trigger.SCHEDULED)
        except RuleDisabled:
            logger.info("schedule.disabled rule=%s", rule.pk)


def sweep(now: datetime) -> None:
    """Give back what dead workers held, finish what was left between two steps, and ring for what waits."""
    end_what_workers_die_of(now)
    for execution_id in claims.revive_expired(now):
        logger.warning("sweep.revived execution=%s", execution_id)
        doorbell.ring(execution_id)
    for execution in Execution.objects.filter(status__in=OPEN):
        _finish_left_over(execution)
        if _should_ring(execution, now):
            doorbell.ring(execution.pk)


def end_what_workers_die_of(now: datetime) -> None:
    """Fail what several workers in a row fell silent over."""
    why = {
        "reason_code": WORKER_LOST,
        "reason": f"{claims.LOSSES_AT_MOST + 1} workers ended without a word while they worked on this. "
        "Look into their memory and their output.",
    }
    for transfer in claims.lost_for_good(Transfer, now):
        finish_transfer(transfer, worker=transfer.lease_owner, status=Status.FAILED, **why)
    for task in claims.lost_for_good(Task, now):
        finish_task(task, worker=task.lease_owner, status=Status.FAILED, **why)
    for execution in claims.lost_for_good(Execution, now):
        fail_execution(execution, worker=execution.lease_owner, **why)


def _finish_left_over(execution: Execution) -> None:
    """Do again what a worker that died between two steps did not come to."""
    if execution.stop_requested_at:
        stop_waiting_rows(execution.pk)
    planned = Task.objects.filter(execution=execution, status=Status.RUNNING, planned_at__isnull=False)
    for task_id in planned.exclude(transfers__status__in=OPEN).values_list("pk", flat=True):
        close_task(task_id)
    if execution.listed_at is not None:
        close_execution(execution.pk)


def _should_ring(execution: Execution, now: datetime) -> bool:
    """Say whether something could be claimed that nobody was called for since it became due."""
    if not claims.is_claimable(execution.pk, now):
        return False
    if execution.rung_at is None or (now - execution.rung_at).total_seconds() > RING_AGAIN_SECONDS:
        return True
    became_due = Q(status=Status.PENDING, next_attempt_at__gt=execution.rung_at, next_attempt_at__lte=now)
    return (
        execution.transfers.filter(became_due).exists()
        or execution.tasks.filter(became_due).exists()
        or Execution.objects.filter(became_due, pk=execution.pk).exists()
    )


def start_late_events(now: datetime) -> None:
    """Have events looked at that a lost doorbell left behind, and start runs for those that wait for a rule."""
    late = now - timedelta(seconds=EVENTS_LATE_SECONDS)
    if Event.objects.filter(processed_at__isnull=True, received_at__lt=late).exists():
        doorbell.call(doorbell.PROCESS_EVENTS)
    waiting = RuleEvent.objects.filter(taken_at__isnull=True).values_list("rule_id", flat=True).distinct()
    for rule_id in waiting:
        start_waiting(rule_id)


def request_health_checks(now: datetime) -> None:
    """Have each endpoint checked every HEALTH_CHECK_SECONDS, in a worker."""
    before = now - timedelta(seconds=settings.HEALTH_CHECK_SECONDS)
    stale = Q(check_requested_at__isnull=True) | Q(check_requested_at__lt=before)
    for endpoint_id in Endpoint.objects.filter(stale).values_list("pk", flat=True):
        if Endpoint.objects.filter(stale, pk=endpoint_id).update(check_requested_at=now):
            doorbell.call(doorbell.CHECK_ENDPOINT, endpoint_id)
