"""Agents' time: from Symbee's extended agent events to sessions, and to the intervals that tile them.

Pure DataFrame → DataFrame. Source: Symbee Connect's Interaction Event Feeds guide, extended agent events.
"""

from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.contacts import milliseconds_between
from contactlake.conform.dates import at, business_date, date_begins
from contactlake.conform.symbee import SYMBEE, symbee_environment
from contactlake.tables.conformed import AGENT_SESSION, AGENT_STATE, FOCUS_INTERVAL

SESSION = ("environment", "agent", "session_id")
AGENT_KEY = ("environment", "agent")
IS_LOGIN = "event_type = 'LOGIN'"
"""Which agent events are logins, in Spark SQL."""
_STILL_OPEN_HOURS = 24
"""A session without an end may go on while its last sign of life is this recent."""

_EVENT_ORDER = {"LOGIN": 0, "STATE_CHANGE": 1, "TIMEOUT": 2, "LOGOUT": 3}
"""Events of one instant, in the order in which they happen; an unknown one is a STATE_CHANGE."""


@dataclass(frozen=True)
class AgentTime:
    """What the events of whole sessions tell.

    `sessions`: `agent_session`'s rows. `intervals`: one row per interval in a state, not yet cut at dates:
    `agent_state`'s columns but for duration_ms and business_date, and focus_state.
    """

    sessions: DataFrame
    intervals: DataFrame


def _ends_session() -> Column:
    return (F.col("event_type") == "LOGOUT") | (F.col("current_state") == "LOGGED_OFF")


def session_events(events: DataFrame) -> DataFrame:
    """The agent events under the names of their session: environment, agent, session_id, at."""
    return events.select(
        symbee_environment().alias("environment"),
        F.col("username").alias("agent"),
        F.col("agent_session_id").alias("session_id"),
        F.col("current_state_at").alias("at"),
        "event_type",
        "user_report_hierarchy",
        "current_state",
        "current_state_reason",
        "current_task_count",
        "current_focus_task_id",
        "current_focus_task_state",
        "previous_state",
        "previous_state_reason",
        "previous_state_at",
        "previous_task_count",
        "previous_focus_task_id",
        "previous_focus_task_state",
        "record_sha256",
    )


def _signs(firsts: DataFrame, logins: DataFrame, usage: DataFrame) -> DataFrame:
    """Per session what the agent's other records tell of its end: seen_at (of usage events), is_followed by a LOGIN.

    Between two of an agent's logins all sessions that began there share the usage events there, so one pass over the
    agent's time line does, without a join on inequalities.
    """
    nothing = F.lit(None)
    timeline = (
        firsts.select(*SESSION, F.col("first_at").alias("at"), F.lit(0).alias("login"), nothing.alias("used_at"))
        .unionByName(
            logins.select(
                *AGENT_KEY, nothing.alias("session_id"), "at", F.lit(1).alias("login"), nothing.alias("used_at")
            )
        )
        .unionByName(
            usage.select(
                symbee_environment().alias("environment"),
                F.col("username").alias("agent"),
                nothing.alias("session_id"),
                F.col("usage_entry_at").alias("at"),
                F.lit(0).alias("login"),
                F.col("usage_entry_at").alias("used_at"),
            )
        )
    )
    until_now = Window.partitionBy(*AGENT_KEY).orderBy("at").rangeBetween(Window.unboundedPreceding, Window.currentRow)
    between_logins = Window.partitionBy(*AGENT_KEY, "logins")
    return (
        timeline.withColumn("logins", F.sum("login").over(until_now))
        .withColumns(
            {
                "seen_at": F.max("used_at").over(between_logins),
                "is_followed": F.max("logins").over(Window.partitionBy(*AGENT_KEY)) > F.col("logins"),
            }
        )
        .where("session_id is not null")
        .select(*SESSION, "seen_at", "is_followed")
    )


def agent_time(events: DataFrame, logins: DataFrame, usage: DataFrame, as_of: datetime) -> AgentTime:
    """Sessions and intervals of `events` (silver/symbee_agent_event), which hold whole sessions.

    `logins` (of the same table) and `usage` (silver/symbee_user_usage) must hold every LOGIN and every usage event of
    the sessions' agents since those sessions began.
    """
    told = session_events(events)
    rank = F.lit(_EVENT_ORDER["STATE_CHANGE"])
    for name, place in _EVENT_ORDER.items():
        rank = F.when(F.col("event_type") == name, place).otherwise(rank)
    in_order = Window.partitionBy(*SESSION).orderBy(
        "at", rank, F.col("previous_state_at").asc_nulls_first(), "current_state", "record_sha256"
    )
    following = F.struct(
        "at",
        "previous_state",
        "previous_state_reason",
        "previous_state_at",
        "previous_task_count",
        "previous_focus_task_id",
        "previous_focus_task_state",
    )
    ordered = told.withColumns(
        {
            "next": F.lead(following).over(in_order),
            "first_at": F.min("at").over(Window.partitionBy(*SESSION)),
            "is_end": _ends_session(),
        }
    )
    firsts = ordered.where("next is null").select(*SESSION, "first_at")
    signs = _signs(firsts, session_events(logins), usage)
    last = ordered.where("next is null").join(signs, [*SESSION], "left")
    sign = F.when(F.col("seen_at") > F.col("first_at"), F.greatest("at", "seen_at")).otherwise(F.col("at"))
    is_recent = F.col("ended_at") >= at(as_of) - F.expr(f"interval {_STILL_OPEN_HOURS} hours")
    last = last.withColumn("ended_at", F.when(F.col("is_end"), F.col("at")).otherwise(sign)).withColumn(
        "is_open", ~F.col("is_end") & ~F.col("is_followed") & is_recent
    )
    ended_by = (
        F.when(~F.col("is_end"), "LAST_SEEN").when(F.col("event_type") == "TIMEOUT", "TIMEOUT").otherwise("LOGOUT")
    )
    sessions = last.select(
        F.lit(SYMBEE).alias("source"),
        *SESSION,
        F.col("first_at").alias("started_at"),
        "ended_at",
        ended_by.alias("ended_by"),
        "is_open",
        milliseconds_between(F.col("ended_at"), F.col("first_at")).alias("duration_ms"),
    ).select(*AGENT_SESSION.column_names)
    ends = last.select(*SESSION, "ended_at", F.col("is_open").alias("is_session_open"))
    return AgentTime(sessions, _intervals(ordered.where(~F.col("is_end")), ends))


def _intervals(opening: DataFrame, ends: DataFrame) -> DataFrame:
    """One row per interval longer than nothing: of each event that opens one, and of what lost events left out."""
    following = F.col("next")
    is_lost = (
        following.isNotNull()
        & following.getField("previous_state").isNotNull()
        & (following.getField("previous_state") != F.col("current_state"))
        & (following.getField("previous_state_at") > F.col("at"))
    )
    closed_at = F.when(
        F.coalesce(is_lost, F.lit(False)), F.least(following.getField("previous_state_at"), following.getField("at"))
    ).otherwise(F.coalesce(following.getField("at"), F.col("ended_at")))
    own = F.struct(
        F.col("current_state").alias("state"),
        F.col("current_state_reason").alias("reason"),
        F.col("current_focus_task_id").alias("focus_interaction_id"),
        F.col("current_focus_task_state").alias("focus_state"),
        F.col("current_task_count").alias("task_count"),
        F.col("at").alias("started_at"),
        F.col("closed_at").alias("ended_at"),
        (following.isNull() & F.col("is_session_open")).alias("is_open"),
    )
    lost = F.struct(
        following.getField("previous_state").alias("state"),
        following.getField("previous_state_reason").alias("reason"),
        following.getField("previous_focus_task_id").alias("focus_interaction_id"),
        following.getField("previous_focus_task_state").alias("focus_state"),
        following.getField("previous_task_count").alias("task_count"),
        F.col("closed_at").alias("started_at"),
        following.getField("at").alias("ended_at"),
        F.lit(False).alias("is_open"),
    )
    return (
        opening.join(ends, [*SESSION])
        .withColumn("closed_at", closed_at)
        .select(
            F.lit(SYMBEE).alias("source"),
            *SESSION,
            F.col("user_report_hierarchy").alias("agent_hierarchy"),
            F.inline(F.array(own, lost)),
        )
        .where("ended_at > started_at")
    )


# --- what is stored of them ---


def cut(rows: DataFrame, timezone: str) -> DataFrame:
    """`rows` (started_at, ended_at) cut where the dates of `timezone` begin, with each piece's business_date.

    A date begins at its first instant, where midnight occurs twice or not at all.
    """
    first, last = (business_date(name, timezone) for name in ("started_at", "ended_at"))
    pieces = rows.withColumn("day", F.explode(F.sequence(first, F.greatest(first, last))))
    return (
        pieces.withColumns(
            {
                "started_at": F.greatest(F.col("started_at"), date_begins(F.col("day"), timezone)),
                "ended_at": F.least(F.col("ended_at"), date_begins(F.date_add("day", 1), timezone)),
            }
        )
        .where("ended_at > started_at")
        .withColumnRenamed("day", "business_date")
    )


def agent_states(intervals: DataFrame, timezone: str) -> DataFrame:
    """`agent_state`'s rows; only the last piece of an open interval is open."""
    whole = intervals.withColumn("closes_at", F.col("ended_at"))
    return (
        cut(whole, timezone)
        .withColumns(
            {
                "is_open": F.col("is_open") & (F.col("ended_at") == F.col("closes_at")),
                "duration_ms": milliseconds_between(F.col("ended_at"), F.col("started_at")),
            }
        )
        .select(*AGENT_STATE.column_names)
    )


def focus_intervals(intervals: DataFrame) -> DataFrame:
    """`focus_interval`'s rows: the intervals with a task in focus."""
    return (
        intervals.where("focus_interaction_id is not null")
        .withColumns(
            {
                "interaction_id": F.col("focus_interaction_id"),
                "duration_ms": milliseconds_between(F.col("ended_at"), F.col("started_at")),
            }
        )
        .select(*FOCUS_INTERVAL.column_names)
    )
