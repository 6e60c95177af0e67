"""The job functions: ids in, nothing out, safe to run twice."""

from celery import shared_task

from replication import services
from replication.models import Execution
from replication.queue import doorbell
from replication.runner import Drain
from replication.runner.turns import work_a_turn
from targets.models import Endpoint
from targets.services import check_endpoint as check


@shared_task(name=doorbell.DRAIN)
def drain(execution_id: int) -> None:
    """Work on an execution for a turn."""
    work_a_turn(lambda: work_on(execution_id))


def work_on(execution_id: int) -> None:
    """Work on an execution until nothing is left to claim, then let the events that waited for it follow."""
    Drain(execution_id).run()
    ended = Execution.objects.filter(pk=execution_id, ended_at__isnull=False).first()
    if ended is not None and ended.rule_id is not None:
        services.start_waiting(ended.rule_id)


@shared_task(name=doorbell.PROCESS_EVENTS)
def process_events() -> None:
    """Match stored events with rules, and work on what that starts: on one run here, which saves it the way."""
    for execution in (started := services.process_events())[1:]:
        doorbell.ring(execution.pk)
    for execution in started[:1]:
        drain(execution.pk)


@shared_task(name=doorbell.CHECK_ENDPOINT)
def check_endpoint(endpoint_id: int) -> None:
    """Check one endpoint's health."""
    endpoint = Endpoint.objects.filter(pk=endpoint_id).first()
    if endpoint is not None:
        check(endpoint)
