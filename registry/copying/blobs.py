"""Moving an artifact's blobs: in parallel, the largest first, each once."""

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from registry.client import BlobSource, StopFlag
from registry.copying.events import BlobCopied, BlobMeter, BlobMounted, BlobPresent, BlobStarted, Teller
from registry.copying.order import CopyOptions, CopySource, CopyTarget
from registry.copying.throttle import Throttle
from registry.digests import is_content_of
from registry.errors import Stopped
from registry.media import Descriptor
from registry.pools import BLOCK_BYTES

_WATCH_SECONDS = 0.2


@dataclass
class Moved:
    """Bytes by the way they came to be at the target."""

    copied_bytes: int = 0
    mounted_bytes: int = 0
    present_bytes: int = 0
    copied_blobs: int = 0


class Halt:
    """A stop flag of two: the caller's, and our own, set when a sibling fails."""

    def __init__(self, outer: StopFlag | None) -> None:
        self._outer = outer
        self._inner = threading.Event()

    def set(self) -> None:
        """Stop the copy's own threads."""
        self._inner.set()

    def is_set(self) -> bool:
        """Answer whether either is set."""
        return self._inner.is_set() or (self._outer is not None and self._outer.is_set())

    def check(self) -> None:
        """Raise Stopped when either is set."""
        if self.is_set():
            raise Stopped


class BlobMover:
    """Puts blobs of one source repository into one target repository."""

    def __init__(
        self,
        source: CopySource,
        target: CopyTarget,
        *,
        options: CopyOptions,
        throttle: Throttle,
        halt: Halt,
        teller: Teller,
    ) -> None:
        self._source = source
        self._target = target
        self._options = options
        is_mountable = options.same_registry and source.repository != target.repository
        self._mount_from = source.repository if is_mountable else ""
        self._throttle = throttle
        self._halt = halt
        self._teller = teller
        self._lock = threading.Lock()
        self._open_sources: set[BlobSource] = set()
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
        self._raise_first_failure(futures)

    def move(self, blob: Descriptor) -> None:
        """Put one blob there, by the cheapest way: mount, already there, inline content, copy."""
        if not self._mount_from and self._target.has_blob(blob.digest):
            self._count(present_bytes=blob.size_bytes)
            self._teller.tell(BlobPresent(blob.digest, blob.size_bytes))
            return
        source = self._source.client.blob_source(self._source.repository, blob)
        meter = BlobMeter(self._teller, blob.digest)
        self._teller.tell(BlobStarted(blob.digest, blob.size_bytes))
        with self._lock:
            self._open_sources.add(source)
        try:
            is_mounted = self._target.client.upload_blob(
                self._target.repository,
                blob,
                lambda offset: self._measured(source, blob, offset, meter),
                mount_from=self._mount_from,
                chunk_bytes=self._options.chunk_bytes,
            )
        finally:
            with self._lock:
                self._open_sources.discard(source)
        meter.flush()
        self._finish(blob, is_mounted=is_mounted)

    def _finish(self, blob: Descriptor, *, is_mounted: bool) -> None:
        if is_mounted:
            self._count(mounted_bytes=blob.size_bytes)
            self._teller.tell(BlobMounted(blob.digest, blob.size_bytes))
        else:
            self._count(copied_bytes=blob.size_bytes, copied_blobs=1)
            self._teller.tell(BlobCopied(blob.digest, blob.size_bytes))

    def _measured(self, source: BlobSource, blob: Descriptor, offset: int, meter: BlobMeter) -> Iterator[bytes]:
        meter.restart(offset)
        for piece in _inline_pieces(blob, offset) or source.open(offset):
            for step in self._throttle.paced(piece):
                yield step
                meter.advance(len(step))

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
                with self._lock:
                    waiting = list(self._open_sources)
                for source in waiting:
                    source.interrupt()

    def _raise_first_failure(self, futures: list[Future[None]]) -> None:
        """Raise what went wrong rather than the Stopped of those that were told to stop because of it."""
        failures = [error for future in futures if (error := future.exception()) is not None]
        causes = [error for error in failures if not isinstance(error, Stopped)]
        if failures:
            raise (causes or failures)[0]

    def _count(
        self, *, copied_bytes: int = 0, mounted_bytes: int = 0, present_bytes: int = 0, copied_blobs: int = 0
    ) -> None:
        with self._lock:
            self.moved.copied_bytes += copied_bytes
            self.moved.mounted_bytes += mounted_bytes
            self.moved.present_bytes += present_bytes
            self.moved.copied_blobs += copied_blobs


def _inline_pieces(blob: Descriptor, offset: int) -> list[bytes]:
    """Return the content that the descriptor itself carries, if it is the right one; that saves a GET."""
    content = blob.data
    if not content or len(content) != blob.size_bytes or not is_content_of(blob.digest, content):
        return []
    return [content[start : start + BLOCK_BYTES] for start in range(offset, len(content), BLOCK_BYTES)]
