"""Fixtures that many tests use. Real servers are started once per worker of pytest, in directories of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.testkit import MemoryRegistry
from tests.servers import DockerRegistry, PostgresCluster, Skopeo, ValkeyServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes minutes, so that two of three workers need not wait for it in the end."""
    items.sort(key=lambda item: item.path.name != "test_killed_workers.py")


@pytest.fixture
def memory_registry() -> Iterator[MemoryRegistry]:
    """Give an empty in-memory registry."""
    with MemoryRegistry() as registry:
        yield registry


@pytest.fixture
def source() -> Iterator[MemoryRegistry]:
    """Give an in-memory registry to copy from."""
    with MemoryRegistry() as registry:
        yield registry


@pytest.fixture
def target() -> Iterator[MemoryRegistry]:
    """Give an in-memory registry to copy to."""
    with MemoryRegistry() as registry:
        yield registry


@pytest.fixture(scope="session")
def docker_registry_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DockerRegistry, DockerRegistry]]:
    """Give two real registries that live as long as the session: use repositories of your own in them."""
    directory = tmp_path_factory.mktemp("registries")
    with DockerRegistry(directory=directory / "a") as first, DockerRegistry(directory=directory / "b") as second:
        yield first, second


@pytest.fixture
def docker_registry(docker_registry_pair: tuple[DockerRegistry, DockerRegistry]) -> DockerRegistry:
    """Give the first of the two."""
    return docker_registry_pair[0]


@pytest.fixture
def start_docker_registry(tmp_path: Path) -> Iterator[Callable[..., DockerRegistry]]:
    """Start real registries of the test's own: `start_docker_registry(with_password=True)`."""
    started: list[DockerRegistry] = []

    def start(**options: Any) -> DockerRegistry:
        registry = DockerRegistry(directory=tmp_path / f"registry-{len(started)}", **options)
        registry.start()
        started.append(registry)
        return registry

    yield start
    for registry in started:
        registry.stop()


@pytest.fixture(scope="session")
def skopeo() -> Skopeo:
    """Give skopeo without credentials."""
    return Skopeo()


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """Give a real Valkey that lives as long as the session."""
    with ValkeyServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """Give a PostgreSQL cluster that lives as long as the session."""
    with PostgresCluster() as cluster:
        yield cluster
