"""The gate before a registry: whoever keeps limits for it decides here when a request may go and how fast bytes pass.

The client knows only this protocol. Its default lets everything through and costs nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Protocol

from registry.wire import Piece, Pieces

_BLOB = re.compile(r"/blobs/[A-Za-z0-9+._-]+:[0-9a-fA-F]+(?:\?|$)")
_UPLOAD = "/blobs/uploads/"


class Lane(Enum):
    """What a request occupies the registry with. A small one must never wait behind a blob."""

    SMALL = "small"
    DOWNLOAD = "download"
    UPLOAD = "upload"
    CLEARING = "clearing"
    """Giving an upload session up frees the registry's means: it is never held back."""
    TOKENS = "tokens"
    """A token server is another host with a count of its own: only pauses hold for it."""


def lane_of(method: str, url: str, *, streams_body: bool = False) -> Lane:
    """Return the lane of a request.

    >>> lane_of("GET", "https://registry.test/v2/a/b/blobs/sha256:" + "0" * 64).value
    'download'
    >>> lane_of("HEAD", "https://registry.test/v2/a/b/blobs/sha256:" + "0" * 64).value
    'small'
    """
    if streams_body:
        return Lane.UPLOAD
    if method == "GET" and _BLOB.search(url):
        return Lane.DOWNLOAD
    if method == "DELETE" and _UPLOAD in url:
        return Lane.CLEARING
    return Lane.SMALL


class Permit(Protocol):
    """The right to send one request. Held until its answer was read; ``leave`` may be called more than once."""

    @property
    def block_bytes(self) -> int | None:
        """Largest piece of a body to move between two calls of ``await_bytes``; None: they need not be told."""

    def await_bytes(self, size_bytes: int) -> None:
        """Wait until this many bytes of a body may pass. Raise Stopped, and RateLimitedError when that is too long."""

    def hear(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from the answer."""

    def miss(self) -> None:
        """Learn that no answer came in time."""

    def leave(self) -> None:
        """Give the right back."""


class Gate(Protocol):
    """Decides when requests may go. Shared by all threads that talk to the registry."""

    def enter(self, lane: Lane, *, attempt: str, work: object | None, check_stop: Callable[[], None]) -> Permit:
        """Wait for a turn, for moments only, and return the right to send.

        ``attempt`` names the request in messages; ``work`` is what the requests of one piece of work have in common.
        Raise RateLimitedError with the time to stay away when the wait would be longer, Stopped from ``check_stop``.
        """


class _OpenPermit:
    """Says yes to everything and remembers nothing."""

    block_bytes: int | None = None

    def await_bytes(self, size_bytes: int) -> None:
        """Nothing to wait for."""

    def hear(self, status: int, headers: Mapping[str, str]) -> None:
        """Nothing to learn."""

    def miss(self) -> None:
        """Nothing to learn."""

    def leave(self) -> None:
        """Nothing to give back."""


OPEN_PERMIT: Permit = _OpenPermit()


class OpenGate:
    """The gate of a registry without limits."""

    def enter(self, lane: Lane, *, attempt: str, work: object | None, check_stop: Callable[[], None]) -> Permit:
        """Let it pass."""
        return OPEN_PERMIT


def paced(pieces: Pieces, permit: Permit) -> Iterator[Piece]:
    """Yield what is sent in blocks of the permit's size, each when it may go; what fits into one as it is."""
    for piece in pieces:
        block_bytes = permit.block_bytes or len(piece)
        if len(piece) <= block_bytes:
            permit.await_bytes(len(piece))
            yield piece
            continue
        for start in range(0, len(piece), max(block_bytes, 1)):
            block = piece[start : start + block_bytes]
            permit.await_bytes(len(block))
            yield block
