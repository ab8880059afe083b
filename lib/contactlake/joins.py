"""Much data: rows that are computed once, unions, and joins with little."""

from collections.abc import Iterable
from functools import reduce
from operator import and_

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
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


def with_mark(rows: DataFrame, mark: str, value: Column, keys: DataFrame) -> DataFrame:
    """`rows` with `mark`: whether their `value` is one of `keys` (a distinct column, computed already).

    Where the keys are many, rows without a value stay where they are: in a join they would all meet in one task.
    """
    (name,) = keys.columns
    found = keys.select(F.col(name).alias(f"{mark}_key"))
    if found.count() <= _FEW:
        joined = rows.join(F.broadcast(found), value == F.col(f"{mark}_key"), "left")
    else:
        joined = (
            rows.where(value.isNotNull())
            .join(found, value == F.col(f"{mark}_key"), "left")
            .unionByName(rows.where(value.isNull()).withColumn(f"{mark}_key", F.lit(None).cast("string")))
        )
    return joined.withColumn(mark, F.col(f"{mark}_key").isNotNull()).drop(f"{mark}_key")


def union(frames: Iterable[DataFrame]) -> DataFrame:
    """All rows of `frames`, of which there are some, by the names of their columns."""
    return reduce(DataFrame.unionByName, frames)


def are_same(left: Iterable[str], right: Iterable[str]) -> Column:
    """Whether each column of `left` has the value of its like in `right`; nulls are like each other."""
    return reduce(and_, (F.col(one).eqNullSafe(F.col(other)) for one, other in zip(left, right, strict=True)))


def hash_of(*columns: str) -> Column:
    """Stands for the values of `columns` together, in a fraction of their size; others may share it."""
    return F.xxhash64(*columns)
