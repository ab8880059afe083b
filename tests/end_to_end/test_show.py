"""`contactlake show`: what it prints is what gold holds, in every form; and it touches nothing."""

import csv
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from tests.commands import surroundings
from tests.end_to_end.conftest import Demo, run_command

from contactlake.archive.storage import S3Options, open_store
from contactlake.cli import main
from contactlake.lock import acquire_lease
from contactlake.tables.declaration import Rollup, Table
from contactlake.tables.gold import AGENT_INTERVAL, DURATION_DISTRIBUTION_DAILY, GOLD_TABLES, QUEUE_DAILY

DAYS = ("--from", "2025-03-04", "--to", "2025-03-05")


@dataclass
class Said:
    code: int
    out: str
    err: str

    def csv(self) -> list[dict[str, str]]:
        assert self.code == 0, self.err
        return list(csv.DictReader(io.StringIO(self.out)))

    def json(self) -> list[dict[str, Any]]:
        assert self.code == 0, self.err
        told: list[dict[str, Any]] = json.loads(self.out)
        return told


Show = Callable[..., Said]


@pytest.fixture
def show(spark: SparkSession, demo: Demo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Show:
    """The command in the tests' own session, in the demo's folder or another, where nothing says how wide to print."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def shown(*arguments: str, folder: Path = demo.folder) -> Said:
        monkeypatch.chdir(folder)
        capsys.readouterr()
        code = main(["show", *arguments, "--config", str(demo.config)])
        return Said(code, *capsys.readouterr())

    return shown


@pytest.fixture(scope="module")
def gold(spark: SparkSession, demo: Demo) -> Callable[[str], pd.DataFrame]:
    return lambda name: spark.read.format("delta").load(str(demo.lake / "gold" / name)).toPandas()


Gold = Callable[[str], pd.DataFrame]


# --- forms ---


def test_csv_holds_every_row_in_full(show: Show, gold: Gold) -> None:
    rows = show("queue_daily", "--format", "csv").csv()
    expected = gold("queue_daily").sort_values(list(QUEUE_DAILY.key))
    assert list(rows[0]) == list(QUEUE_DAILY.column_names)
    assert [row["business_date"] for row in rows] == [day.isoformat() for day in expected["business_date"]]
    assert [row["queue"] for row in rows] == list(expected["queue"])
    assert [int(row["offered"]) for row in rows] == list(expected["offered"])
    assert [float(row["abandonment_rate"]) for row in rows] == list(expected["abandonment_rate"])
    answered = expected["average_speed_of_answer_ms"]
    assert [row["average_speed_of_answer_ms"] == "" for row in rows] == list(answered.isna())


def test_json_is_an_array_of_objects_with_iso_dates(show: Show, gold: Gold) -> None:
    rows = show("agent_interval", "--format", "json").json()
    expected = gold("agent_interval")
    assert len(rows) == len(expected) > 50
    assert all(list(row) == list(AGENT_INTERVAL.column_names) for row in rows)
    assert all(re.fullmatch(r"2025-03-0\dT\d\d:(00|15|30|45):00Z", row["interval_start_at"]) for row in rows)
    instants = pd.to_datetime([row["interval_start_at"] for row in rows]).tz_localize(None)
    told = sorted(zip(instants, (row["agent"] for row in rows), (row["idle_ms"] for row in rows), strict=True))
    held = expected[["interval_start_at", "agent", "idle_ms"]].itertuples(index=False, name=None)
    assert told == sorted(held)
    assert rows == sorted(rows, key=lambda row: (row["business_date"], row["interval_start_at"], row["agent"]))


def test_parquet_holds_the_sketch_and_text_does_not(show: Show, gold: Gold, tmp_path: Path) -> None:
    file = tmp_path / "distribution.parquet"
    said = show("duration_distribution_daily", "--format", "parquet", "--output", str(file))
    assert (said.code, said.out) == (0, "")
    written = pq.read_table(file)
    assert tuple(written.column_names) == DURATION_DISTRIBUTION_DAILY.column_names
    assert written.schema.field("business_date").type == pa.date32()
    expected = gold("duration_distribution_daily")
    assert written.num_rows == len(expected)
    assert sorted(written["sketch"].to_pylist()) == sorted(bytes(sketch) for sketch in expected["sketch"])
    (row, *_) = show("duration_distribution_daily", "--format", "json").json()
    assert set(DURATION_DISTRIBUTION_DAILY.column_names) - set(row) == {"sketch"}


def test_parquet_keeps_instants_in_utc(show: Show, gold: Gold, tmp_path: Path) -> None:
    file = tmp_path / "interval.parquet"
    assert show("queue_interval", "--format", "parquet", "--output", str(file)).code == 0
    written = pq.read_table(file)
    assert written.schema.field("interval_start_at").type == pa.timestamp("us", "UTC")
    instants = written["interval_start_at"].to_pandas().dt.tz_localize(None)
    assert sorted(instants) == sorted(gold("queue_interval")["interval_start_at"])


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_file_holds_what_stdout_would(show: Show, tmp_path: Path, form: str) -> None:
    file = tmp_path / "queues"
    printed = show("queue_daily", "--by", "week,queue", "--format", form)
    written = show("queue_daily", "--by", "week,queue", "--format", form, "--output", str(file))
    assert (written.code, written.out) == (0, "")
    assert file.read_text(encoding="utf-8") == printed.out != ""


def test_the_table_is_for_the_eyes(show: Show, gold: Gold) -> None:
    said = show("queue_daily", *DAYS)
    lines = said.out.splitlines()
    assert lines[0] == "gold/queue_daily: environment abccompany/prod"
    rule = next(number for number, line in enumerate(lines) if set(line) == {"-"})
    row = gold("queue_daily").sort_values(list(QUEUE_DAILY.key)).iloc[0]
    first = lines[rule + 1].split()
    assert first[:2] == ["2025-03-04", "Tue"]
    assert first[2:5] == [row["source"], row["queue"], row["channel"]]
    assert first[5] == str(row["offered"])
    seconds = round(row["wait_ms"] / 1000)
    assert first[9] == f"{seconds // 60}:{seconds % 60:02}"
    assert first[-1] == f"{100 * row['abandonment_rate']:.1f}%"
    assert len({len(line) for line in lines[rule + 1 :]}) == 1  # figures stand flush right


def test_a_wide_table_is_continued_below(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = show("handle_daily", "--by", "day,agent").out.splitlines()
    monkeypatch.setenv("COLUMNS", "80")
    parts = show("handle_daily", "--by", "day,agent").out.splitlines()
    assert max(map(len, parts)) <= 80 < max(map(len, whole))
    agent = next(line.split()[2] for line in whole if line.startswith("2025-03-04"))
    (in_one,) = (line.split() for line in whole if line.startswith("2025-03-04") and agent in line.split())
    pieces = [line.split() for line in parts if line.startswith("2025-03-04") and agent in line.split()]
    assert len(pieces) > 1
    assert all(piece[:3] == in_one[:3] for piece in pieces)
    assert [cell for piece in pieces for cell in piece[3:]] == in_one[3:]


# --- rolled up ---


def test_weeks_are_the_days_added_up(show: Show, gold: Gold) -> None:
    rows = show("handle_daily", "--by", "week", "--by", "queue,channel", "--format", "json").json()
    expected = gold("handle_daily").groupby(["queue", "channel"])[["handled", "handle_ms"]].sum()
    assert {(row["queue"], row["channel"]): (row["handled"], row["handle_ms"]) for row in rows} == {
        key: tuple(sums) for key, sums in expected.iterrows()
    }
    assert {row["week_start_date"] for row in rows} == {"2025-03-03"}
    assert all(row["average_handle_ms"] == row["handle_ms"] / row["handled"] for row in rows)


def test_the_dates_asked_for_are_the_only_ones(show: Show, gold: Gold) -> None:
    rows = show("queue_daily", *DAYS, "--by", "total", "--format", "json").json()
    days = gold("queue_daily")
    asked = days[days["business_date"].isin([date(2025, 3, 4), date(2025, 3, 5)])]
    assert [row["offered"] for row in rows] == [asked["offered"].sum()]
    assert asked["offered"].sum() < days["offered"].sum()


def test_what_is_left_out_is_said(show: Show) -> None:
    said = show("agent_daily", "--by", "month,agent", "--format", "csv")
    assert "sessions" not in said.csv()[0]
    assert said.err == "left out, as they are not known over several rows: sessions\n"
    assert show("agent_daily").err == ""


@pytest.mark.parametrize("table", GOLD_TABLES, ids=lambda table: table.name)
def test_every_kpi_table_can_be_rolled_up(show: Show, gold: Gold, table: Table) -> None:
    dimensions = [name for name in table.key if name != "business_date"]
    rows = show(str(table), "--by", ",".join(["week", *dimensions]), "--format", "csv").csv()
    expected = gold(table.name)
    assert len(rows) == len(expected.groupby(dimensions)) > 0
    for column in table.columns:
        if column.rollup is Rollup.SUM:
            assert sum(int(row[column.name]) for row in rows) == expected[column.name].sum(), column.name
        if column.rollup in (Rollup.MAX, Rollup.PEAK):
            assert max(int(row[column.name] or 0) for row in rows) == expected[column.name].max(), column.name


# --- nothing, and nothing to read ---


@pytest.mark.parametrize(("form", "printed"), [("table", ""), ("json", "[\n]\n"), ("csv", "business_date,")])
def test_no_rows_is_no_error(show: Show, form: str, printed: str) -> None:
    said = show("queue_daily", "--from", "2024-01-01", "--to", "2024-01-31", "--format", form)
    assert said.code == 0
    assert said.out.startswith(printed)
    assert len(said.out.splitlines()) == len(printed.splitlines())
    assert said.err == "gold/queue_daily has no rows from 2024-01-01 to 2024-01-31\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["queues"], "there is no KPI table queues; name one of handle_daily, queue_daily, "),
        (["interaction"], "silver/interaction is not a KPI table; name one of "),
        (["ops/run"], "ops/run is not a KPI table; name one of "),
        (["queue_daily", "--by", "agent"], "gold/queue_daily has no dimension agent; name any of source, "),
        (["queue_daily", "--by", "day", "--by", "week"], "day and week do not go together; "),
        (["user_usage_daily", "--by", "week"], "no measure of gold/user_usage_daily is known by week alone; "),
        (["queue_daily", "--from", "2025-03-05", "--to", "2025-03-04"], "--from 2025-03-05 is after --to 2025-03-04; "),
        (["queue_daily", "--from", "2025-03-05"], "--from and --to go together; "),
        (["queue_daily", "--format", "xml"], "argument --format: invalid choice: 'xml'"),
        (["queue_daily", "--format", "parquet"], "--format parquet cannot be written to stdout; name a file with"),
        (["queue_daily", "--output", "no/such/place"], "--output no/such/place cannot be written; "),
    ],
)
def test_a_wrong_command_line_is_exit_2_in_one_line(show: Show, arguments: list[str], words: str) -> None:
    said = show(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(words)
    assert len(said.err.splitlines()) == 1


def test_no_lake_is_exit_4_as_for_the_summary(demo: Demo, tmp_path: Path) -> None:
    said = [
        run_command([*command, "--config", str(demo.config)], tmp_path)
        for command in (["summary"], ["show", "queue_daily"])
    ]
    assert {(one.returncode, one.stdout, one.stderr) for one in said} == {
        (
            4,
            "",
            f"{tmp_path}/build/lake holds no lake yet; "
            "make one with `contactlake daily`, or mend lake.root in the configuration\n",
        )
    }


# --- beside a run ---


@pytest.fixture
def copied(demo: Demo, tmp_path: Path) -> Path:
    """A folder with a copy of the demo's lake, which may be written to."""
    shutil.copytree(demo.lake, tmp_path / "build" / "lake")
    return tmp_path


def test_a_run_under_way_is_not_seen(show: Show, spark: SparkSession, copied: Path) -> None:
    before = show("queue_daily", "--format", "csv", folder=copied)
    path = str(copied / "build" / "lake" / "gold" / "queue_daily")
    spark.sql(f"delete from delta.`{path}` where channel = 'voice'")
    assert spark.read.format("delta").load(path).count() < len(before.csv())
    assert show("queue_daily", "--format", "csv", folder=copied) == before


def test_it_needs_no_lease_and_writes_nothing(show: Show, copied: Path) -> None:
    def files() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in copied.rglob("*") if file.is_file()}

    with acquire_lease(open_store(str(copied / "build" / "lake"), S3Options()), "somebody", 600):
        before = files()
        assert show("queue_daily", "--by", "total", folder=copied).code == 0
        assert files() == before


# --- as a process ---


def test_stdout_holds_nothing_but_the_result(demo: Demo) -> None:
    command = run_command(["show", "queue_daily", "--format", "json", "--config", str(demo.config)], demo.folder)
    assert command.returncode == 0, command.stderr
    assert command.stdout.startswith("[\n{")
    assert len(json.loads(command.stdout)) == len(command.stdout.splitlines()) - 2


def test_a_reader_that_stops_early_is_no_error(demo: Demo) -> None:
    command = f"{Path(sys.executable).with_name('contactlake')} show agent_interval --format csv --config {demo.config}"
    piped = subprocess.run(
        ["bash", "-c", f"{command} 2>stderr | head -n 1; echo ${{PIPESTATUS[0]}}"],
        cwd=demo.folder,
        env=surroundings(),
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    assert piped.stdout.splitlines() == [",".join(AGENT_INTERVAL.column_names), "0"]
    assert "Traceback" not in (demo.folder / "stderr").read_text()


def test_a_terminal_is_never_too_narrow(demo: Demo) -> None:
    """On a terminal, here of 70 columns, a table is continued below rather than folded."""
    ours, theirs = pty.openpty()
    command = subprocess.Popen(
        [
            Path(sys.executable).with_name("contactlake"),
            "show",
            "queue_daily",
            "--by",
            "queue",
            "--config",
            demo.config,
        ],
        cwd=demo.folder,
        env=surroundings(TERM="xterm", COLUMNS="70"),
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 4096):
            said += piece
    except OSError:  # how a terminal ends
        pass
    assert command.wait(timeout=600) == 0
    os.close(ours)
    assert b"\x1b[1m" in said
    lines = re.sub(r"\x1b\[[\d;]*m", "", said.decode()).splitlines()
    assert max(map(len, lines)) <= 70
    assert len([line for line in lines if line.startswith("sales ")]) > 1
