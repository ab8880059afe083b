"""The reconcile step: the conformed tables' rows of some business dates, from the silver event tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.concurrency import concurrently
from contactlake.conform.agent_time import AgentTime, agent_states, agent_time, focus_intervals
from contactlake.conform.conversations import conversation_ids, conversations
from contactlake.conform.dispositions import dispositions
from contactlake.conform.interactions import interactions
from contactlake.conform.messages import messages
from contactlake.conform.queue_visits import contact_visits, interaction_visits
from contactlake.conform.symbee import business_date
from contactlake.evidence import Evidence
from contactlake.reconciliation import (
    ReconciliationRules,
    judge_interactions,
    pair,
    reconciliation_of_contacts,
    reconciliation_of_interactions,
    without_interaction,
)
from contactlake.store import Lake
from contactlake.tables.conformed import (
    AGENT,
    AGENT_SESSION,
    AGENT_STATE,
    CONVERSATION,
    DISPOSITION,
    FOCUS_INTERVAL,
    INTERACTION,
    MESSAGE,
    QUEUE_VISIT,
    RECONCILIATION,
)
from contactlake.tables.declaration import BUSINESS_DATE, Table

_AWAITING = ("AWAITING_CONTACT", "AWAITING_INTERACTION")


@dataclass(frozen=True)
class Told:
    """What evidence tells, whatever its dates: right for the dates that it was gathered for.

    `judged`: each interaction with its contact, verdict and conversation_id. `agent_time`, `dispositions` and
    `messages`: as the functions of those names give them.
    """

    judged: DataFrame
    agent_time: AgentTime
    dispositions: DataFrame
    messages: DataFrame


def tell(evidence: Evidence, rules: ReconciliationRules) -> Told:
    """What `evidence` tells. `judged` is at hand (cached) and is the caller's to let go."""
    paired = pair(evidence.interactions, evidence.contacts, rules).localCheckpoint()
    ids = conversation_ids(paired, evidence.contacts)
    judged = judge_interactions(paired.join(ids, ["task_id"]), rules).localCheckpoint()
    return Told(
        judged,
        agent_time(evidence.agent_events, evidence.logins, evidence.usage, rules.as_of),
        dispositions(evidence.codes, evidence.interactions, evidence.contacts, rules.timezone),
        messages(evidence.interactions, evidence.transcripts, judged),
    )


def conformed_rows(
    evidence: Evidence, told: Told, agents: DataFrame, rules: ReconciliationRules
) -> dict[Table, DataFrame]:
    """Each conformed table's rows, of whatever dates."""
    judged, contacts, zone = told.judged, evidence.contacts, rules.timezone
    lonely = without_interaction(contacts, judged)
    visits = contact_visits(contacts, zone).unionByName(interaction_visits(judged))
    return {
        RECONCILIATION: reconciliation_of_interactions(judged).unionByName(
            reconciliation_of_contacts(lonely, agents, rules)
        ),
        INTERACTION: interactions(judged, evidence.transcripts.select("media_key")),
        QUEUE_VISIT: visits,
        AGENT_STATE: agent_states(told.agent_time.intervals, zone),
        AGENT_SESSION: told.agent_time.sessions,
        FOCUS_INTERVAL: focus_intervals(told.agent_time.intervals),
        DISPOSITION: told.dispositions,
        MESSAGE: told.messages.select(*MESSAGE.column_names),
        CONVERSATION: conversations(judged, contacts, visits, zone),
    }


def dated(table: Table, rows: DataFrame, dates: Sequence[date], timezone: str) -> DataFrame:
    """The rows of `table` that belong to `dates`."""
    day = F.col("business_date") if table.dated_by == BUSINESS_DATE else business_date(table.dated_by, timezone)
    return rows.where(day.isin(list(dates)))


def write_conformed(
    lake: Lake, evidence: Evidence, told: Told, dates: Sequence[date], rules: ReconciliationRules
) -> list[date]:
    """Recomputes the conformed tables' rows of `dates`; returns those that hold verdicts or sessions still open."""
    rows = {
        table: dated(table, whole, dates, rules.timezone).persist()
        for table, whole in conformed_rows(evidence, told, lake.read(AGENT), rules).items()
    }
    try:
        concurrently(partial(lake.replace_dates, table, kept, dates) for table, kept in rows.items())
        return open_dates(rows, rules.timezone)
    finally:
        for frame in rows.values():
            frame.unpersist()


def open_dates(rows: dict[Table, DataFrame], timezone: str) -> list[date]:
    """The dates that hold rows whose verdict or end may change with time alone."""
    found = (
        rows[RECONCILIATION]
        .where(F.col("status").isin(*_AWAITING))
        .select("business_date")
        .unionByName(rows[AGENT_STATE].where("is_open").select("business_date"))
        .unionByName(
            rows[AGENT_SESSION]
            .where("is_open")
            .select(business_date(AGENT_SESSION.dated_by, timezone).alias("business_date"))
        )
    )
    return sorted(row["business_date"] for row in found.distinct().collect())
