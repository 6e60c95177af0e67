"""Copies by several workers that share what they know of the target, on a real Valkey and in-memory registries."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry import Connection, CopySource, CopyTarget, RegistryClient, RegistrySettings, copy_artifact
from registry.copying import BlobMounted, BlobPresent, Note, Standing
from registry.testkit import Fault, GeneratedContent, build_image, build_index, known_faults
from registry.testkit.content import digest_of
from targets.flights import flights
from targets.limits.broker import Broker
from targets.memory import SharedMemory

NAME = "harborsync:content:1:test"
LARGE = GeneratedContent(3 << 20, "common base")
LARGE_DIGEST = digest_of(LARGE)
SMALL = b"a small common layer"
SMALL_DIGEST = digest_of(SMALL)


class Worker:
    """One worker: connections and a memory of its own, the Valkey of all."""

    def __init__(self, source, target, broker) -> None:
        self._connections = [Connection(RegistrySettings(url=registry.url)) for registry in (source, target)]
        self.memory = SharedMemory(NAME, broker)

    def copy(self, digest, tag="1", *, to="mirror/app", events=None):
        """Copy team/app@digest; raise what went wrong."""
        told = [] if events is None else events
        source, target = (RegistryClient(connection) for connection in self._connections)
        (outcome,) = copy_artifact(
            CopySource(source, "team/app", digest),
            [CopyTarget(target, to, (tag,), memory=self.memory)],
            on_event=lambda _, event: told.append(event),
        )
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def die(self, digests):
        """Renew its claims no more, as a process that is gone."""
        flights.leave([f"{NAME}:flight:{digest}" for digest in digests])

    def close(self):
        for connection in self._connections:
            connection.close()


@pytest.fixture
def make_worker(source, target, broker, valkey_server, monkeypatch):
    """Make a worker: `make_worker()`."""
    monkeypatch.setattr("registry.copying.lane._REPAIR_PAUSE_SECONDS", 0.0)
    workers = []

    def make():
        workers.append(Worker(source, target, Broker(valkey_server.url)))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


@pytest.fixture
def worker(make_worker):
    return make_worker()


def methods(registry):
    return dict(Counter(request.method for request in registry.requests))


def commits(registry, digest):
    """Give the requests that completed an upload of a blob."""
    return [request for request in registry.requests_for("PUT", "/blobs/") if digest.split(":")[1] in request.query]


def mounts(registry, digest):
    return [request for request in registry.requests_for("POST") if digest.split(":")[1] in request.query]


def assert_complete(registry, repository, tag, digest):
    """Check that the tag is there, and all that its image consists of."""
    assert registry.tags(repository)[tag] == digest
    document = registry.manifests(repository)[digest].document
    for blob in [document["config"], *document["layers"]]:
        assert blob["digest"] in registry.blobs(repository)


def test_what_goes_to_a_new_repository_is_asked_for_nowhere(source, target, worker):
    digest = source.add_image("team/app", "1", layer_sizes=[1000] * 5)
    worker.memory.begin("mirror/app")

    worker.copy(digest)

    blobs = 5 + 1
    assert methods(source) == {"GET": 1 + blobs}
    assert methods(target) == {"POST": blobs, "PUT": blobs + 1}  # with the source: 2 + 3B in all
    assert_complete(target, "mirror/app", "1", digest)


def test_what_is_known_to_be_there_costs_nothing(source, target, make_worker):
    first = source.add_image("team/app", "1", layers=[SMALL, LARGE])
    second = source.add_image("team/app", "2", layers=[SMALL, LARGE, b"and one more"])
    make_worker().copy(first)
    source.requests.clear()
    target.requests.clear()
    events = []

    result = make_worker().copy(second, "2", events=events)

    assert methods(source) == {"GET": 1 + 2}  # the manifest, its config and the new layer
    assert not target.requests_for("HEAD", LARGE_DIGEST)
    assert not target.requests_for("HEAD", SMALL_DIGEST)
    assert result.bytes_present == LARGE.size_bytes + len(SMALL)
    assert BlobPresent(LARGE_DIGEST, LARGE.size_bytes) in events
    assert_complete(target, "mirror/app", "2", second)


def test_a_manifest_known_to_be_there_only_gets_its_tag(source, target, make_worker):
    digest = source.add_image("team/app", "1")
    make_worker().copy(digest)
    target.requests.clear()

    make_worker().copy(digest, "2")

    assert methods(target) == {"PUT": 1}
    assert target.tags("mirror/app") == {"1": digest, "2": digest}


@pytest.mark.parametrize("common", [LARGE, SMALL], ids=["large", "small"])
@pytest.mark.parametrize("places", [("mirror/app", "mirror/app"), ("mirror/app", "mirror/other")], ids=["same", "two"])
def test_a_blob_that_two_want_at_the_same_time_is_sent_once(source, target, make_worker, common, places):
    common_digest = digest_of(common)
    digests = [source.add_image("team/app", str(n), layers=[common, f"only in {n}".encode()]) for n in range(2)]
    # Whoever reads it first is slow enough for the other one to want it meanwhile.
    source.faults.add(known_faults.stalled(0.5, pattern=common_digest))
    workers, together = [make_worker() for _ in digests], threading.Barrier(2)

    def copy(number):
        together.wait(10)
        return workers[number].copy(digests[number], str(number), to=places[number])

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(copy, range(2)))

    assert len(source.requests_for("GET", common_digest)) == 1
    assert len(commits(target, common_digest)) == 1
    size_bytes = LARGE.size_bytes if common is LARGE else len(SMALL)
    spared = [result.bytes_present + result.bytes_mounted for result in results]
    assert max(spared) >= size_bytes
    for number, place in enumerate(places):
        assert_complete(target, place, str(number), digests[number])


def test_a_blob_of_another_repository_is_mounted_by_one_request(source, target, make_worker):
    first = source.add_image("team/app", "1", layers=[LARGE])
    second = source.add_image("team/app", "2", layers=[LARGE, b"and one more"])
    make_worker().copy(first, to="mirror/first")
    source.requests.clear()
    target.requests.clear()
    events = []

    make_worker().copy(second, "2", to="mirror/second", events=events)

    assert BlobMounted(LARGE_DIGEST, LARGE.size_bytes) in events
    assert not source.requests_for("GET", LARGE_DIGEST)
    about_it = [r for r in target.requests if LARGE_DIGEST.split(":")[1] in r.target]
    assert [(request.method, request.status) for request in about_it] == [("POST", 201)]
    assert_complete(target, "mirror/second", "2", second)


def test_a_hint_that_is_wrong_costs_an_upload_and_no_more(source, target, make_worker):
    first = source.add_image("team/app", "1", layers=[LARGE])
    second = source.add_image("team/app", "2", layers=[LARGE, b"and one more"])
    make_worker().copy(first, to="mirror/first")
    target.remove_blob("mirror/first", LARGE_DIGEST)

    result = make_worker().copy(second, "2", to="mirror/second")

    assert result.bytes_mounted == 0
    assert [(request.status) for request in mounts(target, LARGE_DIGEST)] == [202]
    assert target.open_uploads == 0
    assert_complete(target, "mirror/second", "2", second)


def test_a_blob_that_went_behind_our_back_is_put_again(source, target, make_worker):
    first = source.add_image("team/app", "1", layers=[SMALL, LARGE])
    second = source.add_image("team/app", "2", layers=[SMALL, LARGE, b"and one more"])
    make_worker().copy(first)
    target.remove_blob("mirror/app", SMALL_DIGEST)
    events = []

    make_worker().copy(second, "2", events=events)

    assert_complete(target, "mirror/app", "2", second)
    assert any(isinstance(event, Note) and "missing blobs" in event.message for event in events)
    assert len(commits(target, SMALL_DIGEST)) == 2
    assert len(commits(target, LARGE_DIGEST)) == 1


@pytest.mark.parametrize("layers", [[SMALL], [SMALL, SMALL], [LARGE]], ids=["small", "twice in it", "large"])
def test_a_blob_that_was_lost_as_soon_as_it_was_put_is_put_again(source, target, worker, layers):
    digest, layer = source.add_image("team/app", "1", layers=layers), digest_of(layers[0])

    def lose(response, request):
        target.remove_blob("mirror/app", layer)
        return response

    target.faults.add(Fault(method="PUT", path_pattern=f"digest=sha256%3A{layer[7:]}", action="alter", rewrite=lose))
    began = time.monotonic()

    worker.copy(digest)

    assert_complete(target, "mirror/app", "1", digest)
    assert len(commits(target, layer)) == 2
    assert time.monotonic() - began < 10  # nobody waited for a claim, least of all for one of its own


def test_manifests_that_went_behind_our_back_are_put_again_with_their_blobs(source, target, make_worker):
    children = [build_image([SMALL], platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    for child in children:
        source.add_manifest("team/app", None, child)
    index = source.add_manifest("team/app", "1", build_index(children))
    for child in children:
        make_worker().copy(child.digest, child.platform.replace("/", "-"))
    with target.store.changing("mirror/app") as kept:
        kept.manifests.clear()
        kept.blobs.clear()

    make_worker().copy(index)

    assert target.tags("mirror/app")["1"] == index
    for child in children:
        assert child.digest in target.manifests("mirror/app")
        assert child.blobs.keys() <= target.blobs("mirror/app").keys()


def test_who_lives_is_waited_for_and_what_is_ours_goes_first(source, target, make_worker):
    digest = source.add_image("team/app", "1", layers=[LARGE, SMALL])
    holder = make_worker()
    holder.memory.claim("mirror/app", [LARGE_DIGEST])
    with ThreadPoolExecutor(1) as pool:
        copying = pool.submit(make_worker().copy, digest)
        await_that(lambda: SMALL_DIGEST in target.blobs("mirror/app"))
        assert not copying.done()
        assert not source.requests_for("GET", LARGE_DIGEST)
        target.add_blob("mirror/app", LARGE)
        holder.memory.landed("mirror/app", [LARGE_DIGEST])

        assert copying.result(10).bytes_present == LARGE.size_bytes
    assert_complete(target, "mirror/app", "1", digest)


def test_who_dies_is_waited_for_as_long_as_the_claim_holds(source, target, make_worker, settings):
    settings.LEASE_SECONDS = 1
    digest = source.add_image("team/app", "1", layers=[LARGE, SMALL])
    holder = make_worker()
    found = holder.memory.claim("mirror/app", [LARGE_DIGEST])
    assert found[LARGE_DIGEST].standing is Standing.UNKNOWN
    holder.die([LARGE_DIGEST])
    began = time.monotonic()

    make_worker().copy(digest)

    assert 0.5 < time.monotonic() - began < 10
    assert_complete(target, "mirror/app", "1", digest)


def await_that(condition, *, seconds=10.0):
    """Wait until something is so; fail when it takes too long."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.01)
