"""A client for whichever registry a test runs against."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from registry import Connection, RegistryClient, RegistrySettings, StopFlag, Tally, Timeouts

MakeClient = Callable[..., RegistryClient]

QUICK = Timeouts(connect_seconds=2, first_byte_seconds=2, stall_seconds=2)


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """Make a client: `make_client(registry, username="u", password="p")`; its sockets are closed with the test."""
    connections: list[Connection] = []

    def make(
        registry: Any, *, stop: StopFlag | None = None, tally: Tally | None = None, **settings: Any
    ) -> RegistryClient:
        url = registry if isinstance(registry, str) else registry.url
        connection = Connection(RegistrySettings(url=url, **{"timeouts": QUICK, **settings}))
        connections.append(connection)
        return RegistryClient(connection, stop=stop, tally=tally)

    yield make
    for connection in connections:
        connection.close()
