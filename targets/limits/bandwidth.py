"""A bandwidth that all workers share, by a timetable: an endpoint's (through its gate) or a rule's (as a `Pace`)."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from harborsync.lib.timetable import Timetable
from registry import PausedError
from registry.ratelimits import Pause
from registry.wire import BLOCK_BYTES
from targets.limits.ledger import Ledger

# So long a thread may sleep for work that cannot go on; what takes longer goes back to its row.
LONGEST_WAIT_SECONDS = 1.0
SLICE_SECONDS = 0.1
_STEPS_PER_SECOND = 8
_SMALLEST_BLOCK_BYTES = 1024
# A pause without an end is looked at again after this.
_LONGEST_PAUSE_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a timetable allows for a while. ``until`` is in seconds of the epoch; ``why`` is there for a pause only."""

    timetable: Timetable
    bytes_per_second: float | None
    until: float
    why: str = ""


class Bandwidth:
    """Bytes per second under the ledger's name. ``follow`` changes them for copies under way, too."""

    def __init__(
        self,
        timetable: Timetable,
        ledger: Ledger,
        *,
        whose: str,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._timetable = timetable
        self._ledger = ledger
        self._whose = whose
        self._clock = clock
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._allowance = self._read(wall_clock())

    def follow(self, timetable: Timetable) -> None:
        """Go by this timetable from now on."""
        if timetable != self._timetable:
            self._timetable = timetable

    @property
    def allowance(self) -> Allowance:
        """Return what holds now. Cheap: the timetable is read again only when what it said has ended."""
        now, known = self._wall_clock(), self._allowance
        if known.timetable is not self._timetable or now >= known.until:
            known = self._allowance = self._read(now)
        return known

    @property
    def block_bytes(self) -> int:
        """Return how finely bodies are to be cut: some steps a second, so that no side waits for long without bytes."""
        rate = self.allowance.bytes_per_second
        if not rate:
            return BLOCK_BYTES
        return min(max(int(rate / _STEPS_PER_SECOND), _SMALLEST_BLOCK_BYTES), BLOCK_BYTES)

    def pause(self) -> Pause | None:
        """Return the pause of now: how long it lasts, and why, to complete "waiting, because …"."""
        found = self.allowance
        if not found.why:
            return None
        return Pause(min(max(found.until - self._wall_clock(), 0.0), _LONGEST_PAUSE_SECONDS), found.why)

    def respect_pause(self, attempt: str, check_stop: Callable[[], None]) -> None:
        """Sleep through the last moments of a pause; raise PausedError when it lasts longer."""
        while (pause := self.pause()) is not None:
            if pause.seconds > LONGEST_WAIT_SECONDS:
                raise PausedError(f"{attempt}: {pause.why}", retry_after_seconds=pause.seconds)
            check_stop()
            self._sleep(min(pause.seconds, SLICE_SECONDS))

    def await_bytes(self, size_bytes: int, check_stop: Callable[[], None]) -> None:
        """Wait until this many bytes may pass. Raise PausedError in a pause, and what ``check_stop`` raises.

        The wait ends early when another rate begins to hold: it was reckoned by the old one.
        """
        self.respect_pause("Moving bytes", check_stop)
        rate = self.allowance.bytes_per_second
        if not rate:
            return
        end = self._clock() + self._ledger.take_bytes(size_bytes, bytes_per_second=rate)
        while (left := end - self._clock()) > 0 and self.allowance.bytes_per_second == rate:
            check_stop()
            self._sleep(min(left, SLICE_SECONDS))

    def _read(self, now: float) -> Allowance:
        timetable = self._timetable
        moment = datetime.fromtimestamp(now, UTC)
        kilobits = timetable.limit_at(moment)
        end = timetable.until(moment)
        until = end.timestamp() if end else math.inf
        if kilobits is None:
            window = f"{timetable.window_at(moment)} ({timetable.time_zone})"
            return Allowance(timetable, None, until, f"the time window {window} of {self._whose} lets nothing move")
        return Allowance(timetable, kilobits * 1024 / 8 or None, until)
