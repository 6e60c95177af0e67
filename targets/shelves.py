"""Kept in Redis for all workers: upload sessions that were begun, and manifests that were read."""

import base64
import logging
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable

from harborsync.lib import crypto
from harborsync.lib.crypto import SecretUnreadableError
from registry import Manifest, RegistryError
from registry.digests import is_content_of
from targets.limits.broker import Broker

logger = logging.getLogger(__name__)

# Registries clear away unfinished uploads after a day to a week. What was left open for a retry that never comes runs
# out in the same way: a row that is stopped while it waits has nobody who talks to the registry.
SESSION_SECONDS = 24 * 3600
MANIFEST_SECONDS = 24 * 3600
# What is larger is rare, and Redis holds all of it in memory.
LARGEST_MANIFEST_BYTES = 256 << 10
# What a worker reads while planning it mostly copies itself: that much it holds on to, a thousand manifests or more.
RECENT_BYTES = 16 << 20


class SessionShelf:
    """The open upload sessions of one registry. An address may be signed: it is kept encrypted, as secrets are."""

    def __init__(self, name: str, broker: Broker, *, outlives_stop: Callable[[], bool] = lambda: False) -> None:
        self._name = name
        self._broker = broker
        self.outlives_stop = outlives_stop

    def find(self, repository: str, digest: str) -> str:
        """Return the address of a session, "" without one."""
        kept = self._broker.ask(lambda redis: redis.get(self._key(repository, digest)), None)
        try:
            return crypto.decrypt(str(kept)) if kept else ""
        except SecretUnreadableError:
            return ""

    def keep(self, repository: str, digest: str, location: str) -> None:
        """Keep the newest address."""
        token = crypto.encrypt(location)
        self._broker.ask(lambda redis: redis.set(self._key(repository, digest), token, ex=SESSION_SECONDS), None)

    def drop(self, repository: str, digest: str) -> None:
        """Forget a session."""
        self._broker.ask(lambda redis: redis.delete(self._key(repository, digest)), None)

    def _key(self, repository: str, digest: str) -> str:
        return f"{self._name}:session:{repository}@{digest}"


class ManifestShelf:
    """Manifests by digest, whatever registry they came from: content is the same everywhere.

    One that was read or kept lately is at hand; a further round trip to Redis is for those of other workers.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._recent = _Recent(RECENT_BYTES)

    def find(self, digest: str) -> Manifest | None:
        """Return a manifest, verified, None without one. One round trip at most."""
        manifest = self._recent.find(digest) or self._from_others(digest)
        if manifest is not None:
            self._recent.keep(manifest)
        return manifest

    def keep(self, manifest: Manifest) -> None:
        """Keep a manifest. One round trip."""
        if manifest.size_bytes > LARGEST_MANIFEST_BYTES:
            return
        self._recent.keep(manifest)
        packed = base64.b64encode(zlib.compress(manifest.content, level=1)).decode("ascii")
        kept = f"{manifest.media_type} {packed}"
        self._broker.ask(lambda redis: redis.set(_manifest_key(manifest.digest), kept, ex=MANIFEST_SECONDS), None)

    def _from_others(self, digest: str) -> Manifest | None:
        kept = self._broker.ask(lambda redis: redis.get(_manifest_key(digest)), None)
        if not kept:
            return None
        media_type, _, packed = str(kept).partition(" ")
        try:
            content = zlib.decompress(base64.b64decode(packed))
            return (
                Manifest.parse(content, content_type=media_type, digest=digest)
                if is_content_of(digest, content)
                else None
            )
        except (RegistryError, zlib.error, ValueError) as error:
            logger.warning("shelf.unreadable_manifest digest=%s error=%s", digest, error)
            return None


class _Recent:
    """The manifests that were in use last, up to so many bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._manifests: OrderedDict[str, Manifest] = OrderedDict()
        self._bytes = 0

    def find(self, digest: str) -> Manifest | None:
        return self._manifests.get(digest)

    def keep(self, manifest: Manifest) -> None:
        with self._lock:
            if manifest.digest not in self._manifests:
                self._bytes += manifest.size_bytes
            self._manifests[manifest.digest] = manifest
            self._manifests.move_to_end(manifest.digest)
            while self._bytes > self._most_bytes:
                _, oldest = self._manifests.popitem(last=False)
                self._bytes -= oldest.size_bytes


def _manifest_key(digest: str) -> str:
    return f"harborsync:manifest:{digest}"
