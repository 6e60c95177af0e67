"""Serializer fields in Harbor's spelling (API contract, section 5)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from harborsync.lib.api.views import INT64_MAX
from harborsync.lib.timetable.rows import normalise_windows, validate_zone

INT32_MAX = 2**31 - 1
# Go's zero time: what Harbor sends for a time that is not set.
ZERO_TIME = "0001-01-01T00:00:00.000Z"
MASKED_SECRET = "*****"  # noqa: S105  (what is shown in place of one)


def to_harbor_time(moment: datetime | None) -> str:
    """Return a time to the millisecond in UTC; one that is not set is Go's zero time.

    >>> to_harbor_time(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
    '2026-01-02T03:04:05.678Z'
    """
    if moment is None:
        return ZERO_TIME
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


@extend_schema_field(OpenApiTypes.DATETIME)
class TimeField(serializers.ReadOnlyField):
    """A time of a row, never null."""

    def get_attribute(self, instance: Any) -> Any:
        """Return the text already: REST framework renders a None itself, as null."""
        return to_harbor_time(super().get_attribute(instance))


class IdField(serializers.IntegerField):
    """An id in a request body: a number that a column can hold."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_value=INT64_MAX, **options)


class WindowsField(serializers.CharField):
    """Windows of time in a request; absent and null leave those there are, the empty string takes them away."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            required=False,
            allow_null=True,
            allow_blank=True,
            help_text="Windows of time with kbit/s of their own, between semicolons: `08:00-18:00 mon-fri 4096; "
            "22:00-06:00 pause`. 0 is unlimited, pause lets nothing move. HarborSync's own field.",
            **options,
        )

    def to_internal_value(self, data: Any) -> str:
        """Return the text as it is stored."""
        if not isinstance(data, str):
            self.fail("invalid")
        return str(_checked(normalise_windows, super().to_internal_value(data)))


class TimeZoneField(serializers.CharField):
    """A time zone in a request; absent, null and the empty string leave the one there is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, allow_null=True, allow_blank=True, max_length=64, **options)

    def to_internal_value(self, data: Any) -> str:
        """Return the name."""
        name = super().to_internal_value(data)
        if name:
            _checked(validate_zone, name)
        return name


def _checked(check: Callable[[str], Any], text: str) -> Any:
    """Return what a check of rows returns; what it refuses is refused here."""
    try:
        return check(text)
    except ValidationError as error:
        raise serializers.ValidationError(error.messages) from error
