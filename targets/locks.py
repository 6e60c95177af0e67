"""Locks by name that all workers share, over Redis.

Threads of one process queue up among themselves first. While Redis is away that is all there is: what is locked is read
again after it was written (``registry.client.fallback``), so an entry that two workers fight over is put back.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from registry.locks import PROCESS_LOCKS
from targets.limits.broker import Broker, broker_at

# Longer than a change of a small document takes; a worker that dies holds the others up for no longer.
LEASE_SECONDS = 60
_LOOK_SECONDS = 0.05
_RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then
    return redis.call('del', KEYS[1])
end
return 0
"""


class SharedLocks:
    """Locks between threads and processes."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @contextmanager
    def holding(self, name: str, *, check_stop: Callable[[], None]) -> Iterator[None]:
        """Hold the lock of this name."""
        key, token = f"harborsync:lock:{name}", secrets.token_hex(16)
        with PROCESS_LOCKS.holding(name, check_stop=check_stop):
            while not self._take(key, token):
                check_stop()
                time.sleep(_LOOK_SECONDS)
            try:
                yield
            finally:
                self._broker.run(_RELEASE, keys=[key], arguments=[token], otherwise=0)

    def _take(self, key: str, token: str) -> bool:
        """Answer whether the lock is ours now, or cannot be had because Redis is away."""
        is_taken = self._broker.ask(lambda redis: redis.set(key, token, nx=True, ex=LEASE_SECONDS) is not None, True)
        return bool(is_taken)


@cache
def locks_at(url: str) -> SharedLocks:
    """Return this process's locks over a Redis."""
    return SharedLocks(broker_at(url))
