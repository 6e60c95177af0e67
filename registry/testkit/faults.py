"""Misbehaviour on demand: each fault waits for matching requests, spoils them, and is gone after `times`."""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from registry.testkit.messages import Request, Response

Action = Literal[
    "answer",
    "alter",
    "challenge",
    "redirect",
    "close",
    "reset_after_bytes",
    "truncate",
    "corrupt",
    "drip",
    "stall",
]

# Faults of requests that are carried out: one that only met a 401 waits for the request with credentials.
CARRIED_OUT = frozenset({"alter", "redirect", "reset_after_bytes", "truncate", "corrupt", "drip"})


def _unchanged(response: Response, request: Request) -> Response:
    return response


@dataclass(frozen=True)
class Fault:
    """What goes wrong, for which requests, and how often.

    Which: `method` and `path_pattern` are regular expressions (the method as a whole, the pattern anywhere in path and
    query); `larger_than_bytes` looks at the request's Content-Length; the first `skip` matches pass unharmed;
    `times=None` never ends.

    What, by `action` (`status` alone means "answer"):

    - answer: `status`, `headers`, `body`; the request is not carried out.
    - alter: the request is carried out, without `without_request_headers`; its answer goes through `rewrite`.
    - challenge: 401 with the registry's own WWW-Authenticate.
    - redirect: 307 to a link that needs no credentials and serves `uses` requests, then answers 403.
    - close: the connection ends without an answer.
    - reset_after_bytes: the connection is reset after `after_bytes` of the upload, or of the answer's body.
    - truncate: the answer ends after `after_bytes` though Content-Length promised more.
    - corrupt: the byte at `after_bytes` of the answer's body is changed.
    - drip: after `after_bytes` the body comes in pieces of 1 KiB, one per `seconds`.
    - stall: nothing comes for `seconds`, before the answer or after `after_bytes` of its body; then it goes on.
    """

    method: str = r"[A-Z]+"
    path_pattern: str = ""
    times: int | None = 1
    status: int | None = None
    action: Action = "answer"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after_bytes: int = 0
    seconds: float = 0.0
    skip: int = 0
    uses: int = 1
    larger_than_bytes: int | None = None
    rewrite: Callable[[Response, Request], Response] = _unchanged
    without_request_headers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a fault that says neither a status nor another action."""
        if self.action == "answer" and self.status is None:
            raise ValueError("a fault needs a status, or an action other than 'answer'")

    def matches(self, method: str, target: str, body_length: int) -> bool:
        """Say whether a request is one of those to spoil."""
        if self.larger_than_bytes is not None and body_length <= self.larger_than_bytes:
            return False
        return bool(re.fullmatch(self.method, method) and re.search(self.path_pattern, target))


@dataclass
class _Waiting:
    fault: Fault
    skips_left: int
    times_left: int | None


class FaultBook:
    """The faults that still wait; safe to fill and to read while the registry serves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._taken: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Let a fault wait for its requests. Of several that match, the one added first goes first."""
        with self._lock:
            self._waiting.append(_Waiting(fault, fault.skip, fault.times))
        return fault

    def clear(self) -> None:
        """Behave well again."""
        with self._lock:
            self._waiting.clear()

    @property
    def waiting(self) -> tuple[Fault, ...]:
        """Give the faults that were not used up."""
        with self._lock:
            return tuple(entry.fault for entry in self._waiting)

    def times_taken(self, fault: Fault) -> int:
        """Count the requests that a fault has spoiled, so that a test can tell whether it met any."""
        with self._lock:
            return sum(taken is fault for taken in self._taken)

    def give_back(self, fault: Fault) -> None:
        """Take back one use of a fault."""
        with self._lock:
            self._taken = _without_one(self._taken, fault)
            for entry in self._waiting:
                if entry.fault is fault:
                    entry.times_left = None if entry.times_left is None else entry.times_left + 1
                    return
            self._waiting.insert(0, _Waiting(fault, 0, 1))

    def take(self, method: str, target: str, body_length: int) -> Fault | None:
        """Find the fault for a request and count it down."""
        with self._lock:
            for entry in self._waiting:
                if not entry.fault.matches(method, target, body_length):
                    continue
                if entry.skips_left:
                    entry.skips_left -= 1
                    continue
                if entry.times_left is not None:
                    entry.times_left -= 1
                    if entry.times_left <= 0:
                        self._waiting.remove(entry)
                self._taken.append(entry.fault)
                return entry.fault
        return None


def _without_one(faults: list[Fault], fault: Fault) -> list[Fault]:
    """Leave out one mention of this very fault."""
    position = next((n for n, entry in enumerate(faults) if entry is fault), len(faults))
    return faults[:position] + faults[position + 1 :]
