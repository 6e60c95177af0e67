"""The loop of a worker: claim, hand to a thread, settle what comes back, until nothing is left to claim."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import timezone

from replication.models import Execution
from replication.queue import claims, doorbell
from replication.queue.transitions import stop_waiting_rows
from replication.recorder import Recorder
from replication.retries import RetryPolicy
from replication.runner import handover
from replication.runner.context import Context
from replication.runner.copying import CopyWork, claim_copy
from replication.runner.listing import ListingWork, claim_listing
from replication.runner.planning import PlanningWork, claim_planning

SLOTS = 4
TICK_SECONDS = 0.25
# After this long a drain takes no more, so that other executions get a turn; it rings again if work is left.
TURN_SECONDS = 30.0
# A thread that does not notice a stop (blocked in a silent socket) is left behind after this.
STOP_GRACE_SECONDS = 0.75

Work = ListingWork | PlanningWork | CopyWork


@dataclass
class Drain:
    """One worker's turn at one execution."""

    execution_id: int

    def __post_init__(self) -> None:
        self._worker = claims.new_worker_id()
        self._stop = threading.Event()
        self._stopped_at: float | None = None
        self._recorder = Recorder(self.execution_id)
        self._in_flight: dict[Future[Any], Work] = {}
        self._started_at = time.monotonic()
        self._renewed_at = time.monotonic()

    def run(self) -> None:
        """Work until nothing is left to claim or the turn is over. Holds no transaction while it waits."""
        execution = Execution.objects.filter(pk=self.execution_id).first()
        if execution is None or execution.is_finished:
            return
        self._context = Context(
            execution, self._worker, self._recorder, self._stop, policy=_policy(), spec=execution.rule_spec()
        )
        pool = ThreadPoolExecutor(SLOTS, thread_name_prefix=f"drain-{self.execution_id}")
        try:
            self._loop(pool)
        finally:
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            self._recorder.flush()

    def _loop(self, pool: ThreadPoolExecutor) -> None:
        while True:
            self._watch()
            self._fill(pool)
            if not self._in_flight:
                break
            done, _ = wait(self._in_flight, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                self._in_flight.pop(future).settle(future)
            if self._stopped_at and time.monotonic() - self._stopped_at > STOP_GRACE_SECONDS:
                self._abandon()
        is_leaving = self._turn_is_over() or self._context.is_handing_over
        if is_leaving and claims.is_claimable(self.execution_id, timezone.now()):
            doorbell.ring(self.execution_id)

    def _turn_is_over(self) -> bool:
        return time.monotonic() - self._started_at > TURN_SECONDS

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        """Claim until every slot is busy: first the listing, then repositories, then artifacts."""
        if self._stop.is_set() or self._turn_is_over():
            return
        sources: list[Callable[[Context], Work | None]] = [claim_listing, claim_planning, claim_copy]
        while sources and len(self._in_flight) < SLOTS:
            work = sources[0](self._context)
            if work is None:
                sources.pop(0)
            else:
                self._in_flight[pool.submit(work.run)] = work
                # Listing and planning may have settled at once and made new work of the later kinds.

    def _watch(self) -> None:
        """Record, renew, and look whether somebody asked to stop."""
        self._recorder.tick()
        for work in list(self._in_flight.values()):
            work.tick()
        if time.monotonic() - self._renewed_at > settings.LEASE_SECONDS / 3:
            self._renewed_at = time.monotonic()
            claims.renew(self._worker, timezone.now())
        if self._stopped_at is None and self._is_stop_requested():
            self._stop_work()
            stop_waiting_rows(self.execution_id)
        elif self._stopped_at is None and handover.is_asked():
            self._context.is_handing_over = True
            self._stop_work()

    def _stop_work(self) -> None:
        self._stop.set()
        self._stopped_at = time.monotonic()

    def _is_stop_requested(self) -> bool:
        return Execution.objects.filter(pk=self.execution_id, stop_requested_at__isnull=False).exists()

    def _abandon(self) -> None:
        """Settle what a silent thread still holds as given up; its result, if one ever comes, is not looked at."""
        for work in self._in_flight.values():
            work.give_up()
        self._in_flight.clear()


def _policy() -> RetryPolicy:
    return RetryPolicy(
        base_seconds=settings.RETRY_BASE_SECONDS,
        cap_seconds=settings.RETRY_CAP_SECONDS,
        give_up_seconds=settings.RETRY_GIVE_UP_SECONDS,
    )
