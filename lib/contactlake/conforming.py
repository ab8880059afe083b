"""The reconcile step: the conformed tables' rows of some business dates, from the silver event tables."""

from collections.abc import Sequence
from datetime import date
from functools import partial, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.business_dates import spans
from contactlake.concurrency import concurrently
from contactlake.conform.interactions import interactions
from contactlake.conform.queue_visits import contact_visits, interaction_visits
from contactlake.feeds.connect import CONTACT_ENDS
from contactlake.reconciliation import (
    ReconciliationRules,
    judge_interactions,
    pair,
    reconciliation_of_contacts,
    reconciliation_of_interactions,
    without_interaction,
)
from contactlake.store import Lake
from contactlake.tables.conformed import AGENT, INTERACTION, QUEUE_VISIT, RECONCILIATION
from contactlake.tables.events import CONNECT_CONTACT, SYMBEE_INTERACTION, SYMBEE_TRANSCRIPT

_AWAITING = ("AWAITING_CONTACT", "AWAITING_INTERACTION")


def _lies_in(instant: Column, dates: Sequence[date], timezone: str) -> Column:
    """Whether an instant lies in one of `dates`, roughly: no more than hours beyond them."""
    conditions = [(instant >= F.lit(start)) & (instant < F.lit(end)) for start, end in spans(dates, timezone)]
    return reduce(lambda left, right: left | right, conditions)


def _groups(lake: Lake, dates: Sequence[date], timezone: str) -> tuple[DataFrame, DataFrame]:
    """The interactions and contacts of `dates`, with all that share a contact with them."""
    interaction, contact = lake.read(SYMBEE_INTERACTION), lake.read(CONNECT_CONTACT)
    if lake.is_new(RECONCILIATION):  # all of them are wanted
        return interaction, contact
    dated_interactions = interaction.where(_lies_in(F.col("completed_at"), dates, timezone))
    ends = [F.coalesce(*CONTACT_ENDS), F.coalesce(F.col("disconnect_at"), F.col("dequeued_at"))]
    dated_contacts = contact.where(reduce(lambda a, b: a | b, (_lies_in(end, dates, timezone) for end in ends)))
    named = (
        dated_interactions.select(F.col("gateway_task_id").alias("named"))
        .unionByName(dated_contacts.select(F.col("contact_id").alias("named")))
        .where("named is not null")
        .distinct()
    )
    sharing = interaction.join(named, F.col("gateway_task_id") == F.col("named"), "left_semi")
    alone = dated_interactions.where("gateway_task_id is null")
    contacts = contact.join(named, F.col("contact_id") == F.col("named"), "left_semi")
    return sharing.unionByName(alone), contacts


def write_conformed(lake: Lake, dates: Sequence[date], rules: ReconciliationRules) -> list[date]:
    """Recomputes the conformed tables' rows of `dates`; returns those that hold verdicts still open."""
    symbee, contacts = _groups(lake, dates, rules.timezone)
    is_wanted = F.col("business_date").isin(list(dates))
    paired = pair(symbee, contacts, rules)
    judged = judge_interactions(paired, rules).persist()
    lonely = without_interaction(contacts, judged)
    transcripts = lake.read(SYMBEE_TRANSCRIPT).select("media_key")
    reconciled = (
        reconciliation_of_interactions(judged)
        .unionByName(reconciliation_of_contacts(lonely, lake.read(AGENT), rules))
        .where(is_wanted)
        .persist()
    )
    visits = contact_visits(contacts, rules.timezone).unionByName(interaction_visits(judged)).where(is_wanted)
    frames = [reconciled, judged]
    try:
        rows = {
            RECONCILIATION: reconciled,
            INTERACTION: interactions(judged, transcripts).where(is_wanted).persist(),
            QUEUE_VISIT: visits.persist(),
        }
        frames += rows.values()
        concurrently(partial(lake.replace_dates, table, kept, dates) for table, kept in rows.items())
        awaiting = reconciled.where(F.col("status").isin(*_AWAITING)).select("business_date").distinct()
        return sorted(row["business_date"] for row in awaiting.collect())
    finally:
        for frame in frames:
            frame.unpersist()
