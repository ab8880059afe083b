"""gold/work_code_daily: the work codes that agents selected, on the date they were selected.

A code whose interaction is not there is counted all the same, in `selected` alone.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.kpi.conformed import Conformed, Kpi, dimension, total
from contactlake.tables.gold import WORK_CODE_DAILY

_DIMENSIONS = ("source", "environment", "queue", "channel", "code_group", "code")


def _compute(conformed: Conformed) -> DataFrame:
    return (
        conformed.disposition.join(conformed.handle_times, ["interaction_id"], "left")
        .groupBy("business_date", *(dimension(name) for name in _DIMENSIONS))
        .agg(
            F.count(F.lit(1)).alias("selected"),
            F.count_distinct("interaction_id").alias("interactions"),
            total("handle_ms").alias("handle_ms"),
            F.count("interaction_id").alias("codes"),
        )
        .withColumn("average_handle_ms", F.try_divide(F.col("handle_ms").cast("double"), F.col("codes")))
        .select(*WORK_CODE_DAILY.column_names)
    )


WORK_CODE = Kpi(WORK_CODE_DAILY, _compute)
