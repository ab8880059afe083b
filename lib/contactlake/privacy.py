"""What is stored of customers: what becomes of their identifiers, and who is to be forgotten."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contactlake.tables.declaration import Table
from contactlake.tables.events import CONNECT_CONTACT, SYMBEE_INTERACTION

LINKS: Mapping[Table, tuple[str, ...]] = {
    SYMBEE_INTERACTION: ("task_id", "gateway_task_id"),
    CONNECT_CONTACT: ("contact_id",),
}
"""Per event table that tells of customers, the ids by which its rows are one customer's."""

Marks = npt.NDArray[np.bool_]
"""Of each row, whether it is one of those that are meant."""


_BETWEEN = r" \u00a0\u2000-\u200a\u202f\u3000().\-/\u2010-\u2015"
BETWEEN_DIGITS = re.compile(f"[{_BETWEEN}]+")
"""What may stand between the digits of a telephone number."""
_TELEPHONE = re.compile(rf"(?=[^0-9]*[0-9])[+0-9{_BETWEEN}]*")
_NOT_DIALLED = re.compile(r"[^+0-9]+")


def plain_form(value: str) -> str:
    """The value trimmed and lower-cased; of a telephone number, `+` and digits alone.

    A telephone number is what is written with digits, `+`, spaces and hyphens of any width, brackets, dots and slashes
    alone.
    """
    plain = value.strip().lower()
    return _NOT_DIALLED.sub("", plain) if _TELEPHONE.fullmatch(plain) else plain


def pseudonym(value: str, key: bytes) -> str:
    """HMAC-SHA-256, hex, of the value's plain form."""
    keyed = _keyed(key).copy()
    keyed.update(plain_form(value).encode("utf-8", "surrogatepass"))
    return keyed.hexdigest()


@lru_cache(maxsize=1)
def _keyed(key: bytes) -> hmac.HMAC:
    """The hash with the key taken in, which takes longer than a value."""
    return hmac.new(key, digestmod="sha256")


@dataclass(frozen=True)
class Suppression:
    """Whose rows must not tell of them: `hashes` are pseudonyms of their identifiers, and of ids of their work."""

    hashes: frozenset[str]
    key: bytes = field(repr=False)

    def __bool__(self) -> bool:
        return bool(self.hashes)

    def holds(self, value: str) -> bool:
        """Whether `value`, as it was written or as its pseudonym, is one of them."""
        return value in self.hashes or pseudonym(value, self.key) in self.hashes

    def rows(self, columns: Mapping[str, pa.Array | pa.ChunkedArray], names: tuple[str, ...]) -> Marks:
        """The rows of `columns` of which one of `names` holds one of them: texts, or maps with texts as values."""
        return np.logical_or.reduce([self._column(columns[name]) for name in names])  # type: ignore[no-any-return]

    def _column(self, values: pa.Array | pa.ChunkedArray) -> Marks:
        if not pa.types.is_map(values.type):
            texts = values.to_pylist()
            held = {text for text in set(texts) - {None} if self.holds(text)}
            return np.fromiter((text in held for text in texts), dtype=bool, count=len(texts))
        return np.fromiter(
            (any(text is not None and self.holds(text) for _, text in entries or ()) for entries in values.to_pylist()),
            dtype=bool,
            count=len(values),
        )


@dataclass(frozen=True)
class Privacy:
    """What becomes of customers' identifiers: `mode` is drop, hash or keep; `key` is of the hash.

    `suppressed` are the pseudonyms of those who are to be forgotten: nothing of theirs is stored in any mode.
    """

    mode: str
    key: bytes = field(repr=False)
    attributes_keep: tuple[str, ...]
    suppressed: frozenset[str] = frozenset()

    def column(self, values: pa.Array) -> pa.Array:
        """A column of identifiers as it may be stored."""
        if self.mode == "keep":
            return values
        if self.mode == "drop":
            return pa.nulls(len(values), pa.string())
        hashes: dict[str | None, str | None] = {None: None}
        texts = values.to_pylist()
        hashes |= {text: pseudonym(text, self.key) for text in set(texts) - {None}}
        return pa.array([hashes[text] for text in texts], type=pa.string())

    def text(self, value: str) -> str | None:
        """A refused record's text as it may be stored.

        Whose it is cannot be told from text that is not as it should be: once anybody is to be forgotten, none is kept.
        """
        if self.mode == "keep":
            return None if self.suppressed else value
        return None if self.mode == "drop" else pseudonym(value, self.key)

    def forgotten(self, table: Table, columns: Mapping[str, pa.Array]) -> Marks | None:
        """The rows, as they were read, that are of somebody who is to be forgotten; None where there are none."""
        if not self.suppressed or table not in LINKS:
            return None
        names = (*table.identifying, *LINKS[table])
        marks = Suppression(self.suppressed, self.key).rows(columns, names)
        return marks if marks.any() else None
