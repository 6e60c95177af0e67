"""Services validate; forms show what they say beside the field it is about."""

from collections.abc import Mapping

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError


def show_errors(form: forms.BaseForm, error: ValidationError, *, names: Mapping[str, str] | None = None) -> None:
    """Add a service's errors to the form; `names` maps the service's keys to fields of another name.

    What is about no field of the form is shown above it.
    """
    by_field = error.error_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.error_list}
    for key, errors in by_field.items():
        field = (names or {}).get(key, key)
        form.add_error(field if field in form.fields else None, errors)
