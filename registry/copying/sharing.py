"""Bringing together the targets of one copy that lack the same blob, so that it leaves the source once.

Each target goes its own way and only meets the others here: what one of them does to its registry never delays another
by more than the rule of ``registry.copying.reading`` and the one below allow.

A reading begins as soon as every target has joined it or is known not to need it. One that says neither for
``stall_seconds`` (its registry does not answer) is no longer waited for, in this artifact's later blobs neither; it may
still join in time, else it reads alone.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial

from registry.client import BlobSource
from registry.copying.halt import Halt
from registry.copying.order import CopySource
from registry.copying.reading import Reading, Share
from registry.media import Descriptor
from registry.wire import BLOCK_BYTES, Piece

_LOOK_SECONDS = 0.1


class _Gathering:
    """A reading that has not begun."""

    def __init__(self, reading: Reading, *, until: float) -> None:
        self.reading = reading
        self.until = until
        self.has_begun = False


class Readings:
    """All readings of one copy."""

    def __init__(self, source: CopySource, *, stall_seconds: float, stop: Halt) -> None:
        self._source = source
        self._stall_seconds = stall_seconds
        self._stop = stop
        self._changed = threading.Condition()
        self._gatherings: dict[str, _Gathering] = {}
        self._readers: list[Reader] = []

    @property
    def count(self) -> int:
        """How many targets there are."""
        return len(self._readers)

    def reader(self, halt: Halt) -> "Reader":
        """Return the side of one target; make all of them before the first one is used."""
        reader = Reader(self, halt, rank=len(self._readers))
        self._readers.append(reader)
        return reader

    def settle(self, reader: "Reader", wanted: set[str]) -> None:
        """Take note of all that a target may still want."""
        with self._changed:
            reader.wanted = wanted
            self._changed.notify_all()

    def decline(self, reader: "Reader", digest: str) -> None:
        """Take note that a target does not want a blob, or not any more."""
        with self._changed:
            if reader.wanted is not None:
                reader.wanted.discard(digest)
            self._changed.notify_all()

    def enter(self, blob: Descriptor, share: Share) -> _Gathering:
        """Join the next reading of a blob from its beginning."""
        with self._changed:
            gathering = self._gatherings.get(blob.digest)
            if gathering is None:
                reading = self.alone(self.source_of(blob), blob, 0)
                gathering = _Gathering(reading, until=time.monotonic() + self._stall_seconds)
                self._gatherings[blob.digest] = gathering
            gathering.reading.join(share)
            return gathering

    @property
    def is_source_plain(self) -> bool:
        """Answer whether bytes of the source may stay in the kernel."""
        return self._source.client.connection.is_plain

    def source_of(self, blob: Descriptor) -> BlobSource:
        """Return a blob of which nothing was read."""
        return self._source.client.blob_source(self._source.repository, blob)

    def alone(self, source: BlobSource, blob: Descriptor, offset: int) -> Reading:
        """Return a reading that nobody knows of yet."""
        return Reading(source, offset, size_bytes=blob.size_bytes, stall_seconds=self._stall_seconds, stop=self._stop)

    def await_start(self, gathering: _Gathering, digest: str, halt: Halt) -> None:
        """Wait until the reading begins; whoever finds first that nobody is missing begins it."""
        with self._changed:
            while not gathering.has_begun:
                halt.check()
                missing = [reader for reader in self._readers if reader.may_want(digest)]
                left_seconds = gathering.until - time.monotonic()
                if not missing or left_seconds <= 0:
                    for reader in missing:
                        reader.is_waited_for = False
                    gathering.has_begun = True
                    del self._gatherings[digest]
                    self._changed.notify_all()
                    break
                self._changed.wait(min(left_seconds, _LOOK_SECONDS))
            else:
                return
        gathering.reading.begin()


class Reader:
    """One target's access to the source's blobs."""

    def __init__(self, readings: Readings, halt: Halt, *, rank: int) -> None:
        self._readings = readings
        self._halt = halt
        self._rank = rank
        self.wanted: set[str] | None = None
        """Digests that it may still join a reading of; None while that is not known."""
        self.is_waited_for = True
        self._lock = threading.Lock()
        self._shares: dict[Share, Reading] = {}
        self._passing: set[BlobSource] = set()
        self._followed: dict[str, BlobSource] = {}

    def may_want(self, digest: str) -> bool:
        """Answer whether the others should wait for it."""
        return self.is_waited_for and (self.wanted is None or digest in self.wanted)

    def announce(self, blobs: Iterable[Descriptor]) -> None:
        """Say which blobs it may want."""
        self._readings.settle(self, {blob.digest for blob in blobs})

    def decline(self, digest: str) -> None:
        """Say that it does not need a blob, for any reason."""
        self._readings.decline(self, digest)

    def finish(self) -> None:
        """Say that it wants nothing more."""
        self._readings.settle(self, set())

    def pieces(
        self, blob: Descriptor, offset: int, on_read: Callable[[int], None], *, is_hashed: bool = True
    ) -> Generator[bytes, None, None]:
        """Yield the blob's bytes from the offset on, shared with other targets when they are read from the beginning.

        What is yielded last has been verified together with everything this target was given before; that an upload of
        an earlier attempt is gone on with leaves it to the target to verify the whole; so does ``is_hashed=False``.
        """
        if not offset and self._is_only_one and blob.size_bytes <= BLOCK_BYTES:
            yield from self._at_once(blob, on_read)
            return
        is_alone = offset > 0
        while True:
            share = Share(on_read, self._rank, is_hashed=is_hashed)
            begin = self._take_part(share, blob, offset, is_alone=is_alone)
            reading = self._shares[share]
            try:
                begin()
                for piece in reading.pieces(share):
                    offset += len(piece)
                    yield piece
            finally:
                reading.leave(share)
                with self._lock:
                    del self._shares[share]
            if not share.is_detached:
                return
            is_alone = True

    def pass_on(self, blob: Descriptor, offset: int, on_read: Callable[[int], None]) -> Generator[Piece, None, None]:
        """Yield the blob's bytes unhashed, through the kernel if nobody else wants them and the source allows it."""
        if not (self._is_only_one and self._readings.is_source_plain):
            yield from self.pieces(blob, offset, on_read, is_hashed=False)
            return
        self.decline(blob.digest)
        source = self._readings.source_of(blob).twin(self._halt)
        with self._lock:
            self._passing.add(source)
        told_bytes = 0
        try:
            with closing(source.pass_on(offset)) as pieces:
                for piece in pieces:
                    on_read(source.received_bytes - told_bytes)
                    told_bytes = source.received_bytes
                    yield piece
        finally:
            with self._lock:
                self._passing.discard(source)
            if source.received_bytes > told_bytes:
                on_read(source.received_bytes - told_bytes)

    def _at_once(self, blob: Descriptor, on_read: Callable[[int], None]) -> Iterator[bytes]:
        """Yield a blob of one block that nobody else wants, read by the thread that sends it."""
        source = self._readings.source_of(blob)
        self._followed[blob.digest] = source
        try:
            with closing(source.open()) as pieces:
                yield from pieces
        finally:
            on_read(source.received_bytes)

    @property
    def _is_only_one(self) -> bool:
        return self._readings.count == 1

    def leave_all(self) -> None:
        """Wake the threads that wait for bytes; they raise Stopped."""
        with self._lock:
            shares, passing = list(self._shares.items()), list(self._passing)
        for source in passing:
            source.interrupt()
        for share, reading in shares:
            reading.leave(share)

    def _take_part(self, share: Share, blob: Descriptor, offset: int, *, is_alone: bool) -> Callable[[], None]:
        """Join a reading; return what makes it begin."""
        begin: Callable[[], None]
        if is_alone:
            self.decline(blob.digest)
            # Where this target was given nothing yet, an earlier attempt brought it the beginning.
            followed = self._followed.get(blob.digest) or self._readings.source_of(blob).without_verification()
            reading = self._readings.alone(followed, blob, offset)
            reading.join(share)
            begin = reading.begin
        else:
            gathering = self._readings.enter(blob, share)
            reading = gathering.reading
            self.decline(blob.digest)
            begin = partial(self._readings.await_start, gathering, blob.digest, self._halt)
        with self._lock:
            self._shares[share] = reading
            # Hash states belong to the bytes that this target was given, not to those of another reading.
            self._followed[blob.digest] = reading.source
        return begin
