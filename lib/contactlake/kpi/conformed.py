"""What KPIs are computed from, and the few columns that all of them use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.symbee import ABSENT
from contactlake.rollup import ratios
from contactlake.tables.declaration import Rollup, Table

QUARTER_SECONDS = 15 * 60
"""The length of an interval in the `*_interval` tables."""


@dataclass(frozen=True)
class Conformed:
    """What the dates that are measured are measured from.

    The tables' rows of those dates; beside them, of whatever dates, what crosses a date's bounds: agents' `intervals`
    before they are cut, all `dispositions` of the dates' interactions, the `messages` of their transcripts,
    `handle_times` (interaction_id, handle_ms) of the dates' work codes, `timeouts` (environment, agent, at) and
    `usage` (silver/symbee_user_usage); and what the configuration says.
    """

    interaction: DataFrame
    queue_visit: DataFrame
    reconciliation: DataFrame
    agent_state: DataFrame
    disposition: DataFrame
    conversation: DataFrame
    intervals: DataFrame
    dispositions: DataFrame
    messages: DataFrame
    handle_times: DataFrame
    timeouts: DataFrame
    usage: DataFrame
    dates: Sequence[date]
    timezone: str
    thresholds_seconds: tuple[int, ...]
    heartbeat_timeout_minutes: int


@dataclass(frozen=True)
class Kpi:
    """A gold table and the one function that computes it: pure, DataFrame → DataFrame."""

    table: Table
    compute: Callable[[Conformed], DataFrame]


def dimension(name: str) -> Column:
    """A dimension under its own name; `(none)` where it is absent."""
    return F.expr(f"coalesce(`{name}`, '{ABSENT}')").alias(name)


def total(name: str) -> Column:
    """A sum in which null is 0, as a bigint."""
    return F.expr(f"cast(coalesce(sum(`{name}`), 0) as bigint)")


def totals(table: Table, rows: DataFrame) -> list[Column]:
    """The sums of every additive measure of `table` that `rows` have a column for."""
    return [
        total(column.name).alias(column.name)
        for column in table.columns
        if column.rollup is Rollup.SUM and column.name in rows.columns
    ]


def with_ratios(rows: DataFrame, table: Table) -> DataFrame:
    """`rows` with the ratios that `table` declares, null where a denominator is 0, in the table's columns."""
    return rows.withColumns(ratios(table)).select(*table.column_names)


def quarter_of(instant: str) -> Column:
    """The beginning of the quarter of an hour that `instant` lies in, UTC."""
    seconds = F.unix_seconds(instant)
    return F.timestamp_seconds(seconds - F.pmod(seconds, F.lit(QUARTER_SECONDS))).alias("interval_start_at")
