import threading

import pytest

from registry import (
    DeniedError,
    Descriptor,
    DigestMismatchError,
    NetworkError,
    ProtocolError,
    QuotaExceededError,
    ServerError,
    Stopped,
    Tally,
    TooLargeError,
    digest_of,
)
from registry.testkit import Fault, GeneratedContent, MemoryRegistry, known_faults
from registry.testkit import digest_of as digest_of_content

SIZE = 6_000_000
CONTENT = GeneratedContent(SIZE, "upload")
BLOB = Descriptor("application/octet-stream", digest_of_content(CONTENT), SIZE)
UPLOAD = r"/blobs/uploads/[^/?]+"


def open_content(offset):
    return CONTENT.read(offset)


def methods(registry):
    return [request.method for request in registry.requests]


def assert_arrived(registry, repository="team/app"):
    assert BLOB.digest in registry.blobs(repository)
    assert registry.open_uploads == 0


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("registry.client.uploads._PAUSE_SECONDS", 0.001)


def test_a_new_blob_is_one_post_and_one_put_with_its_length(memory_registry, make_client):
    tally = Tally()

    was_mounted = make_client(memory_registry, tally=tally).upload_blob("team/app", BLOB, open_content)

    assert not was_mounted
    assert_arrived(memory_registry)
    assert methods(memory_registry) == ["POST", "PUT"]
    put = memory_registry.requests[1]
    assert put.headers["content-length"] == str(SIZE)
    assert "transfer-encoding" not in put.headers
    assert put.headers["content-type"] == "application/octet-stream"
    assert tally.bytes_sent == SIZE


def test_a_plain_iterable_will_do(memory_registry, make_client):
    make_client(memory_registry).upload_blob("team/app", BLOB, CONTENT.read())

    assert_arrived(memory_registry)


@pytest.mark.parametrize("content", [b"", b"{}", b"x"])
@pytest.mark.parametrize("chunk_bytes", [None, 1 << 20])
def test_the_smallest_blobs_arrive(memory_registry, make_client, content, chunk_bytes):
    blob = Descriptor("x/y", digest_of(content), len(content))

    make_client(memory_registry).upload_blob("team/app", blob, [content], chunk_bytes=chunk_bytes)

    assert memory_registry.blob_bytes("team/app", blob.digest) == content
    assert memory_registry.requests[-1].headers["content-length"] == str(len(content) if chunk_bytes is None else 0)


def test_chunks_carry_range_and_length(memory_registry, make_client):
    make_client(memory_registry).upload_blob("team/app", BLOB, open_content, chunk_bytes=2_500_000)

    assert_arrived(memory_registry)
    patches = memory_registry.requests_for("PATCH")
    assert [patch.headers["content-range"] for patch in patches] == ["0-2499999", "2500000-4999999", "5000000-5999999"]
    assert patches[2].headers["content-length"] == "1000000"
    assert memory_registry.requests[-1].body_bytes == 0


def test_the_least_chunk_a_registry_wants_is_honoured(memory_registry, make_client):
    memory_registry.faults.add(known_faults.chunk_minimum(5_000_000))

    make_client(memory_registry).upload_blob("team/app", BLOB, open_content, chunk_bytes=1_000_000)

    assert [patch.body_bytes for patch in memory_registry.requests_for("PATCH")] == [5_000_000, 1_000_000]


@pytest.mark.parametrize("status", [201, 204])
def test_odd_success_codes_of_chunks_are_accepted(memory_registry, make_client, status):
    memory_registry.faults.add(
        Fault(
            method="PATCH", action="alter", rewrite=lambda response, request: with_status(response, status), times=None
        )
    )

    make_client(memory_registry).upload_blob("team/app", BLOB, open_content, chunk_bytes=4_000_000)

    assert_arrived(memory_registry)


def with_status(response, status):
    return type(response)(status, response.headers, response.content)


def test_a_relative_location_with_state_is_followed(memory_registry, make_client):
    memory_registry.faults.add(known_faults.relative_location())

    make_client(memory_registry).upload_blob("team/app", BLOB, open_content, chunk_bytes=2_000_000)

    assert_arrived(memory_registry)


def test_a_location_at_an_internal_address_is_refused(memory_registry, make_client):
    headers = {"Location": "http://169.254.169.254/latest"}
    memory_registry.faults.add(Fault(method="POST", status=202, headers=headers))

    with pytest.raises(ProtocolError, match="internal"):
        make_client(memory_registry).upload_blob("team/app", BLOB, open_content)


def test_an_upload_without_location_is_refused(memory_registry, make_client):
    memory_registry.faults.add(Fault(method="POST", status=202))

    with pytest.raises(ProtocolError, match="where"):
        make_client(memory_registry).upload_blob("team/app", BLOB, open_content)


@pytest.mark.parametrize("chunk_bytes", [None, 2_000_000])
def test_a_token_that_runs_out_in_mid_upload_is_renewed(make_client, chunk_bytes):
    with MemoryRegistry(auth="bearer", username="u", password="p") as registry:
        registry.faults.add(known_faults.unauthorized_in_mid_upload())

        client = make_client(registry, username="u", password="p")
        client.upload_blob("team/app", BLOB, open_content, chunk_bytes=chunk_bytes)

        assert_arrived(registry)


def test_one_byte_looks_like_none_and_costs_a_new_session(memory_registry, make_client, quick):
    memory_registry.faults.add(known_faults.reset_upload(1))

    make_client(memory_registry).upload_blob("team/app", BLOB, open_content)

    assert_arrived(memory_registry)


@pytest.mark.parametrize("after_bytes", [0, 3_000_000])
def test_a_put_that_broke_goes_on_from_what_has_arrived(memory_registry, make_client, quick, after_bytes):
    memory_registry.faults.add(known_faults.reset_upload(after_bytes))

    make_client(memory_registry).upload_blob("team/app", BLOB, open_content)

    assert_arrived(memory_registry)
    assert len(memory_registry.requests_for("POST")) == 1
    assert memory_registry.requests_for("PATCH")


def test_a_registry_that_cannot_say_what_has_arrived_gets_it_all_again(make_client, quick):
    with MemoryRegistry(strict_upload_state=True) as registry:
        registry.faults.add(known_faults.reset_upload(3_000_000))

        make_client(registry).upload_blob("team/app", BLOB, open_content)

        assert BLOB.digest in registry.blobs("team/app")
        assert len(registry.requests_for("POST")) == 2


def test_a_broken_chunk_is_sent_again_without_reading_the_source_again(memory_registry, make_client, quick):
    memory_registry.faults.add(known_faults.reset_upload(700_000))
    openings = []

    def open_counted(offset):
        openings.append(offset)
        return CONTENT.read(offset)

    make_client(memory_registry).upload_blob("team/app", BLOB, open_counted, chunk_bytes=2_000_000)

    assert_arrived(memory_registry)
    assert openings == [0]


def test_a_source_that_can_be_read_only_once_says_so_when_the_upload_breaks(memory_registry, make_client, quick):
    memory_registry.faults.add(known_faults.reset_upload(3_000_000))

    with pytest.raises(NetworkError, match="only once"):
        make_client(memory_registry).upload_blob("team/app", BLOB, CONTENT.read())


@pytest.mark.parametrize("value", ["0-0", "0-1999999", "0-99999999", "5-9", "nonsense"])
def test_a_stuck_or_odd_range_does_not_matter_while_all_goes_well(memory_registry, make_client, value):
    memory_registry.faults.add(known_faults.stuck_range(value))

    make_client(memory_registry).upload_blob("team/app", BLOB, open_content, chunk_bytes=2_000_000)

    assert_arrived(memory_registry)
    assert "GET" not in methods(memory_registry)


@pytest.mark.parametrize("value", ["0-0", "0-1999999", "0-99999999", "5-9", "nonsense"])
def test_after_an_error_a_stuck_or_odd_range_leads_to_a_new_session_and_not_round_in_circles(
    memory_registry, make_client, quick, value
):
    memory_registry.faults.add(known_faults.reset_upload(1_000_000))
    memory_registry.faults.add(known_faults.stuck_range(value))

    make_client(memory_registry).upload_blob("team/app", BLOB, open_content, chunk_bytes=2_500_000)

    assert BLOB.digest in memory_registry.blobs("team/app")
    assert len(memory_registry.requests) < 30


@pytest.mark.parametrize("chunk_bytes", [None, 2_000_000])
def test_a_lost_session_is_begun_again(memory_registry, make_client, quick, chunk_bytes):
    memory_registry.faults.add(known_faults.session_lost())

    make_client(memory_registry).upload_blob("team/app", BLOB, open_content, chunk_bytes=chunk_bytes)

    assert_arrived(memory_registry)
    assert len(memory_registry.requests_for("POST")) == 2


def test_a_registry_that_loses_every_session_is_given_up(memory_registry, make_client, quick):
    memory_registry.faults.add(known_faults.session_lost(None))

    with pytest.raises(ServerError, match="lost the upload 3 times"):
        make_client(memory_registry).upload_blob("team/app", BLOB, open_content)


@pytest.mark.parametrize("status", [413, 416])
def test_a_request_that_is_too_large_is_cut_smaller_and_that_is_remembered(memory_registry, make_client, status):
    memory_registry.faults.add(known_faults.chunk_refused_above(1_200_000, status=status))
    client = make_client(memory_registry)

    client.upload_blob("team/app", BLOB, open_content)
    assert_arrived(memory_registry)
    before = len(memory_registry.requests)
    client.upload_blob("team/other", BLOB, open_content)

    assert_arrived(memory_registry, "team/other")
    assert all(request.status < 400 for request in memory_registry.requests[before:])


def test_a_registry_that_refuses_every_size_is_given_up(memory_registry, make_client):
    memory_registry.faults.add(known_faults.chunk_refused_above(10, status=413))

    with pytest.raises(TooLargeError):
        make_client(memory_registry).upload_blob("team/app", BLOB, open_content)
    assert memory_registry.open_uploads == 0


@pytest.mark.parametrize("chunk_bytes", [None, 2_000_000])
def test_a_burst_of_server_errors_is_survived(memory_registry, make_client, quick, chunk_bytes):
    memory_registry.faults.add(known_faults.server_errors(3, method="PUT|PATCH"))

    make_client(memory_registry).upload_blob("team/app", BLOB, open_content, chunk_bytes=chunk_bytes)

    assert BLOB.digest in memory_registry.blobs("team/app")


def test_server_errors_without_end_come_to_an_end(memory_registry, make_client, quick):
    memory_registry.faults.add(known_faults.server_errors(None, method="PUT|PATCH"))

    with pytest.raises(ServerError):
        make_client(memory_registry).upload_blob("team/app", BLOB, open_content)
    assert len(memory_registry.requests) < 60


def test_a_commit_whose_answer_got_lost_is_found_to_be_done(memory_registry, make_client, quick):
    memory_registry.faults.add(
        Fault(method="PUT", action="alter", rewrite=lambda response, request: with_status(response, 503))
    )

    make_client(memory_registry).upload_blob("team/app", BLOB, open_content)

    assert_arrived(memory_registry)
    assert len(memory_registry.requests_for("PUT")) == 1


def test_wrong_content_is_refused_by_the_registry_and_its_session_is_closed(memory_registry, make_client):
    other = GeneratedContent(SIZE, "other")

    with pytest.raises(DigestMismatchError):
        make_client(memory_registry).upload_blob("team/app", BLOB, other.read)
    assert memory_registry.open_uploads == 0


def test_a_registry_that_stored_something_else_is_noticed(memory_registry, make_client):
    headers = {"Docker-Content-Digest": digest_of(b"other")}
    memory_registry.faults.add(Fault(method="PUT", status=201, headers=headers))

    with pytest.raises(DigestMismatchError, match="stored"):
        make_client(memory_registry).upload_blob("team/app", BLOB, open_content)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (known_faults.quota_exceeded(), QuotaExceededError),
        (Fault(method="POST", status=403), DeniedError),
        (Fault(method="PUT", status=403), DeniedError),
    ],
)
def test_a_refusal_is_told_and_leaves_no_session_open(memory_registry, make_client, fault, kind):
    memory_registry.faults.add(fault)

    with pytest.raises(kind):
        make_client(memory_registry).upload_blob("team/app", BLOB, open_content)
    assert memory_registry.open_uploads == 0


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ((known_faults.session_lost(method="PUT"), known_faults.server_errors(None, method="HEAD")), ServerError),
        ((Fault(method="PUT|PATCH|GET", path_pattern=UPLOAD, action="close", times=None),), NetworkError),
    ],
    ids=["lost, and then trouble when asking for the blob", "every connection breaks"],
)
def test_no_trouble_leaves_a_session_open_that_could_be_cancelled(memory_registry, make_client, quick, trouble, kind):
    for fault in trouble:
        memory_registry.faults.add(fault)

    with pytest.raises(kind):
        make_client(memory_registry).upload_blob("team/app", BLOB, open_content)
    assert memory_registry.open_uploads == 0


def test_an_error_of_the_source_is_the_sources_and_is_not_retried_at_the_target(memory_registry, make_client):
    openings = []

    def failing(offset):
        openings.append(offset)
        yield b"x" * 1000
        raise NetworkError("the source broke")

    with pytest.raises(NetworkError, match="the source broke"):
        make_client(memory_registry).upload_blob("team/app", BLOB, failing)
    assert openings == [0]


@pytest.mark.parametrize("chunk_bytes", [None, 2_000_000])
def test_a_set_stop_flag_ends_the_upload_within_a_buffer_and_cancels_the_session(
    memory_registry, make_client, chunk_bytes
):
    stop = threading.Event()
    tally = Tally()

    def stopping(offset):
        for piece in CONTENT.read(offset):
            yield piece
            stop.set()

    with pytest.raises(Stopped):
        make_client(memory_registry, stop=stop, tally=tally).upload_blob(
            "team/app", BLOB, stopping, chunk_bytes=chunk_bytes
        )
    assert tally.bytes_sent <= 2 << 20
    assert memory_registry.open_uploads == 0


def test_a_blob_of_another_repository_is_mounted(memory_registry, make_client):
    memory_registry.add_blob("team/base", CONTENT)
    client = make_client(memory_registry)

    assert client.mount_blob("team/app", BLOB.digest, from_repository="team/base")
    assert_arrived(memory_registry)
    assert methods(memory_registry) == ["POST"]
    assert "from=team%2Fbase" in memory_registry.requests[0].query


def test_a_session_opened_instead_of_a_mount_is_cancelled(memory_registry, make_client):
    assert not make_client(memory_registry).mount_blob("team/app", BLOB.digest, from_repository="team/none")

    assert methods(memory_registry) == ["POST", "DELETE"]
    assert memory_registry.open_uploads == 0


def test_a_session_opened_instead_of_a_mount_is_used_for_the_upload(memory_registry, make_client):
    was_mounted = make_client(memory_registry).upload_blob("team/app", BLOB, open_content, mount_from="team/none")

    assert not was_mounted
    assert_arrived(memory_registry)
    assert methods(memory_registry) == ["POST", "PUT"]


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_refused_mount_becomes_an_upload(memory_registry, make_client, status):
    memory_registry.faults.add(Fault(method="POST", path_pattern="mount=", status=status))

    assert not make_client(memory_registry).upload_blob("team/app", BLOB, open_content, mount_from="team/base")
    assert_arrived(memory_registry)


def test_a_mount_asks_for_both_rights_the_target_first(make_client):
    with MemoryRegistry(auth="bearer", username="u", password="p") as registry:
        registry.add_blob("team/base", CONTENT)

        client = make_client(registry, username="u", password="p")

        assert client.upload_blob("team/app", BLOB, open_content, mount_from="team/base")
        query = next(
            request.query for request in registry.requests if "token" in request.path and "base" in request.query
        )
        assert query.index("team%2Fapp") < query.index("team%2Fbase")
