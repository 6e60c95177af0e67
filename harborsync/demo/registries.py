"""The demonstration's two registries: Docker's own where it is installed, else those of our test kit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import requests

from registry import Connection, Descriptor, Manifest, RegistryClient, RegistrySettings
from registry.testkit import BuiltManifest, MemoryRegistry, digest_of
from registry.testkit.docker_registry import DockerRegistry
from registry.testkit.images import OCI_MANIFEST
from registry.testkit.process import accepts_connections, free_port
from registry.testkit.skopeo import Skopeo

DemoRegistry = DockerRegistry | MemoryRegistry


def choose_port(wanted: int, *taken: int) -> int:
    """Give the wanted port, or a free one where somebody has it."""
    return free_port() if wanted in taken or accepts_connections(wanted) else wanted


@dataclass(frozen=True)
class RegistryPair:
    """Where images are pushed, and where they shall arrive."""

    source: DemoRegistry
    target: DemoRegistry

    @property
    def kind(self) -> str:
        """Say what they are."""
        if isinstance(self.source, DockerRegistry):
            return "Docker's registry (docker-registry serve)"
        return "HarborSync's own in-memory registry, since docker-registry is not installed"


@contextmanager
def run_registries(
    directory: Path, *, ports: tuple[int, int], notify_url: str, notify_headers: Mapping[str, str]
) -> Iterator[RegistryPair]:
    """Run both; the source notifies of what is pushed to it."""
    if which("docker-registry"):
        source: DemoRegistry = DockerRegistry(
            directory=directory / "source", port=ports[0], notify_url=notify_url, notify_headers=notify_headers
        )
        target: DemoRegistry = DockerRegistry(directory=directory / "target", port=ports[1])
    else:
        source = MemoryRegistry(port=ports[0], notify_url=notify_url, notify_headers=notify_headers)
        target = MemoryRegistry(port=ports[1])
    with source, target:
        yield RegistryPair(source, target)


def push_image(registry: DemoRegistry, reference: str, image: BuiltManifest) -> str:
    """Push by skopeo, or by our own client where there is none; give the name of who did it."""
    if which("skopeo"):
        Skopeo().push(_host(registry), reference, image)
        return "skopeo"
    repository, _, tag = reference.partition(":")
    client = RegistryClient(Connection(RegistrySettings(url=registry.url, user_agent="demo")))
    for digest, content in image.blobs.items():
        described = Descriptor("application/octet-stream", digest, content.size_bytes)
        client.upload_blob(repository, described, content.read())
    client.put_manifest(repository, tag, Manifest.parse(image.content, content_type=image.media_type))
    return "HarborSync's own client, since skopeo is not installed"


def read_digest(registry: DemoRegistry, reference: str) -> str:
    """Read a manifest with a client that is not HarborSync's, and compute its digest here."""
    if which("skopeo"):
        return Skopeo().digest(_host(registry), reference)
    repository, _, tag = reference.partition(":")
    url = f"{registry.url}/v2/{repository}/manifests/{tag}"
    answer = requests.get(url, headers={"Accept": OCI_MANIFEST}, timeout=30)
    answer.raise_for_status()
    return digest_of(answer.content)


def _host(registry: DemoRegistry) -> str:
    return registry.url.partition("://")[2]
