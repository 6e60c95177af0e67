"""What can be looked for; all of it comes from the URL, and what cannot be read is left out."""

from typing import Any, cast

from django import forms
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from harborsync.lib.paging import LARGEST_ID
from projects.models import Project
from replication.models import Execution, LogLine, Rule, RuleTarget, Status, Task, Trigger
from targets.models import Endpoint

MAX_CHOICES = 1000


def _any_of(choices: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [("", pgettext_lazy("filter", "Any")), *choices]


class ExecutionSearchForm(forms.Form):
    """Which executions to list."""

    rule = forms.TypedChoiceField(label=_("Rule"), required=False, coerce=int)
    project = forms.TypedChoiceField(label=_("Project"), required=False, coerce=int)
    target = forms.TypedChoiceField(label=_("Destination"), required=False, coerce=int)
    status = forms.ChoiceField(label=_("Status"), required=False, choices=_any_of(Status.choices))
    trigger = forms.ChoiceField(label=_("Trigger"), required=False, choices=_any_of(Trigger.choices))
    since = forms.DateTimeField(
        label=_("From"), required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    until = forms.DateTimeField(
        label=_("To"), required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    q = forms.CharField(
        label=_("Filter Executions"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": _("Rule, reason, user or ID")}),
    )

    def __init__(
        self,
        *args: Any,
        rules: QuerySet[Rule],
        projects: QuerySet[Project],
        targets: QuerySet[Endpoint],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        for name, rows in (("rule", rules), ("project", projects), ("target", targets)):
            named = rows.order_by("name").values_list("pk", "name")[:MAX_CHOICES]
            cast(forms.TypedChoiceField, self.fields[name]).choices = _any_of([(str(pk), label) for pk, label in named])

    def narrow(self, executions: QuerySet[Execution]) -> QuerySet[Execution]:
        """Return the executions that are looked for."""
        self.is_valid()
        wanted = self.cleaned_data
        for name in ("rule", "project", "status", "trigger"):
            if wanted.get(name):
                executions = executions.filter(**{name: wanted[name]})
        if wanted.get("target"):
            writes_there = RuleTarget.objects.filter(rule=OuterRef("rule"), endpoint=wanted["target"])
            executions = executions.filter(Exists(writes_there))
        if wanted.get("since"):
            executions = executions.filter(created_at__gte=wanted["since"])
        if wanted.get("until"):
            executions = executions.filter(created_at__lte=wanted["until"])
        return executions.filter(_mentions(wanted["q"])) if wanted.get("q") else executions


def _mentions(text: str) -> Q:
    condition = Q(rule_name__icontains=text) | Q(status_text__icontains=text) | Q(requested_by_name__icontains=text)
    number = text.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) < 19 and int(number) <= LARGEST_ID:
        condition |= Q(pk=int(number))
    return condition


class TaskSearchForm(forms.Form):
    """Which tasks of an execution to list."""

    status = forms.ChoiceField(label=_("Status"), required=False, choices=_any_of(Status.choices))
    q = forms.CharField(
        label=_("Filter Tasks"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": _("Repository, destination or reason")}),
    )

    def narrow(self, tasks: QuerySet[Task]) -> QuerySet[Task]:
        """Return the tasks that are looked for."""
        self.is_valid()
        if status := self.cleaned_data.get("status"):
            tasks = tasks.filter(status=status)
        if text := self.cleaned_data.get("q"):
            tasks = tasks.filter(
                Q(source_repository__icontains=text)
                | Q(target_repository__icontains=text)
                | Q(target_name__icontains=text)
                | Q(reason__icontains=text)
                | Q(reason_code=text)
            )
        return tasks


class LogSearchForm(forms.Form):
    """Which lines of a log to show."""

    level = forms.ChoiceField(
        label=pgettext_lazy("log", "Level"),
        required=False,
        choices=_any_of(
            [
                ("warning", pgettext_lazy("log", "Warnings and errors")),
                ("error", pgettext_lazy("log", "Errors")),
            ]
        ),
    )
    q = forms.CharField(
        label=_("Search the log"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": _("Search the log")}),
    )

    def narrow(self, lines: QuerySet[LogLine]) -> QuerySet[LogLine]:
        """Return the lines that are looked for."""
        self.is_valid()
        levels = {"warning": ("warning", "error"), "error": ("error",)}.get(self.cleaned_data.get("level", ""))
        if levels:
            lines = lines.filter(level__in=levels)
        if text := self.cleaned_data.get("q"):
            lines = lines.filter(message__icontains=text)
        return lines
