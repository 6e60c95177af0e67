"""What comes back: status, headers and a body that is read as it arrives (RFC 9110, RFC 9112)."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from http.client import HTTPException, HTTPResponse, IncompleteRead, LineTooLong, UnknownProtocol
from typing import TYPE_CHECKING

from registry.wire.passage import Piece, Pipe

if TYPE_CHECKING:
    from registry.wire.channel import Channel

_LONGEST_LINE_BYTES = 1 << 16
_HEADERS_AT_MOST = 200
_UNDONE_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32  # zlib tells them apart


class Headers(Mapping[str, str]):
    """The headers of a reply; names in any case. What came several times is joined by ", " (RFC 9110 §5.3).

    >>> headers = Headers([("Link", "<a>"), ("ETag", "x"), ("link", "<b>")])
    >>> headers["LINK"], headers.getlist("Link"), "etag" in headers, sorted(headers)
    ('<a>, <b>', ['<a>', '<b>'], True, ['etag', 'link'])
    """

    __slots__ = ("_values",)

    def __init__(self, lines: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in lines:
            self._values.setdefault(name.lower(), []).append(value)

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def getlist(self, name: str) -> list[str]:
        """Return the values one by one."""
        return list(self._values.get(name.lower(), ()))


class Reply(HTTPResponse):
    """The standard library's reading of a body, behind headers that cost a fifth of what its e-mail parser takes."""

    headers: Headers  # type: ignore[assignment]

    def begin(self) -> None:
        """Read status line and headers; interim answers (1xx) are passed over."""
        while True:
            version, status, reason = self._read_status()  # type: ignore[attr-defined]
            headers = Headers(self._header_lines())
            if status >= 200 or status == 101:
                break
        if not version.startswith("HTTP/1."):
            raise UnknownProtocol(version)
        self.version = 10 if version == "HTTP/1.0" else 11
        self.code = self.status = status
        self.reason = reason.strip()
        self.headers = self.msg = headers  # type: ignore[assignment]
        self._measure()

    def _measure(self) -> None:
        """Find out where the body ends (RFC 9112 §6.3)."""
        self.chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.will_close = bool(self._check_close())  # type: ignore[attr-defined]
        length = self.headers.get("content-length", "")
        self.length = int(length) if length.isdecimal() and not self.chunked else None
        if self._method == "HEAD" or self.status in (101, 204, 304):  # type: ignore[attr-defined]
            self.length = 0
        if self.length is None and not self.chunked:
            self.will_close = True

    def _header_lines(self) -> Iterator[tuple[str, str]]:
        """Yield names and values until the empty line; a line that begins with a blank goes on with the one before."""
        lines: list[str] = []
        while True:
            line = self.fp.readline(_LONGEST_LINE_BYTES + 1)
            if len(line) > _LONGEST_LINE_BYTES:
                raise LineTooLong("header line")
            if line in (b"\r\n", b"\n", b""):
                break
            text = line.decode("iso-8859-1").rstrip("\r\n")
            if text[0] in " \t" and lines:
                lines[-1] += f" {text.strip()}"
            elif len(lines) == _HEADERS_AT_MOST:
                raise HTTPException(f"more than {_HEADERS_AT_MOST} headers")
            else:
                lines.append(text)
        for text in lines:
            name, _, value = text.partition(":")
            yield name.strip(), value.strip()

    def read1(self, n: int = -1) -> bytes:
        """Return what has arrived, at most n bytes; nothing at the end. Raise IncompleteRead when it ends too early."""
        if self.length == 0:
            return b""
        piece = super().read1(n)
        if not piece and n and self.length:
            raise IncompleteRead(b"", self.length)
        return piece

    def pieces(self, block_bytes: int, *, is_decoded: bool) -> Iterator[bytes]:
        """Yield the body as it arrives, in pieces of at most this size, with its content coding undone or as it is."""
        pieces = iter(lambda: self.read1(block_bytes), b"")
        coding = self.headers.get("content-encoding", "").strip().lower()
        return _inflated(pieces, block_bytes) if is_decoded and coding in _UNDONE_CODINGS else pieces

    def passages(self, block_bytes: int) -> Iterator[Piece]:
        """Yield the body as it is, in pieces that stay in the kernel where that can be, each for who sends it next."""
        channel = self._channel
        if channel is None or not channel.is_plain or not self.length or self.fp is None:
            yield from self.pieces(block_bytes, is_decoded=False)
            return
        if came_with_the_headers := self.read1(len(self.fp.peek())):
            yield came_with_the_headers
        with closing(Pipe()) as pipe:
            while self.length:
                passage = pipe.fill(channel.socket, min(self.length, block_bytes))
                if passage is None:
                    raise IncompleteRead(b"", self.length)
                self.length -= len(passage)
                yield passage

    @property
    def is_complete(self) -> bool:
        """Answer whether the body was read to its end."""
        return self.length == 0 or (self.chunked and self.fp is None)

    def belongs_to(self, channel: "Channel", *, give_back: Callable[["Channel"], None]) -> None:
        """Take note of what it came by, and who wants that back."""
        self._channel: Channel | None = channel
        self._give_back = give_back

    def interrupt(self) -> None:
        """Wake the thread that waits for this body; safe to call from any thread."""
        channel = self._channel
        if channel is not None:
            channel.interrupt()

    def release(self) -> None:
        """Give the socket back when the body was read to its end, close it otherwise. May be called again."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        is_reusable = self.is_complete and not self.will_close
        self.close()
        if is_reusable:
            self._give_back(channel)
        else:
            channel.close()


def _inflated(pieces: Iterable[bytes], block_bytes: int) -> Iterator[bytes]:
    """Undo gzip or zlib in steps of at most ``block_bytes``: a small piece may become a thousand times as large."""
    inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
    for piece in pieces:
        rest = piece
        while rest:
            if inflater.eof:  # another gzip member follows
                inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
            yield from filter(None, (inflater.decompress(rest, block_bytes),))
            rest = inflater.unconsumed_tail or inflater.unused_data
    if not inflater.eof:
        raise IncompleteRead(b"")
