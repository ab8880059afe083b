"""Whether the rows of a date are still what they were, whatever their order."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.dates import is_one_of
from contactlake.digest import digest
from contactlake.joins import union
from contactlake.tables.declaration import Table

Fingerprint = tuple[int, int, int]
"""How many rows, and two sums over their hashes. Equal rows give equal ones."""


def fingerprints(
    table: Table, day: Column, old: DataFrame, new: DataFrame, dates: Sequence[date]
) -> tuple[dict[date, Fingerprint], dict[date, Fingerprint]]:
    """The fingerprints of those of `dates` that rows of `table` are of, by business date: of the old and the new rows.

    `day` tells a row's business date. Columns that differ in every run do not count.
    """
    compared = [column.name for column in table.columns if not column.is_volatile]
    # Spark hashes no maps, as the order of their entries is their own.
    entries = {
        column.name: F.array_sort(F.map_entries(F.col(f"`{column.name}`")))
        for column in table.columns
        if column.type.startswith("map")
    }
    sides = [
        rows.where(is_one_of(day, dates))
        .withColumns(entries)
        .select(F.lit(is_new).alias("is_new"), day.alias("day"), digest(compared).alias("digest"))
        for is_new, rows in ((False, old), (True, new))
    ]
    figures = (
        union(sides)
        .groupBy("is_new", "day")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.bit_xor("digest").alias("parity"),
            F.sum(F.shiftrightunsigned("digest", 24)).alias("total"),
        )
    )
    found: tuple[dict[date, Fingerprint], dict[date, Fingerprint]] = ({}, {})
    for row in figures.collect():
        found[row["is_new"]][row["day"]] = (row["rows"], row["parity"], row["total"])
    return found
