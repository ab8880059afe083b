"""Which agents Symbee's records name, and since when: the table `silver/agent`."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.changes import Changes, union_if_any
from contactlake.conform.symbee import SYMBEE, symbee_environment
from contactlake.joins import union
from contactlake.store import Lake
from contactlake.tables.conformed import AGENT, RECONCILIATION
from contactlake.tables.declaration import Table
from contactlake.tables.events import (
    SYMBEE_AGENT_EVENT,
    SYMBEE_INTERACTION,
    SYMBEE_USER_USAGE,
    SYMBEE_WORK_CODE,
)

_SIGHTED_AT = {
    SYMBEE_INTERACTION: "completed_at",
    SYMBEE_WORK_CODE: "created_at",
    SYMBEE_USER_USAGE: "usage_entry_at",
    SYMBEE_AGENT_EVENT: "current_state_at",
}
"""Per Symbee table, when its rows name an agent."""

_AGENT_STATUSES = ("NOT_SYMBEE_AGENT", "AWAITING_INTERACTION", "MISSING_INTERACTION")


def sightings(rows: DataFrame, table: Table) -> DataFrame:
    """The agents whom rows of a Symbee table name: environment, agent, seen_at, agent_hierarchy."""
    return rows.where("username is not null").select(
        symbee_environment().alias("environment"),
        F.col("username").alias("agent"),
        F.col(_SIGHTED_AT[table]).alias("seen_at"),
        F.col("user_report_hierarchy").alias("agent_hierarchy"),
    )


def _first_and_last(seen: DataFrame) -> DataFrame:
    # Of each hierarchy first, by instants alone: for the greatest of pairs Spark would sort all sightings.
    spans = (F.min("seen_at").alias("first_seen_at"), F.max("seen_at").alias("last_seen_at"))
    latest = F.max(F.struct("last_seen_at", "agent_hierarchy"))
    return (
        seen.groupBy("environment", "agent", "agent_hierarchy")
        .agg(*spans)
        .groupBy("environment", "agent")
        .agg(
            F.min("first_seen_at").alias("first_seen_at"),
            F.max("last_seen_at").alias("last_seen_at"),
            latest.getField("agent_hierarchy").alias("agent_hierarchy"),
        )
    )


def changed_sightings(changed: Changes) -> DataFrame | None:
    """Who is named by the rows that are about to be written."""
    return union_if_any(sightings(rows, table) for table in _SIGHTED_AT if (rows := changed.new(table)) is not None)


def _taken_back(changed: Changes) -> DataFrame | None:
    """Who was named by the rows that these replace."""
    return union_if_any(sightings(rows, table) for table in _SIGHTED_AT if (rows := changed.old(table)) is not None)


def _is_same_agent(left: str, right: str) -> Column:
    return (F.col(f"{left}.environment") == F.col(f"{right}.environment")) & (
        F.col(f"{left}.agent") == F.col(f"{right}.agent")
    )


def agent_dates(lake: Lake, changed: Changes) -> list[DataFrame]:
    """Dates of contacts without interaction whose agent is now first seen on another date, or may be."""
    seen = changed_sightings(changed)
    if seen is None or lake.is_new(RECONCILIATION):
        return []
    taken_back = _taken_back(changed)
    known = lake.read(AGENT).where(F.col("source") == SYMBEE).alias("known")
    fresh = _first_and_last(seen).alias("fresh")
    earlier = fresh.join(known, _is_same_agent("fresh", "known"), "left").where(
        "known.agent is null or fresh.first_seen_at < known.first_seen_at"
    )
    agents = earlier.select("fresh.environment", "fresh.agent")
    if taken_back is not None:
        first = F.col("known.first_seen_at") == F.col("back.seen_at")
        later = taken_back.alias("back").join(known, _is_same_agent("back", "known") & first, "left_semi")
        agents = agents.unionByName(later.select("environment", "agent"))
    agents = agents.distinct().localCheckpoint()
    if agents.isEmpty():  # as on most days: then not all verdicts of the lake need be looked through
        return []
    verdicts = lake.read(RECONCILIATION).where(F.col("status").isin(*_AGENT_STATUSES)).alias("verdict")
    touched = verdicts.join(agents.alias("changed"), _is_same_agent("verdict", "changed"), "left_semi")
    return [touched.select("business_date")]


def update_agents(lake: Lake, changed: Changes, seen: DataFrame | None) -> None:
    """Brings `silver/agent` up to date with rows that have been written.

    New sightings widen an agent's span. A sighting at an end of it that a corrected record took back may narrow it: the
    agents that it named are then told anew from the events themselves, and from the end that was not taken back, whose
    events may have expired.
    """
    if seen is None:
        return
    known = lake.read_pinned(AGENT).where(F.col("source") == SYMBEE)
    spans = _first_and_last(seen.unionByName(_ends(known)))
    taken_back = _taken_back(changed)
    if taken_back is not None:
        ends, gone = _ends(known), taken_back.drop("agent_hierarchy")
        at_an_end = ends.join(gone, ["environment", "agent", "seen_at"], "left_semi")
        named = at_an_end.select("environment", "agent").distinct()
        left = ends.join(gone, ["environment", "agent", "seen_at"], "left_anti")
        told_anew = union(
            rows.join(named, ["environment", "agent"], "left_semi")
            for rows in (left, *(sightings(lake.read_pinned(table), table) for table in _SIGHTED_AT))
        )
        spans = spans.join(named, ["environment", "agent"], "left_anti").unionByName(_first_and_last(told_anew))
    # As many rows as a centre has agents: they are put in place whole, which also drops who is named no more.
    told = spans.withColumn("source", F.lit(SYMBEE)).select(*AGENT.column_names).toArrow().to_pylist()
    stored = lake.read_rows(AGENT, AGENT.column_names).to_pylist()
    old = [row for row in stored if row["source"] == SYMBEE]
    if {tuple(row.values()) for row in told} != {tuple(row.values()) for row in old}:
        lake.overwrite_rows(AGENT, [*told, *(row for row in stored if row["source"] != SYMBEE)])


def _ends(known: DataFrame) -> DataFrame:
    """What `silver/agent` knows, as sightings."""
    last = known.select("environment", "agent", F.col("last_seen_at").alias("seen_at"), "agent_hierarchy")
    first = known.select(
        "environment",
        "agent",
        F.col("first_seen_at").alias("seen_at"),
        F.lit(None).cast("string").alias("agent_hierarchy"),
    )
    return last.unionByName(first)
