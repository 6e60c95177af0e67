"""The questions that these pages put to projects.access, and what becomes of a no."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from projects import access
from replication.models import Execution, Rule, Task
from replication.services import executions_visible_to, rules_visible_to


def visible_rule(request: HttpRequest, pk: int) -> Rule:
    """Return a rule that the viewer may see. Raises Http404."""
    return get_object_or_404(rules_visible_to(request.user), pk=pk)


def managed_rule(request: HttpRequest, pk: int) -> Rule:
    """Return a rule that the viewer may change. Raises Http404, PermissionDenied."""
    rule = visible_rule(request, pk)
    if not access.may_manage_rules(request.user, rule.project):
        raise PermissionDenied
    return rule


def runnable_rule(request: HttpRequest, pk: int) -> Rule:
    """Return a rule that the viewer may start. Raises Http404, PermissionDenied."""
    rule = visible_rule(request, pk)
    if not access.may_run_rules(request.user, rule.project):
        raise PermissionDenied
    return rule


def visible_execution(request: HttpRequest, pk: int) -> Execution:
    """Return an execution that the viewer may see. Raises Http404."""
    return get_object_or_404(executions_visible_to(request.user), pk=pk)


def runnable_execution(request: HttpRequest, pk: int) -> Execution:
    """Return an execution that the viewer may stop or repeat. Raises Http404, PermissionDenied."""
    execution = visible_execution(request, pk)
    if not access.may_run_rules(request.user, execution.project):
        raise PermissionDenied
    return execution


def visible_task(request: HttpRequest, pk: int) -> Task:
    """Return a task of an execution that the viewer may see. Raises Http404."""
    visible = executions_visible_to(request.user).values("pk")
    tasks = Task.objects.select_related("execution__rule", "execution__project")
    return get_object_or_404(tasks, pk=pk, execution__in=visible)
