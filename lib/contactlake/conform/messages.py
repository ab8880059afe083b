"""The conformed `message`: what a chat's transcript tells of who wrote when, without any text."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.contacts import milliseconds_between, not_below_zero
from contactlake.conform.interactions import media_key
from contactlake.conform.symbee import SYMBEE
from contactlake.tables.conformed import MESSAGE


def messages(interactions: DataFrame, transcripts: DataFrame, conversations: DataFrame) -> DataFrame:
    """`message`'s rows, and beside them first_response_ms on each interaction's first response.

    `interactions` (silver/symbee_interaction), `transcripts` (silver/symbee_transcript), `conversations` (task_id,
    conversation_id). A message answers where the other party wrote last: response_ms is the time from the first
    message of that party's unanswered run.
    """
    naming = interactions.where("media_location is not null").select("task_id", media_key().alias("named_key"))
    told = (
        naming.join(transcripts, F.col("named_key") == F.col("media_key"))
        .join(conversations, ["task_id"])
        .select("task_id", "conversation_id", F.posexplode("messages").alias("sequence", "message"))
        .select("task_id", "conversation_id", "sequence", "message.*")
        .where("sent_at is not null")
    )
    # Messages of no known party neither end nor begin a run: they are left out where runs are told.
    of_task = Window.partitionBy("task_id", F.col("party").isNull()).orderBy("sequence")
    runs = told.withColumn("last_party", F.lag("party").over(of_task)).withColumn(
        "run_begins", F.col("party").isNotNull() & ~F.col("party").eqNullSafe(F.col("last_party"))
    )
    runs = runs.withColumn("run_began_at", F.when(F.col("run_begins"), F.col("sent_at")))
    before = of_task.rowsBetween(Window.unboundedPreceding, -1)
    answers = F.col("run_begins") & F.col("last_party").isNotNull()
    asked_at = F.last("run_began_at", ignorenulls=True).over(before)
    first_customer_at = F.first(F.when(F.col("party") == "customer", F.col("sent_at")), ignorenulls=True).over(before)
    # The first answer of an agent is the first agent's message that has a customer's before it.
    earlier_answers = F.count(F.when((F.col("party") == "agent") & F.col("is_after_customer"), 1)).over(before)
    timed = runs.withColumns(
        {
            "response_ms": F.when(answers, not_below_zero(milliseconds_between(F.col("sent_at"), asked_at))),
            "first_customer_at": first_customer_at,
            "is_after_customer": first_customer_at.isNotNull(),
        }
    ).withColumn("earlier_answers", earlier_answers)
    is_first_response = (F.col("party") == "agent") & F.col("is_after_customer") & (F.col("earlier_answers") == 0)
    return timed.select(
        F.lit(SYMBEE).alias("source"),
        F.col("task_id").alias("interaction_id"),
        F.col("sequence").cast("bigint").alias("sequence"),
        "conversation_id",
        "sent_at",
        "direction",
        "party",
        "length",
        "response_ms",
        F.when(
            is_first_response, not_below_zero(milliseconds_between(F.col("sent_at"), F.col("first_customer_at")))
        ).alias("first_response_ms"),
    ).select(*MESSAGE.column_names, "first_response_ms")
