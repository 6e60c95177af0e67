"""Upload routes (distribution-spec, "Pushing blobs", "Mounting a blob from another repository").

The `_state` in each Location is signed over session and offset, as distribution's is (`handlers/blobupload.go`): a
Location older than the last PATCH is refused with BLOB_UPLOAD_INVALID. distribution refuses it for GET as well, which
leaves no way to learn the offset after a break; `MemoryRegistry(strict_upload_state=True)` does the same.
"""

import hashlib
import hmac
import re

from registry.testkit.blobs import blob_target
from registry.testkit.content import DIGEST_PATTERN
from registry.testkit.exchange import Exchange
from registry.testkit.messages import ApiError, Response
from registry.testkit.store import Upload


def open_upload(exchange: Exchange, repository: str) -> Response:
    """Answer POST: mount (201), a whole blob in one request (201), or a new session (202)."""
    registry = exchange.registry
    digest = exchange.argument("mount")
    if digest and _mount(exchange, repository, digest, exchange.argument("from")):
        return _created(exchange, repository, digest)
    upload = registry.store.open_upload(repository, keep=not registry.discard_uploads)
    if exchange.argument("digest") and registry.single_post:
        return _commit(exchange, upload)
    return _progress(exchange, upload, 202)


def answer_upload(exchange: Exchange, repository: str, identifier: str) -> Response:
    """Carry out one request on an open session."""
    upload = exchange.registry.store.upload(repository, identifier)
    method = exchange.request.method
    _check_state(exchange, upload)
    if method in ("GET", "HEAD"):
        return _progress(exchange, upload, 204)
    if method == "PATCH":
        _receive(exchange, upload)
        return _progress(exchange, upload, 202)
    if method == "PUT":
        return _commit(exchange, upload)
    if method == "DELETE":
        exchange.registry.store.close_upload(identifier)
        return Response(204)
    raise ApiError(405, "UNSUPPORTED", "The operation is unsupported.")


def _mount(exchange: Exchange, repository: str, digest: str, source: str) -> bool:
    if not source or not exchange.registry.mount:
        return False
    with exchange.registry.store.reading(source) as kept:
        content = kept.blobs.get(digest)
    if content is None:
        return False
    with exchange.registry.store.changing(repository) as kept:
        kept.blobs[digest] = content
    exchange.tell("mount", {**blob_target(repository, digest, content), "fromRepository": source})
    return True


def _state(exchange: Exchange, upload: Upload, offset: int) -> str:
    signed = f"{upload.identifier} {offset}".encode()
    return f"{offset}.{hmac.digest(exchange.registry.upload_key, signed, hashlib.sha256).hex()}"


def _check_state(exchange: Exchange, upload: Upload) -> None:
    offset, _, _ = exchange.argument("_state").partition(".")
    is_genuine = offset.isdigit() and exchange.argument("_state") == _state(exchange, upload, int(offset))
    must_be_newest = exchange.request.method in ("PATCH", "PUT") or exchange.registry.strict_upload_state
    if not is_genuine or (must_be_newest and int(offset) != upload.size_bytes):
        raise ApiError(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")


def _progress(exchange: Exchange, upload: Upload, status: int) -> Response:
    path = f"/v2/{upload.repository}/blobs/uploads/{upload.identifier}"
    headers = {
        "Location": f"{exchange.link(path)}?_state={_state(exchange, upload, upload.size_bytes)}",
        # 0-0 stands for none and for one byte (seen at distribution 2.8.2).
        "Range": f"0-{max(upload.size_bytes - 1, 0)}",
        "Docker-Upload-Uuid": upload.identifier,
    }
    return Response(status, headers)


def _receive(exchange: Exchange, upload: Upload) -> None:
    content_type = exchange.header("content-type")
    if exchange.request.method == "PATCH" and content_type not in ("", "application/octet-stream"):
        raise ApiError(400, "UNKNOWN", "bad Content-Type")
    given = re.match(r"(\d+)-", exchange.header("content-range"))
    if given and int(given[1]) != upload.size_bytes:
        current = _progress(exchange, upload, 416)
        raise ApiError(416, "RANGE_INVALID", "invalid content range", current.headers)
    for block in exchange.body.blocks():
        upload.append(block)


def _commit(exchange: Exchange, upload: Upload) -> Response:
    _receive(exchange, upload)
    digest = exchange.argument("digest")
    if not DIGEST_PATTERN.fullmatch(digest) or not _is_right(exchange, upload, digest):
        exchange.registry.store.close_upload(upload.identifier)
        raise ApiError(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
    content = upload.content()
    with exchange.registry.store.changing(upload.repository) as kept:
        kept.blobs[digest] = content
    exchange.registry.store.close_upload(upload.identifier)
    exchange.tell("push", blob_target(upload.repository, digest, content))
    return _created(exchange, upload.repository, digest)


def _is_right(exchange: Exchange, upload: Upload, digest: str) -> bool:
    return exchange.registry.accepts_any_digest or upload.digest(digest.partition(":")[0]) == digest


def _created(exchange: Exchange, repository: str, digest: str) -> Response:
    headers = {"Location": exchange.link(f"/v2/{repository}/blobs/{digest}"), "Docker-Content-Digest": digest}
    return Response(201, headers)
