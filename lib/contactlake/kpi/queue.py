"""gold/queue_daily and gold/service_level_daily: visits, waits and the published service levels.

Amazon Connect's console and API remove visits shorter than the threshold, its data lake counts answers within it;
both stand here, with the two definitions that other vendors use.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.kpi.conformed import Conformed, Kpi, dimension, ratio, total
from contactlake.tables.gold import QUEUE_DAILY, SERVICE_LEVEL_DAILY

_DIMENSIONS = ("source", "environment", "queue", "channel")


def _queue_daily(conformed: Conformed) -> DataFrame:
    outcome = F.col("outcome")
    visits = conformed.queue_visit.withColumns(
        {
            "answer_wait_ms": F.when(outcome == "ANSWERED", F.col("wait_ms")),
            "abandon_wait_ms": F.when(outcome == "ABANDONED", F.col("wait_ms")),
        }
    )
    return (
        visits.groupBy("business_date", *(dimension(name) for name in _DIMENSIONS))
        .agg(
            F.count(F.lit(1)).alias("offered"),
            *(F.count_if(outcome == name).alias(name.lower()) for name in ("ANSWERED", "ABANDONED", "DIVERTED")),
            *(total(name).alias(name) for name in ("wait_ms", "answer_wait_ms", "abandon_wait_ms")),
            F.max("wait_ms").alias("max_wait_ms"),
        )
        .withColumns(
            {
                "average_speed_of_answer_ms": ratio("answer_wait_ms", "answered"),
                "average_abandon_ms": ratio("abandon_wait_ms", "abandoned"),
                "abandonment_rate": ratio("abandoned", "offered"),
            }
        )
        .select(*QUEUE_DAILY.column_names)
    )


def _service_level_daily(conformed: Conformed) -> DataFrame:
    thresholds = F.explode(F.array(*(F.lit(seconds).cast("bigint") for seconds in conformed.thresholds_seconds)))
    visits = conformed.queue_visit.select("*", thresholds.alias("threshold_seconds"))
    limit_ms = F.col("threshold_seconds") * 1000
    is_within = F.col("wait_ms") <= limit_ms
    return (
        visits.groupBy("business_date", *(dimension(name) for name in _DIMENSIONS), "threshold_seconds")
        .agg(
            F.count(F.lit(1)).alias("offered"),
            F.count_if(is_within & (F.col("outcome") == "ANSWERED")).alias("answered_within"),
            F.count_if(is_within & (F.col("outcome") == "ABANDONED")).alias("abandoned_within"),
            F.count_if(F.col("wait_ms") < limit_ms).alias("removed_below"),
        )
        .withColumns(
            {
                "remaining": F.col("offered") - F.col("abandoned_within"),
                "met": F.col("answered_within") + F.col("abandoned_within"),
            }
        )
        .withColumns(
            {
                "service_level_removed": ratio("removed_below", "offered"),
                "service_level_answered": ratio("answered_within", "offered"),
                "service_level_excluding_abandoned": ratio("answered_within", "remaining"),
                "service_level_abandoned_met": ratio("met", "offered"),
            }
        )
        .select(*SERVICE_LEVEL_DAILY.column_names)
    )


QUEUE = Kpi(QUEUE_DAILY, _queue_daily)
SERVICE_LEVEL = Kpi(SERVICE_LEVEL_DAILY, _service_level_daily)
