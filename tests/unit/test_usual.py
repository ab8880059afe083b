"""What is usual and what falls short of it: the rules' case tables, summer time included."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from contactlake.quality.usual import (
    Arrivals,
    finished_dates,
    has_pattern,
    is_silent,
    is_unusual,
    missing_hours,
    usual_hours,
    usual_volume,
)

ZONE = "America/Chicago"
TUESDAY = date(2025, 3, 4)
"""Summer time begins on the Sunday after."""


def at(day: date, hour: int, zone: str = ZONE) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def office_hours(
    first: date, last: date, hours: range = range(9, 17), records: int = 10, zone: str = ZONE
) -> dict[datetime, int]:
    """Records by hour, of a centre that works so every day."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return {at(day, hour, zone): records for day in days for hour in hours}


def arrivals(hours: Mapping[datetime, int], zone: str = ZONE, *, is_hourly: bool = True) -> Arrivals:
    return Arrivals.of(hours, zone, is_hourly=is_hourly)


FOUR_WEEKS = office_hours(TUESDAY - timedelta(weeks=4), TUESDAY - timedelta(days=1))


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (at(TUESDAY, 8), False),  # nobody works at night
        (at(TUESDAY, 10), False),  # what came in the first hour may still be written
        (at(TUESDAY, 11) - timedelta(seconds=1), False),
        (at(TUESDAY, 11), True),
        (at(TUESDAY + timedelta(days=400), 11), True),  # silent for good
    ],
)
def test_a_feed_is_silent_once_ten_records_are_overdue(until: datetime, expected: bool) -> None:
    assert is_silent(arrivals(FOUR_WEEKS), until) is expected


def test_few_records_take_more_hours() -> None:
    few = arrivals(dict.fromkeys(FOUR_WEEKS, 3))
    assert not is_silent(few, at(TUESDAY, 13))
    assert is_silent(few, at(TUESDAY, 14))  # the fourth hour, 12:00, and an hour for the writing


def test_an_hour_that_one_of_the_weeks_lacks_is_not_usual() -> None:
    hours = dict(FOUR_WEEKS)
    for week in range(1, 5):
        whole_day = {at(TUESDAY - timedelta(weeks=week), hour) for hour in range(9, 16)}
        without = {hour: number for hour, number in hours.items() if hour not in whole_day}
        assert not is_silent(arrivals(without), at(TUESDAY, 17))
    assert is_silent(arrivals(hours), at(TUESDAY, 17))


def test_a_pattern_takes_four_weeks() -> None:
    for days, expected in ((20, False), (21, False), (28, True), (40, True)):
        hours = office_hours(TUESDAY - timedelta(days=days), TUESDAY - timedelta(days=1))
        assert has_pattern(arrivals(hours)) is expected, days
        assert is_silent(arrivals(hours), at(TUESDAY + timedelta(days=3), 0)) is expected, days
    assert not has_pattern(arrivals({}))
    assert not is_silent(arrivals({}), at(TUESDAY, 0))


def test_a_weekly_pattern_is_kept_over_the_weekend() -> None:
    working = {hour: 10 for hour in FOUR_WEEKS if hour.astimezone(ZoneInfo(ZONE)).weekday() < 5}
    friday = TUESDAY + timedelta(days=3)
    working |= {hour + timedelta(weeks=4): 10 for hour in working if hour >= at(TUESDAY - timedelta(weeks=4), 0)}
    until_friday = {hour: 10 for hour in working if hour <= at(friday, 16)}
    assert not is_silent(arrivals(until_friday), at(friday + timedelta(days=3), 10))  # Monday, before the first hour
    assert is_silent(arrivals(until_friday), at(friday + timedelta(days=3), 11))


@pytest.mark.parametrize("sunday", [date(2025, 3, 9), date(2025, 11, 2)])
def test_a_change_of_the_clocks_moves_no_pattern(sunday: date) -> None:
    """Local hours are usual: neither the hour that is left out nor the one that comes twice is missed."""
    whole_day = office_hours(sunday - timedelta(weeks=4), sunday + timedelta(days=8), range(24))
    found = arrivals(whole_day)
    for number in range(8):
        assert missing_hours(found, sunday + timedelta(days=number)) == []
    morning = arrivals({hour: number for hour, number in whole_day.items() if hour < at(sunday, 1)})
    assert is_silent(morning, at(sunday, 6))


def test_the_hour_that_does_not_exist_is_not_missing() -> None:
    sunday = date(2025, 3, 9)
    hours = office_hours(sunday - timedelta(weeks=4), sunday - timedelta(days=1), range(24))
    named = [hour for _, hour in missing_hours(arrivals(hours), sunday)]
    assert named == [hour for hour in range(24) if hour != 2]


def test_missing_hours_are_those_of_the_four_same_weekdays() -> None:
    hours = dict(FOUR_WEEKS) | {at(TUESDAY, hour): 1 for hour in (9, 10, 13, 14, 15, 16)}
    assert missing_hours(arrivals(hours), TUESDAY) == [(TUESDAY, 11), (TUESDAY, 12)]
    assert len(usual_hours(arrivals(hours), TUESDAY)) == 8
    for week in range(1, 5):
        without = {hour: n for hour, n in hours.items() if hour != at(TUESDAY - timedelta(weeks=week), 11)}
        assert missing_hours(arrivals(without), TUESDAY) == [(TUESDAY, 12)]


@pytest.mark.parametrize(("records", "is_usual"), [(9, False), (10, True)])
def test_an_hour_of_few_records_is_not_missed(records: int, is_usual: bool) -> None:
    found = arrivals(dict.fromkeys(FOUR_WEEKS, records))
    assert bool(usual_hours(found, TUESDAY)) is is_usual
    assert bool(missing_hours(found, TUESDAY)) is is_usual


def test_a_zone_of_half_hours_has_hours_too() -> None:
    zone = "Asia/Kolkata"
    hours = {datetime(2025, 2, 4, 4, tzinfo=UTC) + timedelta(weeks=week): 10 for week in range(4)}
    assert usual_hours(arrivals(hours, zone), TUESDAY) == [(TUESDAY, 9)]


def test_where_keys_tell_no_hours_dates_are_judged() -> None:
    days = {datetime(2025, 2, 4, tzinfo=UTC) + timedelta(days=number): 10 for number in range(28)}
    found = arrivals(days, "UTC", is_hourly=False)
    assert missing_hours(found, TUESDAY) == []
    assert not is_silent(found, datetime(2025, 3, 5, 0, 59, tzinfo=UTC))
    assert is_silent(found, datetime(2025, 3, 5, 1, tzinfo=UTC))


DATES = [TUESDAY + timedelta(days=number) for number in range(-3, 4)]


@pytest.mark.parametrize(
    ("dates", "since", "until", "expected"),
    [
        (DATES, None, None, []),
        (DATES, None, at(TUESDAY, 12), DATES[:3]),  # the date itself is not over
        (DATES, None, at(DATES[4], 0), DATES[:3]),  # nor is its last hour written
        (DATES, None, at(DATES[4], 1), DATES[:4]),
        ([], at(TUESDAY, 6), at(DATES[4], 6), [TUESDAY]),  # nothing came on it
        ([], at(TUESDAY, 6), at(DATES[6], 6), DATES[3:6]),
        ([TUESDAY], at(TUESDAY, 6), at(TUESDAY, 7), []),
        ([], at(TUESDAY, 6), at(TUESDAY, 6), []),
        ([], at(date(2020, 1, 1), 0), at(TUESDAY, 6), [TUESDAY - timedelta(days=n) for n in range(28, 0, -1)]),
        ([date(2020, 1, 1)], None, at(TUESDAY, 6), []),
    ],
)
def test_dates_are_judged_when_they_are_over(
    dates: list[date], since: datetime | None, until: datetime | None, expected: list[date]
) -> None:
    assert finished_dates(dates, since, until, ZONE) == expected


@pytest.mark.parametrize(
    ("earlier", "expected"),
    [
        ([], None),
        ([90, 90, 90], None),
        ([90, 90, 90, 90], 90),
        ([0, 90, 92, 400], 91),  # a holiday and a storm
        ([90, 0, 0, 0, 0, 90, 90, 90], 45),
        ([19, 19, 19, 19], None),
        ([20, 20, 20, 20], 20),
        ([0, 0, 0, 90], None),
        ([90] * 8 + [1000] * 20, 90),  # no more than eight weeks back
    ],
)
def test_the_usual_volume_is_the_median_of_four_weekdays_or_more(earlier: list[int], expected: float | None) -> None:
    volumes = {TUESDAY - timedelta(weeks=number): volume for number, volume in enumerate(earlier, 1)}
    assert usual_volume(TUESDAY, volumes) == expected


def test_a_date_without_any_row_has_none() -> None:
    volumes = {TUESDAY - timedelta(weeks=number): 90 for number in (2, 3, 5)}
    assert usual_volume(TUESDAY, volumes) == 90  # of 0, 90, 90, 0 and 90
    del volumes[TUESDAY - timedelta(weeks=3)]
    assert usual_volume(TUESDAY, volumes) is None


@pytest.mark.parametrize(
    ("volume", "expected"), [(0, True), (44, True), (45, False), (90, False), (180, False), (181, True)]
)
def test_half_to_twice_is_usual(volume: int, expected: bool) -> None:
    assert is_unusual(volume, 90) is expected
