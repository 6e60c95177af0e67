"""Stopping threads that work on one thing: flags made of others, and what to raise in the end."""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from registry.client import StopFlag, UploadShelf
from registry.errors import RegistryError, Stopped


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
        self.cause: BaseException | None = None
        """What failed, so that going on made no sense."""

    def set(self, cause: BaseException | None = None) -> None:
        """Stop those that obey this flag; the outer one is left alone. The first ``cause`` is kept."""
        if not self._inner.is_set():
            self.cause = cause
        self._inner.set()

    @property
    def is_pause(self) -> bool:
        """Whether what is stopped is tried again in a while: the cause passes, and nobody outside wants an end."""
        is_wanted_outside = self._outer is not None and self._outer.is_set()
        return isinstance(self.cause, RegistryError) and self.cause.is_temporary and not is_wanted_outside

    def is_set(self) -> bool:
        """Answer whether either is set."""
        return self._inner.is_set() or (self._outer is not None and self._outer.is_set())

    def check(self) -> None:
        """Raise Stopped when either is set."""
        if self.is_set():
            raise Stopped


class HaltedShelf:
    """A shelf whose sessions outlive a halt that is a mere pause: the next attempt goes on with them."""

    def __init__(self, shelf: UploadShelf, halt: Halt) -> None:
        self._halt = halt
        self._shelf = shelf
        self.find, self.keep, self.drop = shelf.find, shelf.keep, shelf.drop

    def outlives_stop(self) -> bool:
        """Answer whether the work that is stopped now will be gone on with."""
        return self._halt.is_pause or self._shelf.outlives_stop()


def first_cause(futures: Iterable[Future[Any]]) -> BaseException | None:
    """Return what went wrong in those that are done, if anything did; that one was told to stop is nothing wrong."""
    failures = (future.exception() for future in futures if future.done())
    return next((error for error in failures if error is not None and not isinstance(error, Stopped)), None)


def raise_first_failure(futures: Sequence[Future[Any]]) -> None:
    """Raise what went wrong, if anything did, rather than the Stopped of those that were told to stop because of it."""
    if (cause := first_cause(futures)) is not None:
        raise cause
    for future in futures:
        future.result()
