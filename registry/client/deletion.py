"""Deleting manifests and tags (OCI distribution-spec, "Content Management").

Deleting by digest takes every tag of that digest away, and not every registry can delete by tag: distribution 2
answers 405 or 400, Harbor 400 DIGEST_INVALID, distribution 3 and zot only untag.
"""

from collections.abc import Collection

from registry.client.exchange import Exchange
from registry.client.listings import list_tags
from registry.client.manifests import head_manifest
from registry.errors import (
    DigestMismatchError,
    NotFoundError,
    ProtocolError,
    RegistryError,
    SiblingTagsError,
    UnsupportedError,
)
from registry.reference import validate_digest, validate_repository_name, validate_tag
from registry.scopes import delete
from registry.transport import Answer, Request

_DELETED = frozenset({200, 202, 204})
_HINT = "deleting is switched off there (distribution: storage.delete.enabled)"


def delete_manifest(exchange: Exchange, repository: str, digest: str) -> None:
    """Delete a manifest and every tag of it; what is not there counts as deleted."""
    validate_repository_name(repository)
    validate_digest(digest)
    answer = _delete(exchange, repository, digest, f"Deleting the manifest {repository}@{digest}")
    if answer.status not in _DELETED | {404}:
        raise _refused(answer)
    answer.discard()


def delete_tags(exchange: Exchange, repository: str, tags: Collection[str], *, digest: str) -> tuple[str, ...]:
    """Delete those of the tags that point at the digest and return, sorted, which of the given tags are gone.

    A tag that has moved on to another digest stays. By tag where the registry can; else by digest, but only when no
    other tag of the repository points at it: then SiblingTagsError names them and nothing is deleted. One HEAD per
    tag given; where deleting is by digest only, one more per other tag of the repository.
    """
    validate_repository_name(repository)
    validate_digest(digest)
    states = {tag: _digest_of_tag(exchange, repository, validate_tag(tag)) for tag in sorted(set(tags))}
    gone = {tag for tag, found in states.items() if found is None}
    doomed = [tag for tag, found in states.items() if found == digest]
    while doomed and _delete_by_tag(exchange, repository, doomed[0]):
        gone.add(doomed.pop(0))
    if doomed:
        _delete_by_digest(exchange, repository, doomed, digest)
        gone.update(doomed)
    return tuple(sorted(gone))


def _delete_by_tag(exchange: Exchange, repository: str, tag: str) -> bool:
    """Answer whether the tag is gone; False when the registry cannot delete by tag, which is remembered."""
    learned = exchange.connection.learned
    if learned.tag_delete is False:
        return False
    answer = _delete(exchange, repository, tag, f"Deleting the tag {repository}:{tag}")
    if answer.status in _DELETED:
        answer.discard()
        learned.tag_delete = True
        return True
    error = answer.refusal().error()
    if isinstance(error, NotFoundError):
        return True
    is_unable = isinstance(error, UnsupportedError | DigestMismatchError | ProtocolError)
    if not (is_unable and error.status in (400, 405, 501)):
        raise error
    learned.tag_delete = False
    return False


def _delete_by_digest(exchange: Exchange, repository: str, doomed: list[str], digest: str) -> None:
    others = [tag for tag in list_tags(exchange, repository) if tag not in doomed]
    siblings = [tag for tag in others if _digest_of_tag(exchange, repository, tag) == digest]
    if siblings:
        raise SiblingTagsError(
            f"Deleting {', '.join(doomed)} of {repository}: the registry can delete by digest only, "
            f"and that would take away {', '.join(siblings)} as well",
            siblings=siblings,
        )
    delete_manifest(exchange, repository, digest)


def _digest_of_tag(exchange: Exchange, repository: str, tag: str) -> str | None:
    found = head_manifest(exchange, repository, tag)
    return found.digest if found else None


def _delete(exchange: Exchange, repository: str, reference: str, attempt: str) -> Answer:
    request = Request("DELETE", exchange.url_of(repository, f"manifests/{reference}"), attempt)
    return exchange.try_send(request, delete(repository))


def _refused(answer: Answer) -> RegistryError:
    error = answer.refusal().error()
    if isinstance(error, UnsupportedError):
        return UnsupportedError(f"{error.message}: {_HINT}", status=error.status, registry_code=error.registry_code)
    return error
