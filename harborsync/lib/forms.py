"""What forms share: errors of services beside the field they are about, and a field for windows of time."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.translation import gettext_lazy as _

from harborsync.lib.timetable.rows import MAX_LENGTH, normalise_windows


def show_errors(form: forms.BaseForm, error: ValidationError, *, names: Mapping[str, str] | None = None) -> None:
    """Add a service's errors to the form; `names` maps the service's keys to fields of another name.

    What is about no field of the form is shown above it. A field that is wrong already keeps what it says.
    """
    by_field = error.error_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.error_list}
    for key, errors in by_field.items():
        field = (names or {}).get(key, key)
        if field not in form.errors:
            form.add_error(field if field in form.fields else None, errors)


class WindowsField(forms.CharField):
    """Windows of time, typed one a line (or between semicolons); the value is the text that rows hold."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            required=False,
            max_length=2 * MAX_LENGTH,  # people type more spaces than are stored
            label=_("Bandwidth by time"),
            widget=forms.Textarea(
                attrs={
                    "rows": 3,
                    "class": "code",
                    "autocomplete": "off",
                    "spellcheck": "false",
                    "placeholder": "08:00-18:00 mon-fri 4096\n22:00-06:00 pause",
                }
            ),
            help_text=_(
                "One window a line: a span of the day, days if not every day, and kbit/s. 0 is unlimited; pause lets "
                "nothing move, and work waits until the window ends. Outside all windows the bandwidth above holds. "
                "For example 08:00-18:00 mon-fri 4096, or 22:00-06:00 pause."
            ),
            **options,
        )

    def prepare_value(self, value: Any) -> Any:
        """Show one window a line."""
        return value.replace("; ", "\n") if isinstance(value, str) else value

    def clean(self, value: Any) -> str:
        """Return the text as it is stored. Raise ValidationError."""
        return normalise_windows(super().clean(value) or "")
