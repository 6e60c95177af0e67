"""What a registry of the test kit stores: bytes given, bytes generated on the fly, or only their size.

Large layers never stand in memory twice: uploads are kept as the blocks they arrived in, and generated content is
made block by block while it is sent.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

BLOCK_BYTES = 1 << 20
DIGEST_PATTERN = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")


class Content(Protocol):
    """Bytes with a known size that can be read from any offset."""

    @property
    def size_bytes(self) -> int:
        """Say how many bytes there are."""

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Give the bytes from `start` up to, not including, `end` in blocks."""


@dataclass(frozen=True)
class StoredContent:
    """Bytes kept in the blocks in which they arrived."""

    blocks: tuple[bytes, ...]

    @property
    def size_bytes(self) -> int:
        """Say how many bytes there are."""
        return sum(len(block) for block in self.blocks)

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Give the bytes from `start` up to, not including, `end`.

        >>> b"".join(StoredContent((b"abc", b"def")).read(2, 5))
        b'cde'
        """
        position = 0
        stop = self.size_bytes if end is None else end
        for block in self.blocks:
            piece = block[max(start - position, 0) : max(stop - position, 0)]
            position += len(block)
            if piece:
                yield piece


@lru_cache(maxsize=8)
def _base_block(seed: str) -> bytes:
    return hashlib.shake_256(seed.encode()).digest(BLOCK_BYTES)


@dataclass(frozen=True)
class GeneratedContent:
    """Incompressible bytes that follow from a size and a seed; nothing is stored."""

    size_bytes: int
    seed: str = ""

    def _block(self, index: int) -> bytes:
        """Give block `index`: its number, then the same random bytes in each, so that no two blocks are equal."""
        return index.to_bytes(8, "big") + _base_block(self.seed)[8:]

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Give the bytes from `start` up to, not including, `end`."""
        stop = self.size_bytes if end is None else min(end, self.size_bytes)
        while start < stop:
            index, offset = divmod(start, BLOCK_BYTES)
            piece = self._block(index)[offset : offset + stop - start]
            yield piece
            start += len(piece)


@dataclass(frozen=True)
class DiscardedContent:
    """An upload of which only the size was kept (`MemoryRegistry(discard_uploads=True)`)."""

    size_bytes: int

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Refuse: the bytes are gone."""
        raise LookupError("this registry discards what is uploaded; only digest and size are known")


@dataclass(frozen=True)
class PartOfContent:
    """What a Range request asks for; nothing is read before it is sent."""

    whole: Content
    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """Say how many bytes there are."""
        return self.end - self.start

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Give the bytes from `start` of the part up to, not including, `end` of it.

        >>> b"".join(PartOfContent(StoredContent((b"abc", b"def")), 1, 5).read(1))
        b'cde'
        """
        stop = self.end if end is None else min(self.start + end, self.end)
        return self.whole.read(self.start + start, stop)


def as_content(content: bytes | Content) -> Content:
    """Wrap plain bytes, leave everything else as it is."""
    return StoredContent((content,)) if isinstance(content, bytes) else content


def read_all(content: Content) -> bytes:
    """Join a content into one piece."""
    return b"".join(content.read())


def digest_of(content: bytes | Content, algorithm: str = "sha256") -> str:
    """Compute the digest as the OCI image specification writes it (descriptor.md, "Digests").

    >>> digest_of(b"{}")
    'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'
    """
    hasher = hashlib.new(algorithm)
    for block in as_content(content).read():
        hasher.update(block)
    return f"{algorithm}:{hasher.hexdigest()}"
