"""gold/duration_distribution_daily: exact percentiles, and a sketch for percentiles over several rows."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.kpi.conformed import Conformed, Kpi, dimension, total
from contactlake.tables.gold import DURATION_DISTRIBUTION_DAILY

_DIMENSIONS = ("source", "environment", "queue", "channel")
_PERCENTILES = {
    column.name: column.percentile_of[1] for column in DURATION_DISTRIBUTION_DAILY.columns if column.percentile_of
}


def _durations(rows: DataFrame, **measures: str) -> DataFrame:
    """One row per row and measure that it has."""
    pairs = F.explode(
        F.array(
            *(
                F.struct(F.lit(measure).alias("measure"), F.col(column).alias("duration_ms"))
                for measure, column in measures.items()
            )
        )
    )
    return (
        rows.select("business_date", *(dimension(name) for name in _DIMENSIONS), pairs.alias("pair"))
        .select("business_date", *_DIMENSIONS, "pair.measure", "pair.duration_ms")
        .where(F.col("duration_ms").isNotNull())
    )


def _compute(conformed: Conformed) -> DataFrame:
    handled = _durations(
        conformed.interaction.where("is_handled"),
        handle="handle_ms",
        active="active_ms",
        parked="parked_ms",
        wrap="wrap_ms",
    )
    waits = _durations(conformed.queue_visit, wait="wait_ms")
    fractions = F.array(*(F.lit(fraction) for fraction in _PERCENTILES.values()))
    return (
        handled.unionByName(waits)
        .groupBy("business_date", *_DIMENSIONS, "measure")
        .agg(
            F.count(F.lit(1)).alias("count"),
            total("duration_ms").alias("sum_ms"),
            F.percentile("duration_ms", fractions).alias("percentiles"),
            F.max("duration_ms").alias("max_ms"),
            F.kll_sketch_agg_bigint("duration_ms").alias("sketch"),
        )
        .withColumns({name: F.col("percentiles")[place] for place, name in enumerate(_PERCENTILES)})
        .select(*DURATION_DISTRIBUTION_DAILY.column_names)
    )


DURATION_DISTRIBUTION = Kpi(DURATION_DISTRIBUTION_DAILY, _compute)
