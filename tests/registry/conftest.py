"""A client for whichever registry a test runs against."""

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from registry import Connection, RegistryClient, RegistrySettings, StopFlag, Tally
from tests.registry.scripted import QUICK, ScriptedServer, wire_of

MakeClient = Callable[..., RegistryClient]


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


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Make a self-signed certificate for 127.0.0.1: paths of certificate and key."""
    directory = tmp_path_factory.mktemp("certificate")
    paths = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-out", str(paths[0]), "-keyout", str(paths[1])),
        ],
        check=True,
        capture_output=True,
    )
    return paths


@pytest.fixture
def serve():
    servers = []

    def start(*answers, **options):
        servers.append(ScriptedServer(*answers, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def wire():
    with wire_of() as wire:
        yield wire
