"""What is done to a rule after a question: run it, switch it on or off, delete it."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from harborsync.lib.htmx import redirect_to, render_page
from harborsync.lib.viewer import signed_in
from replication.forms import RunForm
from replication.models import Rule, Trigger
from replication.services import RuleDisabled, RuleIsActive, delete_rule, set_rule_enabled, start_execution
from replication.views.permission import managed_rule, runnable_rule


def ask(request: HttpRequest, question: Mapping[str, Any], *, refusal: str = "") -> HttpResponseBase:
    """Ask before something is done, or say why it was refused."""
    return render_page(request, "confirm.html", {**question, "refusal": refusal}, status=409 if refusal else 200)


def rule_url(rule: Rule) -> str:
    """Return the page that shows the rule with its executions."""
    return f"{reverse('replication:rules')}?rule={rule.pk}"


@require_http_methods(["GET", "POST"])
@login_required
def rule_replicate(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Start a run of the rule and lead to it."""
    rule = runnable_rule(request, pk)
    question = {
        "title": _("Confirm Replication Rule Execution"),
        "question": _("Do you want to execute replication rule %(name)s?") % {"name": rule.name},
        "form": RunForm(),
        "verb": _("Replicate"),
        "back": rule_url(rule),
    }
    if request.method != "POST":
        return ask(request, question)
    try:
        execution = start_execution(
            rule, trigger=Trigger.MANUAL, by=signed_in(request), verify="verify" in request.POST
        )
    except RuleDisabled as error:
        return ask(request, question, refusal=str(error))
    if execution.status_text:
        messages.warning(request, execution.status_text)
    return redirect_to(request, reverse("replication:execution", args=[execution.pk]))


@require_http_methods(["GET", "POST"])
@login_required
def rule_enable(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Switch the rule on; what is there already can be copied at once."""
    rule = managed_rule(request, pk)
    if request.method == "POST":
        wants_existing = "replicate_existing" in request.POST
        set_rule_enabled(rule, enabled=True, by=signed_in(request), replicate_existing=wants_existing)
        messages.success(request, _("Enabled rule %(name)s.") % {"name": rule.name})
        return redirect_to(request, rule_url(rule))
    question = {
        "title": _("Enable rule"),
        "question": _("Do you want to enable rule %(name)s?") % {"name": rule.name},
        "verb": _("Enable"),
        "offers_existing": True,
        "back": rule_url(rule),
    }
    return ask(request, question)


@require_http_methods(["GET", "POST"])
@login_required
def rule_deactivate(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Switch the rule off."""
    rule = managed_rule(request, pk)
    if request.method == "POST":
        set_rule_enabled(rule, enabled=False, by=signed_in(request), replicate_existing=False)
        messages.success(request, _("Deactivated rule %(name)s.") % {"name": rule.name})
        return redirect_to(request, rule_url(rule))
    question = {
        "title": _("Deactivate rule"),
        "question": _("Do you want to deactivate rule %(name)s?") % {"name": rule.name},
        "consequence": _("Executions that are under way go on."),
        "verb": _("Deactivate"),
        "dangerous": True,
        "back": rule_url(rule),
    }
    return ask(request, question)


@require_http_methods(["GET", "POST"])
@login_required
def rule_delete(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Delete the rule unless it is running."""
    rule = managed_rule(request, pk)
    question = {
        "title": _("Confirm Replication Rule Deletion"),
        "question": _("Do you want to delete replication rule %(name)s?") % {"name": rule.name},
        "consequence": _("Its executions stay in the list of jobs. Images are not touched."),
        "verb": _("Delete"),
        "dangerous": True,
        "back": rule_url(rule),
    }
    if request.method != "POST":
        return ask(request, question)
    try:
        delete_rule(rule)
    except RuleIsActive as error:
        return ask(request, question, refusal=str(error))
    messages.success(request, _("Deleted replication rule %(name)s.") % {"name": rule.name})
    return redirect_to(request, reverse("replication:rules"))
