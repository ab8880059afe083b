"""From a text to its records: one JSON value after another, exactly, whatever stands between them.

Knows bytes, not meaning. A record is a span of the text that either decodes or names its fault. The rules:
values follow one another with nothing, white space or the two characters `\\n` between them, or form one top-level
array. Where decoding fails, the text up to the next record start is one faulty record, and decoding goes on there.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from contactlake.archive.compression import Text, text_start
from contactlake.archive.json_values import Cut, Malformed, decode_first, hopeless_starts

_SMALLEST_WINDOW = 1 << 8
_LARGEST_WINDOW = 1 << 16
"""So much is looked at first, about twice a value's usual length, where no record start is nearer."""
_LONGEST_SPAN = 1 << 26
_MOST_PIECES = 10_000
_FAR = 512
"""A value that fails within so many bytes is not worth a closer look at what lies in it."""
_SEPARATORS = re.compile(rb"(?:[ \t\r\n]++|\\n)*+")
_WHITE_SPACE = re.compile(rb"[ \t\r\n]*+")
WHITE = frozenset(b" \t\r\n")
"""What JSON has for white space."""
_BRACKET, _BRACE, _CLOSED, _COMMA, _LETTER_N, _BACKSLASH = b"[{},n\\"
_LINE_END, _LAST_WHITE = b"\n "
CACHED_BYTES = 1 << 16
"""A text is looked through in parts that the processor keeps at hand."""


class Span(NamedTuple):
    """A stretch of text from a record start to before the next, closed like a record: most likely exactly one.

    Decoding stands at its start, and no value in it reaches behind its end. A decoder that finds one object in it,
    and nothing else, has found the record; where it does not, `Splitter.records` tells what the stretch holds.
    """

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a text: `text[start:end]`. `fault` says why it has no `value`."""

    start: int
    end: int
    value: Any = None
    fault: str | None = None


class NotAnArray(Exception):
    """The text is not one array up to its end after all."""


@dataclass(frozen=True)
class RecordStart:
    """What a record of a feed begins with: `{`, white space, its first key.

    An unescaped quote cannot stand inside a JSON string, so `pattern` never matches inside one.
    """

    key: bytes
    """The key in its quotes."""
    pattern: re.Pattern[bytes]


@cache
def record_start(key: str) -> RecordStart:
    """What a record begins with whose first key is `key`."""
    quoted = f'"{key}"'.encode()
    return RecordStart(quoted, re.compile(rb"\{[ \t\r\n]*+" + re.escape(quoted)))


def skip_separators(text: Text, position: int) -> int:
    match = _SEPARATORS.match(text, position)
    return match.end() if match else position


def _skip_white_space(text: Text, position: int) -> int:
    match = _WHITE_SPACE.match(text, position)
    return match.end() if match else position


def _before_separators(text: Text, start: int, end: int) -> int:
    """The end of what stands before the separators at the end of `text[start:end]`."""
    while end > start:
        last = text[end - 1]
        if last in WHITE:
            end -= 1
        elif last == _LETTER_N and end - start > 1 and text[end - 2] == _BACKSLASH:
            end -= 2
        else:
            break
    return end


def _before_white_space(text: Text, start: int, end: int) -> int:
    while end > start and text[end - 1] in WHITE:
        end -= 1
    return end


class _Starts:
    """Finds record starts; asked for places that go forward, it searches the text once."""

    def __init__(self, text: Text, start: re.Pattern[bytes]) -> None:
        self._text = text
        self._start = start
        self._from = self._found = -1

    def at_or_behind(self, position: int) -> int:
        """The first record start that is not before `position`, else the text's end."""
        if not self._from <= position <= self._found:
            match = self._start.search(self._text, position)
            self._from, self._found = position, match.start() if match else len(self._text)
        return self._found


class Splitter:
    """The records of one text, whose feed's records begin with `start`."""

    def __init__(self, text: Text, start: RecordStart) -> None:
        self._text = text
        self._key, self._start = start.key, start.pattern
        self._next_starts = _Starts(text, start.pattern)
        self._block_ends = _Starts(text, start.pattern)
        self._window = _SMALLEST_WINDOW
        self._hopeless: set[int] = set()
        self.begin = skip_separators(text, text_start(text))
        """Where the first record begins, or the array that holds them all."""
        self.begins_with_bracket = text[self.begin : self.begin + 1] == b"["

    def all(self) -> Iterator[Record]:
        """Every record of the text, one by one."""
        yield from self.elements() if self.is_array() else self.records(self.begin, len(self._text))

    def records(self, position: int, until: int) -> Iterator[Record]:
        """The records from `position` on, one by one, until one ends at or behind `until`.

        Decoding must stand at `position`, and the text must not be an array.
        """
        position = skip_separators(self._text, position)
        while position < min(until, len(self._text)):
            try:
                record = self._decode(position)
            except Malformed as fault:
                record = Record(position, self._next_starts.at_or_behind(position + 1), fault=fault.reason)
            yield record
            position = skip_separators(self._text, record.end)

    def pieces(self, position: int, size: int) -> tuple[list[Span | Record], int]:
        """About `size` bytes of the text from `position`, where decoding stands, and where it stands then.

        What looks like a record is a `Span`; only what does not is decoded.
        """
        text = self._text
        limit = min(position + size, len(text))
        end = self._block_ends.at_or_behind(limit)
        is_whole = end - position <= _LONGEST_SPAN
        if not is_whole:
            end = limit
        starts = self._starts_in(position, end)
        stops = [*starts[1:], end]
        if not is_whole:
            starts, stops = starts[:-1], stops[:-1]  # the last goes on behind the end
        plain_ends = self._plain_ends(stops)
        pieces: list[Span | Record] = []
        position = skip_separators(text, position)
        while position < limit and len(pieces) < _MOST_PIECES:
            number = bisect_left(starts, position)
            if plain_ends and number < len(starts) and starts[number] == position:
                pieces += map(Span, starts[number:], plain_ends[number:])
                position = stops[-1]
                break
            while number < len(starts) and starts[number] == position:
                # A start inside a record follows `:`, `,` or `[`: what is cut there does not end in `}`.
                stop = stops[number]
                closed = stop if text[stop - 1] == _CLOSED else _before_separators(text, position, stop)
                if text[closed - 1] != _CLOSED:
                    break
                pieces.append(Span(position, closed))
                position = stop
                number += 1
            if position >= limit:
                break
            behind = bisect_right(starts, position)
            for record in self.records(position, starts[behind] if behind < len(starts) else limit):
                pieces.append(record)
                position = record.end
                if len(pieces) >= _MOST_PIECES:
                    break
            position = skip_separators(text, position)
        return pieces, position

    def _starts_in(self, position: int, end: int) -> list[int]:
        """The record starts within `text[position:end]`."""
        if isinstance(self._text, bytes):
            characters = np.frombuffer(self._text, dtype=np.uint8, count=end - position, offset=position)
        else:
            characters = np.frombuffer(self._text[position:end], dtype=np.uint8)
        starts = np.concatenate(
            [
                np.flatnonzero(characters[begin : begin + CACHED_BYTES] == _BRACE) + begin
                for begin in range(0, max(len(characters), 1), CACHED_BYTES)
            ]
        )
        starts = starts[starts < len(characters) - len(self._key)]
        if (characters[starts + 1] <= _LAST_WHITE).any():  # white space before the key: the text is spread out
            return [match.start() for match in self._start.finditer(self._text, position, end)]
        for place, character in enumerate(self._key, 1):
            starts = starts[characters[starts + place] == character]
        found: list[int] = (starts + position).tolist()
        return found

    def _plain_ends(self, stops: list[int]) -> list[int]:
        """Where records that reach to before `stops` end, if each plainly does, maybe with a line end behind it."""
        if not isinstance(self._text, bytes):
            return []
        characters = np.frombuffer(self._text, dtype=np.uint8)
        ends = np.array(stops, dtype=np.int64)
        ends -= characters[ends - 1] == _LINE_END
        plain: list[int] = ends.tolist() if (characters[ends - 1] == _CLOSED).all() else []
        return plain

    # --- a text that is one array ---

    def is_array(self) -> bool:
        """Whether the text is one array that decodes up to its end."""
        if not self.begins_with_bracket:
            return False
        try:
            for _ in self.elements():
                pass
        except NotAnArray:
            # What failed as an element is told anew when it is read as a record: its fault, not that it failed before.
            self._hopeless = set()
            return False
        return True

    def elements(self) -> Iterator[Record]:
        """The elements of the array that the text is, one by one. Raises `NotAnArray` where it turns out not to be."""
        text = self._text
        position = _skip_white_space(text, self.begin + 1)
        delimiter = text[position : position + 1]
        while delimiter != b"]":
            try:
                record = self._decode(position)
            except Malformed:
                raise NotAnArray from None
            yield record
            position = _skip_white_space(text, record.end)
            delimiter = text[position : position + 1]
            if delimiter == b",":
                position = _skip_white_space(text, position + 1)
            elif delimiter != b"]":
                raise NotAnArray
        if skip_separators(text, position + 1) != len(text):
            raise NotAnArray

    def element_spans(self, size: int) -> Iterator[list[Span]]:
        """The elements of the text as spans, about `size` bytes at a time, where it looks like an array of records.

        Raises `NotAnArray` where it does not. If each span holds one value and nothing else, it is an array.
        """
        text = self._text
        stop = _before_separators(text, self.begin, len(text))
        if text[stop - 1 : stop] != b"]":
            raise NotAnArray
        position = _skip_white_space(text, self.begin + 1)
        spans: list[Span] = []
        if self._next_starts.at_or_behind(position) != position:
            raise NotAnArray
        while position < len(text):
            behind = self._next_starts.at_or_behind(position + 1)
            end = stop - 1 if behind == len(text) else _before_white_space(text, position, behind) - 1
            if behind < len(text) and text[end] != _COMMA:
                raise NotAnArray
            spans.append(Span(position, _before_white_space(text, position, end)))
            position = behind
            if position - spans[0].start >= size:
                yield spans
                spans = []
        if spans:
            yield spans

    def element(self, span: Span) -> Record:
        """The one value that `span` holds. Raises `NotAnArray` where it holds something else."""
        try:
            record = self._decode(span.start)
        except Malformed:
            raise NotAnArray from None
        if record.end != span.end:
            raise NotAnArray
        return record

    # --- one value ---

    def _decode(self, position: int) -> Record:
        """The value at `position`; raises `Malformed`."""
        text = self._text
        if position in self._hopeless:
            raise Malformed("not JSON: what it lies in does not decode")
        if position == self.begin and self.begins_with_bracket:
            raise Malformed("an array that does not decode up to the end")
        next_start = self._next_starts.at_or_behind(position + 1)
        end = min(next_start, position + self._window)
        while True:
            try:
                value, length, fault = decode_first(text[position:end], is_last=end == len(text))
            except Cut:
                end = min(position + 4 * (end - position), len(text))
            except Malformed as malformed:
                if next_start < end and (malformed.at is None or malformed.at > _FAR):
                    # Record starts in it that cannot be decoded either must not be tried: a text of many starts
                    # inside one another would be decoded over and over.
                    hopeless = hopeless_starts(text, position, malformed.at)
                    self._hopeless = {start for start in self._hopeless if start > position} | hopeless
                raise
            else:
                self._window = min(max(2 * length, _SMALLEST_WINDOW), _LARGEST_WINDOW)
                return Record(position, position + length, None if fault else value, fault)
