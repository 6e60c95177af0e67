"""The way to a registry: limits of waiting, TLS, and a proxy."""

import base64
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from registry.errors import TlsError
from registry.wire.address import Origin, origin_of

BLOCK_BYTES = 1 << 20
"""Pieces of a body on their way: 1 MiB instead of 64 KiB halves the CPU time per copied GiB."""


@dataclass(frozen=True)
class Timeouts:
    """Limits of waiting. There is no limit on the whole of a body: a slow link must be able to finish."""

    connect_seconds: float = 10
    first_byte_seconds: float = 60
    stall_seconds: float = 60


class ProxyError(OSError):
    """The proxy could not be reached, or does not let us through. ``__cause__`` is what broke, if anything did."""


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy. ``repr()`` shows no secret."""

    origin: Origin
    authorization: str = field(default="", repr=False)
    """The value of ``Proxy-Authorization``, or nothing."""

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """Read ``http://user:password@host:port``. Raise ValueError when it is no address of a proxy.

        >>> Proxy.parse("http://squid:secret@proxy.test:3128")
        Proxy(origin=Origin(scheme='http', host='proxy.test', port=3128))
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise ValueError("A proxy is reached by http or https")
        authorization = ""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return cls(origin_of(parts.scheme, parts.netloc.rpartition("@")[2]), authorization)


@dataclass(frozen=True)
class Way:
    """How to get there. ``tls_context`` is asked only where TLS is spoken: making one costs as much as 100 requests."""

    tls_context: Callable[[], ssl.SSLContext] = ssl.create_default_context
    timeouts: Timeouts = field(default_factory=Timeouts)
    proxy: Proxy | None = None


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
