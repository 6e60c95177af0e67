"""Bandwidth by the clock: which limit holds when, in which time zone.

As people write it: ``08:00-18:00 mon-fri 4096; 18:00-22:00 20480; 22:00-06:00 pause``. A window is a span of the day,
days (none: every day) and kbit/s; 0 is unlimited, ``pause`` lets nothing move. A window that ends before it starts goes
over midnight and belongs to the day on which it starts. Outside all windows the plain limit holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from harborsync.lib.timetable.windows import (
    STORED_PATTERN,
    TimetableError,
    Window,
    format_windows,
    parse_windows,
)

__all__ = [
    "STORED_PATTERN",
    "UNLIMITED",
    "Timetable",
    "TimetableError",
    "Window",
    "format_windows",
    "parse_windows",
]

# After this long a week of windows has shown all it has, changes of the clock included.
_HORIZON = timedelta(days=9)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Timetable:
    """Windows that do not overlap, the zone they are meant in, and what holds outside them (kbit/s, 0: no limit)."""

    windows: tuple[Window, ...] = ()
    time_zone: str = "UTC"
    plain_kilobits_per_second: int = 0

    @classmethod
    def parse(cls, text: str, *, time_zone: str = "UTC", plain_kilobits_per_second: int = 0) -> "Timetable":
        """Return the timetable that a text describes. Raise TimetableError."""
        return cls(parse_windows(text), time_zone, plain_kilobits_per_second)

    def window_at(self, moment: datetime) -> Window | None:
        """Return the window that a moment lies in, by the wall clock of the zone."""
        if not self.windows:
            return None
        local = moment.astimezone(self._zone)
        minute = local.hour * 60 + local.minute
        return next((window for window in self.windows if window.holds(local.weekday(), minute)), None)

    def limit_at(self, moment: datetime) -> int | None:
        """Return the kbit/s that hold at a moment; 0 is unlimited, None a pause."""
        window = self.window_at(moment)
        return self.plain_kilobits_per_second if window is None else window.kilobits_per_second

    def until(self, moment: datetime) -> datetime | None:
        """Return when the limit of this moment ends, in UTC; None when it never does."""
        limit = self.limit_at(moment)
        changes = sorted(change for change in self._changes(moment) if change > moment)
        return next((change for change in changes if self.limit_at(change) != limit), None)

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def _changes(self, moment: datetime) -> Iterator[datetime]:
        """Yield the moments at which the limit may change: where windows begin and end, and where clocks jump."""
        if not self.windows:
            return
        first = moment.astimezone(self._zone).date() - timedelta(days=1)
        minutes = {minute % 1440 for window in self.windows for minute in (window.start_minute, window.end_minute)}
        for number in range(_HORIZON.days + 1):
            for minute in minutes:
                wall = datetime.combine(first + timedelta(days=number), time(minute // 60, minute % 60), self._zone)
                # A wall time may come twice, when clocks are put back.
                yield from (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        yield from self._jumps(moment)

    def _jumps(self, moment: datetime) -> Iterator[datetime]:
        """Yield when the clocks of the zone are put forward or back in the days to come."""
        hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        for _ in range(int(_HORIZON / _HOUR)):
            if self._offset(hour) != self._offset(hour + _HOUR):
                steps = (hour + timedelta(minutes=minute) for minute in range(1, 61))
                yield next(step for step in steps if self._offset(step) == self._offset(hour + _HOUR))
            hour += _HOUR

    def _offset(self, moment: datetime) -> timedelta | None:
        return moment.astimezone(self._zone).utcoffset()


UNLIMITED = Timetable()
