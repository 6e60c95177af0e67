"""Filters, mapping, planning, schedules and retries: tables, no I/O."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import DeniedError, ImmutableError, NetworkError, RateLimitedError, SiblingTagsError, Stopped
from registry.kinds import find_kind
from replication.filters import FilterSpec, accepts_repository, accepts_tag, named_repositories, wanted_resource
from replication.mapping import MappingError, check_path, map_repository
from replication.plan import RuleSpec, Scope, TargetSpec, plan_copies, plan_deletions
from replication.retries import RetryPolicy, judge
from replication.schedules import CronError, next_runs, validate_cron, validate_time_zone

POLICY = RetryPolicy(base_seconds=1, cap_seconds=60, give_up_seconds=3600)


@pytest.mark.parametrize(
    ("repository", "namespace", "taken"),
    [
        ("test/a", "test", True),
        ("test/a/b", "test", True),
        ("testing/a", "test", False),
        ("test", "test", False),
        ("test/old", "test", False),
        ("other/a", "", True),
    ],
)
def test_a_project_rule_takes_only_what_lies_inside(repository, namespace, taken):
    filters = [FilterSpec("name", "**"), FilterSpec("name", "**/old", "excludes")]
    assert accepts_repository(filters, repository, namespace=namespace) is taken


def test_tag_filters_must_all_agree():
    filters = [FilterSpec("tag", "v*"), FilterSpec("tag", "*-rc*", "excludes")]
    assert [tag for tag in ("v1", "v1-rc1", "latest") if accepts_tag(filters, tag)] == ["v1"]


def test_named_repositories_are_filtered_by_the_other_conditions():
    filters = [FilterSpec("name", "test/{a,b}"), FilterSpec("name", "test/b", "excludes")]
    assert named_repositories(filters) == ["test/a"]
    assert named_repositories([FilterSpec("name", "x/a")], namespace="test") == []
    assert named_repositories([FilterSpec("name", "test/*")]) is None
    assert wanted_resource([FilterSpec("resource", "image")]) == "image"


@pytest.mark.parametrize(
    ("namespace", "level", "expected"),
    [
        ("", 3, "a/b/c/d/img"),
        ("ns", -1, "ns/img"),
        ("ns", 0, "ns/a/b/c/d/img"),
        ("ns", 1, "ns/b/c/d/img"),
        ("ns", 2, "ns/c/d/img"),
        ("ns", 3, "ns/d/img"),
        ("ns/deep", 4, "ns/deep/img"),
    ],
)
def test_mapping_follows_harbors_table(namespace, level, expected):
    assert map_repository("a/b/c/d/img", namespace=namespace, flatten_level=level) == expected


def test_a_repository_too_short_for_the_level_is_refused_by_name():
    with pytest.raises(MappingError, match="img has 0 path components"):
        map_repository("img", namespace="ns", flatten_level=1)


def test_a_target_that_wants_two_components_gets_two():
    with pytest.raises(MappingError, match="flatten more levels"):
        check_path("a/b/c", find_kind("docker-hub"))
    with pytest.raises(MappingError, match="set a namespace"):
        check_path("nginx", find_kind("harbor"))
    check_path("library/nginx", find_kind("harbor"))
    check_path("nginx", find_kind("docker-registry"))


def test_an_existing_tag_is_kept_when_the_rule_does_not_override():
    plan = plan_copies({"a": "new", "b": "new"}, {"a": "old"}, override=False)
    assert {(t.tags, t.reason_code) for t in plan.transfers} == {(("a",), "not_overridden"), (("b",), "")}


digests = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["d1", "d2", "d3"]))


@given(source=digests, target=digests)
def test_carrying_out_a_plan_makes_the_target_hold_the_source(source, target):
    plan = plan_copies(source, target, override=True)
    after = dict(target)
    for transfer in plan.transfers:
        after |= dict.fromkeys(transfer.tags, transfer.digest)
    assert {tag: after.get(tag) for tag in source} == source
    assert plan_copies(source, after, override=True).transfers == ()


def test_only_what_we_put_and_nobody_changed_is_deleted():
    put = {"mine": "d1", "overwritten": "d1", "gone": "d1"}
    target = {"mine": "d1", "overwritten": "d9", "foreign": "d1"}
    planned = plan_deletions(["mine", "overwritten", "gone", "foreign"], put, target)
    assert [(t.tags, t.reason_code) for t in planned] == [(("mine",), ""), (("overwritten",), "target_changed")]


def test_specs_survive_json():
    spec = RuleSpec(1, "test", (FilterSpec("tag", "v*"),), (TargetSpec(2, "ns", 0),), deletion=True)
    assert RuleSpec.from_json(spec.to_json()) == spec
    scope = Scope("test/a", ("v1",), ("sha256:1",))
    assert Scope.from_json(scope.to_json()) == scope


@pytest.mark.parametrize(
    ("cron", "hint"),
    [
        ("", "needs a cron string"),
        ("* * * * *", "6 fields"),
        ("1 0 2 * * *", "must be 0"),
        ("0 * * * * *", "not allowed"),
        ("0 61 * * * *", "not a cron string"),
        ("0 0 2 * * funday", "not a cron string"),
        ("0 0 2 30 2 *", "never"),
        ("0 0 2 \0 * *", "not a cron string"),
    ],
)
def test_a_cron_string_that_cannot_work_says_what_would(cron, hint):
    with pytest.raises(CronError, match=hint):
        next_runs(cron, "UTC", now=datetime(2026, 1, 1, tzinfo=UTC))


def test_next_runs_are_in_the_rules_time_zone():
    runs = next_runs("0 30 2 * * MON", "Europe/Berlin", now=datetime(2026, 1, 1, tzinfo=UTC), count=2)
    assert [run.astimezone(UTC).isoformat() for run in runs] == [
        "2026-01-05T01:30:00+00:00",
        "2026-01-12T01:30:00+00:00",
    ]
    assert validate_cron("0 */5 ? * * ?") == "0 */5 ? * * ?"


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "a" * 300])
def test_an_unknown_time_zone_is_refused(name):
    with pytest.raises(CronError, match="is not a time zone"):
        validate_time_zone(name)


@pytest.mark.parametrize(
    ("error", "elapsed", "status", "code"),
    [
        (NetworkError("gone"), 10, "pending", "network"),
        (NetworkError("gone"), 7200, "failed", "network"),
        (DeniedError("no"), 0, "failed", "denied"),
        (ImmutableError("fixed"), 0, "skipped", "immutable"),
        (SiblingTagsError("others"), 0, "skipped", "sibling_tags"),
        (Stopped(), 0, "stopped", ""),
        (ZeroDivisionError("bug"), 0, "failed", "internal_error"),
    ],
)
def test_each_kind_of_error_has_its_consequence(error, elapsed, status, code):
    verdict = judge(error, attempts=1, elapsed_seconds=elapsed, policy=POLICY)
    assert (verdict.status, verdict.code) == (status, code)


def test_a_registry_that_asks_for_patience_gets_it():
    error = RateLimitedError("slow down", retry_after_seconds=42)
    assert judge(error, attempts=1, elapsed_seconds=0, policy=POLICY).delay_seconds == 42


@given(st.integers(1, 200), st.floats(0, 0.999))
def test_the_pause_grows_to_its_cap_and_no_further(attempts, number):
    delay = POLICY.delay_seconds(attempts, random_number=number)
    assert 0.5 <= delay <= min(60.0, 2.0 ** (min(attempts, 30) - 1)) or delay == 0.5
