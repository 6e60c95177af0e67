"""Stopping threads that work on one thing: flags made of others, and what to raise in the end."""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from registry.client import StopFlag
from registry.errors import Stopped


class AnyFlag:
    """Set as soon as one of several flags is."""

    def __init__(self, flags: Iterable[StopFlag | None]) -> None:
        self._flags = list({id(flag): flag for flag in flags if flag is not None}.values())  # often one and the same

    def is_set(self) -> bool:
        """Answer whether one of them is set."""
        for flag in self._flags:  # noqa: SIM110 (asked several times per request: `any` takes twice the time)
            if flag.is_set():
                return True
        return False


class Halt:
    """A stop flag of two: an outer one, and our own, set when going on makes no sense."""

    def __init__(self, outer: StopFlag | None) -> None:
        self._outer = outer
        self._inner = threading.Event()

    def set(self) -> None:
        """Stop those that obey this flag; the outer one is left alone."""
        self._inner.set()

    def is_set(self) -> bool:
        """Answer whether either is set."""
        return self._inner.is_set() or (self._outer is not None and self._outer.is_set())

    def check(self) -> None:
        """Raise Stopped when either is set."""
        if self.is_set():
            raise Stopped


def raise_first_failure(futures: Sequence[Future[Any]]) -> None:
    """Raise what went wrong, if anything did, rather than the Stopped of those that were told to stop because of it."""
    failures = [error for future in futures if (error := future.exception()) is not None]
    causes = [error for error in failures if not isinstance(error, Stopped)]
    if failures:
        raise (causes or failures)[0]
