"""A limit on bytes per second, shared by the threads of one copy."""

import threading
import time
from collections.abc import Callable, Iterator

_SLICE_SECONDS = 0.1
_STEPS_PER_SECOND = 8
_SMALLEST_STEP_BYTES = 1024


class Throttle:
    """Makes callers wait so that together they stay below a rate. ``None`` means no limit.

    Each piece is cut into steps; each step reserves the span of time that its bytes take and goes out at the end of
    it. So nobody starves, and the target is never left without bytes for long.
    """

    def __init__(
        self,
        bytes_per_second: int | None,
        *,
        check_stop: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bytes_per_second = bytes_per_second
        self._check_stop = check_stop
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = 0.0

    def paced(self, piece: bytes) -> Iterator[bytes]:
        """Yield the piece in steps, each when it may go; Stopped comes through from ``check_stop``."""
        if not self._bytes_per_second:
            yield piece
            return
        step_bytes = max(self._bytes_per_second // _STEPS_PER_SECOND, _SMALLEST_STEP_BYTES)
        for start in range(0, len(piece), step_bytes):
            step = piece[start : start + step_bytes]
            self._wait(len(step) / self._bytes_per_second)
            yield step

    def _wait(self, span_seconds: float) -> None:
        with self._lock:
            self._free_at = max(self._clock(), self._free_at) + span_seconds
            ends_at = self._free_at
        while (left := ends_at - self._clock()) > 0:
            self._check_stop()
            self._sleep(min(left, _SLICE_SECONDS))
