"""gold/agent_daily, gold/agent_interval and gold/agent_unavailable_daily: agents' time by state, and their work in it.

Time is wall clock, from the agent events. Focus and parked time are the handled interactions' own clocks, on the
interaction's business date. A row stands where either side has something.
"""

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.contacts import milliseconds_between
from contactlake.conform.dates import business_date, is_one_of
from contactlake.conform.symbee import SYMBEE
from contactlake.kpi.conformed import QUARTER_SECONDS, Conformed, Kpi, dimension, quarter_of, total, totals, with_ratios
from contactlake.tables.conformed import IS_UNAVAILABLE
from contactlake.tables.gold import AGENT_DAILY, AGENT_INTERVAL, AGENT_UNAVAILABLE_DAILY

_DIMENSIONS = ("source", "environment", "agent")
_KIND = f"""
case when {IS_UNAVAILABLE} then 'unavailable_ms'
     when state = 'IDLE' then 'idle_ms'
     when state in ('RESERVING', 'RESERVED') then 'reserved_ms'
     when state in ('WORKING', 'PENDING_UNAVAILABLE') then 'working_ms'
     when state = 'WRAP' then 'wrap_ms'
     else 'other_ms' end
"""
_KINDS = ("idle_ms", "reserved_ms", "working_ms", "wrap_ms", "unavailable_ms", "other_ms")


def _times(pieces: DataFrame, *more: str) -> DataFrame:
    kind = F.expr(_KIND)
    return pieces.select(
        "business_date",
        *_DIMENSIONS,
        *more,
        F.col("duration_ms").alias("logged_in_ms"),
        *(F.when(kind == name, F.col("duration_ms")).alias(name) for name in _KINDS),
    )


def _timeouts(conformed: Conformed, *more: Column) -> DataFrame:
    day = business_date("at", conformed.timezone)
    return conformed.timeouts.where(is_one_of(day, conformed.dates)).select(
        day.alias("business_date"),
        F.lit(SYMBEE).alias("source"),
        "environment",
        "agent",
        *more,
        F.lit(1).alias("timeouts"),
    )


def _work(conformed: Conformed, *more: Column) -> DataFrame:
    coded = conformed.dispositions.select(F.col("interaction_id").alias("coded_id")).where("coded_id is not null")
    handled = conformed.interaction.where("is_handled").join(
        coded.distinct(), F.col("interaction_id") == F.col("coded_id"), "left"
    )
    return handled.select(
        "business_date",
        *_DIMENSIONS,
        *more,
        F.lit(1).alias("handled"),
        F.col("coded_id").isNull().cast("int").alias("uncoded"),
        "focus_ms",
        "parked_ms",
    )


def _union(*frames: DataFrame) -> DataFrame:
    return reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), frames)


def _agent_daily(conformed: Conformed) -> DataFrame:
    rows = _union(_times(conformed.agent_state, "session_id"), _timeouts(conformed), _work(conformed))
    summed = rows.groupBy("business_date", *_DIMENSIONS).agg(
        *totals(AGENT_DAILY, rows), F.count_distinct("session_id").alias("sessions")
    )
    return with_ratios(summed, AGENT_DAILY)


def _agent_interval(conformed: Conformed) -> DataFrame:
    quarter = F.lit(QUARTER_SECONDS)
    first, last = (F.floor(F.unix_seconds(name) / quarter).cast("bigint") for name in ("started_at", "ended_at"))
    pieces = (
        conformed.agent_state.withColumn("quarter", F.explode(F.sequence(first, last)))
        .withColumns(
            {
                "interval_start_at": F.timestamp_seconds(F.col("quarter") * quarter),
                "from_at": F.greatest("started_at", F.timestamp_seconds(F.col("quarter") * quarter)),
                "to_at": F.least("ended_at", F.timestamp_seconds((F.col("quarter") + 1) * quarter)),
            }
        )
        .where("to_at > from_at")
        .withColumn("duration_ms", milliseconds_between(F.col("to_at"), F.col("from_at")))
    )
    rows = _union(
        _times(pieces, "interval_start_at"),
        _timeouts(conformed, quarter_of("at")),
        _work(conformed, quarter_of("completed_at")),
    )
    return (
        rows.groupBy("business_date", "interval_start_at", *_DIMENSIONS)
        .agg(*totals(AGENT_INTERVAL, rows))
        .select(*AGENT_INTERVAL.column_names)
    )


def _agent_unavailable_daily(conformed: Conformed) -> DataFrame:
    pieces = conformed.agent_state.where(IS_UNAVAILABLE).select(
        "business_date", *_DIMENSIONS, "reason", F.col("duration_ms").alias("unavailable_ms")
    )
    day = business_date("started_at", conformed.timezone)
    begun = conformed.intervals.where(IS_UNAVAILABLE).where(is_one_of(day, conformed.dates))
    rows = _union(
        pieces, begun.select(day.alias("business_date"), *_DIMENSIONS, "reason", F.lit(1).alias("occurrences"))
    )
    return (
        rows.groupBy("business_date", *_DIMENSIONS, dimension("reason"))
        .agg(*(total(name).alias(name) for name in ("unavailable_ms", "occurrences")))
        .select(*AGENT_UNAVAILABLE_DAILY.column_names)
    )


AGENT = Kpi(AGENT_DAILY, _agent_daily)
AGENT_BY_INTERVAL = Kpi(AGENT_INTERVAL, _agent_interval)
AGENT_UNAVAILABLE = Kpi(AGENT_UNAVAILABLE_DAILY, _agent_unavailable_daily)
