"""Joins of much with little."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

_FEW = 200_000
"""So many narrow rows at most are brought to every task of a query."""


def brought(rows: DataFrame) -> DataFrame:
    """`rows` of a few narrow columns, computed already, as a side of joins: where they are few, every task gets all.

    Spark can't know how few they are before it has moved the other side.
    """
    return F.broadcast(rows) if rows.count() <= _FEW else rows
