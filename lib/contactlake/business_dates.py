"""Business dates and the instants that bound them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_MARGIN = timedelta(hours=3)
"""Where midnight occurs twice or not at all, a date's instants may lie this far around the ordinary ones."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
"""As far as a datetime goes."""


def date_before(day: date) -> date:
    """The date before `day`; the first of the calendar has none but itself."""
    return max(day, date.min + timedelta(days=1)) - timedelta(days=1)


def date_start(day: date, timezone: str) -> datetime:
    """The first instant of `day` in `timezone`, UTC; no further than a datetime goes."""
    try:
        return datetime.combine(day, time(), tzinfo=ZoneInfo(timezone)).astimezone(UTC)
    except OverflowError:
        return EARLIEST if day.year == 1 else LATEST


def date_end(day: date, timezone: str) -> datetime:
    """The first instant after `day` in `timezone`, UTC; no further than a datetime goes."""
    return date_start(day + timedelta(days=1), timezone) if day < date.max else LATEST


def date_of(instant: datetime, timezone: str) -> date:
    """The date of `instant` in `timezone`, of the years 1 to 9999."""
    try:
        return instant.astimezone(ZoneInfo(timezone)).date()
    except OverflowError:
        return date.min if instant.year == 1 else date.max


def microseconds_of(instant: datetime) -> int:
    """How long after 1970 `instant` is."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def instant_of(microseconds: int) -> datetime:
    """The instant so long after 1970: Spark's own datetimes are of whatever zone the driver is in."""
    return _EPOCH + timedelta(microseconds=microseconds)


def dates_between(first: date, last: date) -> list[date]:
    """Every date from `first` to `last`, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def shifted(instant: datetime, by: timedelta) -> datetime:
    """`instant` (UTC) so much later, no further than a datetime goes."""
    try:
        return instant + by
    except OverflowError:
        return EARLIEST if by < timedelta() else LATEST


def _roughly(day: date, timezone: str, by: timedelta) -> datetime:
    return shifted(date_start(day, timezone), by)


def spans(dates: Iterable[date], timezone: str) -> list[tuple[datetime, datetime]]:
    """Instants [from, to) that surely hold all of `dates`, neighbouring dates in one span."""
    ordered = sorted(set(dates))
    runs: list[list[date]] = []
    for day in ordered:
        if runs and day - runs[-1][-1] <= timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    return [
        (_roughly(run[0], timezone, -_MARGIN), _roughly(run[-1], timezone, timedelta(days=1) + _MARGIN)) for run in runs
    ]


def describe(dates: Sequence[date]) -> str:
    """Dates for a log line: first and last, and how many."""
    if not dates:
        return "no date"
    if len(dates) == 1:
        return dates[0].isoformat()
    return f"{min(dates).isoformat()} to {max(dates).isoformat()} ({len(dates)} dates)"
