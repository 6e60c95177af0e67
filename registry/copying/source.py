"""Asking the source once, however many targets want to know."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from registry.copying.order import CopySource
from registry.media import Manifest
from registry.platforms import Selection, select

Answer = TypeVar("Answer")


class Once(Generic[Answer]):
    """Remembers the answer, or the error, to a question about a digest. The first to ask asks for all.

    >>> asked = []
    >>> lengths = Once(lambda digest: asked.append(digest) or len(digest))
    >>> [lengths.get("abc"), lengths.get("abc"), asked]
    [3, 3, ['abc']]
    """

    def __init__(self, ask: Callable[[str], Answer]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answers: dict[str, Future[Answer]] = {}

    def get(self, digest: str) -> Answer:
        """Return the answer; who asks second waits for the first."""
        with self._lock:
            known = self._answers.get(digest)
            answer = known if known is not None else self._answers.setdefault(digest, Future())
        if known is None:
            try:
                answer.set_result(self._ask(digest))
            except BaseException as error:  # noqa: BLE001  (raised by result(), here and where others wait)
                answer.set_exception(error)
        return answer.result()


class SourceTree:
    """The source's manifests as all targets of a copy see them: each is read once."""

    def __init__(self, source: CopySource) -> None:
        self.digest = source.digest
        self._source = source
        self._manifests = Once[Manifest](self._read)
        self._selections = Once[Selection](self._select)
        self._blobs = Once[bool](lambda digest: source.client.has_blob(source.repository, digest))

    def manifest(self, digest: str) -> Manifest:
        """Return a manifest."""
        return self._manifests.get(digest)

    def selection(self) -> Selection:
        """Return what of the artifact is taken."""
        return self._selections.get(self.digest)

    def root(self) -> Manifest:
        """Return what stands under the tags in the end: the artifact itself, unless platforms were chosen."""
        selection = self.selection()
        return selection.manifest or self.manifest(selection.digest)

    def _select(self, digest: str) -> Selection:
        artifact = self.manifest(digest)
        choice = self._source.platforms
        return select(artifact, choice) if choice else Selection(digest, artifact)

    def has_blob(self, digest: str) -> bool:
        """Answer whether the source has a blob."""
        return self._blobs.get(digest)

    def _read(self, digest: str) -> Manifest:
        known = self._source.manifests.find(digest)
        if known is None:
            known = self._source.client.get_manifest(self._source.repository, digest)
            self._source.manifests.keep(known)
        return known
