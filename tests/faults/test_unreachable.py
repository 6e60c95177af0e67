"""Registries that are not there: never, not yet, not any more."""

import threading

import pytest

from registry.testkit import known_faults
from replication.models import Status, Trigger
from replication.runner import Drain
from replication.services import start_execution
from tests.faults.cases import BEARER, fails
from tests.faults.conftest import set_credentials
from tests.faults.soundness import assert_sound, finish, replicate

pytestmark = pytest.mark.django_db

SIDES = ("source", "target")


def side_of(pair, side):
    """Give the registry and the row of one side."""
    if side == "source":
        return pair.source, pair.source_endpoint
    return pair.target, pair.target_endpoint


@pytest.mark.parametrize("side", SIDES)
def test_a_registry_where_nobody_listens_ends_as_refused(pair, settings, side):
    settings.RETRY_GIVE_UP_SECONDS = 0.1
    pair.source.add_image("test/app", "v1")
    side_of(pair, side)[0].stop()
    execution = replicate(pair.make_rule())
    fails("refused").check(pair, execution)
    assert_sound(pair, execution)


@pytest.mark.parametrize("side", SIDES)
def test_a_registry_that_comes_up_later_gets_what_waited(pair, side):
    pair.source.add_image("test/app", "v1")
    registry, _ = side_of(pair, side)
    registry.stop()
    execution = start_execution(pair.make_rule(), trigger=Trigger.MANUAL)
    Drain(execution.pk).run()
    registry.start()
    execution = finish(execution)
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == pair.source.tags("test/app")
    assert_sound(pair, execution)


@pytest.mark.parametrize("side", SIDES)
def test_a_host_name_that_nobody_knows_ends_as_dns(pair, settings, side):
    settings.RETRY_GIVE_UP_SECONDS = 0
    pair.source.add_image("test/app", "v1")
    _, endpoint = side_of(pair, side)
    endpoint.url = "http://registry.invalid"  # RFC 6761: never resolves
    endpoint.save()
    execution = replicate(pair.make_rule())
    fails("dns").check(pair, execution)
    assert_sound(pair, execution)


@pytest.mark.parametrize("side", SIDES)
def test_a_host_name_that_is_known_later_is_no_failure(pair, side):
    pair.source.add_image("test/app", "v1")
    registry, endpoint = side_of(pair, side)
    endpoint.url = "http://registry.invalid"
    endpoint.save()
    execution = start_execution(pair.make_rule(), trigger=Trigger.MANUAL)
    Drain(execution.pk).run()
    endpoint.url = registry.url
    endpoint.save()
    assert finish(execution).status == Status.SUCCEEDED
    assert_sound(pair, execution)


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize("side", SIDES)
def test_a_wrong_password_ends_as_unauthorized(make_pair, side, auth):
    pair = make_pair(**{side: {**BEARER, "auth": auth}})
    pair.source.add_image("test/app", "v1")
    set_credentials(side_of(pair, side)[1], secret="wrong")
    execution = replicate(pair.make_rule())
    fails("unauthorized").check(pair, execution)
    assert_sound(pair, execution)


def test_a_missing_right_to_push_ends_as_denied_before_a_byte_moves(make_pair):
    pair = make_pair(target={**BEARER, "grants": {"test/*": ["pull"]}})
    pair.source.add_image("test/app", "v1")
    execution = replicate(pair.make_rule())
    fails("denied").check(pair, execution)
    assert not pair.target.requests_for("PUT")
    assert not pair.target.requests_for("PATCH")
    assert_sound(pair, execution)


@pytest.mark.parametrize("side", SIDES)
def test_a_registry_that_is_killed_in_the_middle_of_a_layer_and_comes_back_is_no_failure(pair, side):
    pair.source.add_image("test/app", "v1", layer_sizes=[2_000_000])
    registry, _ = side_of(pair, side)
    # The layer is slow on its way in, so that the registry goes while it is on the way.
    pair.source.faults.add(known_faults.slow_drip(0.002, times=1, after_bytes=300_000))
    execution = start_execution(pair.make_rule(), trigger=Trigger.MANUAL)
    is_moving = threading.Event()

    def kill_when_it_moves():
        for _ in range(2_000):
            if pair.source.requests_for("GET", "/blobs/"):
                is_moving.set()
                registry.stop()
                registry.start()
                return
            threading.Event().wait(0.005)

    killer = threading.Thread(target=kill_when_it_moves)
    killer.start()
    execution = finish(execution)
    killer.join()
    assert is_moving.is_set()
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == pair.source.tags("test/app")
    assert_sound(pair, execution)
