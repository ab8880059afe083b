"""Decoding records by the block: natively where they are plainly good, exactly where one is not.

`decode_text` gives every record of a text once, as a row of its table or as a quarantined record. What looks like a
record goes through Arrow's JSON reader, a block at a time (`native.py`); what that reader does not take, and each row
that is not plainly good, is split and read exactly (`records.py`, `values.py`). Both ways give the same rows.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contactlake.archive.compression import Text
from contactlake.archive.records import NotAnArray, Record, Span, Splitter, record_start
from contactlake.feeds.native import FEWEST, Mask, plain_texts, read_native
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
    """What a stretch of text gave: rows per record type, in the schema of their tables, and refused records."""

    rows: list[tuple[RecordType, pa.Table]] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    records: int = 0


Piece = Span | Record
Expand = Callable[[Span], Sequence[Record]]
"""Tells exactly which records a span holds."""


def decode_text(text: Text, feed: Feed, context: Context) -> Iterator[Decoded]:
    """Every record of an object's text, block by block; ordinals count from 0 over the whole text."""
    splitter = Splitter(text, record_start(feed.first_key))
    if splitter.begins_with_bracket:
        try:
            yield from _decode_array(text, splitter, feed, context)
        except NotAnArray:
            pass
        else:
            return
    reader = _BlockReader(text, feed, context)
    position = splitter.begin
    while position < len(text):
        pieces, position = splitter.pieces(position, BLOCK_BYTES)
        yield reader.read(pieces, lambda span: list(splitter.records(span.start, span.end)))


def _decode_array(text: Text, splitter: Splitter, feed: Feed, context: Context) -> Iterator[Decoded]:
    """The elements of a text that is one array. Raises `NotAnArray` before anything is given."""
    reader = _BlockReader(text, feed, context)
    try:
        blocks = splitter.element_spans(BLOCK_BYTES)
        # Whether it is an array shows at its end: until then, what it holds is kept as rows.
        yield from [reader.read(spans, lambda span: [splitter.element(span)]) for spans in blocks]
    except NotAnArray:
        pass
    else:
        return
    if not splitter.is_array():
        raise NotAnArray
    reader = _BlockReader(text, feed, context)
    pieces: list[Piece] = []
    begin = 0
    for element in splitter.elements():
        if pieces and element.end - begin > BLOCK_BYTES:
            yield reader.read(pieces, lambda _: [])
            pieces, begin = [], element.start
        pieces.append(element)
    yield reader.read(pieces, lambda _: [])


@dataclass(frozen=True)
class _Rows:
    """Records of one type that were read: the numbers of their pieces or their ordinals, and which rows are good."""

    columns: Columns
    numbers: "npt.NDArray[np.int64]"
    texts: Sequence[bytes]
    good: Mask


class _BlockReader:
    """Reads the pieces of a text block by block, counting ordinals."""

    def __init__(self, text: Text, feed: Feed, context: Context) -> None:
        self._text = text
        self._feed = feed
        self._context = context
        self._ordinal = 0

    def read(self, pieces: Sequence[Piece], expand: Expand) -> Decoded:
        """The records that `pieces` hold."""
        texts = {
            number: self._text[piece.start : piece.end]
            for number, piece in enumerate(pieces)
            if isinstance(piece, Span) or isinstance(piece.value, dict)
        }
        native = self._read_natively(texts)
        is_read = np.zeros(len(pieces), dtype=bool)
        for rows in native.values():
            is_read[rows.numbers[rows.good]] = True
        held = {
            number: expand(piece) if isinstance(piece, Span) else [piece]
            for number in np.flatnonzero(~is_read).tolist()
            for piece in [pieces[number]]
        }
        counts = np.ones(len(pieces), dtype=np.int64)
        for number, found in held.items():
            counts[number] = len(found)
        ordinals = np.concatenate(([0], np.cumsum(counts))) + self._ordinal
        decoded = Decoded(records=int(ordinals[-1]) - self._ordinal)
        self._ordinal = int(ordinals[-1])
        exact = self._read_exactly(
            (
                (ordinal, record)
                for number in held
                for ordinal, record in enumerate(held[number], int(ordinals[number]))
            ),
            decoded.quarantined,
        )
        for record_type in self._feed.record_types:
            parts = (
                [replace(native[record_type], numbers=ordinals[native[record_type].numbers])]
                if record_type in native
                else []
            )
            parts += [exact[record_type]] if record_type in exact else []
            if parts and (table := self._table(parts, record_type)).num_rows:
                decoded.rows.append((record_type, table))
        return decoded

    def _table(self, parts: Sequence[_Rows], record_type: RecordType) -> pa.Table:
        """The good rows of all `parts`, whose numbers are ordinals."""
        columns = parts[0].columns
        if len(parts) > 1:
            columns = {name: pa.concat_arrays([part.columns[name] for part in parts]) for name in columns}
        numbers = np.concatenate([part.numbers for part in parts])
        texts = [text for part in parts for text in part.texts]
        good = np.concatenate([part.good for part in parts])
        table = table_of(columns, numbers, texts, record_type, self._context)
        return table if good.all() else table.filter(pa.array(good))

    # --- natively ---

    def _read_natively(self, texts: dict[int, bytes]) -> dict[RecordType, _Rows]:
        """Records by type, numbered by their pieces: those of `texts` that are plainly good, and maybe others."""
        read: dict[RecordType, _Rows] = {}
        if len(texts) < FEWEST:
            return read
        is_plain = plain_texts(list(texts.values()))
        numbers = [number for number, plain in zip(texts, is_plain, strict=True) if plain]
        for record_type, members in _by_type(numbers, texts, self._feed).items():
            if record_type.read is not None:
                continue
            candidates = [texts[number] for number in members]
            if rows := read_native(candidates, record_type, self._feed.type_key, self._context):
                taken = [candidates[number] for number in rows.taken]
                read[record_type] = _Rows(rows.columns, np.array(members)[rows.taken], taken, rows.good)
        return read

    # --- exactly ---

    def _read_exactly(
        self, records: Iterator[tuple[int, Record]], quarantined: list[Quarantined]
    ) -> dict[RecordType, _Rows]:
        """Records by type, each read by the rules of the archive; those refused are added to `quarantined`."""
        read: dict[RecordType, list[tuple[int, bytes, dict[str, Any]]]] = defaultdict(list)
        for ordinal, record in records:
            if record.fault is not None:
                quarantined.append(self._refused(ordinal, record, None, "UNDECODABLE", record.fault))
                continue
            record_type: RecordType | None = None
            try:
                record_type = _type_of(record.value, self._feed)
                text = self._text[record.start : record.end]
                row = read_record(record.value, text.decode("utf-8"), record_type, self._context)
            except Refused as refusal:
                name = None if record_type is None else record_type.name
                quarantined.append(self._refused(ordinal, record, name, refusal.reason, refusal.detail))
            else:
                read[record_type].append((ordinal, text, row))
        return {
            record_type: _Rows(
                columns_of(values, record_type), np.array(ordinals), texts, np.ones(len(values), dtype=bool)
            )
            for record_type, rows in read.items()
            for ordinals, texts, values in [tuple(zip(*rows, strict=True))]
        }

    def _refused(self, ordinal: int, record: Record, record_type: str | None, reason: str, detail: str) -> Quarantined:
        digest = hashlib.sha256()
        for start in range(record.start, record.end, _HASHED_AT_ONCE):
            digest.update(self._text[start : min(start + _HASHED_AT_ONCE, record.end)])
        raw = self._text[record.start : min(record.start + RAW_BYTES, record.end)]
        return Quarantined(ordinal, record_type, reason, detail, raw, digest.hexdigest(), record.end - record.start)


@cache
def _plain_type(feed: Feed) -> re.Pattern[bytes]:
    """What a record of a known type begins with where its type stands plainly at its start."""
    names = "|".join(re.escape(record_type.name) for record_type in feed.record_types)
    key = re.escape(feed.type_key or "")
    return re.compile(rf'\{{[ \t\r\n]*"{key}"[ \t\r\n]*:[ \t\r\n]*"({names})"'.encode())


def _by_type(numbers: Sequence[int], texts: dict[int, bytes], feed: Feed) -> dict[RecordType, list[int]]:
    """The records by type, without those whose type does not stand plainly at their start."""
    if feed.type_key is None:
        return {feed.record_types[0]: list(numbers)}
    groups: dict[bytes, list[int]] = defaultdict(list)
    begins = _plain_type(feed).match
    for number in numbers:
        if match := begins(texts[number]):
            groups[match[1]].append(number)
    return {
        record_type: groups[name] for record_type in feed.record_types if (name := record_type.name.encode()) in groups
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
