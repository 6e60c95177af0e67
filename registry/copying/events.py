"""What happens while an artifact is copied, told as it happens, for each target by itself.

The sum of ``BlobResumed`` and ``BlobProgress`` minus ``BlobTakenBack`` of a blob is its size when ``BlobCopied`` comes.
With the blobs mounted and present and the manifests pushed, it all adds up to ``ArtifactSized.size_bytes``. The sum of
``BlobRead`` over all targets is what was read at the source.
``TargetFinished`` is the last event of each target, unless the copy is stopped.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from registry.copying.order import CopyOutcome

PROGRESS_STEP_BYTES = 512 << 10


@dataclass(frozen=True)
class ArtifactSized:
    """The tree is known. This is the size of its blobs and manifests, without those below what the target has."""

    size_bytes: int


@dataclass(frozen=True)
class BlobStarted:
    """A blob begins to move."""

    digest: str
    size_bytes: int


@dataclass(frozen=True)
class BlobRead:
    """Bytes of a blob came from the source. Those meant for several targets are told for the first of them."""

    digest: str
    bytes_delta: int


@dataclass(frozen=True)
class BlobProgress:
    """More bytes of a blob went to the target."""

    digest: str
    bytes_delta: int


@dataclass(frozen=True)
class BlobResumed:
    """Bytes of a blob that an earlier attempt brought to the target need not be sent again."""

    digest: str
    bytes_delta: int


@dataclass(frozen=True)
class BlobTakenBack:
    """Bytes told before were lost with a broken attempt and will be told again."""

    digest: str
    bytes_delta: int


@dataclass(frozen=True)
class BlobCopied:
    """A blob is complete at the target."""

    digest: str
    size_bytes: int


@dataclass(frozen=True)
class BlobMounted:
    """The target took a blob over from another of its repositories."""

    digest: str
    size_bytes: int


@dataclass(frozen=True)
class BlobPresent:
    """The target had a blob already."""

    digest: str
    size_bytes: int


@dataclass(frozen=True)
class ManifestPushed:
    """A manifest stands at the target under a tag or its digest."""

    digest: str
    reference: str
    size_bytes: int = 0


@dataclass(frozen=True)
class Note:
    """Something worth a line in the log."""

    level: Literal["info", "warning"]
    message: str


@dataclass(frozen=True)
class TargetFinished:
    """This target is done with, or failed; others may still go on."""

    outcome: CopyOutcome


CopyEvent = (
    ArtifactSized
    | BlobStarted
    | BlobRead
    | BlobProgress
    | BlobResumed
    | BlobTakenBack
    | BlobCopied
    | BlobMounted
    | BlobPresent
    | ManifestPushed
    | Note
    | TargetFinished
)
OnEvent = Callable[[int, CopyEvent], None]
"""Takes the target's place in the sequence of targets, and what happened."""


def ignore_event(target_index: int, event: CopyEvent) -> None:
    """Do nothing with it."""


class Teller:
    """Hands one target's events on; of those that share a lock one at a time, whichever threads they come from."""

    def __init__(self, on_event: OnEvent, target_index: int, lock: threading.Lock) -> None:
        self._on_event = on_event
        self._target_index = target_index
        self._lock = lock

    def tell(self, event: CopyEvent) -> None:
        """Pass an event on."""
        with self._lock:
            self._on_event(self._target_index, event)


class BlobMeter:
    """Counts one blob's bytes and tells them in steps; knows what to take back when a part is sent again."""

    def __init__(self, teller: Teller, digest: str) -> None:
        self._teller = teller
        self._digest = digest
        self._position = 0
        self._told = 0
        self.resumed_bytes = 0
        """How much of what was told need not be sent by us."""

    def restart(self, offset: int) -> None:
        """The bytes from the offset on will be sent (again)."""
        self._position = min(self._position, offset)
        self.flush()
        self._position = offset
        if self._told > offset:
            self.resumed_bytes = min(self.resumed_bytes, offset)
            self._teller.tell(BlobTakenBack(self._digest, self._told - offset))
        elif self._told < offset:
            self.resumed_bytes += offset - self._told
            self._teller.tell(BlobResumed(self._digest, offset - self._told))
        self._told = offset

    def complete(self, size_bytes: int) -> None:
        """The blob is there; what was not sent of it somebody else had brought."""
        self.restart(size_bytes)

    def advance(self, size_bytes: int) -> None:
        """So many more bytes are on their way."""
        self._position += size_bytes
        if self._position - self._told >= PROGRESS_STEP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Tell what was not told yet."""
        if self._position > self._told:
            self._teller.tell(BlobProgress(self._digest, self._position - self._told))
            self._told = self._position
