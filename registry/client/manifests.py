"""Reading and writing manifests (OCI distribution-spec, "Pulling manifests", "Pushing Manifests")."""

import logging

from registry.client.exchange import Exchange
from registry.digests import ALGORITHMS, digest_of, is_content_of
from registry.errors import (
    DigestMismatchError,
    NotFoundError,
    ProtocolError,
    RegistryError,
    TooLargeError,
    UnsupportedError,
)
from registry.media import (
    ACCEPT,
    MANIFEST_TYPES,
    PULL_LIMIT_BYTES,
    PUSH_WARNING_BYTES,
    Descriptor,
    Manifest,
    media_type_of,
)
from registry.reference import is_digest, validate_repository_name, validate_tag_or_digest
from registry.scopes import pull, push
from registry.transport import Answer, Request

logger = logging.getLogger(__name__)

_HEAD_REFUSED = frozenset({400, 403, 405, 406, 501})
"""Artifactory answers 403 to HEAD of a missing manifest (RTFACT-13797); others have HEAD switched off."""


def head_manifest(exchange: Exchange, repository: str, reference: str) -> Descriptor | None:
    """Return type, digest and size; None only when the registry knows no such manifest.

    One HEAD; a GET as well (or instead, once this is known) where HEAD is refused or does not say all.
    """
    _validate(repository, reference)
    learned = exchange.connection.learned
    if learned.head_names_digest:
        answer = exchange.try_send(_request(exchange, "HEAD", repository, reference), pull(repository))
        answer.close()
        described = _described(answer, reference)
        if described is not None:
            return described
        is_page = media_type_of(answer.headers.get("Content-Type")) == "text/html"
        if answer.status == 404 and not is_page:
            return None
        if answer.status not in _HEAD_REFUSED | {200, 404}:
            raise answer.refusal().error()
        if answer.status == 200 and not is_page:
            learned.head_names_digest = False
    try:
        manifest = get_manifest(exchange, repository, reference)
    except NotFoundError:
        return None
    return Descriptor(manifest.media_type, manifest.digest, manifest.size_bytes)


def is_misnamed(exchange: Exchange, repository: str, tag: str, digest: str) -> bool:
    """Answer whether HEAD on the tag names a digest that is known not to be there; then HEAD is believed no more."""
    _validate(repository, tag)
    answer = exchange.try_send(_request(exchange, "HEAD", repository, tag), pull(repository))
    answer.close()
    described = _described(answer, tag)
    if described is None or described.digest != digest:
        return False
    exchange.connection.learned.head_names_digest = False
    return True


def get_manifest(exchange: Exchange, repository: str, reference: str) -> Manifest:
    """Return the manifest; by digest it is verified, by tag our own hash is the truth."""
    return get_with_etag(exchange, repository, reference)[0]


def get_with_etag(exchange: Exchange, repository: str, reference: str) -> tuple[Manifest, str]:
    """Return the manifest and the ETag it came with, for `put_manifest`; no ETag, or a weak one, is ""."""
    _validate(repository, reference)
    answer = _get(exchange, repository, reference)
    etag = answer.headers.get("ETag", "")
    content = _read(answer)
    if is_digest(reference):
        _verify(content, reference, answer)
        return _parsed(answer, content, reference), _strong(etag)
    named = answer.headers.get("Docker-Content-Digest", "")
    if is_digest(named) and named.partition(":")[0] in ALGORITHMS and not is_content_of(named, content):
        # Either the bytes were damaged on the way or the header is wrong ("so many registries implement this
        # incorrectly", go-containerregistry). Asking for the named digest tells which.
        try:
            return get_manifest(exchange, repository, named), _strong(etag)
        except RegistryError as error:
            if error.is_temporary:  # what it names is there, but damaged again, or nobody could tell
                raise
            logger.warning("registry.wrong_digest_header repository=%s reference=%s", repository, reference)
    return _parsed(answer, content, ""), _strong(etag)


def _strong(etag: str) -> str:
    """If-Match never matches by a weak ETag (RFC 9110 §13.1.1)."""
    return "" if etag.startswith("W/") else etag


def put_manifest(exchange: Exchange, repository: str, reference: str, manifest: Manifest, *, if_match: str = "") -> str:
    """Store exactly these bytes under a tag or their digest and return the digest.

    With ``if_match`` only where the tag still has that ETag; registries that know it answer 412 otherwise.
    Raise BlobUnknownError when something it refers to is missing, ImmutableError, QuotaExceededError,
    UnsupportedError when the registry cannot store such a type.
    """
    _validate(repository, reference)
    attempt = f"Pushing the manifest {repository}{_joint(reference)}{reference}"
    if manifest.size_bytes > PUSH_WARNING_BYTES:
        logger.warning("registry.large_manifest repository=%s size_bytes=%d", repository, manifest.size_bytes)
    url = exchange.url_of(repository, f"manifests/{reference}")
    headers = {"Content-Type": manifest.media_type, **({"If-Match": if_match} if if_match else {})}
    answer = exchange.try_send(Request("PUT", url, attempt, headers, manifest.content), push(repository))
    if answer.status not in (200, 201, 202, 204):
        raise _put_refused(answer, manifest)
    answer.discard()
    if manifest.subject is not None:
        exchange.connection.learned.acknowledges_subject = "OCI-Subject" in answer.headers
    named = answer.headers.get("Docker-Content-Digest", "")
    if named.startswith(manifest.digest.partition(":")[0] + ":") and named != manifest.digest:
        raise DigestMismatchError(f"{attempt}: the registry stored {named[:80]} instead of {manifest.digest}")
    return manifest.digest


def _put_refused(answer: Answer, manifest: Manifest) -> RegistryError:
    error = answer.refusal().error()
    is_about_type = error.status == 415 or error.registry_code.upper() == "MANIFEST_INVALID"
    if not (isinstance(error, UnsupportedError) and is_about_type):
        return error
    return UnsupportedError(
        f"{error.message} (it may not store {manifest.media_type})",
        status=error.status,
        registry_code=error.registry_code,
    )


def _validate(repository: str, reference: str) -> None:
    validate_repository_name(repository)
    validate_tag_or_digest(reference)


def _joint(reference: str) -> str:
    return "@" if ":" in reference else ":"


def _request(exchange: Exchange, method: str, repository: str, reference: str) -> Request:
    attempt = f"Reading the manifest {repository}{_joint(reference)}{reference}"
    return Request(method, exchange.url_of(repository, f"manifests/{reference}"), attempt, {"Accept": ACCEPT})


def _get(exchange: Exchange, repository: str, reference: str) -> Answer:
    return exchange.send(_request(exchange, "GET", repository, reference), pull(repository))


def _read(answer: Answer) -> bytes:
    length = answer.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > PULL_LIMIT_BYTES:
        answer.close()
        raise TooLargeError(f"{answer.request.attempt}: it has {length} bytes, more than {PULL_LIMIT_BYTES}")
    return answer.read(PULL_LIMIT_BYTES)


def _verify(content: bytes, digest: str, answer: Answer) -> None:
    if not is_content_of(digest, content):
        came = digest_of(content)
        raise DigestMismatchError(f"{answer.request.attempt}: the registry sent other content, {came}")


def _parsed(answer: Answer, content: bytes, digest: str) -> Manifest:
    try:
        return Manifest.parse(content, content_type=answer.headers.get("Content-Type"), digest=digest)
    except (ProtocolError, UnsupportedError) as error:
        raise type(error)(f"{answer.request.attempt}: {error.message}") from error


def _described(answer: Answer, reference: str) -> Descriptor | None:
    """Return the descriptor a HEAD answer gives, None when it lacks a part or contradicts the digest asked for."""
    if answer.status != 200:
        return None
    media_type = media_type_of(answer.headers.get("Content-Type"))
    digest = answer.headers.get("Docker-Content-Digest", "")
    length = answer.headers.get("Content-Length", "")
    if media_type not in MANIFEST_TYPES or not is_digest(digest) or not length.isdecimal():
        return None
    if is_digest(reference) and digest != reference:
        return None
    return Descriptor(media_type, digest, int(length))
