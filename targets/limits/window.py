"""How many requests one process has under way at one registry: grows on success, halves on trouble."""

import threading
from collections import Counter
from collections.abc import Callable

from registry.gate import Lane

FIRST_LIMIT = 8
HIGHEST_LIMIT = 32
SUCCESSES_PER_STEP = 50
_LOOK_SECONDS = 0.1


class Window:
    """Additive increase, multiplicative decrease, as TCP's congestion avoidance (RFC 5681 §3.1) has it.

    The limit holds for each lane by itself, so that a small request never waits behind a blob, and a download that an
    upload is waiting for never behind uploads.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._in_flight: Counter[Lane] = Counter()
        self._limit = FIRST_LIMIT
        self._successes = 0
        self._halvings = 0

    @property
    def limit(self) -> int:
        """Requests that may be under way in each lane."""
        return self._limit

    def enter(self, lane: Lane, check_stop: Callable[[], None]) -> int:
        """Wait for a place in the lane; return what `fail` wants to know. Raises what `check_stop` raises."""
        with self._changed:
            while self._in_flight[lane] >= self._limit:
                check_stop()
                self._changed.wait(_LOOK_SECONDS)
            self._in_flight[lane] += 1
            return self._halvings

    def leave(self, lane: Lane) -> None:
        """Give the place back."""
        with self._changed:
            self._in_flight[lane] -= 1
            self._changed.notify_all()

    def succeed(self) -> None:
        """Count an answer that was no trouble."""
        with self._changed:
            self._successes += 1
            if self._successes >= SUCCESSES_PER_STEP and self._limit < HIGHEST_LIMIT:
                self._successes = 0
                self._limit += 1
                self._changed.notify_all()

    def fail(self, halvings_at_entry: int) -> None:
        """Halve the limit; requests that were sent before the last halving say nothing new."""
        with self._changed:
            if halvings_at_entry != self._halvings:
                return
            self._halvings += 1
            self._successes = 0
            self._limit = max(1, self._limit // 2)
