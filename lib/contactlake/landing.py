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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contactlake.archive.compression import UnreadableObject, open_text
from contactlake.archive.storage import ObjectStore, ObjectVanished
from contactlake.data_files import DataFile, DataWriter
from contactlake.errors import StorageError
from contactlake.feeds import feed_named
from contactlake.feeds.arrow_schema import arrow_schema
from contactlake.feeds.block import Decoded, Quarantined, Stretch, decode, stretches
from contactlake.feeds.record_type import Context, Feed
from contactlake.privacy import Privacy
from contactlake.retention import Outdated, dated_at
from contactlake.tables.declaration import Table
from contactlake.tables.ops import QUARANTINE
from contactlake.workers import give_back, spare_jars

_BATCH_BYTES = 4 << 20
"""So much text of one source is decoded at once: a call for each small object would cost more than what it does."""
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
        pa.field("dates", pa.list_(pa.string())),
    ]
)
"""Per object (READ, VANISHED, REFUSED), per object and record type (COUNT), and per file laid down (FILE; of a file of
the table itself, `file` is below the table's folder, `detail` its statistics and `dates` those its rows are counted on;
of others, `least`, `greatest` and `nulls` are of the table's `lasting` instant, in microseconds since 1970)."""

MANIFEST_DDL = (
    "entry int, key string, status string, detail string, record_type string, `table` string, file string, "
    "size bigint, records bigint, quarantined bigint, least bigint, greatest bigint, nulls bigint, dates array<string>"
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
        spare_jars()
        writer = _Writer(self)
        for batch in batches:
            for row in batch.to_pylist():
                writer.read_object(**row)
                if told := writer.told():
                    yield _manifest(told)
        writer.finish()
        told = writer.told()
        del writer
        give_back()
        yield _manifest(told)


def _manifest(rows: list[dict[str, object]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{name: row.get(name) for name in MANIFEST.names} for row in rows], MANIFEST)


@dataclass(eq=False)
class _Object:
    """An object that is being read."""

    entry: int
    source: Entry
    key: str
    size: int
    etag: str
    arrival_at: datetime
    modified_at: datetime
    counts: "_Counts" = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    @property
    def uri(self) -> str:
        return self.source.store.uri_of(self.key)


class _Unforeseen(RuntimeError):
    """A fault of the program's own, which names the objects that it came up with, and nothing of what they hold."""


@contextmanager
def _placed(items: Sequence[_Object]) -> Iterator[None]:
    """Says of what goes wrong where it was.

    What a library says of a value it cannot take may be the value: where it was and what kind is enough.
    """
    try:
        yield
    except (StorageError, _Unforeseen):
        raise
    except Exception as fault:
        places = "".join(traceback.format_tb(fault.__traceback__))
        uris = list(dict.fromkeys(item.uri for item in items))
        where = uris[0] if len(uris) == 1 else f"one of {len(uris)} objects from {uris[0]} to {uris[-1]}"
        raise _Unforeseen(f"{where}: {type(fault).__name__} in\n{places}") from None


class _Writer:
    """Collects rows over a task's objects and lays them down, a file per table at a time."""

    def __init__(self, landing: Landing) -> None:
        self._landing = landing
        self._tables: dict[str, Table] = {}
        self._pending: dict[str, list[pa.Table]] = defaultdict(list)
        self._pending_bytes: Counter[str] = Counter()
        self._told: list[dict[str, object]] = []
        self._unread: list[_Object] = []
        """Objects of one entry whose last records wait to be decoded with others."""
        self._batch: list[tuple[_Object, Stretch]] = []
        self._batch_bytes = 0

    def read_object(
        self, entry: int, key: str, size: int, etag: str, arrival_at: datetime, modified_at: datetime
    ) -> None:
        """Reads one object, of which the last part may be decoded later."""
        source = self._landing.entries[entry]
        if self._unread and self._unread[0].entry != entry:
            self._decode()
        item = _Object(entry, source, key, size, etag, arrival_at, modified_at)
        try:
            with _placed([item]):
                self._read(item)
        except ObjectVanished as fault:
            self._told.append({"entry": entry, "key": key, "status": "VANISHED", "detail": str(fault)})
        except StorageError as fault:
            self._told.append({"entry": entry, "key": key, "status": "REFUSED", "detail": str(fault)})

    def told(self) -> list[dict[str, object]]:
        """The manifest's rows since this was last asked."""
        told, self._told = self._told, []
        return told

    def _read(self, item: _Object) -> None:
        """Collects the records of the object that was listed with its ETag, which is what the ledger will say.

        The store raises its errors before the first of them, or not at all.
        """
        feed, context = feed_named(item.source.feed), self._context(item)
        try:
            with (
                item.source.store.open(item.key, item.etag) as stream,
                open_text(stream, item.key, self._landing.max_decompressed_bytes) as text,
            ):
                for part in stretches(text, feed, context):
                    if isinstance(part, Decoded):
                        self._take([item], part)
                        continue
                    self._batch.append((item, part))
                    self._batch_bytes += part.size
                    if self._batch_bytes >= _BATCH_BYTES:
                        self._decode()
                if not isinstance(text, bytes) or not feed.is_flat:  # the text is gone, or only this object's
                    self._decode()
        except UnreadableObject as fault:
            unreadable = _unreadable(item.source.store, item.key, item.size, item.etag, fault)
            self._add_quarantined(item, [unreadable])
            item.counts[UNKNOWN_TYPE] = [1, 1]
        self._unread.append(item)
        if not self._batch:
            self._decode()

    def _context(self, item: _Object) -> Context:
        privacy = self._landing.privacy
        return Context(item.source.environment, privacy.attributes_keep, privacy.column, item.key, privacy.forgotten)

    def _decode(self) -> None:
        """Decodes what waits for it; tells of the objects that are done with it."""
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if batch:
            items = [item for item, _ in batch]
            feed = feed_named(items[0].source.feed)
            with _placed(items):
                self._take(items, decode([stretch for _, stretch in batch], feed, self._context(items[0])))
        for item in self._unread:
            self._tell(item)
        self._unread = []

    def _tell(self, item: _Object) -> None:
        """One object's part of the manifest."""
        counts = item.counts
        self._told.append(
            {
                "entry": item.entry,
                "key": item.key,
                "status": "READ",
                "records": sum(records for records, _ in counts.values()),
                "quarantined": sum(quarantined for _, quarantined in counts.values()),
            }
        )
        for record_type, (records, quarantined) in counts.items():
            self._told.append(
                {
                    "entry": item.entry,
                    "key": item.key,
                    "status": "COUNT",
                    "record_type": record_type,
                    "records": records,
                    "quarantined": quarantined,
                }
            )

    def finish(self) -> None:
        self._decode()
        for path in list(self._pending):
            self._lay_down(path)

    def _take(self, items: Sequence[_Object], decoded: Decoded) -> None:
        """Collects what the stretches gave, which are of `items`."""
        uris = pa.array([item.uri for item in items], type=pa.string())
        instant = pa.timestamp("us", "UTC")
        modified = pa.array([item.modified_at for item in items], type=instant)
        for (record_type, rows), of_stretch in zip(decoded.rows, decoded.row_stretches, strict=True):
            for item, count in zip(items, np.bincount(of_stretch, minlength=len(items)).tolist(), strict=True):
                if count:
                    item.counts[record_type.name][0] += count
            places = pa.array(of_stretch)
            rows = (
                rows.append_column("source_object", uris.take(places))
                .append_column("ingested_at", pa.repeat(pa.scalar(self._landing.as_of, instant), rows.num_rows))
                .append_column(VERSION_COLUMN, modified.take(places))
            )
            if (before := self._landing.expired_before) is not None:
                outdated = Outdated(dated_at(record_type.table), before)
                rows = outdated.apply(rows, outdated.marks(rows))
            if rows.num_rows:
                self._add(record_type.table, rows)
        refused_of: dict[_Object, list[Quarantined]] = defaultdict(list)
        for stretch, refused in zip(decoded.refused_stretches, decoded.quarantined, strict=True):
            refused_of[items[stretch]].append(refused)
            entry = items[stretch].counts[refused.record_type or UNKNOWN_TYPE]
            entry[0] += 1
            entry[1] += 1
        for item, quarantined in refused_of.items():
            self._add_quarantined(item, quarantined)

    def _add_quarantined(self, item: _Object, quarantined: Sequence[Quarantined]) -> None:
        feed = feed_named(item.source.feed)
        rows = [
            {
                "feed": item.source.feed,
                "object": item.uri,
                "ordinal": refused.ordinal,
                "record_type": refused.record_type,
                "reason": refused.reason,
                "detail": refused.detail,
                "raw": _raw(refused, feed, self._landing.privacy),
                "record_sha256": refused.sha256,
                "bytes": refused.size,
                "arrival_at": item.arrival_at,
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
            self._told += [_laid(path, file) for file in self._landing.adopting[path].write([rows])]
            return
        buffer = io.BytesIO()
        pq.write_table(rows, buffer, compression="snappy", store_schema=False, write_statistics=False)
        name = path.rpartition("/")[2]
        file = f"{self._landing.folder}/{name}/{uuid.uuid4().hex}.parquet"
        self._landing.lake.write(file, buffer.getvalue())
        laid = {"status": "FILE", "table": path, "file": file, "records": rows.num_rows}
        lasting = self._tables[path].lasting
        self._told.append(laid | (_bounds(rows[lasting]) if lasting else {}))


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
        "dates": file.dates,
    }


def _raw(refused: Quarantined, feed: Feed, privacy: Privacy) -> str | None:
    if refused.ordinal < 0 or (feed.holds_messages and privacy.mode == "keep"):
        return None
    return privacy.text(refused.text.decode("utf-8", "backslashreplace"))


_Counts = dict[str, list[int]]
"""Per record type: records, and of these quarantined."""


def _unreadable(store: ObjectStore, key: str, size: int, etag: str, fault: UnreadableObject) -> Quarantined:
    """The object as one refused record; its hash is of its bytes as they are stored."""
    digest = hashlib.sha256()
    with store.open(key, etag) as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return Quarantined(-1, None, "UNREADABLE_OBJECT", fault.detail, b"", digest.hexdigest(), size)
