"""Writing blobs: mount, else one POST and one PUT, else chunks (OCI distribution-spec, "Pushing blobs").

What has been sent is counted here and that count is the truth: registries report odd ``Range`` values (ECR's
sticks at the first chunk, zot's and Aliyun's were wrong: regclient #961, #627). The registry is asked only after
an error, at most ten times, and believed only when its answer is possible.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator

from registry.client.blobs import has_blob
from registry.client.exchange import Exchange
from registry.client.sessions import CHUNK_ACCEPTED, Session, SessionLostError, open_session, try_mount
from registry.digests import algorithm_of
from registry.errors import (
    DigestMismatchError,
    NetworkError,
    NetworkTimeoutError,
    RegistryError,
    ServerError,
    Stopped,
    TooLargeError,
)
from registry.media import Descriptor
from registry.pools import BLOCK_BYTES
from registry.reference import validate_digest, validate_repository_name
from registry.scopes import push
from registry.transport import Answer, Request

Opener = Callable[[int], Iterable[bytes]]
"""Gives the blob's bytes from an offset on, each time it is called."""

FALLBACK_CHUNK_BYTES = 4 << 20
"""GitHub's registry refuses more than 4 MiB."""
LARGEST_CHUNK_BYTES = 64 << 20
SMALLEST_CHUNK_BYTES = 64 << 10
_CORRECTION_LIMIT = 10
_SESSION_LIMIT = 3
_PAUSE_SECONDS = 0.25


def upload_blob(
    exchange: Exchange,
    repository: str,
    descriptor: Descriptor,
    source: Iterable[bytes] | Opener,
    *,
    mount_from: str = "",
    chunk_bytes: int | None = None,
) -> bool:
    """Put a blob into the repository; return whether it was mounted and no byte was sent.

    A ``source`` that can be opened again survives broken connections and lost sessions, a plain iterable does not.
    """
    validate_repository_name(repository)
    algorithm_of(validate_digest(descriptor.digest))
    upload = _Upload(exchange, repository, descriptor, _as_opener(source), chunk_bytes)
    if not mount_from:
        upload.run(None)
        return False
    mounted = try_mount(exchange, repository, descriptor.digest, from_repository=mount_from)
    if mounted is True:
        return True
    upload.run(mounted if isinstance(mounted, Session) else None)
    return False


def _as_opener(source: Iterable[bytes] | Opener) -> Opener:
    if callable(source):
        return source
    iterators = [iter(source)]

    def open_once(offset: int) -> Iterable[bytes]:
        if offset or not iterators:
            raise NetworkError("The upload broke, and its content can be read only once")
        return iterators.pop()

    return open_once


class _SourceFailure(Exception):
    """Carries an error of the source past the handling of the target's; opened before anybody outside sees it."""

    def __init__(self, error: RegistryError) -> None:
        super().__init__(str(error))
        self.error = error


class _Upload:
    """One blob on its way into one repository."""

    def __init__(
        self, exchange: Exchange, repository: str, descriptor: Descriptor, opener: Opener, chunk_bytes: int | None
    ) -> None:
        self._exchange = exchange
        self._repository = repository
        self._descriptor = descriptor
        self._opener = opener
        self._chunk_bytes = chunk_bytes
        self._attempt = f"Uploading {descriptor.digest} to {repository}"
        self._reading: Generator[bytes, None, None] | None = None
        self._sent_bytes = 0
        self._corrections = 0

    def run(self, session: Session | None) -> None:
        """Fill a session and complete it; begin a new one when it gets lost."""
        for _ in range(_SESSION_LIMIT):
            current = session or open_session(self._exchange, self._repository)
            session = None
            self._sent_bytes = 0
            try:
                self._fill(current)
                return
            except SessionLostError:
                current.cancel()  # first: whatever is asked next may fail as well
                if has_blob(self._exchange, self._repository, self._descriptor.digest):
                    return  # it was complete, only the answer got lost
            except _SourceFailure as failure:
                current.cancel()
                raise failure.error from failure
            except (RegistryError, Stopped) as error:
                if not isinstance(error, NetworkTimeoutError):  # a silent registry would keep us waiting once more
                    current.cancel()
                raise
            finally:
                self._close_reading()
        raise ServerError(f"{self._attempt}: the registry lost the upload {_SESSION_LIMIT} times")

    def _fill(self, session: Session) -> None:
        chunk_bytes = self._first_chunk_bytes()
        offset = 0
        if chunk_bytes is None:
            try:
                self._put_whole(session)
                return
            except TooLargeError:
                if self._descriptor.size_bytes <= SMALLEST_CHUNK_BYTES:
                    raise
            except (NetworkError, ServerError) as error:
                offset = self._recover(session, error)
            chunk_bytes = min(FALLBACK_CHUNK_BYTES, max(self._descriptor.size_bytes // 2, SMALLEST_CHUNK_BYTES))
        self._send_chunks(session, offset, max(chunk_bytes, session.minimum_chunk_bytes))
        self._commit(session)

    def _first_chunk_bytes(self) -> int | None:
        """Return the chunk size to begin with, None for sending all in one request."""
        limit = self._exchange.connection.learned.chunk_limit_bytes
        is_above_limit = limit is not None and self._descriptor.size_bytes > limit
        if self._chunk_bytes is None:
            return limit if is_above_limit else None
        wanted = max(self._chunk_bytes, 1) if limit is None else min(self._chunk_bytes, limit)
        return wanted if self._descriptor.size_bytes > 0 else None

    def _put_whole(self, session: Session) -> None:
        """Send everything in the completing PUT: one request fewer than a PATCH and a PUT."""
        headers = _body_headers(self._descriptor.size_bytes)
        url = session.commit_url(self._descriptor.digest)
        request = Request("PUT", url, self._attempt, headers, lambda: self._counted(self._open(0), 0))
        self._finish(self._send(request))

    def _send_chunks(self, session: Session, offset: int, chunk_bytes: int) -> None:
        """PATCH the rest, holding one chunk in memory, so that it can be sent again without reading it again."""
        if chunk_bytes > LARGEST_CHUNK_BYTES:
            raise TooLargeError(f"{self._attempt}: the registry wants chunks of at least {chunk_bytes} bytes")
        for chunk in _in_chunks(self._open(offset), chunk_bytes):
            self._send_chunk(session, chunk, offset)
            offset += len(chunk)

    def _send_chunk(self, session: Session, chunk: bytes, start: int) -> None:
        done_bytes, limit_bytes = 0, len(chunk)
        while done_bytes < len(chunk):
            part = memoryview(chunk)[done_bytes : done_bytes + limit_bytes]
            try:
                self._patch(session, part, start + done_bytes)
                done_bytes += len(part)
            except TooLargeError:
                limit_bytes = self._smaller(len(part), session)
            except (NetworkError, ServerError) as error:
                done_bytes = self._recover(session, error, refused_at=start + done_bytes) - start
                if not 0 <= done_bytes <= len(chunk):
                    raise SessionLostError from error

    def _patch(self, session: Session, part: memoryview, start: int) -> None:
        # "Content-Range: <start>-<end>", without unit and total; distribution looks at it only beside a length.
        headers = {**_body_headers(len(part)), "Content-Range": f"{start}-{start + len(part) - 1}"}
        request = Request("PATCH", session.url, self._attempt, headers, lambda: self._counted(_in_blocks(part), start))
        answer = self._send(request)
        if answer.status not in CHUNK_ACCEPTED:
            raise self._refused(answer)
        answer.discard()
        session.follow(answer)

    def _smaller(self, refused_bytes: int, session: Session) -> int:
        """Return half of what was refused as too large, and remember it for this registry."""
        smaller = refused_bytes // 2
        if smaller < max(SMALLEST_CHUNK_BYTES, session.minimum_chunk_bytes):
            raise TooLargeError(f"{self._attempt}: the registry refuses even {refused_bytes} bytes in one request")
        learned = self._exchange.connection.learned
        learned.chunk_limit_bytes = min(smaller, learned.chunk_limit_bytes or smaller)
        return smaller

    def _commit(self, session: Session) -> None:
        headers = _body_headers(0)
        request = Request("PUT", session.commit_url(self._descriptor.digest), self._attempt, headers, b"")
        try:
            self._finish(self._send(request))
        except DigestMismatchError as error:
            if not self._corrections:
                raise
            self._corrections = 0  # a corrected offset was wrong after all: once more from the beginning
            raise SessionLostError from error

    def _finish(self, answer: Answer) -> None:
        """Check the answer to the completing PUT: 201, with some registries 204 or 202."""
        if answer.status not in CHUNK_ACCEPTED:
            raise self._refused(answer)
        answer.discard()
        digest, named = self._descriptor.digest, answer.headers.get("Docker-Content-Digest", "")
        if named.partition(":")[0] == digest.partition(":")[0] and named != digest:
            raise DigestMismatchError(f"{self._attempt}: the registry stored {named[:80]}")
        if answer.status == 202 and not has_blob(self._exchange, self._repository, digest):
            raise SessionLostError

    def _refused(self, answer: Answer) -> Exception:
        """Tell apart: the session is gone, the offset is not the registry's, and everything else."""
        error = answer.refusal().error()
        if answer.status == 404 and error.registry_code.upper() != "NAME_UNKNOWN":
            return SessionLostError(str(error))
        if answer.status == 416 and not isinstance(error, TooLargeError):
            return ServerError(error.message, status=416)
        return error

    def _recover(self, session: Session, error: Exception, *, refused_at: int = -1) -> int:
        """Return the offset to go on from after an error of the registry's side."""
        self._corrections += 1
        if self._corrections > _CORRECTION_LIMIT:
            raise error
        self._exchange.check_stop()
        time.sleep(_PAUSE_SECONDS)
        try:
            offset = session.offset(sent_bytes=self._sent_bytes)
        except NetworkError:
            return self._recover(session, error, refused_at=refused_at)
        if getattr(error, "status", None) == 416 and offset == refused_at:
            raise SessionLostError  # it refuses the very offset that it names
        return offset

    def _send(self, request: Request) -> Answer:
        return self._exchange.try_send(request, push(self._repository))

    def _open(self, offset: int) -> Iterator[bytes]:
        self._close_reading()
        self._reading = self._read(offset)
        return self._reading

    def _read(self, offset: int) -> Generator[bytes, None, None]:
        """Yield the source's bytes; its errors are not the target's to recover from."""
        try:
            yield from self._opener(offset)
        except RegistryError as error:
            raise _SourceFailure(error) from error

    def _close_reading(self) -> None:
        """Let go of the source's connection now, not when the garbage is collected."""
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _counted(self, pieces: Iterable[bytes], start: int) -> Iterator[bytes]:
        position = start
        for piece in pieces:
            self._exchange.check_stop()
            position += len(piece)
            self._sent_bytes = max(self._sent_bytes, position)
            if self._exchange.tally is not None:
                self._exchange.tally.count_sent(len(piece))
            yield piece


def _body_headers(size_bytes: int) -> dict[str, str]:
    """Always a length (chunked transfer encoding is refused or buffered by many), and the one type allowed."""
    return {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}


def _in_chunks(pieces: Iterable[bytes], chunk_bytes: int) -> Iterator[bytes]:
    """Join and cut pieces into chunks of exactly this size; the last one may be shorter."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= chunk_bytes:
            yield bytes(waiting[:chunk_bytes])
            del waiting[:chunk_bytes]
    if waiting:
        yield bytes(waiting)


def _in_blocks(part: memoryview) -> Iterator[bytes]:
    for start in range(0, len(part), BLOCK_BYTES):
        yield bytes(part[start : start + BLOCK_BYTES])
