"""429: what is limited is parked until the time that the registry names, and nobody sleeps for it."""

from datetime import timedelta
from email.utils import format_datetime

import pytest
from django.utils import timezone

from registry.testkit import MemoryRegistry, known_faults
from registry.testkit.known_faults import BLOB, LISTING, MANIFEST, UPLOADS
from replication.models import Execution, Status, Task, Transfer, Trigger
from replication.plan import Scope
from replication.runner import Drain
from replication.services import start_execution
from targets.limits import forget_gates
from tests.factories import make_endpoint
from tests.faults.soundness import assert_sound, finish

pytestmark = pytest.mark.django_db

ASKED_SECONDS = 120


def in_seconds(now):
    return str(ASKED_SECONDS)


def as_a_date(now):
    return format_datetime(now + timedelta(seconds=ASKED_SECONDS), usegmt=True)


STAGES = {
    "listing the source": ("source", LISTING, Execution),
    "asking the source for its tags": ("source", r"/tags/list", Task),
    "asking the source for digests": ("source", MANIFEST, Task),
    "asking the target for its tags": ("target", r"/tags/list", Task),
    "asking the target for digests": ("target", MANIFEST, Task),
    "reading a blob": ("source", BLOB, Transfer),
    "writing a blob": ("target", UPLOADS, Transfer),
}


@pytest.mark.parametrize("write_time", [in_seconds, as_a_date])
@pytest.mark.parametrize("stage", STAGES)
def test_what_is_limited_is_parked_until_the_time_asked_for_and_then_succeeds(pair, stage, write_time):
    side, pattern, model = STAGES[stage]
    digest = pair.source.add_image("test/app", "v1")
    if stage == "asking the target for digests":
        pair.target.add_image("test/app", "v1", layer_sizes=[7])  # a tag that it has is asked for
    registry = pair.source if side == "source" else pair.target
    registry.faults.add(known_faults.rate_limited(1, retry_after=write_time(timezone.now()), pattern=pattern))
    execution = start_execution(pair.make_rule(), trigger=Trigger.MANUAL)
    began_at = timezone.now()

    Drain(execution.pk).run()

    parked = model.objects.get()
    assert (parked.status, parked.reason_code, parked.lease_owner) == (Status.PENDING, "rate_limited", "")
    asked_for = began_at + timedelta(seconds=ASKED_SECONDS)
    assert abs(parked.next_attempt_at - asked_for) < timedelta(seconds=5)
    assert timezone.now() - began_at < timedelta(seconds=5), "somebody slept"
    assert_nothing_is_asked_before_its_time(pair, execution)
    let_the_time_come(model)
    execution = finish(execution)
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}
    assert_sound(pair, execution)


def assert_nothing_is_asked_before_its_time(pair, execution):
    asked = len(pair.source.requests), len(pair.target.requests)
    Drain(execution.pk).run()
    execution.refresh_from_db()
    assert not execution.is_finished
    assert (len(pair.source.requests), len(pair.target.requests)) == asked


def let_the_time_come(model):
    """Put the row's clock forward, and forget that the registry asked everybody to keep away."""
    forget_gates()
    model.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())


@pytest.mark.parametrize("side", ["source", "target"])
def test_without_a_time_the_usual_pause_is_made(pair, settings, side):
    settings.RETRY_BASE_SECONDS = settings.RETRY_CAP_SECONDS = 30
    pair.source.add_image("test/app", "v1")
    registry, pattern = (pair.source, MANIFEST) if side == "source" else (pair.target, r"/tags/list")
    registry.faults.add(known_faults.rate_limited(1, retry_after=None, pattern=pattern))
    execution = start_execution(pair.make_rule(), trigger=Trigger.MANUAL)

    Drain(execution.pk).run()

    parked = Task.objects.get()
    assert (parked.status, parked.reason_code) == (Status.PENDING, "rate_limited")
    assert timedelta(0) < parked.next_attempt_at - timezone.now() <= timedelta(seconds=30)
    let_the_time_come(Task)
    assert finish(execution).status == Status.SUCCEEDED
    assert_sound(pair, execution)


@pytest.mark.parametrize("retry_after", ["86400", "1e400"])
def test_a_time_too_far_away_is_cut_to_ten_minutes(pair, retry_after):
    pair.source.add_image("test/app", "v1")
    pair.source.faults.add(known_faults.rate_limited(1, retry_after=retry_after, pattern=MANIFEST))
    execution = start_execution(pair.make_rule(), trigger=Trigger.MANUAL)
    Drain(execution.pk).run()
    assert Task.objects.get().next_attempt_at - timezone.now() <= timedelta(seconds=600)


@pytest.mark.parametrize("retry_after", ["soon", "-5", "NaN", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_time_that_is_none_is_no_trouble(pair, retry_after):
    digest = pair.source.add_image("test/app", "v1")
    pair.target.faults.add(known_faults.rate_limited(2, retry_after=retry_after))
    execution = start_execution(pair.make_rule(), trigger=Trigger.MANUAL)
    execution = finish(execution)
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}
    assert_sound(pair, execution)


def test_a_deletion_is_parked_as_well(pair):
    digest = pair.source.add_image("test/app", "v1")
    rule = pair.make_rule(deletion=True)
    finish(start_execution(rule, trigger=Trigger.MANUAL))
    pair.source.remove_tag("test/app", "v1")
    pair.target.faults.add(known_faults.rate_limited(1, retry_after=str(ASKED_SECONDS), pattern=MANIFEST))
    execution = start_execution(rule, trigger=Trigger.EVENT_BASED, scope=[Scope("test/app", deleted_digests=(digest,))])
    Drain(execution.pk).run()
    assert pair.target.tags("test/app") == {"v1": digest}
    let_the_time_come(Task)
    execution = finish(execution)
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {}
    assert_sound(pair, execution)


def test_a_limit_of_one_target_does_not_park_the_other(pair):
    digest = pair.source.add_image("test/app", "v1")
    pair.target.faults.add(known_faults.rate_limited(1, retry_after=str(ASKED_SECONDS), pattern=UPLOADS))
    with MemoryRegistry() as other:
        rule = pair.make_rule(targets=[pair.target_endpoint, make_endpoint(name="other", url=other.url)])
        execution = start_execution(rule, trigger=Trigger.MANUAL)
        Drain(execution.pk).run()
        assert other.tags("test/app") == {"v1": digest}
        assert pair.target.tags("test/app") == {}
        let_the_time_come(Transfer)
        assert finish(execution).status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}
