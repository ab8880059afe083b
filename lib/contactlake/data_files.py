"""Data files: rows laid down as Parquet below a table's folder, with the statistics that Delta keeps of them.

Runs inside `mapInArrow` and on the driver alike. A file counts once a commit names it; one that none names is rubbish.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contactlake.archive.storage import ObjectStore
from contactlake.feeds.arrow_schema import arrow_schema
from contactlake.file_statistics import Statistic, delta_statistics
from contactlake.parquet_encodings import encodings
from contactlake.tables.declaration import BUSINESS_DATE, Table
from contactlake.workers import give_back, spare_jars

_GREATEST_ROW_GROUP, _LEAST_ROW_GROUP = 16 << 20, 2 << 20
"""Arrow memory of the rows of one row group where a writer fills one file or two, and where it fills many at once."""
_WAITING_BYTES = 32 << 20
"""Arrow memory of the rows that wait for a row group, in all files of a writer together, unless there are many."""
_FILE_BYTES = 128 << 20
"""Arrow memory of the rows of one file."""
_HELD_BYTES = 64 << 20
"""The most that a writer holds of all its files together: rows that wait, and finished row groups."""
_GATHERED_ROWS = 20_000
_NO_DATE = "__HIVE_DEFAULT_PARTITION__"

MANIFEST = pa.schema(
    [
        pa.field("path", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("business_date", pa.string()),
        pa.field("rows", pa.int64()),
        pa.field("statistics", pa.string()),
        pa.field("dates", pa.list_(pa.string())),
    ]
)
MANIFEST_DDL = "path string, size bigint, business_date string, rows bigint, statistics string, dates array<string>"


@dataclass(frozen=True)
class DataFile:
    """One file of a table: `path` is below the table's folder, `statistics` is Delta's JSON.

    `business_date` is the date of its rows, ISO, where they are kept apart by date; `dates` are those that they are
    counted on, ISO, where the table tells at which instants they are.
    """

    path: str
    size: int
    business_date: str | None
    rows: int
    statistics: str
    dates: Sequence[str] = ()


@dataclass(frozen=True)
class DataWriter:
    """Lays rows down as files of one table; pickled with the task.

    Rows of different business dates go into different files, so that replacing a date touches its own files alone.
    """

    store: ObjectStore
    folder: str
    schema: pa.Schema
    statistics: tuple[str, ...]
    is_partitioned: bool
    dated_by: str | None
    """The column that tells the date by which rows are kept apart."""
    counted_at: tuple[tuple[str, ...], ...]
    """The instants that rows are counted at, each the first of so many columns that is there."""
    timezone: str

    @classmethod
    def of(cls, table: Table, store: ObjectStore, timezone: str) -> "DataWriter":
        schema = arrow_schema(table)
        is_partitioned = table.partition_by == (BUSINESS_DATE,)
        dated_by = table.dated_by if is_partitioned or table.dated_by != BUSINESS_DATE else None
        return cls(store, table.path, schema, table.statistics, is_partitioned, dated_by, table.counted_at, timezone)

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Writes `batches`, which hold the table's columns; yields `MANIFEST`."""
        spare_jars()
        rows = [vars(file) for file in self.write(_gathered(batches))]
        give_back()
        yield pa.RecordBatch.from_pylist(rows, MANIFEST)

    def write(self, tables: Iterable[pa.Table]) -> list[DataFile]:
        """Writes `tables` and says which files hold them."""
        files: list[DataFile] = []
        filling: dict[date | None, _Filling] = {}
        for table in tables:
            for day, rows in self._by_date(with_columns(table, self.schema)):
                if day not in filling:
                    filling[day] = _Filling(self, day)
                filling[day].add(rows)
                if filling[day].waiting >= _row_group_bytes(len(filling)):
                    filling[day].flush()
                if filling[day].bytes >= _FILE_BYTES:
                    files.append(filling.pop(day).close())
                while sum(file.held for file in filling.values()) >= _HELD_BYTES:
                    largest = max(filling, key=lambda day: filling[day].held)
                    files.append(filling.pop(largest).close())
        return files + [file.close() for file in filling.values()]

    def _by_date(self, rows: pa.Table) -> Iterator[tuple[date | None, pa.Table]]:
        if not rows.num_rows:
            return
        if self.dated_by is None:
            yield None, rows
            return
        dates = self.dates_of(rows[self.dated_by])
        days = dates.unique().to_pylist()
        for day in days:
            if len(days) == 1:
                yield day, rows
            else:
                yield day, rows.filter(dates.is_null() if day is None else pc.equal(dates, pa.scalar(day)))

    def dates_of(self, values: pa.ChunkedArray) -> pa.ChunkedArray:
        """The business dates of instants; dates are those they are."""
        if pa.types.is_date(values.type):
            return values
        days = pc.local_timestamp(values.cast(pa.timestamp("us", self.timezone))).cast(pa.date32())
        days = pc.max_element_wise(days, pa.scalar(date.min), skip_nulls=False)
        return pc.min_element_wise(days, pa.scalar(date.max), skip_nulls=False)


SIFTED = pa.schema([pa.field("sifted", pa.string()), *MANIFEST])
SIFTED_DDL = f"sifted string, {MANIFEST_DDL}"


@dataclass(frozen=True)
class Sieve:
    """Lays files of one table down anew without some of their rows; pickled with the task."""

    writer: DataWriter

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Sifts the files that `batches` name (file, losers: numbers of its rows); yields `SIFTED`."""
        for batch in batches:
            yield from self.sift(batch).to_batches()

    def sift(self, files: pa.Table | pa.RecordBatch) -> pa.Table:
        """As above, of a table: a row per file, of which nothing but `sifted` is there where no row is left of it."""
        sifted: list[dict[str, Any]] = []
        for row in files.to_pylist():
            content = self.writer.store.read(f"{self.writer.folder}/{row['file']}")
            rows = read_rows(content)
            is_kept = np.ones(rows.num_rows, dtype=bool)
            is_kept[row["losers"]] = False
            laid = self.writer.write([rows.filter(pa.array(is_kept))])
            sifted += [{"sifted": row["file"], **vars(file)} for file in laid] or [{"sifted": row["file"]}]
        return pa.Table.from_pylist(sifted, SIFTED)


class RowChange(Protocol):
    """Which rows of a table are to be changed, told by some of their columns, and what becomes of them; pickled."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What `marks` looks at."""

    def marks(self, rows: pa.Table) -> "npt.NDArray[np.bool_]":
        """Whether each of `rows` is to be changed."""

    def apply(self, rows: pa.Table, marks: "npt.NDArray[np.bool_]") -> pa.Table:
        """`rows` with the marked ones changed, or without them."""


REWRITTEN = pa.schema([pa.field("rewritten", pa.string()), pa.field("changed", pa.int64()), *MANIFEST])
REWRITTEN_DDL = f"rewritten string, changed bigint, {MANIFEST_DDL}"


@dataclass(frozen=True)
class Rewriter:
    """Lays those files of one table down anew that hold rows to be changed; pickled with the task."""

    writer: DataWriter
    change: RowChange

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Looks through the files that `batches` name (file); yields `REWRITTEN`."""
        for batch in batches:
            yield from self.rewrite(batch).to_batches()

    def rewrite(self, files: pa.Table | pa.RecordBatch) -> pa.Table:
        """As above, of a table: of each file that is replaced how many rows were changed, and what replaces it."""
        rewritten: list[dict[str, Any]] = []
        for row in files.to_pylist():
            content = self.writer.store.read(f"{self.writer.folder}/{row['file']}")
            asked = pa.schema([self.writer.schema.field(name) for name in self.change.columns])
            marks = self.change.marks(with_columns(read_rows(content, self.change.columns), asked))
            if not marks.any():
                continue
            rows = with_columns(read_rows(content), self.writer.schema)
            laid = self.writer.write([self.change.apply(rows, marks)])
            rewritten.append({"rewritten": row["file"], "changed": int(marks.sum())})
            rewritten += [{"rewritten": row["file"], "changed": 0, **vars(file)} for file in laid]
        return pa.Table.from_pylist(rewritten, REWRITTEN)


def read_rows(content: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a Parquet file, whoever wrote it: Spark's old timestamps as microseconds.

    With `columns`, those of them that the file has: others have come to the table later.
    """
    file = pq.ParquetFile(pa.BufferReader(content), coerce_int96_timestamp_unit="us")
    return file.read(None if columns is None else [name for name in columns if name in file.schema_arrow.names])


def with_columns(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """`rows` with the columns of `schema`; those that it lacks are null."""
    for field in schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field.name, pa.nulls(rows.num_rows, field.type))
    return rows.select(schema.names).cast(schema)


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """`batches`, so many together that what is done with a table once does not count."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _GATHERED_ROWS or size >= _GREATEST_ROW_GROUP:
            yield pa.Table.from_batches(waiting).combine_chunks()
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()


def _row_group_bytes(files: int) -> int:
    """How much waits for a row group of one file, where so many are filled at once."""
    return max(_LEAST_ROW_GROUP, min(_GREATEST_ROW_GROUP, _WAITING_BYTES // files))


class _Filling:
    """A file that is being filled: rows wait for a row group, finished groups lie compressed in memory."""

    def __init__(self, writer: DataWriter, day: date | None) -> None:
        self._writer, self._day = writer, day
        schema = writer.schema
        if writer.is_partitioned:
            schema = schema.remove(schema.get_field_index(BUSINESS_DATE))
        self._schema = schema
        self._sink = pa.BufferOutputStream()
        self._waiting: list[pa.Table] = []
        self.waiting = 0
        """Arrow memory of its rows that wait for a row group."""
        self._rows = 0
        self._statistics = {name: Statistic() for name in writer.statistics}
        self._dates: set[date] = set()
        self.bytes = 0
        """Arrow memory of all rows so far."""

    @cached_property
    def _parquet(self) -> pq.ParquetWriter:
        """Opened once there are rows: the first ones tell how all are laid down."""
        return pq.ParquetWriter(
            self._sink,
            self._schema,
            store_schema=False,
            write_statistics=list(self._writer.statistics) or False,
            **encodings(pa.concat_tables(self._waiting)),
        )

    @property
    def held(self) -> int:
        return self.waiting + int(self._sink.tell())

    def add(self, rows: pa.Table) -> None:
        rows = rows.select(self._schema.names)
        for name, statistic in self._statistics.items():
            statistic.add(rows[name])
        for columns in self._writer.counted_at:
            instants = pc.coalesce(*(rows[name] for name in columns))
            self._dates.update(self._writer.dates_of(instants).drop_null().unique().to_pylist())
        self._rows += rows.num_rows
        self._waiting.append(rows)
        self.waiting += rows.nbytes
        self.bytes += rows.nbytes

    def flush(self) -> None:
        self._parquet.write_table(pa.concat_tables(self._waiting))
        self._waiting, self.waiting = [], 0
        pa.default_memory_pool().release_unused()  # what the rows took, and what writing them took on top

    def close(self) -> DataFile:
        if self._waiting:
            self.flush()
        self._parquet.close()
        content = self._sink.getvalue().to_pybytes()
        day = None if self._day is None else self._day.isoformat()
        folder = f"{BUSINESS_DATE}={day or _NO_DATE}/" if self._writer.is_partitioned else ""
        path = f"{folder}{uuid.uuid4().hex}.snappy.parquet"
        self._writer.store.write(f"{self._writer.folder}/{path}", content)
        statistics = delta_statistics(self._rows, self._statistics)
        dates = [each.isoformat() for each in sorted(self._dates)]
        return DataFile(path, len(content), day, self._rows, statistics, dates)
