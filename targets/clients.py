"""From an endpoint row to a connection: credentials are read and decrypted here, at the moment of use."""

import hashlib
import threading
from dataclasses import dataclass

from django.conf import settings

from harborsync.lib.installation import user_agent
from registry import Connection, RegistrySettings
from targets import capabilities
from targets.limits import gate_for
from targets.limits.broker import broker_at
from targets.memory import SharedMemory
from targets.models import Endpoint
from targets.shelves import ManifestShelf, SessionShelf


@dataclass(slots=True)
class _Kept:
    """A long-lived connection, the settings it was made from, and what the row said of its capabilities then."""

    settings: RegistrySettings
    connection: Connection
    sparse_index: bool | None = None


_kept: dict[int, _Kept] = {}
_lock = threading.Lock()


def endpoint_settings(endpoint: Endpoint) -> RegistrySettings:
    """Return what the registry client needs. Raises SecretUnreadableError."""
    return RegistrySettings(
        url=endpoint.url,
        kind=endpoint.kind,
        username=endpoint.access_key,
        password=endpoint.reveal_secret(),
        verify_tls=endpoint.verify_tls,
        ca_certificate=endpoint.ca_certificate,
        proxy_url=endpoint.proxy_url,
        user_agent=user_agent(),
        name=endpoint.name,
    )


def connection_for(endpoint: Endpoint) -> Connection:
    """Return this process's connection to the endpoint; a changed URL or credential makes a new one.

    It keeps the endpoint's limits of this moment. Raises SecretUnreadableError.
    """
    wanted = endpoint_settings(endpoint)
    with _lock:
        kept = _kept.get(endpoint.pk)
        if kept is None or kept.settings != wanted:
            # The old connection may be in use by another thread: it closes when the last user lets go.
            kept = _kept[endpoint.pk] = _Kept(wanted, Connection(wanted))
        if kept.sparse_index != endpoint.capabilities.get(capabilities.SPARSE_INDEX):
            kept.sparse_index = capabilities.recall(endpoint, kept.connection)
        kept.connection.gate = gate_for(endpoint)
        return kept.connection


def keep_what_was_learned(endpoint_id: int | None) -> None:
    """Write down what this process's connection found out since it was last asked; mostly that is nothing."""
    kept = _kept.get(endpoint_id or 0)
    found = kept.connection.learned.sparse_index if kept else None
    if kept is None or found is None or endpoint_id is None or found == kept.sparse_index:
        return
    capabilities.note(endpoint_id, sparse_index=found)
    kept.sparse_index = found


def memory_of(endpoint: Endpoint) -> SharedMemory:
    """Return what all workers know of the registry's content; another address is another registry."""
    return SharedMemory(_content_name(endpoint), broker_at(settings.REDIS_URL))


def sessions_of(endpoint: Endpoint) -> SessionShelf:
    """Return the registry's upload sessions that somebody has still to end."""
    return SessionShelf(_content_name(endpoint), broker_at(settings.REDIS_URL))


def read_manifests() -> ManifestShelf:
    """Return the manifests that were read lately, from whichever registry."""
    return ManifestShelf(broker_at(settings.REDIS_URL))


def _content_name(endpoint: Endpoint) -> str:
    address = hashlib.sha256(endpoint.url.encode()).hexdigest()
    return f"harborsync:content:{endpoint.pk}:{address[:16]}"
