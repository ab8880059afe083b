"""Business dates and the instants that bound them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_MARGIN = timedelta(hours=3)
"""Where midnight occurs twice or not at all, a date's instants may lie this far around the ordinary ones."""


def date_start(day: date, timezone: str) -> datetime:
    """The first instant of `day` in `timezone`, UTC."""
    return datetime.combine(day, time(), tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def date_of(instant: datetime, timezone: str) -> date:
    """The date of `instant` in `timezone`."""
    return instant.astimezone(ZoneInfo(timezone)).date()


def dates_between(first: date, last: date) -> list[date]:
    """Every date from `first` to `last`, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


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
        (date_start(run[0], timezone) - _MARGIN, date_start(run[-1] + timedelta(days=1), timezone) + _MARGIN)
        for run in runs
    ]


def describe(dates: Sequence[date]) -> str:
    """Dates for a log line: first and last, and how many."""
    if not dates:
        return "no date"
    if len(dates) == 1:
        return dates[0].isoformat()
    return f"{min(dates).isoformat()} to {max(dates).isoformat()} ({len(dates)} dates)"
