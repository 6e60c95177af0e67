"""Whole executions against registries that want to be left alone, and under limits of our own."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.utils import timezone

from registry.testkit import MemoryRegistry, known_faults
from registry.testkit.faults import Fault
from replication.filters import FilterSpec
from replication.models import Status
from replication.services import stop_execution
from targets.limits import gate_for
from tests.factories import make_endpoint
from tests.replication.test_drain import drain_until_finished
from tests.web.reading import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _settings_of_tests(settings, valkey_server):
    settings.REDIS_URL = valkey_server.url
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


def seconds_left(moment) -> float:
    return (moment - timezone.now()).total_seconds()


def dated(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def hub_headers(remaining: int) -> Fault:
    """Docker Hub's headers on manifests."""

    def rewrite(response, request):
        headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": f"{remaining};w=21600"}
        return replace(response, headers={**response.headers, **headers})

    return Fault(path_pattern="/manifests/", times=None, action="alter", rewrite=rewrite)


@pytest.mark.parametrize("retry_after", ["90", "date"])
def test_a_refused_listing_of_tags_parks_all_work_for_that_registry(pair, run, retry_after):
    for number in range(20):  # more than are looked at together
        pair.source.add_image(f"test/app-{number}", "v1")
    value = dated(90) if retry_after == "date" else retry_after
    pair.target.faults.add(known_faults.rate_limited(times=None, retry_after=value))

    execution = run(pair.make_rule())

    assert execution.status == Status.RUNNING
    tasks = list(execution.tasks.all())
    assert {(task.status, task.reason_code, task.started_at) for task in tasks} == {("pending", "rate_limited", None)}
    assert all(60 < seconds_left(task.next_attempt_at) <= 91 for task in tasks)
    reasons = [task.reason for task in tasks]
    assert any("the registry answered 429" in reason for reason in reasons)
    assert any(reason.endswith("s of patience (HTTP 429)") for reason in reasons)
    assert all(reason.startswith("target: ") for reason in reasons)  # by the name of the one that asked
    # Those that were under way together were refused; the others never asked.
    assert len(pair.target.requests) < 20


def test_a_refused_catalogue_parks_the_listing(pair, run):
    pair.source.faults.add(known_faults.rate_limited(retry_after="90"))
    execution = run(pair.make_rule())
    assert (execution.status, execution.reason_code) == (Status.PENDING, "rate_limited")
    assert 60 < seconds_left(execution.next_attempt_at) <= 91


def test_a_refusal_without_a_time_is_tried_again_with_growing_pauses(pair, run):
    digest = pair.source.add_image("test/app", "v1")
    pair.target.faults.add(known_faults.rate_limited(times=4, retry_after=None))
    execution = drain_until_finished(run(pair.make_rule()))
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}


def test_a_short_patience_is_enough(pair, run):
    digest = pair.source.add_image("test/app", "v1")
    pair.target.faults.add(known_faults.rate_limited(times=3, retry_after="1"))
    execution = drain_until_finished(run(pair.make_rule()))
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}


def test_a_rate_limit_is_never_given_up(pair, run, settings):
    settings.RETRY_GIVE_UP_SECONDS = 0
    pair.source.add_image("test/app", "v1")
    pair.target.faults.add(known_faults.rate_limited(times=3, retry_after="1"))
    assert drain_until_finished(run(pair.make_rule())).status == Status.SUCCEEDED


def test_used_up_pulls_park_what_is_left_before_anything_is_refused(pair, run):
    for number in range(8):
        pair.source.add_image("test/app", f"v{number}", layer_sizes=[100 + number])
    pair.source.faults.add(hub_headers(remaining=0))

    execution = run(pair.make_rule(filters=[FilterSpec("name", "test/app")]))

    assert execution.status == Status.RUNNING
    waiting = execution.tasks.get()
    assert "0 of 100 pulls in 6 h are left at the registry" in waiting.reason
    assert 150 < seconds_left(waiting.next_attempt_at) <= 217


def test_the_page_of_the_job_says_why_an_artifact_waits_and_until_when(pair, run, admin_client):
    pair.source.add_image("test/app", "v1")
    pair.target.faults.add(known_faults.rate_limited(retry_after="90", pattern="/blobs/uploads/"))

    execution = run(pair.make_rule())

    transfer = execution.transfers.get()
    assert (transfer.status, transfer.reason_code, transfer.started_at) == ("pending", "rate_limited", None)
    text = text_of(admin_client.get(f"/executions/{execution.pk}/"))
    assert "1 artifact waits for another attempt. Waiting until 20" in text
    assert ": target: Opening an upload to test/app: the registry answered 429" in text


def test_the_page_of_the_job_says_why_a_repository_waits_and_until_when(pair, run, admin_client):
    pair.source.add_image("test/app", "v1")
    pair.target.faults.add(known_faults.rate_limited(times=None, retry_after="90"))

    execution = run(pair.make_rule())

    task = execution.tasks.get()
    for address in (f"/executions/{execution.pk}/", f"/tasks/{task.pk}/"):
        text = text_of(admin_client.get(address))
        assert "Reading the tags of test/app: the registry answered 429" in text
        assert "Waiting until 20" in text


def test_the_page_of_the_job_says_why_the_listing_waits_and_until_when(pair, run, admin_client):
    pair.source.faults.add(known_faults.rate_limited(retry_after="90"))
    execution = run(pair.make_rule())
    text = text_of(admin_client.get(f"/executions/{execution.pk}/"))
    assert "Reading the catalogue: the registry answered 429" in text
    assert "Waiting until 20" in text


def test_an_upload_session_is_closed_though_the_registry_wants_to_be_left_alone(pair, run):
    pair.source.add_image("test/app", "v1", layer_sizes=[50_000])
    pair.target.faults.add(known_faults.rate_limited(times=1, retry_after="90", pattern=r"/blobs/uploads/[^/?]+"))
    run(pair.make_rule())
    assert pair.target.requests_for("DELETE")


def test_an_execution_stays_below_the_requests_of_a_second(pair, run):
    for number in range(5):
        pair.source.add_image("test/app", f"v{number}", layer_sizes=[100 + number])
    pair.target_endpoint.requests_per_second = 20
    pair.target_endpoint.save()
    began = timezone.now()

    execution = drain_until_finished(run(pair.make_rule()), seconds=60)

    took = (timezone.now() - began).total_seconds()
    assert execution.status == Status.SUCCEEDED
    assert took > (len(pair.target.requests) - 10) / 20


@pytest.mark.parametrize("connections", [1, 2, 3])
def test_few_connections_are_enough(pair, run, connections):
    digests = {tag: pair.source.add_image("test/app", tag, layer_sizes=[300_000, 2000, 30]) for tag in ("v1", "v2")}
    for endpoint in (pair.source_endpoint, pair.target_endpoint):
        endpoint.max_connections = connections
        endpoint.save()
    execution = drain_until_finished(run(pair.make_rule()), seconds=60)
    assert execution.status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == digests


def test_one_connection_each_is_enough_for_several_targets(pair, run):
    digests = {tag: pair.source.add_image("test/app", tag, layer_sizes=[300_000, 2000, 30]) for tag in ("v1", "v2")}
    with MemoryRegistry() as third:
        other = make_endpoint(url=third.url)
        for endpoint in (pair.source_endpoint, pair.target_endpoint, other):
            endpoint.max_connections = 1
            endpoint.save()
        execution = drain_until_finished(run(pair.make_rule(targets=[pair.target_endpoint, other])), seconds=200)
        assert third.tags("test/app") == pair.target.tags("test/app") == digests
    assert execution.status == Status.SUCCEEDED


def test_bandwidth_is_kept(pair, run):
    pair.source.add_image("test/app", "v1", layer_sizes=[200_000])
    pair.target_endpoint.kilobits_per_second = 800
    pair.target_endpoint.save()
    began = timezone.now()
    assert run(pair.make_rule()).status == Status.SUCCEEDED
    assert (timezone.now() - began).total_seconds() > 1


def test_without_redis_everything_is_copied_as_if_there_were_no_limits(pair, run, settings):
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    digest = pair.source.add_image("test/app", "v1")
    pair.target_endpoint.requests_per_second = 1
    pair.target_endpoint.max_connections = 1
    pair.target_endpoint.save()
    assert run(pair.make_rule()).status == Status.SUCCEEDED
    assert pair.target.tags("test/app") == {"v1": digest}


def test_a_stop_ends_what_is_parked(pair, run):
    pair.source.add_image("test/app", "v1")
    pair.target.faults.add(known_faults.rate_limited(times=None, retry_after="600"))
    execution = run(pair.make_rule())
    pause = gate_for(pair.target_endpoint).ledger.pause()
    assert pause is not None
    assert pause.seconds > 500

    stop_execution(execution, by=None)

    execution.refresh_from_db()
    assert execution.status == Status.STOPPED
