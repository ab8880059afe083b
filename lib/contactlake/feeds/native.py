"""Reading many records of one type at once with Arrow's JSON reader, which is fast and not quite exact.

It reads more than JSON (NaN, bytes that are no UTF-8), which `plain_texts.py` keeps from it, and less (a text where a
number should be): a row of what it gives that is not plainly good is left to `values.py`.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from contactlake.feeds.plain_texts import Mask, Texts
from contactlake.feeds.record_type import ARROW_TYPES, Columns, Context, Field, Kind, Path, RecordType

_PLAIN_TIMESTAMP = (
    r"^(?:(?:[1-9][0-9]{3}|0[1-9][0-9]{2})-"
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"|[0-9]{2}(?:0[48]|[2468][048]|[13579][26])-02-29)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z$"
)
"""The timestamps that nearly all are, each a day that there is; whatever is not of this form is read exactly."""
_OBJECT_BEHIND_RECORD = re.compile(rb"\}[ \t\r\n]*+\{")
_FAILED_ROW = re.compile(r" in row ([0-9]+)$")
_FAILED_NUMBER = re.compile(r"couldn't parse:(\S+)$")
FEWEST = 16
"""Fewer texts than this are not worth it."""
_STUMBLES, _TEXTS_A_STUMBLE = 12, 8
"""If Arrow stumbles more often than over one in so many texts, it is not worth it either."""
_MOST_SECONDS = (1 << 63) // 1000 - 1


@dataclass(frozen=True)
class NativeRows:
    """Texts that were read: `taken` are their numbers, `columns` has a row for each, `good` tells which are good."""

    taken: "npt.NDArray[np.int64]"
    columns: Columns
    good: Mask


def read_native(texts: Texts, record_type: RecordType, type_key: str | None, context: Context) -> NativeRows | None:
    """The decoded columns of `texts`, which are plain and begin with `{`; None where it is not worth the while.

    A text that is taken is one object and nothing else. Those that Arrow stumbles over are left out, and so may be
    others.
    """
    taken = list(range(len(texts)))
    parsed = 0  # so many of them, from the first, are known to be JSON
    for _ in range(_STUMBLES + len(texts) // _TEXTS_A_STUMBLE):
        if len(taken) < FEWEST:
            return None
        parsed = parsed if parsed < len(taken) else 0
        members = texts if len(taken) == len(texts) and not parsed else Texts.of(texts.some(np.array(taken[parsed:])))
        try:
            table = _read_json(members.joined, _parse_options(record_type, type_key, context.attributes_keep))
        except pa.ArrowException as fault:
            if row := _FAILED_ROW.search(str(fault)):
                parsed += int(row[1])
                del taken[parsed : parsed + 1]
                continue
            suspects = _FAILED_NUMBER.search(str(fault))
            if suspects is None:
                return None
            pattern = re.compile(rb":[ \t\r\n]*+" + re.escape(suspects[1].encode()) + rb"[ \t\r\n,}\]]")
        else:
            if not parsed and table.num_rows == len(taken):
                columns, good = _columns(table, record_type, context)
                return NativeRows(np.array(taken), columns, good)
            pattern = _OBJECT_BEHIND_RECORD
        left = [number for number in taken if not pattern.search(texts[number])]
        if len(left) == len(taken) and not parsed:
            return None
        taken, parsed = left, 0
    return None


def _read_json(text: memoryview, parse_options: "pyarrow.json.ParseOptions") -> pa.Table:
    return pyarrow.json.read_json(
        pa.BufferReader(text),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=parse_options,
    )


# --- what Arrow is told to look for ---


@lru_cache
def _parse_options(record_type: RecordType, type_key: str | None, keep: tuple[str, ...]) -> "pyarrow.json.ParseOptions":
    leaves = [(path, _json_type(declared, keep)) for declared in record_type.fields for path in declared.paths]
    if type_key is not None:
        leaves.append(((type_key,), pa.string()))  # not needed, but a second one must not pass
    return pyarrow.json.ParseOptions(
        explicit_schema=pa.schema(_json_fields(leaves)), newlines_in_values=True, unexpected_field_behavior="ignore"
    )


def _json_fields(leaves: Sequence[tuple[Path, pa.DataType]]) -> list[pa.Field]:
    """Arrow's schema of the JSON that has `leaves` at their paths."""
    children: dict[str, list[tuple[Path, pa.DataType]]] = defaultdict(list)
    for path, arrow_type in leaves:
        children[path[0]].append((path[1:], arrow_type))
    return [
        pa.field(name, members[0][1] if not members[0][0] else pa.struct(_json_fields(members)))
        for name, members in children.items()
    ]


def _json_type(declared: Field, keep: tuple[str, ...]) -> pa.DataType:
    match declared.kind:
        case Kind.TEXT | Kind.TIMESTAMP:
            return pa.string()
        case Kind.BOOLEAN:
            return pa.bool_()
        case Kind.ATTRIBUTES:
            return pa.struct([pa.field(key, pa.string()) for key in keep])
        case _:
            return pa.int64()


# --- what Arrow gave ---


class _Doubts:
    """Which rows are not plainly good."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.good = np.ones(length, dtype=bool)

    def add(self, doubts: pa.Array) -> None:
        """`doubts`: true, false or null for each row, several times over where it is of several columns."""
        if pc.any(doubts).as_py():
            doubtful = doubts.fill_null(False).to_numpy(zero_copy_only=False)
            self.good &= ~doubtful.reshape(-1, self._length).any(axis=0)


def _columns(table: pa.Table, record_type: RecordType, context: Context) -> tuple[Columns, Mask]:
    leaves = _leaves(table, record_type)
    doubts = _Doubts(table.num_rows)
    read: dict[Path, pa.Array] = {}
    # Columns of one kind are read as one long column: a call for each would cost more than what it does.
    for kind in Kind:
        paths = [path for field in record_type.fields if field.kind is kind for path in field.paths]
        if not paths:
            continue
        if kind is Kind.ATTRIBUTES:
            read |= {path: _maps(leaves[path], context.attributes_keep) for path in paths}
            continue
        values = _read_kind(kind, pa.concat_arrays([leaves[path] for path in paths]), doubts)
        length = table.num_rows
        read |= {path: values.slice(number * length, length) for number, path in enumerate(paths)}
    columns = {
        field.column: read[field.paths[0]] if len(field.paths) == 1 else pc.coalesce(*map(read.get, field.paths))
        for field in record_type.fields
    }
    for name in record_type.required:
        doubts.add(columns[name].is_null())
    if record_type.required_any:
        doubts.add(pc.coalesce(*(columns[name] for name in record_type.required_any)).is_null())
    return columns, doubts.good


def _leaves(table: pa.Table, record_type: RecordType) -> Mapping[Path, pa.Array]:
    """The array at each path; null where what it lies in is null."""
    wanted = set(chain.from_iterable(field.paths for field in record_type.fields))
    found: dict[Path, pa.Array] = {}
    pending: list[tuple[Path, pa.Array]] = [
        ((name,), column.combine_chunks()) for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    while pending:
        path, array = pending.pop()
        if path in wanted:
            found[path] = array
        elif isinstance(array, pa.StructArray):
            pending += [((*path, field.name), child) for field, child in zip(array.type, array.flatten(), strict=True)]
    return found


def _read_kind(kind: Kind, values: pa.Array, doubts: _Doubts) -> pa.Array:
    match kind:
        case Kind.TEXT:
            return _empty_as_null(values)
        case Kind.TIMESTAMP:
            return _timestamps(_empty_as_null(values), doubts)
        case Kind.DURATION:
            doubts.add(pc.less(values, 0))
            return values
        case Kind.SECONDS:
            doubts.add(pc.or_(pc.less(values, 0), pc.greater(values, _MOST_SECONDS)))
            return pc.multiply(values, 1000)
        case _:
            return values


def _lengths(values: pa.StringArray) -> "npt.NDArray[np.int32]":
    return np.diff(np.frombuffer(values.buffers()[1], dtype=np.int32)[values.offset : values.offset + len(values) + 1])


def _empty_as_null(values: pa.StringArray) -> pa.StringArray:
    """The same texts, of which the empty ones are null: nothing but the validity is new."""
    is_there = values.is_valid().to_numpy(zero_copy_only=False) & (_lengths(values) > 0)
    validity = np.packbits(np.concatenate((np.zeros(values.offset, dtype=bool), is_there)), bitorder="little")
    _, offsets, data = values.buffers()
    return pa.StringArray.from_buffers(len(values), offsets, data, pa.py_buffer(validity), offset=values.offset)


def _timestamps(values: pa.StringArray, doubts: _Doubts) -> pa.Array:
    timestamp = ARROW_TYPES[Kind.TIMESTAMP]
    if _are_seconds(values):
        try:
            return pc.cast(values, timestamp)
        except pa.ArrowInvalid:
            pass  # the 31st of April, or no digits: looked for below
    is_plain = pc.match_substring_regex(values, _PLAIN_TIMESTAMP)
    doubts.add(pc.invert(is_plain))
    return pc.cast(pc.if_else(is_plain, values, pa.scalar(None, values.type)), timestamp)


def _are_seconds(values: pa.StringArray) -> bool:
    """Whether all are as long as `YYYY-MM-DDTHH:MM:SSZ`, with its letters: Arrow takes nothing else that is so."""
    if values.null_count + np.count_nonzero(_lengths(values) == 20) != len(values):
        return False
    characters = np.frombuffer(values.drop_null().cast(pa.binary(20)).buffers()[1], dtype=np.uint8).reshape(-1, 20)
    return bool(
        (characters[:, 10] == ord("T")).all()
        and (characters[:, 19] == ord("Z")).all()
        and not (characters[:, :4] == ord("0")).all(axis=1).any()
    )


def _maps(structs: pa.StructArray, keep: tuple[str, ...]) -> pa.Array:
    """The kept attributes of each row, null where there are none."""
    map_type = ARROW_TYPES[Kind.ATTRIBUTES]
    length = len(structs)
    if not keep or not length:
        return pa.nulls(length, map_type)
    members = structs.flatten()
    is_there = np.stack([member.is_valid().to_numpy(zero_copy_only=False) for member in members], axis=1)
    rows, keys = np.nonzero(is_there)
    counts = is_there.sum(axis=1)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    return pa.MapArray.from_arrays(
        pa.array(offsets, mask=np.append(counts == 0, False)),
        pa.array(keep, type=pa.string()).take(pa.array(keys)),
        pa.concat_arrays(members).take(pa.array(keys * length + rows)),
    )
