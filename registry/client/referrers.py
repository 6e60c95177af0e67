"""Reading what refers to a manifest (OCI distribution-spec, "Listing Referrers", "Unavailable Referrers API").

A registry with the API never answers 404 there; one without it is asked once, then only for the fallback tag.
"""

import hashlib
import json
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from registry.client.exchange import Exchange
from registry.client.listings import next_link, page_url
from registry.client.manifests import get_manifest, head_manifest
from registry.companions import fallback_tag
from registry.connection import Denial, Learned
from registry.errors import AuthError, DeniedError, NotFoundError, ProtocolError
from registry.locks import PROCESS_LOCKS
from registry.media import INDEX_TYPES, OCI_INDEX, Descriptor, Manifest
from registry.reference import validate_digest, validate_repository_name
from registry.refusals import is_web_page
from registry.scopes import pull
from registry.transport import Answer, Request

_NO_API = frozenset({400, 404, 405, 406, 501})
_ABOUT_THE_NAME = frozenset({"NAME_UNKNOWN", "MANIFEST_UNKNOWN"})
"""zot says so of a repository that is not there: it tells nothing about the API."""
_PAGE_LIMIT_BYTES = 8 << 20
_PAGES_LIMIT = 1000
DENIAL_SECONDS = 600.0
"""A registry that refused for lack of rights is not asked for so long."""


@dataclass(frozen=True)
class ReferrerList:
    """What refers to a subject. ``version`` changes when the list does; it is empty when nothing refers to it."""

    descriptors: tuple[Descriptor, ...] = ()
    is_from_api: bool = False
    version: str = ""
    denial: str = ""
    """What the registry said when it would not let us use its API; the fallback tag was looked at all the same."""


def list_referrers(
    exchange: Exchange, repository: str, digest: str, *, known_tags: Collection[str] | None = None
) -> ReferrerList:
    """Return what refers to the digest: from the API, from the fallback tag where there is none.

    ``known_tags`` are the repository's tags, or those of them that are fallback tags: one that is not among them is not
    asked for. A fallback tag that a registry with the API still has is read as well. One request per page or tag.
    """
    validate_repository_name(repository)
    listed = _ask_api(exchange, repository, validate_digest(digest))
    tag = fallback_tag(digest)
    has_tag = tag in known_tags if known_tags is not None else listed is None
    index = _index_of(exchange, repository, tag) if has_tag else None
    under_tag = index.children if index else ()
    if listed is None:
        denial = exchange.connection.learned.referrers_denial
        message = denial.message if denial else ""
        return ReferrerList(under_tag, version=index.digest if index else "", denial=message)
    kept = {descriptor.digest: descriptor for descriptor in (*listed, *under_tag)}
    return ReferrerList(tuple(kept.values()), is_from_api=True, version=_version_of(kept))


def referrers_version(
    exchange: Exchange, repository: str, digest: str, *, known_tags: Collection[str] | None = None
) -> str:
    """Return the version of `list_referrers` more cheaply: a HEAD where there is no API, nothing without such a tag."""
    if has_api(exchange, repository, digest):
        return list_referrers(exchange, repository, digest, known_tags=known_tags).version
    tag = fallback_tag(digest)
    if known_tags is not None and tag not in known_tags:
        return ""
    found = head_manifest(exchange, repository, tag)
    return found.digest if found else ""


def has_api(exchange: Exchange, repository: str, digest: str) -> bool:
    """Answer whether the registry lists referrers itself; the first one to ask costs a request."""
    learned = exchange.connection.learned
    if learned.referrers_api is None:
        _ask_api(exchange, repository, digest)
    return bool(learned.referrers_api)


def _version_of(digests: Collection[str]) -> str:
    return f"list:{hashlib.sha256(' '.join(sorted(digests)).encode()).hexdigest()}" if digests else ""


def _index_of(exchange: Exchange, repository: str, tag: str) -> Manifest | None:
    try:
        return get_manifest(exchange, repository, tag)
    except NotFoundError:
        return None


def _ask_api(exchange: Exchange, repository: str, digest: str) -> list[Descriptor] | None:
    """Return what the API lists, None where there is none. While that is not known, one asks and the others wait."""
    connection, learned = exchange.connection, exchange.connection.learned
    if learned.referrers_api is None and not _is_denied(learned):
        name = f"referrers-api:{id(connection)}"
        with PROCESS_LOCKS.holding(name, check_stop=exchange.check_stop):
            if learned.referrers_api is None and not _is_denied(learned):
                return _ask(exchange, repository, digest)
    return _ask(exchange, repository, digest) if learned.referrers_api else None


def _is_denied(learned: Learned) -> bool:
    """Answer whether this way was found closed to the account a short time ago, before it was ever open."""
    if learned.referrers_denial and time.monotonic() - learned.referrers_denial.at > DENIAL_SECONDS:
        learned.referrers_denial = None
    return learned.referrers_denial is not None


def _ask(exchange: Exchange, repository: str, digest: str) -> list[Descriptor] | None:
    learned = exchange.connection.learned
    found: list[Descriptor] = []
    try:
        for page in _pages(exchange, repository, digest):
            if page is None:
                if learned.referrers_api is None:
                    learned.referrers_api = False
                return None
            found += page
    except NotFoundError:
        return None  # about the repository, not about the API
    except (AuthError, DeniedError) as error:
        # Reading the repository was allowed before: it is this way that is closed to the account.
        learned.referrers_denial = Denial(error.message, time.monotonic())
        return None
    learned.referrers_api, learned.referrers_denial = True, None
    return found


def _pages(exchange: Exchange, repository: str, digest: str) -> Iterator[list[Descriptor] | None]:
    """Yield the pages of a list; None when the answer says that there is no such API."""
    attempt = f"Listing what refers to {repository}@{digest}"
    url: str | None = exchange.url_of(repository, f"referrers/{digest}")
    visited: set[str] = set()
    while url is not None:
        if url in visited or len(visited) >= _PAGES_LIMIT:
            raise ProtocolError(f"{attempt}: the registry's pages do not come to an end")
        visited.add(url)
        answer = exchange.try_send(Request("GET", url, attempt, {"Accept": OCI_INDEX}), pull(repository))
        page = _page(answer)
        if page is None and len(visited) > 1:
            raise ProtocolError(f"{attempt}: a later page is no list of referrers")
        yield page
        target = next_link(answer.headers.getlist("Link")) if page is not None else None
        url = page_url(target, answer.url, attempt=attempt) if target else None


def _page(answer: Answer) -> list[Descriptor] | None:
    if answer.status in _NO_API:
        error = answer.refusal().error()
        if isinstance(error, NotFoundError) and error.registry_code.upper() in _ABOUT_THE_NAME:
            raise error
        return None
    if answer.status != 200:
        raise answer.refusal().error()
    body = answer.read(_PAGE_LIMIT_BYTES)
    document = None if is_web_page(answer.headers, body) else _index_document(body)
    if document is None:
        return None
    return [Descriptor.parse(entry) for entry in document.get("manifests") or ()]


def _index_document(body: bytes) -> dict[str, Any] | None:
    """Return the index that a body is, None when it is something else; an empty one may list null."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("mediaType", OCI_INDEX) not in INDEX_TYPES:
        return None
    if "manifests" not in document or not isinstance(document["manifests"] or [], list):
        return None
    return document
