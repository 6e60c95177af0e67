"""Finding out what an artifact consists of and which of it the target lacks."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from registry.copying.events import Note, Teller
from registry.copying.order import CopyTarget
from registry.copying.source import SourceTree
from registry.copying.sparse import SparseTarget
from registry.errors import NotFoundError, ProtocolError
from registry.media import INDEX_TYPES, MANIFEST_TYPES, Descriptor, Manifest

DEPTH_LIMIT = 8
"""Indexes in indexes are allowed; real ones have two levels, and something must end a malicious one."""
MANIFEST_LIMIT = 10_000


@dataclass
class Tree:
    """The part of an artifact that the target lacks."""

    root: Manifest
    manifests: list[Manifest] = field(default_factory=list)
    """Children before their parents, the root last; without those the target has."""
    blobs: dict[str, Descriptor] = field(default_factory=dict)
    """Each digest once."""
    foreign_layers: dict[str, Descriptor] = field(default_factory=dict)
    attached: "list[Attachment]" = field(default_factory=list)
    """What refers to these manifests; its blobs are among those above."""

    @property
    def size_bytes(self) -> int:
        """Blobs and manifests together, with those attached."""
        attached = [manifest for attachment in self.attached for manifest in attachment.tree.manifests]
        blob_bytes = sum(blob.size_bytes for blob in self.blobs.values())
        return blob_bytes + sum(manifest.size_bytes for manifest in (*self.manifests, *attached))

    def attach(self, attachment: "Attachment") -> None:
        """Take along something that refers to one of these manifests."""
        self.attached.append(attachment)
        self.blobs.update(attachment.tree.blobs)
        self.foreign_layers.update(attachment.tree.foreign_layers)

    @property
    def largest_first(self) -> list[Descriptor]:
        """The blobs in the order that shortens the tail of a parallel copy."""
        return sorted(self.blobs.values(), key=lambda blob: (-blob.size_bytes, blob.digest))


@dataclass(frozen=True)
class Attachment:
    """An artifact that refers to a subject, and what the target lacks of it."""

    subject: str
    tree: Tree

    @property
    def referrer(self) -> Manifest:
        """Its manifest."""
        return self.tree.root


class Walker:
    """Walks an artifact's manifests at the source; what the target has is not descended into."""

    def __init__(self, source: SourceTree, target: CopyTarget, *, sparse: SparseTarget, teller: Teller) -> None:
        self._source = source
        self._target = target
        self._sparse = sparse
        self._teller = teller
        self._visited: set[str] = set()

    def walk(self) -> Tree:
        """Return the tree below what is to stand at the target. Two requests per manifest: HEAD at the target, GET at
        the source (one for all targets).

        A manifest that stands at the target proves that everything below it does (`SparseTarget` knows exceptions).
        """
        tree = Tree(self._source.root())
        # Without tags it should be there already: the target is asked, or a memory that is behind costs pushes.
        look = self._target.has_manifest if self._target.tags else self._target.shows_manifest
        is_present = look(tree.root.digest)
        if not is_present:
            self._sparse.refuse_what_was_refused_before()
        return self._walked(tree, is_present=is_present)

    def walk_also(self, digest: str) -> Tree:
        """Return the tree of another artifact of the source, an empty one if the walk came by it before.

        The target itself is asked for it: a memory that is behind would have what refers to an old image pushed again.
        """
        tree = Tree(self._source.manifest(digest))
        if digest in self._visited:
            return tree
        return self._walked(tree, is_present=self._target.shows_manifest(digest))

    def _walked(self, tree: Tree, *, is_present: bool) -> Tree:
        self._visited.add(tree.root.digest)
        if not is_present or not self._sparse.proves_all_below(is_index=tree.root.is_index):
            self._add(tree, tree.root, depth=0)
        return tree

    def _add(self, tree: Tree, manifest: Manifest, *, depth: int) -> None:
        if depth > DEPTH_LIMIT:
            raise ProtocolError(f"The index {tree.root.digest} is nested more than {DEPTH_LIMIT} deep")
        for child in self._unvisited(manifest):
            found = self._child(tree, child)
            if found is not None:
                self._add(tree, found, depth=depth + 1)
        tree.blobs.update((blob.digest, blob) for blob in manifest.blobs)
        tree.foreign_layers.update((layer.digest, layer) for layer in manifest.foreign_layers)
        tree.manifests.append(manifest)

    def _unvisited(self, manifest: Manifest) -> Iterator[Descriptor]:
        for child in manifest.children:
            if child.digest not in self._visited and not self._sparse.is_left_out(manifest, child.digest):
                if len(self._visited) >= MANIFEST_LIMIT:
                    raise ProtocolError(f"The index refers to more than {MANIFEST_LIMIT} manifests")
                self._visited.add(child.digest)
                yield child

    def _child(self, tree: Tree, child: Descriptor) -> Manifest | None:
        """Return the child's manifest; None when the target has it or when it turns out to be a blob."""
        proves_all = self._sparse.proves_all_below(is_index=child.media_type in INDEX_TYPES)
        if self._target.has_manifest(child.digest) and proves_all:
            return None
        try:
            return self._source.manifest(child.digest)
        except NotFoundError:
            if child.media_type not in MANIFEST_TYPES and self._source.has_blob(child.digest):
                tree.blobs[child.digest] = child
                return None
            self._teller.tell(Note("warning", f"The source's index refers to {child.digest}, which it does not have"))
            raise
