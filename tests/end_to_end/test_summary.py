"""`contactlake summary` and `contactlake synthesize`, as a user runs them."""

import re
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from tests.end_to_end.conftest import Demo, run_command


@pytest.fixture(scope="module")
def printed(demo: Demo) -> str:
    command = run_command(["summary", "--config", str(demo.config)], demo.folder)
    assert command.returncode == 0, command.stderr
    return command.stdout


def _section(printed: str, title: str) -> list[str]:
    """The lines from a title to the next empty line that a title follows."""
    lines = printed.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(title))
    titles = ("Queues", "Handled work", "Service level", "Reconciliation", "Quarantine", "Tables")
    end = next((n for n in range(start + 1, len(lines)) if lines[n].startswith(titles)), len(lines))
    return lines[start:end]


def _totals(lines: list[str]) -> list[list[str]]:
    return [line.split()[2:] for line in lines if line.startswith("  all queues")]


def _gold(spark: SparkSession, demo: Demo, name: str) -> pd.DataFrame:
    return spark.read.format("delta").load(str(demo.lake / "gold" / name)).toPandas()


def test_it_is_plain_text_of_at_most_a_hundred_columns(printed: str) -> None:
    assert printed.isascii()
    assert "\x1b" not in printed
    assert max(len(line) for line in printed.splitlines()) <= 100 or all(
        line.startswith(("contactlake ", "Tables ", "Data docs ")) for line in printed.splitlines() if len(line) > 100
    )


def test_the_queues_are_those_of_gold(printed: str, spark: SparkSession, demo: Demo) -> None:
    queues = _gold(spark, demo, "queue_daily")
    by_day = queues.groupby("business_date")[["offered", "answered", "abandoned", "answer_wait_ms"]].sum()
    levels = _gold(spark, demo, "service_level_daily")
    within = levels.groupby(["business_date", "threshold_seconds"])["answered_within"].sum().to_dict()
    many = queues.groupby("business_date")[["queue", "channel"]].apply(lambda rows: len(rows.drop_duplicates()) > 1)
    expected = []
    for day, total in by_day[many].iterrows():
        seconds = round(total["answer_wait_ms"] / total["answered"] / 1000)
        expected.append(
            [
                *(str(total[name]) for name in ("offered", "answered", "abandoned")),
                f"{seconds // 60}:{seconds % 60:02}",
                *(f"{100 * within[day, limit] / total['offered']:.1f}%" for limit in (20, 30, 60)),
            ]
        )
    assert len(expected) >= 2
    assert _totals(_section(printed, "Queues, abccompany/prod")) == expected


def test_the_handled_work_is_that_of_gold(printed: str, spark: SparkSession, demo: Demo) -> None:
    handled = _gold(spark, demo, "handle_daily").groupby("business_date")["handled"].sum()
    lines = _section(printed, "Handled work, abccompany/prod")
    counts = [int(row[0]) for row in _totals(lines)]
    assert len(counts) >= 2
    assert set(counts) <= set(handled)


def test_every_status_and_reason_is_counted(printed: str, spark: SparkSession, demo: Demo) -> None:
    statuses = _gold(spark, demo, "reconciliation_daily").groupby("status")["contacts"].sum()
    rows = [line.split() for line in _section(printed, "Reconciliation")[3:] if line]
    assert {row[0]: int(row[-2]) for row in rows} == statuses.to_dict()
    quarantine = spark.read.format("delta").load(str(demo.lake / "ops" / "quarantine")).toPandas()
    lines = _section(printed, "Quarantine")
    refused = {tuple(line.split()[:2]): int(line.split()[2]) for line in lines[3:] if re.match(r"\w+ +[A-Z_]+ ", line)}
    assert refused == quarantine.groupby(["feed", "reason"]).size().to_dict()
    assert f"{len(quarantine)} of {demo.run['records']} records" in printed
    assert len(quarantine) == demo.run["quarantined"]


def test_it_says_where_things_are(printed: str, demo: Demo) -> None:
    lines = printed.splitlines()
    assert lines[0] == f"contactlake {demo.lake}"
    docs = next(line for line in lines if line.startswith("Data docs")).split()[-1]
    assert Path(docs).is_file()
    assert demo.run["run_id"] in lines[1]


def test_a_range_of_dates(demo: Demo) -> None:
    command = run_command(
        ["summary", "--config", str(demo.config), "--from", "2025-03-04", "--to", "2025-03-04"], demo.folder
    )
    assert command.returncode == 0, command.stderr
    assert "2025-03-04 Tue" in command.stdout
    assert "2025-03-05 Wed" not in command.stdout
    empty = run_command(
        ["summary", "--config", str(demo.config), "--from", "2024-01-01", "--to", "2024-01-02"], demo.folder
    )
    assert empty.returncode == 2
    assert empty.stderr.splitlines()[-1].startswith("--from 2024-01-01 --to 2024-01-02: nothing is published there")


def test_no_lake_is_exit_4_and_says_what_to_do(demo: Demo, tmp_path: Path) -> None:
    command = run_command(["summary", "--config", str(demo.config)], tmp_path)
    assert command.returncode == 4
    assert command.stdout == ""
    assert command.stderr == (
        f"{tmp_path}/build/lake holds no lake yet; "
        "make one with `contactlake daily`, or mend lake.root in the configuration\n"
    )


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ([], "no configuration is given"),
        (["--config", "nowhere.toml"], "--config nowhere.toml cannot be read"),
        (["--from", "2025-03-04"], "--from and --to go together"),
        (["--from", "2025-03-05", "--to", "2025-03-04"], "--from 2025-03-05 is after --to 2025-03-04"),
    ],
)
def test_a_wrong_command_line_is_exit_2(arguments: list[str], wrong: str, tmp_path: Path) -> None:
    command = run_command(["summary", *arguments], tmp_path)
    assert (command.returncode, command.stdout) == (2, "")
    assert command.stderr.startswith(wrong)
    assert len(command.stderr.splitlines()) == 1


def test_the_synthesis_ends_with_its_counts(demo: Demo) -> None:
    objects = [file for file in (demo.folder / "build" / "archive").rglob("*") if file.is_file()]
    assert demo.run["objects"] == demo.synthesis["objects"] < len(objects)
    assert sum(demo.synthesis["records"].values()) + demo.synthesis["faults"]["corrupt_object"] == demo.run["records"]
    malformed = sum(count for fault, count in demo.synthesis["faults"].items() if fault.startswith("malformed_"))
    assert malformed + demo.synthesis["faults"]["corrupt_object"] == demo.run["quarantined"]


def test_an_archive_is_never_written_over(demo: Demo) -> None:
    command = run_command(["synthesize", "--out", "build/archive"], demo.folder)
    assert command.returncode == 2
    assert command.stderr == "build/archive already holds an archive; choose another directory, or remove it\n"
