"""Addresses on the wire: where to connect to, and what to ask for there."""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
_UNFIT_FOR_A_TARGET = re.compile(r"[^\x21-\x7e]")
_LEFT_AS_IT_IS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


class Origin(NamedTuple):
    """Scheme, host name and port. Credentials in an address are no part of it."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Return host and port as a request names them: no port where the scheme implies it.

        >>> Origin("https", "::1", 443).authority, Origin("http", "registry.test", 5000).authority
        ('[::1]', 'registry.test:5000')
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_encrypted(self) -> bool:
        """Answer whether TLS is spoken there."""
        return self.scheme == "https"


def split_url(url: str) -> tuple[Origin, str]:
    """Return the origin and the request target: path and query byte for byte, as they may be signed.

    Only what no request line can hold is percent-encoded. Raise ValueError when it is no address.

    >>> split_url("https://registry.test/v2/a/tags/list?n=2&last=%2F")
    (Origin(scheme='https', host='registry.test', port=443), '/v2/a/tags/list?n=2&last=%2F')
    >>> split_url("http://registry.test:5000?a b")[1]
    '/?a%20b'
    """
    found = _URL.match(url)
    if found is None:
        raise ValueError("The address is not http or https")
    scheme, authority, target = found.groups()
    if not target.startswith("/"):
        target = f"/{target}"
    if _UNFIT_FOR_A_TARGET.search(target):
        target = quote(target, safe=_LEFT_AS_IT_IS)
    return origin_of(scheme.lower(), authority), target


@lru_cache(maxsize=256)
def origin_of(scheme: str, authority: str) -> Origin:
    """Return the origin that an address's authority means. Raise ValueError when it has no host or a wrong port."""
    parts = urlsplit(f"{scheme}://{authority}")
    if not parts.hostname:
        raise ValueError("The address has no host name")
    host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode("ascii")
    return Origin(scheme, host, parts.port or DEFAULT_PORTS[scheme])
