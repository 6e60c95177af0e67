"""Against Debian's docker-registry, with skopeo as the independent client."""

import subprocess
import threading

import pytest

from registry import (
    AuthError,
    CopyOptions,
    CopySource,
    CopyTarget,
    Descriptor,
    Manifest,
    NotFoundError,
    SiblingTagsError,
    Stopped,
    Tally,
    UnsupportedError,
    check_connection,
    copy_artifact,
    digest_of,
)
from registry.testkit import GeneratedContent, build_image, build_index
from registry.testkit import digest_of as digest_of_content
from tests.servers import Skopeo

pytestmark = pytest.mark.slow


@pytest.fixture
def copy(docker_registry_pair, make_client):
    """Copy between the two registries: `copy("team/app", digest, "mirror/app", "1")`."""
    source, target = docker_registry_pair

    def run(repository, digest, target_repository, *tags, **options):
        (result,) = copy_artifact(
            CopySource(make_client(source), repository, digest),
            [CopyTarget(make_client(target), target_repository, tags)],
            options=CopyOptions(**options),
        )
        return result

    return run


@pytest.mark.parametrize("chunk_bytes", [None, 1_000_000])
def test_what_skopeo_pushed_arrives_with_the_same_digest(docker_registry_pair, skopeo, copy, chunk_bytes):
    source, target = docker_registry_pair
    repository = f"real/pushed-{chunk_bytes or 0}"
    digest = skopeo.push_image(source.host, f"{repository}:1", layer_sizes=[5_000_000, 70_000, 0])

    result = copy(repository, digest, f"copied/{repository}", "1", "latest", chunk_bytes=chunk_bytes)

    assert result.digest == digest
    assert skopeo.digest(target.host, f"copied/{repository}:1") == digest
    assert skopeo.digest(target.host, f"copied/{repository}:latest") == digest
    assert skopeo.read_manifest(source.host, f"{repository}:1") == skopeo.read_manifest(
        target.host, f"copied/{repository}:1"
    )


def test_skopeo_can_pull_what_was_copied(docker_registry_pair, skopeo, copy, tmp_path):
    source, target = docker_registry_pair
    digest = skopeo.push_image(source.host, "real/pull:1", layer_sizes=[300_000])
    copy("real/pull", digest, "copied/pull", "1")

    subprocess.run(
        [
            *("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false"),
            *(f"docker://{target.host}/copied/pull:1", f"oci:{tmp_path}/image:1"),
        ],
        check=True,
        capture_output=True,
    )

    assert (tmp_path / "image" / "index.json").exists()


def test_a_multi_platform_image_arrives_whole(docker_registry_pair, make_client, skopeo, copy):
    source, target = docker_registry_pair
    children = [build_image([f"for {p}".encode()], platform=p) for p in ("linux/amd64", "linux/arm64/v8")]
    for number, child in enumerate(children):
        skopeo.push(source.host, f"real/index:child-{number}", child)
    index = build_index(children)
    client = make_client(source)
    client.put_manifest("real/index", "1", manifest_of(index))

    result = copy("real/index", index.digest, "copied/index", "1")

    assert result.manifests_pushed == 3
    assert skopeo.digest(target.host, "copied/index:1") == index.digest
    assert make_client(target).tags("copied/index") == ["1"]
    for child in children:
        assert make_client(target).head_manifest("copied/index", child.digest).digest == child.digest


def manifest_of(built):
    return Manifest.parse(built.content, content_type=built.media_type)


def test_an_unchanged_image_costs_three_requests(docker_registry_pair, make_client, skopeo, copy):
    source, target = docker_registry_pair
    digest = skopeo.push_image(source.host, "real/again:1", layer_sizes=[1000])
    copy("real/again", digest, "copied/again", "1")
    tally = Tally()

    copy_artifact(
        CopySource(make_client(source, tally=tally), "real/again", digest),
        [CopyTarget(make_client(target, tally=tally), "copied/again", ("1",))],
    )

    assert tally.requests == {"HEAD": 1, "GET": 1, "PUT": 1}


def test_inside_the_registry_blobs_are_mounted(docker_registry, make_client, skopeo):
    digest = skopeo.push_image(docker_registry.host, "real/mount:1", layer_sizes=[400_000])
    client = make_client(docker_registry)

    (result,) = copy_artifact(
        CopySource(client, "real/mount", digest),
        [CopyTarget(client, "real/mounted", ("1",), is_in_source_registry=True)],
    )

    assert (result.bytes_copied, result.bytes_mounted > 400_000) == (0, True)
    assert skopeo.digest(docker_registry.host, "real/mounted:1") == digest


def test_catalogue_and_tags_are_listed(docker_registry, make_client, skopeo):
    for tag in ("b", "a", "c"):
        skopeo.push_image(docker_registry.host, f"real/listed:{tag}", layers=[b"same"], seed="same")
    client = make_client(docker_registry)

    assert client.tags("real/listed") == ["a", "b", "c"]
    assert "real/listed" in set(client.repositories())
    with pytest.raises(NotFoundError):
        client.tags("real/nothing")


def test_tags_of_one_digest_are_deleted_together_or_not_at_all(docker_registry, make_client, skopeo):
    for tag in ("1", "2"):
        digest = skopeo.push_image(docker_registry.host, f"real/deleted:{tag}", layers=[b"same"], seed="same")
    client = make_client(docker_registry)

    with pytest.raises(SiblingTagsError) as caught:
        client.delete_tags("real/deleted", ["1"], digest=digest)
    assert caught.value.siblings == ("2",)
    assert client.delete_tags("real/deleted", ["1", "2"], digest=digest) == ("1", "2")

    assert client.head_manifest("real/deleted", "1") is None
    assert client.tags("real/deleted") == []


def test_a_registry_with_deletion_off_says_so(start_docker_registry, make_client, skopeo):
    registry = start_docker_registry(delete_enabled=False)
    digest = skopeo.push_image(registry.host, "real/kept:1")

    with pytest.raises(UnsupportedError, match=r"storage\.delete\.enabled"):
        make_client(registry).delete_tags("real/kept", ["1"], digest=digest)


def test_basic_authorisation(start_docker_registry, make_client):
    registry = start_docker_registry(with_password=True)
    Skopeo(registry.username, registry.password).push_image(registry.host, "real/locked:1")

    assert make_client(registry, username=registry.username, password=registry.password).tags("real/locked") == ["1"]
    with pytest.raises(AuthError):
        make_client(registry, username=registry.username, password="wrong").tags("real/locked")
    with pytest.raises(AuthError):
        make_client(registry).tags("real/locked")


@pytest.mark.parametrize("size_bytes", [0, 1, 2, 5_000_001])
@pytest.mark.parametrize("chunk_bytes", [None, 2_000_000])
def test_blobs_of_all_sizes_make_the_round_trip(docker_registry, make_client, size_bytes, chunk_bytes):
    content = GeneratedContent(size_bytes, f"round trip {size_bytes} {chunk_bytes}")
    blob = Descriptor("application/octet-stream", digest_of_content(content), size_bytes)
    client = make_client(docker_registry)

    client.upload_blob("real/blobs", blob, content.read, chunk_bytes=chunk_bytes)

    assert client.has_blob("real/blobs", blob.digest)
    with client.read_blob("real/blobs", blob) as pieces:
        assert digest_of(b"".join(pieces)) == blob.digest


def test_ranges_are_served(docker_registry, make_client):
    content = GeneratedContent(40_000_000, "ranges")
    blob = Descriptor("application/octet-stream", digest_of_content(content), content.size_bytes)
    client = make_client(docker_registry)
    client.upload_blob("real/ranges", blob, content.read)
    source = client.blob_source("real/ranges", blob)
    for _ in source.open():
        pass

    assert b"".join(source.open(39_999_000)) == b"".join(content.read(39_999_000))


def test_a_stopped_upload_leaves_nothing_behind(docker_registry, make_client):
    content = GeneratedContent(50_000_000, "stopped")
    blob = Descriptor("application/octet-stream", digest_of_content(content), content.size_bytes)
    stop = threading.Event()

    def stopping(offset):
        for piece in content.read(offset):
            yield piece
            stop.set()

    with pytest.raises(Stopped):
        make_client(docker_registry, stop=stop).upload_blob("real/stopped", blob, stopping)

    assert not make_client(docker_registry).has_blob("real/stopped", blob.digest)


def test_the_check_passes(docker_registry, make_client):
    steps = {step.name: step.status for step in check_connection(make_client(docker_registry).connection.settings)}

    assert steps == {
        "dns": "ok",
        "tcp": "ok",
        "tls": "skipped",
        "registry": "ok",
        "auth": "ok",
        "catalogue": "ok",
        "push": "skipped",
    }
