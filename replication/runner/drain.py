"""The loop of a worker: claim, hand to a thread, settle what comes back, until nothing is left to claim."""

import threading
import time
from collections import deque
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
from replication.runner.copying import CopyWork, claim_copies
from replication.runner.listing import ListingWork, claim_listing
from replication.runner.planning import PlanningWork, claim_planning
from replication.runner.settling import Result, settle

SLOTS = 8
TICK_SECONDS = 0.25
# After this long a drain takes no more, so that other executions get a turn; it rings again if work is left.
TURN_SECONDS = 30.0
# A thread that does not notice a stop (blocked in a silent socket) is left behind after this.
STOP_GRACE_SECONDS = 0.75
# Results are recorded together: when so many have come, or the first of them has waited so long.
RESULTS_AT_ONCE = 64
RESULTS_WAIT_SECONDS = 0.25
# Small artifacts are claimed ahead, as many as were copied in so many seconds, but never more than this.
CLAIM_AHEAD_SECONDS = 0.5
CLAIMS_AT_MOST = 64

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
        self._claimed: deque[CopyWork] = deque()
        self._results: list[Result] = []
        self._oldest_result_at = 0.0
        self._copied_at: deque[float] = deque()
        self._started_at = self._renewed_at = time.monotonic()
        self._looked_at = -TICK_SECONDS
        self._nothing_to_claim_until = 0.0

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
            self._context.manners.end()
            self._recorder.flush()

    def _loop(self, pool: ThreadPoolExecutor) -> None:
        while True:
            self._watch()
            self._fill(pool)
            if not self._in_flight and not self._is_more_after_settling():
                break
            done, _ = wait(self._in_flight, timeout=self._longest_wait(), return_when=FIRST_COMPLETED)
            for future in done:
                self._take_result(self._in_flight.pop(future), future)
            if self._stopped_at and time.monotonic() - self._stopped_at > STOP_GRACE_SECONDS:
                self._abandon()
        is_leaving = self._turn_is_over() or self._context.is_handing_over
        if is_leaving and claims.is_claimable(self.execution_id, timezone.now()):
            doorbell.ring(self.execution_id)

    def _is_more_after_settling(self) -> bool:
        """Record what was held back; say whether there may be something to claim because of it (deletions wait)."""
        if not self._results:
            return False
        self._settle()
        self._nothing_to_claim_until = 0.0
        return True

    def _longest_wait(self) -> float:
        if not self._in_flight:
            return 0.0
        if not self._results:
            return TICK_SECONDS
        return max(self._oldest_result_at + RESULTS_WAIT_SECONDS - time.monotonic(), 0.0)

    def _turn_is_over(self) -> bool:
        return time.monotonic() - self._started_at > TURN_SECONDS

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        """Keep every slot busy: first with what is claimed already."""
        while len(self._in_flight) < SLOTS and not self._stop.is_set():
            work = self._next_work()
            if work is None:
                return
            if isinstance(work, CopyWork):
                work.prepare()
            self._in_flight[pool.submit(work.run)] = work

    def _next_work(self) -> Work | None:
        """Return claimed work, else claim: first the listing, then repositories, then artifacts."""
        if self._claimed:
            return self._claimed.popleft()
        if self._turn_is_over() or time.monotonic() < self._nothing_to_claim_until or self._context.manners.park():
            return None
        looking = claim_listing(self._context) or claim_planning(self._context)
        if looking is not None:
            return looking
        self._claimed.extend(claim_copies(self._context, at_most=self._claims_at_once()))
        if self._claimed:
            return self._claimed.popleft()
        self._nothing_to_claim_until = time.monotonic() + TICK_SECONDS
        return None

    def _claims_at_once(self) -> int:
        """Return how many artifacts to claim: one for each free slot; more where they are so small that it pays."""
        since = time.monotonic() - CLAIM_AHEAD_SECONDS
        while self._copied_at and self._copied_at[0] < since:
            self._copied_at.popleft()
        return min(max(SLOTS - len(self._in_flight), len(self._copied_at)), CLAIMS_AT_MOST)

    def _take_result(self, work: Work, future: "Future[Any]") -> None:
        """Settle what a thread gave back; the results of copies are gathered."""
        if isinstance(work, CopyWork):
            self._copied_at.append(time.monotonic())
            self._gather(work.results(future))
        else:
            work.settle(future)
            self._nothing_to_claim_until = 0.0  # it may have made new work

    def _gather(self, results: list[Result]) -> None:
        if results and not self._results:
            self._oldest_result_at = time.monotonic()
        self._results += results

    def _settle(self) -> None:
        results, self._results = self._results, []
        settle(self._context, results)

    def _watch(self) -> None:
        """Record, renew, and look whether somebody asked to stop."""
        self._recorder.tick()
        self._context.manners.tick()
        for work in list(self._in_flight.values()):
            if isinstance(work, CopyWork):
                self._gather(work.arrived())
            else:
                work.tick()
        now = time.monotonic()
        is_full = len(self._results) >= RESULTS_AT_ONCE
        if self._results and (is_full or now - self._oldest_result_at >= RESULTS_WAIT_SECONDS):
            self._settle()
        if now - self._renewed_at > settings.LEASE_SECONDS / 3:
            self._renewed_at = now
            claims.renew(self._worker, timezone.now())
        if self._stopped_at is None and now - self._looked_at >= TICK_SECONDS:
            self._looked_at = now
            self._look_for_stop()

    def _look_for_stop(self) -> None:
        if self._is_stop_requested():
            self._stop_work()
            stop_waiting_rows(self.execution_id)
        elif handover.is_asked():
            self._context.is_handing_over = True
            self._stop_work()

    def _stop_work(self) -> None:
        self._stop.set()
        self._stopped_at = time.monotonic()
        while self._claimed:
            self._gather(self._claimed.popleft().given_up())

    def _is_stop_requested(self) -> bool:
        return Execution.objects.filter(pk=self.execution_id, stop_requested_at__isnull=False).exists()

    def _abandon(self) -> None:
        """Settle what a silent thread still holds as given up; its result, if one ever comes, is not looked at."""
        for work in self._in_flight.values():
            if isinstance(work, CopyWork):
                self._gather(work.given_up())
            else:
                work.give_up()
        self._in_flight.clear()


def _policy() -> RetryPolicy:
    return RetryPolicy(
        base_seconds=settings.RETRY_BASE_SECONDS,
        cap_seconds=settings.RETRY_CAP_SECONDS,
        give_up_seconds=settings.RETRY_GIVE_UP_SECONDS,
    )
