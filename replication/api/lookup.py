"""Finding the rule, run or task that a path names, as far as the user may see it."""

from rest_framework.request import Request

from harborsync.lib.api.errors import NotFound
from harborsync.lib.api.views import path_id
from replication.models import Execution, Rule, Task
from replication.services import executions_visible_to, rules_visible_to


def policy_or_404(request: Request, text: str) -> Rule:
    """Return the rule of a path. Raises NotFound, Unprocessable."""
    return policy_with_id(request, path_id(text, name="id"))


def policy_with_id(request: Request, number: int) -> Rule:
    """Return the rule of this id. Raises NotFound."""
    rule = rules_visible_to(request.user).filter(pk=number).first()
    if rule is None:
        raise NotFound(f"replication policy {number} not found")
    return rule


def execution_or_404(request: Request, text: str) -> Execution:
    """Return the run of a path. Raises NotFound, Unprocessable."""
    number = path_id(text, name="id")
    execution = executions_visible_to(request.user).filter(pk=number).first()
    if execution is None:
        raise NotFound(f"replication execution {number} not found")
    return execution


def task_or_404(execution: Execution, text: str) -> Task:
    """Return the task of a path. Raises NotFound, Unprocessable."""
    number = path_id(text, name="task_id")
    task = execution.tasks.filter(pk=number).first()
    if task is None:
        raise NotFound(f"execution {execution.pk} contains no task with ID {number}")
    return task
