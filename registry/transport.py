"""One HTTP exchange: sending, following redirects, and naming what broke.

Redirects are followed here, where it is known that credentials must stay with the registry (OCI
distribution-spec: clients MUST NOT forward Authorization over host boundaries; S3 and Azure refuse two kinds of
authorisation) and because a registry must not send us just anywhere (``registry.guards``).
"""

import http.client
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from registry.errors import (
    DnsError,
    NetworkError,
    NetworkTimeoutError,
    ProtocolError,
    RefusedError,
    TlsError,
    TooLargeError,
)
from registry.gate import OPEN_PERMIT, Permit
from registry.guards import is_same_host, is_same_origin, resolve_location
from registry.redaction import redact_text
from registry.refusals import Refusal
from registry.tally import Tally
from registry.wire import Piece, Pieces, ProxyError, Reply, Wire

Body = bytes | Callable[[], Pieces] | None
"""What is sent: bytes, or something that opens the bytes anew each time they have to be sent."""

REDIRECT_LIMIT = 5
ERROR_BODY_BYTES = 64 * 1024
AnyPiece = TypeVar("AnyPiece", bytes, Piece)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_BROKEN = (OSError, http.client.HTTPException, zlib.error)


@dataclass(frozen=True)
class Request:
    """A request to be sent. ``attempt`` names it in messages: "Reading the tags of a/b"."""

    method: str
    url: str
    attempt: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = None
    stays_on_host: bool = False
    """Give back a redirect to another host instead of following it."""


class Answer:
    """What came back. Read it or ``close()`` it, so that its connection can serve again."""

    def __init__(self, request: Request, reply: Reply, tally: Tally | None = None) -> None:
        self.request = request
        self.url = request.url
        self.status = reply.status
        self.headers = reply.headers
        self.registry_name = ""
        self._reply = reply
        self._tally = tally
        self._permit: Permit = OPEN_PERMIT

    def hold(self, permit: Permit) -> None:
        """Keep the permit that the request was sent by until this is closed; the body passes at its pace."""
        self._permit = permit

    def read(self, limit_bytes: int) -> bytes:
        """Return the whole body with any content coding undone; TooLargeError when it is longer than the limit."""
        try:
            body = b"".join(self._decoded(limit_bytes))
        finally:
            self.close()
        if len(body) > limit_bytes:
            raise TooLargeError(f"{self.request.attempt}: the answer is larger than {limit_bytes} bytes")
        return body

    def stream(self, *, block_bytes: int, is_decoded: bool = False) -> Iterator[bytes]:
        """Yield the body as it arrives, in pieces of at most ``block_bytes``."""
        return self._metered(self._reply.pieces(self._within_pace(block_bytes), is_decoded=is_decoded))

    def pass_on(self, *, block_bytes: int) -> Iterator[Piece]:
        """Yield the same undecoded, for somebody who only sends it on: so it may stay in the kernel."""
        return self._metered(self._reply.passages(self._within_pace(block_bytes)))

    def _within_pace(self, block_bytes: int) -> int:
        return min(block_bytes, self._permit.block_bytes or block_bytes)

    def _metered(self, pieces: Iterator[AnyPiece]) -> Iterator[AnyPiece]:
        permit = self._permit
        try:
            for piece in pieces:
                if permit.block_bytes is not None:
                    permit.await_bytes(len(piece))
                if self._tally is not None:
                    self._tally.count_received(len(piece))
                yield piece
        except _BROKEN as error:
            raise network_error(self.request.attempt, error) from error

    def refusal(self) -> Refusal:
        """Return the answer as a refusal, its body read as far as it matters; the connection is given back."""
        body = bytearray()
        try:
            for piece in self.stream(block_bytes=ERROR_BODY_BYTES, is_decoded=True):
                body += piece
                if len(body) >= ERROR_BODY_BYTES:
                    break
        except NetworkError:
            pass  # a half-read reason must not hide the status
        self.close()
        said = bytes(body[:ERROR_BODY_BYTES])
        return Refusal(self.request.attempt, self.status, self.headers, said, self.registry_name)

    def discard(self) -> None:
        """Read away a short body so that the connection can be kept."""
        if self._reply.is_complete:
            self.close()
        else:
            self.refusal()

    def interrupt(self) -> None:
        """Wake a thread that waits for this body; safe to call from any thread."""
        self._reply.interrupt()

    def close(self) -> None:
        """Give the connection back when the body was read to its end, drop it otherwise."""
        self._reply.release()
        self._permit.leave()

    def _decoded(self, limit_bytes: int) -> Iterator[bytes]:
        total_bytes = 0
        for piece in self.stream(block_bytes=limit_bytes + 1, is_decoded=True):
            total_bytes += len(piece)
            yield piece
            if total_bytes > limit_bytes:
                return


def perform(wire: Wire, request: Request, *, tally: Tally | None = None) -> Answer:
    """Send the request, follow its redirects, and return the final answer of whatever status."""
    for _ in range(REDIRECT_LIMIT + 1):
        answer = _send_once(wire, request, tally)
        if answer.status not in _REDIRECTS or "Location" not in answer.headers:
            return answer
        target = resolve_location(answer.headers["Location"], origin=request.url, attempt=request.attempt)
        if not _may_follow(request, answer.status, target):
            return answer
        answer.discard()
        request = _redirected(request, target)
    raise ProtocolError(f"{request.attempt}: more than {REDIRECT_LIMIT} redirects")


def _may_follow(request: Request, status: int, target: str) -> bool:
    """Reads may go anywhere the guards allow; bytes follow only inside the registry's host, with their method."""
    if request.method in _SAFE_METHODS:
        return is_same_host(request.url, target) or not request.stays_on_host
    return status in (307, 308) and is_same_host(request.url, target)


def _redirected(request: Request, target: str) -> Request:
    headers = dict(request.headers)
    if not is_same_origin(request.url, target):
        headers.pop("Authorization", None)
    return replace(request, url=target, headers=headers)


def _send_once(wire: Wire, request: Request, tally: Tally | None) -> Answer:
    if tally is not None:
        tally.count_request(request.method)
        if isinstance(request.body, bytes):  # whoever opens a body counts its bytes as they go
            tally.count_sent(len(request.body))
    body = request.body() if callable(request.body) else request.body
    try:
        reply = wire.send(request.method, request.url, {"Accept-Encoding": "identity", **request.headers}, body)
    except (*_BROKEN, ValueError) as error:
        raise network_error(request.attempt, error) from error
    return Answer(request, reply, tally)


def network_error(attempt: str, error: Exception) -> NetworkError | ProtocolError:
    """Return what an exception of the wire means."""
    if isinstance(error, ProxyError):
        cause = error.__cause__
        if isinstance(cause, Exception):
            return network_error(f"{attempt} (through the proxy)", cause)
        return NetworkError(f"{attempt}: {error}")
    match error:
        case socket.gaierror():
            return DnsError(f"{attempt}: the host name could not be resolved")
        case ConnectionRefusedError():
            return RefusedError(f"{attempt}: the connection was refused")
        case TimeoutError():
            return NetworkTimeoutError(f"{attempt}: no answer within the time limit")
        case ssl.SSLError():
            return _tls_error(attempt, error)
        case ValueError():
            return ProtocolError(f"{attempt}: {redact_text(str(error))}")
    return NetworkError(f"{attempt}: the connection broke ({_reason(error)})")


def _tls_error(attempt: str, error: ssl.SSLError) -> NetworkError:
    """A refused certificate stays refused; a TLS connection that was cut is an ordinary broken one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsError(f"{attempt}: the TLS certificate was not accepted ({error.verify_message})")
    reason = error.reason or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return TlsError(f"{attempt}: the server does not speak TLS here; is it an http:// address?")
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or "EOF" in reason:
        return NetworkError(f"{attempt}: the TLS connection was cut")
    return TlsError(f"{attempt}: TLS failed ({reason or 'unknown reason'})")


def _reason(error: Exception) -> str:
    """Return a short name of what broke: "reset by the other side", "closed early" …"""
    match error:
        case ConnectionResetError():  # http.client.RemoteDisconnected, too
            return "reset by the other side"
        case http.client.IncompleteRead():
            return "closed before the end of the body"
    strerror = getattr(error, "strerror", None)
    return strerror or type(error).__name__
