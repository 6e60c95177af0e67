"""Looking at both sides of a repository with as few requests as the protocol allows.

A tag that no target has is read at once instead of being asked for first: its manifest is needed anyway, and the copy
finds it in the memory of manifests. A target is listed once; what it is known to hold is not asked for again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from registry import (
    NoMatchingPlatformError,
    NotFoundError,
    RegistryError,
    find_kind,
)
from registry.copying import NO_MANIFESTS
from registry.media import INDEX_TYPES
from registry.platforms import PlatformChoice, select
from replication.engine.asking import Place, all_of, look_for, manifest_of, only_of_kind
from replication.filters import FilterSpec, accepts_tag, named_tags, wanted_resource
from replication.in_step import Memory

# Above this many tags one listing of the target is cheaper than asking for each.
FEW_TAGS = 3


@dataclass(frozen=True, slots=True)
class SourceView:
    """What a source repository has: `{tag: digest}`, and the tags that were asked for and are not there."""

    digests: Mapping[str, str]
    missing: frozenset[str] = frozenset()
    indexes: frozenset[str] = frozenset()
    """Those of the digests that are indexes."""


@dataclass(frozen=True, slots=True)
class ReferrerNews:
    """What `replication.companions` found beside tags. Keys are those of the targets."""

    tags: frozenset[str] | None = None
    """The source's fallback tags; None when they were not listed."""
    changed: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """Digests in step whose referrers are not: they are to be carried over."""
    seen: Mapping[int, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    """`{digest: {subject: version}}` of what was found in step and is worth remembering."""
    strangers: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """Tags of companions whose subject is not there: they are not for this target."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides of one repository: the source, and for each target (by key) its `{tag: digest}` or what went wrong.

    `in_step`: for each target that could be read the tags that need nothing (`tags_in_step`).
    """

    source: SourceView
    targets: Mapping[int, Mapping[str, str] | RegistryError]
    in_step: Mapping[int, frozenset[str]] = field(default_factory=dict)
    referrers: ReferrerNews = field(default_factory=ReferrerNews)


Listed = frozenset[str] | None
"""The tags that a target has; None where it was not listed."""


def compare(
    source: Place,
    targets: Mapping[int, Place],
    *,
    filters: Sequence[FilterSpec],
    tags: Sequence[str] | None,
    known: Mapping[int, Mapping[str, str]],
) -> Comparison:
    """Look at a repository at the source and at its targets.

    Without `tags` everything that the filters take is looked at, and what is `known` of a target (`{tag: digest}`) is
    believed, as long as the target lists the tag. `tags` limits the look to those, and to those of `known`, which are
    then looked at there whatever the source has. One request per tag at the source, one listing per side (none at the
    source where the filters name the tags, none at a target that is known to have the few tags wanted), and one request
    per tag that a target lists and nobody knows. Raises RegistryError when the source cannot be read; a target that
    cannot be read stands in the result with its error.
    """
    named = named_tags(filters) if tags is None else tags
    wanted = _wanted_tags(source, filters, named)
    is_few = named is not None and len(wanted) <= FEW_TAGS
    listed = {key: list_if_needed(place, wanted, is_few=is_few) for key, place in targets.items()}
    new = new_tags(wanted, listed, known if tags is not None else {})
    view = look_at_source(source, wanted, filters=filters, new=new)
    return Comparison(view, look_at_targets(view, targets, listed=listed, known=known, is_whole=tags is None))


def look_at_targets(
    view: SourceView,
    targets: Mapping[int, Place],
    *,
    listed: Mapping[int, Listed | RegistryError],
    known: Mapping[int, Mapping[str, str]],
    is_whole: bool,
) -> dict[int, Mapping[str, str] | RegistryError]:
    """Return what the targets have of what the source has and, where events named tags, of what is known of them."""
    found: dict[int, Mapping[str, str] | RegistryError] = {}
    for key, place in targets.items():
        there = listed[key]
        if isinstance(there, RegistryError):
            found[key] = there
            continue
        asked = view.digests.keys() if is_whole else {*view.digests, *known[key]}
        believed = known[key] if is_whole else {}
        try:
            found[key] = look_at_target(place, asked, listed=there, believed=believed)
        except RegistryError as error:
            found[key] = error
    return found


def tags_in_step(source: Place, comparison: Comparison, memories: Mapping[int, Memory]) -> dict[int, frozenset[str]]:
    """Return for each target that could be read the tags that need nothing there.

    Where platforms are chosen, one request per digest of which nobody knows what becomes of it. Raises RegistryError
    when the source cannot be read.
    """
    return {
        key: _in_step(source, comparison.source.digests, found, memories[key])
        for key, found in comparison.targets.items()
        if not isinstance(found, RegistryError)
    }


def _in_step(source: Place, digests: Mapping[str, str], found: Mapping[str, str], memory: Memory) -> frozenset[str]:
    present = {tag: digest for tag, digest in digests.items() if tag in found}
    became = memory.became()
    verdicts = {tag: memory.is_in_step(tag, digest, found[tag], became) for tag, digest in present.items()}
    unknown = sorted({present[tag] for tag, verdict in verdicts.items() if verdict is None})
    if unknown and memory.choice:
        made = _read_what_becomes(source, unknown, memory.choice)
        verdicts |= {tag: found[tag] == made[present[tag]] for tag, verdict in verdicts.items() if verdict is None}
    return frozenset(tag for tag, verdict in verdicts.items() if verdict)


def _read_what_becomes(source: Place, wanted: Sequence[str], choice: PlatformChoice) -> dict[str, str]:
    """Return `{source digest: digest with these platforms}`, "" where none matches. One request per digest."""
    manifests = all_of([partial(manifest_of, source, digest) for digest in wanted])
    made = {}
    for digest, manifest in zip(wanted, manifests, strict=True):
        try:
            made[digest] = select(manifest, choice).digest
        except NoMatchingPlatformError:
            made[digest] = ""
    return made


def _wanted_tags(source: Place, filters: Sequence[FilterSpec], tags: Sequence[str] | None) -> list[str]:
    """Return the tags that pass the filters, of those given or of all. A repository that is not there has none."""
    tags = existing_tags(source) if tags is None else tags
    return [tag for tag in tags if accepts_tag(filters, tag)]


def existing_tags(place: Place) -> list[str]:
    """Return a repository's tags; one that is not there has none."""
    try:
        return place.client.tags(place.repository)
    except NotFoundError:
        return []


def list_if_needed(place: Place, wanted: Collection[str], *, is_few: bool) -> Listed | RegistryError:
    """List a target's tags, which shows those that went from it; few that were named are asked for one by one instead.

    A repository of which nothing is known is listed even for one tag: one that is not there yet needs no questions.
    """
    if not wanted or (is_few and not place.is_unheard_of):
        return None
    try:
        return frozenset(place.client.tags(place.repository))
    except NotFoundError:
        place.memory.forget(place.repository)
        place.memory.begin(place.repository)
        return frozenset()
    except RegistryError as error:
        return error


def new_tags(
    wanted: Collection[str], listed: Mapping[int, Listed | RegistryError], put: Mapping[int, Mapping[str, str]]
) -> frozenset[str]:
    """Return the tags that some target lacks: surely, or, where events named them, because we never put them there."""
    lacking: set[str] = set()
    for key, there in listed.items():
        if isinstance(there, frozenset):
            lacking.update(tag for tag in wanted if tag not in there)
        elif there is None and key in put:
            lacking.update(tag for tag in wanted if tag not in put[key])
    return frozenset(lacking)


def look_at_source(
    place: Place, wanted: Sequence[str], *, filters: Sequence[FilterSpec], new: frozenset[str] = frozenset()
) -> SourceView:
    """Return the digests of the wanted tags; the manifests of `new` ones are read and kept."""
    heads = look_for(place, wanted, read=_to_be_read(place, new))
    digests = {tag: head.digest for tag, head in heads.items()}
    missing = frozenset(wanted) - digests.keys()
    kind = wanted_resource(filters)
    if kind:
        digests = only_of_kind(place, digests, kind)
    indexes = frozenset(head.digest for head in heads.values() if head.media_type in INDEX_TYPES)
    return SourceView(digests, missing, indexes)


def _to_be_read(place: Place, new: frozenset[str]) -> frozenset[str]:
    """Return the tags to read instead of asking for them: none where reading is counted as a pull (Docker Hub)."""
    kind = find_kind(place.client.connection.settings.kind)
    is_counted = kind is not None and kind.counts_reading
    return frozenset() if is_counted or place.manifests is NO_MANIFESTS else new


def look_at_target(
    place: Place, tags: Iterable[str], *, listed: Listed = None, believed: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return `{tag: digest}` for those of `tags` that the target has; a believed digest is not asked for."""
    believed = believed or {}
    tags = sorted(tag for tag in tags if listed is None or tag in listed)
    seen = {tag: believed[tag] for tag in tags if tag in believed}
    heads = look_for(place, [tag for tag in tags if tag not in seen])
    return seen | {tag: head.digest for tag, head in heads.items()}
