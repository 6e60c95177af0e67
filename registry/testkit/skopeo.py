"""Skopeo as the independent client: pushes images that Python made, reads what a registry really has.

The image is handed over as an OCI image layout (image-layout.md of the OCI image specification).
"""

import json
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.testkit.content import Content, GeneratedContent, digest_of
from registry.testkit.images import BuiltManifest, build_image
from registry.testkit.process import find_program


class SkopeoError(RuntimeError):
    """Skopeo ended with an error; the text is its own."""


@dataclass(frozen=True)
class Skopeo:
    """Skopeo against registries on loopback: plain HTTP, no policy, credentials where they are given."""

    username: str = ""
    password: str = ""

    def push(self, host: str, reference: str, image: BuiltManifest) -> str:
        """Push a built image to `host` as `repository:tag`, byte for byte, and give its digest."""
        with tempfile.TemporaryDirectory(prefix="harborsync-image-") as directory:
            layout = Path(directory)
            write_layout(layout, image)
            self._run(
                "copy",
                "--preserve-digests",
                "--dest-tls-verify=false",
                *self._credentials("--dest-creds"),
                f"oci:{layout}:image",
                f"docker://{host}/{reference}",
            )
        return image.digest

    def push_image(
        self,
        host: str,
        reference: str,
        *,
        layers: Sequence[bytes | Content] = (),
        layer_sizes: Iterable[int] = (),
        seed: str = "",
    ) -> str:
        """Push an image with these layers, or of these sizes, and give its digest; another seed is another image."""
        seed = seed or reference
        generated = [GeneratedContent(size, f"{seed}:{n}") for n, size in enumerate(layer_sizes)]
        contents = [*layers, *generated] or [f"the only layer of {seed}\n".encode()]
        return self.push(host, reference, build_image(contents))

    def read_manifest(self, host: str, reference: str) -> bytes:
        """Read a manifest as the registry has it."""
        address = f"docker://{host}/{reference}"
        return self._run("inspect", "--raw", "--tls-verify=false", *self._credentials("--creds"), address)

    def digest(self, host: str, reference: str) -> str:
        """Read a manifest and compute its digest here."""
        return digest_of(self.read_manifest(host, reference))

    def delete(self, host: str, reference: str) -> None:
        """Delete what a tag points at, by digest, as skopeo does."""
        self._run("delete", "--tls-verify=false", *self._credentials("--creds"), f"docker://{host}/{reference}")

    def _credentials(self, option: str) -> list[str]:
        return [option, f"{self.username}:{self.password}"] if self.username else []

    def _run(self, *arguments: str) -> bytes:
        program = find_program("skopeo", package="skopeo")
        command = [program, "--insecure-policy", *arguments]
        finished = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 (no shell, fixed program)
        if finished.returncode:
            raise SkopeoError(f"skopeo {arguments[0]}: {finished.stderr.decode(errors='replace').strip()}")
        return finished.stdout


def write_layout(directory: Path, image: BuiltManifest) -> None:
    """Write an image as an OCI layout in which it is called "image"."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for digest, content in image.blobs.items():
        with (blobs / digest.partition(":")[2]).open("wb") as file:
            for block in content.read():
                file.write(block)
    (blobs / image.digest.partition(":")[2]).write_bytes(image.content)
    entry = {**image.descriptor(), "annotations": {"org.opencontainers.image.ref.name": "image"}}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
