"""What workers tell each other of a registry, on a real Valkey. Each memory stands for a worker of its own."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from registry.copying import Found, Standing
from registry.digests import digest_of
from targets.clients import memory_of
from targets.limits.broker import Broker
from targets.memory import HINT_SECONDS, KEEP_SECONDS, SharedMemory
from tests.factories import make_endpoint

NAME = "harborsync:content:1:test"
A, B, C = (digest_of(letter) for letter in (b"a", b"b", b"c"))


@pytest.fixture
def client(broker, valkey_server):
    """Look into Valkey itself, past the memory."""
    with redis.Redis.from_url(valkey_server.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def make_memory(broker, valkey_server):
    """Make a memory as another worker has it; what it still holds is given up in the end."""
    memories = []

    def make():
        memories.append(SharedMemory(NAME, Broker(valkey_server.url)))
        return memories[-1]

    yield make
    for memory in memories:
        memory.release([A, B, C])


@pytest.fixture
def memory(make_memory):
    return make_memory()


def standing(memory, repository, digest):
    return memory.claim(repository, [digest])[digest].standing


def test_of_a_repository_that_nobody_spoke_of_nothing_is_known(memory):
    assert memory.claim("app", [A, B]) == {A: Found(Standing.UNKNOWN), B: Found(Standing.UNKNOWN)}
    assert memory.has_manifest("app", C) is None


def test_a_repository_begun_as_new_has_nothing_but_what_landed(memory, make_memory):
    memory.begin("app")
    memory.landed("app", [A], [C])

    another = make_memory()
    assert standing(another, "app", A) is Standing.PRESENT
    assert standing(another, "app", B) is Standing.ABSENT
    assert another.has_manifest("app", C) is True
    assert another.has_manifest("app", B) is False


def test_what_landed_in_a_repository_that_is_not_new_says_nothing_of_the_rest(memory, make_memory):
    memory.landed("app", [A], [C])

    another = make_memory()
    assert another.claim("app", [A, B]) == {A: Found(Standing.PRESENT), B: Found(Standing.UNKNOWN)}
    assert another.has_manifest("app", C) is True
    assert another.has_manifest("app", B) is None


def test_a_claim_holds_in_the_whole_registry_until_it_is_given_up(memory, make_memory):
    another = make_memory()
    memory.claim("app", [A])

    assert standing(another, "app", A) is Standing.ELSEWHERE
    assert standing(another, "other", A) is Standing.ELSEWHERE
    assert not another.claim("app", [A])[A].is_ours_to_put
    another.release([A])  # that it never had
    assert standing(another, "app", A) is Standing.ELSEWHERE
    memory.release([A])
    assert standing(another, "app", A) is Standing.UNKNOWN


def test_what_landed_ends_its_claim_and_no_other(memory, make_memory):
    another = make_memory()
    memory.claim("app", [A, B])
    memory.landed("app", [A])

    assert another.claim("app", [A, B]) == {A: Found(Standing.PRESENT), B: Found(Standing.ELSEWHERE)}


def test_who_tells_of_a_blob_that_another_claims_leaves_the_claim_alone(memory, make_memory, client):
    memory.claim("app", [A])
    make_memory().landed("other", [A])

    assert client.exists(f"{NAME}:flight:{A}")


def test_one_of_many_wins_a_claim(make_memory):
    memories = [make_memory() for _ in range(8)]
    together = threading.Barrier(len(memories))

    def claim(memory):
        together.wait(10)
        return memory.claim("app", [A, B, C])

    with ThreadPoolExecutor(len(memories)) as pool:
        found = list(pool.map(claim, memories))

    for digest in (A, B, C):
        assert sorted(each[digest].is_ours_to_put for each in found) == [False] * 7 + [True]


def test_a_blob_of_another_repository_may_be_mounted_from_there(memory, make_memory):
    memory.begin("new")
    memory.landed("app", [A])

    another = make_memory()
    assert another.claim("new", [A, B]) == {A: Found(Standing.ABSENT, "app"), B: Found(Standing.ABSENT)}
    another.release([A])
    assert another.claim("old", [A]) == {A: Found(Standing.UNKNOWN, "app")}


def test_the_newest_place_is_the_one_to_mount_from(memory, make_memory):
    memory.landed("app", [A])
    memory.landed("library/app", [A])

    assert make_memory().claim("new", [A])[A].mount_from == "library/app"


def test_a_hint_at_the_repository_itself_is_out_of_date(memory, make_memory):
    memory.landed("app", [A])
    memory.forget("app")

    assert make_memory().claim("app", [A]) == {A: Found(Standing.UNKNOWN)}


def test_what_is_forgotten_is_asked_for_again_and_no_other_repository_with_it(memory, make_memory):
    for repository in ("app", "other"):
        memory.begin(repository)
        memory.landed(repository, [A], [C])
    memory.has_manifest("app", B)

    memory.forget("app")

    for each in (memory, make_memory()):
        assert each.has_manifest("app", C) is None
        assert each.has_manifest("other", C) is True
        assert each.has_manifest("other", B) is False
    assert standing(memory, "app", B) is Standing.UNKNOWN
    assert standing(memory, "other", A) is Standing.PRESENT


def test_who_told_of_a_manifest_asks_nobody_for_it(memory, client):
    memory.landed("app", [A], [C])
    client.flushall()

    assert memory.has_manifest("app", C) is True


def test_everything_is_forgotten_after_its_time(memory, client, settings):
    settings.LEASE_SECONDS = 20
    memory.begin("new")
    memory.claim("app", [A, B])
    memory.landed("app", [A], [C])

    seconds_left = {key.removeprefix(f"{NAME}:"): client.ttl(key) for key in client.scan_iter()}

    limits = {"has:new": KEEP_SECONDS, "has:app": KEEP_SECONDS, f"where:{A}": HINT_SECONDS, f"flight:{B}": 20}
    assert seconds_left.keys() == limits.keys()
    assert all(0 < seconds_left[key] <= limit for key, limit in limits.items())


def test_what_lands_keeps_a_repository_in_mind(memory, client):
    memory.begin("app")
    client.expire(f"{NAME}:has:app", 5)
    memory.landed("app", [A])

    assert client.ttl(f"{NAME}:has:app") > 5


def test_nothing_to_claim_and_nothing_to_give_up_asks_nobody(memory, client):
    commands = client.info("commandstats")

    assert memory.claim("app", []) == {}
    memory.release([])

    assert client.info("commandstats").keys() == commands.keys() | {"cmdstat_info"}


def test_more_blobs_than_any_image_has_are_told_at_once(memory, make_memory):
    digests = [digest_of(str(number).encode()) for number in range(3000)]
    memory.claim("app", digests)
    memory.landed("app", digests, [C])

    found = make_memory().claim("app", digests)
    assert {each.standing for each in found.values()} == {Standing.PRESENT}


def test_without_redis_everything_is_unknown_and_nothing_fails():
    memory = SharedMemory(NAME, Broker("redis://127.0.0.1:1/0"))

    memory.begin("app")
    assert memory.claim("app", [A, B]) == {A: Found(Standing.UNKNOWN), B: Found(Standing.UNKNOWN)}
    memory.landed("app", [A], [C])
    memory.release([B])
    assert memory.has_manifest("app", C) is True  # it saw that itself
    assert memory.has_manifest("app", A) is None
    memory.forget("app")
    assert memory.has_manifest("app", C) is None


@pytest.mark.django_db
def test_registries_remember_apart_and_another_address_is_another_registry(valkey_server, broker, settings):
    settings.REDIS_URL = valkey_server.url
    endpoint, other = make_endpoint(url="https://a.example.com"), make_endpoint(url="https://b.example.com")
    memory_of(endpoint).landed("app", [], [C])

    assert memory_of(endpoint).has_manifest("app", C) is True
    assert memory_of(other).has_manifest("app", C) is None
    endpoint.url = "https://c.example.com"
    assert memory_of(endpoint).has_manifest("app", C) is None
