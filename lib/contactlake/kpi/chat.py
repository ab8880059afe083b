"""gold/chat_daily: messages and response times of the chats whose transcript is there.

A chat counts on its interaction's business date, whenever its messages were sent. First response: the first agent's
message after the first customer's, from that customer's message. Responses are the agents' alone.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.kpi.conformed import Conformed, Kpi, dimension, totals, with_ratios
from contactlake.tables.gold import CHAT_DAILY


def _compute(conformed: Conformed) -> DataFrame:
    is_agents = F.col("party") == "agent"
    told = conformed.messages.groupBy("interaction_id").agg(
        F.count_if(F.col("party") == "customer").alias("inbound_messages"),
        F.count_if(is_agents).alias("outbound_messages"),
        F.sum("first_response_ms").alias("first_response_ms"),
        F.count("first_response_ms").alias("first_responses"),
        F.sum(F.when(is_agents, F.col("response_ms"))).alias("response_ms"),
        F.count(F.when(is_agents, F.col("response_ms"))).alias("responses"),
    )
    chats = (
        conformed.interaction.where("transcript_status = 'PRESENT'")
        .join(told, ["interaction_id"], "left")
        .withColumn("conversations", F.lit(1))
    )
    dimensions = (dimension(name) for name in CHAT_DAILY.key if name != "business_date")
    return with_ratios(chats.groupBy("business_date", *dimensions).agg(*totals(CHAT_DAILY, chats)), CHAT_DAILY)


CHAT = Kpi(CHAT_DAILY, _compute)
