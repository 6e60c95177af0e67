"""The registries that one drain talks to: their rows are read once a second at most, not for every artifact."""

import threading
import time
from dataclasses import dataclass

from harborsync.lib.crypto import SecretUnreadableError
from registry import Connection, RegistryClient, RegistryError, Tally
from registry.copying import ManifestMemory
from replication.runner import handover
from targets.clients import connection_for, memory_of, read_manifests, sessions_of
from targets.memory import SharedMemory
from targets.models import Endpoint
from targets.shelves import SessionShelf

FRESH_SECONDS = 1.0


class EndpointUnusableError(RegistryError):
    """The row of an endpoint is gone, or its secret cannot be read. Nothing was sent."""

    code = "endpoint_unusable"


@dataclass(frozen=True, slots=True)
class Reached:
    """A registry within reach: the connection with its credentials, and what all workers know about its content."""

    connection: Connection
    memory: SharedMemory
    sessions: SessionShelf
    read_at: float


class Reach:
    """Used by the thread that owns the database only; the clients it gives obey the drain's stop flag."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._reached: dict[int, Reached] = {}
        self.manifests: ManifestMemory = read_manifests()

    def client(self, endpoint_id: int | None, tally: Tally) -> RegistryClient:
        """Return a client with the endpoint's credentials of this moment. Raises EndpointUnusableError."""
        return RegistryClient(self.registry(endpoint_id).connection, stop=self._stop, tally=tally)

    def registry(self, endpoint_id: int | None) -> Reached:
        """Return an endpoint as it was a second ago at most. Raises EndpointUnusableError."""
        key = endpoint_id or 0
        reached = self._reached.get(key)
        if reached is None or time.monotonic() - reached.read_at > FRESH_SECONDS:
            reached = self._reached[key] = self._read(key)
        return reached

    def _read(self, endpoint_id: int) -> Reached:
        try:
            endpoint = Endpoint.objects.get(pk=endpoint_id)
            connection = connection_for(endpoint)
        except Endpoint.DoesNotExist as error:
            raise EndpointUnusableError("The registry was deleted from HarborSync while work for it waited.") from error
        except SecretUnreadableError as error:
            raise EndpointUnusableError(str(error)) from error
        return Reached(
            connection, memory_of(endpoint), sessions_of(endpoint, outlives_stop=handover.is_asked), time.monotonic()
        )
