import base64
import json
import threading
import time
from collections import Counter

import pytest

from registry import (
    ArtifactSized,
    BlobCopied,
    BlobMounted,
    BlobPresent,
    BlobProgress,
    BlobStarted,
    BlobTakenBack,
    BlobUnknownError,
    CopyOptions,
    CopySource,
    CopyTarget,
    DeniedError,
    DigestMismatchError,
    ImmutableError,
    ManifestPushed,
    NetworkError,
    Note,
    NotFoundError,
    ProtocolError,
    RegistryError,
    Stopped,
    Timeouts,
    UnsupportedError,
    copy_artifact,
    digest_of,
)
from registry.copying.throttle import Throttle, in_steps
from registry.media import DOCKER_FOREIGN_LAYER, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from registry.testkit import (
    BuiltManifest,
    Fault,
    GeneratedContent,
    MemoryRegistry,
    StoredManifest,
    build_image,
    known_faults,
)
from registry.testkit.messages import error_response

LONG = Timeouts(connect_seconds=5, first_byte_seconds=30, stall_seconds=30)


@pytest.fixture
def copy(source, target, make_client):
    """Copy team/app@digest from the source to mirror/app at the target: `copy(digest, "1", events=[])`."""

    def run(digest, *tags, events=None, options=None, stop=None, client_options=None):
        collected = events if events is not None else []
        (outcome,) = copy_artifact(
            CopySource(make_client(source, **(client_options or {})), "team/app", digest),
            [CopyTarget(make_client(target), "mirror/app", tags)],
            options=options or CopyOptions(),
            on_event=lambda _, event: collected.append(event),
            stop=stop,
        )
        return raised(outcome)

    return run


def raised(outcome):
    """Give a result, raise an error: so that tests of one target read as such."""
    if isinstance(outcome, RegistryError):
        raise outcome
    return outcome


def manifest_of(registry, digest, repository="team/app"):
    return json.loads(registry.manifests(repository)[digest].content)


def writes(registry):
    """Give the manifests that were put, in order."""
    return [request.path.rpartition("/")[2] for request in registry.requests_for("PUT", "/manifests/")]


def test_a_fresh_image_arrives_byte_for_byte(source, target, copy):
    digest = source.add_image("team/app", "1", layer_sizes=[3_000_000, 100_000])

    result = copy(digest, "1", "latest")

    assert target.tags("mirror/app") == {"1": digest, "latest": digest}
    assert target.manifests("mirror/app")[digest].content == source.manifests("team/app")[digest].content
    assert set(target.blobs("mirror/app")) == set(source.blobs("team/app"))
    assert (result.digest, result.media_type, result.blobs_copied) == (digest, OCI_MANIFEST, 3)
    assert result.bytes_copied > 3_100_000
    assert target.open_uploads == 0


def test_a_fresh_image_costs_few_requests(source, target, copy):
    digest = source.add_image("team/app", "1", layer_sizes=[1000] * 6)

    copy(digest, "1")

    assert Counter(request.method for request in source.requests) == {"GET": 1 + 7}
    assert Counter(request.method for request in target.requests) == {"HEAD": 1 + 7, "POST": 7, "PUT": 7 + 1}


def test_tags_come_last_and_children_before_their_index(source, target, copy):
    digest = source.add_index("team/app", "1")
    children = [entry["digest"] for entry in manifest_of(source, digest)["manifests"]]

    copy(digest, "1", "latest")

    assert writes(target) == [*children, "1", "latest"]
    last_blob = max(i for i, request in enumerate(target.requests) if "/blobs/" in request.path)
    first_manifest = min(
        i for i, request in enumerate(target.requests) if request.method == "PUT" and "/manifests/" in request.path
    )
    assert last_blob < first_manifest
    assert target.tags("mirror/app") == {"1": digest, "latest": digest}


def test_without_tags_the_artifact_is_stored_by_its_digest(source, target, copy):
    digest = source.add_image("team/app", "1")

    copy(digest)

    assert digest in target.manifests("mirror/app")
    assert target.tags("mirror/app") == {}


def test_what_the_target_has_only_gets_its_tags(source, target, copy):
    digest = source.add_index("team/app", "1")
    copy(digest, "1")
    source.requests.clear()
    target.requests.clear()
    events = []

    result = copy(digest, "2", events=events)

    assert target.tags("mirror/app") == {"1": digest, "2": digest}
    assert [request.method for request in target.requests] == ["HEAD", "PUT"]
    assert [request.method for request in source.requests] == ["GET"]
    assert (result.bytes_copied, result.manifests_pushed) == (0, 1)
    assert events[0] == ArtifactSized(0)


def test_a_child_that_the_target_has_proves_its_blobs(source, target, copy):
    shared = build_image([b"shared"], platform="linux/amd64")
    source.add_manifest("team/app", None, shared)
    target.add_manifest("mirror/app", None, shared)
    digest = source.add_index("team/app", "1", ["linux/arm64"])
    index = manifest_of(source, digest)
    index["manifests"].append(shared.descriptor())
    content = json.dumps(index).encode()
    bigger = source.add_manifest("team/app", "2", BuiltManifest(OCI_INDEX, content))

    copy(bigger, "2")

    assert target.tags("mirror/app") == {"2": bigger}
    assert not any(layer in request.path for request in source.requests for layer in shared.blobs)


def test_blobs_that_the_target_has_are_not_moved(source, target, copy):
    digest = source.add_image("team/app", "1", layers=[b"common", b"only here"])
    target.add_blob("mirror/app", b"common")
    events = []

    result = copy(digest, "1", events=events)

    assert result.bytes_present == len(b"common")
    assert BlobPresent(digest_of(b"common"), 6) in events
    assert not source.requests_for("GET", digest_of(b"common"))


def test_a_blob_used_many_times_is_moved_once(source, target, copy):
    layers = [b"twice", b"twice", b"once"]
    children = [build_image(layers, platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    for child in children:
        source.add_manifest("team/app", None, child)
    content = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [c.descriptor() for c in children]})
    digest = source.add_manifest("team/app", "1", BuiltManifest(OCI_INDEX, content.encode()))

    copy(digest, "1")

    assert len(source.requests_for("GET", digest_of(b"twice"))) == 1


def test_inside_one_registry_blobs_are_mounted(source, make_client):
    digest = source.add_image("team/app", "1", layer_sizes=[1_000_000])
    client = make_client(source)
    events = []

    (result,) = copy_artifact(
        CopySource(client, "team/app", digest),
        [CopyTarget(client, "mirror/app", ("1",), is_in_source_registry=True)],
        on_event=lambda _, event: events.append(event),
    )

    assert source.tags("mirror/app") == {"1": digest}
    assert (result.bytes_copied, result.blobs_copied) == (0, 0)
    assert result.bytes_mounted > 1_000_000
    assert sum(isinstance(event, BlobMounted) for event in events) == 2
    assert not source.requests_for("GET", "/blobs/")


def test_inside_one_registry_that_mounts_nothing_bytes_are_moved(make_client):
    with MemoryRegistry(mount=False) as registry:
        digest = registry.add_image("team/app", "1")
        client = make_client(registry)

        (result,) = copy_artifact(
            CopySource(client, "team/app", digest),
            [CopyTarget(client, "mirror/app", ("1",), is_in_source_registry=True)],
        )

        assert registry.tags("mirror/app") == {"1": digest}
        assert result.bytes_mounted == 0
        assert registry.open_uploads == 0


def test_inside_one_repository_only_tags_are_set(source, make_client):
    digest = source.add_image("team/app", "1")
    client = make_client(source)

    copy_artifact(
        CopySource(client, "team/app", digest),
        [CopyTarget(client, "team/app", ("2",), is_in_source_registry=True)],
    )

    assert source.tags("team/app") == {"1": digest, "2": digest}


def test_foreign_layers_are_left_out_and_noted(source, target, copy):
    config = json.dumps({}).encode()
    foreign = {
        "mediaType": DOCKER_FOREIGN_LAYER,
        "digest": digest_of(b"w"),
        "size": 1,
        "urls": ["https://example.test/w"],
    }
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [foreign],
    }
    source.add_blob("team/app", config)
    digest = add_raw(source, OCI_MANIFEST, document)
    target.faults.add(Fault(method="PUT", path_pattern="/manifests/", status=201))
    events = []

    result = copy(digest, "1", events=events)

    assert result.foreign_layers_skipped == 1
    assert any(isinstance(event, Note) and digest_of(b"w") in event.message for event in events)
    assert not target.requests_for("HEAD", digest_of(b"w"))


def add_raw(registry, media_type, document):
    """Store a manifest whatever it refers to."""
    content = json.dumps(document).encode()
    with registry.store.changing("team/app") as kept:
        kept.manifests[digest_of(content)] = StoredManifest(media_type, content)
    return digest_of(content)


def test_inline_content_is_pushed_without_being_fetched(source, target, copy):
    layer = b"inline"
    source.add_blob("team/app", layer)
    source.add_blob("team/app", b"{}")
    described = {"mediaType": "x/y", "digest": digest_of(layer), "size": 6, "data": base64.b64encode(layer).decode()}
    config = {"mediaType": OCI_CONFIG, "digest": digest_of(b"{}"), "size": 2, "data": base64.b64encode(b"[]").decode()}
    digest = add_raw(
        source, OCI_MANIFEST, {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [described]}
    )

    copy(digest, "1")

    assert target.tags("mirror/app") == {"1": digest}
    assert not source.requests_for("GET", digest_of(layer))
    assert source.requests_for("GET", digest_of(b"{}"))  # its inline content was a lie


def test_entries_of_an_index_that_are_blobs_are_copied_as_blobs(source, target, copy):
    source.add_blob("team/app", b"cache layer")
    entry = {"mediaType": "application/vnd.unknown.thing", "digest": digest_of(b"cache layer"), "size": 11}
    digest = add_raw(source, OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
    target.faults.add(Fault(method="PUT", path_pattern="/manifests/", status=201))

    copy(digest, "1")

    assert digest_of(b"cache layer") in target.blobs("mirror/app")


def test_indexes_in_indexes_are_followed(source, target, copy):
    inner = source.add_index("team/app", None)
    entry = {"mediaType": OCI_INDEX, "digest": inner, "size": len(source.manifests("team/app")[inner].content)}
    outer = add_raw(source, OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})

    copy(outer, "1")

    assert target.tags("mirror/app") == {"1": outer}
    assert writes(target)[-2:] == [inner, "1"]


def test_an_index_nested_without_end_is_refused(source, target, copy):
    digest = source.add_image("team/app", None)
    media_type = OCI_MANIFEST
    for _ in range(12):
        entry = {"mediaType": media_type, "digest": digest, "size": 1}
        digest = add_raw(source, OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
        media_type = OCI_INDEX

    with pytest.raises(ProtocolError, match="nested"):
        copy(digest, "1")


def test_a_child_missing_at_the_source_is_told_and_nothing_is_tagged(source, target, copy):
    entry = {"mediaType": OCI_MANIFEST, "digest": digest_of(b"gone"), "size": 4}
    digest = add_raw(source, OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
    events = []

    with pytest.raises(NotFoundError):
        copy(digest, "1", events=events)

    assert target.tags("mirror/app") == {}
    assert any(isinstance(event, Note) and digest_of(b"gone") in event.message for event in events)


@pytest.mark.parametrize("chunk_bytes", [None, 300_000])
def test_a_corrupted_source_stores_nothing_and_tags_nothing(source, target, copy, chunk_bytes):
    digest = source.add_image("team/app", "1", layer_sizes=[2_000_000])
    source.faults.add(known_faults.corrupted_body(1_000_000, None))

    with pytest.raises(DigestMismatchError):
        copy(digest, "1", options=CopyOptions(chunk_bytes=chunk_bytes))

    layer = manifest_of(source, digest)["layers"][0]["digest"]
    assert layer not in target.blobs("mirror/app")
    assert target.tags("mirror/app") == {}
    assert target.open_uploads == 0


def test_a_source_that_breaks_in_between_is_resumed(source, target, copy):
    digest = source.add_image("team/app", "1", layer_sizes=[2_000_000])
    layer = manifest_of(source, digest)["layers"][0]["digest"]
    source.faults.add(known_faults.truncated_body(1_000_000, pattern=layer))
    source.faults.add(known_faults.reset_download(500_000, pattern=layer))

    copy(digest, "1")

    assert target.tags("mirror/app") == {"1": digest}


def test_events_add_up(source, target, copy, monkeypatch):
    monkeypatch.setattr("registry.client.uploads._PAUSE_SECONDS", 0.001)
    digest = source.add_image("team/app", "1", layer_sizes=[5_000_000, 700_000])
    target.faults.add(known_faults.reset_upload(2_000_000))
    target.faults.add(known_faults.session_lost(method="GET"))  # so that what was told has to be taken back
    events = []

    copy(digest, "1", events=events, options=CopyOptions(parallel_blobs=1))  # so that the largest meets the fault

    progress = Counter()
    for event in events:
        if isinstance(event, BlobProgress):
            progress[event.digest] += event.bytes_delta
        elif isinstance(event, BlobTakenBack):
            progress[event.digest] -= event.bytes_delta
    copied = {event.digest: event.size_bytes for event in events if isinstance(event, BlobCopied)}
    started = {event.digest: event.size_bytes for event in events if isinstance(event, BlobStarted)}
    pushed = [event for event in events if isinstance(event, ManifestPushed)]
    assert progress == copied == started
    assert any(isinstance(event, BlobTakenBack) for event in events)
    assert events[0] == ArtifactSized(sum(copied.values()) + pushed[0].size_bytes)
    assert [(event.digest, event.reference) for event in pushed] == [(digest, "1")]


def test_the_largest_blobs_go_first(source, target, copy):
    digest = source.add_image("team/app", "1", layer_sizes=[1000, 900_000, 50_000])
    events = []

    copy(digest, "1", events=events, options=CopyOptions(parallel_blobs=1))

    sizes = [event.size_bytes for event in events if isinstance(event, BlobStarted)]
    assert sizes == sorted(sizes, reverse=True)


def test_chunks_are_used_when_asked_for(source, target, copy):
    digest = source.add_image("team/app", "1", layer_sizes=[1_000_000])

    copy(digest, "1", options=CopyOptions(chunk_bytes=400_000))

    assert max(request.body_bytes for request in target.requests_for("PATCH")) == 400_000
    assert target.tags("mirror/app") == {"1": digest}


def test_a_stop_in_mid_blob_ends_the_copy_and_leaves_no_tag_and_no_session(source, target, copy):
    digest = source.add_image("team/app", "1", layer_sizes=[200_000_000])
    target.discard_uploads = True
    stop = threading.Event()

    def stop_on_progress(event):
        if isinstance(event, BlobProgress):
            stop.set()

    events = _Calling(stop_on_progress)
    with pytest.raises(Stopped):
        copy(digest, "1", events=events, stop=stop)

    assert sum(request.body_bytes for request in target.requests) < 20_000_000
    assert target.tags("mirror/app") == {}
    assert target.open_uploads == 0


class _Calling(list):
    """A list that calls a function for each event put into it."""

    def __init__(self, function) -> None:
        super().__init__()
        self._function = function

    def append(self, event):
        super().append(event)
        self._function(event)


def test_a_stop_wakes_a_thread_that_waits_for_a_stalled_source(source, target, copy):
    digest = source.add_image("team/app", "1", layer_sizes=[2_000_000])
    layer = manifest_of(source, digest)["layers"][0]["digest"]
    source.faults.add(known_faults.stalled(20, after_bytes=1_000_000, pattern=layer))
    stop = threading.Event()
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    began = time.monotonic()

    with pytest.raises(Stopped):
        copy(digest, "1", stop=stop, client_options={"timeouts": LONG})

    assert time.monotonic() - began < 5


def test_the_clients_own_stop_flag_counts_too(source, target, make_client):
    digest = source.add_image("team/app", "1")
    stop = threading.Event()
    stop.set()

    with pytest.raises(Stopped):
        copy_artifact(
            CopySource(make_client(source, stop=stop), "team/app", digest),
            [CopyTarget(make_client(target), "mirror/app", ("1",))],
        )
    assert source.requests == target.requests == []


def test_the_first_failure_ends_the_other_blobs_and_is_the_one_told(source, target, copy):
    digest = source.add_image("team/app", "1", layer_sizes=[100_000_000, 90_000_000, 1000])
    target.discard_uploads = True
    config = manifest_of(source, digest)["config"]["digest"]
    source.faults.add(Fault(method="GET", path_pattern=config, status=403, times=None))

    with pytest.raises(DeniedError):
        copy(digest, "1")

    assert sum(request.body_bytes for request in target.requests) < 150_000_000
    assert target.tags("mirror/app") == {}
    assert target.open_uploads == 0


def test_a_target_that_does_not_know_a_new_blob_yet_is_asked_again(source, target, copy, monkeypatch):
    monkeypatch.setattr("registry.copying.lane._REPAIR_PAUSE_SECONDS", 0.001)
    digest = source.add_image("team/app", "1")
    target.faults.add(known_faults.blob_unknown())
    events = []

    copy(digest, "1", events=events)

    assert target.tags("mirror/app") == {"1": digest}
    assert any(isinstance(event, Note) and event.level == "warning" for event in events)


@pytest.mark.parametrize("code", ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID"])
def test_a_blob_that_the_target_lost_is_put_again_once(source, target, copy, monkeypatch, code):
    monkeypatch.setattr("registry.copying.lane._REPAIR_PAUSE_SECONDS", 0.001)
    digest = source.add_image("team/app", "1", layers=[b"to be lost"])
    body = b'{"errors":[{"code":"%s"}]}' % code.encode()

    def lose(response, request):
        target.remove_blob("mirror/app", digest_of(b"to be lost"))
        return type(response)(400, {"Content-Type": "application/json"}, type(response.content)((body,)))

    target.faults.add(Fault(method="PUT", path_pattern="/manifests/", action="alter", rewrite=lose))

    copy(digest, "1")

    assert digest_of(b"to be lost") in target.blobs("mirror/app")
    assert target.tags("mirror/app") == {"1": digest}


def refuse_manifests(target, digest, code, *, losing_blobs):
    """Have the target refuse the manifest; the first few times it loses the layer as well."""
    left = [b"to be lost"] * losing_blobs

    def refuse(response, request):
        target.store.delete_manifest("mirror/app", digest)
        if left:
            target.remove_blob("mirror/app", digest_of(left.pop()))
        return error_response(400, code)

    target.faults.add(Fault(method="PUT", path_pattern="/manifests/", action="alter", rewrite=refuse, times=None))


@pytest.mark.parametrize("code", ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID"])
def test_a_repaired_manifest_that_is_refused_again_is_worth_another_attempt(source, target, copy, monkeypatch, code):
    monkeypatch.setattr("registry.copying.lane._REPAIR_PAUSE_SECONDS", 0.001)
    digest = source.add_image("team/app", "1", layers=[b"to be lost"])
    refuse_manifests(target, digest, code, losing_blobs=2)

    with pytest.raises(BlobUnknownError) as refused:
        copy(digest, "1")
    assert refused.value.is_temporary
    assert refused.value.registry_code == code

    target.faults.clear()
    assert copy(digest, "1").blobs_copied == 1
    assert target.tags("mirror/app") == {"1": digest}


def test_a_manifest_that_is_refused_as_invalid_though_nothing_is_missing_is_final(source, target, copy):
    digest = source.add_image("team/app", "1", layers=[b"to be lost"])
    refuse_manifests(target, digest, "MANIFEST_INVALID", losing_blobs=1)
    with pytest.raises(BlobUnknownError):
        copy(digest, "1")

    with pytest.raises(UnsupportedError):
        copy(digest, "1")


def test_a_type_that_the_target_refuses_is_told_and_not_retried(source, target, copy):
    digest = source.add_image("team/app", "1")
    target.faults.add(
        Fault(
            method="PUT",
            path_pattern="/manifests/",
            status=400,
            body=b'{"errors":[{"code":"MANIFEST_INVALID"}]}',
            times=None,
        )
    )

    with pytest.raises(UnsupportedError, match="may not store"):
        copy(digest, "1")
    assert len(target.requests_for("PUT", "/manifests/")) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_target_that_refuses_to_say_what_it_has_is_written_to(source, target, copy, status):
    digest = source.add_image("team/app", "1")
    headers = {"WWW-Authenticate": 'Basic realm="x"'} if status == 401 else {}
    target.faults.add(
        Fault(method="HEAD|GET", path_pattern="/(manifests|blobs)/", status=status, headers=headers, times=None)
    )

    copy(digest, "1")

    assert target.tags("mirror/app") == {"1": digest}


def test_an_immutable_tag_is_told(source, target, copy):
    digest = source.add_image("team/app", "1")
    target.faults.add(known_faults.immutable_tag())

    with pytest.raises(ImmutableError):
        copy(digest, "1")


def test_a_target_that_goes_away_is_a_network_error(source, target, copy):
    digest = source.add_image("team/app", "1")
    target.stop()

    with pytest.raises(NetworkError):
        copy(digest, "1")


def test_events_come_one_at_a_time(source, target, copy):
    digest = source.add_image("team/app", "1", layer_sizes=[600_000] * 8)
    inside = threading.Lock()
    overlaps = []

    def watch(event):
        if not inside.acquire(blocking=False):
            overlaps.append(event)
            return
        time.sleep(0.001)
        inside.release()

    copy(digest, "1", events=_Calling(watch), options=CopyOptions(parallel_blobs=8))

    assert overlaps == []


def test_a_large_blob_comes_through_a_slow_rate(source, target, copy):
    digest = source.add_image("team/app", "1", layer_sizes=[600_000])
    began = time.monotonic()

    copy(digest, "1", options=CopyOptions(pace=Throttle(1_000_000)))

    assert time.monotonic() - began > 0.5
    assert target.tags("mirror/app") == {"1": digest}


def test_the_throttle_keeps_the_rate_and_looks_at_the_stop_flag():
    now, checks = [0.0], []
    throttle = Throttle(
        1000,
        clock=lambda: now[0],
        sleep=lambda seconds: now.__setitem__(0, now[0] + seconds),
    )

    steps = [step for _ in range(5) for step in in_steps(b"x" * 2048, throttle, lambda: checks.append(now[0]))]

    assert [len(step) for step in steps] == [1024] * 10
    assert now[0] == pytest.approx(10.24)
    assert len(checks) >= 50


def test_no_limit_waits_for_nothing():
    assert list(in_steps(b"x" * 1000, None, lambda: pytest.fail("waited"))) == [b"x" * 1000]


def test_a_pace_that_changes_is_followed_within_a_piece():
    class Slowing:
        """Takes smaller steps once bytes have passed."""

        block_bytes: int | None = None

        def await_bytes(self, size_bytes, check_stop):
            self.block_bytes = 100

    slowing = Slowing()
    slowing.block_bytes = 500
    assert [len(step) for step in in_steps(b"x" * 750, slowing, lambda: None)] == [500, 100, 100, 50]


@pytest.mark.slow
def test_a_large_image_moves_in_little_memory(source, target, copy):
    target.discard_uploads = True
    size = 300_000_000
    digest = source.add_manifest("team/app", "1", build_image([GeneratedContent(size, "large")]))

    result = copy(digest, "1")

    assert result.bytes_copied > size
