"""The ingest step: from listed objects to silver event tables, the quarantine, the ledger and the counts."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window, WindowSpec
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructField, StructType, TimestampType

from contactlake.archive.listing import ArchiveObject
from contactlake.business_dates import instant_of, shifted
from contactlake.conform.interactions import media_key
from contactlake.data_files import DataFile, DataWriter
from contactlake.errors import StorageError
from contactlake.feeds import FEEDS
from contactlake.feeds.record_type import RecordType
from contactlake.feeds.symbee import TRANSCRIPT
from contactlake.joins import are_same, brought, hash_of
from contactlake.landing import MANIFEST_DDL, VERSION_COLUMN, Entry, Landing
from contactlake.pruning import Around
from contactlake.repeats import repeated
from contactlake.store import Lake
from contactlake.tables.declaration import Table
from contactlake.tables.events import SYMBEE_INTERACTION, SYMBEE_TRANSCRIPT
from contactlake.tables.ops import INGEST_COUNT, INGESTED_OBJECT, QUARANTINE

log = logging.getLogger("contactlake.ingest")

_TASK_BYTES = 32 << 20
"""About as many bytes of objects go into one task."""
_FEWEST_TASKS = 4
_TASK_ROWS = 50_000
"""About as many changed rows are kept by one task."""
_SAME_DATE = timedelta(days=1)
"""No further than this apart are two instants of one date."""
LAKE_ROW = "lake_row"
"""Beside a changed row: the row of the lake that it replaces, or null."""


@dataclass
class Landed:
    """What the executors laid down: files per table, and what became of each object."""

    files: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Where they lie, per table."""
    adoptable: dict[str, list[DataFile]] = field(default_factory=lambda: defaultdict(list))
    """Those of `files` that are files of the table itself, and wait only for a commit to name them."""
    bounds: dict[str, list[tuple[int | None, int | None, int]]] = field(default_factory=lambda: defaultdict(list))
    """Per table and file, its rows' first and last `lasting` instant, in microseconds since 1970, and how many lack it.
    """
    rows: Counter[str] = field(default_factory=Counter)
    """Rows laid down, per table."""
    read: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    """(entry, key) → records, quarantined."""
    counts: list[tuple[int, str, int, int]] = field(default_factory=list)
    """(entry, record type, records, quarantined), one per object and record type."""
    vanished: list[str] = field(default_factory=list)

    def add(self, other: "Landed") -> None:
        """Takes in what another landing of the same run laid down."""
        for table, files in other.files.items():
            self.files[table] += files
        for table, laid in other.adoptable.items():
            self.adoptable[table] += laid
        for table, bounds in other.bounds.items():
            self.bounds[table] += bounds
        self.rows.update(other.rows)
        self.read |= other.read
        self.counts += other.counts
        self.vanished += other.vanished


def land(spark: SparkSession, landing: Landing, objects: Iterable[tuple[int, ArchiveObject]]) -> Landed:
    """Reads `objects` (entry, object) in the executors and lays their records down as Parquet.

    Raises `StorageError` where the archive refuses one.
    """
    listed = sorted(objects, key=lambda pair: (pair[0], pair[1].arrival_at, pair[1].key))
    if not listed:
        return Landed()
    total = sum(item.size for _, item in listed)
    tasks = max(min(len(listed), _FEWEST_TASKS), total // _TASK_BYTES)
    before = 0
    rows: list[dict[str, Any]] = []
    for entry, item in listed:  # what arrived together is read together, so that a file's rows lie close in time
        slot = min(before * tasks // max(total, 1), tasks - 1)
        before += item.size
        rows.append(
            {
                "entry": entry,
                "key": item.key,
                "size": item.size,
                "etag": item.etag,
                "arrival_at": item.arrival_at,
                "modified_at": item.modified_at,
                "slot": slot,
            }
        )
    instant = pa.timestamp("us", "UTC")
    schema = pa.schema(
        [
            ("entry", pa.int32()),
            ("key", pa.string()),
            ("size", pa.int64()),
            ("etag", pa.string()),
            ("arrival_at", instant),
            ("modified_at", instant),
            ("slot", pa.int32()),
        ]
    )
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, schema))
    manifest = frame.repartitionById(tasks, F.col("slot")).drop("slot").mapInArrow(landing, MANIFEST_DDL).collect()
    landed = Landed()
    for row in manifest:
        match row["status"]:
            case "REFUSED":
                raise StorageError(row["detail"], "mend the access and run again: nothing was written")
            case "VANISHED":
                landed.vanished.append(row["detail"])
            case "READ":
                landed.read[row["entry"], row["key"]] = (row["records"], row["quarantined"])
            case "COUNT":
                landed.counts.append((row["entry"], row["record_type"], row["records"], row["quarantined"]))
            case "FILE":
                path = row["table"]
                if path in landing.adopting:
                    laid = DataFile(row["file"], row["size"], None, row["records"], row["detail"], row["dates"])
                    landed.adoptable[path].append(laid)
                    landed.files[path].append(f"{landing.lake.uri}/{path}/{laid.path}")
                else:
                    landed.files[path].append(f"{landing.lake.uri}/{row['file']}")
                    landed.bounds[path].append((row["least"], row["greatest"], row["nulls"]))
                landed.rows[path] += row["records"]
    return landed


def read_landed(lake: Lake, landed: Landed, table: Table) -> DataFrame:
    """The rows of `table` that were laid down, with `VERSION_COLUMN` where they are events of a table of old."""
    schema = cast(StructType, StructType.fromDDL(table.schema_ddl))
    if table is not QUARANTINE and table.path not in landed.adoptable:
        schema = StructType([*schema.fields, StructField(VERSION_COLUMN, TimestampType())])
    return lake.in_few_tasks(lake.spark.read.schema(schema).parquet(*landed.files[table.path]))


def transcripts_wanted(lake: Lake, landed: Landed) -> list[str]:
    """The keys of the transcripts that landed interactions name and neither the landing nor the lake has."""
    if not landed.files.get(SYMBEE_INTERACTION.path):
        return []
    named = read_landed(lake, landed, SYMBEE_INTERACTION).where("media_location is not null")
    had = lake.read(SYMBEE_TRANSCRIPT).select("media_key")
    if landed.files.get(SYMBEE_TRANSCRIPT.path):
        had = had.unionByName(read_landed(lake, landed, SYMBEE_TRANSCRIPT).select("media_key"))
    keys = named.select(media_key().alias("named_key")).distinct()
    wanted = keys.join(had, F.col("named_key") == F.col("media_key"), "left_anti")
    return sorted(row["named_key"] for row in wanted.collect())


# --- which of the landed rows change the lake ---


@dataclass
class Change:
    """What the landed records of one type do to their table."""

    record_type: RecordType
    rows: DataFrame
    """The winners that the lake does not have yet; where some are updated, `lake_row` is the row they replace, or null.
    """
    inserted: int
    updated: int
    files: Sequence[DataFile] = ()
    """The files of the table itself that hold exactly `rows`, if they do."""
    around: Around | None = None
    """Where the rows that they replace lie, if that is known."""


def adoptable_tables(lake: Lake) -> dict[str, DataWriter]:
    """The event tables without any rows, by path, with their writers: what is landed for them is theirs as it lies.

    A record type whose version lies outside its rows cannot be told from its files alone, and is left out.
    """
    tables = [kind.table for feed in FEEDS for kind in feed.record_types if kind is not TRANSCRIPT]
    return {table.path: lake.writer(table) for table in tables if lake.is_new(table)}


def find_change(lake: Lake, landed: Landed, record_type: RecordType) -> Change:
    """The winning version of each landed key, as far as it is newer than the lake's.

    The version, then the greater hash wins, so that the outcome depends on the set of records alone.
    """
    if record_type.table.path in landed.adoptable:
        return _adopt(lake, landed, record_type)
    return _compare(lake, landed, record_type)


def _newest_first(record_type: RecordType) -> WindowSpec:
    newest = (_version(record_type).desc_nulls_last(), F.col("record_sha256").desc())
    return Window.partitionBy(*record_type.table.key).orderBy(*newest)


def _adopt(lake: Lake, landed: Landed, record_type: RecordType) -> Change:
    """The change of a table that is empty: the landed files, of which only those are written anew that hold losers.

    Nothing but keys and versions is moved to find them.
    """
    table = record_type.table
    files = landed.adoptable[table.path]
    laid = read_landed(lake, landed, table).select(
        "*", F.col("_metadata.file_name").alias("file"), F.col("_metadata.row_index").alias("row")
    )
    if not lake.is_little:  # most keys come once, which their hashes tell in a fraction of the keys' size
        several = brought(repeated(laid, hash_of(*table.key)).localCheckpoint())
        laid = laid.withColumn("hash", hash_of(*table.key)).join(several, ["hash"], "left_semi")
    placed = laid.withColumn("place", F.row_number().over(_newest_first(record_type)))
    losers = placed.where("place > 1").groupBy("file").agg(F.collect_list("row").alias("losers"))
    mended = lake.without_rows(table, files, losers)
    rows = lake.read_laid(table, mended)
    return Change(record_type, rows, sum(file.rows for file in mended), 0, mended)


def _compare(lake: Lake, landed: Landed, record_type: RecordType) -> Change:
    """The change of a table that may have the landed keys already."""
    table = record_type.table
    winners = (
        read_landed(lake, landed, table)
        .withColumn("place", F.row_number().over(_newest_first(record_type)))
        .where("place = 1")
        .drop("place")
    )
    around = _around(landed, table)
    if lake.is_new(table):
        row_type = ", ".join(f"`{column.name}`: {column.type}" for column in table.columns)
        changed = winners.withColumn(LAKE_ROW, F.lit(None).cast(f"struct<{row_type}, `version_at`: timestamp>"))
    else:
        old = (
            lake.read_pinned(table, around=around)
            .withColumn("version_at", F.expr(record_type.version or "cast(null as timestamp)"))
            .select(F.struct(*table.column_names, "version_at").alias(LAKE_ROW))
        )
        same_key = are_same(table.key, (f"{LAKE_ROW}.{name}" for name in table.key))
        is_newer = F.col(f"{LAKE_ROW}.record_sha256").isNull() | _beats_lake(record_type)
        changed = winners.join(old, same_key, how="left").where(is_newer)
    tasks = max(1, landed.rows[table.path] // _TASK_ROWS)
    changed = changed.drop(VERSION_COLUMN).coalesce(tasks).persist()
    figures = changed.agg(
        F.count(F.lit(1)).alias("changed"), F.count(f"{LAKE_ROW}.record_sha256").alias("updated")
    ).first()
    assert figures is not None  # noqa: S101 - an aggregate always gives a row
    return Change(record_type, changed, figures["changed"] - figures["updated"], figures["updated"], around=around)


def _around(landed: Landed, table: Table) -> Around | None:
    """Where the lake can have other versions of the landed rows: around the dates that all versions share."""
    if table.lasting is None:
        return None
    bounds = landed.bounds[table.path]
    if any(nulls for _, _, nulls in bounds):  # a version that does not tell it may be of any date
        return None
    spans = [
        (shifted(instant_of(least), -_SAME_DATE), shifted(instant_of(greatest), _SAME_DATE + timedelta(microseconds=1)))
        for least, greatest, _ in bounds
        if least is not None and greatest is not None
    ]
    return Around((table.lasting,), spans, nulls=True)


def _version(record_type: RecordType) -> Any:
    if record_type is TRANSCRIPT:
        return F.col(VERSION_COLUMN)
    return F.expr(record_type.version or "cast(null as timestamp)")


def _beats_lake(record_type: RecordType) -> Any:
    is_greater_hash = F.col("record_sha256") > F.col(f"{LAKE_ROW}.record_sha256")
    if record_type is TRANSCRIPT:  # an object is read again only when it was written anew
        return F.col("record_sha256") != F.col(f"{LAKE_ROW}.record_sha256")
    if record_type.version is None:
        return is_greater_hash
    new = F.expr(record_type.version)
    old = F.col(f"{LAKE_ROW}.version_at")
    return (new > old) | (new.eqNullSafe(old) & is_greater_hash)


def write_change(lake: Lake, change: Change) -> None:
    """Writes the changed rows: appended where all of them are new, merged otherwise."""
    table = change.record_type.table
    if change.files:
        lake.adopt(table, change.files)
    elif change.updated:
        lake.merge(table, change.rows, change.inserted + change.updated, change.around)
    elif change.inserted:
        lake.append(table, change.rows, change.inserted)


# --- counts and the ledger ---


def count_rows(
    landed: Landed, changes: Iterable[Change], entries: tuple[Entry, ...], run_id: str
) -> list[dict[str, Any]]:
    """The rows of `ops/ingest_count`: per feed and record type, every record in exactly one count."""
    by_type = {change.record_type.name: change for change in changes}
    totals: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for entry, record_type, records, quarantined in landed.counts:
        total = totals[entries[entry].feed, record_type]
        total.update(objects=1, records=records, quarantined=quarantined)
    rows = []
    for (feed, record_type), total in sorted(totals.items()):
        change = by_type.get(record_type)
        inserted, updated = (change.inserted, change.updated) if change else (0, 0)
        rows.append(
            {
                "run_id": run_id,
                "feed": feed,
                "record_type": record_type,
                "objects": total["objects"],
                "records": total["records"],
                "inserted": inserted,
                "updated": updated,
                "duplicate": total["records"] - total["quarantined"] - inserted - updated,
                "ignored": 0,
                "quarantined": total["quarantined"],
            }
        )
    return rows


def write_accounts(
    lake: Lake,
    landed: Landed,
    listed: Iterable[tuple[int, ArchiveObject]],
    entries: tuple[Entry, ...],
    counts: list[dict[str, Any]],
    run_id: str,
    as_of: datetime,
) -> None:
    """Writes the quarantine, the ledger and the counts of what was landed."""
    if landed.files.get(QUARANTINE.path):
        lake.append(QUARANTINE, read_landed(lake, landed, QUARANTINE), landed.rows[QUARANTINE.path])
    ledger = [
        {
            "feed": entries[entry].feed,
            "object": entries[entry].store.uri_of(item.key),
            "etag": item.etag,
            "bytes": item.size,
            "records": landed.read[entry, item.key][0],
            "quarantined": landed.read[entry, item.key][1],
            "arrival_at": item.arrival_at,
            "run_id": run_id,
            "ingested_at": as_of,
        }
        for entry, item in listed
        if (entry, item.key) in landed.read
    ]
    lake.append_rows(INGESTED_OBJECT, ledger)
    lake.append_rows(INGEST_COUNT, counts)


def record_types_landed(landed: Landed) -> list[RecordType]:
    """The record types that have landed rows, in the feeds' order."""
    return [
        record_type for feed in FEEDS for record_type in feed.record_types if landed.files.get(record_type.table.path)
    ]
