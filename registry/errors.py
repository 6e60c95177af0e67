"""What can go wrong when talking to a registry.

    Exception
    ├── Stopped                      the stop flag was set; not a failure
    └── RegistryError                "registry_error"
        ├── NetworkError             "network"          temporary
        │   ├── DnsError             "dns"              temporary
        │   ├── RefusedError         "refused"          temporary
        │   ├── NetworkTimeoutError  "timeout"          temporary
        │   └── TlsError             "tls"
        ├── AuthError                "unauthorized"
        ├── DeniedError              "denied"
        ├── NotFoundError            "not_found"
        ├── RateLimitedError         "rate_limited"     temporary
        │   └── PausedError          "paused"           temporary
        ├── ServerError              "server_error"     temporary
        ├── ImmutableError           "immutable"
        ├── QuotaExceededError       "quota_exceeded"
        ├── TooLargeError            "too_large"
        ├── UnsupportedError         "unsupported"
        ├── DigestMismatchError      "digest_mismatch"  temporary
        ├── ProtocolError            "protocol"
        ├── BlobUnknownError         "blob_unknown"     temporary
        ├── SiblingTagsError         "sibling_tags"
        └── NoMatchingPlatformError  "no_matching_platform"
            └── AmbiguousPlatformError   "ambiguous_platform"

``str()`` of each says what was attempted, on what, and what came back, without secrets and without the query
strings of signed addresses. ``code`` is stable: it is stored, filtered by and translated elsewhere.
"""

from collections.abc import Sequence
from typing import ClassVar


class Stopped(Exception):
    """The work was given up because its stop flag was set: a request that was obeyed, not an error."""


class RegistryError(Exception):
    """Anything a registry, or the way to it, refused or broke."""

    code: ClassVar[str] = "registry_error"
    is_temporary: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        registry_code: str = "",
        retry_after_seconds: float | None = None,
        registry_name: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        """HTTP status of the answer, where there was one."""
        self.registry_code = registry_code
        """First error code of the answer's body, such as ``MANIFEST_INVALID``."""
        self.retry_after_seconds = retry_after_seconds
        """What the answer's ``Retry-After`` asked for, already capped."""
        self.registry_name = registry_name
        """What people call the registry that answered, where the connection was told."""

    def __str__(self) -> str:
        return self.message


class NetworkError(RegistryError):
    """The connection could not be made or broke."""

    code = "network"
    is_temporary = True


class DnsError(NetworkError):
    """The host name could not be resolved. Temporary: resolvers have bad minutes too."""

    code = "dns"


class RefusedError(NetworkError):
    """Nobody listens at the address."""

    code = "refused"


class NetworkTimeoutError(NetworkError):
    """No connection, no answer, or no byte for too long."""

    code = "timeout"


class TlsError(NetworkError):
    """The TLS handshake failed; the same will happen the next time."""

    code = "tls"
    is_temporary = False


class AuthError(RegistryError):
    """The registry does not know who we are."""

    code = "unauthorized"


class DeniedError(RegistryError):
    """The registry knows who we are and says no."""

    code = "denied"


class NotFoundError(RegistryError):
    """The repository, manifest or blob is not there."""

    code = "not_found"


class RateLimitedError(RegistryError):
    """Too many requests; ``retry_after_seconds`` says how long to stay away, where the registry said so."""

    code = "rate_limited"
    is_temporary = True


class PausedError(RateLimitedError):
    """A time window of ours lets nothing move; ``retry_after_seconds`` is the time until it ends, however long."""

    code = "paused"


class ServerError(RegistryError):
    """The registry, or a proxy before it, failed (5xx)."""

    code = "server_error"
    is_temporary = True


class ImmutableError(RegistryError):
    """The tag must not be moved or deleted."""

    code = "immutable"


class QuotaExceededError(RegistryError):
    """The project's quota is used up, or the registry's disk is full."""

    code = "quota_exceeded"


class TooLargeError(RegistryError):
    """The manifest or request body is larger than one side takes."""

    code = "too_large"


class UnsupportedError(RegistryError):
    """The registry does not offer this operation, or cannot store this type."""

    code = "unsupported"


class DigestMismatchError(RegistryError):
    """The bytes are not those that the digest promises."""

    code = "digest_mismatch"
    is_temporary = True


class ProtocolError(RegistryError):
    """The answer makes no sense: a web page, broken JSON, a redirect into a circle …"""

    code = "protocol"


class BlobUnknownError(RegistryError):
    """The registry misses a blob or child manifest that a pushed manifest refers to."""

    code = "blob_unknown"
    is_temporary = True


class SiblingTagsError(RegistryError):
    """Deleting would take other tags away: the registry can delete by digest only, and ``siblings`` share it."""

    code = "sibling_tags"

    def __init__(self, message: str, *, siblings: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.siblings = tuple(siblings)


class NoMatchingPlatformError(RegistryError):
    """The index has no image for any of the platforms that are wanted."""

    code = "no_matching_platform"


class AmbiguousPlatformError(NoMatchingPlatformError):
    """One image is wanted, and several match."""

    code = "ambiguous_platform"
