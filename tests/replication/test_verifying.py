"""Runs that believe nothing of what is remembered of the targets."""

import pytest

from registry.testkit import Fault
from replication.filters import FilterSpec
from replication.models import Status, SyncState
from replication.runner import Drain
from replication.services import retry_failed

pytestmark = pytest.mark.django_db

REPOSITORY = "test/app"


@pytest.mark.parametrize(
    "filters", [[], [FilterSpec("name", REPOSITORY), FilterSpec("tag", "v1")]], ids=["all", "named"]
)
def test_a_tag_that_somebody_replaced_is_put_right_by_a_verifying_run_only(pair, run, filters):
    digest = pair.source.add_image(REPOSITORY, "v1")
    rule = pair.make_rule(filters=filters)
    run(rule)
    theirs = pair.target.add_image(REPOSITORY, "v1", layer_sizes=[9])

    assert run(rule).transfers_total == 0
    assert pair.target.tags(REPOSITORY) == {"v1": theirs}

    execution = run(rule, verify=True)
    assert (execution.status, execution.transfers_succeeded) == (Status.SUCCEEDED, 1)
    assert pair.target.tags(REPOSITORY) == {"v1": digest}


def test_a_verifying_run_leaves_alone_what_the_rule_does_not_override(pair, run):
    pair.source.add_image(REPOSITORY, "v1")
    rule = pair.make_rule(override=False)
    run(rule)
    theirs = pair.target.add_image(REPOSITORY, "v1", layer_sizes=[9])

    execution = run(rule, verify=True)

    assert execution.transfers.get().reason_code == "not_overridden"
    assert pair.target.tags(REPOSITORY) == {"v1": theirs}


def test_verifying_costs_one_request_per_tag_at_the_target(pair, run):
    for number in range(5):
        pair.source.add_image(REPOSITORY, f"v{number}")
    rule = pair.make_rule(filters=[FilterSpec("name", REPOSITORY)])
    ordinary = run(rule), run(rule)
    pair.target.requests.clear()

    execution = run(rule, verify=True)

    asked = sorted((request.method, request.path) for request in pair.target.requests)
    heads = [("HEAD", f"/v2/{REPOSITORY}/manifests/v{number}") for number in range(5)]
    assert asked == [("GET", f"/v2/{REPOSITORY}/tags/list"), *heads]
    assert (execution.tags_unchanged, execution.requests) == (5, ordinary[1].requests + 5)


def test_what_was_verified_is_believed_again(pair, run, settings):
    pair.source.add_image(REPOSITORY, "v1")
    rule = pair.make_rule()
    run(rule)
    before = SyncState.objects.get()

    run(rule, verify=True)

    after = SyncState.objects.get()
    assert after.digest == before.digest
    assert after.verified_at > before.verified_at


@pytest.mark.parametrize("has_api", [True, False])
def test_a_signature_that_went_from_the_target_is_put_back(pair, run, has_api):
    pair.source.referrers = pair.target.referrers = has_api
    subject = pair.source.add_image(REPOSITORY, "v1")
    signature = pair.source.add_signature(REPOSITORY, subject)
    rule = pair.make_rule()
    run(rule)
    pair.target.store.delete_manifest(REPOSITORY, signature)

    run(rule)
    assert signature not in pair.target.manifests(REPOSITORY)

    run(rule, verify=True)
    assert signature in pair.target.manifests(REPOSITORY)


@pytest.mark.parametrize("verify", [True, False])
def test_the_memory_of_layers_is_not_believed_either(pair, run, valkey_server, settings, verify):
    settings.REDIS_URL = valkey_server.url
    digest = pair.source.add_image(REPOSITORY, "v1", layer_sizes=[1000])
    rule = pair.make_rule()
    run(rule)
    layer = pair.source.manifests(REPOSITORY)[digest].document["layers"][0]["digest"]
    pair.target.store.delete_manifest(REPOSITORY, digest)
    pair.target.remove_blob(REPOSITORY, layer)
    pair.target.requests.clear()

    execution = run(rule, verify=verify)

    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags(REPOSITORY) == {"v1": digest}
    refused = [request for request in pair.target.requests_for("PUT") if request.status >= 400]
    assert bool(refused) is not verify


def test_retrying_verifies_what_the_run_before_was_to_verify(pair, run, settings):
    settings.RETRY_GIVE_UP_SECONDS = 0
    digest = pair.source.add_image(REPOSITORY, "v1")
    rule = pair.make_rule()
    run(rule)
    pair.target.add_image(REPOSITORY, "v1", layer_sizes=[9])
    pair.source.faults.add(Fault(path_pattern=f"/{REPOSITORY}/", status=403, times=None))
    failed = run(rule, verify=True)
    assert failed.status == Status.FAILED
    pair.source.faults.clear()

    again = retry_failed(failed, by=None)
    Drain(again.pk).run()

    assert again.verify
    assert pair.target.tags(REPOSITORY) == {"v1": digest}


def test_the_log_says_that_the_targets_are_asked(pair, run):
    messages = run(pair.make_rule(), verify=True).log_lines.values_list("message", flat=True)

    assert "Listing the source's repositories. The targets are asked for every tag." in messages
