"""What the rows of a run change: as they will be and as they were, and the business dates that they lie on."""

from collections.abc import Iterable, Iterator, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.dates import business_date
from contactlake.ingest import LAKE_ROW, Change
from contactlake.joins import union
from contactlake.tables.declaration import Table


def union_if_any(frames: Iterable[DataFrame]) -> DataFrame | None:
    """All rows of `frames`; None without any."""
    listed = list(frames)
    return union(listed) if listed else None


class Changes:
    """The changes of one run by table: of each, the rows as they will be and as they were."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = {change.record_type.table: change for change in changes}

    def __contains__(self, table: Table) -> bool:
        return table in self._changes

    def __iter__(self) -> Iterator[Change]:
        return iter(self._changes.values())

    def new(self, table: Table) -> DataFrame | None:
        return self._changes[table].rows if table in self._changes else None

    def old(self, table: Table) -> DataFrame | None:
        change = self._changes.get(table)
        if change is None or not change.updated:
            return None
        return change.rows.where(F.col(LAKE_ROW).isNotNull()).select(f"{LAKE_ROW}.*")

    def both(self, table: Table) -> list[DataFrame]:
        return [rows for rows in (self.new(table), self.old(table)) if rows is not None]


def dates_of(rows: DataFrame, instants: Iterable[str], timezone: str) -> DataFrame:
    """The business dates (business_date) of `instants` of `rows`."""
    moments = rows.select(F.explode(F.array(*(F.expr(instant) for instant in instants))).alias("instant"))
    return moments.where("instant is not null").select(business_date("instant", timezone).alias("business_date"))


def dates_between(rows: DataFrame, first: str, last: str, timezone: str) -> DataFrame:
    """The business dates (business_date) from the instant `first` to the instant `last` of `rows`."""
    spans = rows.select(F.expr(first).alias("first"), F.expr(last).alias("last")).where("first <= last")
    days = F.sequence(business_date("first", timezone), business_date("last", timezone))
    return spans.select(F.explode(days).alias("business_date"))
