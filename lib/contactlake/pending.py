"""Which business dates a change of the silver event tables can touch.

Everything is found before the first write, from the lake as it is and the rows that are about to change it. A change
touches the dates of the rows themselves, old and new; of everything that belongs with them in a pair, a conversation
or a leg, with its work codes and messages; of the agents' and usage sessions that it moves; and of the contacts whose
verdict depends on when Symbee first named their agent.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.business_dates import instant_of, shifted
from contactlake.conform.agent_time import IS_LOGIN, SESSION, agent_time, session_events
from contactlake.conform.dates import business_date
from contactlake.conform.interactions import media_key
from contactlake.conform.symbee import symbee_environment
from contactlake.evidence import COUNTED_AT, COUNTED_COLUMNS, NAMES, closure, holding, ids_of, transcripts_of
from contactlake.ingest import LAKE_ROW, Change
from contactlake.pruning import Around
from contactlake.store import Lake
from contactlake.tables.conformed import AGENT, AGENT_SESSION, RECONCILIATION
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

_SIGHTED_AT = {
    SYMBEE_INTERACTION: "completed_at",
    SYMBEE_WORK_CODE: "created_at",
    SYMBEE_USER_USAGE: "usage_entry_at",
    SYMBEE_AGENT_EVENT: "current_state_at",
}
"""Per Symbee table, when its rows name an agent."""

_AGENT = ("environment", "agent")
_SYMBEE = "symbee"
"""The source of what Symbee's feeds tell."""
_ANY_CLOCK = datetime(2000, 1, 1, tzinfo=UTC)
"""The clock tells whether a session is open, which its dates do not depend on."""

_LOGIN_WITHIN = timedelta(days=31)
"""How far back an agent's last LOGIN is looked for before it is looked for in all of the lake."""
_FEW_VALUES = 1_000
"""So many values at most are told to Parquet."""

_AGENT_STATUSES = ("NOT_SYMBEE_AGENT", "AWAITING_INTERACTION", "MISSING_INTERACTION")


def _union(frames: Iterable[DataFrame]) -> DataFrame | None:
    listed = list(frames)
    return reduce(lambda left, right: left.unionByName(right), listed) if listed else None


def _dates(rows: DataFrame, instants: Iterable[str], timezone: str) -> DataFrame:
    """The business dates (business_date) of `instants` of `rows`."""
    moments = rows.select(F.explode(F.array(*(F.expr(instant) for instant in instants))).alias("instant"))
    return moments.where("instant is not null").select(business_date("instant", timezone).alias("business_date"))


def _dates_between(rows: DataFrame, first: str, last: str, timezone: str) -> DataFrame:
    """The business dates (business_date) from the instant `first` to the instant `last` of `rows`."""
    spans = rows.select(F.expr(first).alias("first"), F.expr(last).alias("last")).where("first <= last")
    days = F.sequence(business_date("first", timezone), business_date("last", timezone))
    return spans.select(F.explode(days).alias("business_date"))


def _old_rows(change: Change) -> DataFrame:
    return change.rows.where(F.col(LAKE_ROW).isNotNull()).select(f"{LAKE_ROW}.*")


class Changes:
    """The changes of one run by table: of each, the rows as they will be and as they were."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = {change.record_type.table: change for change in changes}

    def __contains__(self, table: Table) -> bool:
        return table in self._changes

    def new(self, table: Table) -> DataFrame | None:
        return self._changes[table].rows if table in self._changes else None

    def old(self, table: Table) -> DataFrame | None:
        change = self._changes.get(table)
        return _old_rows(change) if change is not None and change.updated else None

    def both(self, table: Table) -> list[DataFrame]:
        return [rows for rows in (self.new(table), self.old(table)) if rows is not None]


def touched_dates(lake: Lake, changes: Sequence[Change], timezone: str, heartbeat_timeout_minutes: int) -> list[date]:
    """Every business date that `changes` can touch, in order."""
    changed = Changes(changes)
    told = {date.fromisoformat(day) for change in changes for file in change.files for day in file.dates}
    found: list[DataFrame] = [
        _dates(rows, COUNTED_AT[change.record_type.table], timezone)
        for change in changes
        if not change.files and change.record_type.table.counted_at
        for rows in changed.both(change.record_type.table)
    ]
    found += _family_dates(lake, changed, timezone)
    found += _agent_dates(lake, changes, timezone)
    found += _session_dates(lake, changed, timezone)
    for rows in changed.both(SYMBEE_USER_USAGE):  # what it joins or parts lies no further off
        around = f"interval {heartbeat_timeout_minutes} minutes"
        found.append(_dates_between(rows, f"usage_entry_at - {around}", f"usage_entry_at + {around}", timezone))
    union = _union(found)
    if union is not None:
        told.update(row["business_date"] for row in union.distinct().collect())
    return sorted(told)


def _family_dates(lake: Lake, changed: Changes, timezone: str) -> list[DataFrame]:
    """Of all that belongs with a changed interaction, contact, work code or transcript."""
    if all(lake.is_new(table) for table in COUNTED_AT):  # whatever belongs with a changed row is changed itself
        return _message_dates(changed.both(SYMBEE_TRANSCRIPT), changed.both(SYMBEE_INTERACTION), timezone)
    seeds = [ids_of(rows, table) for table in NAMES for rows in changed.both(table)]
    seeds += [rows.select(F.col("gateway_task_id").alias("id")) for rows in changed.both(SYMBEE_WORK_CODE)]
    fresh_transcripts = changed.new(SYMBEE_TRANSCRIPT)
    if fresh_transcripts is not None:
        keys = fresh_transcripts.select(F.col("media_key").alias("changed_key"))
        interactions = [lake.read(SYMBEE_INTERACTION), *changed.both(SYMBEE_INTERACTION)]
        for rows in interactions:
            naming = rows.select(*lake.read(SYMBEE_INTERACTION).columns).join(
                keys, media_key() == F.col("changed_key"), "left_semi"
            )
            seeds.append(ids_of(naming, SYMBEE_INTERACTION))
    if not seeds:
        return []
    ids = closure(lake, seeds)
    held = {
        table: holding(lake.read(table, around=around), column, ids.ids)
        for table, column, around in (
            (SYMBEE_INTERACTION, "task_id", ids.around(SYMBEE_INTERACTION)),
            (CONNECT_CONTACT, "contact_id", ids.around(CONNECT_CONTACT)),
            (SYMBEE_WORK_CODE, "gateway_task_id", None),
        )
        if not lake.is_new(table)
    }
    found = [_dates(rows, COUNTED_AT[table], timezone) for table, rows in held.items()]
    interactions = changed.both(SYMBEE_INTERACTION)
    if SYMBEE_INTERACTION in held:
        interactions.append(held[SYMBEE_INTERACTION])
    transcripts = changed.both(SYMBEE_TRANSCRIPT)
    if not lake.is_new(SYMBEE_TRANSCRIPT):
        transcripts.append(lake.read(SYMBEE_TRANSCRIPT))
    return found + _message_dates(transcripts, interactions, timezone)


def _message_dates(
    transcripts: Sequence[DataFrame], interactions: Sequence[DataFrame], timezone: str
) -> list[DataFrame]:
    """Of the messages of those `transcripts` that one of `interactions` names."""
    spoken = _union(rows.select("media_key", "first_message_at", "last_message_at") for rows in transcripts)
    naming = _union(rows.select("task_id", "media_location") for rows in interactions)
    if spoken is None or naming is None:
        return []
    return [_dates_between(transcripts_of(spoken, naming), "first_message_at", "last_message_at", timezone)]


# --- sessions ---


def _changed_sessions(changed: Changes) -> DataFrame | None:
    """The sessions (environment, agent, session_id) that a changed agent event belongs to."""
    rows = _union(session_events(rows) for rows in changed.both(SYMBEE_AGENT_EVENT))
    return None if rows is None else rows.select(*SESSION).distinct().localCheckpoint()


def _changed_agents(changed: Changes) -> DataFrame:
    """The agents of changed events, and the first of these: environment, agent, changed_at."""
    named = [
        rows.select(
            symbee_environment().alias("environment"),
            F.col("username").alias("agent"),
            F.col(*COUNTED_COLUMNS[table]).alias("at"),
        )
        for table in (SYMBEE_AGENT_EVENT, SYMBEE_USER_USAGE)
        for rows in changed.both(table)
    ]
    union = _union(named)
    assert union is not None  # noqa: S101 - only called where one of the tables is changed
    return union.groupBy(*_AGENT).agg(F.min("at").alias("changed_at")).localCheckpoint()


def _narrowed(rows: DataFrame, column: str, values: DataFrame) -> DataFrame:
    """`rows` with the values of the one column of `values`, where these are few; more of them otherwise.

    Told as literals the values reach Parquet's dictionaries, and what holds none of them is not read.
    """
    few = [value for (value,) in values.distinct().limit(_FEW_VALUES + 1).collect()]
    return rows if len(few) > _FEW_VALUES else rows.where(F.col(column).isin(few))


def _last_logins(events: DataFrame, agents: DataFrame) -> DataFrame:
    """Of those of `agents` (environment, agent, changed_at) that any of `events` is of: login_at, the last LOGIN before
    changed_at, and first_at, the first event."""
    is_before = F.expr(IS_LOGIN) & (F.col("at") < F.col("changed_at"))
    return (
        session_events(events)
        .join(agents, [*_AGENT])
        .groupBy(*_AGENT)
        .agg(F.max(F.when(is_before, F.col("at"))).alias("login_at"), F.min("at").alias("first_at"))
    )


def _since(lake: Lake, agents: DataFrame, sessions: DataFrame | None) -> DataFrame:
    """The agents of changed events (environment, agent, changed_at), and an instant: environment, agent, since.

    None of their sessions that began before `since` is changed: it has no changed event, as `sessions` have, and where
    it has no end of its own, a LOGIN ends what can be known of it before the first changed event.
    """
    instants = [agents.withColumnRenamed("changed_at", "at")]
    (row,) = agents.agg(F.unix_micros(F.min("changed_at")).alias("changed_at")).collect()
    if row["changed_at"] is not None and not lake.is_new(SYMBEE_AGENT_EVENT):
        # Most have logged in of late: only for the others all of their events are looked through.
        span = shifted(instant_of(row["changed_at"]), -_LOGIN_WITHIN), None
        late = lake.read(SYMBEE_AGENT_EVENT, around=Around(("current_state_at",), [span])).where(IS_LOGIN)
        logins = _last_logins(late, agents).where("login_at is not null").localCheckpoint()
        others = agents.join(logins, [*_AGENT], "left_anti")
        events = lake.read(SYMBEE_AGENT_EVENT)
        firsts = _last_logins(_narrowed(events, "username", others.select("agent")), others)
        instants += [rows.select(*_AGENT, F.coalesce("login_at", "first_at").alias("at")) for rows in (logins, firsts)]
        if sessions is not None:
            theirs = session_events(_narrowed(events, "agent_session_id", sessions.select("session_id")))
            instants.append(theirs.join(sessions, [*SESSION], "left_semi").select(*_AGENT, "at"))
    union = lake.in_few_tasks(reduce(DataFrame.unionByName, instants))
    return union.groupBy(*_AGENT).agg(F.min("at").alias("since")).localCheckpoint()


def _session_dates(lake: Lake, changed: Changes, timezone: str) -> list[DataFrame]:
    """Each date of a session that a changed agent event belongs to, or whose end a changed event moves."""
    tables = (SYMBEE_AGENT_EVENT, SYMBEE_USER_USAGE)
    if not any(table in changed for table in tables):
        return []
    changed_sessions = _changed_sessions(changed)
    agents = _since(lake, _changed_agents(changed), changed_sessions).select(
        F.col("environment").alias("changed_environment"), F.col("agent").alias("changed_agent"), "since"
    )
    (row,) = agents.agg(F.unix_micros(F.min("since")).alias("since")).collect()
    is_theirs = (symbee_environment() == F.col("changed_environment")) & (F.col("username") == F.col("changed_agent"))

    onwards = [] if row["since"] is None else [(instant_of(row["since"]), None)]

    def after(table: Table) -> DataFrame:
        """The rows of the agents since then, as they will be."""
        at = COUNTED_COLUMNS[table]
        rows = lake.read(table, around=Around(at, onwards))
        new = changed.new(table)
        if new is not None:
            fresh = new.select(*rows.columns)
            same_key = reduce(
                lambda left, right: left & right,
                (F.col(f"kept.{name}").eqNullSafe(F.col(f"fresh.{name}")) for name in table.key),
            )
            kept = rows.alias("kept").join(fresh.alias("fresh"), same_key, "left_anti")
            rows = kept.unionByName(fresh)
        return rows.join(agents, is_theirs & (F.col(at[0]) >= F.col("since")), "left_semi")

    events = after(SYMBEE_AGENT_EVENT)
    logins = events.where(IS_LOGIN)
    sessions = agent_time(events, logins, after(SYMBEE_USER_USAGE), _ANY_CLOCK).sessions
    will_be = sessions.select(*SESSION, F.struct("started_at", "ended_at", "ended_by").alias("will_be"))
    was = (
        lake.read(AGENT_SESSION, around=Around(("ended_at",), onwards))
        .where(F.col("source") == _SYMBEE)
        .select(*SESSION, F.struct("started_at", "ended_at", "ended_by").alias("was"))
    )
    compared = (
        will_be.join(was, [*SESSION], "left")
        .join(
            agents,
            (F.col("environment") == F.col("changed_environment")) & (F.col("agent") == F.col("changed_agent")),
        )
        # What had begun before is seen in part only, and ends as it did.
        .where("was is null or was.started_at >= since")
        .select(*SESSION, "will_be", "was")
    )
    moved = compared.where(~F.col("will_be").eqNullSafe(F.col("was")))
    if changed_sessions is not None:
        moved = moved.unionByName(compared.join(changed_sessions, [*SESSION], "left_semi"))
    return [
        _dates_between(
            moved,
            "least(will_be.started_at, was.started_at)",
            "greatest(will_be.ended_at, was.ended_at)",
            timezone,
        )
    ]


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
    known = lake.read(AGENT).where(F.col("source") == _SYMBEE).alias("known")
    fresh = _first_and_last(seen).alias("fresh")
    earlier = fresh.join(known, _is_same_agent("fresh", "known"), "left").where(
        "known.agent is null or fresh.first_seen_at < known.first_seen_at"
    )
    agents = earlier.select("fresh.environment", "fresh.agent")
    if replaced is not None:
        agents = agents.unionByName(replaced.select("environment", "agent"))
    agents = agents.distinct().localCheckpoint()
    if agents.isEmpty():  # as on most days: then not all verdicts of the lake need be looked through
        return []
    verdicts = lake.read(RECONCILIATION).where(F.col("status").isin(*_AGENT_STATUSES)).alias("verdict")
    touched = verdicts.join(agents.alias("changed"), _is_same_agent("verdict", "changed"), "left_semi")
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
    known = lake.read_pinned(AGENT).where(F.col("source") == _SYMBEE)
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
    told = spans.withColumn("source", F.lit(_SYMBEE)).select(*AGENT.column_names).toArrow().to_pylist()
    stored = lake.read_rows(AGENT, AGENT.column_names).to_pylist()
    old = [row for row in stored if row["source"] == _SYMBEE]
    if {tuple(row.values()) for row in told} != {tuple(row.values()) for row in old}:
        lake.overwrite_rows(AGENT, [*told, *(row for row in stored if row["source"] != _SYMBEE)])


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
