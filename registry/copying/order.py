"""What to copy, where to, how, and what came of it."""

from dataclasses import dataclass

from registry.client import RegistryClient
from registry.errors import AuthError, DeniedError


@dataclass(frozen=True)
class CopySource:
    """What to copy."""

    client: RegistryClient
    repository: str
    digest: str


@dataclass(frozen=True)
class CopyTarget:
    """Where to, and under which tags. Without tags it is stored by its digest only."""

    client: RegistryClient
    repository: str
    tags: tuple[str, ...]

    def has_manifest(self, digest: str) -> bool:
        """Answer whether the manifest surely is there; False also where we may not look.

        Registries answer 401 or 403 for what does not exist (zot, Artifactory). The write will show what is right.
        """
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
    """How. ``same_registry`` mounts blobs from the source repository instead of moving bytes."""

    parallel_blobs: int = 4
    chunk_bytes: int | None = None
    bytes_per_second: int | None = None
    same_registry: bool = False


@dataclass(frozen=True)
class CopyResult:
    """What was done."""

    digest: str
    media_type: str
    bytes_copied: int
    bytes_mounted: int
    bytes_present: int
    blobs_copied: int
    manifests_pushed: int
    foreign_layers_skipped: int
