"""The reconcile step: the conformed tables' rows of some business dates, from the silver event tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import pyarrow.compute as pc
from pyspark.sql import DataFrame

from contactlake.business_dates import date_of, spans
from contactlake.concurrency import both, concurrently
from contactlake.conform.agent_time import AgentTime, agent_states, agent_time, focus_intervals
from contactlake.conform.conversations import conversations, followed_conversations, with_conversations
from contactlake.conform.dispositions import dispositions
from contactlake.conform.interactions import interactions
from contactlake.conform.messages import messages
from contactlake.conform.queue_visits import contact_visits, interaction_visits
from contactlake.evidence import Evidence
from contactlake.joins import brought, computed
from contactlake.reconciliation import (
    ReconciliationRules,
    interactions_of,
    judge_interactions,
    lonely_contacts,
    pair,
    reconciliation_of_contacts,
    reconciliation_of_interactions,
    rivals,
    with_partners,
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

    `judged`: each interaction with its contact, verdict and conversation_id, computed of the kept pairs where it is
    used; `lonely`: the contacts that none is joined to. `agent_time`, `dispositions` and `messages`: as the
    functions of those names give them.
    """

    judged: DataFrame
    lonely: DataFrame
    agent_time: AgentTime
    dispositions: DataFrame
    messages: DataFrame


def tell(evidence: Evidence, rules: ReconciliationRules) -> Told:
    """What `evidence` tells, computed once: several tables and KPIs are made of each frame."""
    paired = computed(pair(evidence.interactions, evidence.contacts, rules))
    outdone, followed = both(
        lambda: brought(rivals(paired).localCheckpoint()),
        partial(followed_conversations, interactions_of(paired), evidence.contacts),
    )
    partners = with_partners(paired, outdone)
    judged = judge_interactions(with_conversations(interactions_of(partners), followed), rules)
    time = agent_time(evidence.agent_events, evidence.logins, evidence.usage, rules.as_of)
    codes = dispositions(evidence.codes, evidence.interactions, evidence.contacts, rules.timezone)
    said = messages(evidence.interactions, evidence.transcripts, judged)
    sessions, intervals, codes, said, lonely = concurrently(
        partial(computed, rows) for rows in (time.sessions, time.intervals, codes, said, lonely_contacts(partners))
    )
    return Told(judged, lonely, AgentTime(sessions, intervals), codes, said)


def conformed_rows(
    evidence: Evidence, told: Told, agents: DataFrame, rules: ReconciliationRules, is_little: bool
) -> dict[Table, DataFrame]:
    """Each conformed table's rows, of whatever dates."""
    judged, contacts, zone = told.judged, evidence.contacts, rules.timezone
    visits = contact_visits(contacts, zone).unionByName(interaction_visits(judged))
    return {
        RECONCILIATION: reconciliation_of_interactions(judged).unionByName(
            reconciliation_of_contacts(told.lonely, agents, rules)
        ),
        INTERACTION: interactions(judged, evidence.transcripts.select("media_key").localCheckpoint()),
        QUEUE_VISIT: visits,
        AGENT_STATE: agent_states(told.agent_time.intervals, zone),
        AGENT_SESSION: told.agent_time.sessions,
        FOCUS_INTERVAL: focus_intervals(told.agent_time.intervals),
        DISPOSITION: told.dispositions,
        MESSAGE: told.messages.select(*MESSAGE.column_names),
        CONVERSATION: conversations(judged, told.lonely, contacts, zone, is_little),
    }


def write_conformed(
    lake: Lake, evidence: Evidence, told: Told, dates: Sequence[date], rules: ReconciliationRules
) -> None:
    """Recomputes the conformed tables' rows of `dates`."""
    whole = conformed_rows(evidence, told, lake.read(AGENT), rules, lake.is_little)
    concurrently(partial(lake.replace_dates, table, rows, dates) for table, rows in whole.items())


def open_dates(lake: Lake, dates: Sequence[date], timezone: str) -> list[date]:
    """Those of `dates` that hold rows whose verdict or end may change with time alone."""
    if not dates:
        return []
    is_dated = pc.field(BUSINESS_DATE).isin(list(dates))
    awaiting = lake.read_rows(RECONCILIATION, [BUSINESS_DATE], is_dated & pc.field("status").isin(_AWAITING))
    states = lake.read_rows(AGENT_STATE, [BUSINESS_DATE], is_dated & pc.field("is_open"))
    begins, around = pc.field(AGENT_SESSION.dated_by), spans(dates, timezone)
    start, end = around[0][0], around[-1][1]
    is_around = (begins >= start) & (pc.scalar(True) if end is None else begins < end)  # spares opening older files
    sessions = lake.read_rows(AGENT_SESSION, [AGENT_SESSION.dated_by], is_around & pc.field("is_open"))
    begun = {date_of(instant, timezone) for instant in sessions[AGENT_SESSION.dated_by].to_pylist()}
    found = {*awaiting[BUSINESS_DATE].to_pylist(), *states[BUSINESS_DATE].to_pylist(), *begun}
    return sorted(found & set(dates))
