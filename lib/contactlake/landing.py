"""Landing: the executors read the archive's objects once and lay down what they hold as Parquet, by table.

Runs inside `mapInArrow`. Each object's records become typed rows, quarantined records and counts in one pass; a small
manifest goes back to the driver. Memory is bounded by the block, the longest record and the size of a landed file.
Rows of a table that is still empty are laid down as files of the table itself, which a commit then only has to name.
"""

import hashlib
import io
import traceback
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contactlake.archive.compression import UnreadableObject, open_text
from contactlake.archive.storage import ObjectStore, ObjectVanished
from contactlake.data_files import DataFile, DataWriter
from contactlake.errors import StorageError
from contactlake.feeds import feed_named
from contactlake.feeds.arrow_schema import arrow_schema
from contactlake.feeds.block import Decoded, Quarantined, decode_text
from contactlake.feeds.record_type import Context, Feed
from contactlake.privacy import Privacy
from contactlake.retention import Outdated, dated_at
from contactlake.tables.declaration import Table
from contactlake.tables.ops import QUARANTINE

_FILE_BYTES = 64 << 20
"""Rows of one table are laid down once they take this much memory."""

UNKNOWN_TYPE = "(unknown)"
"""The record type of a record whose type could not be told."""

VERSION_COLUMN = "landed_version_at"
"""Beside a table's columns: when the record's object was modified, the version of an object that is one row."""

MANIFEST = pa.schema(
    [
        pa.field("entry", pa.int32()),
        pa.field("key", pa.string()),
        pa.field("status", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("record_type", pa.string()),
        pa.field("table", pa.string()),
        pa.field("file", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("records", pa.int64()),
        pa.field("quarantined", pa.int64()),
        pa.field("least", pa.int64()),
        pa.field("greatest", pa.int64()),
        pa.field("nulls", pa.int64()),
    ]
)
"""Per object (READ, VANISHED, REFUSED), per object and record type (COUNT), and per file laid down (FILE; of a file of
the table itself, `file` is below the table's folder and `detail` its statistics; of others, `least`, `greatest` and
`nulls` are of the table's `lasting` instant, in microseconds since 1970)."""

MANIFEST_DDL = (
    "entry int, key string, status string, detail string, record_type string, `table` string, file string, "
    "size bigint, records bigint, quarantined bigint, least bigint, greatest bigint, nulls bigint"
)


@dataclass(frozen=True)
class Entry:
    """One feed entry of the configuration, as an executor needs it."""

    feed: str
    store: ObjectStore
    environment: str | None


@dataclass(frozen=True)
class Landing:
    """Everything an executor is told; pickled with the task."""

    entries: tuple[Entry, ...]
    lake: ObjectStore
    folder: str
    """Where files are laid down, below the lake's root."""
    adopting: Mapping[str, DataWriter]
    """Tables, by their paths, whose rows are laid down as files of the table itself."""
    privacy: Privacy
    max_decompressed_bytes: int
    run_id: str
    as_of: datetime
    expired_before: datetime | None = None
    """Events that are dated before are left out: they have expired."""

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Reads the objects that `batches` name (the parameters of `_Writer.read_object`); yields `MANIFEST`."""
        writer = _Writer(self)
        for batch in batches:
            for row in batch.to_pylist():
                yield _manifest(writer.read_object(**row))
        yield _manifest(writer.finish())


def _manifest(rows: list[dict[str, object]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{name: row.get(name) for name in MANIFEST.names} for row in rows], MANIFEST)


class _Writer:
    """Collects rows over a task's objects and lays them down, a file per table at a time."""

    def __init__(self, landing: Landing) -> None:
        self._landing = landing
        self._tables: dict[str, Table] = {}
        self._pending: dict[str, list[pa.Table]] = defaultdict(list)
        self._pending_bytes: Counter[str] = Counter()
        self._files: list[dict[str, object]] = []

    def read_object(
        self, entry: int, key: str, size: int, etag: str, arrival_at: datetime, modified_at: datetime
    ) -> list[dict[str, object]]:
        """One object's part of the manifest."""
        try:
            counts = self._read(self._landing.entries[entry], key, size, etag, arrival_at, modified_at)
        except ObjectVanished as fault:
            return [{"entry": entry, "key": key, "status": "VANISHED", "detail": str(fault)}]
        except StorageError as fault:
            return [{"entry": entry, "key": key, "status": "REFUSED", "detail": str(fault)}]
        except Exception as fault:
            # What a library says of a value it cannot take may be the value: where it was and what kind is enough.
            places = "".join(traceback.format_tb(fault.__traceback__))
            uri = self._landing.entries[entry].store.uri_of(key)
            raise RuntimeError(f"{uri}: {type(fault).__name__} in\n{places}") from None
        rows: list[dict[str, object]] = [
            {
                "entry": entry,
                "key": key,
                "status": "READ",
                "records": sum(records for records, _ in counts.values()),
                "quarantined": sum(quarantined for _, quarantined in counts.values()),
            }
        ]
        for record_type, (records, quarantined) in counts.items():
            rows.append(
                {
                    "entry": entry,
                    "key": key,
                    "status": "COUNT",
                    "record_type": record_type,
                    "records": records,
                    "quarantined": quarantined,
                }
            )
        return rows

    def _read(
        self, source: Entry, key: str, size: int, etag: str, arrival_at: datetime, modified_at: datetime
    ) -> "_Counts":
        """Collects the records of the object that was listed with `etag`, which is what the ledger will say.

        The store raises its errors before the first of them, or not at all.
        """
        landing = self._landing
        privacy = landing.privacy
        context = Context(source.environment, privacy.attributes_keep, privacy.column, key, privacy.forgotten)
        counts: _Counts = defaultdict(lambda: [0, 0])
        try:
            with (
                source.store.open(key, etag) as stream,
                open_text(stream, key, landing.max_decompressed_bytes) as text,
            ):
                for decoded in decode_text(text, feed_named(source.feed), context):
                    self._add_rows(source.store.uri_of(key), modified_at, decoded)
                    self._add_quarantined(source, key, arrival_at, decoded.quarantined)
                    _count(decoded, counts)
        except UnreadableObject as fault:
            unreadable = _unreadable(source.store, key, size, etag, fault)
            self._add_quarantined(source, key, arrival_at, [unreadable])
            counts[UNKNOWN_TYPE] = [1, 1]
        return counts

    def finish(self) -> list[dict[str, object]]:
        for path in list(self._pending):
            self._lay_down(path)
        return self._files

    def _add_rows(self, source_object: str, modified_at: datetime, decoded: Decoded) -> None:
        for record_type, rows in decoded.rows:
            length = rows.num_rows
            instant = pa.timestamp("us", "UTC")
            for name, value in (
                ("source_object", pa.scalar(source_object, pa.string())),
                ("ingested_at", pa.scalar(self._landing.as_of, instant)),
                (VERSION_COLUMN, pa.scalar(modified_at, instant)),
            ):
                rows = rows.append_column(name, pa.repeat(value, length))
            if (before := self._landing.expired_before) is not None:
                outdated = Outdated(dated_at(record_type.table), before)
                rows = outdated.apply(rows, outdated.marks(rows))
            if rows.num_rows:
                self._add(record_type.table, rows)

    def _add_quarantined(self, source: Entry, key: str, arrival_at: datetime, quarantined: list[Quarantined]) -> None:
        if not quarantined:
            return
        rows = [
            {
                "feed": source.feed,
                "object": source.store.uri_of(key),
                "ordinal": refused.ordinal,
                "record_type": refused.record_type,
                "reason": refused.reason,
                "detail": refused.detail,
                "raw": _raw(refused, feed_named(source.feed), self._landing.privacy),
                "record_sha256": refused.sha256,
                "bytes": refused.size,
                "arrival_at": arrival_at,
                "run_id": self._landing.run_id,
                "quarantined_at": self._landing.as_of,
            }
            for refused in quarantined
        ]
        self._add(QUARANTINE, pa.Table.from_pylist(rows, arrow_schema(QUARANTINE)))

    def _add(self, table: Table, rows: pa.Table) -> None:
        self._tables[table.path] = table
        self._pending[table.path].append(rows)
        self._pending_bytes[table.path] += rows.nbytes
        if self._pending_bytes[table.path] >= _FILE_BYTES:
            self._lay_down(table.path)

    def _lay_down(self, path: str) -> None:
        """The pending rows of the table at `path`, as one file."""
        rows = pa.concat_tables(self._pending.pop(path))
        del self._pending_bytes[path]
        if path in self._landing.adopting:
            self._files += [_laid(path, file) for file in self._landing.adopting[path].write([rows])]
            return
        buffer = io.BytesIO()
        pq.write_table(rows, buffer, compression="snappy", store_schema=False, write_statistics=False)
        name = path.rpartition("/")[2]
        file = f"{self._landing.folder}/{name}/{uuid.uuid4().hex}.parquet"
        self._landing.lake.write(file, buffer.getvalue())
        laid = {"status": "FILE", "table": path, "file": file, "records": rows.num_rows}
        lasting = self._tables[path].lasting
        self._files.append(laid | (_bounds(rows[lasting]) if lasting else {}))


def _bounds(instants: pa.ChunkedArray) -> dict[str, object]:
    bounds = pc.min_max(instants.cast(pa.int64())).as_py()
    return {"least": bounds["min"], "greatest": bounds["max"], "nulls": instants.null_count}


def _laid(path: str, file: DataFile) -> dict[str, object]:
    return {
        "status": "FILE",
        "table": path,
        "file": file.path,
        "size": file.size,
        "records": file.rows,
        "detail": file.statistics,
    }


def _raw(refused: Quarantined, feed: Feed, privacy: Privacy) -> str | None:
    if refused.ordinal < 0 or (feed.holds_messages and privacy.mode == "keep"):
        return None
    return privacy.text(refused.text.decode("utf-8", "backslashreplace"))


_Counts = dict[str, list[int]]
"""Per record type: records, and of these quarantined."""


def _count(decoded: Decoded, counts: _Counts) -> None:
    for record_type, rows in decoded.rows:
        counts[record_type.name][0] += rows.num_rows
    for refused in decoded.quarantined:
        entry = counts[refused.record_type or UNKNOWN_TYPE]
        entry[0] += 1
        entry[1] += 1


def _unreadable(store: ObjectStore, key: str, size: int, etag: str, fault: UnreadableObject) -> Quarantined:
    """The object as one refused record; its hash is of its bytes as they are stored."""
    digest = hashlib.sha256()
    with store.open(key, etag) as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return Quarantined(-1, None, "UNREADABLE_OBJECT", fault.detail, b"", digest.hexdigest(), size)
