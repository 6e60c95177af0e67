"""Copying an artifact from one repository to another, between registries or inside one.

Order (as regclient and Harbor have it): blobs, child manifests, the root, and the tags last. So a copy that is
stopped or breaks never leaves a tag that points at a hole.
"""

import time
from collections.abc import Iterable
from dataclasses import replace

from registry.client import StopFlag
from registry.copying.blobs import BlobMover, Halt
from registry.copying.events import (
    ArtifactSized,
    BlobCopied,
    BlobMounted,
    BlobPresent,
    BlobProgress,
    BlobStarted,
    BlobTakenBack,
    CopyEvent,
    ManifestPushed,
    Note,
    OnEvent,
    Teller,
    ignore_event,
)
from registry.copying.order import CopyOptions, CopyResult, CopySource, CopyTarget
from registry.copying.throttle import Throttle
from registry.copying.tree import Tree, Walker
from registry.errors import BlobUnknownError, RegistryError, UnsupportedError
from registry.media import Manifest

__all__ = [
    "ArtifactSized",
    "BlobCopied",
    "BlobMounted",
    "BlobPresent",
    "BlobProgress",
    "BlobStarted",
    "BlobTakenBack",
    "CopyEvent",
    "CopyOptions",
    "CopyResult",
    "CopySource",
    "CopyTarget",
    "ManifestPushed",
    "Note",
    "copy_artifact",
]

_REPAIR_PAUSE_SECONDS = 1.0


_DEFAULT_OPTIONS = CopyOptions()


def copy_artifact(
    source: CopySource,
    target: CopyTarget,
    *,
    options: CopyOptions = _DEFAULT_OPTIONS,
    on_event: OnEvent = ignore_event,
    stop: StopFlag | None = None,
) -> CopyResult:
    """Copy an artifact byte for byte; return what was done.

    ``on_event`` is called from several threads, one at a time. Raise Stopped when ``stop`` (or the flag of either
    client) was set, else the RegistryError that ended the copy; then no tag has been touched.
    """
    return _Copy(source, target, options, Teller(on_event), stop).run()


class _AnyFlag:
    """Set as soon as one of several flags is."""

    def __init__(self, flags: Iterable[StopFlag | None]) -> None:
        self._flags = [flag for flag in flags if flag is not None]

    def is_set(self) -> bool:
        return any(flag.is_set() for flag in self._flags)


class _Copy:
    """One run of copy_artifact."""

    def __init__(
        self, source: CopySource, target: CopyTarget, options: CopyOptions, teller: Teller, stop: StopFlag | None
    ) -> None:
        self._halt = Halt(_AnyFlag((stop, source.client.stop, target.client.stop)))
        self._source = replace(source, client=source.client.with_stop(self._halt))
        self._target = replace(target, client=target.client.with_stop(self._halt))
        self._teller = teller
        self._manifests_pushed = 0
        throttle = Throttle(options.bytes_per_second, check_stop=self._halt.check)
        self._mover = BlobMover(
            self._source, self._target, options=options, throttle=throttle, halt=self._halt, teller=teller
        )

    def run(self) -> CopyResult:
        self._halt.check()
        tree = Walker(self._source, self._target, teller=self._teller).walk()
        self._teller.tell(ArtifactSized(tree.size_bytes))
        self._note_foreign_layers(tree)
        self._mover.move_all(tree.largest_first)
        self._push_manifests(tree)
        return self._result(tree)

    def _push_manifests(self, tree: Tree) -> None:
        """Push children, then the root: by its tags, or by its digest when there are none."""
        for manifest in tree.manifests:
            if manifest is not tree.root:
                self._push(manifest, manifest.digest)
        is_root_missing = any(manifest is tree.root for manifest in tree.manifests)
        references = self._target.tags or ((tree.root.digest,) if is_root_missing else ())
        for reference in references:
            self._push(tree.root, reference)

    def _push(self, manifest: Manifest, reference: str) -> None:
        try:
            self._target.client.put_manifest(self._target.repository, reference, manifest)
        except BlobUnknownError as error:
            self._repair(manifest, error, is_certain=True)
            self._target.client.put_manifest(self._target.repository, reference, manifest)
        except UnsupportedError as error:
            # zot answers MANIFEST_INVALID where a blob is missing; anything else it says stands.
            if error.registry_code.upper() != "MANIFEST_INVALID" or not self._repair(manifest, error, is_certain=False):
                raise
            self._target.client.put_manifest(self._target.repository, reference, manifest)
        self._manifests_pushed += 1
        self._teller.tell(ManifestPushed(manifest.digest, reference, manifest.size_bytes))

    def _repair(self, manifest: Manifest, error: RegistryError, *, is_certain: bool) -> bool:
        """Put again what the registry misses; answer whether it missed anything.

        Replicated registries know a new blob only after a while (ACR), others lost one that they had.
        """
        if is_certain:
            self._teller.tell(Note("warning", f"{error.message}; looking for the missing blobs and trying once more"))
            self._pause(_REPAIR_PAUSE_SECONDS)
        missing = [blob for blob in manifest.blobs if not self._target.has_blob(blob.digest)]
        for blob in missing:
            self._mover.move(blob)
        for child in manifest.children:
            if not self._target.has_manifest(child.digest):
                found = self._source.client.get_manifest(self._source.repository, child.digest)
                missing += found.blobs
                self._mover.move_all(list(found.blobs))
                self._target.client.put_manifest(self._target.repository, child.digest, found)
        return bool(missing)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._halt.check()
            time.sleep(min(left, 0.1))

    def _note_foreign_layers(self, tree: Tree) -> None:
        for layer in tree.foreign_layers.values():
            self._teller.tell(Note("info", f"The layer {layer.digest} may not be redistributed and is left out"))

    def _result(self, tree: Tree) -> CopyResult:
        moved = self._mover.moved
        return CopyResult(
            digest=tree.root.digest,
            media_type=tree.root.media_type,
            bytes_copied=moved.copied_bytes,
            bytes_mounted=moved.mounted_bytes,
            bytes_present=moved.present_bytes,
            blobs_copied=moved.copied_blobs,
            manifests_pushed=self._manifests_pushed,
            foreign_layers_skipped=len(tree.foreign_layers),
        )
