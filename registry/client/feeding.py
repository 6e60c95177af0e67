"""The bytes of a blob on their way out: opened as often as needed, counted, and let go of in time."""

from collections.abc import Callable, Generator, Iterator

from registry.client.exchange import Exchange
from registry.errors import NetworkError, RegistryError
from registry.wire import BLOCK_BYTES, Piece, Pieces

Opener = Callable[[int], Pieces]
"""Gives the blob's bytes from an offset on, each time it is called."""


class TrustingOpener:
    """Opens a blob without hashing it, for a registry that verifies, until that registry refuses what it got.

    ``open_at`` takes the offset, and whether the bytes are to be hashed.
    """

    def __init__(self, open_at: Callable[[int, bool], Pieces]) -> None:
        self._open_at = open_at
        self._is_hashed = False

    def __call__(self, offset: int) -> Pieces:
        return self._open_at(offset, self._is_hashed)

    def hash_from_now_on(self) -> bool:
        """Have the bytes hashed, whenever they are opened again; answer whether they were not so far."""
        was_hashed, self._is_hashed = self._is_hashed, True
        return not was_hashed


class SourceFailure(Exception):
    """Carries an error of the source past the handling of the target's; opened before anybody outside sees it."""

    def __init__(self, error: RegistryError) -> None:
        super().__init__(str(error))
        self.error = error


def as_opener(source: Pieces | Opener) -> Opener:
    """Return the source as something to open; a plain iterable can be opened once, at its beginning."""
    if callable(source):
        return source
    iterators = [iter(source)]

    def open_once(offset: int) -> Pieces:
        if offset or not iterators:
            raise NetworkError("The upload broke, and its content can be read only once")
        return iterators.pop()

    return open_once


class Feed:
    """What one upload reads from. ``sent_bytes`` is how far into the blob anything was sent in this session."""

    def __init__(self, exchange: Exchange, opener: Opener) -> None:
        self._exchange = exchange
        self._opener = opener
        self._reading: Generator[Piece, None, None] | None = None
        self.sent_bytes = 0

    def open(self, offset: int) -> Iterator[Piece]:
        """Read from the offset on; what was being read before is let go of."""
        self.close()
        self._reading = self._read(offset)
        return self._reading

    def hash_from_now_on(self) -> bool:
        """Have what is opened from now on hashed on its way; answer whether that was left to the registry so far."""
        return isinstance(self._opener, TrustingOpener) and self._opener.hash_from_now_on()

    def counted(self, pieces: Pieces, start: int) -> Iterator[Piece]:
        """Yield pieces that begin at ``start`` of the blob, and count them as sent. Raises Stopped."""
        position = start
        for piece in pieces:
            self._exchange.check_stop()
            position += len(piece)
            self.sent_bytes = max(self.sent_bytes, position)
            if self._exchange.tally is not None:
                self._exchange.tally.count_sent(len(piece))
            yield piece

    def close(self) -> None:
        """Let go of the source's connection now, not when the garbage is collected."""
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _read(self, offset: int) -> Generator[Piece, None, None]:
        """Yield the source's bytes; its errors are not the target's to recover from."""
        try:
            yield from self._opener(offset)
        except RegistryError as error:
            raise SourceFailure(error) from error


def in_chunks(pieces: Pieces, chunk_bytes: int) -> Iterator[bytes]:
    """Join and cut pieces into chunks of exactly this size; the last one may be shorter."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece[:]
        while len(waiting) >= chunk_bytes:
            yield bytes(waiting[:chunk_bytes])
            del waiting[:chunk_bytes]
    if waiting:
        yield bytes(waiting)


def in_blocks(part: memoryview) -> Iterator[bytes]:
    """Yield copies of a chunk's bytes in blocks, so that a stop is noticed between them."""
    for start in range(0, len(part), BLOCK_BYTES):
        yield bytes(part[start : start + BLOCK_BYTES])
