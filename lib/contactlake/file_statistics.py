"""What a table's log tells of a file's columns, for skipping: their smallest and greatest values, and their nulls."""

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_LENGTH = 32
"""So much of a text is kept, as Delta's own writer does."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - arithmetic alone; a statistic's Z is written by hand


class Statistic:
    """Smallest and greatest value of one column, and how many are null."""

    def __init__(self) -> None:
        self.nulls = 0
        self.least: Any = None
        self.greatest: Any = None
        self.is_bounded = True

    def add(self, values: pa.ChunkedArray) -> None:
        self.nulls += values.null_count
        kind = values.type
        if pa.types.is_timestamp(kind):
            values = values.cast(pa.int64())
        elif pa.types.is_floating(kind):
            if not pc.all(pc.is_finite(values), min_count=0).as_py():
                self.is_bounded = False
        elif not (pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_date(kind)):
            self.is_bounded = False
        if not self.is_bounded or values.null_count == len(values):
            return
        bounds = pc.min_max(values).as_py()
        least, greatest = bounds["min"], bounds["max"]
        if pa.types.is_timestamp(kind):
            # Delta's own grain is the millisecond: what is rounded outwards hides no row.
            least, greatest = least // 1000, -(-greatest // 1000)
        self._widen(*((_Millis(least), _Millis(greatest)) if pa.types.is_timestamp(kind) else (least, greatest)))

    def _widen(self, least: Any, greatest: Any) -> None:
        self.least = least if self.least is None else min(self.least, least)
        self.greatest = greatest if self.greatest is None else max(self.greatest, greatest)


class _Millis(int):
    """An instant in milliseconds since 1970, UTC."""


def delta_statistics(rows: int, statistics: Mapping[str, Statistic]) -> str:
    """The statistics as the Delta protocol writes them; a bound that cannot be written is left out."""
    least, greatest = {}, {}
    for name, statistic in statistics.items():
        if statistic.is_bounded and statistic.least is not None:
            least[name], greatest[name] = _lower(statistic.least), _upper(statistic.greatest)
    return json.dumps(
        {
            "numRecords": rows,
            "minValues": {name: bound for name, bound in least.items() if bound is not None},
            "maxValues": {name: bound for name, bound in greatest.items() if bound is not None},
            "nullCount": {name: statistic.nulls for name, statistic in statistics.items()},
        }
    )


def _lower(value: Any) -> Any:
    return value[:_LENGTH] if isinstance(value, str) else _plain(value)


def _upper(value: Any) -> Any:
    """A long text is cut and the greatest character put behind it, which is above whatever followed."""
    if not isinstance(value, str) or len(value) <= _LENGTH:
        return _plain(value)
    return None if value[_LENGTH] == "\U0010ffff" else value[:_LENGTH] + "\U0010ffff"


def _plain(value: Any) -> Any:
    if isinstance(value, _Millis):
        try:
            instant = _EPOCH + timedelta(milliseconds=value)
        except OverflowError:
            return None
        return instant.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, date) else value
