"""Counting what a piece of work cost."""

import threading
from collections import Counter


class Tally:
    """A thread-safe count of one side's requests by method, of body bytes, and of what was tried once more.

    ``work`` is the tally of the same work's other side: to the gate of a registry that is both, they are one.
    """

    def __init__(self, *, work: "Tally | None" = None) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._bytes_received = 0
        self._bytes_sent = 0
        self._retries = 0

    def count_request(self, method: str) -> None:
        """Count one HTTP request; redirects and token requests are requests too."""
        with self._lock:
            self._requests[method] += 1

    def count_received(self, size_bytes: int) -> None:
        """Count bytes of answers' bodies, as they arrive."""
        with self._lock:
            self._bytes_received += size_bytes

    def count_sent(self, size_bytes: int) -> None:
        """Count bytes of requests' bodies, as they are sent."""
        with self._lock:
            self._bytes_sent += size_bytes

    def count_retry(self) -> None:
        """Count a request, or a part of a blob, that is tried again at once."""
        with self._lock:
            self._retries += 1

    @property
    def work(self) -> "Tally":
        """What the requests of one piece of work have in common."""
        return self._work or self

    @property
    def requests(self) -> dict[str, int]:
        """Requests so far: ``{method: count}``."""
        with self._lock:
            return dict(self._requests)

    @property
    def total_requests(self) -> int:
        """Requests so far, all methods together."""
        with self._lock:
            return self._requests.total()

    @property
    def bytes_received(self) -> int:
        """Bytes of answers' bodies so far, those that were read again included."""
        with self._lock:
            return self._bytes_received

    @property
    def bytes_sent(self) -> int:
        """Bytes of requests' bodies so far, those of broken attempts included."""
        with self._lock:
            return self._bytes_sent

    @property
    def retries(self) -> int:
        """How often something was tried again at once."""
        with self._lock:
            return self._retries
