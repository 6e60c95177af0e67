"""Moving an artifact's blobs to one target: in parallel, the largest first, each once."""

import threading
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass

from registry.copying.events import BlobCopied, BlobMeter, BlobMounted, BlobPresent, BlobRead, BlobStarted, Teller
from registry.copying.halt import Halt, raise_first_failure
from registry.copying.order import CopyOptions, CopyTarget
from registry.copying.sharing import Reader
from registry.copying.throttle import Throttle
from registry.digests import is_content_of
from registry.media import Descriptor
from registry.pools import BLOCK_BYTES

_WATCH_SECONDS = 0.2


@dataclass
class Moved:
    """Bytes by the way they came to be at the target, and what was read for it."""

    read_bytes: int = 0
    copied_bytes: int = 0
    mounted_bytes: int = 0
    present_bytes: int = 0
    copied_blobs: int = 0


class BlobMover:
    """Puts blobs into one target repository. ``mount_from`` is the source's, if it is in the same registry."""

    def __init__(
        self, target: CopyTarget, reader: Reader, *, options: CopyOptions, mount_from: str, halt: Halt, teller: Teller
    ) -> None:
        self._target = target
        self._reader = reader
        self._options = options
        self._mount_from = mount_from
        self._throttle = Throttle(options.bytes_per_second, check_stop=halt.check)
        self._halt = halt
        self._teller = teller
        self._lock = threading.Lock()
        self.moved = Moved()

    def move_all(self, blobs: list[Descriptor]) -> None:
        """Put all blobs there. The first failure stops the others and is raised."""
        if not blobs:
            return
        with ThreadPoolExecutor(
            min(max(self._options.parallel_blobs, 1), len(blobs)), thread_name_prefix="blob"
        ) as pool:
            futures = [pool.submit(self._move_unless_halted, blob) for blob in blobs]
            self._watch(futures)
        raise_first_failure(futures)

    def move(self, blob: Descriptor) -> None:
        """Put one blob there, by the cheapest way: mount, already there, inline content, copy."""
        try:
            self._move(blob)
        finally:
            self._reader.decline(blob.digest)

    def _move(self, blob: Descriptor) -> None:
        if not self._mount_from and self._target.has_blob(blob.digest):
            self._count(present_bytes=blob.size_bytes)
            self._teller.tell(BlobPresent(blob.digest, blob.size_bytes))
            return
        meter = BlobMeter(self._teller, blob.digest)
        self._teller.tell(BlobStarted(blob.digest, blob.size_bytes))
        is_mounted = self._target.client.upload_blob(
            self._target.repository,
            blob,
            lambda offset: self._measured(blob, offset, meter),
            mount_from=self._mount_from,
            chunk_bytes=self._options.chunk_bytes,
        )
        meter.flush()
        self._finish(blob, is_mounted=is_mounted)

    def _finish(self, blob: Descriptor, *, is_mounted: bool) -> None:
        if is_mounted:
            self._count(mounted_bytes=blob.size_bytes)
            self._teller.tell(BlobMounted(blob.digest, blob.size_bytes))
        else:
            self._count(copied_bytes=blob.size_bytes, copied_blobs=1)
            self._teller.tell(BlobCopied(blob.digest, blob.size_bytes))

    def _measured(self, blob: Descriptor, offset: int, meter: BlobMeter) -> Iterator[bytes]:
        meter.restart(offset)
        with closing(self._pieces(blob, offset)) as pieces:
            for piece in pieces:
                for step in self._throttle.paced(piece):
                    yield step
                    meter.advance(len(step))

    def _pieces(self, blob: Descriptor, offset: int) -> Generator[bytes, None, None]:
        """Yield what the descriptor itself carries, if it is the right content (that saves a GET); else read."""
        content = blob.data
        if content and len(content) == blob.size_bytes and is_content_of(blob.digest, content):
            yield from (content[start : start + BLOCK_BYTES] for start in range(offset, len(content), BLOCK_BYTES))
        else:
            yield from self._reader.pieces(blob, offset, lambda delta: self._on_read(blob, delta))

    def _on_read(self, blob: Descriptor, delta_bytes: int) -> None:
        self._count(read_bytes=delta_bytes)
        self._teller.tell(BlobRead(blob.digest, delta_bytes))

    def _move_unless_halted(self, blob: Descriptor) -> None:
        self._halt.check()
        self.move(blob)

    def _watch(self, futures: list[Future[None]]) -> None:
        """Wait for the threads; wake those that wait for bytes once there is a reason to stop."""
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=_WATCH_SECONDS, return_when=FIRST_EXCEPTION)
            if any(future.exception() is not None for future in done):
                self._halt.set()
            if self._halt.is_set():
                self._reader.leave_all()

    def _count(self, **added: int) -> None:
        """Add to the figures of `Moved`, by their names."""
        with self._lock:
            for name, amount in added.items():
                setattr(self.moved, name, getattr(self.moved, name) + amount)
