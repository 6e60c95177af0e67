"""What to copy, where to, how, and what came of it."""

from dataclasses import dataclass

from registry.client import RegistryClient


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
