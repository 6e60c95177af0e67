"""From an endpoint row to a connection: credentials are read and decrypted here, at the moment of use."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from harborsync.lib.installation import user_agent
from registry import Connection, RegistrySettings
from targets.learning import Lesson
from targets.limits import gate_for
from targets.limits.broker import broker_at
from targets.locks import locks_at
from targets.memory import SharedMemory
from targets.models import Endpoint
from targets.shelves import ManifestShelf, SessionShelf


@dataclass(frozen=True, slots=True)
class _Kept:
    """A long-lived connection, the settings it was made from, and what it learns."""

    settings: RegistrySettings
    connection: Connection
    lesson: Lesson


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

    It keeps the endpoint's limits of this moment, shares its locks with all workers, and knows what the row (read just
    now) says was learned by others. Raises SecretUnreadableError.
    """
    wanted = endpoint_settings(endpoint)
    with _lock:
        kept = _kept.get(endpoint.pk)
        if kept is None or kept.settings != wanted:
            # The old connection may be in use by another thread: it closes when the last user lets go.
            connection = Connection(wanted)
            kept = _kept[endpoint.pk] = _Kept(wanted, connection, Lesson(endpoint.pk, connection))
        kept.lesson.follow(endpoint.capabilities)
        kept.connection.gate = gate_for(endpoint)
        kept.connection.locks = locks_at(settings.REDIS_URL)
        return kept.connection


def keep_what_was_learned() -> None:
    """Write what this process's connections have learned into their rows; for the thread that owns the database."""
    for kept in list(_kept.values()):
        kept.lesson.keep()


def memory_of(endpoint: Endpoint) -> SharedMemory:
    """Return what all workers know of the registry's content; another address is another registry."""
    return SharedMemory(_content_name(endpoint), broker_at(settings.REDIS_URL))


def sessions_of(endpoint: Endpoint, *, outlives_stop: Callable[[], bool]) -> SessionShelf:
    """Return the registry's upload sessions that somebody has still to end."""
    return SessionShelf(_content_name(endpoint), broker_at(settings.REDIS_URL), outlives_stop=outlives_stop)


def read_manifests() -> ManifestShelf:
    """Return the manifests that were read lately, from whichever registry."""
    return ManifestShelf(broker_at(settings.REDIS_URL))


def _content_name(endpoint: Endpoint) -> str:
    address = hashlib.sha256(endpoint.url.encode()).hexdigest()
    return f"harborsync:content:{endpoint.pk}:{address[:16]}"
