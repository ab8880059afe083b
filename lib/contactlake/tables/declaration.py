"""The words in which a table is declared: columns with types, units and a sentence each, key, partition, checks."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain

BUSINESS_DATE = "business_date"
"""The column that conformed and gold tables are partitioned by."""


class Severity(StrEnum):
    """What a failed check does: a critical one keeps gold as it was, a warning is only recorded."""

    CRITICAL = "critical"
    WARNING = "warning"


class Rollup(StrEnum):
    """How a measure of several rows becomes one."""

    SUM = "sum"
    MAX = "max"
    PEAK = "peak"
    """The most at one instant: of several dates the greatest. Over other dimensions unknown, as peaks need not meet."""
    MERGE = "merge"
    """A sketch: merged with the others."""
    PERCENTILE = "percentile"
    """A percentile: taken from the merged sketch; of one row alone, its own."""


@dataclass(frozen=True)
class Column:
    """One column of a Delta table.

    `type` is Spark SQL DDL. `is_required`: never null. `values`: every value that may stand (null apart).
    `is_signed`: a difference, which may be negative; every other bigint and double is a count, a duration or a ratio
    and never below zero. `is_identifier`: names a customer, so it is subject to `[privacy]` and kept out of statistics.
    `is_volatile`: differs between equal runs, so it is left out when old and new rows are compared.
    `ratio_of`: of a ratio, its numerator and its denominator, Spark SQL over the sums beside it.
    `rollup`: how a gold table's measure is taken over several rows; None: not at all, unless it is a ratio.
    `percentile_of`: of a percentile, the column of its sketch and the fraction.
    """

    name: str
    type: str
    description: str
    is_required: bool = False
    values: tuple[str, ...] | None = None
    is_signed: bool = False
    is_identifier: bool = False
    is_volatile: bool = False
    ratio_of: tuple[str, str] | None = None
    rollup: Rollup | None = None
    percentile_of: tuple[str, float] | None = None


@dataclass(frozen=True)
class Check:
    """A rule across a table's columns: `holds` is a Spark SQL condition that is true, or null, for every good row."""

    name: str
    holds: str
    severity: Severity = Severity.CRITICAL


@dataclass(frozen=True)
class Balance:
    """A gold table's total that must equal the conformed table's on every date: both sides are Spark SQL aggregates."""

    name: str
    total: str
    other: "Table"
    other_total: str


@dataclass(frozen=True)
class Table:
    """A Delta table, declared once: what it holds, its key, how it lies on disk and what must be true of it.

    `statistics` are the columns whose minimum and maximum Delta keeps per file, for skipping; identifiers of
    customers are never among them. `overlapping` are the columns of the key whose values share what is counted, as
    thresholds do: rows that differ in them are never taken together. `dated_by` is the column that tells a row's
    business date: a date of that name, or an instant, whose date is the one that it has in the lake's time zone.
    `lasting` is an instant whose date no version of a row changes: older versions are looked for around it alone.
    `counted_at` are the instants whose business dates a row of an event table is counted on, each the first of so many
    columns that is there.
    """

    layer: str
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()
    overlapping: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    balances: tuple[Balance, ...] = field(default=(), repr=False)
    dated_by: str = BUSINESS_DATE
    lasting: str | None = None
    counted_at: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        known = set(names)
        if len(known) != len(names):
            raise ValueError(f"{self}: a column is declared twice")
        for used in (*self.key, *self.partition_by, *self.statistics, *chain(*self.counted_at)):
            if used not in known:
                raise ValueError(f"{self}: {used} is used but not declared")
        if not set(self.overlapping) <= set(self.key):
            raise ValueError(f"{self}: {self.overlapping} must be columns of the key")
        for column in self.columns:
            if column.is_identifier and column.name in self.statistics:
                raise ValueError(f"{self}: {column.name} names a customer and must stay out of statistics")
        if self.partition_by not in ((), (BUSINESS_DATE,)):
            raise ValueError(f"{self}: a table is partitioned by {BUSINESS_DATE} or not at all")
        if self.lasting is not None and self.lasting not in self.statistics:
            raise ValueError(f"{self}: {self.lasting} is looked for and must be in statistics")
        if self.dated_by != BUSINESS_DATE:
            if self.dated_by not in known or self.column(self.dated_by).type != "timestamp":
                raise ValueError(f"{self}: {self.dated_by} dates the rows but is no timestamp of theirs")
            if self.dated_by not in self.statistics:
                raise ValueError(f"{self}: {self.dated_by} dates the rows and must be in statistics")
            if self.partition_by:
                raise ValueError(f"{self}: it is dated by {self.dated_by} and cannot be partitioned")

    def __str__(self) -> str:
        return f"{self.layer}/{self.name}"

    @property
    def path(self) -> str:
        """The table's place below the lake's root."""
        return f"{self.layer}/{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def identifying(self) -> tuple[str, ...]:
        """The columns that may tell who a customer is: identifiers, and the attributes that are kept."""
        return tuple(column.name for column in self.columns if column.is_identifier or column.name == "attributes")

    @property
    def schema_ddl(self) -> str:
        """The columns as Spark SQL DDL, as `spark.createDataFrame` and `StructType.fromDDL` read it."""
        return ", ".join(f"`{column.name}` {column.type}" for column in self.columns)

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self} has no column {name}")


def text(
    name: str,
    description: str,
    *,
    required: bool = False,
    values: tuple[str, ...] | None = None,
    identifier: bool = False,
) -> Column:
    return Column(name, "string", description, is_required=required, values=values, is_identifier=identifier)


def instant(name: str, description: str, *, required: bool = False, volatile: bool = False) -> Column:
    """A point in time: timestamp, UTC."""
    return Column(name, "timestamp", description, is_required=required, is_volatile=volatile)


def milliseconds(
    name: str, description: str, *, required: bool = False, signed: bool = False, rollup: Rollup | None = Rollup.SUM
) -> Column:
    return Column(name, "bigint", description, is_required=required, is_signed=signed, rollup=rollup)


def count(name: str, description: str, *, required: bool = False, rollup: Rollup | None = Rollup.SUM) -> Column:
    return Column(name, "bigint", description, is_required=required, rollup=rollup)


def ratio(name: str, numerator: str, denominator: str, note: str = "") -> Column:
    """A ratio or an average: stands beside its numerator and denominator and is never added up."""
    wrapped = denominator if re.fullmatch(r"\w+", denominator) else f"({denominator})"
    over = numerator if re.fullmatch(r"\w+", numerator) else f"({numerator})"
    description = f"{over} / {wrapped}{f': {note}' if note else '.'}"
    return Column(name, "double", description, ratio_of=(numerator, denominator))


def percentile(name: str, sketch: str, fraction: float, description: str) -> Column:
    return Column(name, "double", description, rollup=Rollup.PERCENTILE, percentile_of=(sketch, fraction))


def boolean(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, "boolean", description, is_required=required)


def date(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, "date", description, is_required=required)
