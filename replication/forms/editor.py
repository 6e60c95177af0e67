"""A rule's form as one thing: its fields, its rows, and the way from and to a stored rule."""

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _

from harborsync.lib.forms import show_errors
from projects.models import Project
from replication.filters import FilterSpec
from replication.forms.modes import Mode, mode_of
from replication.forms.rows import FilterFormSet, TargetFormSet
from replication.forms.rule import RuleForm
from replication.models import Rule, Trigger
from replication.plan import TargetSpec
from replication.services import save_rule
from replication.services.validation import validate_rule
from targets.models import Endpoint

PLAIN_FIELDS = {
    "name",
    "description",
    "project",
    "source",
    "trigger",
    "cron",
    "override",
    "copy_by_chunk",
    "referrers",
    "enabled",
    "platforms",
    "kilobits_per_second",
    "bandwidth_windows",
}
TARGET_KEYS = ("targets", "namespace", "flatten_level")


class RuleEditor:
    """A new or changed rule, bound to what was typed or filled from `prototype`."""

    def __init__(self, rule: Rule, *, typed: QueryDict | None = None, prototype: Rule | None = None) -> None:
        self.rule = rule
        source = prototype or (rule if rule.pk else None)
        self.form = RuleForm(typed, initial=_field_values(source) if source else {})
        self.filters = FilterFormSet(typed, prefix="filters", initial=_filter_rows(source))
        self.targets = TargetFormSet(typed, prefix="targets", initial=_target_rows(source))
        self.filter_errors: list[str] = []
        self.target_errors: list[str] = []

    def suggest(self, *, project: Project | None) -> None:
        """Fill in the project that the viewer comes from."""
        if project is not None:
            self.form.initial["project"] = project.pk

    def is_valid(self) -> bool:
        """Say whether the fields can be read; whether they make a rule is for `save` to find out."""
        parts = [self.form.is_valid(), self.filters.is_valid(), self.targets.is_valid()]
        return all(parts)

    @property
    def has_errors(self) -> bool:
        """Say whether there is something to correct."""
        if not self.form.is_bound:
            return False
        rows = self.filters.total_error_count() + self.targets.total_error_count()
        return bool(self.form.errors or rows or self.filter_errors or self.target_errors)

    def save(self, *, by: User) -> bool:
        """Store the rule, or keep what is wrong with it for the page to show."""
        self._fill()
        values = self.form.cleaned_data
        is_event_based = values["trigger"] == Trigger.EVENT_BASED
        try:
            save_rule(
                self.rule,
                filters=self.filter_specs(),
                targets=self.target_specs(),
                by=by,
                replicate_existing=values["replicate_existing"] and is_event_based,
            )
        except ValidationError as error:
            self._show(error)
            return False
        return True

    def show_all_errors(self) -> None:
        """Add to the errors of single fields what else is wrong, so that it need not be corrected in two rounds."""
        if self.form.cleaned_data.get("source") is None:
            return
        self._fill()
        try:
            validate_rule(self.rule, filters=self.filter_specs(), targets=self.target_specs())
        except ValidationError as error:
            self._show(error)

    def hush(self) -> None:
        """Leave errors unsaid while the form is still being filled in."""
        for form in (self.form, *self.filters, *self.targets):
            form.errors.clear()

    def _fill(self) -> None:
        """Bring what was typed into the rule, as far as it can be read."""
        values = self.form.cleaned_data
        for name in PLAIN_FIELDS & values.keys():
            setattr(self.rule, name, values[name])
        self.rule.time_zone = values.get("time_zone") or "UTC"
        is_event_based = values.get("trigger") == Trigger.EVENT_BASED
        # Fields that the page hides for this trigger or mode do not count.
        self.rule.deletion = values["deletion"] and is_event_based
        self.rule.single_active = values["single_active"] and not is_event_based
        self.rule.platform_mode = values.get("platform_mode", "") if values.get("platforms") else ""
        if values.get("mode") == Mode.PULL:
            self.rule.project = None

    def filter_specs(self) -> list[FilterSpec]:
        """Return the filters that say something."""
        rows = [row.cleaned_data for row in self.filters if row.is_valid()]
        specs = [FilterSpec(row["kind"], row["value"], row["decoration"]) for row in rows if row.get("value")]
        resource = self.form.cleaned_data.get("resource")
        return [*specs, FilterSpec("resource", resource)] if resource else specs

    def target_specs(self) -> list[TargetSpec]:
        """Return the destinations; of a pull-based rule the one, which is the local registry."""
        rows = [row.cleaned_data for row in self.targets if row.is_valid()]
        if self.form.cleaned_data.get("mode") == Mode.PULL:
            local = Endpoint.objects.local()
            rows = [{**row, "endpoint": local} for row in rows[:1]]
        return [
            TargetSpec(row["endpoint"].pk, row["namespace"].strip("/"), row["flatten_level"])
            for row in rows
            if row.get("endpoint")
        ]

    def _show(self, error: ValidationError) -> None:
        """Sort a service's errors to the sections that they are about."""
        by_field = dict(error.error_dict) if hasattr(error, "error_dict") else {}
        self.filter_errors = [text for item in by_field.pop("filters", []) for text in item.messages]
        self.target_errors = [text for key in TARGET_KEYS for item in by_field.pop(key, []) for text in item.messages]
        if self.target_errors and self.form.cleaned_data.get("mode") == Mode.PULL and not Endpoint.objects.local():
            self.target_errors = [_("There is no local registry yet to copy into.")]
        if by_field:
            show_errors(self.form, ValidationError(by_field), names={"kilobits_per_second": "bandwidth"})
        elif not (self.filter_errors or self.target_errors):
            show_errors(self.form, error)


def _field_values(rule: Rule) -> dict[str, Any]:
    """Return a stored rule's fields as the form names them."""
    speed = rule.kilobits_per_second
    in_megabits = speed > 0 and speed % 1024 == 0
    resource = next((f.value for f in rule.filters.all() if f.kind == "resource"), "")
    return {
        "name": rule.name if rule.pk else "",
        "description": rule.description,
        "mode": mode_of(rule),
        "project": rule.project_id,
        "source": rule.source_id,
        "resource": resource,
        "trigger": rule.trigger,
        "cron": rule.cron or "0 0 2 * * *",
        "time_zone": rule.time_zone,
        "deletion": rule.deletion,
        "replicate_existing": False,
        "bandwidth": speed // 1024 if in_megabits else speed or -1,
        "bandwidth_unit": "mbps" if in_megabits else "kbps",
        "bandwidth_windows": rule.bandwidth_windows,
        "override": rule.override,
        "copy_by_chunk": rule.copy_by_chunk,
        "referrers": rule.referrers,
        "enabled": rule.enabled,
        "single_active": rule.single_active,
        "platforms": ", ".join(rule.platform_list),
        "platform_mode": rule.platform_mode,
    }


def _filter_rows(rule: Rule | None) -> list[dict[str, str]]:
    """Return the filters, and an empty row for each of name and tag that has none, as Harbor's form shows."""
    rows = [
        {"kind": f.kind, "decoration": f.decoration, "value": f.value}
        for f in (rule.filters.all() if rule else ())
        if f.kind != "resource"
    ]
    missing = [kind for kind in ("name", "tag") if kind not in {row["kind"] for row in rows}]
    return [*rows, *({"kind": kind, "decoration": "matches", "value": ""} for kind in missing)]


def _target_rows(rule: Rule | None) -> list[dict[str, Any]]:
    if rule is None:
        return [{"flatten_level": 1}]
    return [
        {"endpoint": t.endpoint_id, "namespace": t.namespace, "flatten_level": t.flatten_level}
        for t in rule.targets.all()
    ] or [{"flatten_level": 1}]
