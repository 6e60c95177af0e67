"""Moving an artifact's blobs to one target: in parallel, the largest first, each once.

"Once" is meant for everybody who writes to the registry, as far as they share a memory (``registry.copying.memory``): a
blob that another worker is putting there is waited for, after what is ours to put has been put.
"""

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from registry.client import NO_SHELF, TrustingOpener, may_go_unhashed
from registry.copying.events import BlobCopied, BlobMeter, BlobMounted, BlobPresent, BlobRead, BlobStarted, Teller
from registry.copying.halt import Halt, HaltedShelf, first_cause, raise_first_failure
from registry.copying.memory import Found, Standing
from registry.copying.order import CopyOptions, CopyTarget
from registry.copying.sharing import Reader
from registry.copying.throttle import in_steps
from registry.digests import is_content_of
from registry.media import Descriptor
from registry.wire import BLOCK_BYTES, Piece

_WATCH_SECONDS = 0.2
_FEW_BLOBS = 4
_FIRST_LOOK_SECONDS = 0.01
_LONGEST_LOOK_SECONDS = 0.25
_LOOKS_GROW_BY = 1.4  # so a wait lasts at most 1.4 times as long as it must


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
        self._halt = halt
        self._shelf = target.shelf if target.shelf is NO_SHELF else HaltedShelf(target.shelf, halt)
        self._teller = teller
        self._lock = threading.Lock()
        self._claimed: set[str] = set()
        self._landed: set[str] = set()
        self.moved = Moved()

    def move_all(self, blobs: list[Descriptor]) -> None:
        """Put all blobs there, each once. The first failure stops the others and is raised."""
        blobs = list({blob.digest: blob for blob in blobs}.values())
        found = self._claim(blobs)
        left = [blob for blob in blobs if not self._is_known_there(blob, found[blob.digest])]
        # What others are putting comes last: whoever waits holds no claim that has not begun.
        left.sort(key=lambda blob: not found[blob.digest].is_ours_to_put)
        self._run_all([(blob, found[blob.digest]) for blob in left])

    def finish(self) -> None:
        """Tell of what landed, and give up what was claimed and did not."""
        self.tell_landed()
        self._release()

    def doubt(self) -> None:
        """Believe nothing of the repository, nor of what was put and not told of: it may have to be put once more.

        Claims that were kept until it is told of would have us wait for ourselves.
        """
        with self._lock:
            self._landed = set()
        self._release()
        self._target.memory.forget(self._target.repository)

    def _release(self) -> None:
        with self._lock:
            claimed, self._claimed = self._claimed, set()
        if claimed:
            self._target.memory.release(claimed)

    def _claim(self, blobs: Sequence[Descriptor]) -> Mapping[str, Found]:
        found = self._target.memory.claim(self._target.repository, [blob.digest for blob in blobs])
        with self._lock:
            self._claimed.update(digest for digest, each in found.items() if each.is_ours_to_put)
        return found

    def _is_known_there(self, blob: Descriptor, found: Found) -> bool:
        if found.standing is Standing.PRESENT:
            self._find_present(blob)
            return True
        if found.standing is Standing.ELSEWHERE:
            self._reader.decline(blob.digest)  # another target of this copy is not to wait for us meanwhile
        return False

    def _run_all(self, work: Sequence[tuple[Descriptor, Found]]) -> None:
        if all(blob.size_bytes < BLOCK_BYTES for blob, _ in work) and len(work) <= _FEW_BLOBS:
            for blob, found in work:  # threads would cost more than they bring: other artifacts move beside this one
                self._move_unless_halted(blob, found)
            return
        with ThreadPoolExecutor(
            min(max(self._options.parallel_blobs, 1), len(work)), thread_name_prefix="blob"
        ) as pool:
            futures = [pool.submit(self._move_unless_halted, blob, found) for blob, found in work]
            self._watch(futures)
        if self._halt.cause is not None:
            raise self._halt.cause  # what was left open or cancelled was so because of this one
        raise_first_failure(futures)

    def _move_unless_halted(self, blob: Descriptor, found: Found) -> None:
        """Put one blob there, by the cheapest way: known or found there, mount, inline content, copy."""
        self._halt.check()
        try:
            settled = self._after_others(blob, found)
            if settled.standing is Standing.PRESENT:
                self._find_present(blob)
            else:
                self._put(blob, settled)
        finally:
            self._reader.decline(blob.digest)

    def _after_others(self, blob: Descriptor, found: Found) -> Found:
        """Wait while somebody else is putting the blob into the registry; return how it stands then."""
        pause_seconds = _FIRST_LOOK_SECONDS
        while found.standing is Standing.ELSEWHERE:
            self._halt.check()
            self._target.memory.await_end(blob.digest, pause_seconds)
            pause_seconds = min(pause_seconds * _LOOKS_GROW_BY, _LONGEST_LOOK_SECONDS)
            found = self._claim([blob])[blob.digest]
        return found

    def _put(self, blob: Descriptor, found: Found) -> None:
        """Put there what nobody else is putting; the claim ends with it."""
        mount_from = self._mount_from or found.mount_from
        if not mount_from and found.standing is Standing.UNKNOWN and self._target.has_blob(blob.digest):
            self._find_present(blob)
        else:
            self._upload(blob, mount_from)
        self._land(blob)

    def _land(self, blob: Descriptor) -> None:
        """Tell that a blob is there: a large one at once, as others may wait for it; small ones together in the end."""
        with self._lock:
            self._landed.add(blob.digest)
            if blob.size_bytes < BLOCK_BYTES:
                return
        self.tell_landed()

    def tell_landed(self, *manifests: str) -> None:
        """Remember the blobs that are there now and were not told of yet, and manifests with them."""
        with self._lock:
            landed, self._landed = self._landed, set()
            self._claimed -= landed
        if landed or manifests:
            self._target.memory.landed(self._target.repository, landed, manifests)

    def _find_present(self, blob: Descriptor) -> None:
        self._reader.decline(blob.digest)
        self._count(present_bytes=blob.size_bytes)
        self._teller.tell(BlobPresent(blob.digest, blob.size_bytes))

    def _upload(self, blob: Descriptor, mount_from: str) -> None:
        meter = BlobMeter(self._teller, blob.digest)
        self._teller.tell(BlobStarted(blob.digest, blob.size_bytes))

        def open_at(offset: int, is_hashed: bool = True) -> Iterator[Piece]:
            return self._measured(blob, offset, meter, is_hashed=is_hashed)

        is_verified_there = self._is_verified_there(blob, is_sent=not mount_from)
        is_mounted = self._target.client.upload_blob(
            self._target.repository,
            blob,
            TrustingOpener(open_at) if is_verified_there else open_at,
            mount_from=mount_from,
            chunk_bytes=self._options.chunk_bytes,
            # Nobody here could verify the whole of an upload that is gone on with.
            shelf=NO_SHELF if self._target.client.connection.learned.verifies_uploads is False else self._shelf,
        )
        if is_mounted:
            self._count(mounted_bytes=blob.size_bytes)
            self._teller.tell(BlobMounted(blob.digest, blob.size_bytes))
            return
        meter.complete(blob.size_bytes)
        sent_bytes = blob.size_bytes - meter.resumed_bytes
        self._count(copied_bytes=sent_bytes, present_bytes=meter.resumed_bytes, copied_blobs=1)
        self._teller.tell(BlobCopied(blob.digest, blob.size_bytes))

    def _is_verified_there(self, blob: Descriptor, *, is_sent: bool) -> bool:
        """Answer whether the target is known to verify such a blob, so that it need not be hashed here.

        Found out only where the blob is surely sent. What is sent in chunks the registry's proof does not speak of.
        """
        if self._options.chunk_bytes is not None or not may_go_unhashed(blob):
            return False
        client = self._target.client
        if is_sent:
            return client.verifies_uploads(self._target.repository)
        return client.connection.learned.verifies_uploads is True

    def _measured(self, blob: Descriptor, offset: int, meter: BlobMeter, *, is_hashed: bool) -> Iterator[Piece]:
        meter.restart(offset)
        with closing(self._pieces(blob, offset, is_hashed=is_hashed)) as pieces:
            for piece in pieces:
                for step in in_steps(piece, self._options.pace, self._halt.check):
                    meter.advance(len(step))
                    yield step

    def _pieces(self, blob: Descriptor, offset: int, *, is_hashed: bool) -> Generator[Piece, None, None]:
        """Yield what the descriptor itself carries, if it is the right content (that saves a GET); else read."""
        content = blob.data
        if content and len(content) == blob.size_bytes and is_content_of(blob.digest, content):
            yield from (content[start : start + BLOCK_BYTES] for start in range(offset, len(content), BLOCK_BYTES))
        else:
            on_read = partial(self._on_read, blob)
            if not is_hashed and self._target.client.connection.is_plain:
                yield from self._reader.pass_on(blob, offset, on_read)
            else:
                yield from self._reader.pieces(blob, offset, on_read, is_hashed=is_hashed)

    def _on_read(self, blob: Descriptor, delta_bytes: int) -> None:
        self._count(read_bytes=delta_bytes)
        self._teller.tell(BlobRead(blob.digest, delta_bytes))

    def _watch(self, futures: list[Future[None]]) -> None:
        """Wait for the threads; wake those that wait for bytes once there is a reason to stop."""
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=_WATCH_SECONDS, return_when=FIRST_EXCEPTION)
            if any(future.exception() is not None for future in done):
                self._halt.set(first_cause(futures))
            if self._halt.is_set():
                self._reader.leave_all()

    def _count(self, **added: int) -> None:
        """Add to the figures of `Moved`, by their names."""
        with self._lock:
            for name, amount in added.items():
                setattr(self.moved, name, getattr(self.moved, name) + amount)
