"""From a request to its answer: path, credentials, the route, and the faults that are no matter of the connection."""

import re
from collections.abc import Callable
from dataclasses import replace

from registry.testkit.access import Scope
from registry.testkit.blobs import answer_blob, answer_storage_link, find_blob
from registry.testkit.content import StoredContent
from registry.testkit.exchange import Exchange
from registry.testkit.faults import Fault
from registry.testkit.listings import answer_base, list_referrers, list_repositories, list_tags
from registry.testkit.manifests import answer_manifest
from registry.testkit.messages import ApiError, Response
from registry.testkit.uploads import answer_upload, open_upload

NAME = r"(?P<name>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
Route = Callable[..., Response]
ROUTES: tuple[tuple[str, re.Pattern[str], Route], ...] = (
    ("GET", re.compile(r"/v2/"), answer_base),
    ("GET", re.compile(r"/v2/_catalog"), list_repositories),
    ("GET", re.compile(rf"/v2/{NAME}/tags/list"), list_tags),
    ("GET", re.compile(rf"/v2/{NAME}/referrers/([^/]+)"), list_referrers),
    ("", re.compile(rf"/v2/{NAME}/manifests/([^/]+)"), answer_manifest),
    ("POST", re.compile(rf"/v2/{NAME}/blobs/uploads/"), open_upload),
    ("", re.compile(rf"/v2/{NAME}/blobs/uploads/([^/]+)"), answer_upload),
    ("", re.compile(rf"/v2/{NAME}/blobs/([^/]+)"), answer_blob),
)
NOT_FOUND = Response(404, {"Content-Type": "text/plain; charset=utf-8"}, StoredContent((b"404 page not found\n",)))
ACTIONS = {"GET": {"pull"}, "HEAD": {"pull"}, "DELETE": {"delete"}}


def answer(exchange: Exchange, fault: Fault | None) -> Response:
    """Answer a request; refusals come back as their error body."""
    try:
        if fault is None or fault.action not in ("answer", "alter", "challenge", "redirect"):
            return _route(exchange)
        return _answer_with_fault(exchange, fault)
    except ApiError as refusal:
        return refusal.response


def _answer_with_fault(exchange: Exchange, fault: Fault) -> Response:
    if fault.action == "answer":
        return Response(fault.status or 500, fault.headers, StoredContent((fault.body,)))
    if fault.action == "challenge":
        scope = _scope(exchange, _path(exchange))
        headers = exchange.registry.access.challenge(exchange.link(""), scope, "invalid_token")
        raise ApiError(401, "UNAUTHORIZED", "authentication required", headers)
    if fault.action == "redirect":
        return _redirect(exchange, fault)
    kept = {
        name: value for name, value in exchange.request.headers.items() if name not in fault.without_request_headers
    }
    exchange.request = replace(exchange.request, headers=kept)
    try:
        response = _route(exchange)
    except ApiError as refusal:
        response = refusal.response
    return fault.rewrite(response, exchange.request)


def _redirect(exchange: Exchange, fault: Fault) -> Response:
    path = _path(exchange)
    exchange.registry.access.check(exchange.header("authorization"), exchange.link(""), _scope(exchange, path))
    _, _, tail = path.partition("/v2/")
    repository, _, digest = tail.partition("/blobs/")
    content = find_blob(exchange, repository, digest)
    # Another host name for the same server: a client must not take its credentials there.
    host = f"localhost:{exchange.registry.port}"
    scheme = exchange.base_url.partition(":")[0]
    prefix = exchange.registry.path_prefix
    link = exchange.registry.make_storage_link(content, fault.uses)
    return Response(307, {"Location": f"{scheme}://{host}{prefix}{link}"})


def _path(exchange: Exchange) -> str:
    return exchange.request.path.removeprefix(exchange.registry.path_prefix)


def _route(exchange: Exchange) -> Response:
    path = _path(exchange)
    access = exchange.registry.access
    authorization = exchange.header("authorization")
    if not exchange.request.path.startswith(exchange.registry.path_prefix):
        return NOT_FOUND
    if path == "/token" and access.mode == "bearer":
        method = exchange.request.method
        return access.answer_token(method, exchange.request.query, exchange.body.read(), authorization)
    if path.startswith("/storage/"):
        return answer_storage_link(exchange, path.removeprefix("/storage/"))
    if path == "/v2":
        return Response(301, {"Location": f"{exchange.registry.path_prefix}/v2/"})
    exchange.username = access.check(authorization, exchange.link(""), _scope(exchange, path))
    _check_mount_source(exchange)
    for method, pattern, route in ROUTES:
        found = pattern.fullmatch(path)
        if found and method in ("", exchange.request.method):
            return route(exchange, *found.groups())
    return NOT_FOUND


def _scope(exchange: Exchange, path: str) -> Scope | None:
    """Say what a request needs (distribution documentation, "Token Scope Documentation")."""
    if path == "/v2/_catalog":
        return Scope("registry", "catalog", frozenset({"*"}))
    found = re.match(rf"/v2/{NAME}/(?:tags|manifests|blobs|referrers)/", path)
    if found is None:
        return None
    actions = ACTIONS.get(exchange.request.method, {"pull", "push"})
    if "/blobs/uploads/" in path and exchange.request.method in ("GET", "HEAD"):
        actions = {"pull", "push"}
    return Scope("repository", found["name"], frozenset(actions))


def _check_mount_source(exchange: Exchange) -> None:
    """Treat the mount as not asked for where its source may not be read, as distribution does."""
    source = exchange.argument("from")
    access = exchange.registry.access
    if not source or access.mode != "bearer":
        return
    try:
        scope = Scope("repository", source, frozenset({"pull"}))
        access.check(exchange.header("authorization"), exchange.link(""), scope)
    except ApiError:
        exchange.arguments.pop("mount", None)
