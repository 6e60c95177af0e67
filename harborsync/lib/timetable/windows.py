"""Reading and writing the windows of a timetable (``harborsync.lib.timetable``), with errors that say what is right."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from django.utils.translation import gettext as _

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = frozenset(range(7))
PAUSE = "pause"
MOST_WINDOWS = 50
MOST_KILOBITS = 2**31 - 1
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_TIMES = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
# What is stored looks like this; the database checks it (times and overlaps are for `parse_windows`).
_ONE = r"[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]( [a-z,-]+)? ([0-9]+|pause)"
STORED_PATTERN = rf"^{_ONE}(; {_ONE})*$"


class TimetableError(ValueError):
    """The text is no timetable; the message says why and what would be right."""


@dataclass(frozen=True)
class Window:
    """A span of the day on some days of the week (0 is Monday), and the kbit/s that hold in it; None: nothing moves."""

    start_minute: int
    end_minute: int
    kilobits_per_second: int | None
    days: frozenset[int] = EVERY_DAY

    def __str__(self) -> str:
        limit = PAUSE if self.kilobits_per_second is None else str(self.kilobits_per_second)
        return " ".join(part for part in (self.times, _format_days(self.days), limit) if part)

    @property
    def times(self) -> str:
        """Return the span as it is written."""
        return f"{_clock(self.start_minute)}-{_clock(self.end_minute)}"

    @property
    def span(self) -> str:
        """Return the window without its limit: "08:00-18:00 mon-fri"."""
        return f"{self.times} {_format_days(self.days)}".rstrip()

    @property
    def length_minutes(self) -> int:
        """Return how long it lasts."""
        return (self.end_minute - self.start_minute) % _DAY_MINUTES or _DAY_MINUTES

    def holds(self, weekday: int, minute: int) -> bool:
        """Answer whether a minute of a day lies in it."""
        if self.start_minute < self.end_minute:
            return weekday in self.days and self.start_minute <= minute < self.end_minute
        is_evening = weekday in self.days and minute >= self.start_minute
        return is_evening or ((weekday - 1) % 7 in self.days and minute < self.end_minute)


def parse_windows(text: str) -> tuple[Window, ...]:
    """Return the windows of a text, in its order: parts end at a semicolon or a line's end. Raise TimetableError.

    >>> [str(window) for window in parse_windows("8:00-18:00 Mon-Fri 4096; 22:00-06:00 pause")]
    ['08:00-18:00 mon-fri 4096', '22:00-06:00 pause']
    """
    parts = [part.split() for part in re.split(r"[;\n]", text) if part.strip()]
    if len(parts) > MOST_WINDOWS:
        raise TimetableError(_("There can be %(most)d time windows at most.") % {"most": MOST_WINDOWS})
    windows = tuple(_parse_window(words) for words in parts)
    for one, other in combinations(windows, 2):
        if meeting := _meeting(one, other):
            raise TimetableError(
                _("The windows %(one)s and %(other)s overlap (%(when)s).")
                % {"one": one, "other": other, "when": meeting}
            )
    return windows


def format_windows(windows: Sequence[Window]) -> str:
    """Return the text that is stored; `parse_windows` reads it back.

    >>> format_windows(parse_windows("8:00-18:00 sun,mon,wed-thu 0"))
    '08:00-18:00 mon,wed,thu,sun 0'
    """
    return "; ".join(str(window) for window in windows)


def _parse_window(words: list[str]) -> Window:
    text = " ".join(words)
    if not 2 <= len(words) <= 3:
        raise TimetableError(
            _(
                "%(text)s is no time window. It is a span, days if not every day, and kbit/s or pause, as in "
                "08:00-18:00 mon-fri 4096."
            )
            % {"text": text}
        )
    start, end = _parse_times(words[0])
    days = _parse_days(words[1]) if len(words) == 3 else EVERY_DAY
    return Window(start, end, _parse_limit(words[-1]), days)


def _parse_times(text: str) -> tuple[int, int]:
    """Return the minutes of the day at which a window begins and ends; the end may be 24:00."""
    match = _TIMES.fullmatch(text)
    hours_and_minutes = [int(number) for number in match.groups()] if match else [99, 0, 0, 0]
    start = hours_and_minutes[0] * 60 + hours_and_minutes[1]
    end = hours_and_minutes[2] * 60 + hours_and_minutes[3]
    minutes_fit = max(hours_and_minutes[1::2]) < 60
    if not minutes_fit or start >= _DAY_MINUTES or end > _DAY_MINUTES:
        raise TimetableError(
            _("%(text)s is no span of the day. It is written as in 08:00-18:00, from 00:00 to 24:00.") % {"text": text}
        )
    if start == end:
        raise TimetableError(
            _("%(text)s begins and ends at the same time. A whole day is 00:00-24:00.") % {"text": text}
        )
    return start, end or _DAY_MINUTES


def _parse_days(text: str) -> frozenset[int]:
    """Return the days of ``mon-fri``, ``sat,sun`` or ``fri-mon``."""
    days: set[int] = set()
    for part in text.lower().split(","):
        first, _dash, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS or part.endswith("-"):
            raise TimetableError(
                _("%(text)s are no days. They are written as in mon-fri, or sat,sun: %(days)s.")
                % {"text": text, "days": ", ".join(DAYS)}
            )
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days.update((begin + number) % 7 for number in range((end - begin) % 7 + 1))
    return frozenset(days)


def _parse_limit(text: str) -> int | None:
    if text.lower() == PAUSE:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > MOST_KILOBITS:
        raise TimetableError(
            _("%(text)s is no limit. It is a whole number of kbit/s, 0 for unlimited, or pause.") % {"text": text}
        )
    return int(text)


def are_apart(one: Window, other: Window) -> bool:
    """Answer whether no minute of the week lies in both."""
    return not _meeting(one, other)


def _meeting(one: Window, other: Window) -> str:
    """Return a minute of the week that two windows share, such as "mon 17:00"; nothing when they share none."""
    for start in _starts(one):
        for other_start in _starts(other):
            if (other_start - start) % _WEEK_MINUTES < one.length_minutes:
                return _moment(other_start)
            if (start - other_start) % _WEEK_MINUTES < other.length_minutes:
                return _moment(start)
    return ""


def _starts(window: Window) -> Iterator[int]:
    yield from (day * _DAY_MINUTES + window.start_minute for day in sorted(window.days))


def _moment(minute_of_week: int) -> str:
    day, minute = divmod(minute_of_week, _DAY_MINUTES)
    return f"{DAYS[day]} {_clock(minute)}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _format_days(days: frozenset[int]) -> str:
    """Return the days with runs of three and more drawn together; nothing for every day."""
    if days == EVERY_DAY:
        return ""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        f"{DAYS[run[0]]}-{DAYS[run[-1]]}" if len(run) > 2 else ",".join(DAYS[day] for day in run) for run in runs
    )
