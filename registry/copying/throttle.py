"""A limit on bytes per second, shared by the threads of one copy."""

import threading
import time
from collections.abc import Callable

_SLICE_SECONDS = 0.1


class Throttle:
    """Makes callers wait so that together they stay below a rate. ``None`` means no limit.

    Time is handed out in advance: each caller reserves the span its bytes take and waits until that span begins. So
    nobody starves, and at most one buffer per thread goes out early.
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

    def pass_on(self, size_bytes: int) -> None:
        """Wait until so many bytes may go; Stopped comes through from ``check_stop``."""
        if not self._bytes_per_second:
            return
        with self._lock:
            begins_at = max(self._clock(), self._free_at)
            self._free_at = begins_at + size_bytes / self._bytes_per_second
        while (left := begins_at - self._clock()) > 0:
            self._check_stop()
            self._sleep(min(left, _SLICE_SECONDS))
