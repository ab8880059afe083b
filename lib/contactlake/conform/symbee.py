"""From Symbee's words to the conformed ones: each rule once, as a column."""

from collections.abc import Iterable
from datetime import date

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

ABSENT = "(none)"
"""What stands in a dimension that is absent."""

_CHANNELS = {
    "VOICE": "voice",
    "ROUTED_EMAIL": "email",
    "WEBCHAT": "chat",
    "GENERIC_TASK": "task",
    "PREVIEW_DIAL": "preview",
    "INSTANT_MESSAGE": "instant_message",
    "UC_CALL": "uc_call",
}


def business_date(instant: str, timezone: str) -> Column:
    """The calendar date of `instant` (a timestamp column) in `timezone`.

    The calendar begins with the year 1 and ends with 9999: a zone's offset leads nowhere beyond.
    """
    day = F.to_date(F.from_utc_timestamp(F.col(instant), timezone))
    first, last = F.expr("date'0001-01-01'"), F.expr("date'9999-12-31'")
    return F.when(day < first, first).when(day > last, last).otherwise(day)


def is_one_of(day: Column, dates: Iterable[date]) -> Column:
    """Whether `day` is one of `dates`, of any year: those that PySpark makes literals of begin with 1000."""
    return day.isin([F.expr(f"date'{each.isoformat()}'") for each in dates])


def date_begins(day: Column, timezone: str) -> Column:
    """The first instant of the date `day` in `timezone`, UTC; where midnight occurs twice or not at all, too."""
    return F.to_utc_timestamp(day.cast("timestamp"), timezone)


def symbee_environment(company_id: str = "company_id", environment: str = "environment") -> Column:
    """`company/environment`; a missing part is `(none)`."""
    return F.concat_ws("/", F.coalesce(F.col(company_id), F.lit(ABSENT)), F.coalesce(F.col(environment), F.lit(ABSENT)))


def symbee_channel(task_type: str = "task_type") -> Column:
    """The channel of a task type; `other` for one that is unknown or absent."""
    kind = F.col(task_type)
    channel = F.when(kind.startswith("SMS"), "sms").when(kind.startswith("SOCIAL_"), "social")
    for name, value in _CHANNELS.items():
        channel = channel.when(kind == name, value)
    return channel.otherwise("other")


def symbee_direction(initiation_method: str = "task_initiation_method") -> Column:
    """outbound for OUTBOUND_*, else inbound."""
    return F.when(F.col(initiation_method).startswith("OUTBOUND_"), "outbound").otherwise("inbound")


def is_handled() -> Column:
    """An agent is named and was connected."""
    return F.col("username").isNotNull() & F.col("connected_at").isNotNull()
