"""Windows of time in rows: text in one way of writing, checked by validators and by the database."""

import zoneinfo

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from harborsync.lib.timetable import STORED_PATTERN, TimetableError, format_windows, parse_windows

MAX_LENGTH = 2000


def validate_windows(text: str) -> None:
    """Raise ValidationError with what is wrong with a timetable's text."""
    normalise_windows(text)


def normalise_windows(text: str) -> str:
    """Return a timetable's text as it is stored. Raise ValidationError with what is wrong with it."""
    try:
        stored = format_windows(parse_windows(text))
    except TimetableError as error:
        raise ValidationError(str(error), code="invalid") from error
    if len(stored) > MAX_LENGTH:
        raise ValidationError(_("There can be %(most)d characters at most.") % {"most": MAX_LENGTH}, code="max_length")
    return stored


def validate_zone(name: str) -> None:
    """Raise ValidationError when there is no such time zone."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValidationError(
            _("%(name)s is not a time zone. Use a name such as UTC or Europe/Berlin.") % {"name": name}, code="invalid"
        ) from error


def zone_choices() -> list[tuple[str, str]]:
    """Return the time zones, UTC first."""
    return [("UTC", "UTC"), *((name, name) for name in sorted(zoneinfo.available_timezones() - {"UTC", "localtime"}))]


def windows_are_written_right(field: str, *, name: str) -> models.CheckConstraint:
    """Return the constraint of a field with windows: the database knows how they are written, not what they mean."""
    condition = models.Q(**{field: ""}) | models.Q(**{f"{field}__regex": STORED_PATTERN})
    return models.CheckConstraint(condition=condition, name=name)
