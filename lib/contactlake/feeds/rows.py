"""From decoded columns to rows of a record type's table: flags, derived columns, ordinals and hashes."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contactlake.feeds.arrow_schema import arrow_schema
from contactlake.feeds.record_type import ARROW_TYPES, Columns, Context, Kind, RecordType

OUT_OF_ORDER, IMPLAUSIBLE_DURATION, UNKNOWN_ENUM = "OUT_OF_ORDER", "IMPLAUSIBLE_DURATION", "UNKNOWN_ENUM"

_DURATIONS = (Kind.DURATION, Kind.SECONDS)
_DAY_MS = 24 * 3600 * 1000
_TOLERANCE_US = 1_000_000
_LONG_AGO = -(1 << 60)
"""Before all times that can be read, in microseconds."""

Marks = npt.NDArray[np.bool_]


def columns_of(rows: Sequence[Mapping[str, Any]], record_type: RecordType) -> Columns:
    """The columns of rows that were read one by one."""
    if record_type.fields:
        types = {field.column: ARROW_TYPES[field.kind] for field in record_type.fields}
    else:
        types = {field.name: field.type for field in arrow_schema(record_type.table) if field.name in rows[0]}
    return {name: pa.array([row[name] for row in rows], type=arrow_type) for name, arrow_type in types.items()}


def table_of(
    columns: Columns,
    ordinals: "npt.NDArray[np.int64]",
    texts: Sequence[bytes | memoryview],
    record_type: RecordType,
    context: Context,
) -> pa.Table:
    """The rows of `record_type`'s table, as far as they come from the records: not where and when they were read."""
    if "flags" not in columns:
        columns = {**columns, "flags": _flags(columns, record_type, len(texts))}
    forgotten = context.forgotten(record_type.table, columns)
    columns = record_type.derive(columns, context)
    if forgotten is not None:
        columns |= {name: nulled(columns[name], forgotten) for name in record_type.table.identifying}
    columns["source_ordinal"] = pa.array(ordinals, type=pa.int32())
    columns["record_sha256"] = _hashes(texts)
    schema = arrow_schema(record_type.table)
    fields = [field for field in schema if field.name in columns]
    arrays = [columns[field.name] for field in fields]
    return pa.table(
        [
            array if array.type == field.type else array.cast(field.type)
            for array, field in zip(arrays, fields, strict=True)
        ],
        schema=pa.schema(fields),
    )


def nulled(values: pa.Array, marks: Marks) -> pa.Array:
    """The same values, null where `marks` says so."""
    return values.take(pa.array(np.arange(len(values)), mask=marks))


_EMPTY = hashlib.sha256()
"""To copy it takes less than to make one."""


def _digest(text: bytes | memoryview) -> bytes:
    digest = _EMPTY.copy()
    digest.update(text)
    return digest.digest()


def _hashes(texts: Sequence[bytes | memoryview]) -> pa.Array:
    """The SHA-256 of each text, hex."""
    digits = b"".join(map(_digest, texts)).hex().encode()
    offsets = np.arange(0, len(digits) + 1, 64, dtype=np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(digits))


def _flags(columns: Columns, record_type: RecordType, length: int) -> pa.Array:
    """Per row, which of OUT_OF_ORDER, IMPLAUSIBLE_DURATION, UNKNOWN_ENUM apply, in this order."""
    names = (OUT_OF_ORDER, IMPLAUSIBLE_DURATION, UNKNOWN_ENUM)
    marks = np.stack(
        [
            _out_of_order(columns, record_type, length),
            _implausible(columns, record_type, length),
            _unknown(columns, record_type, length),
        ],
        axis=1,
    )
    _, numbers = np.nonzero(marks)
    offsets = np.concatenate(([0], np.cumsum(marks.sum(axis=1)))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(names, type=pa.string()).take(pa.array(numbers)))


def _marks(condition: pa.Array) -> Marks:
    marks: Marks = condition.fill_null(False).to_numpy(zero_copy_only=False)
    return marks


def _implausible(columns: Columns, record_type: RecordType, length: int) -> Marks:
    durations = [columns[field.column] for field in record_type.fields if field.kind in _DURATIONS]
    if not durations:
        return np.zeros(length, dtype=bool)
    is_long: Marks = _marks(pc.greater(pa.concat_arrays(durations), _DAY_MS)).reshape(-1, length).any(axis=0)  # type: ignore[assignment]
    return is_long


@cache
def _value_set(values: frozenset[str | None]) -> pa.Array:
    return pa.array(values, type=pa.string())


def _unknown(columns: Columns, record_type: RecordType, length: int) -> Marks:
    unknown = np.zeros(length, dtype=bool)
    for field in record_type.fields:
        if field.values is not None:
            column = columns[field.column]
            is_known = pc.is_in(column, value_set=_value_set(field.values | {None}))
            if not pc.all(is_known).as_py():
                unknown |= ~_marks(is_known)
    return unknown


def _out_of_order(columns: Columns, record_type: RecordType, length: int) -> Marks:
    """Whether a time is more than a second before the one before it; times that are not there are left out."""
    broken = np.zeros(length, dtype=bool)
    if not record_type.ordered_times:
        return broken
    moments = pa.concat_arrays([columns[name] for name in record_type.ordered_times]).view(pa.int64())
    is_there = moments.is_valid().to_numpy(zero_copy_only=False).reshape(-1, length)
    if record_type.unordered_when is not None:
        name, column, values = record_type.unordered_when
        left_out = _marks(pc.is_in(columns[column], value_set=_value_set(values)))
        is_there = is_there.copy()
        is_there[record_type.ordered_times.index(name)] &= ~left_out
    latest = np.full(length, _LONG_AGO)
    for there, moment in zip(is_there, moments.fill_null(0).to_numpy().reshape(-1, length), strict=True):
        moment = np.where(there, moment, latest)
        broken |= latest - moment > _TOLERANCE_US
        latest = moment
    return broken
