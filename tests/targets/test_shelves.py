"""What lies in Redis for whoever comes next: addresses of upload sessions, encrypted, and manifests, verified."""

import json

import pytest
import redis
from cryptography.fernet import Fernet

from registry import Manifest
from registry.client import NO_SHELF
from registry.copying import NO_MANIFESTS
from registry.digests import digest_of
from registry.testkit import build_image, build_index
from targets.clients import sessions_of
from targets.limits.broker import Broker
from targets.shelves import (
    LARGEST_MANIFEST_BYTES,
    MANIFEST_SECONDS,
    RECENT_BYTES,
    SESSION_SECONDS,
    ManifestShelf,
    SessionShelf,
)
from tests.factories import make_endpoint

NAME = "harborsync:content:1:test"
BLOB, OTHER = digest_of(b"blob"), digest_of(b"other")
ADDRESS = "https://storage.example.com/v2/app/blobs/uploads/1?X-Amz-Signature=0123456789abcdef"
SESSION_KEY = f"{NAME}:session:app@{BLOB}"


@pytest.fixture
def client(broker, valkey_server):
    """Look into Valkey itself, past the shelf."""
    with redis.Redis.from_url(valkey_server.url) as client:
        yield client


@pytest.fixture
def sessions(broker):
    return SessionShelf(NAME, broker)


@pytest.fixture
def manifests(broker):
    return ManifestShelf(broker)


@pytest.fixture
def elsewhere(broker):
    """The same shelf, seen by another worker."""
    return ManifestShelf(broker)


def make_manifest(**options) -> Manifest:
    built = build_image([b"a layer"], **options)
    return Manifest.parse(built.content, content_type=built.media_type)


def never() -> bool:
    """Nobody goes on with what is stopped."""
    return False


def key_of(manifest) -> str:
    return f"harborsync:manifest:{manifest.digest}"


def test_a_session_is_found_by_repository_and_blob(sessions):
    sessions.keep("app", BLOB, ADDRESS)

    assert sessions.find("app", BLOB) == ADDRESS
    assert sessions.find("app", OTHER) == ""
    assert sessions.find("other", BLOB) == ""


def test_the_newest_address_counts_until_it_is_dropped(sessions):
    sessions.keep("app", BLOB, ADDRESS)
    sessions.keep("app", BLOB, f"{ADDRESS}&offset=2")
    assert sessions.find("app", BLOB) == f"{ADDRESS}&offset=2"

    sessions.drop("app", BLOB)

    assert sessions.find("app", BLOB) == ""
    sessions.drop("app", BLOB)


def test_nobody_reads_an_address_in_redis(sessions, client):
    sessions.keep("app", BLOB, ADDRESS)

    everything = b" ".join(key + b" " + client.get(key) for key in client.scan_iter())

    assert SESSION_KEY.encode() in everything
    for part in (b"storage.example.com", b"uploads", b"X-Amz-Signature", b"0123456789abcdef"):
        assert part not in everything


def test_a_session_is_forgotten_after_its_time(sessions, client):
    sessions.keep("app", BLOB, ADDRESS)

    assert 0 < client.ttl(SESSION_KEY) <= SESSION_SECONDS


def test_what_was_kept_with_a_key_that_is_gone_is_none(sessions, settings):
    sessions.keep("app", BLOB, ADDRESS)
    before = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert sessions.find("app", BLOB) == ""

    settings.ENCRYPTION_KEYS = [*settings.ENCRYPTION_KEYS, *before]
    assert sessions.find("app", BLOB) == ADDRESS


@pytest.mark.parametrize("garbage", [b"", b"no token", b"\xff\xfe\x00", "höher".encode()])
def test_what_is_no_session_is_none(sessions, client, garbage):
    client.set(SESSION_KEY, garbage)

    assert sessions.find("app", BLOB) == ""


@pytest.mark.django_db
def test_registries_keep_their_sessions_apart(valkey_server, broker, settings):
    settings.REDIS_URL = valkey_server.url
    endpoint, other = make_endpoint(), make_endpoint()

    sessions_of(endpoint, outlives_stop=never).keep("app", BLOB, ADDRESS)

    assert sessions_of(endpoint, outlives_stop=never).find("app", BLOB) == ADDRESS
    assert sessions_of(other, outlives_stop=never).find("app", BLOB) == ""


@pytest.mark.parametrize("docker", [False, True])
def test_a_manifest_comes_back_byte_for_byte(manifests, elsewhere, client, docker):
    manifest = make_manifest(docker=docker)
    manifests.keep(manifest)

    found = elsewhere.find(manifest.digest)

    assert found == manifest
    assert (found.content, found.media_type, found.digest) == (manifest.content, manifest.media_type, manifest.digest)
    assert 0 < client.ttl(key_of(manifest)) <= MANIFEST_SECONDS


def test_an_index_comes_back_with_its_children(manifests, elsewhere):
    children = [build_image([b"a"], platform=platform) for platform in ("linux/amd64", "linux/arm64")]
    built = build_index(children)
    index = Manifest.parse(built.content, content_type=built.media_type)
    manifests.keep(index)

    assert [child.digest for child in elsewhere.find(index.digest).children] == [child.digest for child in children]


def test_a_manifest_that_nobody_kept_is_none(manifests):
    assert manifests.find(make_manifest().digest) is None


def test_another_manifest_than_was_asked_for_is_refused(manifests, elsewhere, client):
    wanted, other = make_manifest(), make_manifest(platform="linux/arm64")
    manifests.keep(wanted)
    manifests.keep(other)
    client.set(key_of(wanted), client.get(key_of(other)))

    assert elsewhere.find(wanted.digest) is None
    assert elsewhere.find(other.digest) == other


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: b"",
        lambda kept: kept.partition(b" ")[0],
        lambda kept: kept[:-9],
        lambda kept: kept[:-20] + b"!!!!" + kept[-16:],
        lambda kept: kept.partition(b" ")[0] + b" bm90IHppcHBlZA==",
        lambda kept: kept.partition(b" ")[0] + " höher".encode(),
        lambda kept: kept + b"\xff\xfe",
    ],
    ids=["empty", "no content", "cut", "no base64", "not packed", "not ASCII", "no text"],
)
def test_damaged_content_is_refused_and_kept_anew(manifests, elsewhere, client, damage):
    manifest = make_manifest()
    manifests.keep(manifest)
    client.set(key_of(manifest), damage(client.get(key_of(manifest))))

    assert elsewhere.find(manifest.digest) is None
    manifests.keep(manifest)
    assert elsewhere.find(manifest.digest) == manifest


def test_what_was_in_use_lately_is_found_without_asking(manifests, client):
    kept = make_manifest()
    manifests.keep(kept)
    client.flushall()

    assert manifests.find(kept.digest) is kept


def test_only_so_much_is_held_on_to(manifests, client):
    as_many = RECENT_BYTES // LARGEST_MANIFEST_BYTES
    kept = [make_manifest_of(LARGEST_MANIFEST_BYTES, filling=str(number)) for number in range(as_many + 1)]
    for manifest in kept:
        manifests.keep(manifest)
    client.flushall()

    assert manifests.find(kept[0].digest) is None
    assert manifests.find(kept[1].digest) is kept[1]


def test_large_manifests_are_left_out(manifests, client):
    small, large = (make_manifest_of(size) for size in (LARGEST_MANIFEST_BYTES, LARGEST_MANIFEST_BYTES + 1))
    manifests.keep(small)
    manifests.keep(large)

    assert manifests.find(small.digest) == small
    assert manifests.find(large.digest) is None
    assert len(client.keys()) == 1


def make_manifest_of(size_bytes: int, *, filling: str = "x") -> Manifest:
    """Make a manifest of exactly this size."""
    manifest = make_manifest(annotations={"filling": filling})
    document = json.loads(manifest.content)
    document["annotations"]["filling"] += "x" * (size_bytes - len(json.dumps(document)))
    content = json.dumps(document).encode()
    assert len(content) == size_bytes
    return Manifest.parse(content, content_type=manifest.media_type)


def test_without_redis_nothing_is_kept_and_nothing_fails():
    away = Broker("redis://127.0.0.1:1/0")
    sessions, manifests, manifest = SessionShelf(NAME, away), ManifestShelf(away), make_manifest()

    sessions.keep("app", BLOB, ADDRESS)
    sessions.drop("app", BLOB)
    manifests.keep(manifest)

    assert sessions.find("app", BLOB) == ""
    assert ManifestShelf(away).find(manifest.digest) is None


def test_who_was_given_no_shelf_keeps_nothing():
    NO_SHELF.keep("app", BLOB, ADDRESS)
    manifest = make_manifest()
    NO_MANIFESTS.keep(manifest)

    assert NO_SHELF.find("app", BLOB) == ""
    assert NO_MANIFESTS.find(manifest.digest) is None
