"""One target's way through a copy: what it lacks, its blobs, its manifests, its tags."""

import time
from dataclasses import replace

from registry.copying.blobs import BlobMover
from registry.copying.events import ArtifactSized, ManifestPushed, Note, TargetFinished, Teller
from registry.copying.halt import Halt
from registry.copying.order import CopyOptions, CopyOutcome, CopyResult, CopySource, CopyTarget
from registry.copying.referrers import Companions, SourceReferrers
from registry.copying.sharing import Readings
from registry.copying.source import SourceTree
from registry.copying.sparse import SparseTarget
from registry.copying.tree import Tree, Walker
from registry.errors import BlobUnknownError, RegistryError, UnsupportedError
from registry.media import Manifest

_REPAIR_PAUSE_SECONDS = 1.0


class Shared:
    """What all targets of a copy have in common. ``halt`` stops them all."""

    def __init__(self, source: CopySource, *, stall_seconds: float, halt: Halt) -> None:
        client = source.client.with_stop(halt)
        self.source = replace(source, client=client)
        self.tree = SourceTree(self.source)
        self.referrers = SourceReferrers(self.source)
        self.readings = Readings(self.source, stall_seconds=stall_seconds, stop=halt)
        self.halt = halt


class Lane:
    """Carries the artifact to one target; it meets the other targets only in what is shared."""

    def __init__(self, shared: Shared, target: CopyTarget, *, options: CopyOptions, teller: Teller) -> None:
        self._halt = Halt(shared.halt)
        self._source = shared.tree
        self._target = replace(target, client=target.client.with_stop(self._halt))
        self._teller = teller
        self._reader = shared.readings.reader(self._halt)
        is_mountable = target.is_in_source_registry and target.repository != shared.source.repository
        self._mover = BlobMover(
            self._target,
            self._reader,
            options=options,
            mount_from=shared.source.repository if is_mountable else "",
            halt=self._halt,
            teller=teller,
        )
        self._manifests_pushed = 0
        self._companions = Companions(self._source, shared.referrers, self._target, teller=teller)
        self._with_referrers = options.referrers

    def run(self) -> CopyOutcome:
        """Return what was done, or the error that ended it; then no tag has been touched. Stopped comes through."""
        outcome: CopyOutcome
        try:
            outcome = self._copy()
        except RegistryError as error:
            outcome = error
        finally:
            self._reader.finish()
            self._mover.finish()
        self._teller.tell(TargetFinished(outcome))
        return outcome

    def _copy(self) -> CopyResult:
        self._halt.check()
        self._sparse = SparseTarget(self._target, self._source.selection())
        walker = Walker(self._source, self._target, sparse=self._sparse, teller=self._teller)
        tree = walker.walk()
        if self._with_referrers:
            self._companions.attach(tree, walker)
        blobs = tree.largest_first
        self._reader.announce(blobs)
        self._teller.tell(ArtifactSized(tree.size_bytes))
        self._note_foreign_layers(tree)
        self._note_selection(tree)
        self._mover.move_all(blobs)
        self._push_manifests(tree)
        self._sparse.learn_from_success()
        return self._result(tree)

    def _push_manifests(self, tree: Tree) -> None:
        """Push children, then the root: by its tags, or by its digest when there are none.

        What refers to it comes in between: it needs its subject, and a tag promises that all is there.
        """
        for manifest in tree.manifests:
            if manifest is not tree.root:
                self._push(manifest, manifest.digest)
        is_root_missing = any(manifest is tree.root for manifest in tree.manifests)
        if tree.attached:
            if is_root_missing:
                self._push(tree.root, tree.root.digest)
                is_root_missing = False
            self._companions.push(tree, self._push)
        references = self._target.tags or ((tree.root.digest,) if is_root_missing else ())
        for reference in references:
            self._push(tree.root, reference)

    def _push(self, manifest: Manifest, reference: str) -> None:
        try:
            self._put(manifest, reference)
        except (BlobUnknownError, UnsupportedError) as error:
            explained = self._sparse.explain(error, manifest)
            if explained is None:
                raise
            raise explained from error
        self._manifests_pushed += 1
        self._mover.tell_landed(manifest.digest)
        self._teller.tell(ManifestPushed(manifest.digest, reference, manifest.size_bytes))

    def _put(self, manifest: Manifest, reference: str) -> None:
        try:
            self._target.client.put_manifest(self._target.repository, reference, manifest)
        except BlobUnknownError as error:
            if self._sparse.names_a_hole(error, manifest):
                raise
            self._repair(manifest, error, is_certain=True)
            self._target.client.put_manifest(self._target.repository, reference, manifest)
        except UnsupportedError as error:
            # zot answers MANIFEST_INVALID where a blob is missing; anything else it says stands.
            if not _is_invalid(error) or not self._repair(manifest, error, is_certain=False):
                raise
            self._put_repaired(manifest, reference)

    def _put_repaired(self, manifest: Manifest, reference: str) -> None:
        """Put a manifest once what it lacked is there: who still does not take it may know of that in a while."""
        try:
            self._target.client.put_manifest(self._target.repository, reference, manifest)
        except UnsupportedError as error:
            if not _is_invalid(error):
                raise
            message = f"{error.message}, after blobs that it lacked were put there"
            raise BlobUnknownError(message, status=error.status, registry_code=error.registry_code) from error

    def _repair(self, manifest: Manifest, error: RegistryError, *, is_certain: bool) -> bool:
        """Put again what the registry misses; answer whether it missed anything.

        Replicated registries know a new blob only after a while (ACR), others lost one that they had.
        """
        self._mover.doubt()
        if is_certain:
            self._teller.tell(Note("warning", f"{error.message}; looking for the missing blobs and trying once more"))
            self._pause(_REPAIR_PAUSE_SECONDS)
        missing = [blob for blob in manifest.blobs if not self._target.has_blob(blob.digest)]
        self._mover.move_all(missing)
        for child in manifest.children:
            if not self._sparse.is_left_out(manifest, child.digest) and not self._target.has_manifest(child.digest):
                found = self._source.manifest(child.digest)
                missing += found.blobs
                self._mover.move_all(list(found.blobs))
                self._put_repaired(found, child.digest)
                self._mover.tell_landed(child.digest)  # its siblings have blobs in common with it
        return bool(missing)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._halt.check()
            time.sleep(min(left, 0.1))

    def _note_foreign_layers(self, tree: Tree) -> None:
        for layer in tree.foreign_layers.values():
            self._teller.tell(Note("info", f"The layer {layer.digest} may not be redistributed and is left out"))

    def _note_selection(self, tree: Tree) -> None:
        selection = self._sparse.selection
        if selection.summary:
            kept = "the digest stays" if tree.root.digest == self._source.digest else f"new digest {tree.root.digest}"
            self._teller.tell(Note("info", f"{self._source.digest}: {selection.summary}, {kept}"))

    def _result(self, tree: Tree) -> CopyResult:
        moved = self._mover.moved
        return CopyResult(
            digest=tree.root.digest,
            media_type=tree.root.media_type,
            bytes_read=moved.read_bytes,
            bytes_copied=moved.copied_bytes,
            bytes_mounted=moved.mounted_bytes,
            bytes_present=moved.present_bytes,
            blobs_copied=moved.copied_blobs,
            manifests_pushed=self._manifests_pushed,
            foreign_layers_skipped=len(tree.foreign_layers),
            referrers_copied=len(self._companions.written),
            referrer_versions=self._companions.versions,
        )


def _is_invalid(error: UnsupportedError) -> bool:
    return error.registry_code.upper() == "MANIFEST_INVALID"
