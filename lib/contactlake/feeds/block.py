"""Decoding records by the block: natively where they are plainly good, exactly where one is not.

`decode_text` gives every record of a text once, as a row of its table or as a quarantined record; `stretches` and
`decode` do so for several small texts at a time. What looks like a record goes through Arrow's JSON reader, many at
once (`native.py`); what that reader does not take, and each row that is not plainly good, is split and read exactly
(`records.py`, `values.py`). Both ways give the same rows.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contactlake.archive.compression import Text
from contactlake.archive.records import NotAnArray, Record, Span, Splitter, record_start
from contactlake.feeds.native import FEWEST, NativeRows, read_native
from contactlake.feeds.plain_texts import Mask, Texts, plain_texts
from contactlake.feeds.record_type import Columns, Context, Feed, RecordType, Refused
from contactlake.feeds.rows import columns_of, table_of
from contactlake.feeds.values import is_null, read_record, scalar_text

BLOCK_BYTES = 1 << 20
RAW_BYTES = 1 << 20
"""So much of a refused record is kept."""

_HASHED_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Quarantined:
    """A record that was refused: its bytes as they stand in the object (`text`: the first `RAW_BYTES` of them, `sha256`
    in hex and `size`: of all)."""

    ordinal: int
    record_type: str | None
    reason: str
    detail: str
    text: bytes
    sha256: str
    size: int


@dataclass
class Decoded:
    """What stretches of text gave: rows per record type, in the schema of their tables, and refused records."""

    rows: list[tuple[RecordType, pa.Table]] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    records: int = 0
    row_stretches: list["npt.NDArray[np.int64]"] = field(default_factory=list)
    """Beside each table of `rows`: the numbers of the stretches that its rows are of."""
    refused_stretches: list[int] = field(default_factory=list)
    """Beside each of `quarantined`: the number of its stretch."""


Piece = Span | Record
Expand = Callable[[Span], Sequence[Record]]
"""Tells exactly which records a span holds."""


@dataclass
class _Count:
    """How many records of a text were told already."""

    records: int = 0


@dataclass(frozen=True)
class Stretch:
    """A part of an object's text: the pieces that it is made of, each of which is most likely one record.

    The stretches of a text must be decoded once and in their order.
    """

    text: Text
    pieces: Sequence[Piece]
    expand: Expand
    count: _Count

    @property
    def size(self) -> int:
        """Bytes, roughly."""
        return self.pieces[-1].end - self.pieces[0].start


def decode_text(text: Text, feed: Feed, context: Context) -> Iterator[Decoded]:
    """Every record of an object's text, block by block; ordinals count from 0 over the whole text."""
    for part in stretches(text, feed, context):
        yield part if isinstance(part, Decoded) else decode([part], feed, context)


def stretches(text: Text, feed: Feed, context: Context) -> Iterator[Stretch | Decoded]:
    """An object's text by the block, to be decoded by the caller; a text that is one array is decoded here."""
    splitter = Splitter(text, record_start(feed.first_key))
    if splitter.begins_with_bracket:
        try:
            yield from _decode_array(text, splitter, feed, context)
        except NotAnArray:
            pass
        else:
            return
    count = _Count()
    position = splitter.begin
    while position < len(text):
        pieces, position = splitter.pieces(position, BLOCK_BYTES)
        if pieces:
            yield Stretch(text, pieces, lambda span: list(splitter.records(span.start, span.end)), count)


def _decode_array(text: Text, splitter: Splitter, feed: Feed, context: Context) -> Iterator[Decoded]:
    """The elements of a text that is one array. Raises `NotAnArray` before anything is given."""
    count = _Count()
    try:
        blocks = splitter.element_spans(BLOCK_BYTES)
        # Whether it is an array shows at its end: until then, what it holds is kept as rows.
        yield from [
            decode([Stretch(text, spans, lambda span: [splitter.element(span)], count)], feed, context)
            for spans in blocks
        ]
    except NotAnArray:
        pass
    else:
        return
    if not splitter.is_array():
        raise NotAnArray
    count = _Count()
    pieces: list[Piece] = []
    begin = 0
    for element in splitter.elements():
        if pieces and element.end - begin > BLOCK_BYTES:
            yield decode([Stretch(text, pieces, lambda _: [], count)], feed, context)
            pieces, begin = [], element.start
        pieces.append(element)
    if pieces:
        yield decode([Stretch(text, pieces, lambda _: [], count)], feed, context)


@dataclass(frozen=True)
class _Rows:
    """Records of one type that were read: the number of each one's stretch, its ordinal, and whether it is good."""

    columns: Columns
    stretches: "npt.NDArray[np.int64]"
    ordinals: "npt.NDArray[np.int64]"
    texts: Sequence[bytes | memoryview]
    good: Mask


def decode(parts: Sequence[Stretch], feed: Feed, context: Context) -> Decoded:
    """The records that `parts` hold, which may be of several texts; `context` is that of all of them."""
    pieces = [piece for part in parts for piece in part.pieces]
    stretch_of = np.repeat(np.arange(len(parts)), [len(part.pieces) for part in parts])
    native = _read_natively(parts, stretch_of, feed, context)
    is_read = np.zeros(len(pieces), dtype=bool)
    for _, numbers, _, rows in native:
        is_read[numbers[rows.good]] = True
    held = {
        number: parts[stretch_of[number]].expand(piece) if isinstance(piece, Span) else [piece]
        for number in np.flatnonzero(~is_read).tolist()
        for piece in [pieces[number]]
    }
    ordinals, records = _ordinals(parts, len(pieces), held)
    decoded = Decoded(records=records)
    read: dict[RecordType, list[_Rows]] = defaultdict(list)
    for record_type, numbers, members, rows in native:
        read[record_type].append(_Rows(rows.columns, stretch_of[numbers], ordinals[numbers], members, rows.good))
    slow = (
        (int(stretch_of[number]), ordinal, record)
        for number, records_held in held.items()
        for ordinal, record in enumerate(records_held, int(ordinals[number]))
    )
    for record_type, exact in _read_exactly(slow, parts, feed, context, decoded).items():
        read[record_type].append(exact)
    for record_type in feed.record_types:
        if record_type in read:
            _add_table(decoded, read[record_type], record_type, context)
    return decoded


def _ordinals(
    parts: Sequence[Stretch], pieces: int, held: Mapping[int, Sequence[Record]]
) -> tuple["npt.NDArray[np.int64]", int]:
    """The ordinal of the first record of each piece within its text, and how many records there are in all.

    A piece is one record, unless `held` tells its records.
    """
    counts = np.ones(pieces, dtype=np.int64)
    for number, found in held.items():
        counts[number] = len(found)
    ordinals = np.empty(pieces, dtype=np.int64)
    first = 0
    for part in parts:
        last = first + len(part.pieces)
        ends = part.count.records + np.cumsum(counts[first:last])
        ordinals[first:last] = ends - counts[first:last]
        part.count.records = int(ends[-1])
        first = last
    return ordinals, int(counts.sum())


def _add_table(decoded: Decoded, parts: Sequence[_Rows], record_type: RecordType, context: Context) -> None:
    """Adds the good rows of all `parts`."""
    columns = parts[0].columns
    if len(parts) > 1:
        columns = {name: pa.concat_arrays([part.columns[name] for part in parts]) for name in columns}
    texts = [text for part in parts for text in part.texts]
    ordinals = np.concatenate([part.ordinals for part in parts])
    of_stretch = np.concatenate([part.stretches for part in parts])
    good = np.concatenate([part.good for part in parts])
    table = table_of(columns, ordinals, texts, record_type, context)
    if not good.all():
        table, of_stretch = table.filter(pa.array(good)), of_stretch[good]
    if table.num_rows:
        decoded.rows.append((record_type, table))
        decoded.row_stretches.append(of_stretch)


# --- natively ---


def _read_natively(
    parts: Sequence[Stretch], stretch_of: "npt.NDArray[np.int64]", feed: Feed, context: Context
) -> list[tuple[RecordType, "npt.NDArray[np.int64]", Sequence[memoryview], NativeRows]]:
    """Records by type, the numbers of their pieces, and their texts: those that are plainly good, and maybe others."""
    read: list[tuple[RecordType, npt.NDArray[np.int64], Sequence[memoryview], NativeRows]] = []
    pieces, texts = _texts_of(parts)
    if len(texts) < FEWEST:
        return read
    for record_type, members in _by_type(np.flatnonzero(plain_texts(texts)), texts, feed).items():
        if record_type.read is not None:
            continue
        pending = [members]
        while pending:
            members = pending.pop()
            chosen = texts if len(members) == len(texts) else Texts.of(texts.some(members))
            rows = read_native(chosen, record_type, feed.type_key, context)
            if rows is not None:
                taken = members[rows.taken]
                read.append((record_type, pieces[taken], texts.some(taken), rows))
                continue
            of_stretch = stretch_of[pieces[members]]
            if len(apart := np.unique(of_stretch)) > 1:  # one stretch must not spoil the others
                pending += [members[of_stretch == stretch] for stretch in apart]
    return read


def _texts_of(parts: Sequence[Stretch]) -> tuple["npt.NDArray[np.int64]", Texts]:
    """The texts of those pieces that may be records, and the numbers of these among all pieces."""
    numbers: list[npt.NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    texts: list[Texts] = []
    first = 0
    for part in parts:
        may_be = [isinstance(piece, Span) or isinstance(piece.value, dict) for piece in part.pieces]
        numbers.append(np.flatnonzero(may_be) + first)
        bounds = [(piece.start, piece.end) for piece in compress(part.pieces, may_be)]
        texts.append(Texts.within(part.text, bounds))
        first += len(part.pieces)
    return np.concatenate(numbers), Texts.together(texts)


# --- exactly ---


def _read_exactly(
    records: Iterable[tuple[int, int, Record]],
    parts: Sequence[Stretch],
    feed: Feed,
    context: Context,
    decoded: Decoded,
) -> dict[RecordType, _Rows]:
    """`records` (stretch, ordinal, record) by type, each read by the rules of the archive; adds those refused."""
    read: dict[RecordType, list[tuple[int, int, bytes, dict[str, Any]]]] = defaultdict(list)

    def refuse(stretch: int, ordinal: int, record: Record, name: str | None, reason: str, detail: str) -> None:
        decoded.quarantined.append(_refused(parts[stretch].text, ordinal, record, name, reason, detail))
        decoded.refused_stretches.append(stretch)

    for stretch, ordinal, record in records:
        if record.fault is not None:
            refuse(stretch, ordinal, record, None, "UNDECODABLE", record.fault)
            continue
        record_type: RecordType | None = None
        try:
            record_type = _type_of(record.value, feed)
            text = parts[stretch].text[record.start : record.end]
            row = read_record(record.value, text.decode("utf-8"), record_type, context)
        except Refused as refusal:
            name = None if record_type is None else record_type.name
            refuse(stretch, ordinal, record, name, refusal.reason, refusal.detail)
        else:
            read[record_type].append((stretch, ordinal, text, row))
    return {
        record_type: _Rows(
            columns_of(values, record_type),
            np.array(of_stretch),
            np.array(ordinals),
            texts,
            np.ones(len(values), dtype=bool),
        )
        for record_type, rows in read.items()
        for of_stretch, ordinals, texts, values in [tuple(zip(*rows, strict=True))]
    }


def _refused(
    text: Text, ordinal: int, record: Record, record_type: str | None, reason: str, detail: str
) -> Quarantined:
    digest = hashlib.sha256()
    for start in range(record.start, record.end, _HASHED_AT_ONCE):
        digest.update(text[start : min(start + _HASHED_AT_ONCE, record.end)])
    raw = text[record.start : min(record.start + RAW_BYTES, record.end)]
    return Quarantined(ordinal, record_type, reason, detail, raw, digest.hexdigest(), record.end - record.start)


@cache
def _plain_type(feed: Feed) -> re.Pattern[bytes]:
    """What a record of a known type begins with where its type stands plainly at its start."""
    names = "|".join(re.escape(record_type.name) for record_type in feed.record_types)
    key = re.escape(feed.type_key or "")
    return re.compile(rf'\{{[ \t\r\n]*"{key}"[ \t\r\n]*:[ \t\r\n]*"({names})"'.encode())


def _by_type(numbers: "npt.NDArray[np.int64]", texts: Texts, feed: Feed) -> dict[RecordType, "npt.NDArray[np.int64]"]:
    """The records by type, without those whose type does not stand plainly at their start."""
    if feed.type_key is None:
        return {feed.record_types[0]: numbers}
    groups: dict[bytes, list[int]] = defaultdict(list)
    begins, joined = _plain_type(feed).match, texts.joined
    for number, start in zip(numbers.tolist(), texts.starts[numbers].tolist(), strict=True):
        if match := begins(joined, start):
            groups[bytes(match[1])].append(number)
    return {
        record_type: np.array(groups[name], dtype=np.int64)
        for record_type in feed.record_types
        if (name := record_type.name.encode()) in groups
    }


def _type_of(value: Any, feed: Feed) -> RecordType:
    """The type of a record that decoded; raises `Refused`."""
    if not isinstance(value, dict):
        raise Refused(
            "NOT_AN_OBJECT", "an array" if isinstance(value, list) else "null" if value is None else "a scalar"
        )
    name: str | None = None
    if feed.type_key is not None:
        stated = value.get(feed.type_key)
        name = None if is_null(stated) or isinstance(stated, dict | list) else scalar_text(stated)
    record_type = feed.record_type(name)
    if record_type is None:
        raise Refused("UNKNOWN_TYPE", f"{feed.type_key}")
    return record_type
