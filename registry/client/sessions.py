"""Upload sessions: opening, asking how far they are, cancelling (OCI distribution-spec, "Pushing blobs")."""

import logging
import re
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol
from urllib.parse import quote

from registry.client.exchange import Exchange
from registry.errors import AuthError, DeniedError, ProtocolError, RegistryError
from registry.guards import resolve_location
from registry.media import Descriptor
from registry.reference import validate_digest, validate_repository_name
from registry.scopes import push
from registry.transport import Answer, Request

logger = logging.getLogger(__name__)

CHUNK_ACCEPTED = frozenset({201, 202, 204})
"""The specification says 202; ECR answers 201, old specifications 204."""
_RANGE = re.compile(r"(?:bytes[= ])?(\d+)-(\d+)")


class SessionLostError(Exception):
    """The registry does not know the session any more, or cannot say how far it is: start another one."""


class ContentRefusedError(SessionLostError):
    """The registry says that what arrived is not the blob, and not all of that was hashed by us: send it once more.

    Nobody knows yet whether the source or the way is to blame. The second time the source's hash tells.
    """


class UploadShelf(Protocol):
    """Where the addresses of open upload sessions lie, for whoever goes on after a worker died. Never raises.

    Addresses may carry signatures: whoever keeps them keeps them like secrets.
    """

    def find(self, repository: str, digest: str) -> str:
        """Return the address of a session that was begun for the blob, "" without one."""

    def keep(self, repository: str, digest: str, location: str) -> None:
        """Keep the newest address of a session."""

    def drop(self, repository: str, digest: str) -> None:
        """Forget a session that has ended."""

    def outlives_stop(self) -> bool:
        """Answer whether work that is stopped now will be gone on with, so that sessions are to be left open."""


class _NoShelf:
    """Keeps nothing."""

    def find(self, repository: str, digest: str) -> str:
        """There is none."""
        return ""

    def keep(self, repository: str, digest: str, location: str) -> None:
        """Nothing to do."""

    def drop(self, repository: str, digest: str) -> None:
        """Nothing to do."""

    def outlives_stop(self) -> bool:
        """Nobody could find it."""
        return False


NO_SHELF: UploadShelf = _NoShelf()


class Session:
    """An open upload session. ``url`` is the newest Location, whose query must stay byte for byte."""

    def __init__(self, exchange: Exchange, repository: str, url: str, *, minimum_chunk_bytes: int = 0) -> None:
        self._exchange = exchange
        self._repository = repository
        self.minimum_chunk_bytes = minimum_chunk_bytes
        self.url = url

    @classmethod
    def opened(cls, exchange: Exchange, repository: str, answer: Answer) -> "Session":
        """Return the session that an answer opened."""
        session = cls(exchange, repository, "", minimum_chunk_bytes=_minimum_chunk(answer))
        session.follow(answer)
        if not session.url:
            raise ProtocolError(f"{answer.request.attempt}: the registry opened an upload without saying where")
        return session

    def follow(self, answer: Answer) -> None:
        """Take over the Location of an answer; it may be relative and is resolved against the request."""
        location = answer.headers.get("Location")
        if location:
            self.url = resolve_location(location, origin=answer.url, attempt=answer.request.attempt)

    def commit_url(self, digest: str) -> str:
        """Return the address that completes the upload: the raw Location with the digest appended."""
        joint = "&" if "?" in self.url else "?"
        return f"{self.url}{joint}digest={quote(digest, safe='')}"

    def offset(self, *, sent_bytes: int) -> int:
        """Ask how many bytes the registry has; SessionLostError when it does not know or says the impossible.

        ``Range: 0-<last>`` is inclusive. distribution says ``0-0`` for both none and one byte: none is assumed.
        """
        attempt = f"Asking how much of an upload to {self._repository} has arrived"
        answer = self._exchange.try_send(Request("GET", self.url, attempt), push(self._repository))
        answer.discard()
        if answer.status not in (200, 202, 204):
            raise SessionLostError
        self.follow(answer)
        found = _RANGE.fullmatch(answer.headers.get("Range", "").strip())
        if found is None or found.group(1) != "0":
            raise SessionLostError
        last = int(found.group(2))
        offset = last + 1 if last else 0
        if offset > sent_bytes:
            raise SessionLostError
        return offset

    def cancel(self) -> None:
        """Give the session up, as well as can be: distribution demands the delete scope for it, others 404."""
        unstoppable = replace(self._exchange, stop=None)
        attempt = f"Cancelling an upload to {self._repository}"
        try:
            unstoppable.try_send(Request("DELETE", self.url, attempt), push(self._repository)).discard()
        except RegistryError as error:
            logger.info("registry.cancel_failed repository=%s code=%s", self._repository, error.code)


def open_session(exchange: Exchange, repository: str) -> Session:
    """Open an upload session. One POST."""
    validate_repository_name(repository)
    scope = push(repository)
    exchange.require_push_right(repository, scope)
    url = exchange.url_of(repository, "blobs/uploads/")
    request = Request("POST", url, f"Opening an upload to {repository}", {"Content-Length": "0"}, b"")
    answer = exchange.send(request, scope, accepted=CHUNK_ACCEPTED)
    answer.discard()
    return Session.opened(exchange, repository, answer)


def find_session(
    exchange: Exchange, repository: str, blob: Descriptor, shelf: UploadShelf, *, fresh: Session | None = None
) -> tuple[Session, int] | None:
    """Return the session that somebody did not come to end, and where to go on; None where the shelf has none.

    One GET, where the shelf has an address. Raise SessionLostError when the registry does not know it any more, as
    distribution (2.8 and 3) does once a request broke in it, and every registry once it was completed.
    A ``fresh`` one is returned instead of None or lost, else cancelled.
    """
    location = shelf.find(repository, blob.digest)
    if not location:
        return (fresh, 0) if fresh else None
    session = Session(exchange, repository, location)
    with ExitStack() as unused:
        if fresh is not None:
            unused.callback(fresh.cancel)
        try:
            return session, session.offset(sent_bytes=blob.size_bytes)
        except SessionLostError:
            shelf.drop(repository, blob.digest)
            if fresh is None:
                raise
            unused.pop_all()
    return fresh, 0


def give_up_session(exchange: Exchange, repository: str, digest: str, shelf: UploadShelf) -> None:
    """Cancel the session that the shelf has for a blob, if it has one: the blob is there without it."""
    if location := shelf.find(repository, digest):
        Session(exchange, repository, location).cancel()
        shelf.drop(repository, digest)


def try_mount(exchange: Exchange, repository: str, digest: str, *, from_repository: str) -> bool | Session:
    """Ask the registry to take the blob from another repository: True, False, or the session it opened instead.

    Always with ``from``: without it Quay fails and distribution ignores the mount.
    """
    validate_repository_name(repository)
    validate_repository_name(from_repository)
    validate_digest(digest)
    query = f"mount={quote(digest, safe='')}&from={quote(from_repository, safe='')}"
    url = exchange.url_of(repository, f"blobs/uploads/?{query}")
    attempt = f"Mounting {digest} from {from_repository} into {repository}"
    request = Request("POST", url, attempt, {"Content-Length": "0"}, b"")
    try:
        answer = exchange.try_send(request, push(repository).and_pull(from_repository))
    except (AuthError, DeniedError):
        return False  # no right to read the other repository; the plain upload tells what is really wrong
    if answer.status == 201:
        answer.discard()
        return True
    if answer.status == 202 and answer.headers.get("Location"):
        answer.discard()
        return Session.opened(exchange, repository, answer)
    error = answer.refusal().error()
    if 400 <= answer.status < 500 and not error.is_temporary:
        return False
    raise error


def mount_blob(exchange: Exchange, repository: str, digest: str, *, from_repository: str) -> bool:
    """Answer whether the blob is now in the repository without moving a byte; an opened session is cancelled."""
    mounted = try_mount(exchange, repository, digest, from_repository=from_repository)
    if isinstance(mounted, Session):
        mounted.cancel()
        return False
    return mounted


def body_headers(size_bytes: int, *, start: int = 0, has_range: bool = False) -> dict[str, str]:
    """Always a length (chunked transfer encoding is refused or buffered by many), and the one type allowed.

    "Content-Range: <start>-<end>" comes without unit and total; distribution looks at it only beside a length.
    """
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
    if size_bytes and (start or has_range):
        headers["Content-Range"] = f"{start}-{start + size_bytes - 1}"
    return headers


def _minimum_chunk(answer: Answer) -> int:
    value = answer.headers.get("OCI-Chunk-Min-Length", "")
    return int(value) if value.isdecimal() and len(value) < 16 else 0
