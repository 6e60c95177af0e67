"""Windows of time: how they are written, which limit holds when, and until when."""

import doctest
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harborsync.lib import timetable
from harborsync.lib.timetable import UNLIMITED, Timetable, TimetableError, Window, format_windows, parse_windows
from harborsync.lib.timetable.windows import EVERY_DAY, are_apart

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = "08:00-18:00 mon-fri 4096; 18:00-22:00 mon-fri 20480; 22:00-06:00 pause"


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        pytest.param("08:00-18:00 mon-fri 4096", "08:00-18:00 mon-fri 4096", id="as it is stored"),
        pytest.param(" 8:00-18:00   MON-Fri 4096 ;", "08:00-18:00 mon-fri 4096", id="spaces, capitals, one digit"),
        pytest.param("8:00-9:00 1\n9:00-10:00 0", "08:00-09:00 1; 09:00-10:00 0", id="one a line"),
        pytest.param("08:00-09:00 1\r\n\r\n", "08:00-09:00 1", id="as browsers send lines"),
        pytest.param("08:00-09:00 mon-sun 1", "08:00-09:00 1", id="all days"),
        pytest.param("08:00-09:00 fri-mon 1", "08:00-09:00 mon,fri-sun 1", id="days over the weekend"),
        pytest.param("08:00-09:00 sun,sat,sat 1", "08:00-09:00 sat,sun 1", id="days in any order"),
        pytest.param("20:00-00:00 PAUSE", "20:00-24:00 pause", id="until midnight"),
        pytest.param("", "", id="nothing"),
        pytest.param(" ;\n; ", "", id="nothing but separators"),
    ],
)
def test_windows_are_stored_in_one_way_of_writing(written, stored):
    assert format_windows(parse_windows(written)) == stored
    assert format_windows(parse_windows(stored)) == stored


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        pytest.param("08:00-18:00", "08:00-18:00 is no time window", id="no limit"),
        pytest.param("4096", "4096 is no time window", id="no times"),
        pytest.param("08:00-18:00 mon fri 4096", "is no time window", id="days apart"),
        pytest.param("0800-1800 4096", "0800-1800 is no span of the day", id="no colons"),
        pytest.param("08:00-24:01 4096", "08:00-24:01 is no span of the day", id="after midnight"),
        pytest.param("24:00-08:00 4096", "24:00-08:00 is no span of the day", id="from 24:00"),
        pytest.param("08:60-18:00 4096", "08:60-18:00 is no span of the day", id="sixty minutes"),
        pytest.param("08:00-18:99 4096", "08:00-18:99 is no span of the day", id="99 minutes"),
        pytest.param("99:00-18:00 4096", "99:00-18:00 is no span of the day", id="99 hours"),
        pytest.param("08:00-08:00 4096", "A whole day is 00:00-24:00", id="empty"),
        pytest.param("00:00-00:00 4096", "A whole day is 00:00-24:00", id="empty at midnight"),
        pytest.param("08:00-18:00 monday 4096", "monday are no days", id="a long day"),
        pytest.param("08:00-18:00 mon- 4096", "mon- are no days", id="half a range"),
        pytest.param("08:00-18:00 mon,,fri 4096", "mon,,fri are no days", id="a day missing"),
        pytest.param("08:00-18:00 mon-wed-fri 4096", "mon-wed-fri are no days", id="a range of three"),
        pytest.param("08:00-18:00 -1", "-1 is no limit", id="negative"),
        pytest.param("08:00-18:00 1.5", "1.5 is no limit", id="a fraction"),
        pytest.param("08:00-18:00 fast", "fast is no limit", id="a word"),
        pytest.param("08:00-18:00 ٤٠٩٦", "is no limit", id="digits of another script"),
        pytest.param("08:00-18:00 2147483648", "2147483648 is no limit", id="more than a column holds"),
        pytest.param("08:00-12:00 1; 11:00-13:00 2", "overlap (mon 11:00)", id="overlap"),
        pytest.param("08:00-12:00 1; 09:00-10:00 fri 2", "overlap (fri 09:00)", id="inside"),
        pytest.param("08:00-12:00 1; 08:00-12:00 1", "overlap (mon 08:00)", id="twice"),
        pytest.param("22:00-06:00 sun 1; 05:00-07:00 mon 2", "overlap (mon 05:00)", id="over midnight and the week"),
        pytest.param("00:00-24:00 1; 12:00-13:00 wed pause", "overlap (wed 12:00)", id="a whole day"),
        pytest.param("; ".join(["08:00-09:00 1"] * 51), "50 time windows at most", id="too many"),
    ],
)
def test_what_is_no_timetable_is_refused_with_what_would_be_right(written, complaint):
    with pytest.raises(TimetableError) as refused:
        parse_windows(written)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("written", ["08:00-12:00 1; 12:00-13:00 2", "22:00-06:00 sun 1; 06:00-22:00 mon 2"])
def test_windows_may_touch(written):
    assert len(parse_windows(written)) == 2


def those_apart(drawn: list[Window]) -> tuple[Window, ...]:
    """Return the windows that overlap none before them."""
    kept: list[Window] = []
    for window in drawn:
        if all(are_apart(window, other) for other in kept):
            kept.append(window)
    return tuple(kept)


windows = st.builds(
    Window,
    start_minute=st.integers(0, 1439),
    end_minute=st.integers(1, 1440),
    kilobits_per_second=st.none() | st.integers(0, 2**31 - 1),
    days=st.frozensets(st.integers(0, 6), min_size=1),
).filter(lambda window: window.start_minute != window.end_minute)


@given(st.lists(windows, max_size=8).map(those_apart))
def test_what_is_written_is_read_back(fitting):
    assert parse_windows(format_windows(fitting)) == fitting


@settings(max_examples=300, deadline=None)
@given(windows, st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(BERLIN)))
def test_the_limit_holds_until_the_moment_that_until_names_and_not_longer(window, moment):
    moment = moment.astimezone(UTC)  # sums of times in one zone would go by the wall clock
    table = Timetable((window,), "Europe/Berlin", plain_kilobits_per_second=7)
    end = table.until(moment)
    if end is None:
        assert window.kilobits_per_second == 7 or (window.days == EVERY_DAY and window.length_minutes == 1440)
        return
    assert end > moment
    assert table.limit_at(end) != table.limit_at(moment) == table.limit_at(end - timedelta(seconds=1))
    steps = (end - moment) / 50
    assert {table.limit_at(moment + number * steps) for number in range(50)} == {table.limit_at(moment)}


@pytest.mark.parametrize(
    ("moment", "limit", "until"),
    [
        pytest.param("2026-11-25T07:59:59", 512, "2026-11-25T08:00", id="before the office opens"),
        pytest.param("2026-11-25T08:00:00", 4096, "2026-11-25T18:00", id="at the first second"),
        pytest.param("2026-11-25T17:59:59", 4096, "2026-11-25T18:00", id="in the last second"),
        pytest.param("2026-11-25T18:00:00", 20480, "2026-11-25T22:00", id="where windows touch"),
        pytest.param("2026-11-25T23:30:00", None, "2026-11-26T06:00", id="a pause over midnight"),
        pytest.param("2026-11-26T00:00:00", None, "2026-11-26T06:00", id="at midnight"),
        pytest.param("2026-11-26T05:59:59", None, "2026-11-26T06:00", id="the morning after"),
        pytest.param("2026-11-28T12:00:00", 512, "2026-11-28T22:00", id="on Saturday the plain limit"),
    ],
)
def test_the_limit_of_a_moment(moment, limit, until):
    table = Timetable.parse(OFFICE, time_zone="Europe/Berlin", plain_kilobits_per_second=512)
    assert table.limit_at(berlin(moment)) == table.limit_at(berlin(moment).astimezone(UTC)) == limit
    assert table.until(berlin(moment)) == berlin(until)


@pytest.mark.parametrize(
    ("written", "moment", "limit", "until"),
    [
        # 29 March 2026: 02:00 becomes 03:00. 25 October 2026: 03:00 becomes 02:00.
        pytest.param("02:30-04:00 5", "2026-03-29T00:59:00+00:00", 0, "2026-03-29T01:00+00:00", id="begins in the gap"),
        pytest.param(
            "02:15-02:45 5", "2026-03-29T00:00:00+00:00", 0, "2026-03-30T00:15+00:00", id="falls into the gap"
        ),
        pytest.param("01:00-02:30 5", "2026-03-29T00:30:00+00:00", 5, "2026-03-29T01:00+00:00", id="ends in the gap"),
        pytest.param("22:00-06:00 5", "2026-03-28T22:00:00+00:00", 5, "2026-03-29T04:00+00:00", id="an hour less"),
        pytest.param("22:00-06:00 5", "2026-10-24T20:00:00+00:00", 5, "2026-10-25T05:00+00:00", id="an hour more"),
        pytest.param("02:15-02:45 5", "2026-10-25T00:20:00+00:00", 5, "2026-10-25T00:45+00:00", id="comes first"),
        pytest.param("02:15-02:45 5", "2026-10-25T01:20:00+00:00", 5, "2026-10-25T01:45+00:00", id="comes again"),
        pytest.param("01:00-02:30 5", "2026-10-25T00:35:00+00:00", 0, "2026-10-25T01:00+00:00", id="put back into it"),
    ],
)
def test_windows_go_by_the_wall_clock_when_clocks_change(written, moment, limit, until):
    table = Timetable.parse(written, time_zone="Europe/Berlin")
    at = datetime.fromisoformat(moment)
    assert (table.limit_at(at), table.until(at)) == (limit, datetime.fromisoformat(until))


def test_a_pause_ends_where_no_window_pauses_any_more():
    table = Timetable.parse("08:00-12:00 pause; 12:00-14:00 pause; 14:00-15:00 100")
    assert table.until(datetime(2026, 11, 25, 9, tzinfo=UTC)) == datetime(2026, 11, 25, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(UNLIMITED, id="without windows"),
        pytest.param(Timetable.parse("00:00-24:00 pause"), id="always paused"),
        pytest.param(Timetable.parse("08:00-09:00 5", plain_kilobits_per_second=5), id="the same as outside"),
    ],
)
def test_a_limit_that_never_changes_has_no_end(table):
    assert table.until(datetime(2026, 11, 25, 9, tzinfo=UTC)) is None


@pytest.mark.parametrize("module", [timetable, timetable.windows], ids=["timetable", "windows"])
def test_the_examples_of_a_module_hold(module):
    assert not doctest.testmod(module).failed
