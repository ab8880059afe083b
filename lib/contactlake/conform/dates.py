"""Business dates and instants as columns."""

from collections.abc import Iterable
from datetime import date, datetime

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from contactlake.business_dates import date_start, microseconds_of


def at(instant: datetime) -> Column:
    """`instant` as a timestamp. A literal of PySpark's lies days off before 1582, in the Julian calendar."""
    return F.timestamp_micros(F.lit(microseconds_of(instant)))


def is_between(instant: Column, start: datetime, end: datetime | None) -> Column:
    """Whether `instant` lies in [start, end); None: without end."""
    begun = instant >= at(start)
    return begun if end is None else begun & (instant < at(end))


def business_date(instant: str, timezone: str) -> Column:
    """The calendar date of `instant` (a timestamp column) in `timezone`.

    The calendar begins with the year 1 and ends with 9999: a zone's offset leads nowhere beyond.
    """
    second, last = (microseconds_of(date_start(day, timezone)) for day in (date(1, 1, 2), date.max))
    return F.expr(
        f"case when `{instant}` < timestamp_micros({second}) then date'0001-01-01'"
        f" when `{instant}` >= timestamp_micros({last}) then date'9999-12-31'"
        f" else to_date(from_utc_timestamp(`{instant}`, '{timezone}')) end"
    )


def is_one_of(day: Column, dates: Iterable[date]) -> Column:
    """Whether `day` is one of `dates`, of any year: those that PySpark makes literals of begin with 1000."""
    return day.isin([F.expr(f"date'{each.isoformat()}'") for each in dates])


def date_begins(day: Column, timezone: str) -> Column:
    """The first instant of the date `day` in `timezone`, UTC; where midnight occurs twice or not at all, too."""
    return F.to_utc_timestamp(day.cast("timestamp"), timezone)
