"""What is usual for a feed's arrivals and for a date's volume, and what falls short of it.

Pure rules: arrivals and volumes come in, what is missing comes out. Hours and dates are local ones, of the zone that
is given, so that a change to summer time moves no pattern; no clock is read.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from contactlake.business_dates import date_of, date_start

WEEKS = 4
"""So many weeks make a pattern, and so many earlier dates a volume."""
VOLUME_WEEKS = 8
"""The most weeks that a date's volume is compared with."""
_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)
_HOURS_AFTER = timedelta(hours=1)
"""An object may be written so long after the hour that it is counted in: Firehose collects for up to 15 minutes."""
_ENOUGH_RECORDS = 10
"""What usually holds fewer records may well hold none for once."""
_ENOUGH_VOLUME = 20
"""A date on which fewer are usual may well have half or twice as many."""

Slot = tuple[date, int]
"""A local date and hour; hour 0 stands for the whole date where arrivals tell no hour."""


@dataclass(frozen=True)
class Arrivals:
    """How many records one feed entry's objects hold, by the local hour or date that they arrived in."""

    records: Mapping[Slot, int]
    timezone: str
    is_hourly: bool
    newest_at: datetime | None
    """The hour (UTC) of the newest arrival."""

    @classmethod
    def of(cls, hours: Mapping[datetime, int], timezone: str, *, is_hourly: bool) -> "Arrivals":
        """From records by hour (UTC)."""
        zone = ZoneInfo(timezone)
        records: dict[Slot, int] = {}
        for hour, number in hours.items():
            local = hour.astimezone(zone)
            slot = (local.date(), local.hour if is_hourly else 0)
            records[slot] = records.get(slot, 0) + number
        return cls(records, timezone, is_hourly, max(hours, default=None))

    def usual_records(self, slot: Slot) -> float:
        """The average of the same hour, or date, of the four weeks before; 0 where one of them had no object."""
        day, hour = slot
        before = [self.records.get((day - number * _WEEK, hour)) for number in range(1, WEEKS + 1)]
        return 0.0 if None in before else sum(number or 0 for number in before) / WEEKS

    def slots(self, day: date) -> Iterator[Slot]:
        """The hours of a date, or the date as one; an hour that summer time leaves out is none."""
        if not self.is_hourly:
            yield day, 0
            return
        zone = ZoneInfo(self.timezone)
        for hour in range(24):
            local = datetime.combine(day, time(hour), tzinfo=zone)
            if local.astimezone(UTC).astimezone(zone).hour == hour:
                yield day, hour

    def end(self, slot: Slot) -> datetime:
        """When all that arrived in the slot has been written, UTC."""
        day, hour = slot
        if not self.is_hourly:
            return date_start(day + _DAY, self.timezone) + _HOURS_AFTER
        begins = datetime.combine(day, time(hour, fold=1), tzinfo=ZoneInfo(self.timezone))  # of two such, the second
        return begins.astimezone(UTC) + timedelta(hours=1) + _HOURS_AFTER


def is_silent(arrivals: Arrivals, until: datetime) -> bool:
    """Whether nothing has arrived since the newest object although ten records or more usually would have by `until`.

    A week from the newest object on is looked at: all of the pattern. A feed that stays silent therefore stays so told,
    by the pattern that it had.
    """
    return _usually(arrivals, (slot for slot in _week_after(arrivals) if arrivals.end(slot) <= until))


def has_pattern(arrivals: Arrivals) -> bool:
    """Whether its arrivals reach back far enough, and hold enough, for a silence to be told at all."""
    return _usually(arrivals, _week_after(arrivals))


def _usually(arrivals: Arrivals, slots: Iterable[Slot]) -> bool:
    return sum(arrivals.usual_records(slot) for slot in slots) >= _ENOUGH_RECORDS


def _week_after(arrivals: Arrivals) -> Iterator[Slot]:
    """The hours, or dates, of the week after the newest arrival."""
    if not arrivals.records:
        return
    day, hour = max(arrivals.records)
    for number in range(8):
        for slot in arrivals.slots(day + number * _DAY):
            if (day, hour) < slot <= (day + _WEEK, hour):
                yield slot


def usual_hours(arrivals: Arrivals, day: date) -> list[Slot]:
    """The hours of `day` in which ten records or more usually arrive; none for what tells no hours."""
    if not arrivals.is_hourly:
        return []
    return [slot for slot in arrivals.slots(day) if arrivals.usual_records(slot) >= _ENOUGH_RECORDS]


def missing_hours(arrivals: Arrivals, day: date) -> list[Slot]:
    """Those of the usual hours of `day`, a date that is over, in which nothing has arrived."""
    return [slot for slot in usual_hours(arrivals, day) if slot not in arrivals.records]


def finished_dates(dates: Iterable[date], since: datetime | None, until: datetime | None, timezone: str) -> list[date]:
    """The dates that are to be judged: of `dates`, and of those that ended after `since`, the ones over by `until`.

    No more than the last four weeks: what is older than that, nobody watches any more. A date is over once what arrived
    in its last hour has been written.
    """
    if until is None:
        return []
    today = date_of(until - _HOURS_AFTER, timezone)
    first = today - WEEKS * _WEEK
    ended = set(dates)
    if since is not None:
        begun = max(date_of(since - _HOURS_AFTER, timezone), first)
        ended |= {begun + number * _DAY for number in range((today - begun).days)}
    return sorted(day for day in ended if first <= day < today)


def earlier_weekdays(day: date) -> list[date]:
    """The same weekdays before `day` that its volume may be compared with, the latest first."""
    return [day - number * _WEEK for number in range(1, VOLUME_WEEKS + 1)]


def usual_volume(day: date, volumes: Mapping[date, int]) -> float | None:
    """The median of the same weekdays before `day`, from the first date on that `volumes` holds.

    A date that it does not hold has a volume of 0. None where there are fewer than four such dates, or where the median
    is below 20.
    """
    first = min(volumes, default=day)
    earlier = [volumes.get(before, 0) for before in earlier_weekdays(day) if before >= first]
    if len(earlier) < WEEKS:
        return None
    usual = median(earlier)
    return usual if usual >= _ENOUGH_VOLUME else None


def is_unusual(volume: int, usual: float) -> bool:
    """Whether a volume is less than half or more than twice the usual."""
    return not usual / 2 <= volume <= usual * 2
