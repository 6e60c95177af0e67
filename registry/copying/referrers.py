"""What refers to an artifact (signatures, SBOMs …) goes with it: found at the source, listed at the target.

Subjects are the root, every manifest below it, and what refers to them in turn. Only the manifests travel; how they are
found afterwards is each registry's own affair. So the four cases are one: the source is asked by its API or its
fallback tag, and where the target does not take note of a subject itself its fallback tag is added to, never replaced.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from registry.client import ReferrerList
from registry.copying.events import Note, Teller
from registry.copying.order import CopySource, CopyTarget
from registry.copying.source import Once, SourceTree
from registry.copying.tree import DEPTH_LIMIT, MANIFEST_LIMIT, Attachment, Tree, Walker
from registry.errors import NotFoundError, ProtocolError, RegistryError
from registry.media import INDEX_TYPES, MANIFEST_TYPES, Descriptor, Manifest

FEW_SUBJECTS = 2
"""Above this many one listing of the tags is cheaper than looking for a fallback tag for each."""


class SourceReferrers:
    """The source's lists as all targets of a copy see them: each is read once."""

    def __init__(self, source: CopySource) -> None:
        self._source = source
        self._known_tags = source.referrer_tags
        self._lists = Once[ReferrerList](self._list)
        self._tags = Once[frozenset[str]](lambda repository: frozenset(source.client.tags(repository)))

    def expect(self, subjects: Sequence[str]) -> None:
        """Prepare for many questions: without the API and without any knowledge, by reading the tags."""
        source = self._source
        if self._known_tags is not None or len(subjects) <= FEW_SUBJECTS:
            return
        if not source.client.has_referrers_api(source.repository, subjects[0]):
            self._known_tags = self._tags.get(source.repository)

    def of(self, subject: str) -> ReferrerList:
        """Return what refers to a manifest."""
        return self._lists.get(subject)

    def _list(self, subject: str) -> ReferrerList:
        return self._source.client.referrers(self._source.repository, subject, known_tags=self._known_tags)


class Companions:
    """What goes with the artifact on one target's way."""

    def __init__(self, source: SourceTree, referrers: SourceReferrers, target: CopyTarget, *, teller: Teller) -> None:
        self._source = source
        self._referrers = referrers
        self._target = target
        self._teller = teller
        self._denial = ""
        self.versions: dict[str, str] = {}
        """For each subject the version of its list; empty where nothing refers to it."""
        self.written: set[str] = set()
        """The referrers that the target did not have, or did not list."""

    def attach(self, tree: Tree, walker: Walker) -> None:
        """Find what refers to the tree's manifests and add what the target lacks of it.

        At the source one request per subject with the API, per fallback tag without; at both what walking costs.
        """
        if tree.root.subject is not None:
            tree.attach(Attachment(tree.root.subject.digest, Tree(tree.root)))
        level = list(self._first_subjects(tree))
        self._referrers.expect(level)
        while level:
            found = [attachment for subject in level for attachment in self._of(subject, walker)]
            for attachment in found:
                tree.attach(attachment)
            if len(tree.attached) > MANIFEST_LIMIT:
                raise ProtocolError(f"More than {MANIFEST_LIMIT} manifests refer to {tree.root.digest}")
            level = [subject for attachment in found for subject in self._subjects(attachment.referrer)]

    def push(self, tree: Tree, push: Callable[[Manifest, str], None]) -> None:
        """Put what was attached there; its subjects and all blobs are there already."""
        by_subject: dict[str, list[Manifest]] = defaultdict(list)
        for attachment in tree.attached:
            by_subject[attachment.subject].append(attachment.referrer)
            with_its_subject = f"{attachment.referrer.digest}, which refers to {attachment.subject}"
            self._try(partial(self._push_all, attachment.tree.manifests, push), with_its_subject)
        for subject, referrers in by_subject.items():
            self._try(partial(self._list, subject, referrers), f"the list of what refers to {subject}")

    def _push_all(self, manifests: Sequence[Manifest], push: Callable[[Manifest, str], None]) -> None:
        for manifest in manifests:
            push(manifest, manifest.digest)
            self.written.add(manifest.digest)

    def _list(self, subject: str, referrers: Sequence[Manifest]) -> None:
        client, repository = self._target.client, self._target.repository
        if client.keeps_referrers(repository, subject):
            return
        if added := client.list_under_fallback_tag(repository, subject, referrers):
            self.written |= added
            self._teller.tell(Note("info", f"listed what refers to {subject} under its fallback tag"))

    def _try(self, act: Callable[[], None], what: str) -> None:
        """Say in the log what the failure is about: the error itself only names a digest."""
        try:
            act()
        except RegistryError:
            self._teller.tell(Note("warning", f"Could not write {what}"))
            raise

    def _first_subjects(self, tree: Tree) -> Iterator[str]:
        """Yield the tree's manifests as the source has them, without what is not taken of an index.

        What refers to an index of which something else was made is not about that: it stays behind, and is told of.
        """
        selection = self._source.selection()
        unknown_there = set(selection.left_out)
        if tree.root.digest != self._source.digest:
            self._leave_behind(self._source.digest)
            if selection.manifest is not None:
                unknown_there.add(selection.digest)
        yield from (subject for subject in self._subjects(tree.root) if subject not in unknown_there)

    def _leave_behind(self, digest: str) -> None:
        listed = self._referrers.of(digest)
        self.versions[digest] = listed.version
        if listed.descriptors:
            count = len(listed.descriptors)
            self._teller.tell(
                Note("info", f"What refers to {digest} as a whole ({count}) does not go with a part of it")
            )

    def _subjects(self, manifest: Manifest, *, depth: int = 0) -> Iterator[str]:
        """Yield the manifest's digest and those below it that were not asked about yet."""
        if depth > DEPTH_LIMIT:
            raise ProtocolError(f"The index {manifest.digest} is nested more than {DEPTH_LIMIT} deep")
        if manifest.digest not in self.versions:
            yield manifest.digest
        for child in manifest.children:
            if child.media_type in INDEX_TYPES and (nested := self._found(child.digest)) is not None:
                yield from self._subjects(nested, depth=depth + 1)
            elif child.media_type in MANIFEST_TYPES and child.digest not in self.versions:
                yield child.digest

    def _of(self, subject: str, walker: Walker) -> Iterator[Attachment]:
        """Yield what refers to a subject, once however often it is asked."""
        if subject in self.versions:
            return
        listed = self._referrers.of(subject)
        self.versions[subject] = listed.version
        self._note_denial(listed)
        for descriptor in listed.descriptors:
            attachment = self._attachment(subject, descriptor, walker)
            if attachment is not None:
                yield attachment

    def _attachment(self, subject: str, descriptor: Descriptor, walker: Walker) -> Attachment | None:
        if self._found(descriptor.digest) is None:
            self._teller.tell(
                Note("warning", f"The source lists {descriptor.digest} as referring to {subject}, but does not have it")
            )
            return None
        return Attachment(subject, walker.walk_also(descriptor.digest))

    def _found(self, digest: str) -> Manifest | None:
        try:
            return self._source.manifest(digest)
        except NotFoundError:
            return None

    def _note_denial(self, listed: ReferrerList) -> None:
        if listed.denial and not self._denial:
            self._denial = listed.denial
            self._teller.tell(Note("warning", f"{listed.denial}; what refers to the artifact may be left behind"))
