"""Turning a registry's refusal into the error that says what it means.

OCI distribution-spec, "Error Codes"; the vendors' deviations are named where they are handled.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from registry.errors import (
    AuthError,
    BlobUnknownError,
    DeniedError,
    DigestMismatchError,
    ImmutableError,
    NotFoundError,
    ProtocolError,
    QuotaExceededError,
    RateLimitedError,
    RegistryError,
    ServerError,
    TooLargeError,
    UnsupportedError,
)
from registry.redaction import redact_text

RETRY_AFTER_LIMIT_SECONDS = 600.0


@dataclass(frozen=True)
class Refusal:
    """An answer that is not what was hoped for. ``attempt`` completes "… failed", e.g. "Reading the tags of a/b"."""

    attempt: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    registry_name: str = ""

    @property
    def is_web_page(self) -> bool:
        """HTML where the protocol has JSON: something other than a registry answers."""
        return is_web_page(self.headers, self.body)

    def error(self) -> RegistryError:
        """Return the error to raise."""
        registry_code, said = _first_error(self.body)
        kind = _kind_of(self.status, registry_code, said.lower())
        if kind is NotFoundError and self.is_web_page:
            kind = ProtocolError
        came_back = self._description(registry_code, said)
        return kind(
            f"{self.attempt}: {came_back}",
            status=self.status,
            registry_code=registry_code,
            retry_after_seconds=retry_after_seconds(self.headers.get("Retry-After")),
            registry_name=self.registry_name,
        )

    def _description(self, registry_code: str, said: str) -> str:
        if self.is_web_page:
            return f"a web page answered, not a registry (HTTP {self.status})"
        words = " ".join(part for part in (registry_code, redact_text(said)) if part)
        return f"the registry answered {self.status} {words}".rstrip()


def is_web_page(headers: Mapping[str, str], body: bytes) -> bool:
    """Answer whether an answer is HTML, by its type or its first characters."""
    is_typed_html = headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html"
    return is_typed_html or body[:256].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def retry_after_seconds(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (RFC 9110 §10.2.3: seconds or a date), capped at 10 minutes.

    >>> retry_after_seconds("7")
    7.0
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (aware - (now or datetime.now(UTC))).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT_SECONDS)


def _first_error(body: bytes) -> tuple[str, str]:
    """Return code and words of ``{"errors": [{"code", "message", "detail"}]}``, or the body's text."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return "", body[:2000].decode("utf-8", "replace")
    errors = document.get("errors") if isinstance(document, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else document
    if not isinstance(first, dict):
        return "", str(first)[:500]
    # JFrog and token servers answer {"details": …} or {"error": …} and {"message": …} without a list.
    message = first.get("message") or first.get("details") or first.get("error_description") or first.get("error")
    detail = first.get("detail")
    words = f"{message or ''} {json.dumps(detail)[:500] if detail else ''}".strip()
    code = first.get("code")
    return (code[:60] if isinstance(code, str) else ""), words


def _kind_of(status: int, registry_code: str, said: str) -> type[RegistryError]:
    """Choose the class: by telling words, by the registry's own code, by the status, in this order."""
    for is_meant, kind in _BY_WORDS:
        if is_meant(status, said):
            return kind
    by_code = _BY_CODE.get(registry_code.upper())
    if by_code is not None and status < 500:
        return by_code
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServerError if status >= 500 else ProtocolError


_BY_CODE: dict[str, type[RegistryError]] = {
    "TOOMANYREQUESTS": RateLimitedError,
    "MANIFEST_BLOB_UNKNOWN": BlobUnknownError,
    "DIGEST_INVALID": DigestMismatchError,
    "SIZE_INVALID": DigestMismatchError,
    "UNSUPPORTED": UnsupportedError,
    "MANIFEST_INVALID": UnsupportedError,
    "PRECONDITION": ImmutableError,  # Harbor, middleware/immutable
    "IMAGETAGALREADYEXISTSEXCEPTION": ImmutableError,  # ECR immutable tags
    "TAG_IMMUTABLE": ImmutableError,
}

_BY_WORDS: list[tuple[Callable[[int, str], bool], type[RegistryError]]] = [
    # Harbor: 403 DENIED "… quota …", and 413 since #23912.
    (lambda status, said: status in (403, 412, 413) and "quota" in said, QuotaExceededError),
    (lambda status, said: status in (500, 507) and "no space" in said, QuotaExceededError),
    (lambda status, said: status in (400, 403) and "immutable" in said, ImmutableError),
    # GitHub's registry refuses requests over 4 MiB with 416 (ocx PR 237).
    (lambda status, said: status == 413 or (status == 416 and "too large" in said), TooLargeError),
]

_BY_STATUS: dict[int, type[RegistryError]] = {
    401: AuthError,
    403: DeniedError,
    404: NotFoundError,
    405: UnsupportedError,
    406: UnsupportedError,
    408: ServerError,
    409: ImmutableError,
    412: ImmutableError,
    415: UnsupportedError,
    429: RateLimitedError,
    499: ServerError,  # nginx: the proxy gave up waiting
    501: UnsupportedError,
    507: QuotaExceededError,
}
