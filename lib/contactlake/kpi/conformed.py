"""What KPIs are computed from, and the few columns that all of them use."""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.tables.declaration import Table

ABSENT = "(none)"
"""What stands in a dimension that is absent."""


@dataclass(frozen=True)
class Conformed:
    """The conformed tables' rows of the business dates that are measured, and `[service_level]`."""

    interaction: DataFrame
    queue_visit: DataFrame
    reconciliation: DataFrame
    thresholds_seconds: tuple[int, ...]


@dataclass(frozen=True)
class Kpi:
    """A gold table and the one function that computes it: pure, DataFrame → DataFrame."""

    table: Table
    compute: Callable[[Conformed], DataFrame]


def dimension(name: str) -> Column:
    """A dimension under its own name; `(none)` where it is absent."""
    return F.coalesce(F.col(name), F.lit(ABSENT)).alias(name)


def total(name: str) -> Column:
    """A sum in which null is 0, as a bigint."""
    return F.coalesce(F.sum(name), F.lit(0)).cast("bigint")


def ratio(numerator: str, denominator: str) -> Column:
    """numerator / denominator; null where the denominator is 0."""
    return F.try_divide(F.col(numerator).cast("double"), F.col(denominator).cast("double"))
