"""Which rows a read concerns, and which files can hold them: the others are not opened.

The bounds are those that Delta keeps of each file; a file that does not tell them may hold any row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from contactlake.business_dates import EARLIEST, Span
from contactlake.conform.dates import at, is_between
from contactlake.delta_log import NamedFile


@dataclass(frozen=True)
class Around:
    """Rows of which one of the instants `columns` lies in one of `spans`; with `nulls`, also those without a first."""

    columns: tuple[str, ...]
    spans: Sequence[Span]
    nulls: bool = False

    def may_lie_in(self, file: NamedFile) -> bool:
        if self.nulls and file.nulls.get(self.columns[0]) != 0:
            return True
        return any(overlaps(file, column, self.spans) for column in self.columns)

    def condition(self) -> Column:
        lies = [is_between(F.col(column), start, end) for column in self.columns for start, end in self.spans]
        if self.nulls:
            lies.append(F.col(self.columns[0]).isNull())
        return reduce(lambda left, right: left | right, lies, F.lit(False))


@dataclass(frozen=True)
class Overlapping:
    """Rows whose time from the instant `first` to the instant `last` touches one of `spans`."""

    first: str
    last: str
    spans: Sequence[Span]

    def may_lie_in(self, file: NamedFile) -> bool:
        return any(
            overlaps(file, self.last, [(start, None)])
            and (end is None or overlaps(file, self.first, [(EARLIEST, end)]))
            for start, end in self.spans
        )

    def condition(self) -> Column:
        touches = [
            (F.col(self.last) >= at(start)) & (F.lit(True) if end is None else F.col(self.first) < at(end))
            for start, end in self.spans
        ]
        return reduce(lambda left, right: left | right, touches, F.lit(False))


def overlaps(file: NamedFile, column: str, spans: Sequence[Span]) -> bool:
    """Whether the file may hold instants of one of `spans`; one that does not tell may."""
    least, greatest = file.least.get(column), file.greatest.get(column)
    if least is None or greatest is None:
        return True
    grain = timedelta(milliseconds=1)  # what Spark writes is cut to it
    return any((end is None or least < end) and greatest + grain >= start for start, end in spans)
