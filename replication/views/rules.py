"""The grid of rules, with the executions of the chosen one below."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Page
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from harborsync.lib.htmx import render_page
from harborsync.lib.paging import number_of, page_size_of, paginate, paginate_by_id, sort_by, text_of
from projects import access
from projects.models import Project
from projects.views.frame import project_context, replicated_project
from replication.forms.modes import Mode, mode_of
from replication.models import Execution, Rule
from replication.services import executions_visible_to, rules_visible_to

COLUMNS = {"name": "name", "trigger": "trigger", "enabled": "enabled", "next": "next_run_at", "created": "created_at"}
PARTS = {"rules": "replication/rules_grid.html", "executions": "replication/executions_grid.html"}


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule as the grid shows it."""

    rule: Rule
    mode: Mode
    last_run: Execution | None


@require_safe
@login_required
def rule_list(request: HttpRequest) -> HttpResponse:
    """Show the rules, and the executions of the one that `?rule=` names."""
    rules = rules_visible_to(request.user)
    if endpoint := number_of(request, "endpoint"):
        rules = rules.filter(Q(source=endpoint) | Q(targets__endpoint=endpoint)).distinct()
    context = rules_context(request, rules, project=None)
    return render_page(request, "replication/rules.html", context, parts=PARTS)


@require_safe
@login_required
def project_rules(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the rules and executions of one project: a tab of its page."""
    project = replicated_project(request, pk)
    context = {
        **project_context(request, project, tab="replication"),
        **rules_context(request, rules_visible_to(request.user).filter(project=project), project=project),
    }
    return render_page(request, "replication/project.html", context, parts=PARTS)


def rules_context(request: HttpRequest, rules: QuerySet[Rule], *, project: Project | None) -> dict[str, Any]:
    """Return what the grid of rules and the executions below it show."""
    text = text_of(request)
    if text:
        rules = rules.filter(Q(name__icontains=text) | Q(description__icontains=text))
    page = paginate(sort_by(with_last_run(rules), request, COLUMNS, default="-created"), request)
    chosen_pk = number_of(request, "rule")
    chosen = rules_visible_to(request.user).filter(pk=chosen_pk).first() if chosen_pk else None
    return {
        "page": page,
        "rows": rule_rows(page),
        "text": text,
        "chosen": chosen,
        "project": project,
        "may_create": access.may_manage_rules(request.user, project),
        "may_manage": access.may_manage_rules(request.user, chosen.project if chosen else project),
        "may_run": bool(chosen and access.may_run_rules(request.user, chosen.project)),
        **_executions_context(request, chosen, project),
    }


def _executions_context(request: HttpRequest, chosen: Rule | None, project: Project | None) -> dict[str, Any]:
    """Return the executions of the chosen rule; of a project without a chosen rule, all of it."""
    if chosen is None and project is None:
        return {"executions": None}
    executions = executions_visible_to(request.user)
    executions = executions.filter(rule=chosen) if chosen else executions.filter(project=project)
    listed = paginate_by_id(executions, request)
    title = _("Executions of %(rule)s") % {"rule": chosen.name} if chosen else _("Executions")
    return {
        "executions": listed,
        "executions_title": title,
        "show_rule": chosen is None,
        "page_size": page_size_of(request),
        "may_stop": access.may_run_rules(request.user, chosen.project if chosen else project),
        "refresh_seconds": refresh_seconds(listed.rows, is_first=listed.is_first),
    }


def with_last_run(rules: QuerySet[Rule]) -> QuerySet[Rule]:
    """Add the id of each rule's newest execution."""
    newest = Execution.objects.filter(rule=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    return rules.annotate(last_run_id=Subquery(newest))


def rule_rows(page: "Page[Rule]") -> list[RuleRow]:
    """Return the rows of a page of rules that `with_last_run` has annotated. Costs one query."""
    ids = {rule.pk: getattr(rule, "last_run_id", None) for rule in page}
    runs = Execution.objects.in_bulk([pk for pk in ids.values() if pk is not None])
    return [RuleRow(rule, mode_of(rule), runs.get(ids[rule.pk])) for rule in page]


def refresh_seconds(executions: Iterable[Execution], *, is_first: bool) -> int:
    """Return how often a list asks for news: 2 s while it moves, 5 s where new rows would show up, else never (0)."""
    if any(not execution.is_finished for execution in executions):
        return 2
    return 5 if is_first else 0
