"""Conversations: which one each interaction belongs to, and what a conversation as a whole was.

Pure DataFrame → DataFrame. Source: Amazon Connect administrator guide, identifying conferences and transfers.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.contacts import contact_conversation
from contactlake.conform.dates import business_date
from contactlake.conform.symbee import SYMBEE, is_handled, symbee_visit_outcome
from contactlake.joins import brought, hash_of
from contactlake.repeats import repeated
from contactlake.tables.conformed import CONVERSATION

_MOST_STEPS = 50
"""An interaction's origins are followed this far."""
_CONSULT_BELOW_MS = 2_000
"""A leg that ends before its parent is a consultation if the agent spoke with the customer for less than this."""


# --- which conversation ---


def with_conversations(paired: DataFrame, followed: DataFrame | None) -> DataFrame:
    """`paired` (interactions, each beside the contact that it names) with each one's conversation_id.

    `followed`: as `followed_conversations` gives it.
    """
    told = _told_conversation()
    if followed is None:
        return paired.withColumn("conversation_id", told)
    found = brought(followed.select(F.col("task_id").alias("followed_id"), F.col("conversation_id").alias("followed")))
    sought = F.when(told.isNull(), F.col("task_id"))  # the others, nearly all, are not looked for
    return (
        paired.join(found, sought == F.col("followed_id"), "left")
        .withColumn("conversation_id", F.coalesce("followed", told))
        .drop("followed_id", "followed")
    )


def _told_conversation() -> Column:
    """The conversation of an interaction that its own row tells, null: its origins do."""
    of_contact = F.coalesce(
        "contact.initial_contact_id", F.when(F.col("contact").isNotNull(), F.col("gateway_task_id"))
    )
    has_origin = F.coalesce("origin_task_id", "origin_gateway_task_id").isNotNull()
    return F.coalesce(of_contact, F.when(~has_origin, F.coalesce("gateway_task_id", "task_id")))


def followed_conversations(paired: DataFrame, contacts: DataFrame) -> DataFrame | None:
    """The conversations (task_id, conversation_id) of those of `paired` whose own row does not tell it; None: all do.

    `paired` (interactions, each beside the contact that it names) and `contacts` (silver/connect_contact) must hold
    whatever their rows name, directly or through others. Few interactions have an origin and no contact: they alone
    are followed, and what is found is small enough to be brought to the others.
    """
    return _followed(paired.withColumn("conversation_id", _told_conversation()), contacts)


def _followed(told: DataFrame, contacts: DataFrame) -> DataFrame | None:
    """The conversations (task_id, conversation_id) of those rows of `told` that have none yet; None: all have one."""
    unknown = (
        told.where("conversation_id is null")
        .select("task_id", "gateway_task_id", "origin_task_id", "origin_gateway_task_id")
        .localCheckpoint()
    )
    if unknown.isEmpty():
        return None
    origins = _origins(unknown, told).localCheckpoint()
    hops = _hops(unknown, origins, contacts).localCheckpoint()
    ended = hops.where("conversation_id is not null").select("task_id", "conversation_id")
    walking = hops.where("conversation_id is null").select(
        "task_id", F.col("origin").alias("at"), F.array("task_id").alias("path")
    )
    steps = (
        origins.where("conversation_id is not null")
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


def _origins(unknown: DataFrame, told: DataFrame) -> DataFrame:
    """Those of `told` that an interaction of `unknown` may name as its origin: their ids and conversation_id.

    Nothing else is ever stepped on: whoever is followed further is of `unknown`, too.
    """
    ids = unknown.select(F.explode(F.array("origin_task_id", "origin_gateway_task_id")).alias("id"))
    named = brought(ids.where("id is not null").distinct())
    return (
        told.select("task_id", "gateway_task_id", "conversation_id")
        .join(named.select(F.col("id").alias("as_task")), F.col("task_id") == F.col("as_task"), "left")
        .join(named.select(F.col("id").alias("as_gateway")), F.col("gateway_task_id") == F.col("as_gateway"), "left")
        .where("as_task is not null or as_gateway is not null")
        .drop("as_task", "as_gateway")
    )


def _hops(unknown: DataFrame, origins: DataFrame, contacts: DataFrame) -> DataFrame:
    """Of each interaction of `unknown`: what its `origins` tell, or the task whose conversation it shares.

    Columns: task_id, conversation_id, origin; one of the two last is null.
    """
    parents = origins.select(F.col("task_id").alias("parent"))
    gateways = origins.groupBy(F.col("gateway_task_id").alias("parent_gateway")).agg(
        F.min("task_id").alias("first_of_gateway")
    )
    named = brought(unknown).select(F.col("origin_gateway_task_id").alias("named_contact"))
    told_contacts = contacts.select(
        F.col("contact_id").alias("origin_contact"), contact_conversation().alias("origin_conversation")
    ).join(named, F.col("origin_contact") == F.col("named_contact"), "left_semi")
    beside = (
        unknown.join(parents, F.col("origin_task_id") == F.col("parent"), "left")
        .join(told_contacts, F.col("origin_gateway_task_id") == F.col("origin_contact"), "left")
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


def conversations(
    judged: DataFrame, lonely: DataFrame, contacts: DataFrame, timezone: str, is_little: bool = True
) -> DataFrame:
    """`conversation`'s rows.

    `judged`: judged interactions with their conversation_id; `lonely`: the contacts that none is joined to;
    `contacts` (silver/connect_contact): all of the conversations that are wanted, beside others. `is_little`: it takes
    longer to plan a query than to run it.
    """
    parts, legs = _parts(judged, lonely), _legs(contacts)
    if is_little:
        return _taken_together(parts.unionByName(legs, allowMissingColumns=True), timezone)
    # Most conversations have one member, which tells all of them as it stands: only the others are brought together.
    several = _of_several_members(parts, contacts)
    parts = parts.withColumn("hash", hash_of("conversation_id"))
    together = parts.join(several, ["hash"], "left_semi").unionByName(legs, allowMissingColumns=True)
    alone = parts.join(several, ["hash"], "left_anti")
    return _taken_together(together, timezone).unionByName(
        _conversation(alone.select("conversation_id", *_figures(_OfOne())), timezone)
    )


def _of_several_members(parts: DataFrame, contacts: DataFrame) -> DataFrame:
    """The hashes of the conversations that may have more members than one."""
    children = contacts.where("previous_contact_id is not null").select(contact_conversation().alias("conversation_id"))
    member_of = hash_of("conversation_id")
    hashes = repeated(parts, member_of).unionByName(children.select(member_of.alias("hash")))
    return brought(hashes.distinct().localCheckpoint())


def _parts(judged: DataFrame, lonely: DataFrame) -> DataFrame:
    """The parts of all conversations; an interaction's row tells of the contact that is joined to it, too."""
    joined = F.col("is_joined")
    interactions = judged.select(
        "conversation_id",
        F.lit(True).alias("is_part"),
        F.lit(True).alias("is_interaction"),
        joined.alias("has_contact"),
        F.col("task_id").alias("id"),
        F.col("initiation_at").alias("part_began_at"),
        F.least("initiation_at", F.when(joined, F.col("contact.initiation_at"))).alias("began_at"),
        F.greatest("completed_at", F.when(joined, F.col("contact.ended_at"))).alias("ended_at"),
        F.col("conformed_environment").alias("environment"),
        F.col("username").alias("agent"),
        F.col("skill_queue_name").alias("queue"),
        F.col("conformed_channel").alias("channel"),
        is_handled().alias("is_handled"),
        (_is_true(symbee_visit_outcome() == "ABANDONED") | (joined & _is_true(F.col("contact.is_abandoned")))).alias(
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
        "ended_at",
        "environment",
        "agent",
        "queue",
        F.lower("channel").alias("channel"),
        F.col("agent_connected_at").isNotNull().alias("is_handled"),
        _is_true(F.col("is_abandoned")).alias("is_abandoned"),
        _is_callback().alias("is_callback"),
        F.lit(None).cast("string").alias("leg"),
    )
    return interactions.unionByName(alone)


def _is_true(condition: Column) -> Column:
    return F.coalesce(condition, F.lit(False))


def _is_callback(prefix: str = "") -> Column:
    return _is_true(F.col(f"{prefix}initiation_method") == "CALLBACK")


class _OverRows:
    """Figures of a conversation from all its members."""

    least, greatest, number, is_any = (staticmethod(each) for each in (F.min, F.max, F.count_if, F.bool_or))

    @staticmethod
    def distinct(value: Column) -> Column:
        """A conversation has few: a set takes less than a distinct count, for which rows are doubled."""
        return F.size(F.collect_set(value)).cast("bigint")

    @staticmethod
    def first(value: Column, place: Column) -> Column:
        return F.min_by(value, place)


class _OfOne:
    """Figures of a conversation from its one member."""

    @staticmethod
    def least(value: Column) -> Column:
        return value

    greatest = is_any = least

    @staticmethod
    def number(condition: Column) -> Column:
        return F.when(condition, 1).otherwise(0).cast("bigint")

    @staticmethod
    def distinct(value: Column) -> Column:
        return _OfOne.number(value.isNotNull())

    @staticmethod
    def first(value: Column, _: Column) -> Column:
        return value


def _figures(over: _OverRows | _OfOne) -> list[Column]:
    """What a conversation's members tell of it; both kinds of `over` give the same of a conversation with one."""
    leg = F.col("leg")
    # Nulls last, interactions first: the smallest is the part that came first.
    place = F.struct(F.col("part_began_at").isNull(), "part_began_at", ~F.col("is_interaction"), "id")
    interactions = over.number(F.col("is_interaction"))
    outcome = (
        F.when(over.is_any(F.col("is_handled")), "HANDLED")
        .when(over.is_any(F.col("is_abandoned")), "ABANDONED")
        .otherwise("OTHER")
    )
    return [
        F.when(interactions > 0, SYMBEE).otherwise("connect").alias("source"),
        over.least(F.col("began_at")).alias("started_at"),
        over.greatest(F.col("ended_at")).alias("ended_at"),
        over.first(F.struct("environment", "queue", "channel"), F.when(F.col("is_part"), place)).alias("first"),
        interactions.alias("interactions"),
        over.number(F.col("has_contact")).alias("contacts"),
        over.distinct(F.col("agent")).alias("agents"),
        over.distinct(F.col("queue")).alias("queues"),
        *(over.number(leg.endswith(kind)).alias(f"{kind}s") for kind in ("transfer", "consult", "conference")),
        over.number(leg.startswith("external")).alias("external_legs"),
        over.number(F.col("is_callback")).alias("callbacks"),
        outcome.alias("outcome"),
    ]


def _taken_together(members: DataFrame, timezone: str) -> DataFrame:
    # To sum in part, before a conversation's members are brought together, would save nothing: they are few.
    together = members.repartition("conversation_id").sortWithinPartitions("conversation_id")
    return _conversation(together.groupBy("conversation_id").agg(*_figures(_OverRows())), timezone)


def _conversation(told: DataFrame, timezone: str) -> DataFrame:
    return (
        told.where("ended_at is not null")
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
