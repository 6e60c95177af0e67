"""Sparse indexes: which registries take them, found out by the first push and remembered.

The OCI distribution-spec lets a registry refuse an index that names manifests it does not have, and most do:
distribution and Harbor with MANIFEST_BLOB_UNKNOWN, zot with MANIFEST_INVALID.
"""

from registry.copying.order import CopyTarget
from registry.errors import BlobUnknownError, RegistryError, UnsupportedError
from registry.media import Manifest
from registry.platforms import Selection

_ADVICE = "Choose the rewritten index or the single image for this rule."


class SparseTarget:
    """What one target has to do with the holes of an index, if it has some."""

    def __init__(self, target: CopyTarget, selection: Selection) -> None:
        self._target = target
        self._learned = target.client.connection.learned
        self.selection = selection

    def proves_all_below(self, *, is_index: bool) -> bool:
        """Answer whether a manifest that stands at the target has everything below it.

        Registries check at the push; those that take sparse indexes (or may) do not check an index.
        """
        takes_holes = self._learned.sparse_index
        may_take_holes = takes_holes is None and bool(self.selection.left_out)
        return not is_index or not (takes_holes or may_take_holes)

    def refuse_what_was_refused_before(self) -> None:
        """Raise UnsupportedError if the index has holes and the registry is known not to take them."""
        if self.selection.left_out and self._learned.sparse_index is False:
            raise UnsupportedError(
                "The registry refuses sparse indexes: it has refused one before (save the registry's settings once "
                f"more to have it tried again). {_ADVICE}"
            )

    def is_left_out(self, manifest: Manifest, digest: str) -> bool:
        """Answer whether a manifest names this digest, but shall not bring it along."""
        return manifest.digest == self.selection.digest and digest in self.selection.left_out

    def names_a_hole(self, error: RegistryError, manifest: Manifest) -> bool:
        """Answer whether a refusal says itself that it is about what is left out."""
        return any(digest in error.message for digest in self.selection.left_out if self.is_left_out(manifest, digest))

    def explain(self, error: RegistryError, manifest: Manifest) -> UnsupportedError | None:
        """Return what a last refusal means if the holes are the reason, and take note of it."""
        if manifest.digest != self.selection.digest or not self.selection.left_out:
            return None
        is_about_parts = isinstance(error, BlobUnknownError) or error.registry_code.upper() == "MANIFEST_INVALID"
        if not is_about_parts or self._names_what_was_brought(error, manifest):
            return None
        self._learned.sparse_index = False
        return UnsupportedError(
            f"The registry refuses sparse indexes. {_ADVICE} ({error.message})",
            status=error.status,
            registry_code=error.registry_code,
        )

    def _names_what_was_brought(self, error: RegistryError, manifest: Manifest) -> bool:
        """Answer whether a refusal is about what was just put there: replicated registries know it after a while."""
        brought = {child.digest for child in manifest.children} - self.selection.left_out
        return not self.names_a_hole(error, manifest) and any(digest in error.message for digest in brought)

    def learn_from_success(self) -> None:
        """Take note that an index with holes was taken, if there are holes indeed: one HEAD, until it is known."""
        is_open = bool(self.selection.left_out) and not self._learned.sparse_index
        if is_open and not self._target.has_manifest(min(self.selection.left_out)):
            self._learned.sparse_index = True
