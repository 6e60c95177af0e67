"""Locks by name, for what must not be done twice at a time: here one process keeps them.

Whoever has several processes puts another ``Locks`` into its connections, as with the gate.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

_LOOK_SECONDS = 0.1


class Locks(Protocol):
    """Anything that gives locks by name."""

    def holding(self, name: str, *, check_stop: Callable[[], None]) -> AbstractContextManager[None]:
        """Hold the lock of this name; ``check_stop`` is called while waiting for it and may raise."""


class ProcessLocks:
    """Locks between the threads of one process.

    >>> with ProcessLocks().holding("a", check_stop=lambda: None):
    ...     pass
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def holding(self, name: str, *, check_stop: Callable[[], None]) -> Iterator[None]:
        """Hold the lock of this name."""
        lock = self._enter(name)
        try:
            while not lock.acquire(timeout=_LOOK_SECONDS):
                check_stop()
            try:
                yield
            finally:
                lock.release()
        finally:
            self._leave(name)

    def forget(self) -> None:
        """In a forked child: another thread's lock would never be released."""
        self._guard = threading.Lock()
        self._locks = {}

    def _enter(self, name: str) -> threading.Lock:
        with self._guard:
            lock, users = self._locks.get(name, (None, 0))
            lock = lock or threading.Lock()
            self._locks[name] = (lock, users + 1)
            return lock

    def _leave(self, name: str) -> None:
        with self._guard:
            lock, users = self._locks.pop(name)
            if users > 1:
                self._locks[name] = (lock, users - 1)


PROCESS_LOCKS = ProcessLocks()
os.register_at_fork(after_in_child=PROCESS_LOCKS.forget)
