"""Records' texts side by side, and which of them Arrow's JSON reader may be given.

It reads more than JSON: NaN, bytes that are no UTF-8, a null behind a record. Texts that may hold such a thing are kept
from it. Nearly none do: all of them are looked through at once, and one by one only where something was found.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from contactlake.archive.compression import Text
from contactlake.archive.json_values import MAX_DEPTH
from contactlake.archive.records import CACHED_BYTES, WHITE

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
_Characters = npt.NDArray[np.uint8]

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE_PAIR = re.compile(rb"(?<!\\)\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_CONSTANT = re.compile(rb"[:,\[][ \t\r\n]*+-?(?:NaN|Inf)")
_NULL_BEHIND_RECORD = re.compile(rb"\}[ \t\r\n]*+null")
_WHITE = np.isin(np.arange(256), list(WHITE))
_LAST_WHITE = ord(" ")
_WIDEST_GAP = 2
"""A line's end. Texts further apart are joined anew."""
_LOOKED_AHEAD = 2


@dataclass(frozen=True)
class Texts(Sequence[memoryview]):
    """Texts that stand one after the other in `joined`, with nothing between them but white space."""

    joined: memoryview
    starts: Places
    ends: Places

    @classmethod
    def of(cls, texts: Sequence[bytes | memoryview]) -> "Texts":
        """`texts`, joined by line ends."""
        ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1) - 1
        starts = np.concatenate(([0], ends[:-1] + 1)) if len(texts) else ends
        return cls(memoryview(b"\n".join(texts)), starts, ends)

    @classmethod
    def within(cls, text: Text, pieces: Sequence[tuple[int, int]]) -> "Texts":
        """The `pieces` (start, end) of `text`, in their order; joined anew if more than line ends are between them."""
        bounds = np.fromiter(chain.from_iterable(pieces), dtype=np.int64, count=2 * len(pieces)).reshape(-1, 2)
        starts, ends = bounds[:, 0], bounds[:, 1]
        if len(pieces) and (starts[1:] - ends[:-1]).max(initial=0) <= _WIDEST_GAP:
            first, last = int(starts[0]), int(ends[-1])
            joined = memoryview(text)[first:last] if isinstance(text, bytes) else memoryview(text[first:last])
            texts = cls(joined, starts - first, ends - first)
            if texts._are_apart_by_white_space():
                return texts
        return cls.of([text[start:end] for start, end in pieces])

    @classmethod
    def together(cls, several: Sequence["Texts"]) -> "Texts":
        """The texts of `several`, one after the other."""
        if len(several) == 1:
            return several[0]
        joined = cls.of([texts.joined for texts in several])
        starts = [texts.starts + first for texts, first in zip(several, joined.starts, strict=True)]
        ends = [texts.ends + first for texts, first in zip(several, joined.starts, strict=True)]
        none = np.empty(0, dtype=np.int64)
        return cls(joined.joined, np.concatenate([none, *starts]), np.concatenate([none, *ends]))

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> memoryview:  # type: ignore[override]
        return self.joined[self.starts[number] : self.ends[number]]

    def __iter__(self) -> Iterator[memoryview]:
        return iter(self.some(slice(None)))

    def some(self, numbers: Places | slice) -> list[memoryview]:
        """The texts of those numbers."""
        bounds = zip(self.starts[numbers].tolist(), self.ends[numbers].tolist(), strict=True)
        return [self.joined[start:end] for start, end in bounds]

    def _are_apart_by_white_space(self) -> bool:
        behind, gaps = self.ends[:-1], self.starts[1:] - self.ends[:-1]
        characters = np.frombuffer(self.joined, dtype=np.uint8)
        return all(_WHITE[characters[behind[gaps > place] + place]].all() for place in range(gaps.max(initial=0)))


def plain_texts(texts: Texts) -> Mask:
    """Which of `texts` Arrow may be given: valid UTF-8, none of what it takes for JSON and is not, nothing deep."""
    openers, doubts = _looked_through(np.frombuffer(texts.joined, dtype=np.uint8))
    # How many brackets and braces each text opens, which it is nested no deeper than.
    is_plain: Mask = np.diff(np.searchsorted(openers, texts.ends), prepend=0) <= MAX_DEPTH
    if not doubts:
        return is_plain
    joined = bytes(texts.joined)
    if doubts := [is_doubtful for is_doubtful in doubts if is_doubtful(joined)]:
        is_plain &= [not any(is_doubtful(text) for is_doubtful in doubts) for text in map(bytes, texts)]
    return is_plain


def _looked_through(characters: _Characters) -> tuple[Places, list[Callable[[bytes], bool]]]:
    """Where brackets and braces are opened, and what there may be that Arrow must not see."""
    openers: list[Places] = [np.empty(0, dtype=np.int64)]
    doubts: dict[Callable[[bytes], bool], None] = {}
    for begin in range(0, len(characters), CACHED_BYTES):
        own = characters[begin : begin + CACHED_BYTES]
        openers.append(np.flatnonzero((own | 0x20) == ord("{")) + begin)
        if own.max() >= 0x80:
            doubts[_is_not_utf8] = None
        if own.min() == 0:
            doubts[_has_end] = None
        part = characters[begin : begin + CACHED_BYTES + _LOOKED_AHEAD]
        if _may_have_surrogate(part):
            doubts[_has_lone_surrogate] = None
        if _may_have_constant(part):
            doubts[_has_constant] = None
        if _may_have_null_behind(part):
            doubts[_has_null_behind] = None
    return np.concatenate(openers), list(doubts)


# --- whether there may be one, of many texts ---


def _may_have_surrogate(part: _Characters) -> bool:
    is_escape = part[:-2] == ord("\\")
    if not is_escape.any():
        return False
    places = np.flatnonzero(is_escape)
    return bool(((part[places + 1] == ord("u")) & ((part[places + 2] | 0x20) == ord("d"))).any())


def _may_have_constant(part: _Characters) -> bool:
    is_n = part == ord("N")
    if (is_n[:-2] & is_n[2:]).any():
        return True
    return bool(((part[:-2] == ord("I")) & (part[2:] == ord("f"))).any())


def _may_have_null_behind(part: _Characters) -> bool:
    behind = part[1:]
    is_suspect = (part[:-1] == ord("}")) & ((behind == ord("n")) | (behind <= _LAST_WHITE))
    if not is_suspect.any():
        return False
    places = np.flatnonzero(is_suspect)
    if (part[places + 1] == ord("n")).any():
        return True
    places = places[places < len(part) - 2]
    return bool((part[places + 2] != ord("{")).any())  # a line's end before the next record is nothing to look at


# --- whether there is one ---


def _is_not_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _has_lone_surrogate(text: bytes) -> bool:
    """Arrow refuses half a character, and with it everything that it was given."""
    return _SURROGATE.search(text) is not None and _SURROGATE.search(_SURROGATE_PAIR.sub(b"", text)) is not None


def _has_constant(text: bytes) -> bool:
    """Arrow reads NaN, Inf and Infinity."""
    return _CONSTANT.search(text) is not None


def _has_end(text: bytes) -> bool:
    """Arrow reads no further than a zero byte."""
    return b"\0" in text


def _has_null_behind(text: bytes) -> bool:
    """Arrow takes a null for a record, and is not safe with it."""
    return _NULL_BEHIND_RECORD.search(text) is not None
