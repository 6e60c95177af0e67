"""Which addresses a registry may send us to.

A registry names other addresses in ``realm``, ``Location`` and ``Link``. A hostile or broken one could point them
at machines only we can reach, or at plain http. The rules follow go-containerregistry (``validateRealmURL``,
"private or link-local literals on another host") and the OCI distribution-spec's words on redirects.
"""

import ipaddress
from urllib.parse import urljoin, urlsplit, urlunsplit

from registry.errors import ProtocolError
from registry.redaction import redact_url


def resolve_location(location: str, *, origin: str, attempt: str) -> str:
    """Return the absolute address that a ``Location`` or ``Link`` means.

    Behind TLS-terminating proxies registries often answer with ``http://`` and their own name: same host names
    keep the scheme and port that we used. The query is left byte for byte (it may be signed).
    """
    try:
        target = urljoin(origin, location.strip())
    except ValueError as error:
        raise ProtocolError(f"{attempt}: the registry gave an address that is none") from error
    if _is_downgrade_of_same_host(target, origin):
        source, parts = urlsplit(origin), urlsplit(target)
        target = urlunsplit((source.scheme, source.netloc, parts.path, parts.query, ""))
    check_foreign_url(target, origin=origin, attempt=attempt)
    return target


def check_foreign_url(target: str, *, origin: str, attempt: str) -> None:
    """Raise ProtocolError when the registry at ``origin`` has no business sending us to ``target``."""
    try:
        parts, source = urlsplit(target), urlsplit(origin)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise ProtocolError(f"{attempt}: the registry gave an address that is none") from error
    shown = redact_url(target)
    if parts.scheme not in ("http", "https") or not host:
        raise ProtocolError(f"{attempt}: the registry gave the address {shown}, which is not http or https")
    if source.scheme == "https" and parts.scheme == "http":
        raise ProtocolError(f"{attempt}: the registry sends us from https to plain http ({shown}); refused")
    if host != source.hostname and _is_internal(host) and not _may_reach(source.hostname or "", host):
        raise ProtocolError(f"{attempt}: the registry sends us to an internal address ({shown}); refused")


def is_same_origin(one: str, other: str) -> bool:
    """Answer whether two addresses share scheme, host and port, so that credentials may go to both."""
    return _origin(one) == _origin(other)


def is_same_host(one: str, other: str) -> bool:
    """Answer whether two addresses share the host name, whatever the port."""
    return urlsplit(one).hostname == urlsplit(other).hostname


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _is_downgrade_of_same_host(target: str, origin: str) -> bool:
    try:
        is_downgrade = urlsplit(origin).scheme == "https" and urlsplit(target).scheme == "http"
        return is_downgrade and is_same_host(target, origin)
    except ValueError:
        return False


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address a host literal means; ``localhost`` counts as one."""
    if host == "localhost" or host.endswith(".localhost"):
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_internal(host: str) -> bool:
    address = _literal(host)
    return address is not None and not address.is_global


def _may_reach(source_host: str, host: str) -> bool:
    """A registry that is itself inside may name its neighbours, but nobody may name link-local (cloud metadata)."""
    source, target = _literal(source_host), _literal(host)
    if source is None or target is None or target.is_link_local:
        return False
    return source.is_loopback if target.is_loopback else not source.is_global
