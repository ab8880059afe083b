"""Reconciliation: each interaction beside the contact it names, the verdict, and every comparison.

Pure DataFrame → DataFrame. Sources: Symbee Connect's Interaction Event Feeds guide (GatewayTaskId equals the
ContactId of the contact record), Amazon Connect's contact record data model.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.contacts import amazon_visit_outcome, contact_ended_at, milliseconds_between
from contactlake.conform.dates import at, business_date
from contactlake.conform.symbee import SYMBEE, symbee_channel, symbee_environment
from contactlake.feeds.symbee import DIALLED
from contactlake.tables.conformed import RECONCILIATION


@dataclass(frozen=True)
class ReconciliationRules:
    """What the verdicts depend on besides the two sides: the run's clock and `[reconcile]`."""

    as_of: datetime
    timezone: str
    tolerance_ms: int
    grace_hours: int
    span_days: int


_INTERACTION_COLUMNS = (
    "task_id",
    "origin_task_id",
    "gateway_task_id",
    "origin_gateway_task_id",
    "task_initiation_method",
    "delivery_provider",
    "username",
    "user_report_hierarchy",
    "skill_queue_name",
    "is_transferred_out",
    "media_location",
    "initiation_at",
    "queued_at",
    "assigned_at",
    "connected_at",
    "wrap_at",
    "completed_at",
    "queued_ms",
    "active_ms",
    "parked_ms",
    "wrap_ms",
    "flags",
)
"""What the conformed tables take of an interaction as it is."""
_CONTACT_COLUMNS = (
    "initial_contact_id",
    "environment",
    "channel",
    "initiation_method",
    "initiation_at",
    "agent",
    "agent_connected_at",
    "agent_interaction_ms",
    "agent_hold_ms",
    "acw_ms",
    "acw_started_at",
    "acw_ended_at",
    "queue",
    "queue_ms",
)
"""What an interaction is compared with, and takes, of its contact; and what is told of a contact without one."""


def is_contact_expected() -> Column:
    """Whether Amazon Connect must have a contact record for an interaction."""
    is_amazons = F.col("delivery_provider") == "AMAZON"
    is_voice = F.col("task_type") == "VOICE"
    is_bridged = F.col("task_initiation_method").isin("BRIDGE", "FORWARD")
    return F.coalesce(is_amazons, F.lit(False)) | (
        F.coalesce(is_voice, F.lit(False)) & ~F.coalesce(is_bridged, F.lit(False))
    )


def pair(interactions: DataFrame, contacts: DataFrame, rules: ReconciliationRules) -> DataFrame:
    """One row per interaction, and one per contact that none names: what is needed of either, and `is_near`.

    Beside an interaction stands `contact`, the contact it names, or null; `is_near`: they began within `span_days` of
    each other. A contact that no interaction names has no task_id, and its own id as gateway_task_id.
    Both frames must hold every row that names one of their contacts.

    The rows are read many times over: they hold nothing that can be told by a shorter value, or twice.
    """
    told = interactions.select(
        *_INTERACTION_COLUMNS,
        symbee_environment().alias("conformed_environment"),
        symbee_channel().alias("conformed_channel"),
        is_contact_expected().alias("is_contact_expected"),
        business_date("completed_at", rules.timezone).alias("business_date"),
    )
    named = contacts.select(
        F.col("contact_id").alias("gateway_task_id"),
        F.struct(
            *_CONTACT_COLUMNS,
            contact_ended_at().alias("ended_at"),
            (amazon_visit_outcome() == "ABANDONED").alias("is_abandoned"),
        ).alias("contact"),
        F.col("queue_arn").alias("contact_queue_arn"),
    )
    queue, arn = F.col("skill_queue_name"), F.col("contact_queue_arn")
    is_queue_named = reduce(
        or_,
        (
            F.coalesce(queue == name, F.lit(False))
            for name in (F.col("contact.queue"), arn, F.substring_index(arn, "/", -1))
        ),
    )
    seconds_apart = F.abs(F.unix_seconds("initiation_at") - F.unix_seconds("contact.initiation_at"))
    is_near = F.coalesce(seconds_apart <= F.lit(rules.span_days * 86_400), F.lit(True))
    return told.join(named, ["gateway_task_id"], how="full_outer").withColumns(
        {
            "is_near": F.col("task_id").isNotNull() & F.col("contact").isNotNull() & is_near,
            "is_queue_named": is_queue_named,
            "contact_queue_arn": F.when(F.col("contact.queue").isNull(), arn),
        }
    )


def rivals(paired: DataFrame) -> DataFrame:
    """The interactions (task_id) that name a contact which is rather another's."""
    preferred = Window.partitionBy("gateway_task_id").orderBy(
        F.col("is_near").desc(), F.col("is_same_agent").desc(), F.col("apart_ms").asc_nulls_last(), F.col("task_id")
    )
    apart_ms = F.abs(milliseconds_between(F.col("connected_at"), F.col("contact.agent_connected_at")))
    return (
        paired.where("task_id is not null and contact is not null")
        .select(
            "gateway_task_id",
            "task_id",
            "is_near",
            F.coalesce(F.col("username") == F.col("contact.agent"), F.lit(False)).alias("is_same_agent"),
            apart_ms.alias("apart_ms"),
        )
        .withColumn("place", F.row_number().over(preferred))
        .where("place > 1")
        .select("task_id")
    )


def with_partners(paired: DataFrame, outdone: DataFrame) -> DataFrame:
    """`paired` with `is_joined` (the contact is this interaction's), `is_extra` (it is another interaction's) and
    `is_lonely` (no interaction is joined to the contact, of whose rows this one stands for it).

    `outdone`: the rivals.
    """
    is_first = F.col("outdone_id").isNull()
    return (
        paired.join(
            outdone.select(F.col("task_id").alias("outdone_id")), F.col("task_id") == F.col("outdone_id"), "left"
        )
        .withColumn("is_joined", F.col("is_near") & is_first)
        .withColumn("is_extra", F.col("is_near") & ~is_first)
        .withColumn("is_lonely", F.col("contact").isNotNull() & is_first & ~F.col("is_near"))
        .drop("outdone_id")
    )


def interactions_of(partners: DataFrame) -> DataFrame:
    """One row per interaction."""
    return partners.where("task_id is not null")


def lonely_contacts(partners: DataFrame) -> DataFrame:
    """One row per contact that no interaction is joined to: contact_id, and what `pair` tells of a contact."""
    return partners.where("is_lonely").select(F.col("gateway_task_id").alias("contact_id"), "contact.*")


# --- comparisons ---


def _both(left: Column, right: Column) -> Column:
    return left.isNotNull() & right.isNotNull()


def _instant_text(moment: Column) -> Column:
    return F.concat(F.replace(moment.cast("string"), F.lit(" "), F.lit("T")), F.lit("Z"))


def with_comparisons(paired: DataFrame, rules: ReconciliationRules) -> DataFrame:
    """`paired` with each comparison of a joined pair: `*_delta_ms`, `is_*_equal`, `is_different` and `differences`."""
    talk = F.when(
        F.col("active_ms").isNotNull() | F.col("parked_ms").isNotNull(),
        F.coalesce("active_ms", F.lit(0)) + F.coalesce("parked_ms", F.lit(0)),
    )
    contact_talk = F.col("contact.agent_interaction_ms") + F.coalesce("contact.agent_hold_ms", F.lit(0))
    is_dialled = F.coalesce(F.col("task_initiation_method").isin(*sorted(DIALLED)), F.lit(False))
    agents_connection = F.when(~is_dialled, F.col("connected_at"))
    durations = [("talk", talk, contact_talk), ("wrap", F.col("wrap_ms"), F.col("contact.acw_ms"))]
    times = [
        ("connected", agents_connection, F.col("contact.agent_connected_at")),
        ("wrap_start", F.col("wrap_at"), F.col("contact.acw_started_at")),
        ("completed", F.col("completed_at"), F.col("contact.acw_ended_at")),
    ]
    contact_queue = F.coalesce("contact.queue", "contact_queue_arn")
    queue = F.col("skill_queue_name")
    joined = F.col("is_joined")
    compared = paired.withColumns(
        {
            "is_agent_equal": F.when(
                joined & _both(F.col("username"), F.col("contact.agent")), F.col("username") == F.col("contact.agent")
            ),
            "is_queue_equal": F.when(joined & _both(queue, contact_queue), F.col("is_queue_named")),
            **{f"{name}_delta_ms": F.when(joined, ours - theirs) for name, ours, theirs in durations},
            **{f"{name}_delta_ms": F.when(joined, milliseconds_between(ours, theirs)) for name, ours, theirs in times},
        }
    )

    def is_beyond(name: str) -> Column:
        return F.coalesce(F.abs(F.col(f"{name}_delta_ms")) > F.lit(rules.tolerance_ms), F.lit(False))

    def is_unequal(name: str) -> Column:
        return F.coalesce(~F.col(name), F.lit(False))

    no_delta = F.lit(None)
    found = [
        ("agent", is_unequal("is_agent_equal"), F.col("username"), F.col("contact.agent"), no_delta),
        ("queue", is_unequal("is_queue_equal"), queue, contact_queue, no_delta),
        *(
            (name, is_beyond(name), ours.cast("string"), theirs.cast("string"), F.col(f"{name}_delta_ms"))
            for name, ours, theirs in durations
        ),
        *(
            (name, is_beyond(name), _instant_text(ours), _instant_text(theirs), F.col(f"{name}_delta_ms"))
            for name, ours, theirs in times
        ),
    ]
    differences = F.array(
        *(
            F.when(
                differs,
                F.struct(
                    F.lit(name).alias("field"),
                    ours.alias("interaction"),
                    theirs.alias("contact"),
                    delta.cast("bigint").alias("delta_ms"),
                ),
            )
            for name, differs, ours, theirs, delta in found
        )
    )
    # Most pairs are equal: only of others Spark walks through the list, which it cannot compile.
    return compared.withColumn("is_different", reduce(or_, (differs for _, differs, *_ in found))).withColumn(
        "differences", F.when(F.col("is_different"), F.array_compact(differences)).otherwise(_no_differences())
    )


def _no_differences() -> Column:
    return F.array().cast(RECONCILIATION.column("differences").type)


# --- the status ladder ---


def _is_recent(ended_at: Column, rules: ReconciliationRules) -> Column:
    cutoff = at(rules.as_of) - F.expr(f"interval {rules.grace_hours} hours")
    return ended_at > cutoff


def interaction_status(rules: ReconciliationRules) -> Column:
    """The verdict on an interaction, over `with_comparisons`."""
    return (
        F.when(F.col("is_extra"), "EXTRA_INTERACTION")
        .when(F.col("is_joined") & F.col("is_different"), "MATCHED_WITH_DIFFERENCES")
        .when(F.col("is_joined"), "MATCHED")
        .when(~F.col("is_contact_expected"), "NOT_EXPECTED")
        .when(_is_recent(F.col("completed_at"), rules), "AWAITING_CONTACT")
        .otherwise("MISSING_CONTACT")
    )


def contact_status(rules: ReconciliationRules) -> Column:
    """The verdict on a contact without interaction; `agent_seen_on` is when Symbee first named its agent."""
    is_unknown = F.col("agent").isNull() | F.coalesce(F.col("agent_seen_on") > F.col("business_date"), F.lit(True))
    return (
        F.when(F.col("initiation_method") == "MONITOR", "NOT_EXPECTED")
        .when(F.col("agent_connected_at").isNull(), "UNHANDLED")
        .when(is_unknown, "NOT_SYMBEE_AGENT")
        .when(_is_recent(F.col("contact_ended_at"), rules), "AWAITING_INTERACTION")
        .otherwise("MISSING_INTERACTION")
    )


def judge_interactions(paired: DataFrame, rules: ReconciliationRules) -> DataFrame:
    """`paired` with its comparisons and its `status`."""
    return with_comparisons(paired, rules).withColumn("status", interaction_status(rules))


def reconciliation_of_interactions(judged: DataFrame) -> DataFrame:
    """One `reconciliation` row per interaction."""
    return judged.select(
        F.col("gateway_task_id").alias("contact_id"),
        "task_id",
        "status",
        F.col("conformed_environment").alias("environment"),
        F.col("username").alias("agent"),
        F.col("skill_queue_name").alias("queue"),
        F.col("conformed_channel").alias("channel"),
        "business_date",
        F.col("completed_at").alias("interaction_completed_at"),
        F.when(F.col("is_joined"), F.col("contact.ended_at")).alias("contact_ended_at"),
        "differences",
        "talk_delta_ms",
        "wrap_delta_ms",
        "connected_delta_ms",
        "wrap_start_delta_ms",
        "completed_delta_ms",
        "is_agent_equal",
        "is_queue_equal",
    )


def reconciliation_of_contacts(lonely: DataFrame, agents: DataFrame, rules: ReconciliationRules) -> DataFrame:
    """One `reconciliation` row per contact that no interaction is joined to.

    `agents`: `silver/agent`, whose `symbee` rows tell who works in Symbee and since when.
    """
    seen = agents.where(F.col("source") == SYMBEE).select(
        F.col("environment").alias("seen_environment"),
        F.col("agent").alias("seen_agent"),
        business_date("first_seen_at", rules.timezone).alias("agent_seen_on"),
    )
    dated = lonely.withColumnRenamed("ended_at", "contact_ended_at").withColumn(
        "business_date", business_date("contact_ended_at", rules.timezone)
    )
    judged = dated.join(
        seen,
        (F.col("environment") == F.col("seen_environment")) & (F.col("agent") == F.col("seen_agent")),
        how="left",
    ).withColumn("status", contact_status(rules))
    nothing = {
        "task_id": "string",
        "interaction_completed_at": "timestamp",
        "talk_delta_ms": "bigint",
        "wrap_delta_ms": "bigint",
        "connected_delta_ms": "bigint",
        "wrap_start_delta_ms": "bigint",
        "completed_delta_ms": "bigint",
        "is_agent_equal": "boolean",
        "is_queue_equal": "boolean",
    }
    return (
        judged.withColumns({name: F.lit(None).cast(kind) for name, kind in nothing.items()})
        .withColumn("differences", _no_differences())
        .withColumn("channel", F.lower("channel"))
        .select(*RECONCILIATION.column_names)
    )
