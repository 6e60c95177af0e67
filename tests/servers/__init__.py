"""Real servers for tests: Valkey and PostgreSQL here, docker-registry and skopeo in `registry.testkit`."""

from registry.testkit.docker_registry import DockerRegistry
from registry.testkit.process import MissingProgramError, free_port, wait_until
from registry.testkit.skopeo import Skopeo, SkopeoError
from tests.servers.postgres import PostgresCluster
from tests.servers.valkey import ValkeyServer

__all__ = [
    "DockerRegistry",
    "MissingProgramError",
    "PostgresCluster",
    "Skopeo",
    "SkopeoError",
    "ValkeyServer",
    "free_port",
    "wait_until",
]
