"""The gate before one endpoint: its limits, the registry's own wishes, and the pace that it bears."""

import random
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from harborsync.lib.timetable import UNLIMITED, Timetable
from registry import RateLimitedError
from registry.gate import OPEN_PERMIT, Lane, Permit
from registry.ratelimits import asked_pause
from targets.limits.bandwidth import LONGEST_WAIT_SECONDS, SLICE_SECONDS, Bandwidth
from targets.limits.ledger import LEASE_SECONDS, LONGEST_RETURN_SECONDS, Ledger
from targets.limits.window import Window

_RENEW_SECONDS = LEASE_SECONDS / 4
# Nobody knows when a connection comes free: look again after about this.
_CONNECTION_RETURN_SECONDS = 10.0
# 501 and 505 speak of the request, 507 of the disk; none of them of too much work.
_NO_TROUBLE = frozenset({501, 505, 507})


@dataclass(frozen=True, slots=True)
class Limits:
    """What an endpoint's row allows; None: as much as there is."""

    connections: int | None = None
    requests_per_second: int | None = None
    bandwidth: Timetable = UNLIMITED


class EndpointGate:
    """Shared by all threads of a process; what all workers must agree on is in the ledger.

    Work that has not sent anything to this endpoint yet waits a second at most and is sent away then, to make room for
    work that can go on. Work under way waits for its turn: sent away in the middle it would begin anew each time and
    might never end. A pause that the registry asked for sends everybody away.
    """

    def __init__(
        self,
        limits: Limits,
        ledger: Ledger,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limits = limits
        self.bandwidth = Bandwidth(
            limits.bandwidth, ledger, whose="this registry", clock=clock, wall_clock=wall_clock, sleep=sleep
        )
        self.ledger = ledger
        self.tokens = ledger.beside("tokens")
        self.window = Window()
        self.clock = clock
        self._sleep = sleep
        self._begun: weakref.WeakSet[object] = weakref.WeakSet()
        self._lock = threading.Lock()

    def follow(self, limits: Limits) -> None:
        """Keep to these limits from now on; what is under way does so, too."""
        self.limits = limits
        self.bandwidth.follow(limits.bandwidth)

    def enter(self, lane: Lane, *, attempt: str, work: object | None, check_stop: Callable[[], None]) -> Permit:
        """Wait for a turn and return the right to send. Raises RateLimitedError, Stopped."""
        if lane is Lane.CLEARING:
            return OPEN_PERMIT
        self._respect_pause(attempt, check_stop)
        if lane is Lane.TOKENS:
            _respect(self.tokens, attempt, lambda seconds: self.sleep(seconds, check_stop))
            return TokenPermit(self.tokens)
        halvings = self.window.enter(lane, check_stop)
        permit = EndpointPermit(self, lane, halvings, check_stop)
        try:
            is_begun = self._is_begun(work)
            self._await_turn(attempt, check_stop, is_begun=is_begun)
            self._await_connection(permit, attempt, is_begun=is_begun)
            self._respect_pause(attempt, check_stop)  # somebody may have been told off meanwhile
        except BaseException:
            permit.leave()
            raise
        self._begin(work)
        return permit

    def sleep(self, seconds: float, check_stop: Callable[[], None]) -> None:
        """Sleep with an eye on the stop flag."""
        until = self.clock() + seconds
        while (left := until - self.clock()) > 0:
            check_stop()
            self._sleep(min(left, SLICE_SECONDS))

    def _is_begun(self, work: object | None) -> bool:
        with self._lock:
            return work is not None and work in self._begun

    def _begin(self, work: object | None) -> None:
        if work is not None:
            with self._lock:
                self._begun.add(work)

    def _respect_pause(self, attempt: str, check_stop: Callable[[], None]) -> None:
        self.bandwidth.respect_pause(attempt, check_stop)
        _respect(self.ledger, attempt, lambda seconds: self.sleep(seconds, check_stop))

    def _await_turn(self, attempt: str, check_stop: Callable[[], None], *, is_begun: bool) -> None:
        rate = self.limits.requests_per_second
        if not rate:
            return
        longest = None if is_begun else LONGEST_WAIT_SECONDS
        seconds = self.ledger.take_turn(requests_per_second=rate, longest_wait_seconds=longest)
        if seconds < 0:
            raise _sent_away(
                attempt, _spread(-seconds), f"the requests per second set for this registry ({rate}) are used up"
            )
        self.sleep(seconds, check_stop)

    def _await_connection(self, permit: "EndpointPermit", attempt: str, *, is_begun: bool) -> None:
        connections = self.limits.connections
        if not connections:
            return
        until = self.clock() + LONGEST_WAIT_SECONDS
        while not permit.take_connection(connections):
            if not is_begun and self.clock() >= until:
                seconds = _CONNECTION_RETURN_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311
                raise _sent_away(
                    attempt, seconds, f"the connections set for this registry ({connections}) are all in use"
                )
            self.sleep(SLICE_SECONDS, permit.check_stop)


class TokenPermit:
    """The right to ask a token server; what it asks for is remembered beside what the registry asks for."""

    block_bytes: int | None = None

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def await_bytes(self, size_bytes: int) -> None:
        """Tokens are small."""

    def hear(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from the answer: a pause is told to all workers."""
        pause = asked_pause(status, headers)
        if pause is not None:
            self._ledger.remember(replace(pause, why=pause.why.replace("the registry", "the token server", 1)))

    def miss(self) -> None:
        """Nothing to learn."""

    def leave(self) -> None:
        """Nothing to give back."""


class EndpointPermit:
    """The right to send one request to an endpoint."""

    def __init__(self, gate: EndpointGate, lane: Lane, halvings: int, check_stop: Callable[[], None]) -> None:
        self.check_stop = check_stop
        self._gate = gate
        self._lane = lane
        self._halvings = halvings
        self._lease_id = ""
        self._renewed_at = 0.0
        self._is_in_window = True

    def __del__(self) -> None:
        # An answer that nobody closed. Only what needs no other server: this may run anywhere.
        self._leave_window()

    @property
    def block_bytes(self) -> int | None:
        """Return the largest piece of a body to move at once; it follows the limits, which may change meanwhile."""
        return None if self._lane is Lane.SMALL else self._gate.bandwidth.block_bytes

    def take_connection(self, connections: int) -> bool:
        """Take one of the endpoint's connections, if one is free."""
        lease_id = secrets.token_hex(8)
        if not self._gate.ledger.lease(self._lane, lease_id, connections=connections):
            return False
        self._lease_id, self._renewed_at = lease_id, self._gate.clock()
        return True

    def await_bytes(self, size_bytes: int) -> None:
        """Wait until this many bytes of a body may pass. Raises Stopped, PausedError."""
        self._gate.bandwidth.await_bytes(size_bytes, self.check_stop)
        if self._lease_id and self._gate.clock() - self._renewed_at >= _RENEW_SECONDS:
            self._renewed_at = self._gate.clock()
            self._gate.ledger.renew(self._lane, self._lease_id)

    def hear(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from the answer: a pause is told to all workers, trouble narrows this process's window."""
        pause = asked_pause(status, headers)
        if pause is not None:
            self._gate.ledger.remember(pause)
        if status == 429 or (status >= 500 and status not in _NO_TROUBLE):
            self._gate.window.fail(self._halvings)
        else:
            self._gate.window.succeed()

    def miss(self) -> None:
        """Learn that no answer came in time."""
        self._gate.window.fail(self._halvings)

    def leave(self) -> None:
        """Give the place and the connection back; twice does no harm."""
        self._leave_window()
        lease_id, self._lease_id = self._lease_id, ""
        if lease_id:
            self._gate.ledger.release(self._lane, lease_id)

    def _leave_window(self) -> None:
        if self._is_in_window:
            self._is_in_window = False
            self._gate.window.leave(self._lane)


def _respect(ledger: Ledger, attempt: str, sleep: Callable[[float], None]) -> None:
    """Sleep through a short pause; raise RateLimitedError in a longer one."""
    while (pause := ledger.pause()) is not None:
        if pause.seconds > LONGEST_WAIT_SECONDS:
            raise _sent_away(attempt, pause.seconds, pause.why)
        sleep(pause.seconds)


def _spread(seconds: float) -> float:
    """Return the seconds; at the end of the queue, where many share one place, spread them out."""
    if seconds < LONGEST_RETURN_SECONDS:
        return seconds
    return random.uniform(0.5, 1.0) * LONGEST_RETURN_SECONDS  # noqa: S311


def _sent_away(attempt: str, seconds: float, why: str) -> RateLimitedError:
    """Return the error that puts work back to its row: why it waits, and for how long. The row keeps until when."""
    return RateLimitedError(f"{attempt}: {why}", retry_after_seconds=seconds)
