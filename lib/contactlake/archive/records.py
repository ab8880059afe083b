"""From a text to its records: one JSON value after another, exactly, whatever stands between them.

Knows bytes, not meaning. A record is a span of the text that either decodes or names its fault. The rules:
values follow one another with nothing, white space or the two characters `\\n` between them, or form one top-level
array. Where decoding fails, the text up to the next record start is one faulty record, and decoding goes on there.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contactlake.archive.compression import Text, text_start

MAX_DEPTH = 512
"""A value nested deeper is not decoded."""

_WINDOW = 1 << 16
_LONGEST_BLOCK = 1 << 26
_SEPARATORS = re.compile(rb"(?:[ \t\r\n]|\\n)*")
_WHITE_SPACE = re.compile(rb"[ \t\r\n]*")
_TRAILING_SEPARATORS = re.compile(rb"(?:[ \t\r\n]|\\n)+\Z")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


class Number(str):
    """A JSON number as its text: nothing of it is lost before somebody knows what it should be."""

    __slots__ = ()


@dataclass(frozen=True)
class Record:
    """One record of a text: `text[start:end]`. `fault` says why it has no `value`."""

    start: int
    end: int
    value: Any = None
    fault: str | None = None


def record_start(key: str) -> re.Pattern[bytes]:
    """What a record of a feed begins with: `{`, white space, its first key.

    An unescaped quote cannot stand inside a JSON string, so this never matches inside one.
    """
    return re.compile(rb'\{[ \t\r\n]*"' + re.escape(key.encode()) + rb'"')


class _Malformed(Exception):
    """The text at this place is no JSON value."""


class _Cut(Exception):
    """The value goes on behind the window that was looked at."""


def _refuse_constant(name: str) -> None:
    raise _Malformed(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse_constant)


def strip_separators(segment: bytes) -> bytes:
    """`segment` without the separators at its end."""
    if segment.endswith(b"}"):
        return segment
    return _TRAILING_SEPARATORS.sub(b"", segment)


def skip_separators(text: Text, position: int) -> int:
    match = _SEPARATORS.match(text, position)
    return match.end() if match else position


def _next_start(text: Text, position: int, start: re.Pattern[bytes]) -> int:
    match = start.search(text, position)
    return match.start() if match else len(text)


def has_lone_surrogate(text: str) -> bool:
    """Whether a `\\u` escape in JSON text stands for half a character."""
    high_ends_at = -1
    for escape in _ESCAPE.finditer(text):
        code = int(escape.group(1), 16) if escape.group(1) else 0
        if 0xDC00 <= code <= 0xDFFF and escape.start() == high_ends_at:
            high_ends_at = -1
            continue
        if high_ends_at >= 0 or 0xDC00 <= code <= 0xDFFF:
            return True
        if 0xD800 <= code <= 0xDBFF:
            high_ends_at = escape.end()
    return high_ends_at >= 0


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for container in level
            if isinstance(container, dict | list)
            for child in (container.values() if isinstance(container, dict) else container)
        ]
    return any(isinstance(child, dict | list) for child in level)


def _decode_window(window: bytes, is_last: bool) -> tuple[Any, int, str]:
    """The value at the start of `window`, its length in bytes and its text; raises `_Cut` or `_Malformed`."""
    text = window.decode("utf-8", "surrogateescape")
    try:
        value, end = _DECODER.raw_decode(text)
    except RecursionError as fault:
        raise _Malformed("nested too deep") from fault
    except json.JSONDecodeError as fault:
        # A value that is only cut off fails at the window's very end, an unterminated string where it began, an
        # escape that is cut within a few characters of the end.
        near_end = fault.pos >= len(text.rstrip(" \t\r\n")) - 12
        if not is_last and (near_end or fault.msg.startswith("Unterminated string")):
            raise _Cut from fault
        raise _Malformed(f"not JSON: {fault.msg}") from fault
    if end == len(text) and not is_last and not isinstance(value, dict | list):
        raise _Cut  # a number may have more digits
    value_text = text[:end]
    length = end if value_text.isascii() else len(value_text.encode("utf-8", "surrogateescape"))
    return value, length, value_text


def _decode_at(text: Text, position: int, start: re.Pattern[bytes]) -> Record:
    """The value at `position`; raises `_Malformed`."""
    size = _WINDOW
    while True:
        end = min(position + size, len(text))
        if size == _WINDOW:
            # Most records end where the next begins: look no further at first.
            match = start.search(text, position + 1, end)
            end = match.start() if match else end
        try:
            value, length, value_text = _decode_window(text[position:end], end == len(text))
        except _Cut:
            size *= 4
            continue
        if value_text.count("{") + value_text.count("[") > MAX_DEPTH and _is_too_deep(value):
            raise _Malformed(f"nested deeper than {MAX_DEPTH}")
        try:
            value_text.encode("utf-8")
        except UnicodeEncodeError:
            return Record(position, position + length, fault="not UTF-8")
        if "\\u" in value_text and has_lone_surrogate(value_text):
            return Record(position, position + length, fault="a lone surrogate")
        return Record(position, position + length, value)


def _array_elements(text: Text, position: int, start: re.Pattern[bytes]) -> list[tuple[int, int]] | None:
    """Where the elements of the one array that is the whole text lie; None where it is no such array."""
    elements: list[tuple[int, int]] = []
    position = _after_white_space(text, position + 1)
    if text[position : position + 1] == b"]":
        return elements if skip_separators(text, position + 1) == len(text) else None
    while True:
        try:
            element = _decode_at(text, position, start)
        except _Malformed:
            return None
        elements.append((element.start, element.end))
        position = _after_white_space(text, element.end)
        delimiter = text[position : position + 1]
        if delimiter == b"]":
            return elements if skip_separators(text, position + 1) == len(text) else None
        if delimiter != b",":
            return None
        position = _after_white_space(text, position + 1)


def _after_white_space(text: Text, position: int) -> int:
    match = _WHITE_SPACE.match(text, position)
    return match.end() if match else position


@dataclass(frozen=True)
class Block:
    """A stretch of text that may be decoded at once: `segments` begin at the record starts in it.

    `is_simple`: each segment looks like exactly one record, so that a decoder that finds as many values as there are
    segments, all objects, has found the records. Otherwise the block must be decoded by `records`.
    """

    start: int
    end: int
    segments: tuple[bytes, ...]
    is_simple: bool


def array_records(text: Text, start: re.Pattern[bytes]) -> list[tuple[int, int]] | None:
    """The spans of a text's records where the text is one top-level array, else None."""
    position = skip_separators(text, text_start(text))
    if text[position : position + 1] != b"[":
        return None
    return _array_elements(text, position, start)


def block_at(text: Text, position: int, start: re.Pattern[bytes], size: int) -> Block:
    """The block of about `size` bytes that begins at `position`, which is where decoding stands."""
    end = _next_start(text, position + size, start) if position + size < len(text) else len(text)
    first = skip_separators(text, position)
    if end - position > _LONGEST_BLOCK:
        return Block(position, end, (), is_simple=False)
    starts = [match.start() for match in start.finditer(text, first, end)]
    if not starts or starts[0] != first:
        return Block(position, end, (), is_simple=False)
    segments = tuple(
        strip_separators(text[begin:stop]) for begin, stop in zip(starts, [*starts[1:], end], strict=True)
    )
    # A start inside a record follows `:`, `,` or `[`, so a segment that was cut there does not end in `}`.
    return Block(position, end, segments, is_simple=all(segment.endswith(b"}") for segment in segments))


def records(text: Text, position: int, until: int, start: re.Pattern[bytes]) -> Iterator[Record]:
    """The records from `position` on, one by one and exactly, until one ends at or behind `until`."""
    position = skip_separators(text, position)
    while position < min(until, len(text)):
        is_bracket = text[position : position + 1] == b"[" and position == skip_separators(text, text_start(text))
        try:
            if is_bracket:  # the whole text was tried as one array before
                raise _Malformed("an array that does not decode up to the end")
            record = _decode_at(text, position, start)
        except _Malformed as fault:
            record = Record(position, _next_start(text, position + 1, start), fault=str(fault))
        yield record
        position = skip_separators(text, record.end)


def decode(text: bytes) -> Any:
    """The JSON value that `text` is, which is known to be one: numbers as `Number`."""
    return _DECODER.decode(text.decode("utf-8"))


def member_texts(text: str) -> dict[str, str]:
    """The members of the JSON object that `text` is, each as the JSON text that stands there; the last counts."""
    members: dict[str, str] = {}
    position = _text_after_white_space(text, 1)
    while text[position] != "}":
        key, position = json.decoder.scanstring(text, position + 1, True)  # type: ignore[attr-defined]
        position = _text_after_white_space(text, _text_after_white_space(text, position) + 1)
        _, end = _DECODER.raw_decode(text, position)
        members[key] = text[position:end]
        position = _text_after_white_space(text, end)
        if text[position] == ",":
            position = _text_after_white_space(text, position + 1)
    return members


_TEXT_WHITE_SPACE = re.compile(r"[ \t\r\n]*")


def _text_after_white_space(text: str, position: int) -> int:
    match = _TEXT_WHITE_SPACE.match(text, position)
    return match.end() if match else position
