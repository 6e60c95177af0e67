"""Names: repositories, tags, digests, references and registry addresses.

Grammar: OCI distribution-spec, "Pulling manifests"; digests: OCI image-spec, descriptor.md. Docker Hub's three
host names and its ``library/`` default follow the docker client (distribution/reference, normalize.go).
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

NAME_LIMIT = 255
"""Host and repository together, in practice (distribution/reference ``RepositoryNameTotalLengthMax``)."""
TAG_LIMIT = 128
DOCKER_HUB_HOST = "docker.io"
DOCKER_HUB_URL = "https://registry-1.docker.io"
_DOCKER_HUB_HOSTS = frozenset(
    {DOCKER_HUB_HOST, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com"}
)

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_HEXADECIMAL_LENGTHS = {"sha256": 64, "sha512": 128}
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*\.?")


def is_repository_name(text: str) -> bool:
    """Answer whether the text is a repository name, such as ``library/alpine``."""
    return len(text) <= NAME_LIMIT and _NAME.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Answer whether the text is a tag."""
    return len(text) <= TAG_LIMIT and _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Answer whether the text is a digest; the lengths of sha256 and sha512 are checked."""
    if len(text) > NAME_LIMIT or _DIGEST.fullmatch(text) is None:
        return False
    algorithm, _, encoded = text.partition(":")
    length = _HEXADECIMAL_LENGTHS.get(algorithm)
    return length is None or re.fullmatch(rf"[a-f0-9]{{{length}}}", encoded) is not None


def validate_repository_name(text: str) -> str:
    """Return the name; raise ValueError when it is none."""
    if not is_repository_name(text):
        raise ValueError(
            f"{_shown(text)} is not a repository name: lower-case letters, digits and single separators . _ - "
            f"in parts joined by /, at most {NAME_LIMIT} characters"
        )
    return text


def validate_tag(text: str) -> str:
    """Return the tag; raise ValueError when it is none."""
    if not is_tag(text):
        raise ValueError(
            f"{_shown(text)} is not a tag: letters, digits, . _ - and at most {TAG_LIMIT} characters, "
            "the first a letter, digit or _"
        )
    return text


def validate_digest(text: str) -> str:
    """Return the digest; raise ValueError when it is none."""
    if not is_digest(text):
        raise ValueError(f"{_shown(text)} is not a digest such as sha256:… with 64 hexadecimal digits")
    return text


def validate_tag_or_digest(text: str) -> str:
    """Return what names a manifest inside a repository; raise ValueError when it is neither tag nor digest."""
    return validate_digest(text) if ":" in text else validate_tag(text)


@dataclass(frozen=True)
class Reference:
    """A parsed image reference; ``host`` is canonical, ``tag`` and ``digest`` may be empty."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


def parse_reference(text: str) -> Reference:
    """Parse ``host/name:tag@digest``; without a host it is Docker Hub's. Raise ValueError with the reason.

    >>> str(parse_reference("alpine:3"))
    'docker.io/library/alpine:3'
    >>> parse_reference("localhost:5000/a/b").host
    'localhost:5000'
    """
    rest, at, digest = text.partition("@")
    if at:
        validate_digest(digest)
    first, slash, remainder = rest.partition("/")
    has_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    host = canonical_host(first) if has_host else DOCKER_HUB_HOST
    path = remainder if has_host else rest
    repository, colon, tag = path.partition(":")
    if colon:
        validate_tag(tag)
    validate_repository_name(repository)
    return Reference(host, hub_repository(repository) if host == DOCKER_HUB_HOST else repository, tag, digest)


def canonical_host(host: str) -> str:
    """Return the host in lower case; Docker Hub's several names become ``docker.io``."""
    lowered = host.lower()
    return DOCKER_HUB_HOST if lowered in _DOCKER_HUB_HOSTS else lowered


def is_docker_hub(url: str) -> bool:
    """Answer whether a registry address is one of Docker Hub's."""
    return (urlsplit(url).hostname or "") in _DOCKER_HUB_HOSTS


def hub_repository(repository: str) -> str:
    """Return the name under which Docker Hub knows it: official images live in ``library/``."""
    return repository if "/" in repository else f"library/{repository}"


def canonical_registry_url(url: str) -> str:
    """Return the address to compare and to talk to: all of Docker Hub's are one."""
    return DOCKER_HUB_URL if is_docker_hub(url) else url


def normalise_registry_url(text: str) -> str:
    """Return the registry's address as it is stored: scheme, host, port and path prefix, no trailing slash.

    Without a scheme it is https: plain http must be asked for. A pasted ``/v2/`` at the end goes away. The host
    is kept as typed (see ``canonical_registry_url``). Raise ValueError with a clear text.

    >>> normalise_registry_url("Registry.example:5000/prefix/v2/")
    'https://registry.example:5000/prefix'
    """
    trimmed = text.strip()
    if not trimmed:
        raise ValueError("The registry's URL is empty")
    try:
        parts = urlsplit(trimmed if "://" in trimmed else f"https://{trimmed}")
    except ValueError as error:
        raise ValueError(f"{_shown(trimmed)} is not a URL") from error
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"The registry's URL must begin with http:// or https://, not {_shown(parts.scheme)}")
    if "@" in parts.netloc:
        raise ValueError("The registry's URL must not contain a user name or password: use the credential fields")
    if "?" in trimmed or "#" in trimmed:
        raise ValueError("The registry's URL must not contain a query (?) or fragment (#)")
    if re.search(r"[\s\x00-\x1f\x7f\\%]", trimmed):
        raise ValueError("The registry's URL must not contain spaces, control characters, backslashes or %")
    path = parts.path.rstrip("/").removesuffix("/v2").rstrip("/")
    return urlunsplit((parts.scheme, _network_location(parts.hostname, parts.netloc), path, "", ""))


def _network_location(hostname: str | None, location: str) -> str:
    """Return the checked, lower-cased ``host[:port]``."""
    if not hostname:
        raise ValueError("The registry's URL has no host name")
    is_ipv6 = location.startswith("[")
    if not is_ipv6 and (len(hostname) > NAME_LIMIT or not _HOST.fullmatch(_ascii_host(hostname))):
        raise ValueError(f"{_shown(hostname)} is not a host name")
    try:
        port = urlsplit(f"//{location}").port
    except ValueError as error:
        raise ValueError("The port in the registry's URL is not a number from 1 to 65535") from error
    if port == 0 or location.endswith(":"):
        raise ValueError("The port in the registry's URL is not a number from 1 to 65535")
    host = f"[{hostname}]" if is_ipv6 else _ascii_host(hostname)
    return host if port is None else f"{host}:{port}"


def _ascii_host(hostname: str) -> str:
    """Return the name as it stands in requests; international names are encoded (IDNA)."""
    try:
        return hostname.lower().encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"{_shown(hostname)} is not a host name") from error


def _shown(text: str) -> str:
    """Return the text quoted and cut, so that a million characters do not end up in a message."""
    return repr(text if len(text) <= 80 else text[:79] + "…")
