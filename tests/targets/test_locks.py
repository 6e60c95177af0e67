"""Locks that workers share, on a real Valkey: here each "worker" has locks of its own process."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from registry import Connection, Manifest, RegistryClient, RegistrySettings, Stopped
from registry.companions import fallback_tag
from registry.locks import ProcessLocks
from registry.testkit import Fault, MemoryRegistry, build_artifact
from targets.limits.broker import Broker
from targets.locks import LEASE_SECONDS, SharedLocks
from tests.targets.limiting import never, stop_now


@pytest.fixture
def make_locks(valkey_server, broker, monkeypatch):
    """Make locks as another process would have them: no lock between threads helps."""

    class NoLocks(ProcessLocks):
        def _enter(self, name):
            return threading.Lock()

        def _leave(self, name):
            return None

    monkeypatch.setattr("targets.locks.PROCESS_LOCKS", NoLocks())
    return lambda: SharedLocks(Broker(valkey_server.url))


def test_one_holds_it_and_the_other_waits(make_locks):
    order = []
    first, second = make_locks(), make_locks()

    def follow():
        with second.holding("a", check_stop=never):
            order.append("second")

    with first.holding("a", check_stop=never):
        thread = threading.Thread(target=follow)
        thread.start()
        with second.holding("b", check_stop=never):
            order.append("another name")
        order.append("first")
    thread.join(5)
    assert order == ["another name", "first", "second"]


def test_a_lock_is_given_back_after_a_failure_and_waiting_obeys_a_stop(make_locks, broker):
    locks = make_locks()
    with pytest.raises(ValueError, match="no"), locks.holding("a", check_stop=never):
        raise ValueError("no")
    with locks.holding("a", check_stop=never), pytest.raises(Stopped), make_locks().holding("a", check_stop=stop_now):
        pass


def test_a_dead_worker_holds_the_others_up_for_a_while_only(make_locks, valkey_server):
    client = redis.Redis.from_url(valkey_server.url)
    with make_locks().holding("a", check_stop=never):
        assert 0 < client.ttl("harborsync:lock:a") <= LEASE_SECONDS
        client.set("harborsync:lock:a", "somebody else's by now")
    assert client.get("harborsync:lock:a") == b"somebody else's by now"


def test_without_redis_the_work_goes_on():
    with SharedLocks(Broker("redis://127.0.0.1:1/0")).holding("a", check_stop=never):
        pass


def test_workers_that_push_referrers_of_one_subject_lose_none(make_locks):
    with MemoryRegistry() as registry:
        subject = registry.add_image("team/app", "1")
        # The registry knows no conditions, as distribution: the shared lock alone keeps the writers apart.
        registry.faults.add(
            Fault(
                method="PUT", path_pattern="sha256-", action="alter", times=None, without_request_headers=("if-match",)
            )
        )
        referrers = [_referrer(registry, subject, number) for number in range(12)]
        together = threading.Barrier(4)

        def push(position):
            connection = Connection(RegistrySettings(url=registry.url))
            connection.locks = make_locks()
            together.wait()
            for referrer in referrers[position::4]:
                RegistryClient(connection).put_referrer("team/app", referrer)
            connection.close()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(push, range(4)))

        assert sorted(registry.referrers_under_tag("team/app", subject)) == sorted(r.digest for r in referrers)
        assert len(registry.requests_for("PUT", fallback_tag(subject))) == 12


def _referrer(registry, subject, number):
    described = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": subject, "size": 1}
    built = build_artifact(f"signature {number}".encode(), artifact_type="application/vnd.test.sig", subject=described)
    for content in built.blobs.values():
        registry.add_blob("team/app", content)
    return Manifest.parse(built.content, content_type=built.media_type)
