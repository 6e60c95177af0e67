"""The misbehaviours that registries are known for, by name. Each gives a `Fault`; `times=None` keeps it for good."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from registry.testkit.content import StoredContent, read_all
from registry.testkit.faults import Fault
from registry.testkit.messages import Request, Response, error_response

BLOB = r"/blobs/[a-z0-9]+:[0-9a-f]+"
UPLOAD = r"/blobs/uploads/[^/?]+"
UPLOADS = r"/blobs/uploads/"
MANIFEST = r"/manifests/"
LISTING = r"/(tags/list|_catalog)"


def _answer(method: str, pattern: str, response: Response, times: int | None) -> Fault:
    return Fault(
        method=method,
        path_pattern=pattern,
        times=times,
        status=response.status,
        headers=response.headers,
        body=read_all(response.content),
    )


def _alter(method: str, pattern: str, rewrite: Callable[[Response, Request], Response], times: int | None) -> Fault:
    return Fault(method=method, path_pattern=pattern, times=times, action="alter", rewrite=rewrite)


def unauthorized_in_mid_upload(times: int | None = 1, *, method: str = "PUT|PATCH") -> Fault:
    """The token ran out while a layer was on its way (moby #33558)."""
    return Fault(method=method, path_pattern=UPLOAD, times=times, action="challenge")


def unauthorized_without_challenge(times: int | None = 1, *, pattern: str = MANIFEST) -> Fault:
    """401, no WWW-Authenticate, no body (gcr.io once did)."""
    return Fault(path_pattern=pattern, times=times, status=401)


def session_lost(times: int | None = 1, *, method: str = "PUT|PATCH|GET") -> Fault:
    """Registries of several nodes without shared storage do not know their own upload session."""
    return _answer(method, UPLOAD, error_response(404, "BLOB_UPLOAD_UNKNOWN"), times)


def stuck_range(value: str = "0-0", times: int | None = None) -> Fault:
    """The data is stored but `Range` never moves (ECR; zot and Aliyun gave odd values: regclient #961, #627)."""
    return _alter("GET|PATCH|POST", UPLOADS, lambda response, request: response.with_headers(range=value), times)


def relative_location(times: int | None = None) -> Fault:
    """`Location` without scheme and host (distribution: http.relativeurls); the state stays in its query."""

    def rewrite(response: Response, request: Request) -> Response:
        location = response.headers.get("Location")
        if not location:
            return response
        parts = urlsplit(location)
        return response.with_headers(location=parts.path + (f"?{parts.query}" if parts.query else ""))

    return _alter("POST|PATCH|PUT", "", rewrite, times)


def redirect_to_expiring_link(uses: int = 1, times: int | None = 1) -> Fault:
    """307 to a signed storage link: refuses Authorization, answers 403 after `uses` requests."""
    return Fault(method="GET|HEAD", path_pattern=BLOB, times=times, action="redirect", uses=uses)


def chunk_refused_above(limit_bytes: int, *, status: int = 416, times: int | None = None) -> Fault:
    """GHCR: 416 above 4 MiB; proxies: 413."""
    response = error_response(status, "SIZE_INVALID", "request body is too large")
    fault = _answer("PATCH|PUT", UPLOAD, response, times)
    return replace(fault, larger_than_bytes=limit_bytes)


def chunk_minimum(size_bytes: int, times: int | None = None) -> Fault:
    """`OCI-Chunk-Min-Length` in the answer to POST (distribution-spec, "Pushing a blob in chunks")."""
    return _alter(
        "POST",
        UPLOADS,
        lambda response, request: response.with_headers(oci_chunk_min_length=str(size_bytes)),
        times,
    )


def rate_limited(times: int | None = 1, *, retry_after: str | None = "1", pattern: str = "") -> Fault:
    """429; `retry_after` in seconds or as an HTTP date, or absent."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return _answer(r"[A-Z]+", pattern, error_response(429, "TOOMANYREQUESTS", "slow down", headers), times)


def server_errors(times: int | None = 3, *, status: int = 503, method: str = r"[A-Z]+", pattern: str = "") -> Fault:
    """A burst of 5xx with the plain text of a proxy."""
    response = Response(status, {"Content-Type": "text/plain"}, StoredContent((b"upstream is away\n",)))
    return _answer(method, pattern, response, times)


def html_instead_of_json(times: int | None = 1, *, status: int = 200, pattern: str = "") -> Fault:
    """A portal or a login page answers in place of the registry."""
    page = b"<!DOCTYPE html><html><title>Sign in</title><body>Please sign in</body></html>"
    return _answer(r"[A-Z]+", pattern, Response(status, {"Content-Type": "text/html"}, StoredContent((page,))), times)


def missing_digest_header(times: int | None = None) -> Fault:
    """Manifests answered without Docker-Content-Digest (older specifications, some proxies)."""
    return _alter(
        "GET|HEAD|PUT",
        MANIFEST,
        lambda response, request: response.with_headers(docker_content_digest=None),
        times,
    )


def wrong_digest_header(digest: str = "sha256:" + "0" * 64, times: int | None = None) -> Fault:
    """A digest header that is not that of the content."""
    return _alter(
        "GET|HEAD|PUT",
        MANIFEST,
        lambda response, request: response.with_headers(docker_content_digest=digest),
        times,
    )


def head_refused(times: int | None = None, *, status: int = 405, pattern: str = MANIFEST) -> Fault:
    """HEAD is not offered."""
    return Fault(method="HEAD", path_pattern=pattern, times=times, status=status)


def _edit_listing(response: Response, edit: Callable[[list[str]], object]) -> Response:
    if response.status != 200:
        return response
    document = json.loads(read_all(response.content))
    key = "tags" if "tags" in document else "repositories"
    document[key] = edit(document[key])
    return replace(response, content=StoredContent((json.dumps(document).encode(),)))


def null_listing(times: int | None = None) -> Fault:
    """`"tags": null` for a repository without tags."""
    return _alter("GET", LISTING, lambda response, request: _edit_listing(response, lambda names: None), times)


def null_entries(times: int | None = None) -> Fault:
    """`null` between the names (Nexus 3.58)."""
    return _alter(
        "GET",
        LISTING,
        lambda response, request: _edit_listing(response, lambda names: [None, *names, None]),
        times,
    )


def listing_without_link(times: int | None = None) -> Fault:
    """A page that was cut, and no Link that says so."""
    return _alter("GET", LISTING, lambda response, request: response.with_headers(link=None), times)


def odd_link(form: str, times: int | None = None) -> Fault:
    """A `Link` header in another form; `form` has `{path}` (path and query of the next page) in it.

    Absolute: `<http://127.0.0.1:5000{path}>; rel="next"`. Unquoted: `<{path}>; rel=next`.
    Http behind a TLS proxy: `<http://registry.test{path}>; rel="next"`.
    """

    def rewrite(response: Response, request: Request) -> Response:
        link = response.headers.get("Link")
        if link is None:
            return response
        return response.with_headers(link=form.format(path=link[1 : link.index(">")]))

    return _alter("GET", LISTING, rewrite, times)


def truncated_body(after_bytes: int, times: int | None = 1, *, pattern: str = BLOB) -> Fault:
    """The body ends early."""
    return Fault(method="GET", path_pattern=pattern, times=times, action="truncate", after_bytes=after_bytes)


def corrupted_body(after_bytes: int = 0, times: int | None = 1, *, pattern: str = BLOB) -> Fault:
    """One byte of the body is another."""
    return Fault(method="GET", path_pattern=pattern, times=times, action="corrupt", after_bytes=after_bytes)


def reset_download(after_bytes: int, times: int | None = 1, *, pattern: str = BLOB) -> Fault:
    """The connection is reset in the middle of a download."""
    return Fault(method="GET", path_pattern=pattern, times=times, action="reset_after_bytes", after_bytes=after_bytes)


def reset_upload(after_bytes: int, times: int | None = 1) -> Fault:
    """The connection is reset in the middle of an upload; what arrived stays in the session."""
    return Fault(
        method="PUT|PATCH",
        path_pattern=UPLOAD,
        times=times,
        action="reset_after_bytes",
        after_bytes=after_bytes,
    )


def slow_drip(seconds: float = 0.05, times: int | None = 1, *, after_bytes: int = 0, pattern: str = BLOB) -> Fault:
    """1 KiB per `seconds`."""
    return Fault(
        method="GET",
        path_pattern=pattern,
        times=times,
        action="drip",
        seconds=seconds,
        after_bytes=after_bytes,
    )


def stalled(seconds: float, times: int | None = 1, *, after_bytes: int = 0, pattern: str = BLOB) -> Fault:
    """Silence for `seconds`."""
    return Fault(path_pattern=pattern, times=times, action="stall", seconds=seconds, after_bytes=after_bytes)


def gzip_encoded(times: int | None = None, *, pattern: str = BLOB) -> Fault:
    """A proxy that compresses whatever passes, asked or not."""

    def rewrite(response: Response, request: Request) -> Response:
        if response.status != 200 or request.method == "HEAD":
            return response
        packed = StoredContent((gzip.compress(read_all(response.content)),))
        return replace(response, content=packed).with_headers(content_encoding="gzip")

    return _alter("GET", pattern, rewrite, times)


def range_ignored(times: int | None = None) -> Fault:
    """200 and the whole body in answer to a Range request (allowed by RFC 9110 §14.2)."""
    return Fault(method="GET", path_pattern=BLOB, times=times, action="alter", without_request_headers=("range",))


def deletion_disabled(times: int | None = None) -> Fault:
    """405 on every DELETE (distribution with storage.delete.enabled off)."""
    return _answer("DELETE", "", error_response(405, "UNSUPPORTED", "The operation is unsupported."), times)


def immutable_tag(times: int | None = None, *, pattern: str = MANIFEST) -> Fault:
    """412 as Harbor answers for an immutable tag."""
    message = "Failed to process request due to the tag is immutable"
    return _answer("PUT|DELETE", pattern, error_response(412, "PRECONDITION", message), times)


def quota_exceeded(times: int | None = None) -> Fault:
    """403 DENIED as Harbor answers when a project is full."""
    message = "adding 1.2 GiB of storage resource, which when updated to current usage will exceed the quota"
    return _answer("PUT|POST", f"{MANIFEST}|{UPLOADS}", error_response(403, "DENIED", message), times)


def blob_unknown(times: int | None = 1) -> Fault:
    """A blob just written is not known yet (registries that are eventually consistent)."""
    return _answer("PUT", MANIFEST, error_response(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"), times)
