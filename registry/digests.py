"""Digests: computing and checking them (OCI image-spec, descriptor.md, "Digests")."""

import hashlib
from typing import Protocol

from registry.errors import UnsupportedError

ALGORITHMS = ("sha256", "sha512")


class Hasher(Protocol):
    """The part of hashlib's objects that is used here."""

    def update(self, content: bytes, /) -> None:
        """Add bytes."""

    def hexdigest(self) -> str:
        """Return the digest in lower-case hexadecimal."""

    def copy(self) -> "Hasher":
        """Return an independent copy of the state."""


def algorithm_of(digest: str) -> str:
    """Return the algorithm of a digest; raise UnsupportedError for one we cannot compute."""
    algorithm = digest.partition(":")[0]
    if algorithm not in ALGORITHMS:
        raise UnsupportedError(f"Digest {digest[:80]!r} uses an algorithm other than {' and '.join(ALGORITHMS)}")
    return algorithm


def new_hasher(algorithm: str) -> Hasher:
    """Return a fresh hash object of one of ``ALGORITHMS``."""
    return hashlib.new(algorithm)


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """Return the digest of some bytes.

    >>> digest_of(b"{}")
    'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'
    """
    hasher = new_hasher(algorithm)
    hasher.update(content)
    return f"{algorithm}:{hasher.hexdigest()}"


def is_content_of(digest: str, content: bytes) -> bool:
    """Answer whether the bytes are those that the digest promises."""
    return digest_of(content, algorithm_of(digest)) == digest
