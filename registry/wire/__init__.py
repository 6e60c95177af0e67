"""The wire: HTTP/1.1 over sockets that are kept, for one registry with its storage and token hosts.

It stands on ``http.client`` of the standard library, which reads the answers, and on nothing above it: measured on a
HEAD, urllib3 takes 2.5 times the CPU time and requests 5 times, and an engine that burns half of a processor on its
own requests is slower than the registries it talks to. HTTP/1.1 with several connections, because one HTTP/2 connection
shares one window. No environment variable is read, no redirect followed, nothing repeated: that is for whoever asks.
"""

import threading
from collections.abc import Mapping

from registry.wire.address import Origin, split_url
from registry.wire.channel import Channel, Pieces
from registry.wire.passage import CAN_SPLICE, Passage, Piece
from registry.wire.reply import Headers, Reply
from registry.wire.way import BLOCK_BYTES, Proxy, ProxyError, Timeouts, Way, make_tls_context

__all__ = [
    "BLOCK_BYTES",
    "CAN_SPLICE",
    "Headers",
    "Passage",
    "Piece",
    "Pieces",
    "Proxy",
    "ProxyError",
    "Reply",
    "Timeouts",
    "Way",
    "Wire",
    "make_tls_context",
]

KEPT_PER_ORIGIN = 32
KEPT_ORIGINS = 16


class Wire:
    """Sends requests and keeps the sockets for the next ones. Shared between threads, not between processes."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[Channel]] = {}
        self._is_closed = False

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | Pieces | None = None) -> Reply:
        """Send a request and return the reply with its headers; release it, so that its socket can serve again.

        A body that is no bytes needs a ``Content-Length``. Raise OSError (its TimeoutError, ConnectionError,
        ``ssl.SSLError`` and ``socket.gaierror`` among them), ``http.client.HTTPException``, ValueError for an address
        that is none; and whatever the body's iterator raises.
        """
        origin, target = split_url(url)
        channel = self._take(origin) or Channel(origin, self._way)
        try:
            channel.send(method, target, headers, body)
            reply = channel.receive(method)
        except BaseException:
            channel.close()
            raise
        reply.belongs_to(channel, give_back=self._give_back)
        return reply

    def close(self) -> None:
        """Close what is idle now, and the rest when it comes back."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, {}
        for channels in idle.values():
            for channel in channels:
                channel.close()

    def _take(self, origin: Origin) -> Channel | None:
        """Return the socket that was used last and still lives: the older ones may be closed by their idle time."""
        while True:
            with self._lock:
                channels = self._idle.get(origin)
                channel = channels.pop() if channels else None
            if channel is None or channel.is_alive():
                return channel
            channel.close()

    def _give_back(self, channel: Channel) -> None:
        surplus = [channel]
        with self._lock:
            if not self._is_closed:
                channels = self._idle.setdefault(channel.origin, [])
                if len(channels) < KEPT_PER_ORIGIN:
                    channels.append(surplus.pop())
                if len(self._idle) > KEPT_ORIGINS:
                    surplus += self._idle.pop(next(iter(self._idle)))
        for each in surplus:
            each.close()
