"""Copying some platforms between two of Debian's docker-registry, which refuses sparse indexes."""

import json

import pytest

from registry import CopySource, CopyTarget, UnsupportedError, copy_artifact
from registry.media import Manifest
from registry.platforms import PlatformChoice
from registry.testkit import build_image, build_index

pytestmark = pytest.mark.slow

PLATFORMS = ("linux/amd64", "linux/arm64", "linux/s390x")


@pytest.fixture
def push_index(docker_registry_pair, make_client):
    """Push a multi-platform image to the first registry: `push_index("real/app")` gives digest and images."""
    client = make_client(docker_registry_pair[0])

    def push(repository):
        images = {name: build_image([f"{repository} {name}".encode()], platform=name) for name in PLATFORMS}
        for image in images.values():
            manifest = Manifest.parse(image.content)
            for blob in manifest.blobs:
                client.upload_blob(repository, blob, [b"".join(image.blobs[blob.digest].read())])
            client.put_manifest(repository, manifest.digest, manifest)
        index = Manifest.parse(build_index(list(images.values())).content)
        client.put_manifest(repository, "1", index)
        return index.digest, images

    return push


@pytest.fixture
def copy(docker_registry_pair, make_client):
    reader, writer = (make_client(registry) for registry in docker_registry_pair)

    def run(repository, digest, mode, *platforms):
        choice = PlatformChoice.parse(platforms, mode)
        target = CopyTarget(writer, f"copied/{repository}", ("1",))
        (outcome,) = copy_artifact(CopySource(reader, repository, digest, platforms=choice), [target])
        return outcome

    return run


def test_distribution_refuses_a_sparse_index_and_is_asked_once(copy, push_index, docker_registry_pair, make_client):
    digest, images = push_index("real/sparse")

    refused = copy("real/sparse", digest, "sparse", "linux/amd64")
    again = copy("real/sparse", digest, "sparse", "linux/amd64")

    assert isinstance(refused, UnsupportedError)
    assert refused.registry_code == "MANIFEST_BLOB_UNKNOWN"
    assert images["linux/arm64"].digest in str(refused), "the answer names what is missing: no second try is needed"
    assert "has refused one before" in str(again)
    writer = make_client(docker_registry_pair[1])
    assert writer.head_manifest("copied/real/sparse", images["linux/arm64"].digest) is None
    assert writer.head_manifest("copied/real/sparse", "1") is None


def test_skopeo_finds_the_platforms_of_a_rewritten_index(copy, push_index, docker_registry_pair, skopeo):
    digest, images = push_index("real/rewritten")

    result = copy("real/rewritten", digest, "rewritten", "linux/amd64", "linux/s390x")

    host = docker_registry_pair[1].host
    assert skopeo.digest(host, "copied/real/rewritten:1") == result.digest != digest
    listed = json.loads(skopeo.read_manifest(host, "copied/real/rewritten:1"))["manifests"]
    assert [entry["digest"] for entry in listed] == [images[name].digest for name in ("linux/amd64", "linux/s390x")]


def test_a_single_image_stands_under_the_tag(copy, push_index, docker_registry_pair, skopeo):
    digest, images = push_index("real/single")
    result = copy("real/single", digest, "single", "linux/arm64")
    assert result.digest == images["linux/arm64"].digest
    assert skopeo.digest(docker_registry_pair[1].host, "copied/real/single:1") == result.digest
