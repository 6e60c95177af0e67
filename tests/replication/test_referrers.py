"""Signatures and other referrers travel with their subject, also when they come later."""

from datetime import timedelta

import pytest
from django.utils import timezone

from registry.companions import fallback_tag
from registry.testkit import Fault, MemoryRegistry, build_image
from replication.filters import FilterSpec
from replication.models import Event, Execution, ReferrerState, Rule, Status, Transfer, Trigger
from replication.plan import RuleSpec, Scope
from replication.pruning import prune
from replication.runner import Drain
from replication.services import process_events, start_execution, start_waiting
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db

REPOSITORY = "test/app"

directions = pytest.mark.parametrize(
    ("source_api", "target_api"),
    [(True, True), (False, True), (True, False), (False, False)],
    ids=["api_to_api", "tag_to_api", "api_to_tag", "tag_to_tag"],
)


def referrers_at(registry: MemoryRegistry, subject: str) -> set[str]:
    """Give what a registry would tell a client refers to a digest."""
    if not registry.referrers:
        return set(registry.referrers_under_tag(REPOSITORY, subject))
    kept = registry.manifests(REPOSITORY)
    return {digest for digest, stored in kept.items() if (stored.subject or {}).get("digest") == subject}


def cosign(registry: MemoryRegistry, subject: str, suffix: str = ".sig", payload: bytes = b"signature") -> str:
    """Sign as cosign did before the referrers API: an image under a tag that names the subject."""
    tag = fallback_tag(subject) + suffix
    return registry.add_manifest(REPOSITORY, tag, build_image([payload + subject.encode()]))


def children_of(registry: MemoryRegistry, digest: str) -> list[str]:
    return [entry["digest"] for entry in registry.manifests(REPOSITORY)[digest].document["manifests"]]


def happen(endpoint, tag: str, *, action: str = "push") -> None:
    """Store an event and have it looked at, then work until nothing moves."""
    number = Event.objects.count()
    Event.objects.create(
        endpoint=endpoint, source_id=f"e{number}", action=action, repository=REPOSITORY, tag=tag, digest=""
    )
    work()


def work() -> None:
    for _ in range(20):
        process_events()
        is_open = Execution.objects.filter(status__in=["pending", "running"])
        if not is_open.exists():
            return
        for execution in is_open:
            Drain(execution.pk).run()
            if execution.rule_id:
                start_waiting(execution.rule_id)
    pytest.fail("it does not come to rest")


@directions
def test_they_travel_on_the_first_run_and_are_found_in_step_on_the_second(pair, run, source_api, target_api):
    pair.source.referrers, pair.target.referrers = source_api, target_api
    digest = pair.source.add_image(REPOSITORY, "v1")
    signature = pair.source.add_signature(REPOSITORY, digest)
    rule = pair.make_rule()

    first, second = run(rule), run(rule)

    assert referrers_at(pair.target, digest) == {signature}
    assert (first.status, first.transfers_total) == (Status.SUCCEEDED, 1)
    assert (second.transfers_total, second.tags_unchanged) == (0, 1)
    assert first.bytes_done == first.bytes_total


@directions
def test_a_late_signature_is_carried_over_by_the_next_run(pair, run, source_api, target_api):
    pair.source.referrers, pair.target.referrers = source_api, target_api
    digest = pair.source.add_image(REPOSITORY, "v1")
    rule = pair.make_rule()
    run(rule)
    for note in ("first", "second"):
        late = pair.source.add_signature(REPOSITORY, digest, note=note)
        execution = run(rule)
        transfer = execution.transfers.get()
        assert (transfer.digest, transfer.tags, transfer.is_of_referrers) == (digest, [], True)
        assert late in referrers_at(pair.target, digest)
        assert execution.status == Status.SUCCEEDED
        assert run(rule).transfers_total == 0
    messages = "\n".join(execution.log_lines.values_list("message", flat=True))
    assert f"copied what refers to {REPOSITORY}@{digest} to target, with 1 referrer" in messages
    assert "new referrers of 1 artifact" in messages


def test_a_late_cosign_signature_is_an_ordinary_transfer(pair, run):
    digest = pair.source.add_image(REPOSITORY, "v1")
    rule = pair.make_rule(filters=[FilterSpec("tag", "v*")])
    run(rule)
    signature = cosign(pair.source, digest)

    execution = run(rule)

    transfer = execution.transfers.get()
    assert (transfer.tags, transfer.is_companion) == ([f"{fallback_tag(digest)}.sig"], True)
    assert pair.target.tags(REPOSITORY) == {"v1": digest, f"{fallback_tag(digest)}.sig": signature}
    assert run(rule).transfers_total == 0


@pytest.mark.parametrize("condition", [FilterSpec("tag", "v*"), FilterSpec("tag", "sha256-*", "excludes")])
def test_filters_do_not_keep_companions_of_wanted_tags_out_nor_let_those_of_others_in(pair, run, condition):
    wanted = pair.source.add_image(REPOSITORY, "v1")
    other = pair.source.add_image(REPOSITORY, None, layers=[b"untagged"])
    for subject in (wanted, other):
        for suffix in (".sig", ".att", ".sbom"):
            cosign(pair.source, subject, suffix, suffix.encode())
        pair.source.add_signature(REPOSITORY, subject)

    execution = run(pair.make_rule(filters=[condition]))

    prefix = fallback_tag(wanted)
    assert execution.status == Status.SUCCEEDED
    assert set(pair.target.tags(REPOSITORY)) == {"v1", prefix, *(prefix + s for s in (".sig", ".att", ".sbom"))}


def test_a_companions_own_companion_comes_along(pair, run):
    digest = pair.source.add_image(REPOSITORY, "v1")
    attestation = cosign(pair.source, digest, ".att")
    signature = cosign(pair.source, attestation, ".sig")
    run(pair.make_rule(filters=[FilterSpec("tag", "v*")]))
    assert pair.target.tags(REPOSITORY)[f"{fallback_tag(attestation)}.sig"] == signature


def test_cosign_tags_come_after_their_subjects(pair, run):
    for number in range(6):
        digest = pair.source.add_image(REPOSITORY, f"v{number}", layer_sizes=[200_000])
        cosign(pair.source, digest)

    execution = run(pair.make_rule())

    pushed = [request.path.rpartition("/")[2] for request in pair.target.requests_for("PUT", "/manifests/")]
    assert execution.transfers_succeeded == 12
    assert all(tag.startswith("v") for tag in pushed[:6])
    assert all(tag.endswith(".sig") for tag in pushed[6:])


@pytest.mark.parametrize("has_api", [True, False])
def test_companions_of_single_platforms_travel_and_may_come_late(pair, run, has_api, settings):
    pair.source.referrers = has_api
    digest = pair.source.add_index(REPOSITORY, "v1")
    first, second = children_of(pair.source, digest)
    early, early_cosign = pair.source.add_signature(REPOSITORY, first), cosign(pair.source, first)
    rule = pair.make_rule(filters=[FilterSpec("tag", "v*")])
    run(rule)
    assert referrers_at(pair.target, first) == {early}
    assert pair.target.tags(REPOSITORY)[f"{fallback_tag(first)}.sig"] == early_cosign

    late, late_cosign = pair.source.add_signature(REPOSITORY, second), cosign(pair.source, second)
    if has_api:
        settings.VERIFY_HOURS = 0  # with the API what is below an index is asked for once in a while only
    run(rule)

    assert referrers_at(pair.target, second) == {late}
    assert pair.target.tags(REPOSITORY)[f"{fallback_tag(second)}.sig"] == late_cosign
    assert run(rule).transfers_total == 0


@pytest.mark.parametrize("has_api", [True, False])
def test_what_was_in_step_before_this_was_known_is_swept(pair, run, has_api):
    """Digests that were copied without their referrers, such as by an earlier version."""
    pair.source.referrers = has_api
    image, index = pair.source.add_image(REPOSITORY, "v1"), pair.source.add_index(REPOSITORY, "v2")
    child = children_of(pair.source, index)[0]
    rule = pair.make_rule(referrers=False, filters=[FilterSpec("tag", "v*")])
    run(rule)
    signatures = {subject: pair.source.add_signature(REPOSITORY, subject) for subject in (image, child)}
    Rule.objects.update(referrers=True)
    rule.refresh_from_db()

    run(rule)

    for subject, signature in signatures.items():
        assert referrers_at(pair.target, subject) == {signature}
    assert run(rule).transfers_total == 0


@pytest.mark.parametrize("has_api", [True, False])
@pytest.mark.parametrize("mode", ["rewritten", "single"])
def test_a_signed_index_of_which_a_part_is_taken_comes_to_rest(pair, run, has_api, mode, settings):
    pair.source.referrers = has_api
    digest = pair.source.add_index(REPOSITORY, "v1", ["linux/amd64", "linux/arm64"])
    kept, left_out = children_of(pair.source, digest)
    for subject in (digest, kept, left_out):
        pair.source.add_signature(REPOSITORY, subject)
    rule = pair.make_rule(platforms="linux/amd64", platform_mode=mode)
    run(rule)
    assert len(referrers_at(pair.target, kept)) == 1
    settings.VERIFY_HOURS = 0

    assert run(rule).transfers_total == 0

    late = pair.source.add_signature(REPOSITORY, kept, note="late")
    run(rule)
    assert late in referrers_at(pair.target, kept)
    assert run(rule).transfers_total == 0
    assert referrers_at(pair.target, digest) == referrers_at(pair.target, left_out) == set()


def test_referrers_off_means_ordinary_tags_under_the_filters(pair, run):
    pair.source.referrers = True
    digest = pair.source.add_image(REPOSITORY, "v1")
    pair.source.add_signature(REPOSITORY, digest)
    cosign(pair.source, digest)

    run(pair.make_rule(referrers=False, filters=[FilterSpec("tag", "v*")]))

    assert pair.target.tags(REPOSITORY) == {"v1": digest}
    assert set(pair.target.manifests(REPOSITORY)) == {digest}
    assert not pair.source.requests_for("GET", "/referrers/")

    pair.source.referrers = False
    pair.source.add_signature(REPOSITORY, digest, note="under a tag")
    run(pair.make_rule(referrers=False))
    assert set(pair.target.tags(REPOSITORY)) == set(pair.source.tags(REPOSITORY))


def test_fallback_tags_are_merged_and_never_copied_over_those_of_the_target(pair, run):
    digest = pair.source.add_image(REPOSITORY, "v1")
    rule = pair.make_rule()
    run(rule)
    theirs = pair.target.add_signature(REPOSITORY, digest, note="theirs")
    ours = pair.source.add_signature(REPOSITORY, digest, note="ours")

    run(rule)

    assert pair.target.referrers_under_tag(REPOSITORY, digest) == [theirs, ours]
    assert run(rule).transfers_total == 0


def test_several_targets_are_each_given_what_they_lack(pair, run):
    digest = pair.source.add_image(REPOSITORY, "v1")
    first = pair.source.add_signature(REPOSITORY, digest, note="first")
    run(pair.make_rule())
    with MemoryRegistry(referrers=True) as other:
        rule = pair.make_rule(targets=[pair.target_endpoint, make_endpoint(url=other.url)])
        execution = run(rule)
        assert [transfer.tags for transfer in execution.transfers.all()] == [["v1"]]
        second = pair.source.add_signature(REPOSITORY, digest, note="second")
        execution = run(rule)
        assert [transfer.tags for transfer in execution.transfers.all()] == [[], []]
        for registry in (pair.target, other):
            assert referrers_at(registry, digest) == {first, second}


def test_on_a_source_without_the_api_and_without_such_tags_they_cost_one_request_in_all(pair, run):
    counts = []
    for round_number, referrers in enumerate((False, True, True)):
        repository = f"test/round-{round_number}"
        for number in range(3):
            pair.source.add_image(repository, f"v{number}")
        pair.source.add_index(repository, "index")
        pair.source.requests.clear(), pair.target.requests.clear()
        rule = pair.make_rule(referrers=referrers, filters=[FilterSpec("name", repository)])
        first = run(rule)
        counts.append((len(pair.source.requests), len(pair.target.requests)))
        assert first.transfers_succeeded == 4
        pair.source.requests.clear()
        assert run(rule).tags_unchanged == 4
        assert len(pair.source.requests) == 5  # one listing, four tags
    plain, first_time, later = counts
    assert first_time == (plain[0] + 1, plain[1])
    assert later == plain


def test_an_unchanged_signed_tag_costs_one_request_more(pair, run):
    for has_api in (False, True):
        pair.source.referrers = has_api
        repository = f"test/api-{has_api}".lower()
        digest = pair.source.add_image(repository, "v1")
        pair.source.add_signature(repository, digest)
        rule = pair.make_rule(filters=[FilterSpec("name", repository)], source=make_endpoint(url=pair.source.url))
        run(rule)
        pair.source.requests.clear()
        run(rule)
        paths = [(request.method, request.path.removeprefix(f"/v2/{repository}/")) for request in pair.source.requests]
        extra = ("GET", f"referrers/{digest}") if has_api else ("HEAD", f"manifests/{fallback_tag(digest)}")
        assert sorted(paths) == sorted([("GET", "tags/list"), ("HEAD", "manifests/v1"), extra])


def test_a_denied_list_is_a_warning_in_the_log(pair, run):
    pair.source.referrers = True
    digest = pair.source.add_image(REPOSITORY, "v1")
    pair.source.faults.add(Fault(path_pattern="/referrers/", times=None, status=403))

    execution = run(pair.make_rule())

    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags(REPOSITORY) == {"v1": digest}
    assert any("left behind" in message for message in execution.log_lines.values_list("message", flat=True))


def test_referrers_that_cannot_be_written_fail_the_transfer_with_their_reason(pair, run):
    pair.source.referrers = True
    digest = pair.source.add_image(REPOSITORY, "v1")
    signature = pair.source.add_signature(REPOSITORY, digest)
    pair.target.faults.add(Fault(method="PUT", path_pattern=signature, times=None, status=403))
    rule = pair.make_rule()

    execution = run(rule)

    assert (execution.status, execution.transfers.get().reason_code) == (Status.FAILED, "denied")
    pair.target.faults.clear()
    assert run(rule).status == Status.SUCCEEDED
    assert referrers_at(pair.target, digest) == {signature}


@directions
def test_the_event_of_a_fallback_tag_carries_the_referrers_of_its_subject_over(pair, source_api, target_api):
    pair.source.referrers, pair.target.referrers = source_api, target_api
    rule = pair.make_rule(trigger=Trigger.EVENT_BASED, filters=[FilterSpec("tag", "v*")])
    digest = pair.source.add_image(REPOSITORY, "v1")
    happen(pair.source_endpoint, "v1")
    late = pair.source.add_signature(REPOSITORY, digest)

    happen(pair.source_endpoint, fallback_tag(digest))

    assert referrers_at(pair.target, digest) == {late}
    happen(pair.source_endpoint, fallback_tag(digest))
    assert Transfer.objects.filter(tags=[]).count() == 1
    assert rule.executions.exclude(status=Status.SUCCEEDED).count() == 0


def test_the_event_of_a_childs_fallback_tag_does_as_well_and_is_not_done_again(pair, run):
    rule = pair.make_rule(trigger=Trigger.EVENT_BASED)
    digest = pair.source.add_index(REPOSITORY, "v1")
    child = children_of(pair.source, digest)[0]
    happen(pair.source_endpoint, "v1")
    late = pair.source.add_signature(REPOSITORY, child)

    happen(pair.source_endpoint, fallback_tag(child))

    assert referrers_at(pair.target, child) == {late}
    assert run(rule).transfers_total == 0


def test_the_event_of_a_cosign_tag_brings_the_signature(pair):
    pair.make_rule(trigger=Trigger.EVENT_BASED, filters=[FilterSpec("tag", "v*")])
    digest = pair.source.add_index(REPOSITORY, "v1")
    child = children_of(pair.source, digest)[1]
    happen(pair.source_endpoint, "v1")
    for subject in (digest, child):
        signature = cosign(pair.source, subject)
        happen(pair.source_endpoint, f"{fallback_tag(subject)}.sig")
        assert pair.target.tags(REPOSITORY)[f"{fallback_tag(subject)}.sig"] == signature


def test_events_about_companions_of_what_is_not_wanted_are_ignored_quietly(pair):
    pair.make_rule(trigger=Trigger.EVENT_BASED, filters=[FilterSpec("tag", "v*")])
    nightly = pair.source.add_image(REPOSITORY, "nightly")
    pair.source.add_signature(REPOSITORY, nightly)
    cosign(pair.source, nightly)

    for suffix in ("", ".sig"):
        happen(pair.source_endpoint, fallback_tag(nightly) + suffix)

    assert pair.target.repositories == ()
    assert not Transfer.objects.exists()
    assert set(Execution.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}


def test_an_image_and_its_signature_named_together_arrive_in_order(pair):
    rule = pair.make_rule(trigger=Trigger.EVENT_BASED)
    digest = pair.source.add_image(REPOSITORY, "v1")
    cosign(pair.source, digest)
    pair.source.add_signature(REPOSITORY, digest)
    tags = sorted(pair.source.tags(REPOSITORY))
    execution = start_execution(rule, trigger=Trigger.EVENT_BASED, scope=[Scope(REPOSITORY, tuple(tags))])
    Drain(execution.pk).run()
    assert sorted(pair.target.tags(REPOSITORY)) == tags
    pushed = [request.path.rpartition("/")[2] for request in pair.target.requests_for("PUT", "/manifests/")]
    assert pushed.index("v1") < pushed.index(f"{fallback_tag(digest)}.sig")


def test_companions_of_several_subjects_named_at_once_all_arrive(pair, valkey_server, settings):
    settings.REDIS_URL = valkey_server.url  # what workers remember of the target must not hide a subject
    rule = pair.make_rule(trigger=Trigger.EVENT_BASED, filters=[FilterSpec("tag", "v*")])
    subjects = [pair.source.add_image(REPOSITORY, f"v{number}") for number in range(3)]
    for number in range(3):
        happen(pair.source_endpoint, f"v{number}")
    late = {subject: pair.source.add_signature(REPOSITORY, subject) for subject in subjects}
    for subject in subjects:
        cosign(pair.source, subject)
    tags = [fallback_tag(subject) + suffix for subject in subjects for suffix in ("", ".sig")]
    execution = start_execution(rule, trigger=Trigger.EVENT_BASED, scope=[Scope(REPOSITORY, tuple(tags))])

    Drain(execution.pk).run()

    assert {tag for tag in tags if tag.endswith(".sig")} <= set(pair.target.tags(REPOSITORY))
    assert {subject: referrers_at(pair.target, subject) for subject in subjects} == {
        subject: {signature} for subject, signature in late.items()
    }


def test_a_companion_goes_only_by_its_own_delete_event(pair):
    pair.make_rule(trigger=Trigger.EVENT_BASED, deletion=True, filters=[FilterSpec("tag", "v*")])
    digest = pair.source.add_image(REPOSITORY, "v1")
    cosign(pair.source, digest)
    happen(pair.source_endpoint, "v1")
    tag = f"{fallback_tag(digest)}.sig"
    happen(pair.source_endpoint, tag)

    pair.source.remove_tag(REPOSITORY, "v1")
    happen(pair.source_endpoint, "v1", action="delete")
    assert set(pair.target.tags(REPOSITORY)) == {tag}

    pair.source.remove_tag(REPOSITORY, tag)
    happen(pair.source_endpoint, tag, action="delete")
    assert pair.target.tags(REPOSITORY) == {}


def test_referrers_reach_the_end_of_a_chain_and_two_masters_come_to_rest(pair):
    with MemoryRegistry() as last:
        end = make_endpoint(name="end", url=last.url)
        pair.make_rule(trigger=Trigger.EVENT_BASED)
        pair.make_rule(trigger=Trigger.EVENT_BASED, source=pair.target_endpoint, targets=[pair.source_endpoint])
        pair.make_rule(trigger=Trigger.EVENT_BASED, source=pair.target_endpoint, targets=[end])
        digest = pair.source.add_image(REPOSITORY, "v1")
        happen(pair.source_endpoint, "v1")
        late = pair.source.add_signature(REPOSITORY, digest)

        happen(pair.source_endpoint, fallback_tag(digest))

        for registry in (pair.target, last):
            assert registry.referrers_under_tag(REPOSITORY, digest) == [late]


def test_what_is_known_goes_when_nobody_asked_for_long(pair, run):
    digest = pair.source.add_image(REPOSITORY, "v1")
    pair.source.add_signature(REPOSITORY, digest)
    run(pair.make_rule())
    assert ReferrerState.objects.get().versions[digest]
    prune(timezone.now())
    assert ReferrerState.objects.exists()
    prune(timezone.now() + timedelta(days=1000))
    assert not ReferrerState.objects.exists()


def test_a_run_that_began_before_there_was_such_an_option_loads():
    document = RuleSpec(source_id=1).to_json()
    del document["referrers"]
    assert RuleSpec.from_json(document).referrers is True
