"""Call workers. A message carries a name and an id; when it is lost, the sweep rings again."""

import logging

from celery import current_app
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from replication.models import Execution

logger = logging.getLogger(__name__)

DRAIN = "replication.drain"
PROCESS_EVENTS = "replication.process_events"
CHECK_ENDPOINT = "replication.check_endpoint"


def ring(execution_id: int, *, workers: int = 1) -> None:
    """Call `workers` workers to an execution, once the rows they need are committed."""
    Execution.objects.filter(pk=execution_id).update(rung_at=timezone.now())
    for _ in range(workers):
        call(DRAIN, execution_id)


def call(job_function: str, *ids: int) -> None:
    """Have a job function run somewhere, after the present transaction. A broker that is away is no error."""
    transaction.on_commit(lambda: _send(job_function, ids))


def _send(job_function: str, ids: tuple[int, ...]) -> None:
    try:
        current_app.send_task(job_function, args=ids, ignore_result=True, retry=False)
    except OperationalError as error:
        logger.warning("doorbell.unheard job=%s ids=%s error=%s", job_function, ids, error)
