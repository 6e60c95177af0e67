"""One socket, for one request after the other."""

import select
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import cast

from urllib3.util.ssltransport import SSLTransport

from registry.wire.address import Origin
from registry.wire.passage import Passage, Piece, is_plain
from registry.wire.reply import Reply
from registry.wire.way import Proxy, ProxyError, Way

_JOINED_BYTES = 1 << 16
"""A body that small goes out with the head, in one packet: it spares the registry a look."""
Pieces = Iterable[Piece]
_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})


class Channel:
    """A connected socket. Making one connects: raises OSError."""

    def __init__(self, origin: Origin, way: Way) -> None:
        self.origin = origin
        self._timeouts = way.timeouts
        self._has_absolute_targets = way.proxy is not None and not origin.is_encrypted
        self._proxy_authorization = way.proxy.authorization if way.proxy and self._has_absolute_targets else ""
        self.socket = _connect(origin, way)
        self.socket.settimeout(self._timeouts.stall_seconds)

    @property
    def is_plain(self) -> bool:
        """Answer whether the kernel may pass on what comes here."""
        return is_plain(self.socket)

    def is_alive(self) -> bool:
        """Answer whether an idle socket still serves: whatever can be read from it now is its end."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Pieces | None = None) -> None:
        """Send a request. A registry that closes in the middle of the body may have said why: that is no error yet."""
        if body is None or isinstance(body, bytes):
            if method in _WITH_LENGTH and "Content-Length" not in headers:
                headers = {**headers, "Content-Length": str(len(body or b""))}
            pieces: Pieces = (body,) if body else ()
        else:
            pieces = body
        waiting = self._head(method, target, headers)
        try:
            for piece in pieces:
                if isinstance(piece, Passage) or len(piece) > _JOINED_BYTES:
                    self._flush(waiting)
                    self._flush(piece)
                else:
                    self._flush(waiting + piece)
                waiting = b""
            self._flush(waiting)
        except BrokenPipeError:
            return

    def _flush(self, piece: Piece) -> None:
        if isinstance(piece, Passage):
            piece.send_by(self.socket)
        elif piece:
            self.socket.sendall(piece)

    def receive(self, method: str) -> Reply:
        """Return the reply to what was sent, its headers read."""
        limits = self._timeouts
        if limits.first_byte_seconds != limits.stall_seconds:
            self.socket.settimeout(limits.first_byte_seconds)
        reply = Reply(self.socket, method=method)
        try:
            reply.begin()
        except BaseException:
            reply.close()
            raise
        if limits.first_byte_seconds != limits.stall_seconds:
            self.socket.settimeout(limits.stall_seconds)
        return reply

    def interrupt(self) -> None:
        """Wake the thread that reads. Not by ``SSLSocket.shutdown``: it would read on what is encrypted."""
        try:
            socket.socket.shutdown(_beneath(self.socket), socket.SHUT_RD)
        except OSError:
            return  # already closed

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def _head(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        if self._has_absolute_targets:
            target = f"http://{self.origin.authority}{target}"
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.origin.authority}"]
        if self._proxy_authorization:
            lines.append(f"Proxy-Authorization: {self._proxy_authorization}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return _joined(lines)


def _joined(lines: list[str]) -> bytes:
    for line in lines:
        if "\n" in line or "\r" in line:
            raise ValueError(f"{line.partition(':')[0]!r}: a line of a request cannot hold a line break")
    return "\r\n".join((*lines, "", "")).encode("iso-8859-1")


def _connect(origin: Origin, way: Way) -> socket.socket:
    connected = _pass_proxy(way.proxy, origin, way) if way.proxy else _reach(origin, way)
    if not origin.is_encrypted:
        return connected
    context = way.tls_context()
    try:
        if isinstance(connected, ssl.SSLSocket):  # TLS within the TLS of the proxy
            return cast(socket.socket, SSLTransport(connected, context, server_hostname=origin.host))
        return context.wrap_socket(connected, server_hostname=origin.host)
    except BaseException:
        connected.close()
        raise


def _reach(place: Origin, way: Way) -> socket.socket:
    connected = socket.create_connection((place.host, place.port), way.timeouts.connect_seconds)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return connected


def _pass_proxy(proxy: Proxy, origin: Origin, way: Way) -> socket.socket:
    """Connect to the proxy, and through it where it is not to see what is sent."""
    try:
        connected = _reach(proxy.origin, way)
        if proxy.origin.is_encrypted:
            connected = ssl.create_default_context().wrap_socket(connected, server_hostname=proxy.origin.host)
    except OSError as error:
        raise ProxyError("the proxy could not be reached") from error
    if origin.is_encrypted:
        _ask_for_tunnel(connected, origin, proxy.authorization)
    return connected


def _ask_for_tunnel(connected: socket.socket, origin: Origin, authorization: str) -> None:
    """Have the proxy connect us (RFC 9110 §9.3.6)."""
    place = f"[{origin.host}]:{origin.port}" if ":" in origin.host else f"{origin.host}:{origin.port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if authorization:
        lines.append(f"Proxy-Authorization: {authorization}")
    try:
        connected.sendall(_joined(lines))
        with Reply(connected, method="CONNECT") as reply:
            reply.begin()
            if not 200 <= reply.status < 300:
                raise ProxyError(f"the proxy answered {reply.status} {reply.reason}".rstrip())
    except BaseException:
        connected.close()
        raise


def _beneath(connected: object) -> socket.socket:
    return cast(socket.socket, connected.socket if isinstance(connected, SSLTransport) else connected)
