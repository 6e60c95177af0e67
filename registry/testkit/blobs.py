"""Blob routes, with ranges (RFC 9110 §14) and the storage links that blobs can be redirected to."""

import re

from registry.testkit.content import Content, DiscardedContent, PartOfContent, StoredContent
from registry.testkit.exchange import Exchange
from registry.testkit.messages import ApiError, Response

RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def answer_blob(exchange: Exchange, repository: str, digest: str) -> Response:
    """Carry out one request on a blob."""
    method = exchange.request.method
    if method == "DELETE":
        return _delete(exchange, repository, digest)
    if method not in ("GET", "HEAD"):
        raise ApiError(405, "UNSUPPORTED", "The operation is unsupported.")
    content = find_blob(exchange, repository, digest)
    if method == "GET":
        exchange.tell("pull", blob_target(repository, digest, content))
    headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest, "Etag": f'"{digest}"'}
    return serve_content(exchange, content, headers)


def find_blob(exchange: Exchange, repository: str, digest: str) -> Content:
    """Find a blob of a repository or raise BLOB_UNKNOWN."""
    with exchange.registry.store.reading(repository) as kept:
        content = kept.blobs.get(digest)
    if content is None:
        raise ApiError(404, "BLOB_UNKNOWN", "blob unknown to registry")
    return content


def serve_content(exchange: Exchange, content: Content, headers: dict[str, str]) -> Response:
    """Answer with a content or the part of it that was asked for."""
    if exchange.request.method == "GET" and isinstance(content, DiscardedContent):
        raise ApiError(500, "UNKNOWN", "this registry discards what is uploaded; only digest and size are known")
    headers = {**headers, "Accept-Ranges": "bytes"}
    wanted = RANGE.fullmatch(exchange.header("range"))
    if wanted is None:
        return Response(200, headers, content)
    start = int(wanted[1])
    end = min(int(wanted[2]) + 1 if wanted[2] else content.size_bytes, content.size_bytes)
    if start >= content.size_bytes:
        unsatisfied = {"Content-Range": f"bytes */{content.size_bytes}"}
        raise ApiError(416, "RANGE_INVALID", "invalid range", unsatisfied)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{content.size_bytes}"
    return Response(206, headers, PartOfContent(content, start, end))


def _delete(exchange: Exchange, repository: str, digest: str) -> Response:
    if not exchange.registry.delete_enabled:
        raise ApiError(405, "UNSUPPORTED", "The operation is unsupported.")
    with exchange.registry.store.changing(repository) as kept:
        if kept.blobs.pop(digest, None) is None:
            raise ApiError(404, "BLOB_UNKNOWN", "blob unknown to registry")
    exchange.tell("delete", {"repository": repository, "digest": digest})
    return Response(202)


def blob_target(repository: str, digest: str, content: Content) -> dict[str, object]:
    """Describe a blob as notifications do."""
    return {
        "mediaType": "application/octet-stream",
        "digest": digest,
        "size": content.size_bytes,
        "length": content.size_bytes,
        "repository": repository,
    }


def answer_storage_link(exchange: Exchange, key: str) -> Response:
    """Serve a signed link the way object stores do: no second kind of credentials, and 403 when it is over."""
    if exchange.header("authorization"):
        return Response(400, {"Content-Type": "application/xml"}, StoredContent((b"<Code>InvalidArgument</Code>",)))
    content = exchange.registry.use_storage_link(key)
    if content is None:
        return Response(403, {"Content-Type": "application/xml"}, StoredContent((b"<Code>AccessDenied</Code>",)))
    return serve_content(exchange, content, {"Content-Type": "binary/octet-stream"})
