"""The conformed `queue_visit`: Amazon's queues from the contacts alone, Symbee's from the interactions alone."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.contacts import (
    amazon_visit_outcome,
    contact_conversation,
    contact_ended_at,
    milliseconds_between,
    not_below_zero,
)
from contactlake.conform.dates import business_date
from contactlake.conform.symbee import SYMBEE, symbee_visit_outcome
from contactlake.tables.conformed import QUEUE_VISIT


def contact_visits(contacts: DataFrame, timezone: str) -> DataFrame:
    """One row per contact that was in a queue."""
    wait = F.coalesce(
        F.col("queue_ms"),
        milliseconds_between(F.col("dequeued_at"), F.col("enqueued_at")),
        milliseconds_between(F.col("disconnect_at"), F.col("enqueued_at")),
    )
    return (
        contacts.where(F.col("enqueued_at").isNotNull())
        .withColumn("visit_ended_at", F.coalesce(F.col("disconnect_at"), F.col("dequeued_at"), contact_ended_at()))
        .select(
            F.lit("connect").alias("source"),
            F.col("contact_id").alias("visit_id"),
            contact_conversation().alias("conversation_id"),
            "environment",
            F.coalesce(F.col("queue"), F.substring_index("queue_arn", "/", -1)).alias("queue"),
            F.lower("channel").alias("channel"),
            "enqueued_at",
            "dequeued_at",
            F.col("visit_ended_at").alias("ended_at"),
            business_date("visit_ended_at", timezone).alias("business_date"),
            not_below_zero(wait).alias("wait_ms"),
            amazon_visit_outcome().alias("outcome"),
        )
        .select(*QUEUE_VISIT.column_names)
    )


def interaction_visits(judged: DataFrame) -> DataFrame:
    """One row per judged interaction that Symbee queued; it has its conversation_id."""
    wait = F.coalesce(F.col("queued_ms"), milliseconds_between(F.col("assigned_at"), F.col("queued_at")))
    return (
        judged.where(symbee_visit_outcome().isNotNull())
        .select(
            F.lit(SYMBEE).alias("source"),
            F.col("task_id").alias("visit_id"),
            "conversation_id",
            F.col("conformed_environment").alias("environment"),
            F.col("skill_queue_name").alias("queue"),
            F.col("conformed_channel").alias("channel"),
            F.col("queued_at").alias("enqueued_at"),
            F.col("assigned_at").alias("dequeued_at"),
            F.col("completed_at").alias("ended_at"),
            "business_date",
            not_below_zero(wait).alias("wait_ms"),
            symbee_visit_outcome().alias("outcome"),
        )
        .select(*QUEUE_VISIT.column_names)
    )
