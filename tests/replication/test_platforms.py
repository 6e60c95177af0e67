"""Rules that take some platforms only: what arrives, what a second run costs, and what goes back."""

import pytest
from django.db import IntegrityError, transaction

from registry.testkit.images import BuiltManifest
from replication.models import Status, SyncState, Trigger
from replication.plan import RuleSpec, Scope, TargetSpec
from targets.models import Endpoint
from targets.services import save_endpoint
from tests.factories import make_endpoint, make_rule

pytestmark = pytest.mark.django_db

AMD, ARM, S390 = "linux/amd64", "linux/arm64", "linux/s390x"
ALL = (AMD, ARM, S390)
LIMITED = {"rewritten": "linux/amd64,linux/arm64", "single": AMD}


def limited(pair, mode="rewritten", platforms="", **overrides):
    return pair.make_rule(platforms=platforms or LIMITED.get(mode, AMD), platform_mode=mode, **overrides)


def images_of(registry, digest, repository="test/app"):
    entries = registry.manifests(repository)[digest].document["manifests"]
    return {f"{entry['platform']['os']}/{entry['platform']['architecture']}": entry["digest"] for entry in entries}


def requests_of(registry):
    """Take and forget what was asked of a registry."""
    asked = [(request.method, request.path) for request in registry.requests]
    registry.requests.clear()
    return asked


def log_of(execution):
    return "\n".join(execution.log_lines.values_list("message", flat=True))


def test_a_rewritten_index_arrives_and_its_digest_is_remembered(pair, run):
    digest = pair.source.add_index("test/app", "v1", ALL)

    execution = run(limited(pair))

    assert execution.status == Status.SUCCEEDED
    stands = pair.target.tags("test/app")["v1"]
    images = images_of(pair.source, digest)
    assert images_of(pair.target, stands) == {AMD: images[AMD], ARM: images[ARM]}
    state = SyncState.objects.get()
    assert (state.digest, state.source_digest) == (stands, digest)
    assert state.selection == "rewritten linux/amd64,linux/arm64"
    assert f"linux/amd64, linux/arm64 of 3 platforms, new digest {stands}" in log_of(execution)


def test_a_single_image_arrives(pair, run):
    digest = pair.source.add_index("test/app", "v1", ALL)
    assert run(limited(pair, "single")).status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": images_of(pair.source, digest)[AMD]}


@pytest.mark.parametrize("mode", ["sparse", "rewritten", "single"])
def test_an_unchanged_tag_costs_one_request_at_the_source(pair, run, mode):
    pair.target.sparse_indexes = True
    pair.source.add_index("test/app", "v1", ALL)
    pair.source.add_image("test/app", "plain")
    rule = limited(pair, mode)
    assert run(rule).status == Status.SUCCEEDED
    requests_of(pair.source), requests_of(pair.target)

    execution = run(rule)

    assert (execution.tags_unchanged, execution.transfers_total) == (2, 0)
    assert sorted(requests_of(pair.source)) == [
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/test/app/tags/list"),
        ("HEAD", "/v2/test/app/manifests/plain"),
        ("HEAD", "/v2/test/app/manifests/v1"),
    ]
    assert requests_of(pair.target) == [("GET", "/v2/test/app/tags/list")]


@pytest.mark.parametrize("mode", ["rewritten", "single"])
def test_a_target_that_is_asked_again_needs_no_reading_of_the_index(pair, run, mode, settings):
    pair.source.add_index("test/app", "v1", ALL)
    rule = limited(pair, mode)
    run(rule)
    settings.VERIFY_HOURS = 0
    requests_of(pair.source)

    assert run(rule).tags_unchanged == 1
    assert [path for method, path in requests_of(pair.source) if method == "GET" and "manifests" in path] == []


@pytest.mark.parametrize("mode", ["rewritten", "single"])
def test_without_memory_the_index_is_read_once_to_know_what_should_be_there(pair, run, mode):
    digest = pair.source.add_index("test/app", "v1", ALL)
    stored = pair.source.manifests("test/app")[digest]
    pair.source.add_manifest("test/app", "latest", BuiltManifest(stored.media_type, stored.content))
    rule = limited(pair, mode)
    run(rule)
    SyncState.objects.all().delete()
    requests_of(pair.source)

    execution = run(rule)

    assert (execution.tags_unchanged, execution.transfers_total) == (2, 0)
    reads = [path for method, path in requests_of(pair.source) if method == "GET" and "manifests" in path]
    assert reads == [f"/v2/test/app/manifests/{digest}"]
    assert {state.source_digest for state in SyncState.objects.all()} == {digest}
    run(rule)
    assert [path for method, path in requests_of(pair.source) if method == "GET" and "manifests" in path] == []


@pytest.mark.parametrize("mode", ["sparse", "rewritten"])
def test_changed_platforms_are_copied_by_the_next_run(pair, run, mode):
    pair.target.sparse_indexes = True
    digest = pair.source.add_index("test/app", "v1", ALL)
    images = images_of(pair.source, digest)
    rule = limited(pair, mode, AMD)
    run(rule)
    assert images[ARM] not in pair.target.manifests("test/app")

    rule.platforms = "linux/arm64,linux/amd64"
    rule.save()
    assert run(rule).transfers_succeeded == 1
    assert images[ARM] in pair.target.manifests("test/app")

    rule.platforms = rule.platform_mode = ""
    rule.save()
    assert run(rule).transfers_succeeded == 1
    assert pair.target.tags("test/app") == {"v1": digest}
    assert images[S390] in pair.target.manifests("test/app")
    assert run(rule).transfers_total == 0


def test_a_sparse_index_is_completed_without_override(pair, run):
    pair.target.sparse_indexes = True
    digest = pair.source.add_index("test/app", "v1", ALL)
    rule = limited(pair, "sparse", override=False)
    run(rule)
    rule.platforms = rule.platform_mode = ""
    rule.save()
    assert run(rule).transfers_succeeded == 1
    assert images_of(pair.source, digest)[S390] in pair.target.manifests("test/app")


def test_a_whole_image_at_the_target_gives_way_to_what_the_rule_wants(pair, run):
    pair.source.add_index("test/app", "v1", ALL)
    run(pair.make_rule())
    run(limited(pair))
    assert images_of(pair.target, pair.target.tags("test/app")["v1"]).keys() == {AMD, ARM}


def test_a_whole_image_is_good_for_a_sparse_rule(pair, run):
    pair.source.add_index("test/app", "v1", ALL)
    run(pair.make_rule())
    assert run(limited(pair, "sparse")).transfers_total == 0


def test_an_image_that_is_no_index_is_copied_whatever_its_platform(pair, run):
    digest = pair.source.add_image("test/app", "v1", platform=S390)
    assert run(limited(pair)).status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}


def test_an_index_without_a_match_is_skipped_and_the_rest_goes_on(pair, run):
    pair.source.add_index("test/app", "v1", [S390])
    digest = pair.source.add_image("test/app", "plain")

    execution = run(limited(pair))

    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"plain": digest}
    skipped = execution.transfers.get(status=Status.SKIPPED)
    assert (skipped.reason_code, skipped.attempts) == ("no_matching_platform", 1)
    assert "has no image for linux/amd64, linux/arm64; it has linux/s390x." in skipped.reason


def test_a_target_that_refuses_sparse_indexes_is_found_out_once_and_for_all_processes(pair, run):
    pair.source.add_index("test/app", "v1", ALL)
    pair.source.add_index("test/other", "v1", ALL)
    rule = limited(pair, "sparse", targets=[pair.target_endpoint])

    execution = run(rule)

    assert execution.status == Status.FAILED
    assert set(execution.transfers.values_list("reason_code", "attempts")) == {("unsupported", 1)}
    pair.target_endpoint.refresh_from_db()
    assert pair.target_endpoint.capabilities["sparse_index"] is False

    requests_of(pair.target)
    again = run(rule)
    assert {method for method, _ in requests_of(pair.target)} <= {"GET", "HEAD"}, "nothing is sent any more"
    assert "has refused one before" in again.transfers.first().reason

    pair.target.sparse_indexes = True
    save_endpoint(Endpoint.objects.get(pk=pair.target_endpoint.pk), secret=None)
    assert run(rule).status == Status.SUCCEEDED
    pair.target_endpoint.refresh_from_db()
    assert pair.target_endpoint.capabilities["sparse_index"] is True


@pytest.mark.parametrize("mode", ["sparse", "rewritten", "single"])
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_deleted_tag_goes_at_the_target_too(pair, run, mode, by):
    pair.target.sparse_indexes = True
    digest = pair.source.add_index("test/app", "v1", ALL)
    rule = limited(pair, mode, deletion=True, trigger=Trigger.EVENT_BASED)
    run(rule)
    pair.source.remove_tag("test/app", "v1")

    scope = Scope("test/app", tags=("v1",)) if by == "tag" else Scope("test/app", deleted_digests=(digest,))
    execution = run(rule, trigger=Trigger.EVENT_BASED, scope=[scope])

    assert execution.transfers.get().status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {}
    assert not SyncState.objects.exists()


def test_what_somebody_else_put_there_is_not_deleted(pair, run):
    pair.source.add_index("test/app", "v1", ALL)
    rule = limited(pair, deletion=True, trigger=Trigger.EVENT_BASED)
    run(rule)
    theirs = pair.target.add_image("test/app", "v1")
    pair.source.remove_tag("test/app", "v1")
    execution = run(rule, trigger=Trigger.EVENT_BASED, scope=[Scope("test/app", tags=("v1",))])
    assert execution.transfers.get().reason_code == "target_changed"
    assert pair.target.tags("test/app") == {"v1": theirs}


@pytest.fixture
def there_and_back(pair):
    """Give a rule that leaves out platforms on the way there, and one that brings everything back."""
    back = make_rule(source=pair.target_endpoint, targets=[pair.source_endpoint])
    return limited(pair), back


def test_a_reduced_copy_is_not_sent_back_to_where_the_whole_image_is(pair, run, there_and_back):
    there, back = there_and_back
    digest = pair.source.add_index("test/app", "v1", ALL)
    run(there)
    reduced = pair.target.tags("test/app")["v1"]
    requests_of(pair.source), requests_of(pair.target)

    for _ in range(2):
        assert run(back).transfers_total == 0
        assert run(there).transfers_total == 0

    assert (pair.source.tags("test/app"), pair.target.tags("test/app")) == ({"v1": digest}, {"v1": reduced})
    asked = requests_of(pair.source) + requests_of(pair.target)
    assert [path for method, path in asked if method != "HEAD" and "manifests" in path] == []


def test_a_newer_image_at_home_is_not_replaced_by_a_reduced_copy_of_the_older_one(pair, run, there_and_back):
    there, back = there_and_back
    pair.source.add_index("test/app", "v1", ALL)
    run(there)
    newer = pair.source.add_index("test/app", "v1", [*ALL, "linux/riscv64"])

    run(back)

    assert pair.source.tags("test/app") == {"v1": newer}


def test_what_is_pushed_on_the_other_side_goes_home_whole(pair, run, there_and_back):
    there, back = there_and_back
    run(there)
    theirs = pair.target.add_index("test/app", "v2", ALL)
    assert run(back).transfers_succeeded == 1
    assert pair.source.tags("test/app") == {"v2": theirs}


def test_a_chain_hands_on_the_reduced_copy_and_remembers_where_it_came_from(pair, run, there_and_back):
    there = there_and_back[0]
    pair.source.add_index("test/app", "v1", ALL)
    onward = make_rule(source=pair.target_endpoint, targets=[TargetSpec(pair.target_endpoint.pk, "copies", 0)])
    run(there)
    reduced = pair.target.tags("test/app")["v1"]
    assert run(onward).status == Status.SUCCEEDED
    assert pair.target.tags("copies/test/app") == {"v1": reduced}
    requests_of(pair.source)
    run(there)
    assert [path for method, path in requests_of(pair.source) if method == "GET" and "manifests" in path] == []


def test_a_spec_stored_before_there_were_platforms_still_loads():
    document = RuleSpec(1, targets=(TargetSpec(2),)).to_json()
    del document["platforms"], document["platform_mode"]
    spec = RuleSpec.from_json(document)
    assert (spec.platforms, spec.choice) == ((), None)
    limited_spec = RuleSpec(1, platforms=(AMD, ARM), platform_mode="sparse")
    assert RuleSpec.from_json(limited_spec.to_json()) == limited_spec


@pytest.mark.parametrize(
    ("platforms", "mode", "is_allowed"),
    [
        ("", "", True),
        (AMD, "sparse", True),
        (f"{AMD},{ARM}", "rewritten", True),
        (AMD, "single", True),
        (AMD, "", False),
        ("", "rewritten", False),
        (AMD, "other", False),
        (f"{AMD},{ARM}", "single", False),
    ],
)
def test_the_database_keeps_platforms_and_mode_together(platforms, mode, is_allowed):
    rule = make_rule(targets=[make_endpoint()])
    rule.platforms, rule.platform_mode = platforms, mode
    if is_allowed:
        rule.save()
        return
    with pytest.raises(IntegrityError), transaction.atomic():
        rule.save()
