"""Each fault spoils the requests it is for, as often as it was told, and nothing else."""

import gzip
import time

import pytest
import requests

from registry.testkit import Fault, MemoryRegistry, digest_of, known_faults
from registry.testkit.images import OCI_MANIFEST

ACCEPT = {"Accept": OCI_MANIFEST}
LAYER = bytes(range(256)) * 2_000
LAYER_DIGEST = digest_of(LAYER)
BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


@pytest.fixture
def registry():
    with MemoryRegistry() as registry:
        registry.add_image("app", "v1", layers=[LAYER])
        yield registry


def get_layer(registry, **options):
    return requests.get(f"{registry.url}/v2/app/blobs/{LAYER_DIGEST}", timeout=10, **options)


def get_manifest(registry, tag="v1", **options):
    return requests.get(f"{registry.url}/v2/app/manifests/{tag}", headers=ACCEPT, timeout=10, **options)


def open_upload(registry):
    return requests.post(f"{registry.url}/v2/app/blobs/uploads/", timeout=10)


def error_code(answer):
    return answer.json()["errors"][0]["code"]


def test_a_fault_ends_after_its_times_and_lets_the_skipped_pass(registry):
    registry.faults.add(Fault(method="GET", path_pattern="/manifests/v1", status=503, times=2, skip=1))
    assert [get_manifest(registry).status_code for _ in range(5)] == [200, 503, 503, 200, 200]
    assert registry.faults.waiting == ()


def test_a_fault_counts_what_it_has_spoiled(registry):
    fault = registry.faults.add(Fault(method="GET", path_pattern="/manifests/v1", status=503, times=2))
    assert registry.faults.times_taken(fault) == 0
    for _ in range(3):
        get_manifest(registry)
    assert registry.faults.times_taken(fault) == 2
    registry.faults.give_back(fault)
    assert registry.faults.times_taken(fault) == 1


def test_a_fault_is_for_the_method_and_path_it_names(registry):
    registry.faults.add(Fault(method="HEAD", path_pattern="/blobs/", status=500, times=None))
    assert get_layer(registry).status_code == 200
    assert requests.head(f"{registry.url}/v2/app/blobs/{LAYER_DIGEST}").status_code == 500
    registry.faults.clear()
    assert requests.head(f"{registry.url}/v2/app/blobs/{LAYER_DIGEST}").status_code == 200


def test_a_fault_that_says_nothing_is_refused():
    with pytest.raises(ValueError, match="status"):
        Fault(method="GET")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        pytest.param(known_faults.session_lost(method="POST"), 202, None, id="other-method"),
        pytest.param(known_faults.rate_limited(), 429, "TOOMANYREQUESTS", id="429"),
        pytest.param(known_faults.quota_exceeded(), 403, "DENIED", id="quota"),
        pytest.param(known_faults.server_errors(status=502), 502, None, id="5xx"),
        pytest.param(known_faults.html_instead_of_json(), 200, None, id="html"),
    ],
)
def test_refusals_by_name(registry, fault, status, code):
    registry.faults.add(fault)
    answer = open_upload(registry)
    assert answer.status_code == status
    assert code is None or error_code(answer) == code


def test_rate_limits_come_with_and_without_retry_after(registry):
    registry.faults.add(known_faults.rate_limited(retry_after="7"))
    registry.faults.add(known_faults.rate_limited(retry_after=None))
    assert [get_manifest(registry).headers.get("Retry-After") for _ in range(2)] == ["7", None]


def test_a_session_that_was_lost_is_unknown(registry):
    location = open_upload(registry).headers["Location"]
    registry.faults.add(known_faults.session_lost())
    assert error_code(requests.patch(location, data=b"x")) == "BLOB_UPLOAD_UNKNOWN"
    registry.lose_uploads()
    assert error_code(requests.patch(location, data=b"x")) == "BLOB_UPLOAD_UNKNOWN"


def test_an_upload_can_be_challenged_in_the_middle():
    with MemoryRegistry(auth="basic", username="u", password="p") as registry:
        session = requests.Session()
        session.auth = ("u", "p")
        location = session.post(f"{registry.url}/v2/app/blobs/uploads/").headers["Location"]
        registry.faults.add(known_faults.unauthorized_in_mid_upload())
        refused = session.patch(location, data=b"hello")
        assert (refused.status_code, "Www-Authenticate" in refused.headers) == (401, True)
        assert session.patch(location, data=b"hello").status_code == 202


def test_a_401_without_challenge_is_empty(registry):
    registry.faults.add(known_faults.unauthorized_without_challenge())
    answer = get_manifest(registry)
    assert (answer.status_code, answer.content, "WWW-Authenticate" in answer.headers) == (401, b"", False)


def test_a_stuck_range_hides_progress_that_was_made(registry):
    registry.faults.add(known_faults.stuck_range())
    location = open_upload(registry).headers["Location"]
    patched = requests.patch(location, data=b"hello")
    assert patched.headers["Range"] == "0-0"
    done = requests.put(f"{patched.headers['Location']}&digest={digest_of(b'hello')}")
    assert done.status_code == 201


def test_a_relative_location_keeps_its_state(registry):
    registry.faults.add(known_faults.relative_location())
    location = open_upload(registry).headers["Location"]
    assert location.startswith("/v2/app/blobs/uploads/")
    assert "_state=" in location


def test_large_chunks_are_refused_and_small_ones_taken(registry):
    registry.faults.add(known_faults.chunk_refused_above(4))
    location = open_upload(registry).headers["Location"]
    assert requests.patch(location, data=b"hello").status_code == 416
    assert requests.patch(location, data=b"hell").status_code == 202


def test_a_minimum_chunk_is_announced(registry):
    registry.faults.add(known_faults.chunk_minimum(5_242_880))
    assert open_upload(registry).headers["OCI-Chunk-Min-Length"] == "5242880"


def test_digest_headers_can_be_missing_or_wrong(registry):
    registry.faults.add(known_faults.missing_digest_header(times=1))
    registry.faults.add(known_faults.wrong_digest_header(times=1))
    assert "Docker-Content-Digest" not in get_manifest(registry).headers
    assert get_manifest(registry).headers["Docker-Content-Digest"].endswith("0000")


def test_head_can_be_refused(registry):
    registry.faults.add(known_faults.head_refused())
    assert requests.head(f"{registry.url}/v2/app/manifests/v1", headers=ACCEPT).status_code == 405
    assert get_manifest(registry).status_code == 200


def test_listings_can_be_null_or_hold_nulls(registry):
    url = f"{registry.url}/v2/app/tags/list"
    registry.faults.add(known_faults.null_listing(times=1))
    registry.faults.add(known_faults.null_entries(times=1))
    assert requests.get(url).json()["tags"] is None
    assert requests.get(url).json()["tags"] == [None, "v1", None]


def test_links_come_in_odd_forms_or_not_at_all(registry):
    registry.add_image("app", "v2")
    registry.page_size = 1
    url = f"{registry.url}/v2/app/tags/list"
    registry.faults.add(known_faults.odd_link("<http://registry.test{path}>; rel=next", times=1))
    registry.faults.add(known_faults.listing_without_link(times=1))
    assert requests.get(url).headers["Link"] == ("<http://registry.test/v2/app/tags/list?last=v1&n=1>; rel=next")
    assert "Link" not in requests.get(url).headers


def test_a_redirected_blob_comes_by_a_link_that_expires(registry):
    registry.faults.add(known_faults.redirect_to_expiring_link(uses=1))
    redirect = get_layer(registry, allow_redirects=False)
    link = redirect.headers["Location"]
    assert redirect.status_code == 307
    assert link.startswith(f"http://localhost:{registry.port}/storage/")
    assert requests.get(link, auth=("u", "p")).status_code == 400
    assert requests.get(link, headers={"Range": "bytes=10-19"}).content == LAYER[10:20]
    assert requests.get(link).status_code == 403


@pytest.mark.parametrize("make_fault", [known_faults.truncated_body, known_faults.reset_download])
def test_a_download_breaks_off_after_so_many_bytes_and_works_the_next_time(registry, make_fault):
    registry.faults.add(make_fault(100_000))
    received = bytearray()
    with get_layer(registry, stream=True) as answer, pytest.raises(BROKEN):
        received.extend(byte for block in answer.iter_content(1_000) for byte in block)
    assert bytes(received) == LAYER[: len(received)]
    assert len(received) <= 100_000
    assert get_layer(registry).content == LAYER


def test_a_body_fault_waits_for_the_request_that_has_credentials():
    with MemoryRegistry(auth="basic", username="u", password="p") as registry:
        digest = registry.add_blob("app", LAYER)
        url = f"{registry.url}/v2/app/blobs/{digest}"
        registry.faults.add(known_faults.corrupted_body(5))
        assert requests.get(url).status_code == 401
        assert requests.get(url, auth=("u", "p")).content != LAYER
        assert requests.get(url, auth=("u", "p")).content == LAYER


def test_a_corrupted_body_differs_in_one_byte(registry):
    registry.faults.add(known_faults.corrupted_body(1_000))
    content = get_layer(registry).content
    different = [n for n, (ours, theirs) in enumerate(zip(LAYER, content, strict=True)) if ours != theirs]
    assert different == [1_000]


def test_an_upload_that_is_reset_leaves_what_arrived_in_the_session(registry):
    location = open_upload(registry).headers["Location"]
    registry.faults.add(known_faults.reset_upload(200_000))
    with pytest.raises(BROKEN):
        requests.put(f"{location}&digest={LAYER_DIGEST}", data=LAYER, timeout=10)
    status = requests.get(location)
    assert status.headers["Range"] == "0-199999"
    rest = requests.put(f"{status.headers['Location']}&digest={LAYER_DIGEST}", data=LAYER[200_000:])
    assert rest.status_code == 201


def test_a_connection_can_end_without_an_answer(registry):
    registry.faults.add(Fault(path_pattern="/manifests/", action="close"))
    with pytest.raises(BROKEN):
        get_manifest(registry)
    assert registry.requests[-1].status == 0
    assert get_manifest(registry).status_code == 200


def test_a_stall_holds_the_answer_back(registry):
    registry.faults.add(known_faults.stalled(0.3))
    began_at = time.monotonic()
    assert get_layer(registry).content == LAYER
    assert time.monotonic() - began_at >= 0.3


def test_a_stall_in_the_body_ends_with_the_registry(registry):
    registry.faults.add(known_faults.stalled(60, after_bytes=1_000))
    with get_layer(registry, stream=True) as answer:
        assert answer.raw.read(1_000) == LAYER[:1_000]
        registry.stop()


def test_a_drip_is_slow_but_whole(registry):
    registry.faults.add(known_faults.slow_drip(0.01, after_bytes=len(LAYER) - 5_000))
    began_at = time.monotonic()
    assert get_layer(registry).content == LAYER
    assert time.monotonic() - began_at >= 0.04


def test_a_proxy_compresses_what_nobody_wanted_compressed(registry):
    registry.faults.add(known_faults.gzip_encoded())
    answer = get_layer(registry, headers={"Accept-Encoding": "identity"}, stream=True)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.raw.read(decode_content=False)) == LAYER


def test_a_range_can_be_ignored(registry):
    registry.faults.add(known_faults.range_ignored())
    answer = get_layer(registry, headers={"Range": "bytes=5-"})
    assert (answer.status_code, answer.content) == (200, LAYER)


@pytest.mark.parametrize(
    ("method", "fault", "status", "code"),
    [
        ("DELETE", known_faults.deletion_disabled(), 405, "UNSUPPORTED"),
        ("PUT", known_faults.immutable_tag(), 412, "PRECONDITION"),
        ("PUT", known_faults.blob_unknown(), 400, "MANIFEST_BLOB_UNKNOWN"),
    ],
)
def test_refusals_of_manifests(registry, method, fault, status, code):
    registry.faults.add(fault)
    answer = requests.request(method, f"{registry.url}/v2/app/manifests/v1", data=b"{}")
    assert (answer.status_code, error_code(answer)) == (status, code)
