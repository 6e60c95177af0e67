"""The rows of a rule's form: filters and destinations, any number of each."""

import re
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from replication.models import RuleFilter
from targets.models import Endpoint

MAX_ROWS = 50
FLATTEN_CHOICES = [
    (-1, _("Flatten All Levels")),
    (0, _("No Flattening")),
    (1, _("Flatten 1 Level")),
    (2, _("Flatten 2 Levels")),
    (3, _("Flatten 3 Levels")),
]


class RowForm(forms.Form):
    """A row that always counts as filled in, so that its values are there to read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.empty_permitted = False


class FilterForm(RowForm):
    """One filter by name or tag; an empty pattern is no filter."""

    kind = forms.ChoiceField(
        label=pgettext_lazy("filter", "Filter"),
        choices=[(kind.value, kind.label) for kind in (RuleFilter.Kind.NAME, RuleFilter.Kind.TAG)],
    )
    decoration = forms.ChoiceField(
        label=pgettext_lazy("filter", "Condition"),
        choices=RuleFilter.Decoration.choices,
        initial=RuleFilter.Decoration.MATCHES,
    )
    value = forms.CharField(
        label=pgettext_lazy("filter", "Pattern"),
        required=False,
        max_length=1024,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "code"}),
    )

    def clean_value(self) -> str:
        """Drop all white space, as Harbor does: no name or tag has any."""
        return re.sub(r"\s", "", self.cleaned_data["value"])


class TargetForm(RowForm):
    """One destination."""

    endpoint = forms.ModelChoiceField(
        label=_("Destination registry"),
        queryset=Endpoint.objects.none(),
        required=False,
        empty_label=_("Choose a registry"),
    )
    namespace = forms.CharField(
        label=_("Namespace"),
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    flatten_level = forms.TypedChoiceField(label=_("Flattening"), choices=FLATTEN_CHOICES, coerce=int, initial=1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = cast("forms.ModelChoiceField[Endpoint]", self.fields["endpoint"])
        choice.queryset = Endpoint.objects.order_by("name")
        level = self.initial.get("flatten_level")
        levels = self.fields["flatten_level"]
        if level is not None and level > 3 and isinstance(levels, forms.TypedChoiceField):
            # The API takes deeper levels than Harbor's form offers; an edit must not lose one.
            levels.choices = [*FLATTEN_CHOICES, (level, _("Flatten %(level)d Levels") % {"level": level})]


FilterFormSet = forms.formset_factory(FilterForm, extra=0, max_num=MAX_ROWS)
TargetFormSet = forms.formset_factory(TargetForm, extra=0, max_num=MAX_ROWS)


def change_rows(typed: QueryDict, wish: str) -> QueryDict:
    """Return what was typed with a row more or less: "add-filters", "remove-targets-2"."""
    changed = typed.copy()
    match = re.fullmatch(r"(add|remove)-(filters|targets)(?:-(\d{1,3}))?", wish)
    if match is None:
        return changed
    verb, prefix, index = match[1], match[2], int(match[3] or 0)
    rows = _rows(typed, prefix)
    for key in [key for key in changed if re.match(rf"{prefix}-\d", key)]:
        del changed[key]
    if verb == "add" and len(rows) < MAX_ROWS:
        rows.append(_new_row(prefix))
    elif verb == "remove" and index < len(rows):
        del rows[index]
    for number, row in enumerate(rows):
        for field, value in row.items():
            changed[f"{prefix}-{number}-{field}"] = value
    changed[f"{prefix}-TOTAL_FORMS"] = str(len(rows))
    return changed


def _rows(typed: QueryDict, prefix: str) -> list[dict[str, str]]:
    """Return the rows as typed, in order."""
    rows: dict[int, dict[str, str]] = {}
    for key in typed:
        if match := re.fullmatch(rf"{prefix}-(\d{{1,3}})-(\w+)", key):
            rows.setdefault(int(match[1]), {})[match[2]] = str(typed[key])
    return [rows[number] for number in sorted(rows)]


def _new_row(prefix: str) -> dict[str, str]:
    if prefix == "filters":
        return {"kind": "name", "decoration": "matches", "value": ""}
    return {"endpoint": "", "namespace": "", "flatten_level": "1"}
