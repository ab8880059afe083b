"""gold/handle_daily: handled interactions and their agents' clocks."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.kpi.conformed import Conformed, Kpi, dimension, totals, with_ratios
from contactlake.tables.gold import HANDLE_DAILY

_DIMENSIONS = tuple(name for name in HANDLE_DAILY.key if name != "business_date")


def _compute(conformed: Conformed) -> DataFrame:
    handled = conformed.interaction.where("is_handled").withColumns(
        {
            "handled": F.lit(1),
            "transferred_out": F.col("is_transferred_out").cast("int"),
            "flagged": (F.size("flags") > 0).cast("int"),
        }
    )
    summed = handled.groupBy("business_date", *(dimension(name) for name in _DIMENSIONS)).agg(
        *totals(HANDLE_DAILY, handled)
    )
    return with_ratios(summed, HANDLE_DAILY)


HANDLE = Kpi(HANDLE_DAILY, _compute)
