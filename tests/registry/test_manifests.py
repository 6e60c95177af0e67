import pytest

from registry import (
    BlobUnknownError,
    DeniedError,
    DigestMismatchError,
    ImmutableError,
    Manifest,
    NetworkError,
    NotFoundError,
    ProtocolError,
    QuotaExceededError,
    ServerError,
    TooLargeError,
    UnsupportedError,
    digest_of,
)
from registry.media import ACCEPT, OCI_INDEX, OCI_MANIFEST
from registry.testkit import Fault, build_image, build_index, known_faults

NOWHERE = "sha256:" + "0" * 64


@pytest.fixture
def stored(memory_registry):
    """Give the digest of team/app:1 in the in-memory registry."""
    return memory_registry.add_image("team/app", "1")


def test_head_says_what_a_tag_points_at(memory_registry, stored, make_client):
    found = make_client(memory_registry).head_manifest("team/app", "1")

    assert (found.digest, found.media_type) == (stored, OCI_MANIFEST)
    assert found.size_bytes == len(memory_registry.manifests("team/app")[stored].content)
    assert memory_registry.requests[0].headers["accept"] == ACCEPT
    assert len(memory_registry.requests) == 1


def test_head_of_what_is_not_there_is_none(memory_registry, stored, make_client):
    client = make_client(memory_registry)

    assert client.head_manifest("team/app", "2") is None
    assert client.head_manifest("team/none", "1") is None
    assert client.head_manifest("team/app", NOWHERE) is None


def test_head_without_a_digest_header_is_made_good_by_get_and_remembered(memory_registry, stored, make_client):
    memory_registry.faults.add(known_faults.missing_digest_header())
    client = make_client(memory_registry)

    assert client.head_manifest("team/app", "1").digest == stored
    assert client.head_manifest("team/app", "1").digest == stored
    assert [request.method for request in memory_registry.requests] == ["HEAD", "GET", "GET"]


@pytest.mark.parametrize("status", [403, 405, 501])
def test_head_that_is_refused_is_made_good_by_get(memory_registry, stored, make_client, status):
    memory_registry.faults.add(known_faults.head_refused(status=status))
    client = make_client(memory_registry)

    assert client.head_manifest("team/app", "1").digest == stored
    assert client.head_manifest("team/app", "2") is None


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param(Fault(path_pattern="manifests", status=403, times=None), DeniedError, id="403"),
        pytest.param(Fault(path_pattern="manifests", status=500, times=None), ServerError, id="500"),
        pytest.param(known_faults.html_instead_of_json(None, status=404), ProtocolError, id="404 web page"),
        pytest.param(known_faults.html_instead_of_json(None), ProtocolError, id="200 web page"),
        pytest.param(Fault(path_pattern="manifests", action="close", times=None), NetworkError, id="cut"),
    ],
)
def test_trouble_never_looks_like_a_missing_manifest(memory_registry, stored, make_client, fault, kind):
    memory_registry.faults.add(fault)

    with pytest.raises(kind):
        make_client(memory_registry).head_manifest("team/app", "1")


def test_a_manifest_comes_with_its_exact_bytes(memory_registry, stored, make_client):
    manifest = make_client(memory_registry).get_manifest("team/app", "1")

    assert manifest.content == memory_registry.manifests("team/app")[stored].content
    assert manifest.digest == stored


@pytest.mark.parametrize("after_bytes", [0, 40])
def test_by_digest_damaged_bytes_are_noticed(memory_registry, stored, make_client, after_bytes):
    memory_registry.faults.add(known_faults.corrupted_body(after_bytes, pattern="/manifests/"))

    with pytest.raises(DigestMismatchError):
        make_client(memory_registry).get_manifest("team/app", stored)


def test_by_tag_damaged_bytes_are_read_again(memory_registry, stored, make_client):
    memory_registry.faults.add(known_faults.corrupted_body(40, pattern="/manifests/1"))

    assert make_client(memory_registry).get_manifest("team/app", "1").digest == stored


def test_a_wrong_digest_header_is_not_believed(memory_registry, stored, make_client):
    memory_registry.faults.add(known_faults.wrong_digest_header())

    assert make_client(memory_registry).get_manifest("team/app", "1").digest == stored


def test_a_manifest_that_a_proxy_compressed_is_read_all_the_same(memory_registry, stored, make_client):
    memory_registry.faults.add(known_faults.gzip_encoded(pattern="/manifests/"))

    assert make_client(memory_registry).get_manifest("team/app", stored).digest == stored


def test_a_cut_off_manifest_is_a_network_error(memory_registry, stored, make_client):
    memory_registry.faults.add(known_faults.truncated_body(10, None, pattern="/manifests/"))

    with pytest.raises(NetworkError):
        make_client(memory_registry).get_manifest("team/app", "1")


def test_an_enormous_manifest_is_not_read(memory_registry, make_client):
    memory_registry.faults.add(Fault(path_pattern="manifests", status=200, body=b" " * (9 << 20)))

    with pytest.raises(TooLargeError):
        make_client(memory_registry).get_manifest("team/app", "1")


def test_what_is_not_there_cannot_be_read(memory_registry, stored, make_client):
    with pytest.raises(NotFoundError):
        make_client(memory_registry).get_manifest("team/app", "2")


def test_a_pushed_manifest_keeps_its_bytes_and_its_type(memory_registry, stored, make_client):
    client = make_client(memory_registry)
    manifest = client.get_manifest("team/app", "1")

    assert client.put_manifest("team/app", "2", manifest) == stored
    assert memory_registry.tags("team/app") == {"1": stored, "2": stored}
    assert memory_registry.requests[-1].headers["content-type"] == OCI_MANIFEST


def test_a_manifest_whose_blobs_are_missing_is_told_apart(memory_registry, make_client):
    built = build_image([b"nobody has this"])

    with pytest.raises(BlobUnknownError) as caught:
        make_client(memory_registry).put_manifest("team/app", "1", Manifest.parse(built.content))
    assert caught.value.is_temporary


def test_an_index_whose_children_are_missing_is_told_apart(memory_registry, make_client):
    built = build_index([build_image([b"nobody has this"])])

    with pytest.raises(BlobUnknownError):
        make_client(memory_registry).put_manifest(
            "team/app", "1", Manifest.parse(built.content, content_type=OCI_INDEX)
        )


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        pytest.param(known_faults.immutable_tag(), ImmutableError, "immutable", id="immutable tag"),
        pytest.param(known_faults.quota_exceeded(), QuotaExceededError, "quota", id="quota"),
        pytest.param(Fault(method="PUT", status=415), UnsupportedError, "may not store", id="type refused"),
        pytest.param(
            Fault(method="PUT", status=400, body=b'{"errors":[{"code":"MANIFEST_INVALID"}]}'),
            UnsupportedError,
            "may not store",
            id="invalid to the registry",
        ),
        pytest.param(Fault(method="PUT", status=413), TooLargeError, "413", id="too large"),
        pytest.param(
            Fault(method="PUT", status=201, headers={"Docker-Content-Digest": NOWHERE}),
            DigestMismatchError,
            NOWHERE,
            id="stored something else",
        ),
    ],
)
def test_a_refused_manifest_says_why(memory_registry, stored, make_client, fault, kind, words):
    client = make_client(memory_registry)
    manifest = client.get_manifest("team/app", "1")
    memory_registry.faults.add(fault)

    with pytest.raises(kind, match=words):
        client.put_manifest("team/app", "2", manifest)


def test_a_manifest_push_that_met_a_cut_connection_is_sent_again(memory_registry, stored, make_client):
    client = make_client(memory_registry)
    manifest = client.get_manifest("team/app", "1")
    memory_registry.faults.add(Fault(method="PUT", action="close"))

    assert client.put_manifest("team/app", "2", manifest) == digest_of(manifest.content)


@pytest.mark.parametrize("reference", ["", "a/b", "sha256:1", "../x", "a" * 1_000_000])
def test_what_names_no_manifest_is_refused_before_any_request(memory_registry, make_client, reference):
    with pytest.raises(ValueError, match="is not a"):
        make_client(memory_registry).head_manifest("team/app", reference)
    assert memory_registry.requests == []


def test_a_tag_whose_header_names_what_is_not_there_is_found_out_and_read_from_then_on(memory_registry, make_client):
    digest = memory_registry.add_image("team/app", "1")
    client = make_client(memory_registry)
    elsewhere = "sha256:" + "0" * 64
    assert not client.is_misnamed("team/app", "1", elsewhere)
    memory_registry.faults.add(known_faults.wrong_digest_header(elsewhere))
    assert client.is_misnamed("team/app", "1", elsewhere)
    assert client.head_manifest("team/app", "1").digest == digest
