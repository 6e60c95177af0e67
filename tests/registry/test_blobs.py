import base64
import threading

import pytest

from registry import (
    Descriptor,
    DigestMismatchError,
    NetworkError,
    NotFoundError,
    ProtocolError,
    ServerError,
    Stopped,
    Tally,
    TooLargeError,
    UnsupportedError,
    digest_of,
)
from registry.testkit import Fault, GeneratedContent, known_faults
from registry.testkit import digest_of as digest_of_content

SIZE = 3_000_000
BLOB_TYPE = "application/octet-stream"


@pytest.fixture
def blob(memory_registry):
    """Give the descriptor of a blob of 3 MB in team/app."""
    content = GeneratedContent(SIZE, "blob")
    return Descriptor(BLOB_TYPE, memory_registry.add_blob("team/app", content), SIZE)


def read(client, blob):
    with client.read_blob("team/app", blob) as pieces:
        return b"".join(pieces)


def ranges(registry):
    return [request.headers.get("range", "") for request in registry.requests_for("GET", "/blobs/")]


def test_a_blob_is_read_whole_and_undecoded(memory_registry, blob, make_client):
    content = read(make_client(memory_registry), blob)

    assert digest_of(content) == blob.digest
    assert memory_registry.requests[0].headers["accept-encoding"] == "identity"


def test_a_sha512_blob_is_verified_by_its_own_algorithm(memory_registry, make_client):
    content = b"by another algorithm"
    with memory_registry.store.changing("team/app") as kept:
        kept.blobs[digest_of(content, "sha512")] = GeneratedContent(len(content), "other")

    with pytest.raises(DigestMismatchError):
        read(make_client(memory_registry), Descriptor(BLOB_TYPE, digest_of(content, "sha512"), len(content)))


def test_an_unknown_algorithm_is_refused(memory_registry, make_client):
    with pytest.raises(UnsupportedError, match="algorithm"):
        read(make_client(memory_registry), Descriptor(BLOB_TYPE, "blake3:abc", 1))


def test_an_empty_blob_is_read_without_a_request(memory_registry, make_client):
    assert read(make_client(memory_registry), Descriptor(BLOB_TYPE, digest_of(b""), 0)) == b""
    assert memory_registry.requests == []


@pytest.mark.parametrize("fault", [known_faults.truncated_body, known_faults.reset_download])
def test_a_broken_download_goes_on_where_it_broke(memory_registry, blob, make_client, fault):
    memory_registry.faults.add(fault(1_500_000))
    tally = Tally()

    assert digest_of(read(make_client(memory_registry, tally=tally), blob)) == blob.digest
    first, second = ranges(memory_registry)
    assert first == ""
    assert int(second.removeprefix("bytes=").removesuffix("-")) > 0
    assert tally.bytes_received == SIZE


def test_a_registry_that_ignores_range_sends_all_again_and_the_beginning_is_skipped(memory_registry, blob, make_client):
    memory_registry.faults.add(known_faults.truncated_body(1_500_000))
    memory_registry.faults.add(known_faults.range_ignored())

    assert digest_of(read(make_client(memory_registry), blob)) == blob.digest


@pytest.mark.parametrize("content_range", ["bytes 0-9/3000000", "bytes */3000000", "", "nonsense"])
def test_only_the_range_that_was_asked_for_is_believed(memory_registry, blob, make_client, content_range):
    memory_registry.faults.add(known_faults.truncated_body(1_500_000))
    headers = {"Content-Range": content_range} if content_range else {}
    memory_registry.faults.add(Fault(path_pattern="/blobs/", status=206, headers=headers, body=b"x" * 10))

    with pytest.raises(ProtocolError, match="another range"):
        read(make_client(memory_registry), blob)


def test_after_a_break_the_registry_is_asked_again_and_not_the_expired_link(memory_registry, blob, make_client):
    memory_registry.faults.add(known_faults.redirect_to_expiring_link(uses=1, times=None))
    memory_registry.faults.add(known_faults.truncated_body(1_500_000, pattern="/storage/"))

    assert digest_of(read(make_client(memory_registry), blob)) == blob.digest
    assert len(memory_registry.requests_for("GET", "/v2/team/app/blobs/")) == 2


def test_a_link_that_has_expired_before_it_is_followed_is_had_anew(memory_registry, blob, make_client):
    memory_registry.faults.add(known_faults.redirect_to_expiring_link(uses=0, times=2))

    assert digest_of(read(make_client(memory_registry), blob)) == blob.digest
    assert len(memory_registry.requests_for("GET", "/v2/team/app/blobs/")) == 3


def test_a_registry_that_answers_503_in_between_is_asked_again(memory_registry, blob, make_client):
    memory_registry.faults.add(known_faults.server_errors(2))

    assert digest_of(read(make_client(memory_registry), blob)) == blob.digest


def test_breaks_without_progress_come_to_an_end(memory_registry, blob, make_client, monkeypatch):
    monkeypatch.setattr("registry.client.blobs._FIRST_PAUSE_SECONDS", 0.001)
    memory_registry.faults.add(known_faults.server_errors(None))

    with pytest.raises(ServerError):
        read(make_client(memory_registry), blob)
    assert len(memory_registry.requests) == 6


def test_a_damaged_blob_is_noticed_before_its_last_piece(memory_registry, blob, make_client):
    memory_registry.faults.add(known_faults.corrupted_body(1_000_000))
    received = []

    with make_client(memory_registry).read_blob("team/app", blob) as pieces, pytest.raises(DigestMismatchError):
        received.extend(pieces)
    assert sum(map(len, received)) < SIZE


def test_a_blob_longer_than_promised_is_noticed(memory_registry, blob, make_client):
    with pytest.raises(DigestMismatchError):
        read(make_client(memory_registry), Descriptor(BLOB_TYPE, blob.digest, SIZE - 1))


def test_a_blob_shorter_than_promised_is_noticed(memory_registry, make_client, monkeypatch):
    monkeypatch.setattr("registry.client.blobs._FIRST_PAUSE_SECONDS", 0.001)
    digest = memory_registry.add_blob("team/app", b"short")

    with pytest.raises((NetworkError, ProtocolError)):
        read(make_client(memory_registry), Descriptor(BLOB_TYPE, digest, 100))


def test_what_a_proxy_compressed_is_undone(memory_registry, blob, make_client):
    memory_registry.faults.add(known_faults.gzip_encoded())

    assert digest_of(read(make_client(memory_registry), blob)) == blob.digest


def test_a_wrong_gzip_label_on_stored_content_is_ignored(memory_registry, make_client):
    content = b"\x1f\x8b these bytes are stored so"
    blob = Descriptor(BLOB_TYPE, digest_of(content), len(content))
    memory_registry.faults.add(Fault(status=200, headers={"Content-Encoding": "gzip"}, body=content))

    assert read(make_client(memory_registry), blob) == content


def test_a_set_stop_flag_ends_the_download_within_a_buffer(memory_registry, make_client):
    size = 64 << 20
    digest = memory_registry.add_blob("team/app", GeneratedContent(size, "big"))
    stop = threading.Event()
    tally = Tally()

    client = make_client(memory_registry, stop=stop, tally=tally)

    with client.read_blob("team/app", Descriptor(BLOB_TYPE, digest, size)) as pieces:
        next(pieces)
        stop.set()
        with pytest.raises(Stopped):
            next(pieces)
    assert tally.bytes_received <= 2 << 20


def test_a_stop_flag_set_beforehand_sends_nothing(memory_registry, blob, make_client):
    stop = threading.Event()
    stop.set()

    with pytest.raises(Stopped):
        read(make_client(memory_registry, stop=stop), blob)
    assert memory_registry.requests == []


def test_reading_again_from_an_offset_still_verifies(memory_registry, make_client):
    size = 40 << 20
    content = GeneratedContent(size, "big")
    blob = Descriptor(BLOB_TYPE, memory_registry.add_blob("team/app", content), size)
    source = make_client(memory_registry).blob_source("team/app", blob)
    for _ in source.open():
        pass

    rest = b"".join(source.open(30 << 20))

    assert rest == b"".join(content.read(30 << 20))
    begin = int(ranges(memory_registry)[-1].removeprefix("bytes=").removesuffix("-"))
    assert 16 << 20 <= begin <= 30 << 20
    memory_registry.faults.add(known_faults.corrupted_body(100))
    with pytest.raises(DigestMismatchError):
        list(source.open(30 << 20))


def test_whether_a_blob_exists(memory_registry, blob, make_client):
    client = make_client(memory_registry)

    assert client.has_blob("team/app", blob.digest)
    assert not client.has_blob("team/app", digest_of(b"other"))
    assert not client.has_blob("team/none", blob.digest)


def test_a_redirect_to_storage_means_that_the_blob_exists(memory_registry, blob, make_client):
    location = {"Location": "https://storage.test/signed?Signature=x"}
    memory_registry.faults.add(Fault(method="HEAD", status=307, headers=location))

    assert make_client(memory_registry).has_blob("team/app", blob.digest)
    assert len(memory_registry.requests) == 1


def test_trouble_never_looks_like_a_missing_blob(memory_registry, blob, make_client):
    memory_registry.faults.add(Fault(method="HEAD", status=500))

    with pytest.raises(ServerError):
        make_client(memory_registry).has_blob("team/app", blob.digest)


def test_small_blobs_can_be_had_whole_up_to_a_limit(memory_registry, blob, make_client):
    client = make_client(memory_registry)

    assert len(client.get_blob_bytes("team/app", blob)) == SIZE
    with pytest.raises(TooLargeError):
        client.get_blob_bytes("team/app", blob, limit_bytes=100)


def test_inline_content_saves_the_request(memory_registry, make_client):
    document = {"mediaType": BLOB_TYPE, "digest": digest_of(b"{}"), "size": 2, "data": base64.b64encode(b"{}").decode()}

    assert make_client(memory_registry).get_blob_bytes("team/app", Descriptor.parse(document)) == b"{}"
    assert memory_registry.requests == []


def test_a_missing_blob_is_not_found(memory_registry, make_client):
    with pytest.raises(NotFoundError):
        read(make_client(memory_registry), Descriptor(BLOB_TYPE, digest_of(b"x"), 1))


def test_connections_are_used_again(memory_registry, blob, make_client):
    client = make_client(memory_registry)

    for _ in range(3):
        read(client, blob)
        client.has_blob("team/app", blob.digest)
        client.head_manifest("team/app", "none")

    assert memory_registry.connections_taken == 1


def test_the_kits_digest_is_ours():
    assert digest_of_content(b"x") == digest_of(b"x")
