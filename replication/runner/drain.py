"""The loop of a worker: claim, hand to a thread, settle what comes back, until nothing is left to claim."""

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import timezone

from replication.models import FINISHED, Execution
from replication.queue import claims, doorbell
from replication.queue.transitions import stop_waiting_rows
from replication.recorder import Recorder
from replication.retries import RetryPolicy
from replication.runner import handover
from replication.runner.context import Context
from replication.runner.copying import CopyWork
from replication.runner.settling import Result, settle
from replication.runner.supply import SLOTS, Supply, Work

TICK_SECONDS = 0.25
# After this long a drain takes no more, so that other executions get a turn; it rings again if work is left.
TURN_SECONDS = 30.0
# A thread that does not notice a stop (blocked in a silent socket) is left behind after this.
STOP_GRACE_SECONDS = 0.75
# Results are recorded together: when so many have come, or the first of them has waited so long.
RESULTS_AT_ONCE = 64
RESULTS_WAIT_SECONDS = 0.5


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
        self._results: list[Result] = []
        self._oldest_result_at = 0.0
        self._started_at = self._renewed_at = time.monotonic()
        self._looked_at = -TICK_SECONDS

    def run(self) -> None:
        """Work until nothing is left to claim or the turn is over. Holds no transaction while it waits."""
        execution = Execution.objects.filter(pk=self.execution_id).first()
        if execution is None or execution.is_finished:
            return
        self._context = Context(
            execution, self._worker, self._recorder, self._stop, policy=_policy(), spec=execution.rule_spec()
        )
        self._supply = Supply(self._context)
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
        self._supply.expect_more()
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
        """Return claimed work, else claim, until the turn is over."""
        if self._turn_is_over() and not self._supply.is_held:
            return None
        return self._supply.take(free=SLOTS - len(self._in_flight))

    def _take_result(self, work: Work, future: "Future[Any]") -> None:
        """Settle what a thread gave back; the results of copies are gathered."""
        if isinstance(work, CopyWork):
            self._supply.note_copied(work.seconds)
            self._gather(work.results(future))
        else:
            work.settle(future)
            self._supply.expect_more()

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
            self._look()

    def _look(self) -> None:
        """See whether this is to end, and how much is left for all."""
        if self._is_stop_requested():
            self._stop_work()
            stop_waiting_rows(self.execution_id)
        elif handover.is_asked():
            self._context.is_handing_over = True
            self._stop_work()

    def _stop_work(self) -> None:
        self._stop.set()
        self._stopped_at = time.monotonic()
        self._gather(self._supply.give_up())

    def _is_stop_requested(self) -> bool:
        finished = [f"transfers_{status}" for status in FINISHED]
        rows = Execution.objects.filter(pk=self.execution_id)
        row = rows.values_list("stop_requested_at", "transfers_total", *finished).first()
        if row is None:
            return False
        stop_requested_at, total, *ended = row
        self._supply.open_transfers = total - sum(ended)
        return stop_requested_at is not None

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
