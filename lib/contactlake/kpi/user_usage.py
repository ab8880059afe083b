"""gold/user_usage_daily: usage sessions and the most users at once, from Symbee's BEGIN, ALIVE and END events.

A session ends at its END, at its last event before a BEGIN, or where the next event is further off than
`[usage] heartbeat_timeout_minutes`. It is in session at its first and last instant too.
"""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.dates import business_date, date_begins, is_one_of
from contactlake.conform.symbee import symbee_environment
from contactlake.kpi.conformed import Conformed, Kpi, dimension
from contactlake.tables.gold import USER_USAGE_DAILY

_PRODUCT = ("environment", "product_id")
_USER = (*_PRODUCT, "username")


def usage_sessions(usage: DataFrame, heartbeat_timeout_minutes: int) -> DataFrame:
    """One row per usage session: environment, product_id, username, started_at, ended_at."""
    action = F.col("usage_action_code")
    told = usage.select(
        symbee_environment().alias("environment"),
        dimension("product_id"),
        "username",
        F.col("usage_entry_at").alias("at"),
        F.when(action == "BEGIN", 0).when(action == "END", 2).otherwise(1).alias("action"),
    )
    in_order = Window.partitionBy(*_USER).orderBy("at", "action")
    before = F.lag(F.struct("at", "action")).over(in_order)
    is_silent = F.col("at") > F.col("before.at") + F.expr(f"interval {heartbeat_timeout_minutes} minutes")
    begins = F.col("before").isNull() | (F.col("action") == 0) | (F.col("before.action") == 2) | is_silent
    return (
        told.withColumn("before", before)
        .withColumn(
            "number",
            F.sum(F.when(begins, 1).otherwise(0)).over(
                in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
            ),
        )
        .groupBy(*_USER, "number")
        .agg(F.min("at").alias("started_at"), F.max("at").alias("ended_at"))
        .drop("number")
    )


def user_usage_daily(
    usage: DataFrame, dates: Sequence[date], timezone: str, heartbeat_timeout_minutes: int
) -> DataFrame:
    """The table's rows of `dates`; `usage` (silver/symbee_user_usage) holds all that is in session on them."""
    first, last = (business_date(name, timezone) for name in ("started_at", "ended_at"))
    begins = date_begins(F.col("business_date"), timezone)
    dated = (
        usage_sessions(usage, heartbeat_timeout_minutes)
        .withColumn("business_date", F.explode(F.sequence(first, last)))
        .where(is_one_of(F.col("business_date"), dates))
        .withColumn("started_at", F.greatest("started_at", begins))
    )
    counted = dated.groupBy("business_date", *_PRODUCT).agg(
        F.count_distinct("username").alias("users"), F.count(F.lit(1)).alias("sessions")
    )
    return counted.join(_peaks(dated), ["business_date", *_PRODUCT]).select(*USER_USAGE_DAILY.column_names)


def _peaks(dated: DataFrame) -> DataFrame:
    """The most distinct users in session at one instant: a user's touching sessions are one first."""
    of_user = Window.partitionBy("business_date", *_USER).orderBy("started_at", "ended_at")
    before = of_user.rowsBetween(Window.unboundedPreceding, -1)
    until_now = of_user.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    is_apart = F.coalesce(F.col("started_at") > F.max("ended_at").over(before), F.lit(True))
    stretches = (
        dated.withColumn("is_apart", is_apart)
        .withColumn("number", F.sum(F.col("is_apart").cast("int")).over(until_now))
        .groupBy("business_date", *_USER, "number")
        .agg(F.min("started_at").alias("started_at"), F.max("ended_at").alias("ended_at"))
    )
    changes = stretches.select(
        "business_date",
        *_PRODUCT,
        F.inline(
            F.array(
                F.struct(F.col("started_at").alias("at"), F.lit(1).alias("change")),
                F.struct(F.col("ended_at").alias("at"), F.lit(-1).alias("change")),
            )
        ),
    )
    # Who comes at the instant at which another goes is in session with them.
    in_order = (
        Window.partitionBy("business_date", *_PRODUCT)
        .orderBy("at", F.col("change").desc())
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    return (
        changes.withColumn("users_now", F.sum("change").over(in_order))
        .groupBy("business_date", *_PRODUCT)
        .agg(F.max("users_now").alias("peak_concurrent_users"))
    )


def _compute(conformed: Conformed) -> DataFrame:
    return user_usage_daily(conformed.usage, conformed.dates, conformed.timezone, conformed.heartbeat_timeout_minutes)


USER_USAGE = Kpi(USER_USAGE_DAILY, _compute)
