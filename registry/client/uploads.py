"""Writing blobs: mount, else one POST and one PUT, else chunks (OCI distribution-spec, "Pushing blobs").

What has been sent is counted here and that count is the truth: registries report odd ``Range`` values (ECR's
sticks at the first chunk, zot's and Aliyun's were wrong: regclient #961, #627). The registry is asked only after
an error, at most ten times, and believed only when its answer is possible.
"""

import logging
import time

from registry.client.blobs import has_blob
from registry.client.exchange import Exchange
from registry.client.feeding import Feed, Opener, SourceFailure, as_opener, in_blocks, in_chunks
from registry.client.proving import refuses_content
from registry.client.sessions import (
    CHUNK_ACCEPTED,
    NO_SHELF,
    ContentRefusedError,
    Session,
    SessionLostError,
    UploadShelf,
    body_headers,
    find_session,
    give_up_session,
    open_session,
    try_mount,
)
from registry.digests import algorithm_of
from registry.errors import (
    DigestMismatchError,
    NetworkError,
    NetworkTimeoutError,
    RateLimitedError,
    RegistryError,
    ServerError,
    Stopped,
    TooLargeError,
)
from registry.media import Descriptor
from registry.reference import validate_digest, validate_repository_name
from registry.scopes import push
from registry.transport import Answer, Request
from registry.wire import Pieces

logger = logging.getLogger(__name__)

FALLBACK_CHUNK_BYTES = 4 << 20
"""GitHub's registry refuses more than 4 MiB."""
LARGEST_CHUNK_BYTES = 64 << 20
SMALLEST_CHUNK_BYTES = 64 << 10
SHELVED_BYTES = 8 << 20
"""Sessions of blobs that large are kept for those who go on after a worker died; smaller ones are quickly sent anew."""
_CORRECTION_LIMIT = 10
_SESSION_LIMIT = 3
_PAUSE_SECONDS = 0.25
_WORTH_GOING_ON = (NetworkError, ServerError, RateLimitedError)


def upload_blob(
    exchange: Exchange,
    repository: str,
    descriptor: Descriptor,
    source: Pieces | Opener,
    *,
    mount_from: str = "",
    chunk_bytes: int | None = None,
    shelf: UploadShelf = NO_SHELF,
) -> bool:
    """Put a blob into the repository; return whether it was mounted and no byte was sent.

    A ``source`` that can be opened again survives broken connections and lost sessions, a plain iterable does not.
    """
    validate_repository_name(repository)
    algorithm_of(validate_digest(descriptor.digest))
    if descriptor.size_bytes < SHELVED_BYTES:
        shelf = NO_SHELF
    upload = _Upload(exchange, repository, descriptor, Feed(exchange, as_opener(source)), chunk_bytes, shelf)
    if not mount_from:
        upload.run(None)
        return False
    mounted = try_mount(exchange, repository, descriptor.digest, from_repository=mount_from)
    if mounted is True:
        give_up_session(exchange, repository, descriptor.digest, shelf)
        return True
    upload.run(mounted if isinstance(mounted, Session) else None)
    return False


class _Upload:
    """One blob on its way into one repository."""

    def __init__(
        self,
        exchange: Exchange,
        repository: str,
        descriptor: Descriptor,
        feed: Feed,
        chunk_bytes: int | None,
        shelf: UploadShelf,
    ) -> None:
        self._exchange = exchange
        self._repository = repository
        self._descriptor = descriptor
        self._feed = feed
        self._chunk_bytes = chunk_bytes
        self._shelf = shelf
        self._attempt = f"Uploading {descriptor.digest} to {repository}"
        self._corrections = 0
        self._is_pieced = False
        """The registry has bytes of a broken request, or of somebody else: only its own check knows what they are."""

    def run(self, fresh: Session | None) -> None:
        """Fill a session and complete it; begin a new one when it gets lost. The shelf's goes before a fresh one."""
        try:
            begun = find_session(self._exchange, self._repository, self._descriptor, self._shelf, fresh=fresh)
        except SessionLostError:
            if has_blob(self._exchange, self._repository, self._descriptor.digest):
                return  # somebody completed it before he died
            begun = None
        for lost_sessions in range(_SESSION_LIMIT):
            if lost_sessions:
                self._exchange.count_retry()
            current, offset = begun or (open_session(self._exchange, self._repository), 0)
            begun = None
            self._begin(current, offset)
            try:
                self._fill(current, offset)
                self._shelf.drop(self._repository, self._descriptor.digest)
                return
            except ContentRefusedError:
                self._end(current)
            except SessionLostError:
                self._end(current)  # first: whatever is asked next may fail as well
                if has_blob(self._exchange, self._repository, self._descriptor.digest):
                    return  # it was complete, only the answer got lost
            except SourceFailure as failure:
                self._leave(current, failure.error)
                raise failure.error from failure
            except (RegistryError, Stopped) as error:
                self._leave(current, error)
                raise
            finally:
                self._feed.close()
        raise ServerError(f"{self._attempt}: the registry lost the upload {_SESSION_LIMIT} times")

    def _begin(self, session: Session, offset: int) -> None:
        """Go on with a session that has so many bytes already."""
        self._feed.sent_bytes = offset
        self._is_pieced = offset > 0
        self._keep(session)

    def _keep(self, session: Session) -> None:
        self._shelf.keep(self._repository, self._descriptor.digest, session.url)

    def _end(self, session: Session) -> None:
        session.cancel()
        self._shelf.drop(self._repository, self._descriptor.digest)

    def _leave(self, session: Session, error: Exception) -> None:
        """Leave a session to the next attempt, where it is kept and one makes sense; else cancel it."""
        is_going_on = isinstance(error, _WORTH_GOING_ON) or (isinstance(error, Stopped) and self._shelf.outlives_stop())
        if self._shelf is not NO_SHELF and is_going_on:
            return
        if isinstance(error, NetworkTimeoutError):
            return  # a silent registry would keep us waiting once more
        self._end(session)

    def _fill(self, session: Session, offset: int) -> None:
        chunk_bytes = self._first_chunk_bytes()
        if chunk_bytes is None:
            try:
                self._put(session, offset)
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

    def _put(self, session: Session, offset: int) -> None:
        """Send all there is left in the completing PUT: one request fewer than a PATCH and a PUT."""
        headers = body_headers(self._descriptor.size_bytes - offset, start=offset)
        url = session.commit_url(self._descriptor.digest)
        request = Request(
            "PUT", url, self._attempt, headers, lambda: self._feed.counted(self._feed.open(offset), offset)
        )
        self._complete(request)

    def _send_chunks(self, session: Session, offset: int, chunk_bytes: int) -> None:
        """PATCH the rest, holding one chunk in memory, so that it can be sent again without reading it again."""
        if chunk_bytes > LARGEST_CHUNK_BYTES:
            raise TooLargeError(f"{self._attempt}: the registry wants chunks of at least {chunk_bytes} bytes")
        if not offset:
            self._feed.hash_from_now_on()  # what the registry has proven was for a blob in one request
        for chunk in in_chunks(self._feed.open(offset), chunk_bytes):
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
        headers = body_headers(len(part), start=start, has_range=True)
        request = Request(
            "PATCH", session.url, self._attempt, headers, lambda: self._feed.counted(in_blocks(part), start)
        )
        answer = self._exchange.try_send(request, push(self._repository))
        if answer.status not in CHUNK_ACCEPTED:
            raise self._refused(answer)
        answer.discard()
        session.follow(answer)
        self._keep(session)

    def _smaller(self, refused_bytes: int, session: Session) -> int:
        """Return half of what was refused as too large, and remember it for this registry."""
        smaller = refused_bytes // 2
        if smaller < max(SMALLEST_CHUNK_BYTES, session.minimum_chunk_bytes):
            raise TooLargeError(f"{self._attempt}: the registry refuses even {refused_bytes} bytes in one request")
        learned = self._exchange.connection.learned
        learned.chunk_limit_bytes = min(smaller, learned.chunk_limit_bytes or smaller)
        return smaller

    def _commit(self, session: Session) -> None:
        headers = body_headers(0)
        self._complete(Request("PUT", session.commit_url(self._descriptor.digest), self._attempt, headers, b""))

    def _complete(self, request: Request) -> None:
        """Send the completing PUT; what is refused without having been hashed here is sent once more, and hashed."""
        try:
            self._finish(self._exchange.try_send(request, push(self._repository)))
        except RegistryError as error:
            if not refuses_content(error):
                raise
            was_unhashed = self._feed.hash_from_now_on()
            if not (was_unhashed or self._is_pieced):
                raise
            self._is_pieced = False
            logger.warning("registry.content_refused repository=%s error=%s", self._repository, error)
            raise ContentRefusedError from error

    def _finish(self, answer: Answer) -> None:
        """Check the answer to the completing PUT: 201, with some registries 204 or 202."""
        if answer.status not in CHUNK_ACCEPTED:
            raise self._refused(answer)
        answer.discard()
        digest, named = self._descriptor.digest, answer.headers.get("Docker-Content-Digest", "")
        if named.partition(":")[0] == digest.partition(":")[0] and named != digest:
            self._exchange.connection.learned.verifies_uploads = False
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
        self._is_pieced = True
        if self._corrections > _CORRECTION_LIMIT:
            raise error
        self._exchange.check_stop()
        self._exchange.count_retry()
        time.sleep(_PAUSE_SECONDS)
        try:
            offset = session.offset(sent_bytes=self._feed.sent_bytes)
        except NetworkError:
            return self._recover(session, error, refused_at=refused_at)
        if getattr(error, "status", None) == 416 and offset == refused_at:
            raise SessionLostError  # it refuses the very offset that it names
        return offset
