"""Counting what a piece of work cost."""

import threading
from collections import Counter


class Tally:
    """A thread-safe count of requests by method and of body bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._bytes_received = 0
        self._bytes_sent = 0

    def count_request(self, method: str) -> None:
        """Count one HTTP request; redirects and token requests are requests too."""
        with self._lock:
            self._requests[method] += 1

    def count_received(self, size_bytes: int) -> None:
        """Count blob bytes that arrived."""
        with self._lock:
            self._bytes_received += size_bytes

    def count_sent(self, size_bytes: int) -> None:
        """Count blob bytes that were sent."""
        with self._lock:
            self._bytes_sent += size_bytes

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
        """Blob bytes that arrived so far."""
        with self._lock:
            return self._bytes_received

    @property
    def bytes_sent(self) -> int:
        """Blob bytes sent so far, those of broken attempts included."""
        with self._lock:
            return self._bytes_sent
