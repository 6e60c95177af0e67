"""The registry client: one object per piece of work, its verbs sorted by noun into the modules beside this one."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager

from registry.client import blobs, deletion, fallback, listings, manifests, proving, referrers, sessions, uploads
from registry.client.blobs import SMALL_BLOB_BYTES, BlobSource
from registry.client.exchange import Exchange, StopFlag
from registry.client.feeding import Opener, TrustingOpener
from registry.client.proving import may_go_unhashed
from registry.client.referrers import ReferrerList
from registry.client.sessions import NO_SHELF, UploadShelf
from registry.connection import Connection
from registry.errors import ProtocolError, UnsupportedError
from registry.kinds import find_kind
from registry.media import Descriptor, Manifest
from registry.reference import validate_repository_name
from registry.refusals import is_web_page
from registry.scopes import NO_SCOPE
from registry.tally import Tally
from registry.transport import Request
from registry.wire import Pieces

__all__ = [
    "NO_SHELF",
    "BlobSource",
    "Opener",
    "ReferrerList",
    "RegistryClient",
    "StopFlag",
    "TrustingOpener",
    "UploadShelf",
    "may_go_unhashed",
]

_PING_LIMIT_BYTES = 1 << 20


class RegistryClient:
    """Speaks the OCI distribution protocol over a Connection. Cheap to make; make one per piece of work.

    ``stop`` is looked at before every request and for every buffer; once set, Stopped is raised. Names that are none
    raise ValueError, everything else RegistryError.
    """

    def __init__(self, connection: Connection, *, stop: StopFlag | None = None, tally: Tally | None = None) -> None:
        self._exchange = Exchange(connection, stop, tally)

    @property
    def connection(self) -> Connection:
        """The long-lived side."""
        return self._exchange.connection

    @property
    def stop(self) -> StopFlag | None:
        """The stop flag."""
        return self._exchange.stop

    def with_stop(self, stop: StopFlag) -> "RegistryClient":
        """Return a client like this one that obeys another stop flag."""
        return RegistryClient(self.connection, stop=stop, tally=self._exchange.tally)

    def ping(self) -> None:
        """Raise unless a registry answers at ``/v2/`` and accepts our credentials. One request, two with tokens."""
        request = Request("GET", self.connection.url_of(""), f"Logging in to {self.connection.base_url}")
        answer = self._exchange.send(request, NO_SCOPE)
        body = answer.read(_PING_LIMIT_BYTES)
        if is_web_page(answer.headers, body):
            raise ProtocolError(f"{request.attempt}: a web page answered, not a registry")

    def repositories(self) -> Iterator[str]:
        """Yield the catalogue's repositories, streamed page by page.

        Raise UnsupportedError where there is no catalogue, DeniedError where the account may not read it.
        """
        kind = find_kind(self.connection.settings.kind)
        if kind is not None and not kind.has_catalogue:
            raise UnsupportedError(f"Reading the catalogue: {kind.title} has none")
        return listings.iterate_repositories(self._exchange)

    def tags(self, repository: str) -> list[str]:
        """Return the repository's tags, sorted; entries that are no tags are dropped.

        ``[]`` means that there are none, NotFoundError that the registry does not know the repository.
        """
        return listings.list_tags(self._exchange, self._name(repository))

    def head_manifest(self, repository: str, reference: str) -> Descriptor | None:
        """Return type, digest and size of a manifest; None only when it is really not there. One HEAD."""
        return manifests.head_manifest(self._exchange, self._name(repository), reference)

    def is_misnamed(self, repository: str, tag: str, digest: str) -> bool:
        """Answer whether HEAD on the tag names this digest, of which the caller knows that it is not there. One HEAD.

        If so, manifests are read from now on to know their digests.
        """
        return manifests.is_misnamed(self._exchange, self._name(repository), tag, digest)

    def get_manifest(self, repository: str, reference: str) -> Manifest:
        """Return a verified manifest. One GET, which Docker Hub counts as a pull."""
        return manifests.get_manifest(self._exchange, self._name(repository), reference)

    def put_manifest(self, repository: str, reference: str, manifest: Manifest) -> str:
        """Store exactly the manifest's bytes under a tag or its digest; return the digest. One PUT."""
        return manifests.put_manifest(self._exchange, self._name(repository), reference, manifest)

    def referrers(self, repository: str, digest: str, *, known_tags: Collection[str] | None = None) -> ReferrerList:
        """Return what refers to a manifest: from the API, else from the fallback tag, if it is among ``known_tags``."""
        return referrers.list_referrers(self._exchange, self._name(repository), digest, known_tags=known_tags)

    def referrers_version(self, repository: str, digest: str, *, known_tags: Collection[str] | None = None) -> str:
        """Return what changes when `referrers` does; empty when nothing refers to the manifest. At most one request."""
        return referrers.referrers_version(self._exchange, self._name(repository), digest, known_tags=known_tags)

    def has_referrers_api(self, repository: str, digest: str) -> bool:
        """Answer whether the registry lists referrers itself. One GET, the first time."""
        return referrers.has_api(self._exchange, self._name(repository), digest)

    def keeps_referrers(self, repository: str, digest: str) -> bool:
        """Answer whether the registry takes note of what is pushed with a subject, such as this one.

        What it said to the last such push is the truth; before any the API's presence is.
        """
        acknowledges = self.connection.learned.acknowledges_subject
        return self.has_referrers_api(repository, digest) if acknowledges is None else acknowledges

    def list_under_fallback_tag(self, repository: str, subject: str, manifests: Sequence[Manifest]) -> frozenset[str]:
        """See to it that the subject's fallback tag lists these referrers; return the digests that it did not list."""
        return fallback.add_to_index(self._exchange, self._name(repository), subject, manifests)

    def put_referrer(self, repository: str, manifest: Manifest) -> str:
        """Store a manifest with a subject by its digest, and list it where the registry does not do so itself."""
        digest = self.put_manifest(repository, manifest.digest, manifest)
        if manifest.subject is not None and not self.keeps_referrers(repository, manifest.subject.digest):
            self.list_under_fallback_tag(repository, manifest.subject.digest, [manifest])
        return digest

    def has_blob(self, repository: str, digest: str) -> bool:
        """Answer whether the repository has the blob. One HEAD."""
        return blobs.has_blob(self._exchange, self._name(repository), digest)

    def blob_source(self, repository: str, descriptor: Descriptor) -> BlobSource:
        """Return the blob as something to open at any offset, verified and resumed; nothing is asked yet."""
        return BlobSource(self._exchange, self._name(repository), descriptor)

    @contextmanager
    def read_blob(self, repository: str, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        """Give the blob's bytes; size and digest are verified before the last piece comes.

        A broken connection is resumed. Raise DigestMismatchError when the content is another.
        """
        with closing(self.blob_source(repository, descriptor).open()) as pieces:
            yield pieces

    def get_blob_bytes(self, repository: str, descriptor: Descriptor, *, limit_bytes: int = SMALL_BLOB_BYTES) -> bytes:
        """Return a small blob as a whole; TooLargeError above the limit."""
        return blobs.get_blob_bytes(self._exchange, self._name(repository), descriptor, limit_bytes=limit_bytes)

    def mount_blob(self, repository: str, digest: str, *, from_repository: str) -> bool:
        """Answer whether the registry took the blob over from another of its repositories. One POST."""
        source = self._name(from_repository)
        return sessions.mount_blob(self._exchange, self._name(repository), digest, from_repository=source)

    def verifies_uploads(self, repository: str) -> bool:
        """Answer whether the registry is known to verify what it is sent; at most three requests, the first time.

        The repository has to be one that is about to be pushed to. Raise Stopped only.
        """
        return proving.verifies_uploads(self._exchange, self._name(repository))

    def upload_blob(
        self,
        repository: str,
        descriptor: Descriptor,
        source: Pieces | Opener,
        *,
        mount_from: str = "",
        chunk_bytes: int | None = None,
        shelf: UploadShelf = NO_SHELF,
    ) -> bool:
        """Put a blob into the repository; return whether it was mounted from ``mount_from`` instead of sent.

        ``source`` is the bytes, or a function that opens them at an offset, so that broken uploads can go on. A
        ``TrustingOpener`` leaves the verification to the registry, until that refuses what it got.
        ``chunk_bytes`` sends chunks of that size; without it one PUT is tried first. ``shelf`` has the sessions of
        large blobs that others began and did not end.
        """
        return uploads.upload_blob(
            self._exchange,
            self._name(repository),
            descriptor,
            source,
            mount_from=self._name(mount_from) if mount_from else "",
            chunk_bytes=chunk_bytes,
            shelf=shelf,
        )

    def delete_manifest(self, repository: str, digest: str) -> None:
        """Delete a manifest with all its tags; one that is not there counts as deleted."""
        deletion.delete_manifest(self._exchange, self._name(repository), digest)

    def delete_tags(self, repository: str, tags: Collection[str], *, digest: str) -> tuple[str, ...]:
        """Delete those of the tags that point at the digest, never any other; return which of them are gone.

        Raise SiblingTagsError when the registry can delete by digest only and other tags share it.
        """
        return deletion.delete_tags(self._exchange, self._name(repository), tags, digest=digest)

    def _name(self, repository: str) -> str:
        return self.connection.repository_path(validate_repository_name(repository))
