"""When a row expires: the instant that dates it, and the rows that are older than a layer may hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from contactlake.privacy import Marks
from contactlake.tables.conformed import AGENT
from contactlake.tables.declaration import Table
from contactlake.tables.events import EVENT_TABLES, SYMBEE_TRANSCRIPT
from contactlake.tables.ops import QUARANTINE

_DATED_AT: Mapping[Table, tuple[str, ...]] = {
    **{table: table.counted_at[0] for table in EVENT_TABLES if table.counted_at},
    SYMBEE_TRANSCRIPT: ("last_message_at", "ingested_at"),
    AGENT: ("last_seen_at",),
    QUARANTINE: ("quarantined_at",),
}
"""The first of these that is there dates a row, where no business date does."""


def dated_at(table: Table) -> tuple[str, ...]:
    """The instants of which the first that is there dates a row of a table that is not partitioned by date."""
    return _DATED_AT.get(table, (table.dated_by,))


@dataclass(frozen=True)
class Outdated:
    """The rows of a table that are dated before an instant. What nothing dates stays."""

    columns: tuple[str, ...]
    before: datetime

    def marks(self, rows: pa.Table) -> Marks:
        instant = pc.coalesce(*(rows[name].cast(pa.timestamp("us", "UTC")) for name in self.columns))
        is_older = pc.less(instant, pa.scalar(self.before, pa.timestamp("us", "UTC")))
        marks: Marks = is_older.fill_null(False).to_numpy()
        return marks

    def apply(self, rows: pa.Table, marks: Marks) -> pa.Table:
        return rows.filter(pa.array(~marks))


@dataclass(frozen=True)
class Expiry:
    """Per layer the first business date that it may still hold; None: nothing of it has expired."""

    silver: date | None = None
    gold: date | None = None

    @property
    def first_open(self) -> date | None:
        """The first business date that may still be recomputed, None: any.

        What a date needs that has lost its rows, or the rows right before it, is not there any more: it stays as it is.
        """
        told = [self.gold, self.silver + timedelta(days=1) if self.silver else None]
        return max((day for day in told if day is not None), default=None)

    def is_open(self, day: date) -> bool:
        return self.first_open is None or day >= self.first_open

    def advanced(self, other: "Expiry") -> "Expiry":
        """Of each layer the later date of the two: what has expired does not come back."""
        return Expiry(_later(self.silver, other.silver), _later(self.gold, other.gold))


def _later(one: date | None, other: date | None) -> date | None:
    return max((day for day in (one, other) if day is not None), default=None)
