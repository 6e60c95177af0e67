"""Serializer fields in Harbor's spelling (API contract, section 5)."""

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from harborsync.lib.api.views import INT64_MAX

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
