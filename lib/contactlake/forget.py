"""`forget`: erases customers from the lake, and keeps them out of it.

Rows and figures stay; what tells whose they are is nulled, and what held it before goes from disk.
"""

import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from contactlake.archive.storage import ObjectStore
from contactlake.care import from_files, purge, rewrite
from contactlake.config import PSEUDONYM_KEY_VARIABLE, Configuration
from contactlake.data_files import read_rows, with_columns
from contactlake.errors import ConfigurationError
from contactlake.feeds.arrow_schema import arrow_schema
from contactlake.feeds.rows import nulled
from contactlake.privacy import BETWEEN_DIGITS, LINKS, Marks, Suppression, plain_form, pseudonym
from contactlake.session import for_little
from contactlake.standing_orders import Suppressed, write_suppressed
from contactlake.store import Lake
from contactlake.tables.declaration import Table
from contactlake.tables.ops import QUARANTINE
from contactlake.tenure import Progress, Tenure, hold_lake

_LITTLE_BYTES = 32 << 20
_TOLD = pa.schema([pa.field("id", pa.string())])
_TOLD_DDL = "id string"
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
"""JSON's escapes, and what stands for a byte that is no UTF-8, which most likely is Latin-1."""
_SHORTEST_CUT = 4
"""So many characters of an identifier at the end of a text that was cut are taken for the identifier."""


def customers_named(named: Sequence[str], file: str | None) -> list[str]:
    """The values on the command line and in `file`, one a line, `-` being stdin.

    Raises `ConfigurationError`, which never tells a value.
    """
    values = list(named)
    if file is not None:
        try:
            content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
            values += [line for line in content.decode("utf-8-sig").splitlines() if line.strip()]
        except OSError as fault:
            raise ConfigurationError(
                f"--file {file} cannot be read ({fault.strerror})", "name a readable file"
            ) from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"--file {file} is not UTF-8", "write one value a line, in UTF-8") from None
    if not values:
        raise ConfigurationError("no customer is named", "give --customer VALUE, or --file with one value a line")
    if not all(plain_form(value).strip("+") for value in values):
        raise ConfigurationError("--customer is given an empty value", "give a number, name or address")
    return values


@dataclass(frozen=True)
class _Ids:
    """Finds the ids of tasks and contacts whose rows tell of the suppressed; pickled with the task."""

    store: ObjectStore
    table: Table
    suppression: Suppression

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from self.find(batch).to_batches()

    def find(self, files: pa.Table | pa.RecordBatch) -> pa.Table:
        """The ids (id) that the files (file) hold."""
        links = LINKS[self.table]
        found: set[str] = set()
        for row in files.to_pylist():
            content = self.store.read(f"{self.table.path}/{row['file']}")
            columns = (*self.table.identifying, *links)
            asked = pa.schema([arrow_schema(self.table).field(name) for name in columns])
            rows = with_columns(read_rows(content, columns), asked)
            marks = pa.array(self.suppression.rows(rows, self.table.identifying))
            found |= {text for name in links for text in rows[name].filter(marks).to_pylist() if text}
        return pa.table({"id": pa.array(sorted(found), pa.string())}, _TOLD)


@dataclass(frozen=True)
class _Erasure:
    """Nulls what tells of the suppressed, in the rows of theirs and those that share an id with them."""

    table: Table
    suppression: Suppression

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.table.identifying, *LINKS[self.table])

    def marks(self, rows: pa.Table) -> Marks:
        tells = np.logical_or.reduce([rows[name].is_valid().to_numpy() for name in self.table.identifying])
        theirs: Marks = tells & self.suppression.rows(rows, self.columns)
        return theirs

    def apply(self, rows: pa.Table, marks: Marks) -> pa.Table:
        return _nulled(rows, self.table.identifying, marks)


@dataclass(frozen=True)
class _Redaction:
    """Nulls the text of quarantined records that mention one of `plain`: values in their plain form, and ids."""

    plain: frozenset[str]
    columns: tuple[str, ...] = QUARANTINE.identifying

    def marks(self, rows: pa.Table) -> Marks:
        texts = rows[self.columns[0]].to_pylist()
        return np.fromiter((text is not None and self._is_told_by(text) for text in texts), bool, len(texts))

    def _is_told_by(self, raw: str) -> bool:
        return mentions(raw, self.plain)

    def apply(self, rows: pa.Table, marks: Marks) -> pa.Table:
        return _nulled(rows, self.columns, marks)


def mentions(raw: str, plain: Collection[str]) -> bool:
    """Whether a refused record's text holds one of `plain` (plain forms), however it is written in JSON.

    A text that was cut may end with the beginning of one.
    """
    unescaped = _ESCAPED.sub(lambda escape: escape[3] or chr(int(escape[1] or escape[2], 16)), raw)
    unescaped = unescaped.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # halves become characters
    raw, text = raw.lower(), f"{raw}\n{unescaped}".lower()
    dialled = BETWEEN_DIGITS.sub("", text)
    for value in plain:
        is_number = not value.strip("+0123456789")
        told, sought = (dialled, value.strip("+")) if is_number else (text, value)
        if sought in told or any(
            told.endswith(sought[:length]) or raw.endswith(sought[:length])
            for length in range(_SHORTEST_CUT, len(sought))
        ):
            return True
    return False


def _nulled(rows: pa.Table, names: Sequence[str], marks: Marks) -> pa.Table:
    for name in names:
        column = rows[name].combine_chunks()
        rows = rows.set_column(rows.schema.get_field_index(name), name, nulled(column, marks))
    return rows


def forget(configuration: Configuration, customers: Sequence[str], progress: Progress) -> dict[str, Any]:
    """Erases `customers`, told by their numbers, names or addresses; returns what was done, in figures alone.

    They are put on the list of those who are to be forgotten first: whatever comes after, they stay out. Then rows are
    nulled, which stands once it is in `ops/run`; at last all earlier versions go from disk.
    Raises `ContactlakeError`.
    """
    key = os.environ.get(PSEUDONYM_KEY_VARIABLE, "").encode()
    if not key:
        raise ConfigurationError(
            "the list of customers to be forgotten needs a key",
            f"set {PSEUDONYM_KEY_VARIABLE} in the environment, to the same for every run",
        )
    asked = frozenset(pseudonym(value, key) for value in customers)
    with hold_lake(configuration, "forget", None, progress, lambda tenure: tenure.suppressed.check_key(key)) as tenure:
        lake, before = tenure.lake, tenure.suppressed
        tables = [*LINKS, QUARANTINE]
        lake.is_little = lake.size(tables) < _LITTLE_BYTES
        with _settings(lake):
            suppressed = _suppress(tenure, before, before.extended(asked, frozenset(), key))
            with tenure.step("look for their rows"):
                ids = _ids(lake, Suppression(suppressed.customers, key))
            hashed = frozenset(pseudonym(one, key) for one in ids)
            suppressed = _suppress(tenure, suppressed, suppressed.extended(frozenset(), hashed, key))
            with tenure.step("null them"):
                suppression = Suppression(suppressed.hashes, key)
                nulled_rows = {
                    table.path: rewrite(lake, table, _Erasure(table, suppression), lake.files(table)) for table in LINKS
                }
                plain = frozenset({plain_form(value) for value in customers} | {one.lower() for one in ids})
                nulled_rows[QUARANTINE.path] = rewrite(lake, QUARANTINE, _Redaction(plain), lake.files(QUARANTINE))
        summary: dict[str, Any] = {
            "run_id": tenure.record.run_id,
            "customers": len(asked),
            "suppressed": len(suppressed.customers - before.customers),
            "rows": nulled_rows,
        }
        tenure.complete(summary)
        with tenure.step("remove what was before"):
            summary["files_removed"] = sum(purge(lake, table) for table in tables)
    return summary


def _settings(lake: Lake) -> AbstractContextManager[None]:
    return for_little(lake.spark) if lake.is_little else nullcontext()


def _suppress(tenure: Tenure, before: Suppressed, wanted: Suppressed) -> Suppressed:
    if wanted != before:
        with tenure.step("keep them out"):
            tenure.lake.check_lease()
            write_suppressed(tenure.lake.store, tenure.record.run_id, wanted)
    return wanted


def _ids(lake: Lake, suppression: Suppression) -> set[str]:
    """The ids of all tasks and contacts whose rows tell of the suppressed."""
    found: set[str] = set()
    for table in LINKS:
        finder = _Ids(lake.store, table, suppression)
        found |= {row["id"] for row in from_files(lake, lake.files(table), finder.find, finder, _TOLD_DDL)}
    return found
