"""Manifest routes (distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting Manifests")."""

import json

from registry.testkit.content import DIGEST_PATTERN, StoredContent, digest_of
from registry.testkit.exchange import Exchange
from registry.testkit.images import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from registry.testkit.messages import ApiError, Response
from registry.testkit.store import StoredManifest

KNOWN_TYPES = frozenset({DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST})
NOT_CONVERTED = frozenset({OCI_INDEX, OCI_MANIFEST})


def answer_manifest(exchange: Exchange, repository: str, reference: str) -> Response:
    """Carry out one request on a manifest."""
    method = exchange.request.method
    if method in ("GET", "HEAD"):
        return _get(exchange, repository, reference)
    if method == "PUT":
        return _put(exchange, repository, reference)
    if method == "DELETE":
        return _delete(exchange, repository, reference)
    raise ApiError(405, "UNSUPPORTED", "The operation is unsupported.")


def _get(exchange: Exchange, repository: str, reference: str) -> Response:
    with exchange.registry.store.reading(repository) as kept:
        digest = kept.tags.get(reference, reference)
        stored = kept.manifests.get(digest)
    if stored is None:
        raise ApiError(404, "MANIFEST_UNKNOWN", "manifest unknown")
    if stored.media_type in NOT_CONVERTED and stored.media_type not in exchange.header("accept"):
        # distribution 2.8.2 looks for the exact type; */* is not enough.
        message = "OCI manifest found, but accept header does not support OCI manifests"
        raise ApiError(404, "MANIFEST_UNKNOWN", message)
    if exchange.header("if-none-match").strip('"') == digest:
        return Response(304)
    exchange.tell("pull", _target(repository, digest, stored, reference))
    headers = {"Content-Type": stored.media_type, "Docker-Content-Digest": digest, "Etag": f'"{digest}"'}
    return Response(200, headers, StoredContent((stored.content,)))


def _put(exchange: Exchange, repository: str, reference: str) -> Response:
    content = exchange.body.read()
    media_type = exchange.header("content-type").partition(";")[0].strip()
    _check_shape(content, media_type)
    tag = None if DIGEST_PATTERN.fullmatch(reference) else reference
    digest = digest_of(content) if tag else digest_of(content, reference.partition(":")[0])
    if tag is None and digest != reference:
        raise ApiError(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
    stored = StoredManifest(media_type, content)
    sparse = exchange.registry.sparse_indexes
    with exchange.registry.store.changing(repository) as kept:
        _check_condition(exchange, kept.tags.get(reference))
        exchange.registry.store.put_manifest(repository, digest, stored, tag, sparse=sparse)
    exchange.tell("push", _target(repository, digest, stored, reference))
    headers = {
        "Location": exchange.link(f"/v2/{repository}/manifests/{digest}"),
        "Docker-Content-Digest": digest,
    }
    if exchange.registry.referrers and stored.subject is not None:
        headers["Oci-Subject"] = stored.subject["digest"]
    return Response(201, headers)


def _check_condition(exchange: Exchange, present: str | None) -> None:
    """Refuse what was meant for another state of the tag (RFC 9110 §13.1.1)."""
    expected = exchange.header("if-match").strip('"')
    if expected and present != expected:
        raise ApiError(412, "PRECONDITION_FAILED", "the tag has changed")


def _check_shape(content: bytes, media_type: str) -> None:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise ApiError(400, "MANIFEST_INVALID", "manifest invalid") from error
    if media_type not in KNOWN_TYPES or document.get("mediaType", media_type) != media_type:
        raise ApiError(400, "MANIFEST_INVALID", "manifest invalid: media type")


def _delete(exchange: Exchange, repository: str, reference: str) -> Response:
    registry = exchange.registry
    is_digest = bool(DIGEST_PATTERN.fullmatch(reference))
    if not registry.delete_enabled or (not is_digest and not registry.tag_delete):
        raise ApiError(405, "UNSUPPORTED", "The operation is unsupported.")
    if is_digest:
        registry.store.delete_manifest(repository, reference)
        exchange.tell("delete", {"repository": repository, "digest": reference})
        return Response(202)
    with registry.store.changing(repository) as kept:
        if kept.tags.pop(reference, None) is None:
            raise ApiError(404, "MANIFEST_UNKNOWN", "manifest unknown")
    exchange.tell("delete", {"repository": repository, "tag": reference})
    return Response(202)


def _target(repository: str, digest: str, stored: StoredManifest, reference: str) -> dict[str, object]:
    target: dict[str, object] = {
        "mediaType": stored.media_type,
        "digest": digest,
        "size": len(stored.content),
        "length": len(stored.content),
        "repository": repository,
    }
    return target if reference == digest else {**target, "tag": reference}
