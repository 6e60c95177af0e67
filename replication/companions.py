"""Comparing a repository together with what belongs to its artifacts. No database, no framework.

Two kinds of companions. Objects under a tag of their own (cosign's `.sig`, `.att`, `.sbom`) are copied as tags are, but
follow their subject whatever the filters say. Referrers have no tag; they are carried over with their subject by the
copy (`registry.copying.referrers`), and what is found out here is only where that is due again because there are more.

A list is known by its version. What was carried over to a target is remembered as `{digest: {subject: version}}`, the
digest being that of a tag, the subjects itself, what is below it and what refers to these.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from registry import AuthError, DeniedError
from registry.companions import fallback_tag, read_companion_tag
from registry.media import MANIFEST_TYPES
from replication.engine import Comparison, Place, ReferrerNews, SourceView, asking, comparing, tags_in_step
from replication.filters import FilterSpec, accepts_tag, named_tags, wanted_resource
from replication.in_step import Memory

Versions = Mapping[str, str]
# More fallback tags than this are not handed to those who copy: they look for the few that they need.
TAGS_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class Carried:
    """What was carried over to one target: `{digest: {subject: version}}`; those `due` are asked for anew and whole."""

    versions: Mapping[str, Versions] = field(default_factory=dict)
    due: frozenset[str] = frozenset()


def is_companion_tag(tag: str) -> bool:
    """Say whether a tag is about another artifact."""
    return read_companion_tag(tag) is not None


def is_list_tag(tag: str) -> bool:
    """Say whether a tag is that of an index of referrers."""
    companion = read_companion_tag(tag)
    return companion is not None and companion.is_list


def compare(
    source: Place,
    targets: Mapping[int, Place],
    *,
    filters: Sequence[FilterSpec],
    tags: Sequence[str] | None,
    known: Mapping[int, Mapping[str, str]],
    memories: Mapping[int, Memory],
    carried: Mapping[int, Carried],
) -> Comparison:
    """Look at a repository at the source and at its targets, as `engine.compare` does, and at what belongs to it.

    `memories` tells what is in step, `carried` which referrers were carried over.

    Costs beside that: the listing of the source also where filters name the tags, one HEAD there per tag of a companion
    that is wanted. With the referrers API one GET per digest in step; without it one HEAD per fallback tag of such a
    digest, and nothing where there are no such tags.
    """
    is_whole = tags is None
    given = comparing.existing_tags(source) if tags is None else list(tags)
    lists = frozenset(tag for tag in given if is_list_tag(tag))
    objects = [tag for tag in given if is_companion_tag(tag) and tag not in lists]
    plain = [tag for tag in given if not is_companion_tag(tag) and accepts_tag(filters, tag)]
    is_few = (not is_whole or named_tags(filters) is not None) and len(plain) + len(objects) <= comparing.FEW_TAGS
    listed = {key: comparing.list_if_needed(place, [*plain, *objects], is_few=is_few) for key, place in targets.items()}
    new = comparing.new_tags(plain, listed, {} if is_whole else known)
    view = comparing.look_at_source(source, plain, filters=filters, new=new)
    family = _Family(source, view, carried)
    if objects:
        wanted = _wanted_objects(family, objects, filters=filters) if is_whole else _found(source, objects)
        view = _with_objects(view, wanted, frozenset() if is_whole else frozenset(objects) - wanted.keys())
    found = comparing.look_at_targets(view, targets, listed=listed, known=known, is_whole=is_whole)
    in_step = tags_in_step(source, Comparison(view, found), memories)
    look = _Look(family, in_step, carried, lists=lists if is_whole else None)
    look.at_what_is_in_step()
    if not is_whole:
        look.at_named(lists, targets)
    strangers = {key: _strangers(view, objects, known[key], targets[key]) for key in in_step if not is_whole}
    tags_seen = lists if is_whole and len(lists) <= TAGS_AT_MOST else None
    return Comparison(view, found, in_step, ReferrerNews(tags_seen, look.changed(), look.seen, strangers))


def _with_objects(view: SourceView, wanted: Mapping[str, str], missing: frozenset[str]) -> SourceView:
    """Return the view with the tags of companions that are there, and those that were named and are not."""
    return SourceView({**view.digests, **wanted}, view.missing | missing, view.indexes)


class _Family:
    """Which manifests belong to which of the source's tagged artifacts."""

    def __init__(self, source: Place, view: SourceView, carried: Mapping[int, Carried]) -> None:
        self.source = source
        self.tags = {tag: digest for tag, digest in view.digests.items() if not is_companion_tag(tag)}
        self.digests = set(self.tags.values())
        self._indexes = view.indexes
        self._remembered: dict[str, set[str]] = {}
        for one in carried.values():
            for digest, versions in one.versions.items():
                self._remembered.setdefault(digest, set()).update(versions)

    def is_known(self, digest: str) -> bool:
        """Say whether all that belongs to a digest can be said without asking."""
        return digest in self._remembered or digest not in self._indexes

    def subjects(self, digest: str) -> list[str]:
        """Return the digest and what belongs to it, as far as it is known."""
        return [digest, *sorted(self._remembered.get(digest, set()) - {digest})]

    def learn(self, digests: Iterable[str]) -> None:
        """Read those indexes that nothing is known of. One GET each."""
        unknown = sorted(digest for digest in digests if not self.is_known(digest))
        for index in asking.all_of([partial(asking.manifest_of, self.source, digest) for digest in unknown]):
            children = {child.digest for child in index.children if child.media_type in MANIFEST_TYPES}
            self._remembered[index.digest] = {index.digest, *children}

    def fallback_tags(self) -> set[str]:
        """Return the tags that companions of all that is known here would have."""
        return {fallback_tag(subject) for digest in self.digests for subject in self.subjects(digest)}


def _found(source: Place, tags: Sequence[str]) -> dict[str, str]:
    return {tag: head.digest for tag, head in asking.look_for(source, tags).items()}


def _wanted_objects(family: _Family, tags: Sequence[str], *, filters: Sequence[FilterSpec]) -> dict[str, str]:
    """Return `{tag: digest}` of what the filters take, and of what belongs to an artifact that they took.

    Indexes are read only when a tag is left over that may belong to one of their children.
    """
    accepted = [] if wanted_resource(filters) else [tag for tag in tags if accepts_tag(filters, tag)]
    wanted = _found(family.source, accepted)
    left = set(tags) - set(accepted)
    subjects = family.fallback_tags() | {fallback_tag(digest) for digest in wanted.values()}
    while left:
        matching = sorted(tag for tag in left if _subject_tag(tag) in subjects)
        if not matching and all(family.is_known(digest) for digest in family.digests):
            break
        if not matching:
            family.learn(family.digests)
            subjects |= family.fallback_tags()
            continue
        more = _found(family.source, matching)
        subjects |= {fallback_tag(digest) for digest in more.values()}  # an attestation may be signed as well
        wanted |= more
        left -= set(matching)
    return wanted


def _subject_tag(tag: str) -> str:
    companion = read_companion_tag(tag)
    return companion.fallback_tag if companion else ""


def _strangers(view: SourceView, objects: Sequence[str], known: Mapping[str, str], place: Place) -> frozenset[str]:
    """Return the named objects whose subject is neither in this run nor at the target. One HEAD for each doubt."""
    wanted = {fallback_tag(digest) for digest in view.digests.values()}
    doubtful = [tag for tag in objects if tag in view.digests and tag not in known and _subject_tag(tag) not in wanted]
    return frozenset(tag for tag in doubtful if not _has_subject(place, tag))


def _has_subject(place: Place, tag: str) -> bool:
    companion = read_companion_tag(tag)
    return companion is not None and bool(companion.subject) and _has(place, companion.subject)


def _has(place: Place, digest: str) -> bool:
    if place.memory.has_manifest(place.repository, digest):
        return True  # a no may be out of date: it saves bytes, and must not lose a signature
    try:
        return place.client.head_manifest(place.repository, digest) is not None
    except (AuthError, DeniedError):
        return False


class _Look:
    """A look at the source's lists of referrers, for all targets at once: each is asked for once."""

    def __init__(
        self,
        family: _Family,
        in_step: Mapping[int, Collection[str]],
        carried: Mapping[int, Carried],
        *,
        lists: frozenset[str] | None,
    ) -> None:
        self._family = family
        self._carried = carried
        self._lists = lists
        self._in_step = {
            key: {digest for tag, digest in family.tags.items() if tag in tags} for key, tags in in_step.items()
        }
        self._changed: dict[int, set[str]] = {key: set() for key in in_step}
        self.seen: dict[int, dict[str, Versions]] = {key: {} for key in in_step}

    def changed(self) -> dict[int, frozenset[str]]:
        """Return for each target the digests whose referrers are to be carried over."""
        return {key: frozenset(digests) for key, digests in self._changed.items()}

    def at_what_is_in_step(self) -> None:
        """Ask about what the targets have already; what is copied takes its referrers along anyway."""
        digests = sorted(set().union(*self._in_step.values()))
        if not digests:
            return
        source = self._family.source
        has_api = source.client.has_referrers_api(source.repository, digests[0])
        if not has_api and not self._lists:
            return  # without a list of tags their own events tell of them
        asked = self._ask_api(digests) if has_api else self._ask_tags(digests)
        for digest, versions in asked.items():
            for key, there in self._in_step.items():
                if digest in there:
                    self._judge(key, digest, versions)

    def at_named(self, lists: Collection[str], targets: Mapping[int, Place]) -> None:
        """Look at the fallback tags that events named, where their subjects are at the target already."""
        for tag in sorted(lists):
            companion = read_companion_tag(tag)
            subject = companion.subject if companion else ""
            if subject in self._family.digests:
                there = [key for key, digests in self._in_step.items() if subject in digests]
            else:
                there = [key for key in self._changed if subject and _has(targets[key], subject)]
            version = self._version(subject) if there else ""
            for key in there:
                if version and version != self._remembered_version(key, subject):
                    self._changed[key].add(subject)

    def _remembered_version(self, key: int, subject: str) -> str:
        rows = self._carried.get(key, Carried()).versions.values()
        return next((versions[subject] for versions in rows if subject in versions), "")

    def _ask_api(self, digests: Sequence[str]) -> dict[str, Versions]:
        """Ask for each digest's list, and for those below it where that is due or was never done."""
        self._family.learn(digests)
        whole = {digest for digest in digests if self._is_to_be_whole(digest)}
        return self._versions({d: self._family.subjects(d) if d in whole else [d] for d in digests})

    def _is_to_be_whole(self, digest: str) -> bool:
        """Say whether all that belongs to a digest is to be asked for, because of any of the targets that have it."""
        concerned = [self._carried.get(key, Carried()) for key, there in self._in_step.items() if digest in there]
        return any(digest in carried.due or digest not in carried.versions for carried in concerned)

    def _ask_tags(self, digests: Sequence[str]) -> dict[str, Versions]:
        """Ask for the tags that belong to the digests; indexes are read only when a tag is left that may be theirs."""
        lists = self._lists or frozenset()
        if lists - self._family.fallback_tags():
            self._family.learn(digests)
        return self._versions({digest: self._family.subjects(digest) for digest in digests})

    def _versions(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, Versions]:
        subjects = sorted({subject for several in wanted.values() for subject in several})
        versions = dict(
            zip(subjects, asking.all_of([partial(self._version, subject) for subject in subjects]), strict=True)
        )
        return {digest: {subject: versions[subject] for subject in several} for digest, several in wanted.items()}

    def _version(self, subject: str) -> str:
        source = self._family.source
        return source.client.referrers_version(source.repository, subject, known_tags=self._lists)

    def _judge(self, key: int, digest: str, versions: Versions) -> None:
        carried = self._carried.get(key, Carried())
        remembered = carried.versions.get(digest, {})
        if any(version and version != remembered.get(subject, "") for subject, version in versions.items()):
            self._changed[key].add(digest)
            return
        is_worth_it = len(versions) > 1 or any(versions.values())
        is_news = digest not in carried.versions or digest in carried.due or not versions.items() <= remembered.items()
        if is_worth_it and is_news:
            self.seen[key][digest] = {**remembered, **versions}
