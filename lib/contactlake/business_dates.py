"""Business dates and the instants that bound them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_MARGIN = timedelta(hours=3)
"""Where midnight occurs twice or not at all, a date's instants may lie this far around the ordinary ones."""
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
"""As far as a datetime goes. The first date of the calendar holds all that lies before its midnight, too, and the last
one all that lies behind."""

Span = tuple[datetime, datetime | None]
"""Instants [from, to), UTC; None: without end."""


def date_before(day: date) -> date:
    """The date before `day`; the first of the calendar has none but itself."""
    return max(day, date.min + _DAY) - _DAY


def date_start(day: date, timezone: str) -> datetime:
    """The first instant of `day` in `timezone`, UTC; no further than a datetime goes."""
    return _midnights(day, timezone)[0]


def _midnights(day: date, timezone: str) -> list[datetime]:
    """The first instant of `day`, then midnight's second where it comes twice, one just before where it does not."""
    if day == date.min:
        return [EARLIEST]
    zone = ZoneInfo(timezone)
    return [datetime.combine(day, time(fold=fold), tzinfo=zone).astimezone(UTC) for fold in (0, 1)]


def date_end(day: date, timezone: str) -> datetime:
    """The first instant after `day` in `timezone`, UTC; no further than a datetime goes."""
    return date_start(day + _DAY, timezone) if day < date.max else LATEST


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


def span(day: date, timezone: str) -> Span:
    """All instants of `day`, also where midnight comes twice or not at all."""
    return min(_midnights(day, timezone)), None if day == date.max else max(_midnights(day + _DAY, timezone))


def spans(dates: Iterable[date], timezone: str) -> list[Span]:
    """Instants [from, to) that surely hold all of `dates`, neighbouring dates in one span."""
    ordered = sorted(set(dates))
    runs: list[list[date]] = []
    for day in ordered:
        if runs and day - runs[-1][-1] <= _DAY:
            runs[-1].append(day)
        else:
            runs.append([day])
    bounds = [(span(run[0], timezone)[0], span(run[-1], timezone)[1]) for run in runs]
    return [(shifted(start, -_MARGIN), None if end is None else shifted(end, _MARGIN)) for start, end in bounds]


def describe(dates: Sequence[date]) -> str:
    """Dates for a log line: first and last, and how many."""
    if not dates:
        return "no date"
    if len(dates) == 1:
        return dates[0].isoformat()
    return f"{min(dates).isoformat()} to {max(dates).isoformat()} ({len(dates)} dates)"
