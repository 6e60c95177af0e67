"""Cron strings with six fields, seconds first, as Harbor takes them."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter

FIELDS = ("seconds", "minutes", "hours", "day of month", "month", "day of week")


class CronError(ValueError):
    """The cron string cannot be used; the text says why and what would be right."""


def validate_cron(cron: str) -> str:
    """Return the cron string with single spaces. Raises CronError.

    Harbor's rules: six fields, the first is 0, the second is not `*` (a run every minute is refused there).

    >>> validate_cron("0 0 2  * * *")
    '0 0 2 * * *'
    """
    fields = cron.split()
    if not fields:
        raise CronError("A scheduled rule needs a cron string, for example 0 0 2 * * * (every day at 02:00).")
    if len(fields) != len(FIELDS):
        raise CronError(
            f"A cron string has 6 fields ({', '.join(FIELDS)}), this one has {len(fields)}. "
            "For example 0 0 2 * * * (every day at 02:00)."
        )
    if fields[0] != "0":
        raise CronError("The 1st field (seconds) of the cron string must be 0.")
    if fields[1] == "*":
        raise CronError("* is not allowed in the 2nd field (minutes) of the cron string: name the minute, or use */5.")
    text = " ".join(fields)
    try:
        croniter(_for_croniter(text), second_at_beginning=True)
    except (ValueError, KeyError) as error:
        raise CronError(f"{text} is not a cron string: {error}.") from error
    return text


def _for_croniter(cron: str) -> str:
    """Return the string in croniter's dialect: `?` (Quartz, robfig) means any."""
    return " ".join("*" if field == "?" else field for field in cron.split())


def validate_time_zone(name: str) -> str:
    """Return the name. Raises CronError when there is no such time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CronError(f"{name} is not a time zone. Use a name such as UTC or Europe/Berlin.") from error
    return name


def next_runs(cron: str, time_zone: str, *, now: datetime, count: int = 3) -> list[datetime]:
    """Return the next runs after `now`, in the rule's time zone. Raises CronError."""
    text = _for_croniter(validate_cron(cron))
    moments = croniter(text, now.astimezone(ZoneInfo(validate_time_zone(time_zone))), second_at_beginning=True)
    try:
        return [moments.get_next(datetime) for _ in range(count)]
    except ValueError as error:
        raise CronError(f"{cron} never comes: {error}.") from error
