"""The conformed `disposition`: one row per work code, with the interaction that it belongs to."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.contacts import milliseconds_between
from contactlake.conform.dates import business_date
from contactlake.conform.symbee import SYMBEE, symbee_channel, symbee_environment


def dispositions(codes: DataFrame, interactions: DataFrame, contacts: DataFrame, timezone: str) -> DataFrame:
    """`disposition`'s rows, one per row of `codes` (silver/symbee_work_code).

    `interactions` (silver/symbee_interaction) and `contacts` (silver/connect_contact) must hold every row with one of
    the codes' gateway_task_ids. A code belongs to the interaction of its gateway task and user; of several to the one
    that ended closest to it.
    """
    told = codes.withColumn("conformed_environment", symbee_environment())
    worked = interactions.where("gateway_task_id is not null and username is not null").select(
        symbee_environment().alias("worked_environment"),
        F.col("gateway_task_id").alias("worked_gateway_task_id"),
        F.col("username").alias("worked_by"),
        "task_id",
        "completed_at",
    )
    closest = Window.partitionBy("record_sha256").orderBy(
        F.abs(milliseconds_between(F.col("completed_at"), F.col("created_at"))), "task_id"
    )
    known = contacts.select(F.col("contact_id").alias("known_contact_id"))
    return (
        told.join(
            worked,
            (F.col("conformed_environment") == F.col("worked_environment"))
            & (F.col("gateway_task_id") == F.col("worked_gateway_task_id"))
            & (F.col("username") == F.col("worked_by")),
            "left",
        )
        .withColumn("place", F.row_number().over(closest))
        .where("place = 1")
        .join(known, F.col("gateway_task_id") == F.col("known_contact_id"), "left")
        .select(
            F.lit(SYMBEE).alias("source"),
            F.col("record_sha256").alias("disposition_id"),
            F.col("task_id").alias("interaction_id"),
            F.col("known_contact_id").alias("contact_id"),
            F.col("conformed_environment").alias("environment"),
            F.col("username").alias("agent"),
            F.col("queue_name").alias("queue"),
            symbee_channel().alias("channel"),
            F.col("work_group_name").alias("code_group"),
            F.col("work_code_name").alias("code"),
            "created_at",
            business_date("created_at", timezone).alias("business_date"),
        )
    )
