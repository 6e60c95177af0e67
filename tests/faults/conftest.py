"""Pairs of registries with options of their own, whose work is not slowed down by pauses made for real networks."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from registry.testkit import MemoryRegistry
from targets.models import Endpoint
from tests.factories import make_endpoint, make_local_endpoint
from tests.replication.conftest import Pair

MakePair = Callable[..., Pair]


@pytest.fixture
def quick(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten every pause between attempts; how long they are is tested elsewhere."""
    settings.RETRY_BASE_SECONDS = 0.02
    settings.RETRY_CAP_SECONDS = 0.1
    monkeypatch.setattr("registry.client.blobs._FIRST_PAUSE_SECONDS", 0.002)
    monkeypatch.setattr("registry.client.uploads._PAUSE_SECONDS", 0.002)
    monkeypatch.setattr("registry.copying.lane._REPAIR_PAUSE_SECONDS", 0.01)


@pytest.fixture
def make_pair(db: None, quick: None) -> Iterator[MakePair]:
    """Make a source and a target: `make_pair(target={"auth": "bearer"})`, the options being those of MemoryRegistry."""
    with ExitStack() as running:

        def make(*, source: Mapping[str, Any] | None = None, target: Mapping[str, Any] | None = None) -> Pair:
            registries = [running.enter_context(MemoryRegistry(**(options or {}))) for options in (source, target)]
            rows = [
                make_local_endpoint(url=registries[0].url, **_credentials(registries[0])),
                make_endpoint(name="target", url=registries[1].url, **_credentials(registries[1])),
            ]
            return Pair(registries[0], registries[1], rows[0], rows[1])

        yield make


def _credentials(registry: MemoryRegistry) -> dict[str, Any]:
    known = {"access_key": registry.username, "secret": registry.password}
    return {**known, "verify_tls": not registry.certificate_path}


@pytest.fixture
def pair(make_pair: MakePair) -> Pair:
    """Give two registries without options."""
    return make_pair()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Make a self-signed certificate for 127.0.0.1, as the options that a MemoryRegistry takes."""
    directory: Path = tmp_path_factory.mktemp("certificate")
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
    return {"certificate_path": str(paths[0]), "key_path": str(paths[1])}


def set_credentials(endpoint: Endpoint, *, secret: str) -> None:
    """Give the endpoint's row another password."""
    endpoint.set_secret(secret)
    endpoint.save()
