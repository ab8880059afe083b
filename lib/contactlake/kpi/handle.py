"""gold/handle_daily: handled interactions and their agents' clocks."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.kpi.conformed import Conformed, Kpi, dimension, ratio, total
from contactlake.tables.gold import HANDLE_DAILY

_SUMS = ("active_ms", "parked_ms", "wrap_ms", "handle_ms", "focus_ms", "hold_ms", "queue_ms")


def _compute(conformed: Conformed) -> DataFrame:
    handled = conformed.interaction.where("is_handled")
    return (
        handled.groupBy(*(dimension(name) for name in HANDLE_DAILY.key if name != "business_date"), "business_date")
        .agg(
            F.count(F.lit(1)).alias("handled"),
            *(total(name).alias(name) for name in _SUMS),
            F.count_if("is_transferred_out").alias("transferred_out"),
            F.count_if(F.size("flags") > 0).alias("flagged"),
        )
        .withColumns(
            {f"average_{part}_ms": ratio(f"{part}_ms", "handled") for part in ("handle", "active", "parked", "wrap")}
        )
        .select(*HANDLE_DAILY.column_names)
    )


HANDLE = Kpi(HANDLE_DAILY, _compute)
