"""The pace at which bytes go to the targets: a limit per second, shared by whoever is given the same pace."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from registry.wire import Piece

_SLICE_SECONDS = 0.1
_STEPS_PER_SECOND = 8
_SMALLEST_STEP_BYTES = 1024


class Pace(Protocol):
    """Says how fast bytes may go. Used by many threads at once, and free to change while they wait."""

    @property
    def block_bytes(self) -> int | None:
        """Largest piece to send between two calls of ``await_bytes``; None: pieces as they come."""

    def await_bytes(self, size_bytes: int, check_stop: Callable[[], None]) -> None:
        """Wait until this many bytes may go.

        Raise what ``check_stop`` raises (it is called at least every tenth of a second), and RateLimitedError when the
        wait is too long to be spent here.
        """


class Throttle:
    """The pace of one process: all that share it stay below a rate together.

    Each step reserves the span of time that its bytes take and goes out at the end of it. So nobody starves, and the
    targets are never left without bytes for long.
    """

    def __init__(
        self,
        bytes_per_second: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = 0.0

    @property
    def block_bytes(self) -> int | None:
        """Return the size of a step: some a second."""
        return max(self._bytes_per_second // _STEPS_PER_SECOND, _SMALLEST_STEP_BYTES)

    def await_bytes(self, size_bytes: int, check_stop: Callable[[], None]) -> None:
        """Wait until this many bytes may go."""
        with self._lock:
            self._free_at = max(self._clock(), self._free_at) + size_bytes / self._bytes_per_second
            ends_at = self._free_at
        while (left := ends_at - self._clock()) > 0:
            check_stop()
            self._sleep(min(left, _SLICE_SECONDS))


def in_steps(piece: Piece, pace: Pace | None, check_stop: Callable[[], None]) -> Iterator[Piece]:
    """Yield the piece in the pace's steps, each when it may go; as it is without a pace, or when it is one step."""
    if pace is None:
        yield piece
        return
    start = 0
    while start < len(piece):
        step_bytes = pace.block_bytes or len(piece)  # the pace may change between two steps
        is_whole = not start and len(piece) <= step_bytes
        step = piece if is_whole else piece[start : start + step_bytes]
        pace.await_bytes(len(step), check_stop)
        yield step
        start += len(step)
