"""What those who write to a registry tell each other: which blobs it has, and who is putting which there just now.

The copy engine knows only this protocol. Its default knows nothing, so that everything is asked for; HarborSync's keeps
it for all workers together. Whatever is remembered here saves requests and bytes and is never the proof: the registry
itself checks a manifest's blobs when the manifest is pushed, and what it misses then is put there again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from registry.media import Manifest


class Standing(Enum):
    """How a blob stands in a repository."""

    PRESENT = "present"
    ABSENT = "absent"
    """Surely not there: the repository was empty, and all that came since is known."""
    UNKNOWN = "unknown"
    ELSEWHERE = "elsewhere"
    """Somebody else is putting it into this registry; wait, then look again."""


@dataclass(frozen=True, slots=True)
class Found:
    """A blob's standing, and another repository of the same registry that should have it (a mount will show)."""

    standing: Standing
    mount_from: str = ""

    @property
    def is_ours_to_put(self) -> bool:
        """Answer whether the claim was won: to be ended by ``landed`` or ``release``."""
        return self.standing in (Standing.ABSENT, Standing.UNKNOWN)


UNKNOWN = Found(Standing.UNKNOWN)


class BlobMemory(Protocol):
    """The memory of one registry. All methods may be called from any thread and never raise."""

    def claim(self, repository: str, digests: Sequence[str]) -> Mapping[str, Found]:
        """Return how each blob stands; those that are neither present nor elsewhere are now the caller's to put.

        Nobody waits for a claim while holding another that has not begun, so put what is yours first.
        """

    def landed(self, repository: str, blobs: Collection[str], manifests: Collection[str] = ()) -> None:
        """Remember that the repository has these; for blobs this ends the claims on them.

        A manifest that is there shows that all that it refers to is: registries check that at the push.
        """

    def release(self, digests: Collection[str]) -> None:
        """Give claims up, whatever came of them; those that have ended do no harm."""

    def await_end(self, digest: str, seconds: float) -> None:
        """Wait until somebody else's claim may have ended, at most so long."""

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """Answer whether the repository has the manifest; None: it has to be asked."""

    def begin(self, repository: str) -> None:
        """Remember that the repository is not there yet: what will be in it is what lands from now on."""

    def forget(self, repository: str) -> None:
        """Believe nothing of the repository any more."""


class NoMemory:
    """Knows nothing and keeps nobody waiting."""

    def claim(self, repository: str, digests: Sequence[str]) -> Mapping[str, Found]:
        """Everything has to be asked for."""
        return dict.fromkeys(digests, UNKNOWN)

    def landed(self, repository: str, blobs: Collection[str], manifests: Collection[str] = ()) -> None:
        """Nothing to remember."""

    def release(self, digests: Collection[str]) -> None:
        """Nothing to give up."""

    def await_end(self, digest: str, seconds: float) -> None:
        """Nobody claims anything."""

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """It has to be asked."""
        return None

    def begin(self, repository: str) -> None:
        """Nothing to remember."""

    def forget(self, repository: str) -> None:
        """Nothing to forget."""


NO_MEMORY: BlobMemory = NoMemory()


class ManifestMemory(Protocol):
    """Manifests by digest: small, never changing, and on Docker Hub each GET of one counts as a pull."""

    def find(self, digest: str) -> Manifest | None:
        """Return a manifest that somebody read before, verified."""

    def keep(self, manifest: Manifest) -> None:
        """Keep a manifest that was just read."""


class _NoManifests:
    """Remembers no manifest."""

    def find(self, digest: str) -> Manifest | None:
        """There is none."""
        return None

    def keep(self, manifest: Manifest) -> None:
        """Nothing to keep."""


NO_MANIFESTS: ManifestMemory = _NoManifests()
