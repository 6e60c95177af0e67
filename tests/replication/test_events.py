"""From stored events to executions: matching, gathering, chains and loops."""

from collections.abc import Iterator

import pytest

from registry.testkit import MemoryRegistry
from replication.filters import FilterSpec
from replication.models import Event, Execution, RuleEvent, Status, Task, Trigger
from replication.runner import Drain
from replication.services import process_events, start_waiting
from tests.factories import make_endpoint, make_project

pytestmark = pytest.mark.django_db

DIGEST = "sha256:" + "b" * 64


def happen(endpoint, repository="test/app", tag="v1", *, action="push", digest=DIGEST) -> Event:
    """Store an event as the notification view would, and have it looked at."""
    number = Event.objects.count()
    event = Event.objects.create(
        endpoint=endpoint, source_id=f"e{number}", action=action, repository=repository, tag=tag, digest=digest
    )
    process_events()
    event.refresh_from_db()
    return event


def work() -> None:
    """Drain whatever is open and let waiting events follow, until nothing moves."""
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


def test_a_push_starts_an_execution_for_its_repository_alone(pair):
    digest = pair.source.add_image("test/app", "v1")
    pair.source.add_image("test/other", "v1")
    rule = pair.make_rule(trigger=Trigger.EVENT_BASED)
    event = happen(pair.source_endpoint)
    assert event.processed_at is not None
    execution = Execution.objects.get()
    assert (execution.rule, execution.trigger) == (rule, Trigger.EVENT_BASED)
    work()
    assert pair.target.tags("test/app") == {"v1": digest}
    assert pair.target.repositories == ("test/app",)


@pytest.mark.parametrize(
    ("overrides", "event"),
    [
        ({"enabled": False}, {}),
        ({"trigger": Trigger.MANUAL}, {}),
        ({"filters": [FilterSpec("name", "other/**")]}, {}),
        ({"filters": [FilterSpec("tag", "v1", "excludes")]}, {}),
        ({"deletion": False}, {"action": "delete", "tag": ""}),
    ],
)
def test_a_rule_that_is_not_concerned_starts_nothing(pair, overrides, event):
    pair.make_rule(**{"trigger": Trigger.EVENT_BASED, **overrides})
    happen(pair.source_endpoint, **event)
    assert not Execution.objects.exists()


def test_a_rule_of_another_registry_is_not_concerned(pair):
    pair.make_rule(trigger=Trigger.EVENT_BASED)
    happen(pair.target_endpoint)
    assert not Execution.objects.exists()


def test_a_project_rule_takes_events_of_its_namespace_only(pair):
    project = make_project(name="test", endpoint=pair.source_endpoint)
    pair.make_rule(trigger=Trigger.EVENT_BASED, project=project)
    happen(pair.source_endpoint, "other/app")
    assert not Execution.objects.exists()
    happen(pair.source_endpoint, "test/app")
    assert Execution.objects.count() == 1


def test_a_burst_becomes_one_run_and_one_more(pair):
    pair.make_rule(trigger=Trigger.EVENT_BASED)
    digests = {}
    for number in range(20):
        digests[f"v{number}"] = pair.source.add_image("test/app", f"v{number}")
        happen(pair.source_endpoint, tag=f"v{number}")
    assert Execution.objects.count() == 1
    work()
    assert Execution.objects.count() == 2
    assert pair.target.tags("test/app") == digests
    assert not RuleEvent.objects.filter(taken_at__isnull=True).exists()


def test_a_target_that_is_away_does_not_hold_up_the_events_for_the_other(pair):
    away = make_endpoint(name="away", url="http://127.0.0.1:9")
    pair.make_rule(trigger=Trigger.EVENT_BASED, targets=[away, pair.target_endpoint])
    digests = {}
    for tag in ("v1", "v2"):
        digests[tag] = pair.source.add_image("test/app", tag)
        happen(pair.source_endpoint, tag=tag)
        Drain(Execution.objects.latest("id").pk).run()
    assert pair.target.tags("test/app") == digests
    assert Task.objects.filter(target=away, status=Status.PENDING).count() == 2


def test_events_of_a_rule_switched_off_meanwhile_are_dropped(pair):
    rule = pair.make_rule(trigger=Trigger.EVENT_BASED)
    happen(pair.source_endpoint, tag="v1")
    happen(pair.source_endpoint, tag="v2")
    rule.enabled = False
    rule.save()
    assert start_waiting(rule.pk) is None
    assert not RuleEvent.objects.filter(taken_at__isnull=True).exists()


def test_a_delete_by_digest_deletes_the_tags_it_had(pair):
    digest = pair.source.add_image("test/app", "v1")
    pair.make_rule(trigger=Trigger.EVENT_BASED, deletion=True)
    happen(pair.source_endpoint)
    work()
    pair.source.remove_tag("test/app", "v1")
    happen(pair.source_endpoint, tag="", action="delete", digest=digest)
    work()
    assert pair.target.tags("test/app") == {}


@pytest.fixture
def third() -> Iterator[MemoryRegistry]:
    with MemoryRegistry() as registry:
        yield registry


def test_a_push_to_the_first_arrives_at_the_end_of_a_chain_and_so_does_its_deletion(pair, third):
    end = make_endpoint(name="end", url=third.url)
    pair.make_rule(trigger=Trigger.EVENT_BASED, deletion=True)
    pair.make_rule(trigger=Trigger.EVENT_BASED, deletion=True, source=pair.target_endpoint, targets=[end])
    digest = pair.source.add_image("test/app", "v1")
    happen(pair.source_endpoint)
    work()
    assert third.tags("test/app") == {"v1": digest}
    pair.source.remove_tag("test/app", "v1")
    happen(pair.source_endpoint, tag="", action="delete", digest=digest)
    work()
    assert pair.target.tags("test/app") == third.tags("test/app") == {}


def test_two_masters_come_to_rest_and_end_equal(pair):
    there = pair.make_rule(trigger=Trigger.EVENT_BASED, deletion=True)
    back = pair.make_rule(
        trigger=Trigger.EVENT_BASED, deletion=True, source=pair.target_endpoint, targets=[pair.source_endpoint]
    )
    first = pair.source.add_image("test/app", "v1")
    happen(pair.source_endpoint)
    work()
    assert pair.target.tags("test/app") == {"v1": first}
    assert not back.executions.exists()

    second = pair.target.add_image("test/app", "v1", layer_sizes=[5])
    happen(pair.target_endpoint, digest=second)
    work()
    assert pair.source.tags("test/app") == {"v1": second}
    assert there.executions.count() == 1

    pair.source.remove_tag("test/app", "v1")
    happen(pair.source_endpoint, tag="", action="delete", digest=second)
    work()
    assert pair.target.tags("test/app") == {}


def test_three_masters_in_a_ring_come_to_rest(pair, third):
    end = make_endpoint(name="end", url=third.url)
    ring = [pair.source_endpoint, pair.target_endpoint, end]
    for here, there in zip(ring, ring[1:] + ring[:1], strict=True):
        pair.make_rule(trigger=Trigger.EVENT_BASED, source=here, targets=[there])
    digest = pair.source.add_image("test/app", "v1")
    happen(pair.source_endpoint)
    work()
    assert third.tags("test/app") == pair.target.tags("test/app") == {"v1": digest}
    assert Execution.objects.count() <= 3
