"""What to copy, where to, how, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from registry.client import NO_SHELF, RegistryClient, UploadShelf
from registry.copying.memory import NO_MANIFESTS, NO_MEMORY, BlobMemory, ManifestMemory
from registry.copying.throttle import Pace
from registry.errors import AuthError, DeniedError, RegistryError
from registry.platforms import PlatformChoice


@dataclass(frozen=True)
class CopySource:
    """What to copy; with ``platforms`` only those of an index. ``manifests`` need not be read any more.

    ``referrer_tags`` are the repository's fallback tags, if somebody has listed its tags: others are not asked for.
    """

    client: RegistryClient
    repository: str
    digest: str
    manifests: ManifestMemory = NO_MANIFESTS
    platforms: PlatformChoice | None = None
    referrer_tags: frozenset[str] | None = None


@dataclass(frozen=True)
class CopyTarget:
    """Where to, and under which tags. Without tags it is stored by its digest only.

    ``is_in_source_registry`` mounts blobs from the source repository instead of moving bytes. ``memory`` and ``shelf``
    are what all who write to the registry share; without them everything is asked for and begun anew.
    """

    client: RegistryClient
    repository: str
    tags: tuple[str, ...]
    is_in_source_registry: bool = False
    memory: BlobMemory = NO_MEMORY
    shelf: UploadShelf = NO_SHELF

    def has_manifest(self, digest: str) -> bool:
        """Answer whether the manifest surely is there; False also where we may not look.

        Nothing is asked where the memory knows. Registries answer 401 or 403 for what does not exist (zot,
        Artifactory). The write will show what is right.
        """
        known = self.memory.has_manifest(self.repository, digest)
        return self.shows_manifest(digest) if known is None else known

    def shows_manifest(self, digest: str) -> bool:
        """Ask for a manifest, whatever the memory says."""
        try:
            return self.client.head_manifest(self.repository, digest) is not None
        except (AuthError, DeniedError):
            return False

    def has_blob(self, digest: str) -> bool:
        """Answer whether the blob surely is there; False also where we may not look."""
        try:
            return self.client.has_blob(self.repository, digest)
        except (AuthError, DeniedError):
            return False


@dataclass(frozen=True)
class CopyOptions:
    """How. ``parallel_blobs`` is meant for each target by itself; the bytes written to all share the ``pace``.

    ``stall_seconds`` is how long a target may hold up the others (``registry.copying.reading``). ``referrers`` takes
    along what refers to the artifact (``registry.copying.referrers``).
    """

    parallel_blobs: int = 4
    chunk_bytes: int | None = None
    pace: Pace | None = None
    stall_seconds: float = 5.0
    referrers: bool = False


@dataclass(frozen=True)
class CopyResult:
    """What was done for one target. ``digest`` is what stands there now.

    ``bytes_read`` is what was read at the source for this target's account. What is read for several is counted for the
    first of them, so that the sum over all targets is what left the source. ``bytes_copied`` is what this attempt sent;
    what an earlier one had brought of a blob counts as present. ``referrer_versions`` has the version of the source's
    list for each subject that was asked about.
    """

    digest: str
    media_type: str
    bytes_read: int
    bytes_copied: int
    bytes_mounted: int
    bytes_present: int
    blobs_copied: int
    manifests_pushed: int
    foreign_layers_skipped: int
    referrers_copied: int = 0
    referrer_versions: Mapping[str, str] = field(default_factory=dict)


CopyOutcome = CopyResult | RegistryError
"""What became of one target."""
