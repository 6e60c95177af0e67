"""Reading blobs (OCI distribution-spec, "Pulling blobs"): verified, and resumed when the connection breaks."""

import re
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace

from registry.client.exchange import Exchange, StopFlag
from registry.digests import Hasher, algorithm_of, is_content_of, new_hasher
from registry.errors import (
    DigestMismatchError,
    NetworkError,
    ProtocolError,
    RegistryError,
    ServerError,
    TooLargeError,
)
from registry.guards import is_same_origin
from registry.media import Descriptor
from registry.reference import validate_digest, validate_repository_name
from registry.scopes import pull
from registry.transport import Answer, AnyPiece, Request
from registry.wire import BLOCK_BYTES, Piece

SMALL_BLOB_BYTES = 8 << 20
_CHECKPOINT_BYTES = 16 << 20
_RESUME_LIMIT = 5
_RESUME_PROGRESS_BYTES = 1 << 20
_FIRST_PAUSE_SECONDS = 0.25
_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+|\*)", re.IGNORECASE)


def has_blob(exchange: Exchange, repository: str, digest: str) -> bool:
    """Answer whether the repository has the blob. One HEAD.

    A redirect to storage means yes: following it with HEAD fails where addresses are signed for GET.
    """
    validate_repository_name(repository)
    validate_digest(digest)
    attempt = f"Looking for the blob {digest} in {repository}"
    url = exchange.url_of(repository, f"blobs/{digest}")
    answer = exchange.try_send(Request("HEAD", url, attempt, stays_on_host=True), pull(repository))
    answer.close()
    if answer.status in (200, 204, 206) or 300 <= answer.status < 400:
        return True
    if answer.status in (404, 405, 501):  # without HEAD there is no cheap way to know; an upload is always right
        return False
    raise answer.refusal().error()


def get_blob_bytes(exchange: Exchange, repository: str, descriptor: Descriptor, *, limit_bytes: int) -> bytes:
    """Return a small blob, such as a config."""
    if descriptor.size_bytes > limit_bytes:
        raise TooLargeError(f"The blob {descriptor.digest} has {descriptor.size_bytes} bytes, more than {limit_bytes}")
    if descriptor.data is not None and is_content_of(descriptor.digest, descriptor.data):
        return descriptor.data
    return b"".join(BlobSource(exchange, repository, descriptor).open())


class BlobSource:
    """A blob to be read, from any offset, as often as needed; what is yielded last has been verified.

    Hash states are kept every 16 MiB, so that reading again from an offset neither starts over nor skips the
    verification. The last piece is held back until size and digest are right: whoever uploads what this yields
    can never complete a wrong blob. All that unless the verification is left to those who get the bytes.
    """

    def __init__(self, exchange: Exchange, repository: str, descriptor: Descriptor) -> None:
        validate_repository_name(repository)
        self._exchange = exchange
        self._repository = repository
        self._descriptor = descriptor
        self._algorithm = algorithm_of(validate_digest(descriptor.digest))
        self._checkpoints: dict[int, Hasher] = {0: new_hasher(self._algorithm)}
        self._newest = (0, self._checkpoints[0])
        self._lock = threading.Lock()
        self._answer: Answer | None = None
        self._is_verified = True
        self.received_bytes = 0
        """How many bytes came from the registry, those that were read again included."""

    def without_verification(self) -> "BlobSource":
        """Return the same blob to be read from somewhere in the middle, of which nobody here read the beginning.

        Its content is not verified, as no hash can begin there: only for a target that verifies the whole.
        """
        other = BlobSource(self._exchange, self._repository, self._descriptor)
        other.leave_verification()
        return other

    def leave_verification(self) -> None:
        """Hash nothing: everybody who is given these bytes verifies the whole. Only before anything is read."""
        self._is_verified = False

    def twin(self, stop: StopFlag) -> "BlobSource":
        """Return the same blob for another reading that obeys another stop flag and knows the hash states so far."""
        other = BlobSource(replace(self._exchange, stop=stop), self._repository, self._descriptor)
        other._is_verified = self._is_verified
        with self._lock:
            other._checkpoints = dict(self._checkpoints)
        return other

    def mark(self) -> None:
        """Keep the hash state after the newest piece: a twin can go on from exactly there. For the reading thread."""
        if not self._is_verified:
            return
        position, hasher = self._newest
        with self._lock:
            self._checkpoints[position] = hasher.copy()

    def open(self, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield the bytes from the offset to the end."""
        if not self._is_verified:
            yield from self._resumed(offset, self._streamed)
            return
        with self._lock:
            position = max(start for start in self._checkpoints if start <= offset)
            hasher = self._checkpoints[position].copy()
        skipped_bytes = offset - position
        for piece in self._resumed(position, self._streamed):
            position += len(piece)
            hasher.update(piece)
            self._newest = (position, hasher)
            self._keep(position, hasher)
            if position == self._descriptor.size_bytes:
                self._verify(hasher)
            if skipped_bytes < len(piece):
                yield piece[skipped_bytes:] if skipped_bytes else piece
            skipped_bytes = max(0, skipped_bytes - len(piece))
        if self._descriptor.size_bytes == 0:
            self._verify(hasher)

    def pass_on(self, offset: int = 0) -> Generator[Piece, None, None]:
        """Yield the bytes from the offset to the end, unverified, for somebody who only sends them on."""
        yield from self._resumed(offset, self._passed_on)

    def interrupt(self) -> None:
        """Wake the thread that waits for bytes; safe to call from any thread."""
        answer = self._answer
        if answer is not None:
            answer.interrupt()

    def _keep(self, position: int, hasher: Hasher) -> None:
        with self._lock:
            if position - max(self._checkpoints) >= _CHECKPOINT_BYTES:
                self._checkpoints[position] = hasher.copy()

    def _verify(self, hasher: Hasher) -> None:
        came = f"{self._algorithm}:{hasher.hexdigest()}"
        if came != self._descriptor.digest:
            raise DigestMismatchError(f"{self._attempt}: the registry sent other content, {came}")

    @property
    def _attempt(self) -> str:
        return f"Reading the blob {self._descriptor.digest} of {self._repository}"

    def _resumed(self, position: int, read: Callable[[Answer], Iterator[AnyPiece]]) -> Iterator[AnyPiece]:
        """Yield exactly the bytes from the position to the descriptor's size, going on after each break."""
        breaks, last_break_at = 0, position
        while position < self._descriptor.size_bytes:
            try:
                for piece in self._once(position, read):
                    position += len(piece)
                    yield piece
                if position < self._descriptor.size_bytes:
                    raise NetworkError(f"{self._attempt}: it ended after {position} bytes")
            except (NetworkError, ServerError) as error:
                self._exchange.check_stop()
                if position - last_break_at >= _RESUME_PROGRESS_BYTES:
                    breaks = 0
                breaks, last_break_at = breaks + 1, position
                if breaks > _RESUME_LIMIT or not error.is_temporary:
                    raise
                self._exchange.count_retry()
                self._pause(_FIRST_PAUSE_SECONDS * 2 ** (breaks - 1))

    def _once(self, position: int, read: Callable[[Answer], Iterator[AnyPiece]]) -> Iterator[AnyPiece]:
        """Yield what one request gives from the position on; signed addresses expire, so ask the registry anew."""
        headers = {"Range": f"bytes={position}-"} if position else {}
        url = self._exchange.url_of(self._repository, f"blobs/{self._descriptor.digest}")
        request = Request("GET", url, self._attempt, headers)
        answer = self._exchange.try_send(request, pull(self._repository))
        if answer.status not in (200, 206):
            raise self._refused(answer, url)
        self._answer = answer
        with closing(answer):
            skipped_bytes = self._start_of(answer, position)
            remaining_bytes = self._descriptor.size_bytes - position
            for piece in read(answer):
                self._exchange.check_stop()
                self.received_bytes += len(piece)
                wanted = piece
                if skipped_bytes or len(piece) > remaining_bytes:
                    wanted = piece[skipped_bytes : skipped_bytes + remaining_bytes]
                skipped_bytes = max(0, skipped_bytes - len(piece))
                remaining_bytes -= len(wanted)
                if wanted:
                    yield wanted
                if not remaining_bytes:
                    return  # the descriptor rules: whatever else is sent is not the blob

    def _streamed(self, answer: Answer) -> Iterator[bytes]:
        return answer.stream(block_bytes=BLOCK_BYTES, is_decoded=self._is_recoded(answer))

    def _passed_on(self, answer: Answer) -> Iterator[Piece]:
        return self._streamed(answer) if self._is_recoded(answer) else answer.pass_on(block_bytes=BLOCK_BYTES)

    def _refused(self, answer: Answer, url: str) -> RegistryError:
        """Storage that refuses a signed link speaks of that link (S3, Azure: 403 once it has expired), not of us."""
        error = answer.refusal().error()
        if error.is_temporary or is_same_origin(answer.url, url):
            return error
        return ServerError(f"{error.message} (the link that the registry gave does not work)", status=error.status)

    def _start_of(self, answer: Answer, position: int) -> int:
        """Return how many bytes of the body come before the position.

        Range is optional: 200 means the whole body. Only a 206 that says what we asked for is believed.
        """
        if answer.status == 200:
            return position
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
        if not position or found is None or int(found.group(1)) != position:
            raise ProtocolError(f"{self._attempt}: the registry answered with another range than was asked for")
        return 0

    def _is_recoded(self, answer: Answer) -> bool:
        """A proxy may compress though asked not to. Some registries label what is stored compressed as ``gzip``.

        The lengths tell them apart: stored content has the descriptor's.
        """
        coding = answer.headers.get("Content-Encoding", "identity").strip().lower()
        if coding in ("", "identity"):
            return False
        return answer.headers.get("Content-Length") != str(self._descriptor.size_bytes)

    def _pause(self, seconds: float) -> None:
        """Wait before asking again, with an eye on the stop flag."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._exchange.check_stop()
            time.sleep(min(left, 0.1))
