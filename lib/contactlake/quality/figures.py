"""Figures that no single row tells: overlaps, disagreements between sources, what has no counterpart.

Each function gives a row per figure: name, value.
"""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.agent_time import SESSION
from contactlake.conform.contacts import milliseconds_between
from contactlake.conform.dates import business_date, date_begins, is_one_of
from contactlake.conform.interactions import media_key
from contactlake.conform.symbee import symbee_environment

OVERLAPPING_STATES = "intervals_of_a_session_that_overlap"
OVERLONG_DAYS = "sessions_longer_than_their_date"
OVERLAPPING_SESSIONS = "intervals_of_two_sessions_of_an_agent_that_overlap"
STATE_DIFFERENCES = "intervals_that_the_next_event_reports_otherwise"
ORPHAN_TRANSCRIPTS = "transcripts_without_interaction"
CODES_WITHOUT_INTERACTION = "codes_without_interaction"
CODES_WITHOUT_GROUP = "codes_without_group"
USAGE_WITHOUT_SESSION = "user_days_with_usage_and_without_agent_session"
SESSION_WITHOUT_USAGE = "user_days_with_agent_session_and_without_usage"


def _count(name: str, rows: DataFrame) -> DataFrame:
    return rows.agg(F.count(F.lit(1)).cast("double").alias("value")).select(F.lit(name).alias("name"), "value")


def overlaps(name: str, states: DataFrame, of: Sequence[str]) -> DataFrame:
    """How many stretches of `agent_state` begin before an earlier one of the same `of` has ended."""
    in_order = Window.partitionBy("source", *of).orderBy("started_at", "ended_at")
    before = F.max("ended_at").over(in_order.rowsBetween(Window.unboundedPreceding, -1))
    return _count(name, states.withColumn("before", before).where("started_at < before"))


def overlong_days(states: DataFrame, timezone: str) -> DataFrame:
    """How many sessions have more time on a date than it has: 23 hours to 25."""
    length = milliseconds_between(
        date_begins(F.date_add("business_date", 1), timezone), date_begins(F.col("business_date"), timezone)
    )
    days = states.groupBy("source", *SESSION, "business_date").agg(F.sum("duration_ms").alias("total_ms"))
    return _count(OVERLONG_DAYS, days.where(F.col("total_ms") > length))


def state_differences(
    intervals: DataFrame, events: DataFrame, dates: Sequence[date], timezone: str, tolerance_ms: int
) -> DataFrame:
    """How many intervals last otherwise than the event that ends them reports, by more than `tolerance_ms`."""
    reported = events.where("previous_state_ms is not null").select(
        symbee_environment().alias("environment"),
        F.col("username").alias("agent"),
        F.col("agent_session_id").alias("session_id"),
        F.col("current_state_at").alias("ended_at"),
        F.col("previous_state").alias("state"),
        "previous_state_ms",
    )
    day = business_date("ended_at", timezone)
    both = intervals.join(reported, [*SESSION, "ended_at", "state"]).where(is_one_of(day, dates))
    lasted = milliseconds_between(F.col("ended_at"), F.col("started_at"))
    return _count(STATE_DIFFERENCES, both.where(F.abs(lasted - F.col("previous_state_ms")) > F.lit(tolerance_ms)))


def orphan_transcripts(
    transcripts: DataFrame, interactions: DataFrame, dates: Sequence[date], timezone: str
) -> DataFrame:
    """How many transcripts that begin on `dates` no interaction of the lake names."""
    spoken = transcripts.where(is_one_of(business_date("first_message_at", timezone), dates))
    named = interactions.where("media_location is not null").select(media_key().alias("named_key"))
    return _count(ORPHAN_TRANSCRIPTS, spoken.join(named, F.col("media_key") == F.col("named_key"), "left_anti"))


def codes(dispositions: DataFrame) -> DataFrame:
    """How many work codes have no interaction, and how many no group."""
    orphans = _count(CODES_WITHOUT_INTERACTION, dispositions.where("interaction_id is null"))
    return orphans.unionByName(_count(CODES_WITHOUT_GROUP, dispositions.where("code_group is null")))


def usage_and_sessions(usage: DataFrame, states: DataFrame, dates: Sequence[date], timezone: str) -> DataFrame:
    """How many users have usage events and no agent session on a date, and the other way round."""
    day = business_date("usage_entry_at", timezone)
    used = (
        usage.where(is_one_of(day, dates))
        .select(day.alias("business_date"), symbee_environment().alias("environment"), F.col("username").alias("agent"))
        .distinct()
    )
    key = ["business_date", "environment", "agent"]
    logged_in = states.select(*key).distinct()
    sessionless = _count(USAGE_WITHOUT_SESSION, used.join(logged_in, key, "left_anti"))
    return sessionless.unionByName(_count(SESSION_WITHOUT_USAGE, logged_in.join(used, key, "left_anti")))
