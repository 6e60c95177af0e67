"""The catalogue, tag lists and referrers (distribution-spec, "Content Discovery")."""

from urllib.parse import urlencode

from registry.testkit.content import digest_of
from registry.testkit.exchange import Exchange
from registry.testkit.images import OCI_INDEX
from registry.testkit.messages import ApiError, Response, json_response
from registry.testkit.store import StoredManifest


def answer_base(exchange: Exchange) -> Response:
    """Answer `GET /v2/`."""
    return json_response(200, {})


def list_repositories(exchange: Exchange) -> Response:
    """Answer `GET /v2/_catalog`."""
    names, headers = _page(exchange, exchange.registry.store.names(), "/v2/_catalog")
    return json_response(200, {"repositories": names}, headers)


def list_tags(exchange: Exchange, repository: str) -> Response:
    """Answer `GET /v2/<name>/tags/list`; NAME_UNKNOWN where no manifest has ever been."""
    with exchange.registry.store.reading(repository) as kept:
        if not kept.has_had_manifests:
            raise ApiError(404, "NAME_UNKNOWN", "repository name not known to registry")
        tags = sorted(kept.tags)
    names, headers = _page(exchange, tags, f"/v2/{repository}/tags/list")
    return json_response(200, {"name": repository, "tags": names}, headers)


def _page(exchange: Exchange, names: list[str], path: str) -> tuple[list[str], dict[str, str]]:
    last = exchange.argument("last")
    following = [name for name in names if name > last]
    count = exchange.count_argument()
    if count is None or len(following) <= count or count == 0:
        return following[:count], {}
    query = urlencode({"last": following[count - 1], "n": count})
    return following[:count], {"Link": f'<{exchange.registry.path_prefix}{path}?{query}>; rel="next"'}


def list_referrers(exchange: Exchange, repository: str, digest: str) -> Response:
    """Answer `GET /v2/<name>/referrers/<digest>` where the registry has that API."""
    if not exchange.registry.referrers:
        return Response(404, {"Content-Type": "text/plain; charset=utf-8"})
    with exchange.registry.store.reading(repository) as kept:
        attached = [stored for stored in kept.manifests.values() if _is_attached_to(stored, digest)]
    wanted = exchange.argument("artifactType")
    described = {digest_of(stored.content): _describe(stored) for stored in attached}
    if wanted:
        described = {key: entry for key, entry in described.items() if entry.get("artifactType") == wanted}
    page, link = _page(exchange, sorted(described), f"/v2/{repository}/referrers/{digest}")
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [described[key] for key in page]}
    headers = {"Content-Type": OCI_INDEX, **link, **({"Oci-Filters-Applied": "artifactType"} if wanted else {})}
    return json_response(200, index, headers)


def _is_attached_to(stored: StoredManifest, digest: str) -> bool:
    return stored.subject is not None and stored.subject.get("digest") == digest


def _describe(stored: StoredManifest) -> dict[str, object]:
    document = stored.document
    described = {
        "mediaType": stored.media_type,
        "digest": digest_of(stored.content),
        "size": len(stored.content),
        "artifactType": document.get("artifactType") or document.get("config", {}).get("mediaType"),
        "annotations": document.get("annotations"),
    }
    return {name: value for name, value in described.items() if value is not None}
