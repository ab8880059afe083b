"""Rolling a gold table up: its rows over dates and dimensions, each column by the rule that its declaration names.

Sums are added, maxima stay maxima, sketches are merged and percentiles taken from the merged sketch, and ratios are
made anew from the sums. What has no such rule, such as distinct users, is left out of a result that spans several rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.errors import ConfigurationError
from contactlake.tables.declaration import Column as Declared
from contactlake.tables.declaration import Rollup, Table

_ROWS = "rows_taken_together"


class Grain(StrEnum):
    """How much time one row of a result spans."""

    DAY = "day"
    WEEK = "week"
    """The ISO week, which begins on Monday."""
    MONTH = "month"
    TOTAL = "total"
    """Everything."""

    @property
    def column_name(self) -> str | None:
        """The date that begins a row's span of time."""
        return {"day": "business_date", "week": "week_start_date", "month": "month_start_date"}.get(self.value)


@dataclass(frozen=True)
class Grouping:
    """What is kept apart when `table` is rolled up; everything else is taken together."""

    table: Table
    grain: Grain
    dimensions: tuple[str, ...]
    by: tuple[str, ...]
    """As it was asked for."""

    @property
    def is_own(self) -> bool:
        """Whether every group is one row of the table."""
        return self.grain is Grain.DAY and self.dimensions == dimensions(self.table)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell the rows of the result apart."""
        first = self.grain.column_name
        return self.dimensions if first is None else (first, *self.dimensions)

    @property
    def measures(self) -> tuple[Declared, ...]:
        """The columns that the result has beside its key, in the table's order."""
        declared = tuple(column for column in self.table.columns if column.name not in self.table.key)
        return declared if self.is_own else tuple(column for column in declared if self._is_known(column))

    def _is_known(self, column: Declared) -> bool:
        if column.rollup is Rollup.PEAK:
            return self.dimensions == dimensions(self.table)
        return column.rollup is not None or column.ratio_of is not None


def dimensions(table: Table) -> tuple[str, ...]:
    """The columns of the key but for the business date, in the table's order."""
    return tuple(name for name in table.column_names if name in table.key and name != "business_date")


def grouping(table: Table, by: Iterable[str] = ()) -> Grouping:
    """What `by` keeps apart: any dimensions of the gold table and one grain of time, none being `total`.

    An empty `by` is the table's own grain. Dimensions whose values overlap are kept apart, named or not.
    Raises `ConfigurationError` where a name is not one of these, two grains are named or no measure would be left.
    """
    names = tuple(dict.fromkeys(by))
    known = dimensions(table)
    if not names:
        return Grouping(table, Grain.DAY, known, names)
    for name in names:
        if name not in (*known, *Grain):
            raise ConfigurationError(
                f"{table} has no dimension {name}", f"name any of {', '.join(known)}, and one of {', '.join(Grain)}"
            )
    grains = [Grain(name) for name in names if name not in known]
    if len(grains) > 1:
        raise ConfigurationError(f"{' and '.join(grains)} do not go together", "name one of them")
    kept = tuple(name for name in known if name in names or name in table.overlapping)
    groups = Grouping(table, grains[0] if grains else Grain.TOTAL, kept, names)
    if not groups.measures:
        raise ConfigurationError(
            f"no measure of {table} is known by {', '.join(names)} alone", f"keep {', '.join(known)} apart, too"
        )
    return groups


def rollup(table: Table, rows: DataFrame, by: Iterable[str] = ()) -> DataFrame:
    """`rows` of the gold `table` taken together over everything that `by` does not name.

    One row per group that has any: its key (`business_date`, `week_start_date` or `month_start_date`, then the
    dimensions that are kept), then every measure that several rows have one of; see `grouping` for `by` and what it
    raises. At the table's own grain this is `rows`. Percentiles of a group of one row are its own, exact; of several
    they come from the merged sketch, within its error.
    """
    groups = grouping(table, by)
    if groups.is_own:
        return rows.select(*table.column_names)
    taken = rows.withColumn(_ROWS, F.lit(1))
    if any(column.rollup is Rollup.MERGE for column in table.columns):
        # A sketch has some kilobytes and no aggregate function merges them: those of a date first, for shorter lists.
        taken = _taken_together(table, taken, [F.col("business_date"), *map(F.col, groups.dimensions)])
    together = _taken_together(table, taken, [*_span(groups.grain), *map(F.col, groups.dimensions)])
    return (
        together.where(F.col(_ROWS) > 0)  # without a key, no rows make one row
        .withColumns(_percentiles(table))
        .withColumns(ratios(table))
        .select(*groups.key, *(column.name for column in groups.measures))
    )


def ratios(table: Table) -> dict[str, Column]:
    """The ratios that `table` declares, from the sums beside them; null where a denominator is 0."""
    return {
        column.name: F.try_divide(*(F.expr(part).cast("double") for part in column.ratio_of))
        for column in table.columns
        if column.ratio_of is not None
    }


def _span(grain: Grain) -> list[Column]:
    match grain:
        case Grain.DAY:
            return [F.col("business_date")]
        case Grain.WEEK | Grain.MONTH:
            return [F.trunc("business_date", grain.value).alias(str(grain.column_name))]
        case Grain.TOTAL:
            return []


def _taken_together(table: Table, rows: DataFrame, key: Sequence[Column]) -> DataFrame:
    """One row per `key`; a percentile is any row's, which is right where there is one."""
    measures = [_over_rows(column) for column in table.columns if column.rollup is not None]
    return rows.groupBy(*key).agg(F.sum(_ROWS).alias(_ROWS), *measures)


def _over_rows(column: Declared) -> Column:
    match column.rollup:
        case Rollup.SUM:
            over = F.sum(column.name)
        case Rollup.MAX | Rollup.PEAK:
            over = F.max(column.name)
        case Rollup.MERGE:
            over = F.reduce(
                F.collect_list(column.name),
                F.lit(None).cast("binary"),
                lambda merged, sketch: F.coalesce(F.kll_sketch_merge_bigint(merged, sketch), sketch),
            )
        case Rollup.PERCENTILE:
            over = F.first(column.name)
        case None:
            raise ValueError(f"{column.name} cannot be rolled up")
    return over.alias(column.name)


def _percentiles(table: Table) -> dict[str, Column]:
    return {
        column.name: F.when(F.col(_ROWS) == 1, F.col(column.name)).otherwise(
            F.kll_sketch_get_quantile_bigint(sketch, F.lit(fraction)).cast("double")
        )
        for column in table.columns
        if column.percentile_of is not None
        for sketch, fraction in [column.percentile_of]
    }
