"""The conformed `interaction`: one row per Symbee task, with what its contact knows better."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.symbee import SYMBEE, is_handled, symbee_direction
from contactlake.joins import with_mark
from contactlake.tables.conformed import INTERACTION


def media_key() -> Column:
    """The key of the transcript that an interaction names, within its archive: its media_location behind the bucket."""
    return F.substring(F.col("media_location"), F.locate("/", "media_location") + 1, 1 << 20)


def handle_ms() -> Column:
    """The time that the agent worked it: active + parked + wrap."""
    return _sum_of_known("active_ms", "parked_ms", "wrap_ms")


def _sum_of_known(*names: str) -> Column:
    """The sum of columns, null parts 0; null where all of the agent's clocks are."""
    is_any_known = F.coalesce("active_ms", "parked_ms", "wrap_ms").isNotNull()
    total = F.lit(0).cast("bigint")
    for name in names:
        total = total + F.coalesce(name, F.lit(0))
    return F.when(is_any_known, total)


def interactions(judged: DataFrame, transcript_keys: DataFrame) -> DataFrame:
    """One `interaction` row per judged Symbee interaction, which has its conversation_id.

    `transcript_keys` (media_key, computed already): the transcripts that the lake has.
    """
    joined = F.col("is_joined")
    return (
        with_mark(judged, "has_transcript", media_key(), transcript_keys)
        .select(
            F.lit(SYMBEE).alias("source"),
            F.col("task_id").alias("interaction_id"),
            "conversation_id",
            F.col("origin_task_id").alias("origin_interaction_id"),
            F.when(joined, F.col("gateway_task_id")).alias("contact_id"),
            F.col("conformed_environment").alias("environment"),
            F.col("username").alias("agent"),
            F.col("user_report_hierarchy").alias("agent_hierarchy"),
            F.col("skill_queue_name").alias("queue"),
            F.col("conformed_channel").alias("channel"),
            symbee_direction().alias("direction"),
            F.col("task_initiation_method").alias("initiation"),
            F.col("delivery_provider").alias("provider"),
            F.col("initiation_at").alias("initiated_at"),
            "queued_at",
            "assigned_at",
            "connected_at",
            "wrap_at",
            "completed_at",
            "business_date",
            F.when(joined, F.col("contact.queue_ms")).otherwise(F.col("queued_ms")).alias("queue_ms"),
            F.when(joined, "contact").otherwise("interaction").alias("queue_ms_from"),
            "active_ms",
            "parked_ms",
            "wrap_ms",
            F.when(joined, F.col("contact.agent_hold_ms")).alias("hold_ms"),
            handle_ms().alias("handle_ms"),
            _sum_of_known("active_ms", "wrap_ms").alias("focus_ms"),
            is_handled().alias("is_handled"),
            "is_transferred_out",
            F.col("status").alias("reconciliation_status"),
            F.when(F.col("media_location").isNull(), "NOT_EXPECTED")
            .when(F.col("has_transcript"), "PRESENT")
            .otherwise("MISSING")
            .alias("transcript_status"),
            "flags",
        )
        .select(*INTERACTION.column_names)
    )
