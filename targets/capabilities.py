"""What a registry was found to offer, in words. The keys are those of the client's memory (`registry.connection`)."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from harborsync.lib.formats import format_size
from targets.learning import LEARNED_AT
from targets.models import Endpoint


def refuses_sparse_indexes(endpoint: Endpoint) -> bool:
    """Say whether the registry was found to refuse an index whose images are not all there."""
    return endpoint.capabilities.get("sparse_index") is False


def capability_texts(capabilities: Mapping[str, Any]) -> list[str]:
    """Return a sentence per thing learned; what there are no words for yet is shown by its key."""
    return [_text(key, value) for key, value in sorted(capabilities.items()) if key != LEARNED_AT]


def _text(key: str, value: Any) -> str:
    write = _WORDS.get(key)
    return write(value) if write else f"{key}: {value}"


def _tag_delete(value: Any) -> str:
    if value:
        return _("It deletes a tag by itself.")
    return _("It deletes by digest only: a tag goes when no other tag shares its image.")


def _head_names_digest(value: Any) -> str:
    if value:
        return _("It names the digest of a tag without sending the manifest.")
    return _("It does not name the right digest of a tag: manifests are read to know it.")


def _chunk_limit(value: Any) -> str:
    return _("It takes up to %(size)s in one request; larger layers are sent in chunks.") % {"size": format_size(value)}


def _sparse_index(value: Any) -> str:
    if value:
        return _("It takes an index of which only some platforms are there.")
    return _("It refuses an index of which only some platforms are there.")


def _referrers_api(value: Any) -> str:
    if value:
        return _("It lists by itself what refers to an image, such as signatures.")
    return _("It does not list what refers to an image: that is kept under a tag.")


def _acknowledges_subject(value: Any) -> str:
    if value:
        return _("It takes note of what a pushed signature refers to.")
    return _("It takes no note of what a pushed signature refers to: a tag has to say so.")


def _verifies_uploads(value: Any) -> str:
    if value:
        return _("It refuses content with a wrong digest: large layers are verified there.")
    return _("It takes content with a wrong digest: every layer is verified on its way there.")


def _sends_links(value: Any) -> str:
    return _("It says where a list goes on.")


_WORDS: dict[str, Callable[[Any], str]] = {
    "tag_delete": _tag_delete,
    "head_names_digest": _head_names_digest,
    "chunk_limit_bytes": _chunk_limit,
    "sparse_index": _sparse_index,
    "referrers_api": _referrers_api,
    "acknowledges_subject": _acknowledges_subject,
    "sends_links": _sends_links,
    "verifies_uploads": _verifies_uploads,
}
