"""gold/conversation_daily: conversations by outcome, on the date that they ended."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.kpi.conformed import Conformed, Kpi, dimension, total
from contactlake.tables.gold import CONVERSATION_DAILY

_DIMENSIONS = ("source", "environment", "first_queue", "channel")


def _compute(conformed: Conformed) -> DataFrame:
    return (
        conformed.conversation.groupBy("business_date", *(dimension(name) for name in _DIMENSIONS))
        .agg(
            F.count(F.lit(1)).alias("conversations"),
            F.count_if(F.col("outcome") == "HANDLED").alias("handled"),
            F.count_if(F.col("outcome") == "ABANDONED").alias("abandoned"),
            F.count_if(F.col("transfers") > 0).alias("transferred"),
            F.count_if(F.col("consults") > 0).alias("consulted"),
            F.count_if(F.col("conferences") > 0).alias("conferenced"),
            F.count_if(F.col("agents") > 1).alias("multi_agent"),
            total("interactions").alias("interactions"),
        )
        .select(*CONVERSATION_DAILY.column_names)
    )


CONVERSATION = Kpi(CONVERSATION_DAILY, _compute)
