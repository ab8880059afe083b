"""Conversations: which one each interaction belongs to, and what a conversation as a whole was.

Pure DataFrame → DataFrame. Source: Amazon Connect administrator guide, identifying conferences and transfers.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.contacts import amazon_visit_outcome, contact_conversation, contact_ended_at
from contactlake.conform.dates import business_date
from contactlake.conform.symbee import is_handled, symbee_visit_outcome
from contactlake.joins import brought
from contactlake.tables.conformed import CONVERSATION

_MOST_STEPS = 50
"""An interaction's origins are followed this far."""
_CONSULT_BELOW_MS = 2_000
"""A leg that ends before its parent is a consultation if the agent spoke with the customer for less than this."""


# --- which conversation ---


def with_conversations(paired: DataFrame, contacts: DataFrame) -> DataFrame:
    """`paired` with each interaction's conversation_id.

    `paired` (interactions, each beside the contact that it names) and `contacts` (silver/connect_contact) must hold
    whatever their rows name, directly or through others. Few interactions have an origin and no contact: they alone
    are followed, and what is found is small enough to be brought to the others.
    """
    told = F.coalesce("contact.initial_contact_id", "contact.contact_id")
    has_origin = F.coalesce("origin_task_id", "origin_gateway_task_id").isNotNull()
    told = F.coalesce(told, F.when(~has_origin, F.coalesce("gateway_task_id", "task_id")))
    found = _followed(paired.withColumn("conversation_id", told), contacts)
    if found is None:
        return paired.withColumn("conversation_id", told)
    followed = brought(found.select(F.col("task_id").alias("followed_id"), F.col("conversation_id").alias("followed")))
    return (
        paired.join(followed, F.col("task_id") == F.col("followed_id"), "left")
        .withColumn("conversation_id", F.coalesce("followed", told))
        .drop("followed_id", "followed")
    )


def _followed(told: DataFrame, contacts: DataFrame) -> DataFrame | None:
    """The conversations (task_id, conversation_id) of those rows of `told` that have none yet; None: all have one."""
    unknown = (
        told.where("conversation_id is null")
        .select("task_id", "gateway_task_id", "origin_task_id", "origin_gateway_task_id")
        .localCheckpoint()
    )
    if unknown.isEmpty():
        return None
    hops = _hops(unknown, told, contacts).localCheckpoint()
    ended = hops.where("conversation_id is not null").select("task_id", "conversation_id")
    walking = hops.where("conversation_id is null").select(
        "task_id", F.col("origin").alias("at"), F.array("task_id").alias("path")
    )
    steps = (
        told.where("conversation_id is not null")
        .select("task_id", "conversation_id", F.lit(None).cast("string").alias("origin"))
        .unionByName(hops)
        .select(F.col("task_id").alias("at"), F.col("conversation_id").alias("found"), "origin")
    )
    for step in range(1, _MOST_STEPS + 1):
        if walking.isEmpty():
            break
        cycle = F.slice("path", F.array_position("path", F.col("at")).cast("int"), F.size("path"))
        met = steps.join(brought(walking), ["at"]).withColumn(
            "found",
            F.coalesce(
                F.col("found"),
                F.when(F.array_contains("path", F.col("at")), F.array_min(cycle)),
                F.col("at") if step == _MOST_STEPS else F.lit(None),
            ),
        )
        met = met.localCheckpoint()
        ended = ended.unionByName(
            met.where("found is not null").select("task_id", F.col("found").alias("conversation_id"))
        )
        walking = met.where("found is null").select(
            "task_id", F.col("origin").alias("at"), F.concat("path", F.array("at")).alias("path")
        )
    return ended


def _hops(unknown: DataFrame, told: DataFrame, contacts: DataFrame) -> DataFrame:
    """Of each interaction of `unknown`: what its origins tell, or the task whose conversation it shares.

    `told`: all interactions. Columns: task_id, conversation_id, origin; one of the two last is null.
    """
    ids = brought(unknown)

    def named(rows: DataFrame, column: str, origin: str) -> DataFrame:
        """Those of `rows` whose `column` is the `origin` of one of the interactions."""
        origins = ids.select(F.col(origin).alias("named_origin"))
        return rows.join(origins, F.col(column) == F.col("named_origin"), "left_semi")

    parents = named(told.select(F.col("task_id").alias("parent")), "parent", "origin_task_id")
    origins = contacts.select(
        F.col("contact_id").alias("origin_contact"), contact_conversation().alias("origin_conversation")
    )
    gateways = told.select(F.col("gateway_task_id").alias("parent_gateway"), F.col("task_id").alias("of_gateway"))
    gateways = (
        named(gateways, "parent_gateway", "origin_gateway_task_id")
        .groupBy("parent_gateway")
        .agg(F.min("of_gateway").alias("first_of_gateway"))
    )
    beside = (
        unknown.join(parents, F.col("origin_task_id") == F.col("parent"), "left")
        .join(
            named(origins, "origin_contact", "origin_gateway_task_id"),
            F.col("origin_gateway_task_id") == F.col("origin_contact"),
            "left",
        )
        .join(gateways, F.col("origin_gateway_task_id") == F.col("parent_gateway"), "left")
    )
    origin = F.coalesce("parent", F.when(F.col("origin_conversation").isNull(), F.col("first_of_gateway")))
    own = F.coalesce("origin_conversation", "origin_gateway_task_id", "origin_task_id", "gateway_task_id", "task_id")
    return beside.select("task_id", origin.alias("origin"), own.alias("own")).select(
        "task_id", F.when(F.col("origin").isNull(), F.col("own")).alias("conversation_id"), "origin"
    )


# --- the conversation as a whole ---


def _legs(contacts: DataFrame) -> DataFrame:
    """One row per contact that is a leg of another: conversation_id, leg."""
    parents = contacts.select(
        F.struct("contact_id", "transfer_completed_at", "agent_hold_ms", "agent_connected_at", "acw_started_at").alias(
            "parent"
        )
    )
    external = (F.col("initiation_method") == "EXTERNAL_OUTBOUND") & F.col("agent").isNull()
    both = F.col("agent_connected_at").isNotNull() & F.col("parent.agent_connected_at").isNotNull()
    ends_first = both & (F.col("acw_started_at") < F.col("parent.acw_started_at"))
    ends_later = both & (F.col("acw_started_at") > F.col("parent.acw_started_at"))
    leg = (
        F.when(external & (F.col("disconnect_at") > F.col("parent.transfer_completed_at")), "external transfer")
        .when(external & (F.col("parent.agent_hold_ms") > F.col("external_third_party_ms")), "external consult")
        .when(external, "external conference")
        .when(ends_first & (F.col("agent_interaction_ms") < _CONSULT_BELOW_MS), "consult")
        .when(ends_first, "conference")
        .when(ends_later & F.col("parent.transfer_completed_at").isNotNull(), "transfer")
    )
    children = contacts.where("previous_contact_id is not null")
    paired = children.join(parents, F.col("previous_contact_id") == F.col("parent.contact_id"))
    return paired.select(contact_conversation().alias("conversation_id"), leg.alias("leg")).where("leg is not null")


def conversations(judged: DataFrame, lonely: DataFrame, contacts: DataFrame, timezone: str) -> DataFrame:
    """`conversation`'s rows.

    `judged`: judged interactions with their conversation_id; `lonely`: the contacts that none is joined to;
    `contacts` (silver/connect_contact): all of the conversations that are wanted, beside others.
    """
    joined = F.col("is_joined")
    interactions = judged.select(
        "conversation_id",
        F.lit(True).alias("is_part"),
        F.lit(True).alias("is_interaction"),
        joined.alias("has_contact"),
        F.col("task_id").alias("id"),
        F.col("initiation_at").alias("part_began_at"),
        F.least("initiation_at", F.when(joined, F.col("contact.initiation_at"))).alias("began_at"),
        F.greatest("completed_at", F.when(joined, contact_ended_at("contact."))).alias("ended_at"),
        F.col("conformed_environment").alias("environment"),
        F.col("username").alias("agent"),
        F.col("skill_queue_name").alias("queue"),
        F.col("conformed_channel").alias("channel"),
        is_handled().alias("is_handled"),
        (_is_abandoned(symbee_visit_outcome()) | (joined & _is_abandoned(amazon_visit_outcome("contact.")))).alias(
            "is_abandoned"
        ),
        (joined & _is_callback("contact.")).alias("is_callback"),
        F.when(~joined & F.col("origin_task_id").isNotNull(), "transfer").alias("leg"),
    )
    alone = lonely.select(
        contact_conversation().alias("conversation_id"),
        F.lit(True).alias("is_part"),
        F.lit(False).alias("is_interaction"),
        F.lit(True).alias("has_contact"),
        F.col("contact_id").alias("id"),
        F.col("initiation_at").alias("part_began_at"),
        F.col("initiation_at").alias("began_at"),
        contact_ended_at().alias("ended_at"),
        "environment",
        "agent",
        "queue",
        F.lower("channel").alias("channel"),
        F.col("agent_connected_at").isNotNull().alias("is_handled"),
        _is_abandoned(amazon_visit_outcome()).alias("is_abandoned"),
        _is_callback().alias("is_callback"),
        F.lit(None).cast("string").alias("leg"),
    )
    members = interactions.unionByName(alone).unionByName(_legs(contacts), allowMissingColumns=True)
    # Most conversations have one member: summing in part, before they are brought together, would save nothing.
    together = members.repartition("conversation_id").sortWithinPartitions("conversation_id")
    return _summed(together, timezone)


def _is_abandoned(outcome: Column) -> Column:
    return F.coalesce(outcome == "ABANDONED", F.lit(False))


def _is_callback(prefix: str = "") -> Column:
    return F.coalesce(F.col(f"{prefix}initiation_method") == "CALLBACK", F.lit(False))


def _summed(members: DataFrame, timezone: str) -> DataFrame:
    is_part = F.col("is_part")

    def legs(kind: str) -> Column:
        return F.count_if(F.col("leg").endswith(kind))

    # Nulls last, interactions first: the smallest is the part that came first.
    place = F.struct(F.col("part_began_at").isNull(), "part_began_at", ~F.col("is_interaction"), "id")
    first = F.min_by(F.struct("environment", "queue", "channel"), F.when(is_part, place))
    interactions = F.count_if("is_interaction")
    outcome = F.when(F.bool_or("is_handled"), "HANDLED").when(F.bool_or("is_abandoned"), "ABANDONED").otherwise("OTHER")
    return (
        members.groupBy("conversation_id")
        .agg(
            F.when(interactions > 0, "symbee").otherwise("connect").alias("source"),
            F.min("began_at").alias("started_at"),
            F.max("ended_at").alias("ended_at"),
            first.alias("first"),
            interactions.alias("interactions"),
            F.count_if("has_contact").alias("contacts"),
            # A conversation has few of them: a set takes less than a distinct count, for which rows are doubled.
            F.size(F.collect_set("agent")).cast("bigint").alias("agents"),
            F.size(F.collect_set("queue")).cast("bigint").alias("queues"),
            legs("transfer").alias("transfers"),
            legs("consult").alias("consults"),
            legs("conference").alias("conferences"),
            F.count_if(F.col("leg").startswith("external")).alias("external_legs"),
            F.count_if("is_callback").alias("callbacks"),
            outcome.alias("outcome"),
        )
        .where("ended_at is not null")
        .withColumns(
            {
                "business_date": business_date("ended_at", timezone),
                "environment": F.col("first.environment"),
                "first_queue": F.col("first.queue"),
                "channel": F.col("first.channel"),
            }
        )
        .select(*CONVERSATION.column_names)
    )
