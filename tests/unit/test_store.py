"""The lake's tables, read back by Spark's own Delta: rows, statistics, fences, replaced dates."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.s3_server import Bucket

from contactlake import care, data_files, store
from contactlake.archive.directory_store import DirectoryStore
from contactlake.archive.storage import ObjectStore, S3Options, open_store
from contactlake.conform.dates import business_date
from contactlake.conforming import open_dates
from contactlake.data_files import DataFile, DataWriter, with_columns
from contactlake.delta_log import DeltaLog, NamedFile
from contactlake.errors import LakeHeld, StorageError
from contactlake.evidence import COUNTED_AT
from contactlake.feeds.arrow_schema import arrow_schema
from contactlake.pruning import Around, Overlapping, overlaps
from contactlake.store import Lake, greatest_lease
from contactlake.tables.conformed import AGENT_SESSION, AGENT_STATE, RECONCILIATION
from contactlake.tables.declaration import BUSINESS_DATE, Column, Table, count, instant, text
from contactlake.tables.declaration import date as date_column
from contactlake.tables.events import CONNECT_CONTACT
from contactlake.tables.ops import RUN

ZONE = "America/Chicago"
DAY = date(2025, 3, 4)

EVERYTHING = Table(
    layer="silver",
    name="everything",
    description="One column of each type.",
    key=("id",),
    partition_by=("business_date",),
    statistics=("id", "at", "day", "number", "ratio"),
    columns=(
        text("id", "Key."),
        date_column("business_date", "Date."),
        instant("at", "Instant."),
        date_column("day", "Another date."),
        count("number", "Number."),
        Column("ordinal", "int", "Small number."),
        Column("ratio", "double", "Ratio."),
        Column("is_so", "boolean", "Truth."),
        Column("raw", "binary", "Bytes."),
        Column("names", "array<string>", "Texts."),
        Column("instants", "map<string,timestamp>", "Instants by name."),
        Column("steps", "array<struct<step:string,seconds:double,at:timestamp>>", "Records."),
        Column("secret", "string", "Of a customer.", is_identifier=True),
    ),
)
DATED = Table(
    layer="silver",
    name="dated",
    description="Dated by an instant.",
    key=("id",),
    statistics=("at",),
    dated_by="at",
    columns=(text("id", "Key."), instant("at", "Instant."), count("number", "Number.")),
)

PLAIN = replace(DATED, name="plain", dated_by=BUSINESS_DATE)
"""As the event tables are: its rows are not kept apart by date."""

NOTHING: dict[str, Any] = dict.fromkeys(EVERYTHING.column_names)
ROWS: list[dict[str, Any]] = [
    {
        "id": "ünï ✓ 😀",
        "business_date": DAY,
        "at": datetime(2025, 3, 4, 1, 2, 3, 456789, UTC),
        "day": date(1899, 12, 31),
        "number": -(2**62),
        "ordinal": -7,
        "ratio": 0.1,
        "is_so": True,
        "raw": b"\x00\xff",
        "names": ["a", None, ""],
        "instants": {"x": datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)},
        "steps": [{"step": "s", "seconds": 1.5, "at": datetime(1950, 1, 1, 0, 0, 0, 1, UTC)}],
        "secret": "+15551234",
    },
    {**NOTHING, "id": "before", "business_date": DAY, "at": datetime(1960, 2, 29, 12, 0, 0, 1, UTC)},
    {**NOTHING, "id": "empty", "business_date": DAY + timedelta(1), "names": [], "instants": {}, "steps": []},
    {**NOTHING, "id": "undated", "ratio": float("nan")},
]


def make_lake(
    spark: SparkSession, place: ObjectStore, number: int | None = 1, check: Callable[[], None] = lambda: None
) -> Lake:
    return Lake(spark, place, ZONE, number, check)


@pytest.fixture
def root(tmp_path: Path) -> DirectoryStore:
    place = tmp_path / "a läke #1"  # what a place may be called
    place.mkdir()
    return DirectoryStore(place)


@pytest.fixture
def lake(spark: SparkSession, root: DirectoryStore) -> Lake:
    made = make_lake(spark, root)
    for table in (EVERYTHING, DATED, PLAIN):
        made.create(table)
    return made


def by_delta(lake: Lake, table: Table) -> DataFrame:
    return lake.spark.read.format("delta").load(lake.path(table))


def listed(rows: DataFrame) -> list[str]:
    return in_order(row.asDict(recursive=True) for row in rows.collect())


def in_order(rows: Iterator[dict[str, Any]] | Sequence[dict[str, Any]]) -> list[str]:
    """Rows in words: NaN equals itself, and naive instants, which are UTC, equal those that say so."""
    return sorted(str(_plain(row)) for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, list) else value


def frame(lake: Lake, table: Table, rows: Sequence[dict[str, Any]]) -> DataFrame:
    return lake.spark.createDataFrame(pa.Table.from_pylist(list(rows), arrow_schema(table)))


@pytest.fixture(params=["driver", "executors"])
def few_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of writing a frame."""
    if request.param == "executors":
        monkeypatch.setattr(store, "_FEW_ROWS", -1)
    return str(request.param)


@pytest.fixture(params=["parquet", "delta"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of reading a frame."""
    if request.param == "delta":
        monkeypatch.setattr(store, "_FEW_FILES", -1)
        monkeypatch.setattr(store, "_FEW_LOCAL_FILES", -1)
    return str(request.param)


# --- rows ---


def test_rows_of_every_type_come_back_by_every_reader(lake: Lake, few_rows: str, reader: str) -> None:
    lake.append(EVERYTHING, frame(lake, EVERYTHING, ROWS), len(ROWS))
    assert listed(by_delta(lake, EVERYTHING)) == in_order(ROWS)
    assert listed(lake.read(EVERYTHING)) == in_order(ROWS)
    assert listed(lake.read_pinned(EVERYTHING, [DAY])) == in_order(ROWS[:2])
    assert lake.read(EVERYTHING).schema.simpleString() == by_delta(lake, EVERYTHING).schema.simpleString()
    read = lake.read_rows(EVERYTHING, EVERYTHING.column_names).to_pylist()
    for row in read:
        row["instants"] = None if row["instants"] is None else dict(row["instants"])
    assert in_order(read) == in_order(ROWS)


def test_rows_made_by_the_driver_are_the_same(lake: Lake) -> None:
    lake.append_rows(EVERYTHING, ROWS)
    lake.append_rows(EVERYTHING, [])
    assert (lake.versions[EVERYTHING.path], lake.version(EVERYTHING)) == (1, 1)
    assert listed(by_delta(lake, EVERYTHING)) == in_order(ROWS)
    some = lake.read_rows(EVERYTHING, ["id"], (pc.field("business_date") == DAY) & (pc.field("number") < 0))
    assert some.to_pylist() == [{"id": "ünï ✓ 😀"}]
    lake.overwrite_rows(EVERYTHING, ROWS[:1])
    assert listed(by_delta(lake, EVERYTHING)) == in_order(ROWS[:1])
    lake.overwrite(EVERYTHING, frame(lake, EVERYTHING, []))
    assert listed(by_delta(lake, EVERYTHING)) == []


def test_a_table_that_is_not_there_or_is_empty_has_no_rows(lake: Lake, spark: SparkSession, tmp_path: Path) -> None:
    elsewhere = Lake(spark, DirectoryStore(tmp_path), ZONE)
    for each in (lake, elsewhere):
        assert each.read(EVERYTHING).collect() == []
        assert each.read_rows(EVERYTHING, ["id"]).num_rows == 0
        assert each.is_new(EVERYTHING)
    assert (lake.version(EVERYTHING), elsewhere.version(EVERYTHING)) == (0, None)
    with pytest.raises(RuntimeError, match="reading only"):
        elsewhere.append_rows(EVERYTHING, ROWS)


def test_spark_and_the_lake_write_in_turn(lake: Lake) -> None:
    lake.append_rows(EVERYTHING, ROWS[:2])
    frame(lake, EVERYTHING, ROWS[2:]).write.format("delta").mode("append").save(lake.path(EVERYTHING))
    lake.version(EVERYTHING)
    assert listed(lake.read(EVERYTHING)) == in_order(ROWS)
    changed = {**ROWS[0], "number": 1}
    lake.merge(EVERYTHING, frame(lake, EVERYTHING, [changed]))
    rows = [changed, *ROWS[1:]]
    assert listed(lake.read(EVERYTHING)) == listed(by_delta(lake, EVERYTHING)) == in_order(rows)
    read = lake.read_rows(EVERYTHING, ["at"]).column("at").drop_null().to_pylist()  # Spark writes instants as INT96
    assert sorted(read) == sorted(row["at"] for row in rows if row["at"])
    lake.append_rows(EVERYTHING, ROWS[:1])
    lake.spark.sql(f"RESTORE TABLE delta.`{lake.path(EVERYTHING)}` TO VERSION AS OF 3")
    lake.version(EVERYTHING)
    assert listed(lake.read(EVERYTHING)) == in_order(rows)
    lake.restore(EVERYTHING, 1)
    assert listed(by_delta(lake, EVERYTHING)) == listed(lake.read(EVERYTHING)) == in_order(ROWS[:2])
    assert listed(lake.read(EVERYTHING, 3)) == in_order(rows)


def test_a_table_with_deletion_vectors_is_read_and_not_written(lake: Lake) -> None:
    lake.append_rows(DATED, [{"id": f"{number}"} for number in range(3)])
    lake.spark.sql(f"ALTER TABLE delta.`{lake.path(DATED)}` SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    lake.spark.sql(f"DELETE FROM delta.`{lake.path(DATED)}` WHERE id = '1'")
    lake.version(DATED)
    assert sorted(row["id"] for row in lake.read(DATED).collect()) == ["0", "2"]
    assert sorted(lake.read_rows(DATED, ["id"], pc.field("id") > "0")["id"].to_pylist()) == ["2"]
    with pytest.raises(StorageError, match="features"):
        lake.append_rows(DATED, [{"id": "3"}])


def test_checkpoints_are_made_and_understood(lake: Lake, root: DirectoryStore) -> None:
    rows = [{**ROWS[0], "id": f"{number}"} for number in range(21)]
    for row in rows:
        lake.append_rows(EVERYTHING, [row])
    checkpoints = [info.key for info in root.list(f"{EVERYTHING.path}/_delta_log/") if "checkpoint.parquet" in info.key]
    assert [key[-len("10.checkpoint.parquet") :][:2] for key in checkpoints] == ["10", "20"]
    assert listed(by_delta(lake, EVERYTHING)) == in_order(rows)
    later = make_lake(lake.spark, root)
    with pytest.raises(RuntimeError, match="later lease"):  # the fence stands in the checkpoint, too
        later.append_rows(EVERYTHING, rows)
    assert len(make_lake(lake.spark, root, None).read(EVERYTHING).collect()) == 21


def test_a_place_that_delta_would_take_for_another_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="%"):
        make_lake(spark, DirectoryStore(tmp_path / "a%20lake")).version(DATED)


# --- files and statistics ---


def actions(root: DirectoryStore, table: Table, version: int) -> list[dict[str, Any]]:
    lines = root.read(f"{table.path}/_delta_log/{version:020d}.json").decode().splitlines()
    return [json.loads(line) for line in lines]


def test_statistics_are_of_declared_columns_alone_and_hide_no_row(lake: Lake, root: DirectoryStore) -> None:
    long = "x" * 31 + "😀" + "tail"
    rows: list[dict[str, Any]] = [
        {**NOTHING, "id": long, "business_date": DAY, "at": datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)},
        {**NOTHING, "id": "x" * 32 + "\U0010ffff!", "business_date": DAY + timedelta(1), "ratio": float("nan")},
        {**NOTHING, "id": "a", "business_date": DAY, "number": 3, "at": datetime(2025, 3, 4, 1, 0, 0, 1, UTC)},
    ]
    lake.append_rows(EVERYTHING, rows)
    added = [action["add"] for action in actions(root, EVERYTHING, 1) if "add" in action]
    first, second = (json.loads(add["stats"]) for add in sorted(added, key=lambda add: str(add["path"])))
    assert first == {
        "numRecords": 2,
        "minValues": {"id": "a", "at": "1969-12-31T23:59:59.999Z", "number": 3},
        "maxValues": {"id": long[:32] + "\U0010ffff", "at": "2025-03-04T01:00:00.001Z", "number": 3},
        "nullCount": {"id": 0, "at": 0, "day": 2, "number": 1, "ratio": 2},
    }
    assert second["minValues"] == {"id": "x" * 32}
    assert second["maxValues"] == {}
    delta = by_delta(lake, EVERYTHING)
    for row in rows:
        assert delta.where(delta.id == row["id"]).count() == 1
        assert delta.where((delta.id >= row["id"]) & (delta.id <= row["id"])).count() == 1
    for row in (rows[0], rows[2]):
        assert delta.where(delta["at"] == row["at"]).count() == 1
        assert delta.where(delta["at"] > row["at"] - timedelta(microseconds=1)).count() >= 1
    assert delta.where("isnan(ratio)").count() == 1


def test_files_are_as_declared(lake: Lake, root: DirectoryStore) -> None:
    lake.append_rows(EVERYTHING, ROWS)
    paths = [info.key for info in root.list(f"{EVERYTHING.path}/") if info.key.endswith(".parquet")]
    assert sorted({Path(path).parent.name for path in paths}) == [
        "business_date=2025-03-04",
        "business_date=2025-03-05",
        "business_date=__HIVE_DEFAULT_PARTITION__",
    ]
    footer = pq.read_metadata(root.root / paths[0])
    assert footer.row_group(0).column(0).compression == "SNAPPY"
    schema = pq.read_schema(root.root / paths[0])
    assert schema.names == [name for name in EVERYTHING.column_names if name != "business_date"]
    assert schema.field("at").type == pa.timestamp("us", "UTC")
    leaves = {footer.row_group(0).column(n).path_in_schema: footer.row_group(0).column(n) for n in range(15)}
    assert (leaves["id"].is_stats_set, leaves["secret"].is_stats_set) == (True, False)


def test_columns_of_a_larger_file_are_laid_down_by_what_they_hold(lake: Lake, root: DirectoryStore) -> None:
    ids = [hashlib.sha256(f"{n}".encode()).hexdigest() for n in range(5_000)]
    rows = [{**ROWS[0], "id": key, "number": n % 7, "secret": "the same " * (n % 3)} for n, key in enumerate(ids)]
    rows[17] = {**NOTHING, "id": ids[17], "business_date": DAY}
    lake.append_rows(EVERYTHING, rows)
    (path,) = [info.key for info in root.list(f"{EVERYTHING.path}/") if info.key.endswith(".parquet")]
    group = pq.read_metadata(root.root / path).row_group(0)
    leaves = {leaf.path_in_schema: leaf for leaf in map(group.column, range(group.num_columns))}
    assert (leaves["id"].compression, leaves["id"].has_dictionary_page) == ("UNCOMPRESSED", False)
    assert (leaves["secret"].compression, leaves["secret"].has_dictionary_page) == ("SNAPPY", True)
    assert leaves["number"].has_dictionary_page
    assert leaves["steps.list.element.step"].has_dictionary_page
    assert listed(by_delta(lake, EVERYTHING)) == in_order(rows)
    assert listed(lake.read(EVERYTHING)) == in_order(rows)


def test_a_writer_rolls_files_and_holds_little(root: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "_GREATEST_ROW_GROUP", 4_000)
    monkeypatch.setattr(data_files, "_LEAST_ROW_GROUP", 4_000)
    monkeypatch.setattr(data_files, "_FILE_BYTES", 20_000)
    monkeypatch.setattr(data_files, "_HELD_BYTES", 20_000)
    writer = DataWriter.of(DATED, root, ZONE)
    start = datetime(2025, 3, 4, 12, tzinfo=UTC)
    tables = [
        pa.Table.from_pylist(
            [{"id": f"{n:010d}", "at": start + timedelta(days=n % 3), "number": n} for n in range(first, first + 50)],
            writer.schema,
        )
        for first in range(0, 5_000, 50)
    ]
    files = writer.write(tables)
    assert sum(file.rows for file in files) == 5_000
    assert {file.business_date for file in files} == {"2025-03-04", "2025-03-05", "2025-03-06"}
    assert len(files) > 5
    groups = []
    for file in files:
        footer = pq.read_metadata(root.root / DATED.path / file.path)
        assert footer.num_rows == file.rows
        groups.append(footer.num_row_groups)
    assert max(groups) > 2


@pytest.mark.parametrize(("dates", "waiting"), [(1, 8_000), (3, 4_000), (40, 2_000)])
def test_the_more_files_a_writer_fills_the_less_waits_for_each(
    root: DirectoryStore, monkeypatch: pytest.MonkeyPatch, dates: int, waiting: int
) -> None:
    monkeypatch.setattr(data_files, "_GREATEST_ROW_GROUP", 8_000)
    monkeypatch.setattr(data_files, "_WAITING_BYTES", 12_000)
    monkeypatch.setattr(data_files, "_LEAST_ROW_GROUP", 2_000)
    writer = DataWriter.of(DATED, root, ZONE)
    start = datetime(2025, 3, 4, 12, tzinfo=UTC)
    days = [start + timedelta(days=day) for day in range(dates)]
    row_of_each = pa.Table.from_pylist([{"id": "0123456789", "at": at, "number": 1} for at in days], writer.schema)
    for file in writer.write([row_of_each] * 1_000):
        footer = pq.read_metadata(root.root / DATED.path / file.path)
        assert footer.num_row_groups > 2
        taken = footer.row_group(0).num_rows * row_of_each.nbytes / dates
        assert 0.5 * waiting < taken < 1.5 * waiting


def test_a_file_tells_the_dates_that_spark_counts_its_rows_on(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "_FILE_BYTES", 60)
    ends = ["2025-03-04T05:59:59.999999", "2025-03-04T06:00:00", "2025-11-02T05:30:00", None]
    ends += ["0001-01-01T00:00:00", "9999-12-31T23:59:59"]
    rows = [
        {
            "contact_id": f"{number}",
            "acw_ended_at": None if end is None else datetime.fromisoformat(end).replace(tzinfo=UTC),
            "disconnect_at": datetime(2025, 3, 9, 5 + number % 2, tzinfo=UTC) if number else None,
            "initiation_at": datetime(2025, 3, 1, 6, tzinfo=UTC),
        }
        for number, end in enumerate(ends)
    ]
    laid = lake.writer(CONNECT_CONTACT).write(
        with_columns(pa.Table.from_pylist([row]), arrow_schema(CONNECT_CONTACT)) for row in rows
    )
    assert len(laid) == len(rows)
    assert {len(file.dates) for file in laid} == {1, 2}
    for file in laid:
        landed = lake.read_laid(CONNECT_CONTACT, [file])
        counted = [landed.selectExpr(f"{instant} as at") for instant in COUNTED_AT[CONNECT_CONTACT]]
        days = {row["day"] for at in counted for row in at.select(business_date("at", ZONE).alias("day")).collect()}
        assert [date.fromisoformat(day) for day in file.dates] == sorted(days)


def test_executors_write_few_files_per_date(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_FEW_ROWS", -1)
    rows = [{**NOTHING, "id": f"{n}", "business_date": DAY + timedelta(n % 3)} for n in range(300)]
    lake.append(EVERYTHING, frame(lake, EVERYTHING, rows).repartition(8))
    assert len(by_delta(lake, EVERYTHING).inputFiles()) == 3


# --- fences ---


def test_an_older_lease_cannot_commit(lake: Lake, spark: SparkSession, root: DirectoryStore) -> None:
    lake.append_rows(DATED, [{"id": "1"}])
    later = make_lake(spark, root, 2)
    later.append_rows(DATED, [{"id": "2"}])
    held = LakeHeld("the lease was lost", "run again")
    checks: list[str] = []

    def lost() -> None:
        checks.append("asked")
        if len(checks) > 1:
            raise held

    stale = make_lake(spark, root, 1, lost)
    with pytest.raises(LakeHeld):
        stale.append_rows(DATED, [{"id": "3"}])
    with pytest.raises(StorageError, match="by somebody else"):  # it has not seen the other's commit
        lake.append_rows(DATED, [{"id": "3"}])
    writes: list[Callable[[], None]] = [
        lambda: lake.append_rows(DATED, [{"id": "3"}]),
        lambda: lake.overwrite_rows(DATED, []),
        lambda: lake.restore(DATED, 0),
        lambda: lake.merge(DATED, frame(lake, DATED, [{"id": "3"}])),
    ]
    for write in writes:
        lake.version(DATED)
        with pytest.raises(RuntimeError, match=r"later lease|no new version"):
            write()
    assert [row["id"] for row in by_delta(lake, DATED).orderBy("id").collect()] == ["1", "2"]
    assert lake.version(DATED) == 2


def test_a_lease_that_is_lost_writes_nothing(spark: SparkSession, lake: Lake, root: DirectoryStore) -> None:
    def lost() -> None:
        raise LakeHeld("the lease was lost", "run again")

    writes: list[Callable[[Lake], None]] = [
        lambda held: held.append_rows(DATED, [{"id": "1"}]),
        lambda held: held.restore(DATED, 0),
        lambda held: held.merge(DATED, frame(lake, DATED, [{"id": "1"}])),
    ]
    for write in writes:
        with pytest.raises(LakeHeld):
            write(make_lake(spark, root, 3, lost))
    assert lake.version(DATED) == 0


def every_write(lake: Lake) -> dict[str, Callable[[Lake], object]]:
    """All that changes a table, by the store's words for it."""
    rows = [{"id": "9", "at": datetime(2025, 3, 4, 18, tzinfo=UTC)}]
    data = frame(lake, DATED, rows)
    return {
        "append": lambda held: held.append(DATED, data),
        "append_rows": lambda held: held.append_rows(DATED, rows),
        "adopt": lambda held: held.adopt(DATED, held.writer(DATED).write([data.toArrow()])),
        "overwrite": lambda held: held.overwrite(DATED, data),
        "overwrite_rows": lambda held: held.overwrite_rows(DATED, rows),
        "merge": lambda held: held.merge(DATED, data),
        "replace_dates": lambda held: held.replace_dates(DATED, data, [DAY]),
        "restore": lambda held: held.restore(DATED, 0),
        "take_back": lambda held: held.take_back(DATED, 0),
        "fence": lambda held: held.fence(DATED, 0),
    }


def test_a_fence_keeps_an_older_lease_out_whatever_it_has_seen(
    lake: Lake, spark: SparkSession, root: DirectoryStore
) -> None:
    lake.append_rows(DATED, [{"id": "1"}])
    writes = every_write(lake)
    sleepers = {name: make_lake(spark, root) for name in writes}
    for sleeper in sleepers.values():
        assert sleeper.read_rows(DATED, ["id"]).num_rows == 1  # it has looked, as late as it could
    assert make_lake(spark, root, 2).fence(DATED) is False
    for name, write in writes.items():
        with pytest.raises((StorageError, RuntimeError), match=r"somebody else|later lease"):
            write(sleepers[name])
        with pytest.raises(RuntimeError, match="later lease"):  # it looks only now
            write(make_lake(spark, root))
        assert lake.version(DATED) == 2, name
    assert [row["id"] for row in by_delta(lake, DATED).collect()] == ["1"]


def test_a_fence_takes_back_and_makes_what_is_missing(lake: Lake, spark: SparkSession, root: DirectoryStore) -> None:
    lake.append_rows(DATED, [{"id": "1"}])
    lake.append_rows(DATED, [{"id": "2"}])
    later = make_lake(spark, root, 2)
    assert [later.fence(DATED, 1), later.fence(PLAIN, 0)] == [True, False]
    missing = replace(DATED, name="missing")
    assert later.fence(missing, 0) is False
    assert [row["id"] for row in by_delta(lake, DATED).collect()] == ["1"]
    assert (lake.version(DATED), lake.version(PLAIN), lake.version(missing)) == (3, 1, 0)
    assert lake.create(missing) is False
    with pytest.raises(RuntimeError, match="later lease"):
        lake.append_rows(missing, [{"id": "3"}])


def test_a_fence_takes_back_what_is_committed_at_the_last_moment(
    lake: Lake, spark: SparkSession, root: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = make_lake(spark, root, 2)
    commit, times = DeltaLog.commit, list[int]()

    def commit_after_the_sleeper(self: DeltaLog, *arguments: Any) -> int:
        if not times:
            times.append(1)
            lake.append_rows(DATED, [{"id": "1"}])
        return commit(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(DeltaLog, "commit", commit_after_the_sleeper)
        assert later.fence(DATED, 0) is True
    assert by_delta(lake, DATED).collect() == []
    assert later.is_new(DATED)


def test_the_greatest_lease_is_what_the_tables_show(lake: Lake, spark: SparkSession, root: DirectoryStore) -> None:
    assert greatest_lease(root) == 0
    made = make_lake(spark, root, 6)
    made.create_missing()
    assert greatest_lease(root) == 6
    make_lake(spark, root, 17).fence(RUN)
    assert greatest_lease(root) == 17


def test_a_merge_touches_the_files_that_hold_replaced_rows_alone(
    lake: Lake, few_rows: str, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_MOST_SMALL_FILES", 100)
    noon = datetime(2025, 3, 4, 18, tzinfo=UTC)
    old = [{"id": f"{n}", "at": noon + timedelta(days=n // 2), "number": 0} for n in range(6)]
    unnamed: dict[str, Any] = {"id": None, "at": None, "number": 0}
    lake.append_rows(PLAIN, [*old[:2], unnamed])
    lake.append_rows(PLAIN, old[2:4])
    lake.append_rows(PLAIN, old[4:])
    untouched = {file.path for file in DeltaLog(lake.store, PLAIN.path).files() if file.rows == 2}
    new = [{**old[0], "number": 1}, {**unnamed, "number": 1}, {"id": "new", "at": noon, "number": 1}]
    around = Around(("at",), [(noon - timedelta(hours=1), noon + timedelta(hours=1))], nulls=True)
    lake.merge(PLAIN, frame(lake, PLAIN, new), len(new), around)
    assert listed(by_delta(lake, PLAIN)) == listed(lake.read(PLAIN)) == in_order([*new, *old[1:]])
    assert untouched < {file.path for file in DeltaLog(lake.store, PLAIN.path).files()}
    lake.merge(PLAIN, frame(lake, PLAIN, [{"id": "beside", "at": noon, "number": 2}]))
    assert by_delta(lake, PLAIN).count() == 9


def test_a_table_with_other_columns_is_not_written(spark: SparkSession, lake: Lake, root: DirectoryStore) -> None:
    other = replace(DATED, columns=DATED.columns[:2])
    with pytest.raises(StorageError, match="other columns"):
        lake.append_rows(other, [{"id": "1"}])
    root.write(f"{DATED.path}/_delta_log/{1:020d}.json", b"{broken")
    with pytest.raises(StorageError, match="silver/dated cannot be read as a Delta table"):
        make_lake(spark, root).version(DATED)


def test_columns_that_came_later_are_null_in_old_rows(lake: Lake, spark: SparkSession, reader: str) -> None:
    lake.append_rows(DATED, [{"id": "old", "number": 1}])
    later = replace(DATED, columns=(DATED.columns[0], text("more", "What came later."), *DATED.columns[1:]))
    assert lake.read_rows(later, ["id", "more"]).to_pylist() == [{"id": "old", "more": None}]
    assert [row["more"] for row in lake.read(later).collect()] == [None]
    lake.append_rows(later, [{"id": "new", "more": "m", "number": 2}])
    rows = [{"id": "new", "more": "m", "at": None, "number": 2}, {"id": "old", "more": None, "at": None, "number": 1}]
    assert listed(lake.read(later)) == in_order(rows)
    assert listed(by_delta(lake, later)) == in_order(
        [{name: row[name] for name in ("id", "at", "number", "more")} for row in rows]
    )
    comments = {field.name: field.metadata["comment"] for field in by_delta(lake, later).schema}
    assert comments["more"] == "What came later."
    # A run that is undone takes the columns back with it, and the next one adds them again.
    lake.restore(later, 1)
    again = make_lake(spark, lake.store, 2)
    assert again.read_rows(later, ["id", "more"]).to_pylist() == [{"id": "old", "more": None}]
    again.append_rows(later, [{"id": "newer", "more": "m"}])
    assert again.read_rows(later, ["more"], pc.field("id") == "newer").to_pylist() == [{"more": "m"}]


@dataclass(frozen=True)
class Renamed:
    """A change of the row whose id is "0"."""

    columns: tuple[str, ...] = ("id", "more")

    def marks(self, rows: pa.Table) -> Any:
        assert rows["more"].null_count == rows.num_rows
        return pc.equal(rows["id"], "0").to_numpy()

    def apply(self, rows: pa.Table, marks: Any) -> pa.Table:
        return rows.set_column(0, "id", pc.if_else(marks, "renamed", rows["id"]))


def test_files_from_before_a_column_came_are_changed_and_made_one(lake: Lake) -> None:
    lake.is_little = True
    for number in range(3):
        lake.append_rows(PLAIN, [{"id": f"{number}", "number": number}])
    later = replace(PLAIN, columns=(*PLAIN.columns, text("more", "What came later.")))
    assert care.rewrite(lake, later, Renamed(), lake.files(later)) == 1
    assert care.compact(lake, later) == 3
    rows = lake.read_rows(later, ["id", "more", "number"]).sort_by("number").to_pylist()
    assert rows == [{"id": name, "more": None, "number": n} for n, name in enumerate(("renamed", "1", "2"))]


def test_who_loses_the_lake_while_looking_for_old_files_deletes_none(
    spark: SparkSession, root: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_lost = False

    def check() -> None:
        if is_lost:
            raise LakeHeld("lost", "wait")

    def lose(*arguments: Any) -> Any:
        nonlocal is_lost
        found = unneeded(*arguments)
        is_lost = True
        return found

    unneeded = DeltaLog.unneeded
    lake = make_lake(spark, root, check=check)
    lake.create(PLAIN)
    for number in range(2):
        lake.overwrite_rows(PLAIN, [{"id": f"{number}"}])
    monkeypatch.setattr(DeltaLog, "unneeded", lose)
    before = [found.key for found in root.list("")]
    with pytest.raises(LakeHeld):
        care.purge(lake, PLAIN)
    left = [found.key for found in root.list("")]
    assert [key for key in left if "checkpoint" not in key] == before


def test_what_a_write_that_was_cut_short_has_left_is_purged(lake: Lake, root: DirectoryStore) -> None:
    lake.append_rows(PLAIN, [{"id": "0"}])
    staged = root.root / PLAIN.path / ".contactlake-0123.tmp"
    staged.write_bytes(b"+15550100123")
    care.purge(lake, PLAIN)
    assert not staged.exists()
    assert lake.read_rows(PLAIN, ["id"]).to_pylist() == [{"id": "0"}]


def test_expected_versions_are_seen_to(lake: Lake, spark: SparkSession, root: DirectoryStore) -> None:
    for number in range(3):
        lake.append_rows(DATED, [{"id": f"{number}"}])
    for expected in (0, 2, 3, 4):
        other = make_lake(spark, root, None)
        other.expect({DATED.path: expected})
        assert other.version(DATED) == 3
        assert other.read(DATED).count() == 3


# --- replaced dates ---


def row(name: str, day: date, number: int = 0) -> dict[str, Any]:
    return {**NOTHING, "id": name, "business_date": day, "number": number, "instants": {"x": None}}


def test_dates_of_a_partitioned_table_are_replaced(lake: Lake, few_rows: str) -> None:
    days = [DAY + timedelta(number) for number in range(3)]
    old = [row("a", days[0]), row("b", days[1]), row("c", days[2]), row("none", None)]  # type: ignore[arg-type]
    assert lake.replace_dates(EVERYTHING, frame(lake, EVERYTHING, old[:1]), days[:1]) == days[:1]
    assert lake.replace_dates(EVERYTHING, frame(lake, EVERYTHING, []), days[1:]) == []
    lake.append_rows(EVERYTHING, old[1:])
    version = lake.version(EVERYTHING)
    same = frame(lake, EVERYTHING, old[:3])
    assert lake.replace_dates(EVERYTHING, same, days) == []
    assert lake.version(EVERYTHING) == version
    new = [row("a", days[0]), row("b", days[1], 1), row("bb", days[1]), row("elsewhere", date(2020, 1, 1))]
    assert lake.replace_dates(EVERYTHING, frame(lake, EVERYTHING, new), days) == days[1:]
    assert lake.version(EVERYTHING) == (version or 0) + 1
    assert listed(by_delta(lake, EVERYTHING)) == in_order([*new[:3], old[3]])
    assert listed(lake.read(EVERYTHING, dates=days[:1])) == in_order(new[:1])


def test_what_is_laid_down_is_seen_once_it_is_put_in_place(lake: Lake, root: DirectoryStore, few_rows: str) -> None:
    def files() -> set[str]:
        return {found.key for found in root.list(f"{EVERYTHING.path}/") if found.key.endswith(".parquet")}

    old, new = [row("a", DAY)], [row("a", DAY, 1), row("b", DAY)]
    lake.replace_dates(EVERYTHING, frame(lake, EVERYTHING, old), [DAY])
    before, version = files(), lake.version(EVERYTHING)
    laid = lake.lay_dates(EVERYTHING, frame(lake, EVERYTHING, new), [DAY])
    assert laid.dates == [DAY]
    assert files() > before
    assert (lake.version(EVERYTHING), listed(by_delta(lake, EVERYTHING))) == (version, in_order(old))
    lake.discard(laid)
    assert files() == before
    lake.put(lake.lay_dates(EVERYTHING, frame(lake, EVERYTHING, new), [DAY]))
    assert listed(by_delta(lake, EVERYTHING)) == in_order(new)


def local(day: date, hour: int, minute: int = 0, second: int = 0, zone: str = ZONE) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_dates_of_a_table_dated_by_an_instant_are_replaced(lake: Lake, root: DirectoryStore, few_rows: str) -> None:
    spring = date(2025, 3, 9)  # a day of 23 hours
    days = [spring - timedelta(1), spring, spring + timedelta(1)]
    old: list[dict[str, Any]] = [
        {"id": "last of the day before", "at": local(days[0], 23, 59, 59), "number": 0},
        {"id": "first", "at": local(spring, 0), "number": 0},
        {"id": "last", "at": local(spring, 23, 59, 59), "number": 0},
        {"id": "first of the next", "at": local(days[2], 0), "number": 0},
        {"id": "at no time", "at": None, "number": 0},
    ]
    # Files that hold several dates each, as Spark may have written them.
    frame(lake, DATED, old[:3]).coalesce(1).write.format("delta").mode("append").save(lake.path(DATED))
    frame(lake, DATED, old[3:]).coalesce(1).write.format("delta").mode("append").save(lake.path(DATED))
    lake.version(DATED)
    new = [{"id": "first", "at": local(spring, 0), "number": 1}, old[2]]
    assert lake.replace_dates(DATED, frame(lake, DATED, old[1:3]), [spring]) == []
    assert lake.replace_dates(DATED, frame(lake, DATED, new), days[:2]) == days[:2]
    assert listed(by_delta(lake, DATED)) == in_order([*new, *old[3:]])
    assert lake.replace_dates(DATED, frame(lake, DATED, old[:1]), days[:1]) == days[:1]
    assert listed(by_delta(lake, DATED)) == in_order([old[0], *new, *old[3:]])
    # Now that each date has its own files, the others stay untouched.
    lake.replace_dates(DATED, frame(lake, DATED, []), [spring])
    removed = [action["remove"] for action in actions(root, DATED, lake.version(DATED) or 0) if "remove" in action]
    assert len(removed) == 1
    assert listed(by_delta(lake, DATED)) == in_order([old[0], *old[3:]])


def test_files_without_statistics_count_as_overlapping() -> None:
    table = DATED
    with pytest.raises(ValueError, match="must be in statistics"):
        replace(table, statistics=())
    with pytest.raises(ValueError, match="is no timestamp"):
        replace(table, dated_by="number")
    unknown = NamedFile("x", 1, None, None, {}, {}, {}, {})
    assert overlaps(unknown, "at", [])


# --- around instants, adopted, tidied ---


def dated_rows(*days: int) -> list[dict[str, Any]]:
    return [
        {"id": f"{day}", "at": datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=day), "number": day} for day in days
    ]


def test_rows_around_instants_are_read_from_their_files_alone(lake: Lake, root: DirectoryStore, reader: str) -> None:
    for days in ((0, 1), (10, 11), (20,)):
        lake.append_rows(PLAIN, dated_rows(*days))
    lake.append_rows(PLAIN, [{"id": "never", "at": None, "number": None}])
    start = datetime(2025, 1, 1, tzinfo=UTC)
    ten, eleven = start + timedelta(days=10), start + timedelta(days=11)

    def ids(around: Around) -> set[str]:
        return {row["id"] for row in lake.read(PLAIN, around=around).collect()}

    assert ids(Around(("at",), [(ten, eleven)])) == {"10"}
    assert ids(Around(("at",), [(ten, eleven)], nulls=True)) == {"10", "never"}
    assert ids(Around(("at",), [(eleven, None)])) == {"11", "20"}
    assert ids(Around(("at",), [(start, start + timedelta(hours=1)), (eleven, None)])) == {"0", "11", "20"}
    assert ids(Around(("at",), [])) == set()
    if reader == "parquet":
        (other,) = (file for file in lake.writable(PLAIN).files() if file.least.get("at") == start)
        root.delete([f"{PLAIN.path}/{other.path}"])
        assert ids(Around(("at",), [(ten, eleven)])) == {"10"}


def test_batches_are_gathered_by_rows_and_by_bytes() -> None:
    def batches(number: int, text: str, rows: int) -> list[pa.RecordBatch]:
        return [pa.RecordBatch.from_pydict({"text": [text] * rows, "number": list(range(rows))})] * number

    assert list(data_files._gathered([])) == []
    short = list(data_files._gathered(batches(25, "x", 2_000)))
    assert [table.num_rows for table in short] == [20_000, 20_000, 10_000]
    assert all(table["text"].num_chunks == 1 for table in short)
    assert pa.concat_tables(short)["number"].to_pylist() == list(range(2_000)) * 25
    long = list(data_files._gathered(batches(5, "x" * (1 << 20), 10)))
    assert [table.num_rows for table in long] == [20, 20, 10]


NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)


def session(name: str, first_hour: int, last_hour: int, is_open: bool = False) -> dict[str, Any]:
    started_at, ended_at = (NEW_YEAR + timedelta(hours=hour) for hour in (first_hour, last_hour))
    return {
        "source": "symbee",
        "environment": "abccompany/prod",
        "agent": "agent",
        "session_id": name,
        "started_at": started_at,
        "ended_at": ended_at,
        "ended_by": "LOGOUT",
        "is_open": is_open,
        "duration_ms": (last_hour - first_hour) * 3_600_000,
    }


def test_rows_that_last_into_a_time_are_read_from_their_files_alone(
    lake: Lake, root: DirectoryStore, reader: str
) -> None:
    lake.create(AGENT_SESSION)
    for row in (
        session("before", 0, 9),
        session("long", 1, 100),
        session("within", 50, 51),
        session("after", 200, 208),
    ):
        lake.append_rows(AGENT_SESSION, [row])

    def ids(*hours: tuple[int, int | None]) -> set[str]:
        spans = [
            (NEW_YEAR + timedelta(hours=start), None if end is None else NEW_YEAR + timedelta(hours=end))
            for start, end in hours
        ]
        around = Overlapping("started_at", "ended_at", spans)
        return {row["session_id"] for row in lake.read(AGENT_SESSION, around=around).collect()}

    assert ids((9, 10)) == {"before", "long"}
    assert ids((10, 50)) == {"long"}
    assert ids((51, 200)) == {"long", "within"}
    assert ids((0, 1), (150, None)) == {"before", "after"}
    assert ids() == set()
    if reader == "parquet":
        files = lake.writable(AGENT_SESSION).files()
        ended = {NEW_YEAR + timedelta(hours=9), NEW_YEAR + timedelta(hours=208)}
        root.delete(f"{AGENT_SESSION.path}/{file.path}" for file in files if file.greatest["ended_at"] in ended)
        assert ids((10, 50)) == {"long"}


def test_open_sessions_are_looked_for_around_their_dates_alone(lake: Lake, root: DirectoryStore) -> None:
    for table in (AGENT_SESSION, AGENT_STATE, RECONCILIATION):
        lake.create(table)
    for row in (session("old", 0, 9, is_open=True), session("new", 240, 250, is_open=True), session("ended", 270, 275)):
        lake.append_rows(AGENT_SESSION, [row])
    days = [NEW_YEAR.date() + timedelta(days=number) for number in (0, 10, 11)]
    assert open_dates(lake, [], "UTC") == []
    assert open_dates(lake, days, "UTC") == days[:2]
    oldest = min(lake.writable(AGENT_SESSION).files(), key=lambda file: file.least["started_at"])
    root.delete([f"{AGENT_SESSION.path}/{oldest.path}"])
    assert open_dates(lake, days[1:], "UTC") == [days[1]]


@pytest.mark.parametrize("is_little", [True, False])
def test_files_without_their_losers_are_adopted(lake: Lake, root: DirectoryStore, is_little: bool) -> None:
    lake.is_little = is_little
    writer = lake.writer(PLAIN)
    files = [
        file
        for days in ((0, 1, 2), (3,), (4, 5))
        for file in writer.write([pa.Table.from_pylist(dated_rows(*days), arrow_schema(PLAIN))])
    ]
    lost = [{"file": files[0].path, "losers": [1]}, {"file": files[1].path, "losers": [0]}]
    losers = lake.spark.createDataFrame(lost, "file string, losers array<bigint>")
    kept = lake.without_rows(PLAIN, files, losers)
    assert listed(lake.read_laid(PLAIN, kept)) == in_order(dated_rows(0, 2, 4, 5))
    assert lake.is_new(PLAIN)
    lake.adopt(PLAIN, kept)
    assert listed(by_delta(lake, PLAIN)) == in_order(dated_rows(0, 2, 4, 5))
    on_disk = {info.key.rpartition("/")[2] for info in root.list(f"{PLAIN.path}/") if info.key.endswith(".parquet")}
    assert on_disk == {file.path for file in kept}
    assert files[2] in kept


def test_many_small_files_become_one(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_MOST_SMALL_FILES", 3)
    for day in range(6):
        lake.append_rows(PLAIN, dated_rows(day))
        assert lake.version(PLAIN) == day + 1
        assert len(lake.writable(PLAIN).files()) <= 4
    assert listed(by_delta(lake, PLAIN)) == in_order(dated_rows(*range(6)))
    start = datetime(2025, 1, 1, tzinfo=UTC)
    found = lake.read(PLAIN, around=Around(("at",), [(start, start + timedelta(days=2))])).collect()
    assert {row["id"] for row in found} == {"0", "1"}
    lake.restore(PLAIN, 3)
    assert listed(by_delta(lake, PLAIN)) == in_order(dated_rows(0, 1, 2))


# --- S3 ---


def test_a_lake_on_s3(spark: SparkSession, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch, few_rows: str) -> None:
    for key, value in {
        "fs.s3a.endpoint": s3_bucket.options.endpoint or "",
        "fs.s3a.path.style.access": "true",
        "fs.s3a.endpoint.region": "us-east-1",
    }.items():
        spark.conf.set(key, value)
    place = open_store(f"{s3_bucket.uri}/some/lake", s3_bucket.options)
    lake = make_lake(spark, place)
    lake.create(EVERYTHING)
    lake.append(EVERYTHING, frame(lake, EVERYTHING, ROWS), len(ROWS))
    assert listed(by_delta(lake, EVERYTHING)) == listed(lake.read(EVERYTHING)) == in_order(ROWS)
    assert lake.read_rows(EVERYTHING, ["id"]).num_rows == len(ROWS)
    other = make_lake(spark, place, 2)
    monkeypatch.setattr("contactlake.delta_log._CREDENTIALS_SECONDS", -1)  # opened anew each time
    other.append_rows(EVERYTHING, ROWS[:1])
    other.restore(EVERYTHING, 1)
    with pytest.raises(StorageError, match="by somebody else"):
        lake.append_rows(EVERYTHING, ROWS)
    assert listed(by_delta(lake, EVERYTHING)) == in_order(ROWS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-and-never-shown")
    with pytest.raises(StorageError, match="SignatureDoesNotMatch") as raised:
        make_lake(spark, place).version(EVERYTHING)
    assert "wrong-and-never-shown" not in str(raised.value)


def test_how_delta_finds_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    on_aws = open_store("s3://bucket/x", S3Options(region="eu-central-1")).connection()
    assert on_aws == {
        "aws_access_key_id": "key",
        "aws_secret_access_key": "secret",
        "aws_session_token": "token",
        "aws_region": "eu-central-1",
        "aws_conditional_put": "etag",
        "aws_virtual_hosted_style_request": "true",
        "connect_timeout": "10s",
        "timeout": "30s",
        "retry_timeout": "100s",
    }
    elsewhere = open_store("s3://bucket/x", S3Options("https://s3.example.com", region="x")).connection()
    assert elsewhere["aws_endpoint"] == "https://bucket.s3.example.com"
    by_path = open_store("s3://bucket/x", S3Options("http://10.0.0.1:8333")).connection()
    assert (by_path["aws_endpoint"], by_path["aws_allow_http"]) == ("http://10.0.0.1:8333", "true")
    assert by_path["aws_virtual_hosted_style_request"] == "false"


def test_a_manifest_row_is_a_data_file() -> None:
    assert data_files.MANIFEST.names == list(DataFile.__dataclass_fields__)
