"""One read, several targets: what one of them does must not reach the others, and the source sends each byte once."""

import re
import threading
import time
import tracemalloc
from collections import Counter
from contextlib import ExitStack

import pytest

from registry import (
    BlobProgress,
    BlobRead,
    CopyOptions,
    CopyResult,
    CopySource,
    CopyTarget,
    DeniedError,
    DigestMismatchError,
    NetworkError,
    NotFoundError,
    Stopped,
    TargetFinished,
    Throttle,
    Timeouts,
    UnsupportedError,
    copy_artifact,
    digest_of,
)
from registry.testkit import Fault, GeneratedContent, MemoryRegistry, build_image, known_faults

PATIENT = Timeouts(connect_seconds=5, first_byte_seconds=30, stall_seconds=30)
HASTY = CopyOptions(stall_seconds=0.4)
BLOB_UPLOAD = "/blobs/uploads/"


@pytest.fixture
def targets():
    with ExitStack() as stack:
        yield [stack.enter_context(MemoryRegistry()) for _ in range(3)]


@pytest.fixture
def fan_out(source, targets, make_client):
    """Copy team/app@digest to mirror/app at every target, as tag 1: `fan_out(digest, on_event=...)`."""

    def run(digest, *, options=None, on_event=lambda index, event: None, stop=None):
        return copy_artifact(
            CopySource(make_client(source, timeouts=PATIENT), "team/app", digest),
            [CopyTarget(make_client(target, timeouts=PATIENT), "mirror/app", ("1",)) for target in targets],
            options=options or CopyOptions(),
            on_event=on_event,
            stop=stop,
        )

    return run


def blob_gets(source):
    """Give `{digest: number of GETs}`."""
    return Counter(request.path.rpartition("/")[2] for request in source.requests_for("GET", "/blobs/"))


def blob_bytes(source, repository="team/app"):
    return sum(content.size_bytes for content in source.blobs(repository).values())


def sent_bytes(source, repository="team/app"):
    """Add up what the source was asked to send: whole blobs, and the rest of them from an offset on."""
    sizes = {digest: content.size_bytes for digest, content in source.blobs(repository).items()}
    total = 0
    for request in source.requests_for("GET", "/blobs/"):
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", "bytes=0-"))
        total += sizes[request.path.rpartition("/")[2]] - int(wanted[1])
    return total


def test_three_targets_cost_the_source_one_read(source, targets, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[9_000_000, 3_000_000, 1000, 0])
    read = Counter()

    outcomes = fan_out(
        digest, on_event=lambda index, event: read.update(n=event.bytes_delta) if isinstance(event, BlobRead) else None
    )

    assert set(blob_gets(source).values()) == {1}
    assert len(source.requests_for("GET", "/manifests/")) == 1
    assert sent_bytes(source) == blob_bytes(source)
    assert sum(outcome.bytes_read for outcome in outcomes) == read["n"] == blob_bytes(source)
    for target, outcome in zip(targets, outcomes, strict=True):
        assert target.tags("mirror/app") == {"1": digest}
        assert set(target.blobs("mirror/app")) == set(source.blobs("team/app"))
        assert outcome.bytes_copied == blob_bytes(source)
        assert target.open_uploads == 0


def test_each_manifest_of_an_index_is_read_once(source, targets, fan_out):
    digest = source.add_index("team/app", "1", ["linux/amd64", "linux/arm64", "linux/s390x"])

    fan_out(digest)

    assert len(source.requests_for("GET", "/manifests/")) == 4
    assert set(blob_gets(source).values()) == {1}
    for target in targets:
        assert target.tags("mirror/app") == {"1": digest}
        puts = [request.path.rpartition("/")[2] for request in target.requests_for("PUT", "/manifests/")]
        assert puts[-1] == "1"
        assert len(puts) == 4


def test_no_target_is_no_work(source, make_client):
    assert copy_artifact(CopySource(make_client(source), "team/app", digest_of(b"")), []) == []
    assert source.requests == []


def test_each_target_gets_the_blobs_that_it_lacks(source, targets, fan_out):
    layers = [b"one", b"two", b"three"]
    digest = source.add_image("team/app", "1", layers=layers)
    for target, layer in zip(targets, layers, strict=True):
        target.add_blob("mirror/app", layer)

    outcomes = fan_out(digest)

    assert set(blob_gets(source).values()) == {1}
    for target, outcome, layer in zip(targets, outcomes, layers, strict=True):
        assert target.tags("mirror/app") == {"1": digest}
        assert outcome.bytes_present == len(layer)
        assert outcome.bytes_copied == blob_bytes(source) - len(layer)


def test_a_target_that_has_everything_only_gets_its_tag(source, targets, make_client, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[2_000_000])
    copy_artifact(
        CopySource(make_client(source), "team/app", digest), [CopyTarget(make_client(targets[1]), "mirror/app", ())]
    )
    source.requests.clear()
    targets[1].requests.clear()

    outcomes = fan_out(digest)

    assert [request.method for request in targets[1].requests] == ["HEAD", "PUT"]
    assert outcomes[1].bytes_copied == outcomes[1].bytes_read == 0
    assert set(blob_gets(source).values()) == {1}
    assert all(target.tags("mirror/app") == {"1": digest} for target in targets)


def test_a_target_inside_the_source_registry_mounts_and_the_others_are_sent(source, targets, make_client):
    digest = source.add_image("team/app", "1", layer_sizes=[2_000_000])
    client = make_client(source)

    inside, outside = copy_artifact(
        CopySource(client, "team/app", digest),
        [
            CopyTarget(client, "mirror/app", ("1",), is_in_source_registry=True),
            CopyTarget(make_client(targets[0]), "mirror/app", ("1",)),
        ],
    )

    assert inside.bytes_copied == inside.bytes_read == 0
    assert inside.bytes_mounted == outside.bytes_copied == outside.bytes_read
    assert set(blob_gets(source).values()) == {1}
    assert source.tags("mirror/app") == targets[0].tags("mirror/app") == {"1": digest}


def test_a_target_that_is_down_fails_alone(source, targets, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[3_000_000])
    targets[1].stop()

    first, down, last = fan_out(digest)

    assert isinstance(down, NetworkError)
    assert isinstance(first, CopyResult)
    assert isinstance(last, CopyResult)
    assert set(blob_gets(source).values()) == {1}
    assert targets[0].tags("mirror/app") == targets[2].tags("mirror/app") == {"1": digest}


def test_a_target_that_refuses_an_upload_fails_alone(source, targets, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[3_000_000, 2_000_000])
    targets[0].faults.add(Fault(method="POST", path_pattern=BLOB_UPLOAD, status=403, times=None))

    refused, *others = fan_out(digest)

    assert isinstance(refused, DeniedError)
    assert all(isinstance(outcome, CopyResult) for outcome in others)
    assert set(blob_gets(source).values()) == {1}
    assert [target.tags("mirror/app") for target in targets] == [{}, {"1": digest}, {"1": digest}]


def test_a_target_that_dies_in_the_middle_leaves_the_others_at_it(source, targets, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[30_000_000])
    dying = threading.Thread(target=targets[2].stop)

    def kill(index, event):
        if index == 2 and isinstance(event, BlobProgress) and dying.ident is None:
            dying.start()

    *others, dead = fan_out(digest, on_event=kill)
    dying.join()

    assert isinstance(dead, NetworkError)
    assert all(isinstance(outcome, CopyResult) for outcome in others)
    assert all(target.tags("mirror/app") == {"1": digest} for target in targets[:2])
    assert [gets for name, gets in blob_gets(source).items() if name in largest(source)] == [1]


def largest(source):
    return max(source.blobs("team/app").items(), key=lambda entry: entry[1].size_bytes)[0]


def test_an_upload_that_breaks_goes_on_alone_from_where_it_was(source, targets, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[30_000_000])
    targets[1].faults.add(known_faults.reset_upload(8_000_000))

    outcomes = fan_out(digest)

    assert all(isinstance(outcome, CopyResult) for outcome in outcomes)
    assert all(target.tags("mirror/app") == {"1": digest} for target in targets)
    assert blob_gets(source)[largest(source)] <= 2
    assert sent_bytes(source) < 2 * blob_bytes(source)


def test_a_target_that_rejects_the_manifest_fails_alone(source, targets, fan_out):
    digest = source.add_image("team/app", "1")
    body = b'{"errors":[{"code":"MANIFEST_INVALID"}]}'
    targets[0].faults.add(Fault(method="PUT", path_pattern="/manifests/", status=400, body=body, times=None))

    rejected, *others = fan_out(digest)

    assert isinstance(rejected, UnsupportedError)
    assert all(isinstance(outcome, CopyResult) for outcome in others)
    assert [target.tags("mirror/app") for target in targets] == [{}, {"1": digest}, {"1": digest}]


def test_a_blob_that_one_target_lost_is_put_again_there_only(source, targets, fan_out, monkeypatch):
    monkeypatch.setattr("registry.copying.lane._REPAIR_PAUSE_SECONDS", 0.001)
    digest = source.add_image("team/app", "1", layers=[b"to be lost"])
    lost = digest_of(b"to be lost")

    def lose(response, request):
        targets[1].remove_blob("mirror/app", lost)
        body = b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}'
        return type(response)(400, {"Content-Type": "application/json"}, type(response.content)((body,)))

    targets[1].faults.add(Fault(method="PUT", path_pattern="/manifests/", action="alter", rewrite=lose))

    fan_out(digest)

    assert all(target.tags("mirror/app") == {"1": digest} for target in targets)
    assert all(lost in target.blobs("mirror/app") for target in targets)
    assert blob_gets(source)[lost] == 2


def test_a_target_that_stalls_is_left_behind_and_catches_up_alone(source, targets, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[60_000_000])
    for target in targets:
        target.discard_uploads = True
    targets[1].faults.add(
        Fault(method="PUT", path_pattern=BLOB_UPLOAD, action="stall", seconds=4, larger_than_bytes=50_000_000)
    )
    finished = {}

    def note(index, event):
        if isinstance(event, TargetFinished):
            finished[index] = time.monotonic()

    outcomes = fan_out(digest, options=HASTY, on_event=note)

    assert all(isinstance(outcome, CopyResult) for outcome in outcomes)
    assert all(target.tags("mirror/app") == {"1": digest} for target in targets)
    assert finished[1] > max(finished[0], finished[2]) + 0.5
    ranges = [request.headers["range"] for request in source.requests if "range" in request.headers]
    assert len(ranges) == 1  # it went on from where it was, in the upload session that it had
    assert len(targets[1].requests_for("POST", BLOB_UPLOAD)) == 3  # layer, config, and whether it verifies
    assert sum(outcome.bytes_read for outcome in outcomes) == sent_bytes(source) < 2 * blob_bytes(source)


def test_a_target_that_does_not_answer_is_not_waited_for_blob_by_blob(source, targets, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[100_000] * 12)
    targets[0].faults.add(Fault(method="HEAD", path_pattern="/manifests/", action="stall", seconds=4))
    began, finished = time.monotonic(), {}

    def note(index, event):
        if isinstance(event, TargetFinished):
            finished[index] = time.monotonic() - began

    outcomes = fan_out(digest, options=CopyOptions(stall_seconds=0.5), on_event=note)

    assert all(isinstance(outcome, CopyResult) for outcome in outcomes)
    assert max(finished[1], finished[2]) < 4 < finished[0]
    assert set(blob_gets(source).values()) == {2}


def test_a_target_that_fails_while_it_waits_for_another_does_no_harm_to_that(source, targets, make_client):
    digest = source.add_image("team/app", "1", layer_sizes=[3_000_000, 2_000_000])
    config = build_config_digest(source, digest)
    targets[0].faults.add(Fault(method="HEAD", path_pattern=config, status=500, times=None))
    targets[1].faults.add(Fault(method="HEAD", path_pattern="/manifests/", action="stall", seconds=1))

    failed, late = copy_artifact(
        CopySource(make_client(source), "team/app", digest),
        [CopyTarget(make_client(target, timeouts=PATIENT), "mirror/app", ("1",)) for target in targets[:2]],
    )

    assert not isinstance(failed, CopyResult)
    assert isinstance(late, CopyResult)
    assert targets[0].tags("mirror/app") == {}
    assert targets[1].tags("mirror/app") == {"1": digest}
    assert set(blob_gets(source).values()) == {1}


def build_config_digest(registry, digest):
    return registry.manifests("team/app")[digest].document["config"]["digest"]


@pytest.mark.parametrize("size_bytes", [600_000, 9_000_000])
def test_a_corrupted_source_gives_nobody_a_tag(source, targets, fan_out, size_bytes):
    digest = source.add_image("team/app", "1", layer_sizes=[size_bytes])
    source.faults.add(known_faults.corrupted_body(500_000, None, pattern=largest(source)))

    outcomes = fan_out(digest)

    assert all(isinstance(outcome, DigestMismatchError) for outcome in outcomes)
    for target in targets:
        assert target.tags("mirror/app") == {}
        assert largest(source) not in target.blobs("mirror/app")
        assert target.open_uploads == 0


def test_a_source_that_breaks_in_between_is_resumed_once_for_all(source, targets, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[9_000_000])
    source.faults.add(known_faults.truncated_body(4_000_000, pattern=largest(source)))

    fan_out(digest)

    assert blob_gets(source)[largest(source)] == 2
    assert all(target.tags("mirror/app") == {"1": digest} for target in targets)


def test_an_artifact_that_the_source_lacks_is_not_found_for_all_and_asked_for_once(source, targets, fan_out):
    outcomes = fan_out(digest_of(b"nothing"))

    assert all(isinstance(outcome, NotFoundError) for outcome in outcomes)
    assert len(source.requests_for("GET", "/manifests/")) == 1


def test_a_stop_ends_all_within_a_buffer(source, targets, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[200_000_000])
    for target in targets:
        target.discard_uploads = True
    stop = threading.Event()

    with pytest.raises(Stopped):
        fan_out(digest, stop=stop, on_event=lambda _, event: stop.set() if isinstance(event, BlobProgress) else None)

    for target in targets:
        assert sum(request.body_bytes for request in target.requests) < 20_000_000
        assert target.tags("mirror/app") == {}
        assert target.open_uploads == 0


def test_a_stop_does_not_wait_for_a_stalled_source(source, targets, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[9_000_000])
    source.faults.add(known_faults.stalled(20, after_bytes=3_000_000, pattern=largest(source)))
    stop = threading.Event()
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    began = time.monotonic()

    with pytest.raises(Stopped):
        fan_out(digest, stop=stop)

    assert time.monotonic() - began < 5


def test_what_arrived_before_a_stop_is_told(source, targets, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[1000])
    targets[2].faults.add(Fault(method="HEAD", path_pattern="/manifests/", action="stall", seconds=2))
    stop = threading.Event()
    finished = []

    def note(index, event):
        if isinstance(event, TargetFinished):
            finished.append((index, type(event.outcome)))
        if len(finished) == 2:
            stop.set()

    with pytest.raises(Stopped):
        fan_out(digest, options=HASTY, stop=stop, on_event=note)

    assert sorted(finished, key=lambda entry: entry[0]) == [(0, CopyResult), (1, CopyResult)]


def test_the_targets_share_the_pace(source, targets, fan_out):
    digest = source.add_image("team/app", "1", layer_sizes=[1_000_000])
    began = time.monotonic()

    fan_out(digest, options=CopyOptions(pace=Throttle(1_000_000)))

    assert 2.7 < time.monotonic() - began < 20  # 1 second if each had it for itself


@pytest.mark.slow
def test_memory_is_bounded_while_one_target_stalls(source, targets, fan_out):
    for target in targets:
        target.discard_uploads = True
    size = 300_000_000
    digest = source.add_manifest("team/app", "1", build_image([GeneratedContent(size, "large")]))
    targets[0].faults.add(
        Fault(method="PUT", path_pattern=BLOB_UPLOAD, action="stall", seconds=3, larger_than_bytes=size - 1)
    )
    tracemalloc.start()

    outcomes = fan_out(digest, options=HASTY)

    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert all(outcome.bytes_copied > size for outcome in outcomes)
    assert peak_bytes < 40 << 20  # the registries' own blocks included


@pytest.mark.slow
def test_one_docker_registry_feeds_three(start_docker_registry, make_client, skopeo):
    source, *targets = (start_docker_registry() for _ in range(4))
    digest = skopeo.push_image(source.host, "real/app:1", layer_sizes=[20_000_000, 70_000, 0])

    outcomes = copy_artifact(
        CopySource(make_client(source), "real/app", digest),
        [CopyTarget(make_client(target), "copied/app", ("1",)) for target in targets],
    )

    assert [skopeo.digest(target.host, "copied/app:1") for target in targets] == [digest] * 3
    assert sum(outcome.bytes_read for outcome in outcomes) == outcomes[0].bytes_copied
    gets = re.findall(r'"GET /v2/real/app/blobs/(sha256:[0-9a-f]{64})', source.log)
    assert gets
    assert len(gets) == len(set(gets))
