"""Connection pools: urllib3 with large blocks, stall timeouts and our own TLS context.

Measured (reference: peers' transfer engines, §8): 1 MiB blocks halve the CPU per copied GiB, urllib3 without
requests halves it per HEAD. HTTP/1.1 with several connections, because one HTTP/2 connection shares one window.
"""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import InsecureRequestWarning
from urllib3.response import HTTPResponse

from registry.errors import ProtocolError, TlsError

BLOCK_BYTES = 1 << 20
POOL_CONNECTIONS = 32

# The choice not to verify is shown wherever the endpoint is shown; a warning per request helps nobody.
urllib3.disable_warnings(InsecureRequestWarning)

_KEEPALIVE_OPTIONS = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
]


@dataclass(frozen=True)
class Timeouts:
    """Limits of waiting. There is no limit on the whole of a body: a slow link must be able to finish."""

    connect_seconds: float = 10
    first_byte_seconds: float = 60
    stall_seconds: float = 60


class _PlainConnection(HTTPConnection):
    """Waits ``stall_seconds`` for each piece of a body, sent or received, instead of urllib3's connect timeout."""

    def __init__(self, *positional: Any, stall_seconds: float, **named: Any) -> None:
        super().__init__(*positional, **named)
        self.stall_seconds = stall_seconds

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(self.stall_seconds)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3 itself
        connected = self.sock
        response = super().getresponse()
        if connected.fileno() != -1:
            connected.settimeout(self.stall_seconds)
        return response


class _TlsConnection(_PlainConnection, HTTPSConnection):
    """The same over TLS."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Pools(urllib3.PoolManager):
    """Hands ``stall_seconds`` to the pools' connections; urllib3's pool keys have no room for it.

    Asks for a TLS context only where TLS is spoken: making one takes as long as a hundred small requests. Finds a
    host's pool without building urllib3's key each time, which would take a tenth of a small request: all its pools are
    made with the same options.
    """

    stall_seconds: float = 60
    make_context: Callable[[], ssl.SSLContext] = ssl.create_default_context

    def __init__(self, *positional: Any, **named: Any) -> None:
        super().__init__(*positional, **named)
        self._by_host: dict[tuple[str | None, str | None, int | None], HTTPConnectionPool] = {}

    def connection_from_host(
        self,
        host: str | None,
        port: int | None = None,
        scheme: str | None = "http",
        pool_kwargs: dict[str, Any] | None = None,
    ) -> HTTPConnectionPool:
        key = (scheme, host, port)
        pool = None if pool_kwargs else self._by_host.get(key)
        if pool is None or pool.pool is None:  # it was closed, to make room for others
            pool = super().connection_from_host(host, port=port, scheme=scheme, pool_kwargs=pool_kwargs)
            if len(self._by_host) > self.pools._maxsize:
                self._by_host.clear()
            if not pool_kwargs:
                self._by_host[key] = pool
        return pool

    def _new_pool(
        self, scheme: str, host: str, port: int, request_context: dict[str, Any] | None = None
    ) -> HTTPConnectionPool:
        self.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
        if scheme == "https":
            context = self.make_context()
            request_context = {
                **(request_context or self.connection_pool_kw),
                "ssl_context": context,
                "cert_reqs": context.verify_mode,
                "assert_hostname": None if context.check_hostname else False,
            }
        pool = super()._new_pool(scheme, host, port, request_context)
        pool.conn_kw["stall_seconds"] = self.stall_seconds
        return pool


class _ProxiedPools(_Pools, urllib3.ProxyManager):
    """The same behind a proxy."""


def make_tls_context(*, verify: bool, ca_certificate: str = "") -> ssl.SSLContext:
    """Return the TLS context: the system's authorities and, added to them, the given PEM text."""
    context = ssl.create_default_context()
    if ca_certificate:
        try:
            context.load_verify_locations(cadata=ca_certificate)
        except (ssl.SSLError, ValueError) as error:
            raise TlsError("The CA certificate is not valid PEM") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def make_pools(
    *, tls_context: Callable[[], ssl.SSLContext], timeouts: Timeouts, proxy_url: str = ""
) -> urllib3.PoolManager:
    """Return pools for one registry (its storage and token hosts included). urllib3 reads no environment."""
    options: dict[str, Any] = {
        "num_pools": 16,
        "maxsize": POOL_CONNECTIONS,
        "blocksize": BLOCK_BYTES,
        "retries": False,
        "socket_options": _KEEPALIVE_OPTIONS,
        "timeout": urllib3.Timeout(connect=timeouts.connect_seconds, read=timeouts.first_byte_seconds),
    }
    try:
        pools = _ProxiedPools(proxy_url=proxy_url, **options) if proxy_url else _Pools(**options)
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise ProtocolError("The proxy's URL is not valid") from error
    pools.stall_seconds = timeouts.stall_seconds
    pools.make_context = tls_context
    return pools
