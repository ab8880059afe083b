"""Which business dates a change of the silver event tables can touch.

Everything is found before the first write, from the lake as it is and the rows that are about to change it. A change
touches the dates of the rows themselves, old and new, of all interactions and contacts that share a contact with them,
and of the contacts whose verdict depends on when Symbee first named their agent.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.interactions import media_key
from contactlake.conform.symbee import business_date, symbee_environment
from contactlake.feeds.connect import CONTACT_ENDS
from contactlake.ingest import LAKE_ROW, Change
from contactlake.store import Lake
from contactlake.tables.conformed import AGENT, RECONCILIATION
from contactlake.tables.declaration import Table
from contactlake.tables.events import (
    CONNECT_CONTACT,
    SYMBEE_AGENT_EVENT,
    SYMBEE_INTERACTION,
    SYMBEE_TRANSCRIPT,
    SYMBEE_USER_USAGE,
    SYMBEE_WORK_CODE,
)
from contactlake.tables.ops import PENDING_DATE

_CONTACT_END = f"coalesce({', '.join(CONTACT_ENDS)})"
_COUNTED_AT: dict[Table, tuple[str, ...]] = {
    SYMBEE_INTERACTION: ("completed_at",),
    SYMBEE_WORK_CODE: ("created_at",),
    SYMBEE_USER_USAGE: ("usage_entry_at",),
    SYMBEE_AGENT_EVENT: ("current_state_at",),
    SYMBEE_TRANSCRIPT: (),
    CONNECT_CONTACT: (_CONTACT_END, f"coalesce(disconnect_at, dequeued_at, {_CONTACT_END})"),
}
"""Per event table, the instants whose dates its rows are counted on, in Spark SQL."""

_CONTACT_NAMED = {SYMBEE_INTERACTION: "gateway_task_id", CONNECT_CONTACT: "contact_id"}
_SIGHTED_AT = {
    SYMBEE_INTERACTION: "completed_at",
    SYMBEE_WORK_CODE: "created_at",
    SYMBEE_USER_USAGE: "usage_entry_at",
    SYMBEE_AGENT_EVENT: "current_state_at",
}
"""Per Symbee table, when its rows name an agent."""

_AGENT_STATUSES = ("NOT_SYMBEE_AGENT", "AWAITING_INTERACTION", "MISSING_INTERACTION")


def _union(frames: Iterable[DataFrame]) -> DataFrame | None:
    listed = list(frames)
    return reduce(lambda left, right: left.unionByName(right), listed) if listed else None


def _dates(rows: DataFrame, instants: Iterable[str], timezone: str) -> DataFrame:
    """The business dates (business_date) of `instants` of `rows`."""
    moments = rows.select(F.explode(F.array(*(F.expr(instant) for instant in instants))).alias("instant"))
    return moments.where("instant is not null").select(business_date("instant", timezone).alias("business_date"))


def _old_rows(change: Change) -> DataFrame:
    return change.rows.where(F.col(LAKE_ROW).isNotNull()).select(f"{LAKE_ROW}.*")


def touched_dates(lake: Lake, changes: Sequence[Change], timezone: str) -> list[date]:
    """Every business date that `changes` can touch, in order."""
    found: list[DataFrame] = []
    contact_ids: list[DataFrame] = []
    for change in changes:
        table = change.record_type.table
        both = [change.rows, *([_old_rows(change)] if change.updated else [])]
        if _COUNTED_AT[table]:
            found += [_dates(rows, _COUNTED_AT[table], timezone) for rows in both]
        if table in _CONTACT_NAMED:
            contact_ids += [rows.select(F.col(_CONTACT_NAMED[table]).alias("contact_id")) for rows in both]
        if table is SYMBEE_TRANSCRIPT and not lake.is_new(SYMBEE_INTERACTION):
            keys = change.rows.select(F.col("media_key").alias("changed_key"))
            naming = lake.read(SYMBEE_INTERACTION).join(keys, media_key() == F.col("changed_key"), "left_semi")
            found.append(_dates(naming, _COUNTED_AT[SYMBEE_INTERACTION], timezone))
    found += _counterpart_dates(lake, contact_ids, timezone)
    found += _agent_dates(lake, changes, timezone)
    union = _union(found)
    if union is None:
        return []
    return sorted(row["business_date"] for row in union.distinct().collect())


def _counterpart_dates(lake: Lake, contact_ids: list[DataFrame], timezone: str) -> list[DataFrame]:
    """Of the interactions and contacts in the lake that name a contact which a changed row names."""
    ids = _union(contact_ids)
    if ids is None:
        return []
    named = ids.where("contact_id is not null").distinct()
    found = []
    for table, column in _CONTACT_NAMED.items():
        if lake.is_new(table):
            continue
        rows = lake.read(table)
        sharing = rows.join(
            named.withColumnRenamed("contact_id", "named"), F.col(column) == F.col("named"), "left_semi"
        )
        found.append(_dates(sharing, _COUNTED_AT[table], timezone))
    return found


# --- agents ---


def sightings(rows: DataFrame, table: Table) -> DataFrame:
    """The agents whom rows of a Symbee table name: environment, agent, seen_at, agent_hierarchy."""
    return rows.where("username is not null").select(
        symbee_environment().alias("environment"),
        F.col("username").alias("agent"),
        F.col(_SIGHTED_AT[table]).alias("seen_at"),
        F.col("user_report_hierarchy").alias("agent_hierarchy"),
    )


def _first_and_last(seen: DataFrame) -> DataFrame:
    latest = F.max(F.struct("seen_at", "agent_hierarchy"))
    return seen.groupBy("environment", "agent").agg(
        F.min("seen_at").alias("first_seen_at"),
        F.max("seen_at").alias("last_seen_at"),
        latest.getField("agent_hierarchy").alias("agent_hierarchy"),
    )


def changed_sightings(changes: Sequence[Change]) -> DataFrame | None:
    """Who is named by the rows that are about to be written."""
    frames = [
        sightings(change.rows, change.record_type.table)
        for change in changes
        if change.record_type.table in _SIGHTED_AT
    ]
    return _union(frames)


def _is_same_agent(left: str, right: str) -> Column:
    return (F.col(f"{left}.environment") == F.col(f"{right}.environment")) & (
        F.col(f"{left}.agent") == F.col(f"{right}.agent")
    )


def _agent_dates(lake: Lake, changes: Sequence[Change], timezone: str) -> list[DataFrame]:
    """Dates of contacts without interaction whose agent is now first seen on another date, or may be."""
    seen = changed_sightings(changes)
    if seen is None or lake.is_new(RECONCILIATION):
        return []
    replaced = _union(
        sightings(_old_rows(change), change.record_type.table)
        for change in changes
        if change.updated and change.record_type.table in _SIGHTED_AT
    )
    known = lake.read(AGENT).where("source = 'symbee'").alias("known")
    fresh = _first_and_last(seen).alias("fresh")
    earlier = fresh.join(known, _is_same_agent("fresh", "known"), "left").where(
        "known.agent is null or fresh.first_seen_at < known.first_seen_at"
    )
    agents = earlier.select("fresh.environment", "fresh.agent")
    if replaced is not None:
        agents = agents.unionByName(replaced.select("environment", "agent"))
    verdicts = lake.read(RECONCILIATION).where(F.col("status").isin(*_AGENT_STATUSES)).alias("verdict")
    touched = verdicts.join(agents.distinct().alias("changed"), _is_same_agent("verdict", "changed"), "left_semi")
    return [touched.select("business_date")]


def update_agents(lake: Lake, changes: Sequence[Change], seen: DataFrame | None) -> None:
    """Brings `silver/agent` up to date with rows that have been written.

    New sightings widen an agent's span. A sighting that a corrected record took back may narrow it: then the agents
    that it named are told anew from the events themselves.
    """
    taken_back = _union(
        sightings(_old_rows(change), change.record_type.table)
        for change in changes
        if change.updated and change.record_type.table in _SIGHTED_AT
    )
    if seen is None:
        return
    known = lake.read_pinned(AGENT).where("source = 'symbee'")
    spans = _first_and_last(seen.unionByName(_ends(known)))
    if taken_back is not None:
        at_an_end = _ends(known).join(
            taken_back.drop("agent_hierarchy"), ["environment", "agent", "seen_at"], "left_semi"
        )
        named = at_an_end.select("environment", "agent").distinct()
        told_anew = _union(
            sightings(lake.read_pinned(table), table).join(named, ["environment", "agent"], "left_semi")
            for table in _SIGHTED_AT
        )
        assert told_anew is not None  # noqa: S101 - the tables are a constant
        spans = spans.join(named, ["environment", "agent"], "left_anti").unionByName(_first_and_last(told_anew))
    # As many rows as a centre has agents: they are put in place whole, which also drops who is named no more.
    columns = ("environment", "agent", "first_seen_at", "last_seen_at", "agent_hierarchy")
    told = spans.select(*columns).persist()
    try:
        old = known.select(*columns)
        if not (told.exceptAll(old).isEmpty() and old.exceptAll(told).isEmpty()):
            others = lake.read_pinned(AGENT).where("source <> 'symbee'")
            lake.overwrite(AGENT, told.withColumn("source", F.lit("symbee")).unionByName(others))
    finally:
        told.unpersist()


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


# --- the table of pending dates ---


def pending_dates(lake: Lake) -> dict[date, str]:
    """Every pending date and the run that first touched it."""
    rows = lake.read_rows(PENDING_DATE, ("business_date", "since_run"))
    return {row["business_date"]: row["since_run"] for row in rows.to_pylist()}


def add_pending(lake: Lake, dates: Iterable[date], run_id: str) -> None:
    """Makes `dates` pending, those that are already keeping their run."""
    known = pending_dates(lake)
    new = [{"business_date": day, "since_run": run_id} for day in sorted(set(dates) - set(known))]
    lake.append_rows(PENDING_DATE, new)


def settle_pending(lake: Lake, published: Iterable[date], still_open: Iterable[date], run_id: str) -> None:
    """Takes published dates off, except those that hold rows whose verdict is still open."""
    known = pending_dates(lake)
    opened = set(still_open)
    remaining = {day: run for day, run in known.items() if day not in set(published) or day in opened}
    remaining |= {day: run_id for day in opened if day not in remaining}
    if remaining != known:
        rows = [{"business_date": day, "since_run": run} for day, run in sorted(remaining.items())]
        lake.overwrite_rows(PENDING_DATE, rows)
