"""Reading a blob once, for one target or several.

One thread reads and hashes while the targets' threads send: hashlib and sockets release the GIL. That pays for a single
target too (512 MiB between two docker-registries, two busy cores, median of 9, against reading in the sending thread:
0.73 of the time in one layer, 0.89 in four, for 1.0 and 1.08 of the CPU). What was read waits in a queue per target, at
most ``QUEUE_BYTES`` of it; the queues share their blocks. Nothing is hashed where all targets of a reading are known to
verify what they are sent (``registry.client.proving``).

The rule for a target that lags: when its queue is full, the reading waits for it, and so do the others. It may hold
them up for ``stall_seconds`` per blob; only time in which another target really has nothing to send is counted. Then it
is detached: it keeps what its queue holds and reads on alone from there (``Range``), whether it stalls or is merely
slow. A target that has the blob for itself, or lags no more than the others, is never detached.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from registry.client import BlobSource, StopFlag
from registry.copying.halt import Halt
from registry.errors import Stopped
from registry.wire import BLOCK_BYTES

QUEUE_BYTES = 4 * BLOCK_BYTES


@dataclass(eq=False)
class Share:
    """One target's part in a reading. Its reading guards it."""

    on_read: Callable[[int], None]
    """Told how many bytes were read at the source on this target's account."""
    rank: int = 0
    """The place of its target; what is read for several is told to the first of them."""
    is_hashed: bool = True
    """Its bytes are to be verified on their way; else its target does that."""
    queue: deque[bytes] = field(default_factory=deque)
    queued_bytes: int = 0
    is_hungry: bool = False
    """Its thread waits for bytes."""
    held_up_seconds: float = 0.0
    """For how long it kept hungry others waiting."""
    is_detached: bool = False
    has_left: bool = False

    def put(self, piece: bytes) -> None:
        """Queue the next bytes."""
        self.is_hungry = False
        self.queue.append(piece)
        self.queued_bytes += len(piece)

    def pop(self) -> bytes:
        """Take the oldest bytes."""
        piece = self.queue.popleft()
        self.queued_bytes -= len(piece)
        return piece


class Reading:
    """One pass over a blob's bytes from an offset to the end. First everybody joins, then it begins."""

    def __init__(
        self, source: BlobSource, offset: int, *, size_bytes: int, stall_seconds: float, stop: StopFlag
    ) -> None:
        self._halt = Halt(stop)
        self._source = source.twin(self._halt)
        self._offset = offset
        self._rest_bytes = size_bytes - offset
        self._stall_seconds = stall_seconds
        self._shares: list[Share] = []
        lock = threading.Lock()
        self._is_fed = threading.Condition(lock)
        self._has_room = threading.Condition(lock)
        self._has_begun = False
        self._is_over = False
        self._error: BaseException | None = None
        self._told_bytes = 0

    @property
    def source(self) -> BlobSource:
        """What is read, with the hash states so far."""
        return self._source

    def join(self, share: Share) -> None:
        """Take part; only before it begins."""
        with self._is_fed:
            self._shares.append(share)
            self._shares.sort(key=lambda share: share.rank)

    def begin(self) -> None:
        """Start reading: once, by whoever finds that nobody is missing.

        The bytes are hashed if that is wanted for one of the targets: now all of them are known. What fits into one
        block is read at once, by the calling thread, as no queue fills up.
        """
        with self._is_fed:
            self._has_begun = True
            is_deserted = not self._shares
            is_hashed = any(share.is_hashed for share in self._shares)
        if is_deserted:
            return
        if not is_hashed:
            self._source.leave_verification()
        if self._rest_bytes <= BLOCK_BYTES:
            self._run()
        else:
            threading.Thread(target=self._run, name="blob-reading", daemon=True).start()

    def pieces(self, share: Share) -> Iterator[bytes]:
        """Yield a share's bytes until the end of the blob, or until the share is detached; raise what broke it."""
        while (piece := self._take(share)) is not None:
            yield piece

    def leave(self, share: Share) -> None:
        """Want no more, for any reason; safe to call from any thread and twice. The last one out ends the reading."""
        with self._is_fed:
            share.has_left = True
            share.queue.clear()
            if share in self._shares:
                self._shares.remove(share)
            is_deserted = self._has_begun and not self._shares and not self._is_over
            self._is_fed.notify_all()
            self._has_room.notify_all()
        if is_deserted:
            self._halt.set()
            self._source.interrupt()

    def _take(self, share: Share) -> bytes | None:
        with self._is_fed:
            while not share.queue:
                if share.has_left:
                    raise Stopped
                if share.is_detached or self._is_over:
                    if self._error is not None and not share.is_detached:
                        raise self._error
                    return None
                share.is_hungry = True
                self._has_room.notify_all()  # now somebody is held up, if anybody is behind
                self._is_fed.wait()
            self._has_room.notify_all()
            return share.pop()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for piece in self._read():
                self._deliver(piece)
        except BaseException as caught:  # noqa: BLE001  (raised again in the threads that wait for the bytes)
            error = caught
        with self._is_fed:
            self._error = error
            self._is_over = True
            self._is_fed.notify_all()

    def _read(self) -> Iterator[bytes]:
        """Yield the pieces as they come, and count them."""
        try:
            with closing(self._source.open(self._offset)) as pieces:
                for piece in pieces:
                    self._account()
                    yield piece
        finally:
            self._account()

    def _deliver(self, piece: bytes) -> None:
        with self._is_fed:
            while full := [share for share in self._shares if share.queued_bytes >= QUEUE_BYTES]:
                self._wait_for(full, piece)
            for share in self._shares:
                share.put(piece)
            self._is_fed.notify_all()

    def _wait_for(self, full: list[Share], piece: bytes) -> None:
        """Wait until something changes; detach who has held the others up for too long."""
        if not any(share.is_hungry for share in self._shares):
            self._has_room.wait()
            return
        began = time.monotonic()
        self._has_room.wait(self._stall_seconds - max(share.held_up_seconds for share in full))
        waited_seconds = time.monotonic() - began
        for share in full:
            share.held_up_seconds += waited_seconds
            if share.held_up_seconds >= self._stall_seconds and share in self._shares:
                self._detach(share, piece)

    def _detach(self, share: Share, piece: bytes) -> None:
        """Let it go on alone. It gets the piece at hand as well, so that it continues where a hash state is known."""
        self._source.mark()
        share.put(piece)
        share.is_detached = True
        self._shares.remove(share)

    def _account(self) -> None:
        """Count what came from the source for the first target that is still there: each byte is counted once."""
        with self._is_fed:
            delta = self._source.received_bytes - self._told_bytes
            if delta and self._shares:
                self._told_bytes += delta
                self._shares[0].on_read(delta)
