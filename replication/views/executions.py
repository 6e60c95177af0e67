"""One execution: how it goes, its tasks, what failed; stopping and repeating it."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Max
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from harborsync.lib.htmx import redirect_to, render_page, wants_part
from harborsync.lib.paging import paginate
from harborsync.lib.viewer import signed_in
from projects import access
from replication.forms import RunForm, TaskSearchForm
from replication.models import Execution, Rule, Status, Task, Trigger
from replication.services import RuleDisabled, retry_failed, start_execution, stop_execution
from replication.views.logs import log_context
from replication.views.permission import runnable_execution, visible_execution
from replication.views.progress import report_progress
from replication.views.rule_actions import ask

PARTS = {
    "execution": "replication/execution_state.html",
    "tasks": "replication/tasks_grid.html",
    "log": "replication/log.html",
}
MAX_REASONS = 10


@require_safe
@login_required
def execution_detail(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Show an execution; its parts ask for news while it moves."""
    execution = visible_execution(request, pk)
    context: dict[str, Any] = {
        "execution": execution,
        "may_run": access.may_run_rules(request.user, execution.project),
        "refresh_seconds": 0 if execution.is_finished else 2,
        "log_url": reverse("replication:execution-log", args=[pk]),
        "log_download_url": reverse("replication:execution-log-download", args=[pk]),
    }
    if wants_part(request, "execution"):
        context["progress"] = report_progress(execution, now=timezone.now())
        context["failures"] = _failures(execution)
        context["waiting"] = _waiting(execution)
    if wants_part(request, "tasks"):
        context["search"] = search = TaskSearchForm(request.GET)
        context["page"] = paginate(search.narrow(execution.tasks.all()).order_by("pk"), request)
    if wants_part(request, "log"):
        context |= log_context(request, execution.log_lines.filter(task=None), is_over=execution.is_finished)
    return render_page(request, "replication/execution.html", context, parts=PARTS)


def _failures(execution: Execution) -> list[dict[str, Any]]:
    """Return how many tasks failed for which reason, the most frequent first."""
    if not execution.tasks_failed:
        return []
    failed = execution.tasks.filter(status=Status.FAILED).order_by().values("reason_code")
    counted = failed.annotate(count=Count("pk"), example=Max("reason")).order_by("-count")
    return [dict(row) for row in counted[:MAX_REASONS]]


def _waiting(execution: Execution) -> list[dict[str, Any]]:
    """Return how many repositories and artifacts wait for another attempt, and which of each is the first to get it."""
    if execution.is_finished:
        return []
    found = []
    for rows in (execution.tasks.all(), execution.transfers.all()):
        waiting = rows.filter(status=Status.PENDING, next_attempt_at__isnull=False)
        first = waiting.order_by("next_attempt_at").first()
        if first is not None:
            found.append({"first": first, "count": waiting.count(), "is_repositories": isinstance(first, Task)})
    return found


@require_http_methods(["GET", "POST"])
@login_required
def execution_stop(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Ask, then stop a run. One that is over already stays as it is."""
    execution = runnable_execution(request, pk)
    back = reverse("replication:execution", args=[pk])
    if request.method == "POST":
        stop_execution(execution, by=signed_in(request))
        messages.success(request, _("Execution %(id)s is being stopped.") % {"id": pk})
        return redirect_to(request, back)
    question = {
        "title": _("Confirm Stop Executions"),
        "question": _("Do you want to stop the execution %(id)s?") % {"id": pk},
        "consequence": _("What has arrived stays at the destination; the rest is not copied."),
        "verb": _("Stop"),
        "dangerous": True,
        "back": back,
    }
    return ask(request, question)


@require_http_methods(["GET", "POST"])
@login_required
def execution_retry(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Ask, then begin a run of what failed or was stopped in this one."""
    execution = runnable_execution(request, pk)
    count = execution.tasks_failed + execution.tasks_stopped
    sentence = ngettext(
        "Do you want to replicate the %(count)d repository again that failed or was stopped?",
        "Do you want to replicate the %(count)d repositories again that failed or were stopped?",
        count,
    )
    question = {
        "title": _("Retry failed"),
        "question": sentence % {"count": count},
        "verb": _("Retry"),
        "back": reverse("replication:execution", args=[pk]),
    }
    if request.method != "POST":
        return ask(request, question)
    try:
        again = retry_failed(execution, by=signed_in(request))
    except (RuleDisabled, Rule.DoesNotExist) as error:
        return ask(request, question, refusal=str(error))
    return redirect_to(request, reverse("replication:execution", args=[again.pk]))


@require_http_methods(["GET", "POST"])
@login_required
def execution_again(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Ask, then run the whole rule again."""
    execution = runnable_execution(request, pk)
    question = {
        "title": _("Run again"),
        "question": _("Do you want to execute replication rule %(name)s?") % {"name": execution.rule_name},
        "form": RunForm(initial={"verify": execution.verify}),
        "verb": _("Replicate"),
        "back": reverse("replication:execution", args=[pk]),
    }
    if execution.rule is None:
        return ask(request, question, refusal=_("The rule of this execution was deleted."))
    if request.method != "POST":
        return ask(request, question)
    try:
        again = start_execution(
            execution.rule, trigger=Trigger.MANUAL, by=signed_in(request), verify="verify" in request.POST
        )
    except RuleDisabled as error:
        return ask(request, question, refusal=str(error))
    return redirect_to(request, reverse("replication:execution", args=[again.pk]))
