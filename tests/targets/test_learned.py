"""What a registry taught us is kept in its row, by whatever name the client has for it."""

import doctest
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from registry import learning
from registry.connection import Learned
from registry.learning import learned_document, learned_from
from targets import clients
from targets.clients import connection_for, keep_what_was_learned
from targets.learning import LEARNED_AT
from targets.models import Endpoint
from targets.services import save_endpoint
from tests.factories import make_endpoint


@pytest.fixture(autouse=True)
def restart():
    """Forget the connections, as a new process has none: `restart()`."""
    clients._kept.clear()
    yield clients._kept.clear
    clients._kept.clear()


def learned_in(endpoint: Endpoint) -> dict[str, Any]:
    """Return what the row has, without the time."""
    endpoint.refresh_from_db()
    return {key: value for key, value in endpoint.capabilities.items() if key != LEARNED_AT}


def test_the_examples_hold():
    assert not doctest.testmod(learning).failed


def test_plain_values_survive_and_nothing_else():
    learned = Learned(tag_delete=False, head_names_digest=False, chunk_limit_bytes=4 << 20, warnings={"old"})
    document = learned_document(learned)
    assert document == {"tag_delete": False, "head_names_digest": False, "chunk_limit_bytes": 4 << 20}
    again = learned_from(document)
    assert learned_document(again) == document
    assert again.warnings == set()


def test_every_field_is_kept_or_is_no_plain_value():
    nothing = Learned()
    for each in fields(Learned):
        assert isinstance(getattr(nothing, each.name), bool | int | float | str | set | None)


@pytest.mark.parametrize(
    "document",
    [{"tag_delete": "yes"}, {"tag_delete": 1}, {"chunk_limit_bytes": True}, {"warnings": ["x"]}, {"colour": "blue"}],
    ids=str,
)
def test_what_makes_no_sense_is_passed_over(document):
    assert learned_from(document) == Learned()


@pytest.mark.django_db
def test_what_one_process_learned_the_next_one_knows(restart):
    endpoint = make_endpoint()
    connection_for(endpoint).learned.tag_delete = False
    connection_for(endpoint).learned.chunk_limit_bytes = 1 << 20
    keep_what_was_learned()
    restart()
    endpoint.refresh_from_db()
    assert learned_in(endpoint) == {"tag_delete": False, "chunk_limit_bytes": 1 << 20}
    learned = connection_for(endpoint).learned
    assert (learned.tag_delete, learned.chunk_limit_bytes) == (False, 1 << 20)


@pytest.mark.django_db
def test_nothing_new_costs_no_query(django_assert_num_queries):
    endpoint = make_endpoint(capabilities={"tag_delete": True})
    connection_for(endpoint)
    with django_assert_num_queries(0):
        keep_what_was_learned()
    connection_for(endpoint).learned.head_names_digest = False
    keep_what_was_learned()
    with django_assert_num_queries(0):
        keep_what_was_learned()


@pytest.mark.django_db
def test_what_others_learned_meanwhile_stays(restart):
    endpoint = make_endpoint(capabilities={"chunk_limit_bytes": 5})
    connection = connection_for(endpoint)
    type(endpoint).objects.update(capabilities={"chunk_limit_bytes": 5, "tag_delete": True, "of_another_version": 1})
    connection.learned.head_names_digest = False
    connection.learned.chunk_limit_bytes = None
    keep_what_was_learned()
    assert learned_in(endpoint) == {"tag_delete": True, "of_another_version": 1, "head_names_digest": False}


@pytest.mark.django_db
def test_a_connection_follows_what_others_learn_and_keeps_its_own_news():
    endpoint = make_endpoint(capabilities={"chunk_limit_bytes": 5})
    learned = connection_for(endpoint).learned
    learned.head_names_digest = False
    endpoint.capabilities = {"chunk_limit_bytes": 5, "tag_delete": True}
    assert connection_for(endpoint).learned is learned
    assert (learned.tag_delete, learned.chunk_limit_bytes, learned.head_names_digest) == (True, 5, False)


@pytest.mark.django_db
def test_saving_a_registry_has_everything_found_out_anew():
    endpoint = make_endpoint(capabilities={"tag_delete": False})
    learned = connection_for(endpoint).learned
    save_endpoint(endpoint, secret=None)
    assert endpoint.capabilities == {}
    connection_for(endpoint)
    assert learned == Learned()
    keep_what_was_learned()
    assert learned_in(endpoint) == {}


@pytest.mark.django_db
def test_what_work_for_the_old_address_learns_is_not_kept_for_the_new_one():
    endpoint = make_endpoint(capabilities={"tag_delete": False}, url="http://old.example.com")
    old = connection_for(endpoint)
    endpoint.url = "http://new.example.com"
    save_endpoint(endpoint, secret=None)
    old.learned.chunk_limit_bytes = 7
    keep_what_was_learned()
    assert learned_in(endpoint) == {}
    assert connection_for(endpoint).learned == Learned()


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "is_believed"), [(timedelta(days=29), True), (timedelta(days=31), False)])
def test_a_month_later_everything_is_found_out_anew(restart, age, is_believed):
    learned_at = (timezone.now() - age).isoformat()
    endpoint = make_endpoint(capabilities={"tag_delete": False, "chunk_limit_bytes": 5, LEARNED_AT: learned_at})
    connection = connection_for(endpoint)
    assert connection.learned.tag_delete is (False if is_believed else None)

    connection.learned.head_names_digest = False
    keep_what_was_learned()
    kept = {"tag_delete": False, "chunk_limit_bytes": 5} if is_believed else {}
    assert learned_in(endpoint) == {**kept, "head_names_digest": False}
    assert (endpoint.capabilities[LEARNED_AT] == learned_at) is is_believed
