"""Decoding records by the block: natively where all of them are plainly good, exactly where one is not.

`decode_text` gives every record of a text once, as a row of its table or as a quarantined record. Whole blocks go
through Arrow's JSON reader; a block (or the half of it, and so on) in which that reader stumbles, and each row that is
not plainly good, is read by `values.py`. Both ways give the same rows.
"""

import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from contactlake.archive.compression import Text, text_start
from contactlake.archive.records import (
    MAX_DEPTH,
    Block,
    array_records,
    block_at,
    decode,
    record_start,
    records,
)
from contactlake.feeds.arrow_schema import arrow_schema
from contactlake.feeds.record_type import ARROW_TYPES, Columns, Context, Feed, Field, Kind, RecordType, Refused
from contactlake.feeds.values import is_null, read_record, scalar_text

BLOCK_BYTES = 1 << 20
_SMALLEST_NATIVE = 16
"""Fewer records than this are not worth another try of the native reader."""
_PLAIN_TIMESTAMP = r"^(?:[1-9][0-9]{3}|0[1-9][0-9]{2})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z$"
_DAY_MS = 24 * 3600 * 1000
_SECOND = pa.scalar(1_000_000, pa.int64())
_OPENERS = np.zeros(256, dtype=bool)
_OPENERS[[ord("{"), ord("[")]] = True


@dataclass(frozen=True)
class Quarantined:
    """A record that was refused: its bytes as they stand in the object, their hash (hex) and how many they are."""

    ordinal: int
    record_type: str | None
    reason: str
    detail: str
    text: bytes
    sha256: str
    size: int


def _quarantined(ordinal: int, record_type: str | None, reason: str, detail: str, text: bytes) -> Quarantined:
    return Quarantined(ordinal, record_type, reason, detail, text, hashlib.sha256(text).hexdigest(), len(text))


@dataclass
class Decoded:
    """What a stretch of text gave: rows per record type, in the schema of their tables, and refused records."""

    rows: list[tuple[RecordType, pa.Table]] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    records: int = 0


@dataclass(frozen=True)
class _Segment:
    ordinal: int
    text: bytes


def decode_text(text: Text, feed: Feed, context: Context) -> Iterator[Decoded]:
    """Every record of an object's text, block by block; ordinals count from 0 over the whole text."""
    start = record_start(feed.first_key)
    ordinal = 0
    elements = array_records(text, start)
    if elements is not None:
        for begin in range(0, len(elements), 1000):
            segments = [
                _Segment(number, text[first:last])
                for number, (first, last) in enumerate(elements[begin : begin + 1000], start=begin)
            ]
            yield _decode_segments(segments, feed, context, is_native=False)
        return
    position = text_start(text)
    while position < len(text):
        block = block_at(text, position, start, BLOCK_BYTES)
        if block.is_simple and (decoded := _decode_block(block, ordinal, feed, context)) is not None:
            position = block.end
            ordinal += decoded.records
            yield decoded
            continue
        decoded, position = _decode_exactly(text, position, block.end, start, ordinal, feed, context)
        ordinal += decoded.records
        yield decoded


def _decode_exactly(
    text: Text,
    position: int,
    until: int,
    start: re.Pattern[bytes],
    ordinal: int,
    feed: Feed,
    context: Context,
) -> tuple[Decoded, int]:
    """The records from `position` to `until`, and where decoding stands then.

    Runs of records that decode are decoded by the block all the same: their boundaries are known now.
    """
    decoded = Decoded()
    segments: list[_Segment] = []
    end = position
    for record in records(text, position, until, start):
        end = record.end
        if record.fault is not None:
            decoded.quarantined.append(
                _quarantined(ordinal, None, "UNDECODABLE", record.fault, text[record.start : record.end])
            )
        else:
            segments.append(_Segment(ordinal, text[record.start : record.end]))
        ordinal += 1
    if end == position:  # nothing but separators is left
        return decoded, max(until, position + 1)
    rest = _decode_segments(segments, feed, context, is_native=True)
    rest.quarantined += decoded.quarantined
    rest.records += len(decoded.quarantined)
    return rest, end


def _decode_block(block: Block, ordinal: int, feed: Feed, context: Context) -> Decoded | None:
    """The records of a simple block, or None where it has to be decoded exactly."""
    joined = b"\n".join(block.segments)
    if not _is_plain(joined, block.segments):
        return None
    segments = [_Segment(ordinal + number, text) for number, text in enumerate(block.segments)]
    by_type = _by_type(segments, feed)
    if None in by_type:
        return None
    decoded = Decoded(records=len(segments))
    for record_type, members in by_type.items():
        if record_type is None or not _decode_natively(members, feed, record_type, context, decoded):
            return None
    return decoded


def _is_plain(joined: bytes, segments: Sequence[bytes]) -> bool:
    """Whether nothing in the block needs a closer look: valid UTF-8, no surrogate escapes, nothing nested deep."""
    if not joined.isascii():
        try:
            joined.decode("utf-8")
        except UnicodeDecodeError:
            return False
    if b"\\ud" in joined or b"\\uD" in joined:
        return False
    openers = _OPENERS[np.frombuffer(joined, dtype=np.uint8)]
    lengths = np.fromiter((len(segment) + 1 for segment in segments), dtype=np.int64, count=len(segments))
    offsets = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    return bool(np.add.reduceat(openers, offsets, dtype=np.int64).max(initial=0) <= MAX_DEPTH)


def _by_type(segments: Sequence[_Segment], feed: Feed) -> dict[RecordType | None, list[_Segment]]:
    """The segments by record type; under None those whose type does not stand plainly at their start."""
    if feed.type_key is None:
        return {feed.record_types[0]: list(segments)}
    names = "|".join(re.escape(record_type.name) for record_type in feed.record_types)
    pattern = re.compile(
        rb'\{[ \t\r\n]*"' + feed.type_key.encode() + rb'"[ \t\r\n]*:[ \t\r\n]*"(' + names.encode() + rb')"'
    )
    groups: dict[RecordType | None, list[_Segment]] = defaultdict(list)
    types = {record_type.name.encode(): record_type for record_type in feed.record_types}
    for segment in segments:
        match = pattern.match(segment.text)
        groups[types[match.group(1)] if match else None].append(segment)
    return dict(groups)


def _decode_natively(
    segments: Sequence[_Segment], feed: Feed, record_type: RecordType, context: Context, decoded: Decoded
) -> bool:
    """Adds the records of one type to `decoded`; False where they are not one object each after all."""
    if record_type.read is not None:
        return False
    table = _read_json(segments, record_type, context)
    if table is None:
        return False
    if table.num_rows != len(segments):
        return False
    columns, good = _typed(table, record_type, context)
    _add_rows(decoded, record_type, context, columns, segments, good)
    if good is not None:
        bad = np.flatnonzero(~good)
        _add_exactly([segments[number] for number in bad], feed, context, decoded)
    return True


def _decode_segments(segments: Sequence[_Segment], feed: Feed, context: Context, *, is_native: bool) -> Decoded:
    """Records whose boundaries are known and which are JSON, natively in halves as far as that goes."""
    decoded = Decoded(records=len(segments))
    by_type = _by_type(segments, feed)
    _add_exactly(by_type.pop(None, []), feed, context, decoded)
    for record_type, members in by_type.items():
        if record_type is not None:
            _add_in_halves(members, feed, record_type, context, decoded)
    return decoded


def _add_in_halves(
    segments: Sequence[_Segment], feed: Feed, record_type: RecordType, context: Context, decoded: Decoded
) -> None:
    if len(segments) < _SMALLEST_NATIVE:
        _add_exactly(segments, feed, context, decoded)
        return
    texts = [segment.text for segment in segments]
    joined = b"\n".join(texts)
    if _is_plain(joined, texts) and _decode_natively(segments, feed, record_type, context, decoded):
        return
    middle = len(segments) // 2
    _add_in_halves(segments[:middle], feed, record_type, context, decoded)
    _add_in_halves(segments[middle:], feed, record_type, context, decoded)


def _add_exactly(segments: Sequence[_Segment], feed: Feed, context: Context, decoded: Decoded) -> None:
    """Adds records one by one, each by the rules of the archive."""
    rows: dict[RecordType, list[tuple[_Segment, dict[str, Any]]]] = defaultdict(list)
    for segment in segments:
        name: str | None = None
        try:
            record = decode(segment.text)
            if not isinstance(record, dict):
                raise Refused("NOT_AN_OBJECT", _json_type(record))
            if feed.type_key is not None:
                name = _type_name(record.get(feed.type_key))
            record_type = feed.record_type(name)
            if record_type is None:
                raise Refused("UNKNOWN_TYPE", f"{feed.type_key}")
            name = record_type.name
            rows[record_type].append(
                (segment, read_record(record, segment.text.decode("utf-8"), record_type, context))
            )
        except Refused as refusal:
            known = name if feed.record_type(name) is not None and feed.type_key is not None else None
            if feed.type_key is None and refusal.reason != "NOT_AN_OBJECT":
                known = feed.record_types[0].name
            decoded.quarantined.append(
                _quarantined(segment.ordinal, known, refusal.reason, refusal.detail, segment.text)
            )
    for record_type, members in rows.items():
        columns = _columns_of([row for _, row in members], record_type)
        _add_rows(decoded, record_type, context, columns, [segment for segment, _ in members], None)


def _json_type(value: Any) -> str:
    if isinstance(value, list):
        return "an array"
    return "null" if value is None else "a scalar"


def _type_name(value: Any) -> str | None:
    return None if is_null(value) or isinstance(value, dict | list) else scalar_text(value)


def _columns_of(rows: Sequence[dict[str, Any]], record_type: RecordType) -> Columns:
    if record_type.fields:
        return {
            column.column: pa.array([row[column.column] for row in rows], type=ARROW_TYPES[column.kind])
            for column in record_type.fields
        }
    schema = arrow_schema(record_type.table)
    return {name: pa.array([row[name] for row in rows], type=schema.field(name).type) for name in rows[0]}


# --- the native reader ------------------------------------------------------------------------------------------


def _json_type_of(fields: Sequence[tuple[tuple[str, ...], pa.DataType]]) -> list[pa.Field]:
    """Arrow's schema of the JSON that has `fields` at their paths."""
    children: dict[str, list[tuple[tuple[str, ...], pa.DataType]]] = defaultdict(list)
    for path, arrow_type in fields:
        children[path[0]].append((path[1:], arrow_type))
    return [
        pa.field(name, members[0][1] if not members[0][0] else pa.struct(_json_type_of(members)))
        for name, members in children.items()
    ]


def _json_leaf(declared: Field, context: Context) -> pa.DataType:
    match declared.kind:
        case Kind.TEXT | Kind.TIMESTAMP:
            return pa.string()
        case Kind.BOOLEAN:
            return pa.bool_()
        case Kind.ATTRIBUTES:
            return pa.struct([pa.field(key, pa.string()) for key in dict.fromkeys(context.attributes_keep)])
        case _:
            return pa.int64()


def _read_json(segments: Sequence[_Segment], record_type: RecordType, context: Context) -> pa.Table | None:
    schema = pa.schema(
        _json_type_of(
            [(path, _json_leaf(declared, context)) for declared in record_type.fields for path in declared.paths]
        )
    )
    joined = b"\n".join(segment.text for segment in segments)
    try:
        return pyarrow.json.read_json(
            io.BytesIO(joined),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(joined) + 1),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=schema, newlines_in_values=True, unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowInvalid:
        return None


def _leaf(table: pa.Table, path: tuple[str, ...]) -> pa.Array:
    column = table.column(path[0])
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return pc.struct_field(array, list(path[1:])) if len(path) > 1 else array


def _typed(table: pa.Table, record_type: RecordType, context: Context) -> tuple[Columns, "np.ndarray | None"]:
    """The decoded columns, and which rows are plainly good (None: all): the others have to be read exactly."""
    doubts: list[pa.Array] = []
    columns: Columns = {}
    for declared in record_type.fields:
        leaves = [_read_leaf(_leaf(table, path), declared, context, doubts) for path in declared.paths]
        columns[declared.column] = leaves[0] if len(leaves) == 1 else pc.coalesce(*leaves)
    doubts += [pc.is_null(columns[name]) for name in record_type.required]
    if record_type.required_any:
        missing = pc.is_null(columns[record_type.required_any[0]])
        for name in record_type.required_any[1:]:
            missing = pc.and_(missing, pc.is_null(columns[name]))
        doubts.append(missing)
    doubtful = None
    for doubt in doubts:
        if pc.any(doubt).as_py():
            doubtful = doubt if doubtful is None else pc.or_(doubtful, doubt)
    if doubtful is None:
        return columns, None
    return columns, ~doubtful.to_numpy(zero_copy_only=False).astype(bool)


def _read_leaf(array: pa.Array, declared: Field, context: Context, doubts: list[pa.Array]) -> pa.Array:
    match declared.kind:
        case Kind.TEXT:
            return _empty_as_null(array)
        case Kind.TIMESTAMP:
            return _timestamps(_empty_as_null(array), doubts)
        case Kind.DURATION | Kind.SECONDS:
            doubts.append(pc.fill_null(pc.less(array, 0), False))
            if declared.kind is Kind.SECONDS:
                doubts.append(pc.fill_null(pc.greater(array, (1 << 63) // 1000 - 1), False))
                return pc.multiply(array, 1000)
            return array
        case Kind.ATTRIBUTES:
            return _maps(array, context.attributes_keep)
        case _:
            return array


def _empty_as_null(array: pa.Array) -> pa.Array:
    empty = pc.equal(pc.binary_length(array), 0)
    return pc.if_else(empty, pa.scalar(None, array.type), array) if pc.any(empty).as_py() else array


def _timestamps(array: pa.Array, doubts: list[pa.Array]) -> pa.Array:
    target = ARROW_TYPES[Kind.TIMESTAMP]
    odd = pc.fill_null(pc.invert(pc.match_substring_regex(array, _PLAIN_TIMESTAMP)), False)
    if pc.any(odd).as_py():
        doubts.append(odd)
        array = pc.if_else(odd, pa.scalar(None, array.type), array)
    try:
        return pc.cast(array, target)
    except pa.ArrowInvalid:  # the 31st of April: the rows that have a value are read exactly
        doubts.append(pc.is_valid(array))
        return pa.nulls(len(array), target)


def _maps(array: pa.Array, keep: Sequence[str]) -> pa.Array:
    map_type = ARROW_TYPES[Kind.ATTRIBUTES]
    if not keep:
        return pa.nulls(len(array), map_type)
    keys = list(dict.fromkeys(keep))
    members = [pc.struct_field(array, [number]).to_pylist() for number in range(len(keys))]
    rows = [
        [(key, value) for key, value in zip(keys, values, strict=True) if value is not None] or None
        for values in zip(*members, strict=True)
    ]
    return pa.array(rows, type=map_type)


# --- rows of the table ------------------------------------------------------------------------------------------


def _add_rows(
    decoded: Decoded,
    record_type: RecordType,
    context: Context,
    columns: Columns,
    segments: Sequence[_Segment],
    good: "np.ndarray | None",
) -> None:
    columns = {**columns, "flags": _flags(columns, record_type)}
    columns = record_type.derive(columns, context)
    columns["source_ordinal"] = pa.array([segment.ordinal for segment in segments], type=pa.int32())
    columns["record_sha256"] = pa.array(
        [hashlib.sha256(segment.text).hexdigest() for segment in segments], type=pa.string()
    )
    schema = arrow_schema(record_type.table)
    decoded_names = [name for name in schema.names if name in columns]
    table = pa.table(
        [columns[name].cast(schema.field(name).type) for name in decoded_names],
        schema=pa.schema([schema.field(name) for name in decoded_names]),
    )
    if good is not None:
        table = table.filter(pa.array(good))
    if table.num_rows:
        decoded.rows.append((record_type, table))


def _flags(columns: Columns, record_type: RecordType) -> pa.Array:
    """Per row, which of OUT_OF_ORDER, IMPLAUSIBLE_DURATION, UNKNOWN_ENUM apply, in this order."""
    length = len(next(iter(columns.values())))
    never = pa.repeat(pa.scalar(False), length)
    marks = {
        "OUT_OF_ORDER": _out_of_order(columns, record_type, never),
        "IMPLAUSIBLE_DURATION": never,
        "UNKNOWN_ENUM": never,
    }
    for declared in record_type.fields:
        column = columns[declared.column]
        if declared.kind in (Kind.DURATION, Kind.SECONDS):
            mark = pc.fill_null(pc.greater(column, _DAY_MS), False)
            marks["IMPLAUSIBLE_DURATION"] = pc.or_(marks["IMPLAUSIBLE_DURATION"], mark)
        if declared.values is not None:
            known = pc.is_in(column, value_set=pa.array(sorted(declared.values), type=pa.string()))
            mark = pc.and_(pc.is_valid(column), pc.invert(known))
            marks["UNKNOWN_ENUM"] = pc.or_(marks["UNKNOWN_ENUM"], mark)
    if not any(pc.any(mark).as_py() for mark in marks.values()):
        offsets = pa.repeat(pa.scalar(0, pa.int32()), length + 1)
        return pa.ListArray.from_arrays(offsets, pa.array([], type=pa.string()))
    per_row = zip(*(mark.to_pylist() for mark in marks.values()), strict=True)
    return pa.array(
        [[name for name, is_marked in zip(marks, row, strict=True) if is_marked] for row in per_row],
        type=pa.list_(pa.string()),
    )


def _out_of_order(columns: Columns, record_type: RecordType, never: pa.Array) -> pa.Array:
    broken = never
    previous: pa.Array | None = None
    for name in record_type.ordered_times:
        moment = columns[name].cast(pa.int64())
        if record_type.unordered_when is not None and record_type.unordered_when[0] == name:
            _, column, values = record_type.unordered_when
            left_out = pc.is_in(columns[column], value_set=pa.array(sorted(values), type=pa.string()))
            moment = pc.if_else(left_out, pa.scalar(None, pa.int64()), moment)
        if previous is None:
            previous = moment
            continue
        backwards = pc.fill_null(pc.greater(pc.subtract(previous, moment), _SECOND), False)
        broken = pc.or_(broken, backwards)
        previous = pc.coalesce(moment, previous)
    return broken


