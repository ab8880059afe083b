"""The evidence: of the silver event tables, the rows that the conformed tables of some business dates depend on.

More may be there than is needed, never less: whatever is computed of it is right for the dates it was gathered for.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from itertools import chain

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.business_dates import instant_of, shifted, spans
from contactlake.conform.agent_time import IS_LOGIN
from contactlake.conform.dates import is_between
from contactlake.conform.interactions import media_key
from contactlake.conform.symbee import symbee_environment
from contactlake.joins import union
from contactlake.pruning import Around, Overlapping
from contactlake.store import Lake
from contactlake.tables.conformed import AGENT_SESSION, RECONCILIATION
from contactlake.tables.declaration import Table
from contactlake.tables.events import (
    CONNECT_CONTACT,
    EVENT_TABLES,
    SYMBEE_AGENT_EVENT,
    SYMBEE_INTERACTION,
    SYMBEE_TRANSCRIPT,
    SYMBEE_USER_USAGE,
    SYMBEE_WORK_CODE,
)

NAMES: dict[Table, tuple[str, ...]] = {
    SYMBEE_INTERACTION: ("task_id", "gateway_task_id", "origin_task_id", "origin_gateway_task_id"),
    CONNECT_CONTACT: ("contact_id", "initial_contact_id", "previous_contact_id"),
}
"""Per table, the ids by which its rows belong together: in a pair, a conversation, a leg."""


def _first_of(columns: Sequence[str]) -> str:
    return columns[0] if len(columns) == 1 else f"coalesce({', '.join(columns)})"


COUNTED_AT: dict[Table, tuple[str, ...]] = {
    table: tuple(_first_of(columns) for columns in table.counted_at) for table in EVENT_TABLES
}
"""Per event table, the instants whose dates its rows are counted on, in Spark SQL."""

COUNTED_COLUMNS: dict[Table, tuple[str, ...]] = {
    table: tuple(dict.fromkeys(chain(*table.counted_at))) for table in EVENT_TABLES
}
"""Per event table, the columns that one of these instants is taken from."""


@dataclass(frozen=True)
class Evidence:
    """Rows of the silver event tables, under their own columns.

    `interactions` and `contacts` hold with each row whatever shares an id with it, directly or through others;
    `codes`, those rows' work codes; `transcripts`, their transcripts; `agent_events`, whole sessions; `logins`, the
    LOGIN events of their agents from then on; `usage`, their agents' usage events from then on, and all that is in
    session on the dates.
    """

    interactions: DataFrame
    contacts: DataFrame
    codes: DataFrame
    transcripts: DataFrame
    agent_events: DataFrame
    logins: DataFrame
    usage: DataFrame


def any_of(conditions: Iterable[Column]) -> Column:
    return reduce(lambda left, right: left | right, conditions)


def around_dates(table: Table, dates: Collection[date], timezone: str) -> Around:
    """The rows of an event table that may be counted on one of `dates`."""
    return Around(COUNTED_COLUMNS[table], spans(dates, timezone))


def lies_in(instant: Column, dates: Collection[date], timezone: str) -> Column:
    """Whether an instant lies in one of `dates`, roughly: no more than hours beyond them."""
    return any_of(is_between(instant, start, end) for start, end in spans(dates, timezone))


def gather(
    lake: Lake, dates: Sequence[date], pending: Collection[date], timezone: str, heartbeat_timeout_minutes: int
) -> Evidence:
    """The evidence for `dates`; `pending`: every date with changes that the conformed tables do not show yet."""
    if lake.is_new(RECONCILIATION):  # all of it is wanted
        events = lake.read(SYMBEE_AGENT_EVENT)
        return Evidence(
            lake.read(SYMBEE_INTERACTION),
            lake.read(CONNECT_CONTACT),
            lake.read(SYMBEE_WORK_CODE),
            lake.read(SYMBEE_TRANSCRIPT),
            events,
            events.where(IS_LOGIN),
            lake.read(SYMBEE_USER_USAGE),
        )

    def dated(table: Table) -> DataFrame:
        rows = lake.read(table, around=around_dates(table, dates, timezone))
        return rows.where(any_of(lies_in(F.expr(instant), dates, timezone) for instant in COUNTED_AT[table]))

    transcripts = lake.read(SYMBEE_TRANSCRIPT)
    spoken = lake.read(
        SYMBEE_TRANSCRIPT, around=Overlapping("first_message_at", "last_message_at", spans(dates, timezone))
    )
    naming = lake.read(SYMBEE_INTERACTION).join(
        spoken.select(F.col("media_key").alias("spoken_key")), media_key() == F.col("spoken_key"), "left_semi"
    )
    seeds = [
        ids_of(dated(SYMBEE_INTERACTION), SYMBEE_INTERACTION),
        ids_of(dated(CONNECT_CONTACT), CONNECT_CONTACT),
        ids_of(naming, SYMBEE_INTERACTION),
        dated(SYMBEE_WORK_CODE).select(F.col("gateway_task_id").alias("id")),
    ]
    ids = closure(lake, seeds)
    interactions = holding(lake.read(SYMBEE_INTERACTION, around=ids.around(SYMBEE_INTERACTION)), "task_id", ids.ids)
    agent_events, logins, usage = _sessions(lake, dates, {*dates, *pending}, timezone, heartbeat_timeout_minutes)
    return Evidence(
        interactions,
        holding(lake.read(CONNECT_CONTACT, around=ids.around(CONNECT_CONTACT)), "contact_id", ids.ids),
        holding(lake.read(SYMBEE_WORK_CODE), "gateway_task_id", ids.ids),
        transcripts_of(transcripts, interactions),
        agent_events,
        logins,
        usage,
    )


# --- what belongs together ---


def ids_of(rows: DataFrame, table: Table) -> DataFrame:
    """Every id (id) by which rows of `table` belong with others."""
    return rows.select(F.explode(F.array(*NAMES[table])).alias("id")).where("id is not null")


def holding(rows: DataFrame, column: str, ids: DataFrame) -> DataFrame:
    """The rows whose `column` is one of `ids` (id)."""
    return rows.join(ids.select(F.col("id").alias("held_id")), F.col(column) == F.col("held_id"), "left_semi")


def transcripts_of(transcripts: DataFrame, interactions: DataFrame) -> DataFrame:
    """The transcripts that `interactions` name."""
    keys = interactions.where("media_location is not null").select(media_key().alias("named_key"))
    return transcripts.join(keys, F.col("media_key") == F.col("named_key"), "left_semi")


@dataclass(frozen=True)
class Closure:
    """What belongs together: `ids` (id, distinct), and per table the UTC days on which its rows began (None: unknown).

    The ids are looked for in all of the lake, by the columns that name them; the days tell where the rows lie.
    """

    ids: DataFrame
    begun_on: Mapping[Table, Collection[date | None]]

    def around(self, table: Table) -> Around:
        """Where the rows of `table` lie that the ids are of."""
        days = self.begun_on.get(table, ())
        begun = {day for day in days if day is not None}
        return Around(("initiation_at",), spans(begun, "UTC"), nulls=None in days)


def closure(lake: Lake, seeds: Sequence[DataFrame]) -> Closure:
    """The ids of `seeds` (frames of id) and all that belong with them through interactions and contacts.

    Each round looks for rows that share an id found in the last one, until none brings a new id: as many rounds as
    the longest way between two rows that belong together.
    """
    found = union(seeds).where("id is not null").distinct()
    found = found.localCheckpoint()
    tables = {table.path: table for table in NAMES if not lake.is_new(table)}
    if not tables:
        return Closure(found, {})
    links = [
        lake.read(table).select(
            F.lit(table.path).alias("path"),
            F.to_date("initiation_at").alias("day"),
            F.array_compact(F.array(*NAMES[table])).alias("ids"),
        )
        for table in tables.values()
    ]
    by_id = union(links).select(F.explode("ids").alias("id"), "path", "day", "ids")
    begun_on: dict[Table, set[date | None]] = {table: set() for table in tables.values()}
    fresh = found
    while not fresh.isEmpty():
        met = by_id.join(fresh, ["id"], "left_semi").select(F.explode("ids").alias("id"), "path", "day")
        met = met.distinct().localCheckpoint()
        for row in met.select("path", "day").distinct().collect():
            begun_on[tables[row["path"]]].add(row["day"])
        fresh = met.select("id").distinct().join(found, ["id"], "left_anti").localCheckpoint()
        found = found.unionByName(fresh)
    return Closure(found, begun_on)


# --- sessions ---


def _sessions(
    lake: Lake, dates: Sequence[date], doubtful: Collection[date], timezone: str, heartbeat_timeout_minutes: int
) -> tuple[DataFrame, DataFrame, DataFrame]:
    """Agent events, logins and usage events that agents' time and usage on `dates` depend on.

    A session is known by silver/agent_session, as far as it was conformed, else by an event on one of the `doubtful`
    dates, which hold every change since.
    """
    told = lake.read(SYMBEE_AGENT_EVENT, around=around_dates(SYMBEE_AGENT_EVENT, doubtful, timezone)).select(
        "company_id", "environment", "username", "agent_session_id", F.col("current_state_at").alias("since")
    )
    known = lake.read(AGENT_SESSION, around=Overlapping("started_at", "ended_at", spans(doubtful, timezone)))
    wanted = (
        told.select(
            symbee_environment().alias("environment"),
            F.col("username").alias("agent"),
            F.col("agent_session_id").alias("session_id"),
            "since",
        )
        .unionByName(known.select("environment", "agent", "session_id", F.col("started_at").alias("since")))
        .groupBy("environment", "agent", "session_id")
        .agg(F.min("since").alias("since"))
        .localCheckpoint()
    )
    (row,) = wanted.agg(F.unix_micros(F.min("since")).alias("since")).collect()
    onwards = [] if row["since"] is None else [(instant_of(row["since"]), None)]
    around = timedelta(minutes=heartbeat_timeout_minutes)
    in_session = [
        (shifted(start, -around), None if end is None else shifted(end, around))
        for start, end in spans(dates, timezone)
    ]
    events = lake.read(SYMBEE_AGENT_EVENT, around=Around(("current_state_at",), onwards))
    usage = lake.read(SYMBEE_USER_USAGE, around=Around(("usage_entry_at",), [*onwards, *in_session]))
    sessions = wanted.select(
        F.col("environment").alias("wanted_environment"),
        F.col("agent").alias("wanted_agent"),
        F.col("session_id").alias("wanted_session"),
        "since",
    )
    agents = sessions.groupBy("wanted_environment", "wanted_agent").agg(F.min("since").alias("since"))
    is_same_agent = (symbee_environment() == F.col("wanted_environment")) & (F.col("username") == F.col("wanted_agent"))
    is_same_session = is_same_agent & (F.col("agent_session_id") == F.col("wanted_session"))
    is_since = F.col("current_state_at") >= F.col("since")
    is_in_session = Around(("usage_entry_at",), in_session).condition()
    used = usage.join(agents, is_same_agent, "left").where(
        is_in_session | F.coalesce(F.col("usage_entry_at") >= F.col("since"), F.lit(False))
    )
    return (
        events.join(sessions, is_same_session, "left_semi"),
        events.where(IS_LOGIN).join(agents, is_same_agent & is_since, "left_semi"),
        used.select(*usage.columns),
    )
