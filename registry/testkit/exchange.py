"""One request at the test kit's registry while it is being answered: what the routes work on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedIOBase
from urllib.parse import parse_qs, urlsplit

from registry.testkit.content import BLOCK_BYTES
from registry.testkit.messages import ApiError, Request
from registry.testkit.notifications import Happening
from registry.testkit.state import RegistryState


class ConnectionCutError(Exception):
    """The connection is to end now; `reset` says whether by RST instead of an orderly end."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("reset" if reset else "closed")
        self.reset = reset


@dataclass
class RequestBody:
    """The request's body as a stream, with or without Content-Length (RFC 9112 §6 and §7.1).

    `cut_after_bytes` resets the connection in the middle: what came before has already been handed out.
    """

    stream: BufferedIOBase
    length: int | None
    is_chunked: bool = False
    cut_after_bytes: int | None = None
    received_bytes: int = 0
    _is_finished: bool = field(default=False, init=False)

    def blocks(self) -> Iterator[bytes]:
        """Give the body's blocks as they arrive, once."""
        if self._is_finished:
            return
        for block in self._chunks() if self.is_chunked else self._counted(self.length or 0):
            yield self._take(block)
        self._is_finished = True

    def read(self) -> bytes:
        """Read a small body as a whole."""
        return b"".join(self.blocks())

    def drain(self) -> None:
        """Throw away what nobody wanted, so that the connection can be used again."""
        for _ in self.blocks():
            pass

    def _take(self, block: bytes) -> bytes:
        limit = self.cut_after_bytes
        if limit is not None and self.received_bytes + len(block) >= limit:
            block = block[: limit - self.received_bytes]
            self.cut_after_bytes = -1
        self.received_bytes += len(block)
        return block

    def _counted(self, length: int) -> Iterator[bytes]:
        left = length
        while left:
            self._check_cut()
            block = self.stream.read1(min(left, BLOCK_BYTES))
            if not block:
                raise ConnectionCutError(reset=False)
            left -= len(block)
            yield block
        self._check_cut()

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.stream.readline().split(b";")[0], 16):
            yield from self._counted(size)
            self.stream.readline()
        while self.stream.readline().strip():
            pass

    def _check_cut(self) -> None:
        if self.cut_after_bytes == -1:
            raise ConnectionCutError(reset=True)


@dataclass
class Exchange:
    """A request, its body and the registry that answers it."""

    registry: RegistryState
    request: Request
    body: RequestBody
    username: str = ""
    arguments: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        """Take the query apart."""
        self.arguments = parse_qs(self.request.query, keep_blank_values=True)

    def argument(self, name: str) -> str:
        """Give the first value of a query argument, or nothing."""
        return self.arguments.get(name, [""])[0]

    def header(self, name: str) -> str:
        """Give a request header, or nothing."""
        return self.request.headers.get(name.lower(), "")

    @property
    def base_url(self) -> str:
        """Give scheme and host as the client addressed them (its Host header), without the path prefix."""
        own = urlsplit(self.registry.url)
        return f"{own.scheme}://{self.header('host') or own.netloc}"

    def tell(self, action: str, target: Mapping[str, object]) -> None:
        """Notify whoever listens of what this request did."""
        self.registry.tell(Happening(action, target, self.request, self.username, self.header("host")))

    def link(self, path: str) -> str:
        """Make an absolute address below the registry's path prefix."""
        return f"{self.base_url}{self.registry.path_prefix}{path}"

    def count_argument(self) -> int | None:
        """Read the page size `n`, cut to the registry's own."""
        given = self.argument("n")
        own = self.registry.page_size
        if not given:
            return own
        if not given.isdigit():
            raise ApiError(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
        return int(given) if own is None else min(int(given), own)
