"""What planning asks the two registries, and what the copy need not ask again; what was read lies in a real Valkey."""

import json
from collections import Counter

import pytest
import redis

from registry.testkit import known_faults
from registry.testkit.content import digest_of
from registry.testkit.images import OCI_MANIFEST
from registry.testkit.store import StoredManifest
from replication.filters import FilterSpec
from replication.models import Status, Trigger
from replication.plan import Scope, TargetSpec
from replication.runner import Drain
from replication.services import start_execution
from tests.factories import make_endpoint
from tests.replication.test_drain import retag

pytestmark = pytest.mark.django_db

REPOSITORY = "test/app"
ONLY_APP = FilterSpec("name", REPOSITORY)


@pytest.fixture(autouse=True)
def _empty_valkey(settings, valkey_server):
    settings.REDIS_URL = valkey_server.url
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()


def asked(registry) -> dict[str, int]:
    """Count requests by what they are for: "GET manifests", "HEAD manifests", "GET tags" …"""
    kinds = ("manifests", "tags", "uploads", "blobs", "_catalog")
    counted = Counter(
        f"{request.method} {kind}"
        for request in registry.requests
        for kind in [next((kind for kind in kinds if f"/{kind}" in request.path), "other")]
    )
    return dict(counted)


def make_rule(pair, *filters: FilterSpec, **overrides):
    """Make a rule for the one repository that leaves referrers alone: they are another question to both sides."""
    return pair.make_rule(**{"filters": [ONLY_APP, *filters], "referrers": False, **overrides})


def forget_requests(pair) -> None:
    pair.source.requests.clear()
    pair.target.requests.clear()


def test_an_image_for_a_new_repository_costs_two_requests_and_three_for_each_blob(pair, run):
    digest = pair.source.add_image(REPOSITORY, "v1", layer_sizes=[1000] * 4)

    execution = run(make_rule(pair, FilterSpec("tag", "v1")))

    blobs = 4 + 1
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags(REPOSITORY) == {"v1": digest}
    # Neither the source's tags nor a manifest twice, and nothing at the target but whether the repository is there.
    assert asked(pair.source) == {"GET manifests": 1, "GET blobs": blobs}
    assert asked(pair.target) == {"GET tags": 1, "POST uploads": blobs, "PUT uploads": blobs, "PUT manifests": 1}


def test_tags_that_the_target_lacks_are_read_once_and_others_are_asked_for(pair, run):
    rule = make_rule(pair)
    pair.source.add_image(REPOSITORY, "v1")
    run(rule)
    for number in range(2, 6):
        pair.source.add_image(REPOSITORY, f"v{number}")
    forget_requests(pair)

    execution = run(rule)

    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags(REPOSITORY) == pair.source.tags(REPOSITORY)
    assert asked(pair.source) == {"GET tags": 1, "HEAD manifests": 1, "GET manifests": 4, "GET blobs": 8}
    assert [request.path.rpartition("/")[2] for request in pair.source.requests_for("HEAD")] == ["v1"]
    assert all("sha256:" not in request.path for request in pair.source.requests_for("GET", "/manifests/"))


def test_a_tag_that_an_event_named_is_read_once(pair):
    rule = make_rule(pair, trigger=Trigger.EVENT_BASED)
    digest = pair.source.add_image(REPOSITORY, "v1")

    execution = start_execution(rule, trigger=Trigger.EVENT_BASED, scope=[Scope(REPOSITORY, ("v1",))])
    Drain(execution.pk).run()

    assert pair.target.tags(REPOSITORY) == {"v1": digest}
    assert asked(pair.source) == {"GET manifests": 1, "GET blobs": 2}


def test_a_second_tag_on_what_was_read_costs_no_reading(pair, run):
    rule = make_rule(pair)
    digest = pair.source.add_image(REPOSITORY, "v1")
    run(rule)
    retag(pair.source, REPOSITORY, digest, "latest")
    forget_requests(pair)

    run(rule)

    assert pair.target.tags(REPOSITORY) == {"v1": digest, "latest": digest}
    assert "GET blobs" not in asked(pair.source)
    assert asked(pair.target) == {"GET tags": 1, "PUT manifests": 1}


def test_where_reading_counts_as_a_pull_tags_are_asked_for_by_head(pair, run, source, target):
    hub = make_endpoint(name="hub", kind="docker-hub", url=source.url)
    for number in range(3):
        source.add_image(REPOSITORY, f"v{number}")
    rule = make_rule(pair, source=hub)

    execution = run(rule)

    assert execution.status == Status.SUCCEEDED
    assert target.tags(REPOSITORY) == source.tags(REPOSITORY)
    assert asked(source) == {"GET tags": 1, "HEAD manifests": 3, "GET manifests": 3, "GET blobs": 6}


def test_where_reading_counts_as_a_pull_what_was_read_lately_is_read_for_no_other_target(pair, run, source, target):
    hub = make_endpoint(name="hub", kind="docker-hub", url=source.url)
    digest = source.add_image(REPOSITORY, "v1")
    run(make_rule(pair, source=hub))
    forget_requests(pair)

    # Another repository of the same registry: it is known where its blobs can be mounted from.
    elsewhere = TargetSpec(endpoint_id=pair.target_endpoint.pk, namespace="mirror", flatten_level=1)
    run(make_rule(pair, source=hub, targets=[elsewhere]))

    assert target.tags("mirror/app") == {"v1": digest}
    assert asked(source) == {"GET tags": 1, "HEAD manifests": 1}


def test_a_tag_that_was_named_is_asked_for_without_a_listing(pair, run):
    pair.source.faults.add(known_faults.server_errors(None, pattern="/tags/list"))
    digest = pair.source.add_image(REPOSITORY, "v1")
    pair.source.add_image(REPOSITORY, "v2")

    execution = run(make_rule(pair, FilterSpec("tag", "{v1,missing}")))

    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags(REPOSITORY) == {"v1": digest}
    assert "GET tags" not in asked(pair.source)


def test_with_referrers_the_tags_are_listed_all_the_same(pair, run):
    digest = pair.source.add_image(REPOSITORY, "v1")

    run(make_rule(pair, FilterSpec("tag", "v1"), referrers=True))

    assert pair.target.tags(REPOSITORY) == {"v1": digest}
    assert asked(pair.source)["GET tags"] == 1


@pytest.mark.parametrize(
    "content",
    [b"no manifest at all", b"[]", json.dumps({"schemaVersion": 2, "config": 1, "layers": "none"}).encode()],
    ids=["no JSON", "no object", "odd shape"],
)
def test_a_manifest_that_cannot_be_read_fails_for_itself_only(pair, run, content):
    good = {tag: pair.source.add_image(REPOSITORY, tag) for tag in ("v1", "v3")}
    with pair.source.store.changing(REPOSITORY) as kept:
        kept.manifests[digest_of(content)] = StoredManifest(OCI_MANIFEST, content)
        kept.tags["v2"] = digest_of(content)

    execution = run(make_rule(pair))

    assert execution.status == Status.FAILED
    assert pair.target.tags(REPOSITORY) == good
    by_status = {
        status: sorted(tag for row in execution.transfers.filter(status=status) for tag in row.tags)
        for status in (Status.SUCCEEDED, Status.FAILED)
    }
    assert by_status == {Status.SUCCEEDED: ["v1", "v3"], Status.FAILED: ["v2"]}
    assert execution.transfers.get(status=Status.FAILED).reason
