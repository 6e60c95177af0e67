"""The page on which rules are made, changed and cloned, with its preview."""

from dataclasses import dataclass, field
from datetime import datetime

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from harborsync.lib.htmx import redirect_to, render_page
from harborsync.lib.paging import number_of
from harborsync.lib.viewer import signed_in
from projects import access
from projects.models import Project
from registry.platforms import PlatformTextError
from replication.filters import accepts_repository
from replication.forms import RuleEditor
from replication.forms.rows import change_rows
from replication.mapping import MappingError, map_repository
from replication.models import PlatformMode, Rule, Trigger
from replication.patterns import PatternError
from replication.schedules import CronError, next_runs
from replication.services.platforms import explain, opposite_rules, read_platforms
from replication.views.permission import managed_rule, visible_rule

EXAMPLE = "a/b/c/img"
PARTS = {"rule-form": "replication/rule_form.html", "rule-preview": "replication/rule_preview.html"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the example repository would go at one destination."""

    name: str
    repository: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What the rule as typed would do."""

    example: str
    is_taken: bool
    places: list[Place] = field(default_factory=list)
    runs: list[datetime] = field(default_factory=list)
    pattern_error: str = ""
    cron_error: str = ""
    platforms: str = ""
    platforms_error: str = ""


@require_http_methods(["GET", "POST"])
@login_required
def rule_new(request: HttpRequest) -> HttpResponseBase:
    """Create a rule, from nothing or (`?clone=`) from another one."""
    if not access.may_manage_rules(request.user, None):
        raise PermissionDenied
    clone = number_of(request, "clone")
    prototype = visible_rule(request, clone) if clone else None
    if prototype is not None:
        prototype.name = f"{prototype.name}-copy"[:255]
    return _edit(request, Rule(), prototype=prototype, title=_("New Replication Rule"))


@require_http_methods(["GET", "POST"])
@login_required
def rule_edit(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Change a rule. Runs under way go on as they began."""
    return _edit(request, managed_rule(request, pk), prototype=None, title=_("Edit Replication Rule"))


def _edit(request: HttpRequest, rule: Rule, *, prototype: Rule | None, title: str) -> HttpResponseBase:
    wish = request.POST.get("draft", "")
    typed = change_rows(request.POST, wish) if request.method == "POST" else None
    editor = RuleEditor(rule, typed=typed, prototype=prototype)
    if typed is None:
        editor.suggest(project=_project(request))
    elif not wish and not editor.is_valid():
        editor.show_all_errors()
    elif not wish and editor.save(by=signed_in(request)):
        messages.success(request, _("Saved replication rule %(name)s.") % {"name": rule.name})
        _warn_of_opposite_rules(request, rule)
        return redirect_to(request, f"{reverse('replication:rules')}?rule={rule.pk}")
    shown = preview(editor, request.POST.get("example", "")) if typed else None
    if wish:
        editor.hush()
    context = {
        "editor": editor,
        "form": editor.form,
        "title": title,
        "draft": bool(wish),
        "preview": shown,
        "back": _way_back(request, rule),
    }
    status = 422 if typed is not None and not wish else 200
    return render_page(request, "replication/edit.html", context, parts=PARTS, status=status)


def _warn_of_opposite_rules(request: HttpRequest, rule: Rule) -> None:
    if names := ", ".join(opposite_rules(rule).values_list("name", flat=True)):
        messages.warning(
            request,
            _(
                "%(rules)s copies the other way. An image with platforms left out is not sent back over the whole one "
                "that it was made from; only what is new on that side is."
            )
            % {"rules": names},
        )


def _project(request: HttpRequest) -> Project | None:
    pk = number_of(request, "project")
    return access.visible_projects(request.user).filter(pk=pk).first() if pk else None


def _way_back(request: HttpRequest, rule: Rule) -> str:
    if project := _project(request):
        return reverse("replication:project", args=[project.pk])
    return f"{reverse('replication:rules')}?rule={rule.pk}" if rule.pk else reverse("replication:rules")


def preview(editor: RuleEditor, example: str) -> Preview:
    """Say what the rule as typed would do with an example repository, and when it would run."""
    editor.is_valid()
    values = editor.form.cleaned_data
    project: Project | None = values.get("project")
    namespace = project.namespace if project else ""
    example = example.strip().strip("/") or (f"{namespace}/{EXAMPLE}" if namespace else EXAMPLE)
    pattern_error, is_taken = "", False
    try:
        is_taken = accepts_repository(editor.filter_specs(), example, namespace=namespace)
    except PatternError as error:
        pattern_error = str(error)
    runs, cron_error = _runs(values.get("trigger", ""), values.get("cron", ""), values.get("time_zone") or "UTC")
    platforms, platforms_error = _platforms(values.get("platforms") or "", values.get("platform_mode") or "")
    return Preview(
        example,
        is_taken,
        _places(editor, example),
        runs,
        pattern_error,
        cron_error,
        platforms=platforms,
        platforms_error=platforms_error,
    )


def _platforms(text: str, mode: str) -> tuple[str, str]:
    """Say what becomes of a multi-platform image, or what is wrong with the platforms."""
    try:
        platforms = read_platforms(text)
    except PlatformTextError as error:
        return "", explain(error)
    sentences = {
        PlatformMode.REWRITTEN: _("A multi-platform image becomes an index of %(platforms)s with a new digest."),
        PlatformMode.SPARSE: _(
            "A multi-platform image keeps its digest, and only %(platforms)s is there to be pulled."
        ),
        PlatformMode.SINGLE: _("A multi-platform image becomes the one image for %(platforms)s."),
    }
    sentence = sentences.get(PlatformMode(mode)) if mode in PlatformMode.values else None
    return (sentence % {"platforms": ", ".join(platforms)} if platforms and sentence else ""), ""


def _runs(trigger: str, cron: str, time_zone: str) -> tuple[list[datetime], str]:
    if trigger != Trigger.SCHEDULED:
        return [], ""
    try:
        return next_runs(cron, time_zone, now=timezone.now()), ""
    except CronError as error:
        return [], str(error)


def _places(editor: RuleEditor, example: str) -> list[Place]:
    """Return where the example would go; a destination that is not chosen yet is called so."""
    places = []
    for row in editor.targets:
        if not row.is_valid():
            continue
        values = row.cleaned_data
        name = values["endpoint"].name if values.get("endpoint") else _("destination")
        level = values["flatten_level"]
        try:
            repository = map_repository(example, namespace=values["namespace"].strip("/"), flatten_level=level)
            places.append(Place(name, repository))
        except MappingError as error:
            places.append(Place(name, "", str(error)))
    return places
