"""Two days at a five-agent contact centre: every figure that must come of them, computed independently."""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from tests.lakes import Reader, configuration, run
from tests.s3_server import Bucket

from contactlake.archive.storage import S3Options, open_store
from contactlake.config import Configuration
from contactlake.session import with_settings
from contactlake.tables.conformed import CONVERSATION, RECONCILIATION
from contactlake.tables.declaration import Table
from contactlake.tables.gold import AGENT_DAILY, AGENT_INTERVAL, GOLD_TABLES, QUEUE_DAILY, QUEUE_INTERVAL
from contactlake.tables.ops import INGEST_COUNT, QUARANTINE

DAY = Path(__file__).parent / "day"
AS_OF = "2025-03-14T00:00:00Z"
BY_INTERVAL = {QUEUE_INTERVAL: QUEUE_DAILY, AGENT_INTERVAL: AGENT_DAILY}


@dataclass
class Place:
    """Where the sample day is run: its archives and lake, and a way to lay an archive's object there."""

    symbee: str
    connect: str
    lake: str
    options: S3Options

    def put(self, key: str) -> None:
        archive, _, name = key.partition("/")
        store = open_store(self.symbee if archive == "symbee" else self.connect, self.options)
        store.write(name, (DAY / "archive" / key).read_bytes())

    @property
    def settings(self) -> Configuration:
        return configuration(self.lake, self.symbee, self.connect, self.options, {"ingest": {"lookback_hours": 400}})


@contextmanager
def as_if_it_were_much(spark: SparkSession) -> Iterator[None]:
    """Every path that a run takes with much data, compiled queries among them."""
    compiled = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "CODEGEN_ONLY"}
    with pytest.MonkeyPatch.context() as patch, with_settings(spark, compiled):
        patch.setattr("contactlake.run._LITTLE_BYTES", 0)
        patch.setattr("contactlake.store._FEW_ROWS", -1)
        patch.setattr("contactlake.joins._FEW", -1)
        yield


@pytest.fixture(params=["directory", "as if it were much", "s3"])
def place(request: pytest.FixtureRequest, spark: SparkSession, tmp_path: Path) -> Iterator[Place]:
    if request.param == "s3":
        bucket: Bucket = request.getfixturevalue("s3_bucket")
        yield Place(f"{bucket.uri}/symbee", f"{bucket.uri}/connect", f"{bucket.uri}/lake", bucket.options)
        return
    for name in ("symbee", "connect"):
        (tmp_path / name).mkdir()
    with as_if_it_were_much(spark) if request.param == "as if it were much" else nullcontext():
        yield Place(str(tmp_path / "symbee"), str(tmp_path / "connect"), str(tmp_path / "lake"), S3Options())


def objects() -> list[str]:
    root = DAY / "archive"
    return sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())


def expected(name: str) -> pd.DataFrame:
    return pd.read_csv(DAY / "expected" / f"{name}.csv", dtype=str, keep_default_na=False)


def as_text(rows: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """`rows` as the expected figures are written: text, nothing for null; in the order of the key."""
    text = rows[list(like.columns)].map(lambda value: "" if value is None or value != value else str(value))
    return text.sort_values(list(like.columns), ignore_index=True)


def assert_table(reader: Reader, table: Table, name: str) -> None:
    want = expected(name)
    have = as_text(reader.rows(table), want)
    want = want.sort_values(list(want.columns), ignore_index=True)
    floats = [column.name for column in table.columns if column.type == "double" and column.name in want.columns]
    key = [column for column in want.columns if column not in floats]
    want, have = (frame.sort_values(key, ignore_index=True) for frame in (want, have))
    pd.testing.assert_frame_equal(have[key], want[key])
    for column in floats:
        assert (have[column] == "").equals(want[column] == "")
        numbers = [pd.to_numeric(frame[column]) for frame in (have, want)]
        pd.testing.assert_series_equal(numbers[0], numbers[1], rtol=1e-9, atol=0)


def assert_adds_up(intervals: pd.DataFrame, days: pd.DataFrame, by_interval: Table, by_day: Table) -> None:
    """The quarters of an hour add up to the day, in every measure."""
    assert set(intervals["interval_start_at"].dt.minute) == {0, 15, 30, 45}
    measures = [column.name for column in by_interval.columns if column.name not in by_interval.key]
    assert set(measures) <= {column.name for column in by_day.columns}
    key = list(by_day.key)
    summed = intervals.groupby(key)[measures].sum().sort_index()
    pd.testing.assert_frame_equal(summed, days.set_index(key)[measures].sort_index(), check_dtype=False)


def assert_everything(spark: SparkSession, settings: Configuration) -> None:
    reader = Reader(spark, settings)
    for table in (*GOLD_TABLES, CONVERSATION):
        if table not in BY_INTERVAL:
            assert_table(reader, table, table.name)
    for by_interval, by_day in BY_INTERVAL.items():
        assert_adds_up(reader.rows(by_interval), reader.rows(by_day), by_interval, by_day)
    reconciliation = reader.frame(RECONCILIATION).selectExpr(
        *(name for name in expected("reconciliation").columns if name != "differences"),
        "array_join(transform(differences, d -> d.field), '|') as differences",
    )
    want = expected("reconciliation")
    have = as_text(reconciliation.toArrow().to_pandas(integer_object_nulls=True), want)
    pd.testing.assert_frame_equal(have, want.sort_values(list(want.columns), ignore_index=True))
    refused = reader.rows(QUARANTINE).groupby(["feed", "reason"]).size().reset_index(name="records").astype(str)
    pd.testing.assert_frame_equal(refused, expected("quarantine"))


def assert_counts(spark: SparkSession, settings: Configuration) -> None:
    """Each record is in exactly one count, however the objects came."""
    counts = Reader(spark, settings).rows(INGEST_COUNT)
    counts = counts[counts["feed"] != "symbee_transcript"]
    totals = counts[["records", "inserted", "updated", "duplicate", "ignored", "quarantined"]].sum()
    assert totals["records"] == 2294
    assert totals["inserted"] == 2220
    assert totals["updated"] + totals["duplicate"] == 29
    assert totals["ignored"] == 0
    assert totals["quarantined"] == 45


def test_one_run_then_nothing_new(spark: SparkSession, place: Place) -> None:
    for key in objects():
        place.put(key)
    settings = place.settings
    summary = run(spark, settings, AS_OF)
    assert summary.verdict == "passed"
    assert summary.dates == ["2025-03-07", "2025-03-08"]
    assert_everything(spark, settings)
    assert_counts(spark, settings)
    before = Reader(spark, settings).versions("silver", "gold")
    again = run(spark, settings, AS_OF)
    assert (again.objects, again.records, again.dates) == (0, 0, [])
    assert Reader(spark, settings).versions("silver", "gold") == before
    full = run(spark, settings, AS_OF, is_full=True)
    assert (full.objects, full.records) == (0, 0)
    assert Reader(spark, settings).versions("silver", "gold") == before


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_four_shuffled_parts(spark: SparkSession, place: Place) -> None:
    keys = objects()
    random.Random(4).shuffle(keys)
    settings = place.settings
    for part in range(4):
        for key in keys[part::4]:
            place.put(key)
        run(spark, settings, AS_OF)
    assert_everything(spark, settings)
    assert_counts(spark, settings)


def test_a_lake_copied_elsewhere_is_read_by_path(spark: SparkSession, tmp_path: Path) -> None:
    """Nothing in a lake names the place that it was written to."""
    for name in ("symbee", "connect"):
        shutil.copytree(DAY / "archive" / name, tmp_path / name)
    settings = configuration(
        str(tmp_path / "lake"), str(tmp_path / "symbee"), str(tmp_path / "connect"), with_transcripts=False
    )
    run(spark, settings, AS_OF)
    moved = configuration(
        str(tmp_path / "moved"), str(tmp_path / "symbee"), str(tmp_path / "connect"), with_transcripts=False
    )
    (tmp_path / "lake").rename(tmp_path / "moved")
    before = Reader(spark, moved).versions("silver", "gold")
    summary = run(spark, moved, AS_OF)
    assert summary.records == 0
    assert Reader(spark, moved).versions("silver", "gold") == before
