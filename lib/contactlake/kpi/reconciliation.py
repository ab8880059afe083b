"""gold/reconciliation_daily: how many interactions and contacts have each verdict."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.kpi.conformed import Conformed, Kpi, dimension, total
from contactlake.tables.gold import RECONCILIATION_DAILY


def _compute(conformed: Conformed) -> DataFrame:
    return (
        conformed.reconciliation.groupBy("business_date", dimension("environment"), dimension("channel"), "status")
        .agg(
            F.count(F.lit(1)).alias("contacts"),
            total("talk_delta_ms").alias("talk_delta_ms"),
            total("wrap_delta_ms").alias("wrap_delta_ms"),
        )
        .select(*RECONCILIATION_DAILY.column_names)
    )


RECONCILIATION = Kpi(RECONCILIATION_DAILY, _compute)
