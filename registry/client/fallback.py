"""Keeping the index of a subject's referrers where the registry does not.

OCI distribution-spec, "Pushing Manifests with Subject", "Referrers Tag Schema".

The index is a tag that many clients read, change and write back, and whoever writes last wins. So: a lock between our
own threads and workers, If-Match where the registry gives ETags, and reading again after writing.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from registry.client.exchange import Exchange
from registry.client.manifests import get_with_etag, head_manifest, put_manifest
from registry.companions import fallback_tag
from registry.errors import BlobUnknownError, NotFoundError, RegistryError, ServerError, UnsupportedError
from registry.media import OCI_INDEX, Manifest
from registry.reference import validate_digest, validate_repository_name

ATTEMPTS = 8
_FIRST_PAUSE_SECONDS = 0.05

Entry = Mapping[str, Any]


def entry_of(manifest: Manifest) -> Entry:
    """Return the descriptor of a referrer as the index has it: with its artifact type and its annotations."""
    document = manifest.document
    config = document.get("config")
    config_type = config.get("mediaType") if isinstance(config, dict) else None
    described = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": manifest.size_bytes,
        "artifactType": document.get("artifactType") or config_type,
        "annotations": document.get("annotations"),
    }
    return {name: value for name, value in described.items() if value}


def add_to_index(exchange: Exchange, repository: str, subject: str, referrers: Sequence[Manifest]) -> frozenset[str]:
    """See to it that the subject's fallback tag lists these referrers; return the digests that it did not list.

    What others put there stays. One GET when they are listed already; else a PUT and another GET.
    """
    validate_repository_name(repository)
    tag = fallback_tag(validate_digest(subject))
    name = f"{exchange.connection.base_url}/{repository}:{tag}"
    refused_etag = ""
    added: set[str] = set()
    by_digest = {manifest.digest: manifest for manifest in referrers}
    with exchange.connection.locks.holding(name, check_stop=exchange.check_stop):
        for attempt in range(ATTEMPTS):
            index, etag = _read(exchange, repository, tag)
            entries = _entries(index, repository, tag)
            missing = by_digest.keys() - {entry.get("digest") for entry in entries}
            if not missing:
                return frozenset(added)
            added |= missing
            wanted = [*entries, *(entry_of(by_digest[digest]) for digest in sorted(missing))]
            try:
                _write(exchange, repository, tag, _changed(index, wanted), etag=etag)
            except RegistryError as error:
                if error.status != 412 or etag in ("", refused_etag):
                    raise  # nobody was faster: the tag must not be changed (Harbor's immutable tags)
                refused_etag = etag
            _pause(exchange, attempt)
    raise ServerError(f"Listing {referrers[0].digest} under {repository}:{tag}: others go on overwriting the list")


def _read(exchange: Exchange, repository: str, tag: str) -> tuple[Manifest | None, str]:
    try:
        return get_with_etag(exchange, repository, tag)
    except NotFoundError:
        return None, ""


def _entries(index: Manifest | None, repository: str, tag: str) -> list[Entry]:
    if index is None:
        return []
    if not index.is_index:
        raise UnsupportedError(f"Listing referrers under {repository}:{tag}: somebody has put another thing there")
    return list(index.document.get("manifests") or ())


def _changed(index: Manifest | None, entries: Sequence[Entry]) -> Manifest:
    """Return the index with these entries; whatever else it says stays."""
    kept = dict(index.document) if index else {"schemaVersion": 2, "mediaType": OCI_INDEX}
    content = json.dumps({**kept, "manifests": list(entries)}, separators=(",", ":")).encode()
    return Manifest.parse(content, content_type=index.media_type if index else OCI_INDEX)


def _write(exchange: Exchange, repository: str, tag: str, index: Manifest, *, etag: str) -> None:
    try:
        put_manifest(exchange, repository, tag, index, if_match=etag)
    except BlobUnknownError:
        # Registries look for each entry; one whose manifest was deleted without telling the index is in the way.
        entries = index.document["manifests"]
        living = [entry for entry in entries if head_manifest(exchange, repository, entry["digest"])]
        if len(living) == len(entries):
            raise
        put_manifest(exchange, repository, tag, _changed(index, living), if_match=etag)


def _pause(exchange: Exchange, attempt: int) -> None:
    """Let a registry that is slow to show what was written, or a busy neighbour, get on with it."""
    if attempt:
        exchange.check_stop()
        time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
