"""gold/queue_daily, gold/queue_interval and gold/service_level_daily: visits, waits and the published service levels.

Amazon Connect's console and API remove visits shorter than the threshold, its data lake counts answers within it;
both stand here, with the two definitions that other vendors use.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.kpi.conformed import Conformed, Kpi, dimension, quarter_of, totals, with_ratios
from contactlake.tables.gold import QUEUE_DAILY, QUEUE_INTERVAL, SERVICE_LEVEL_DAILY

_DIMENSIONS = ("source", "environment", "queue", "channel")


def _visits(conformed: Conformed) -> DataFrame:
    """The visits with queue_daily's additive measures of each."""
    outcome = F.col("outcome")
    return conformed.queue_visit.withColumns(
        {
            "offered": F.lit(1),
            **{name: (outcome == name.upper()).cast("int") for name in ("answered", "abandoned", "diverted")},
            "answer_wait_ms": F.when(outcome == "ANSWERED", F.col("wait_ms")),
            "abandon_wait_ms": F.when(outcome == "ABANDONED", F.col("wait_ms")),
        }
    )


def _queue_daily(conformed: Conformed) -> DataFrame:
    visits = _visits(conformed)
    summed = visits.groupBy("business_date", *(dimension(name) for name in _DIMENSIONS)).agg(
        *totals(QUEUE_DAILY, visits), F.max("wait_ms").alias("max_wait_ms")
    )
    return with_ratios(summed, QUEUE_DAILY)


def _queue_interval(conformed: Conformed) -> DataFrame:
    visits = _visits(conformed)
    return (
        visits.groupBy("business_date", quarter_of("ended_at"), *(dimension(name) for name in _DIMENSIONS))
        .agg(*totals(QUEUE_INTERVAL, visits))
        .select(*QUEUE_INTERVAL.column_names)
    )


def _service_level_daily(conformed: Conformed) -> DataFrame:
    thresholds = F.explode(F.array(*(F.lit(seconds).cast("bigint") for seconds in conformed.thresholds_seconds)))
    limit_ms = F.col("threshold_seconds") * 1000
    is_within = F.coalesce(F.col("wait_ms") <= limit_ms, F.lit(False))
    visits = conformed.queue_visit.select("*", thresholds.alias("threshold_seconds")).withColumns(
        {
            "offered": F.lit(1),
            "answered_within": (is_within & (F.col("outcome") == "ANSWERED")).cast("int"),
            "abandoned_within": (is_within & (F.col("outcome") == "ABANDONED")).cast("int"),
            "removed_below": (F.col("wait_ms") < limit_ms).cast("int"),
        }
    )
    summed = visits.groupBy("business_date", *(dimension(name) for name in _DIMENSIONS), "threshold_seconds").agg(
        *totals(SERVICE_LEVEL_DAILY, visits)
    )
    return with_ratios(summed, SERVICE_LEVEL_DAILY)


QUEUE = Kpi(QUEUE_DAILY, _queue_daily)
QUEUE_BY_INTERVAL = Kpi(QUEUE_INTERVAL, _queue_interval)
SERVICE_LEVEL = Kpi(SERVICE_LEVEL_DAILY, _service_level_daily)
