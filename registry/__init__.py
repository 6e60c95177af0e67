"""The registry client: the OCI distribution protocol on urllib3 pools, without any framework.

A ``Connection`` lives long and is shared; a ``RegistryClient`` is made for a piece of work; ``copy_artifact`` moves an
artifact between two of them; ``check_connection`` tells what works. ``registry.testkit`` is a registry for tests.
"""

from registry.check import CheckStep, check_connection
from registry.client import BlobSource, Opener, RegistryClient, StopFlag
from registry.connection import Connection, RegistrySettings, Tally, Timeouts
from registry.copying import CopyOptions, CopyResult, CopySource, CopyTarget, copy_artifact
from registry.copying.events import (
    ArtifactSized,
    BlobCopied,
    BlobMounted,
    BlobPresent,
    BlobProgress,
    BlobStarted,
    BlobTakenBack,
    CopyEvent,
    ManifestPushed,
    Note,
)
from registry.digests import digest_of
from registry.errors import (
    AuthError,
    BlobUnknownError,
    DeniedError,
    DigestMismatchError,
    DnsError,
    ImmutableError,
    NetworkError,
    NetworkTimeoutError,
    NotFoundError,
    ProtocolError,
    QuotaExceededError,
    RateLimitedError,
    RefusedError,
    RegistryError,
    ServerError,
    SiblingTagsError,
    Stopped,
    TlsError,
    TooLargeError,
    UnsupportedError,
)
from registry.kinds import KINDS, RegistryKind, find_kind
from registry.media import Descriptor, Manifest, Platform
from registry.reference import Reference, normalise_registry_url, parse_reference

__all__ = [
    "KINDS",
    "ArtifactSized",
    "AuthError",
    "BlobCopied",
    "BlobMounted",
    "BlobPresent",
    "BlobProgress",
    "BlobSource",
    "BlobStarted",
    "BlobTakenBack",
    "BlobUnknownError",
    "CheckStep",
    "Connection",
    "CopyEvent",
    "CopyOptions",
    "CopyResult",
    "CopySource",
    "CopyTarget",
    "DeniedError",
    "Descriptor",
    "DigestMismatchError",
    "DnsError",
    "ImmutableError",
    "Manifest",
    "ManifestPushed",
    "NetworkError",
    "NetworkTimeoutError",
    "NotFoundError",
    "Note",
    "Opener",
    "Platform",
    "ProtocolError",
    "QuotaExceededError",
    "RateLimitedError",
    "Reference",
    "RefusedError",
    "RegistryClient",
    "RegistryError",
    "RegistryKind",
    "RegistrySettings",
    "ServerError",
    "SiblingTagsError",
    "StopFlag",
    "Stopped",
    "Tally",
    "Timeouts",
    "TlsError",
    "TooLargeError",
    "UnsupportedError",
    "check_connection",
    "copy_artifact",
    "digest_of",
    "find_kind",
    "normalise_registry_url",
    "parse_reference",
]
