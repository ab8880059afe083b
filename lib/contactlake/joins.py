"""Much data: rows that are computed once, and joins with little."""

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

_FEW = 200_000
"""So many narrow rows at most are brought to every task of a query."""


def computed(rows: DataFrame) -> DataFrame:
    """`rows`, computed now and kept on the disks of those who did: wide ones by the million would fill their memory."""
    return rows.localCheckpoint(storageLevel=StorageLevel.DISK_ONLY)


def brought(rows: DataFrame) -> DataFrame:
    """`rows` of a few narrow columns, computed already, as a side of joins: where they are few, every task gets all.

    Spark can't know how few they are before it has moved the other side.
    """
    return F.broadcast(rows) if rows.count() <= _FEW else rows


def repeated(rows: DataFrame, *columns: str) -> DataFrame:
    """The hashes (hash) of those values of `columns`, together, that may stand in several of `rows`."""
    hashed = rows.groupBy(F.xxhash64(*columns).alias("hash")).agg(F.count(F.lit(1)).alias("times"))
    return hashed.where("times > 1").select("hash")
