"""gold/duration_distribution_daily: exact percentiles, and a sketch for percentiles over several rows."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.kpi.conformed import Conformed, Kpi, dimension, total
from contactlake.tables.gold import DURATION_DISTRIBUTION_DAILY

_DIMENSIONS = ("source", "environment", "queue", "channel")
_PERCENTILES = {
    column.name: column.percentile_of[1] for column in DURATION_DISTRIBUTION_DAILY.columns if column.percentile_of
}


def _distributions(rows: DataFrame, **measures: str) -> DataFrame:
    """The table's rows of some measures, each of which is a column of `rows`.

    Each measure is an aggregate of its own: a row for each of them would be several times the rows to bring together.
    """
    summed = rows.groupBy("business_date", *(dimension(name) for name in _DIMENSIONS)).agg(
        *(_distribution(measure, column).alias(measure) for measure, column in measures.items())
    )
    return (
        summed.select("business_date", *_DIMENSIONS, F.inline(F.array(*measures)))
        .where("count > 0")
        .withColumns({name: _percentile(fraction) for name, fraction in _PERCENTILES.items()})
        .select(*DURATION_DISTRIBUTION_DAILY.column_names)
    )


def _distribution(measure: str, column: str) -> Column:
    return F.struct(
        F.lit(measure).alias("measure"),
        F.count(column).alias("count"),
        total(column).alias("sum_ms"),
        F.sort_array(F.collect_list(column)).alias("sorted"),
        F.max(column).alias("max_ms"),
        F.kll_sketch_agg_bigint(column).alias("sketch"),
    )


def _percentile(fraction: float) -> Column:
    """The percentile of the values in `sorted`, interpolated linearly.

    To sort a list takes a fraction of the time of Spark's `percentile`, which counts each value in a hash map.
    """
    place = (F.size("sorted") - 1) * F.lit(fraction)
    below, above = F.floor(place), F.ceil(place)
    lower, upper = (F.get("sorted", at.cast("int")).cast("double") for at in (below, above))
    return F.when(lower == upper, lower).otherwise((above - place) * lower + (place - below) * upper)


def _compute(conformed: Conformed) -> DataFrame:
    handled = conformed.interaction.where("is_handled")
    worked = _distributions(handled, handle="handle_ms", active="active_ms", parked="parked_ms", wrap="wrap_ms")
    return worked.unionByName(_distributions(conformed.queue_visit, wait="wait_ms"))


DURATION_DISTRIBUTION = Kpi(DURATION_DISTRIBUTION_DAILY, _compute)
