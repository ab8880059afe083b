"""JSON values, exactly: what decodes, what does not and why, and the text that a value was."""

import json
import re
from typing import Any

from contactlake.archive.compression import Text

MAX_DEPTH = 512
"""A value nested deeper is not decoded."""

_LONGEST_TOKEN = 16
"""What is cut within a token fails at most so far from the end: `-Infinity`, a `\\u` escape, a number's exponent."""
_BEYOND_DEPTH = 1 << 16
_WHITE_SPACE = re.compile(r"[ \t\r\n]*+")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_STRUCTURE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)|[{}\[\]]|NaN|Infinity', re.DOTALL)
"""What nests a value, what may look like it, and what is not JSON; a text may be cut at the end."""


class Number(str):
    """A JSON number as its text: nothing of it is lost before somebody knows what it should be."""

    __slots__ = ()


class Malformed(Exception):
    """The text at this place is no JSON value.

    `at`: so many bytes of it are well formed; None where that is not known, or more of it may be.
    """

    def __init__(self, reason: str, at: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at


class Cut(Exception):
    """The value goes on behind the window that was looked at."""


def _refuse_constant(name: str) -> None:
    raise Malformed(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse_constant)


def decode(text: str) -> Any:
    """The JSON value that `text` is, which is known to be one: numbers as `Number`."""
    return _DECODER.decode(text)


def decode_first(window: bytes, *, is_last: bool) -> tuple[Any, int, str | None]:
    """The value at the start of `window`, its length in bytes, and what is wrong with it although it decodes.

    `is_last`: nothing stands behind the window. Raises `Malformed`; `Cut` where more has to be seen.
    """
    text = window.decode("utf-8", "surrogateescape")
    try:
        value, end = _DECODER.raw_decode(text)
    except RecursionError as fault:
        raise Malformed(_TOO_DEEP) from fault
    except json.JSONDecodeError as fault:
        # A value that is only cut off fails at the very end, an unterminated string where it began.
        is_near_end = fault.pos >= len(text.rstrip(" \t\r\n")) - _LONGEST_TOKEN
        if not is_last and (is_near_end or fault.msg.startswith("Unterminated string")):
            raise Cut from fault
        raise Malformed(f"not JSON: {fault.msg}", _length(text[: fault.pos])) from fault
    if not is_last and not isinstance(value, dict | list) and end > len(text) - _LONGEST_TOKEN:
        raise Cut  # a number may have more digits
    if end < len(text):
        text = text[:end]
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_too_deep(value):
        raise Malformed(_TOO_DEEP)
    return value, _length(text), _fault(text)


_TOO_DEEP = f"nested deeper than {MAX_DEPTH}"


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def _fault(text: str) -> str | None:
    """What is wrong with JSON text that decodes: bytes that are no UTF-8, half a character."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "not UTF-8"
    if "\\u" in text and _has_lone_surrogate(text):
        return "a lone surrogate"
    return None


def _has_lone_surrogate(text: str) -> bool:
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
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
    return bool(level)


def hopeless_starts(text: Text, position: int, length: int | None) -> set[int]:
    """Where in the malformed value at `position` objects and arrays begin that cannot be decoded either.

    They are those that are still open where it fails (`length` bytes on), and those that are nested too deep. With a
    `length` of None it fails at the first constant that is not JSON, or is itself nested too deep: then it is looked
    at as far as it takes to settle what lies in it, not further.
    """
    hopeless: set[int] = set()
    still_open: list[int] = []
    stop = len(text) if length is None else position + length
    is_at_fault = length is not None
    for token in _STRUCTURE.finditer(text, position, stop):
        place = token.start()
        if place > stop:
            break
        match text[place]:
            case 0x7B | 0x5B:  # an opening brace or bracket
                still_open.append(place)
                if len(still_open) > MAX_DEPTH:
                    if not hopeless and length is None:
                        stop = place + (place - position) + _BEYOND_DEPTH
                    hopeless.add(still_open[-MAX_DEPTH - 1])
            case 0x7D | 0x5D:
                still_open.pop()
                if not still_open:
                    break
            case 0x4E | 0x49:  # NaN, Infinity
                is_at_fault = True
                break
    return hopeless.union(still_open) if is_at_fault else hopeless


def member_texts(text: str) -> dict[str, str]:
    """The members of the JSON object that `text` is, each as the JSON text that stands there; the last counts."""
    members: dict[str, str] = {}
    position = _skip_white_space(text, 1)
    while text[position] != "}":
        key, position = json.decoder.scanstring(text, position + 1, True)  # type: ignore[attr-defined]
        position = _skip_white_space(text, _skip_white_space(text, position) + 1)
        _, end = _DECODER.raw_decode(text, position)
        members[key] = text[position:end]
        position = _skip_white_space(text, end)
        if text[position] == ",":
            position = _skip_white_space(text, position + 1)
    return members


def _skip_white_space(text: str, position: int) -> int:
    match = _WHITE_SPACE.match(text, position)
    return match.end() if match else position
