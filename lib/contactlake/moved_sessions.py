"""Which dates of agents' sessions a change of their events moves.

A changed event belongs to a session, and may move the end of others of its agent: a session ends with what its agent
does next. So all sessions of changed agents are told again, from where none of them can have changed before.
"""

from datetime import UTC, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.business_dates import instant_of, shifted
from contactlake.changes import Changes, dates_between, union_if_any
from contactlake.conform.agent_time import AGENT_KEY, IS_LOGIN, SESSION, agent_time, session_events
from contactlake.conform.symbee import SYMBEE, symbee_environment
from contactlake.evidence import COUNTED_COLUMNS
from contactlake.joins import are_same, union
from contactlake.pruning import Around
from contactlake.store import Lake
from contactlake.tables.conformed import AGENT_SESSION
from contactlake.tables.declaration import Table
from contactlake.tables.events import SYMBEE_AGENT_EVENT, SYMBEE_USER_USAGE

_ANY_CLOCK = datetime(2000, 1, 1, tzinfo=UTC)
"""The clock tells whether a session is open, which its dates do not depend on."""
_LOGIN_WITHIN = timedelta(days=31)
"""How far back an agent's last LOGIN is looked for before it is looked for in all of the lake."""
_FEW_VALUES = 1_000
"""So many values at most are told to Parquet."""


def _changed_sessions(changed: Changes) -> DataFrame | None:
    """The sessions (environment, agent, session_id) that a changed agent event belongs to."""
    rows = union_if_any(session_events(rows) for rows in changed.both(SYMBEE_AGENT_EVENT))
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
    return union(named).groupBy(*AGENT_KEY).agg(F.min("at").alias("changed_at")).localCheckpoint()


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
        .join(agents, [*AGENT_KEY])
        .groupBy(*AGENT_KEY)
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
        others = agents.join(logins, [*AGENT_KEY], "left_anti")
        events = lake.read(SYMBEE_AGENT_EVENT)
        firsts = _last_logins(_narrowed(events, "username", others.select("agent")), others)
        instants += [
            rows.select(*AGENT_KEY, F.coalesce("login_at", "first_at").alias("at")) for rows in (logins, firsts)
        ]
        if sessions is not None:
            theirs = session_events(_narrowed(events, "agent_session_id", sessions.select("session_id")))
            instants.append(theirs.join(sessions, [*SESSION], "left_semi").select(*AGENT_KEY, "at"))
    return lake.in_few_tasks(union(instants)).groupBy(*AGENT_KEY).agg(F.min("at").alias("since")).localCheckpoint()


def session_dates(lake: Lake, changed: Changes, timezone: str) -> list[DataFrame]:
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
            is_replaced = are_same(*([f"{side}.{name}" for name in table.key] for side in ("kept", "fresh")))
            kept = rows.alias("kept").join(fresh.alias("fresh"), is_replaced, "left_anti")
            rows = kept.unionByName(fresh)
        return rows.join(agents, is_theirs & (F.col(at[0]) >= F.col("since")), "left_semi")

    events = after(SYMBEE_AGENT_EVENT)
    logins = events.where(IS_LOGIN)
    sessions = agent_time(events, logins, after(SYMBEE_USER_USAGE), _ANY_CLOCK).sessions
    will_be = sessions.select(*SESSION, F.struct("started_at", "ended_at", "ended_by").alias("will_be"))
    was = (
        lake.read(AGENT_SESSION, around=Around(("ended_at",), onwards))
        .where(F.col("source") == SYMBEE)
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
        dates_between(
            moved,
            "least(will_be.started_at, was.started_at)",
            "greatest(will_be.ended_at, was.ended_at)",
            timezone,
        )
    ]
