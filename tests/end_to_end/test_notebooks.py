"""The notebooks: paired, without results, and each runs from its start to its end on a demo lake."""

import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbconvert.preprocessors import ExecutePreprocessor
from pyspark.sql import SparkSession
from tests import notebooks
from tests.end_to_end.conftest import REPOSITORY, Demo


@pytest.mark.parametrize("script", notebooks.scripts(), ids=lambda script: script.stem)
def test_a_notebook_is_paired_and_holds_no_results(script: Path) -> None:
    assert notebooks.faults(script) == []


def test_what_is_wrong_with_a_notebook_is_named(tmp_path: Path) -> None:
    script = tmp_path / "one.py"
    script.write_text("# %% [markdown]\n# One.\n\n# %%\n1 + 1\n")
    assert notebooks.faults(script) == ["one.py has no one.ipynb"]
    paired = notebooks.notebook_of(script)
    nbformat.write(paired, tmp_path / "one.ipynb")  # type: ignore[no-untyped-call]
    assert notebooks.faults(script) == []
    paired.cells[1].execution_count = 1
    nbformat.write(paired, tmp_path / "one.ipynb")  # type: ignore[no-untyped-call]
    assert notebooks.faults(script) == ["one.ipynb holds outputs"]
    paired.cells[1].execution_count = None
    paired.cells[1].source = "1 + 2"
    nbformat.write(paired, tmp_path / "one.ipynb")  # type: ignore[no-untyped-call]
    assert notebooks.faults(script) == ["one.ipynb is not what one.py says"]


# --- what the notebook shows ---


class _Grid(HTMLParser):
    """The cells of the one table in a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._is_in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self._is_in_cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._is_in_cell = False

    def handle_data(self, data: str) -> None:
        if self._is_in_cell:
            self.rows[-1][-1] += data


Shown = dict[str, list[dict[str, str]]]
"""Per cell tag, the rows that were printed: column → text. The frame's index is left out."""


def _rows(html: str) -> list[dict[str, str]]:
    heading, *rows = _Grid(html).rows
    return [dict(zip(heading[1:], row[1:], strict=True)) for row in rows]


@pytest.fixture(scope="module")
def shown(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """The printed tables of the daily KPIs, executed in a checkout of its own as a user executes it."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(REPOSITORY / "conf", folder / "conf")
    (folder / "notebooks").mkdir()
    notebook: Any = nbformat.read(  # type: ignore[no-untyped-call]
        REPOSITORY / "notebooks" / "01_daily_kpis.ipynb", as_version=4
    )
    names = ("SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS", "PYSPARK_PYTHON")
    with pytest.MonkeyPatch.context() as surroundings:
        for name in names:
            surroundings.delenv(name, raising=False)
        surroundings.setenv("CONTACTLAKE_LAKE", str(demo.lake))
        executed = ExecutePreprocessor(timeout=300, kernel_name="python3")  # type: ignore[no-untyped-call]
        executed.preprocess(notebook, {"metadata": {"path": str(folder / "notebooks")}})
    found: Shown = {}
    pictures = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            pictures += "image/png" in data
            if "text/html" in data:
                (tag,) = cell.metadata.tags
                found[tag] = _rows(data["text/html"])
    assert pictures == 4
    return found


@pytest.fixture
def gold(spark: SparkSession, demo: Demo) -> Callable[[str], pd.DataFrame]:
    def read(name: str) -> pd.DataFrame:
        return spark.read.format("delta").load(str(demo.lake / "gold" / name)).toPandas()

    return read


def _text(number: float | None) -> str:
    return "NaN" if number is None or number != number else f"{number:.2f}"


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


def test_the_queues_shown_are_those_of_gold(shown: Shown, gold: Callable[[str], pd.DataFrame]) -> None:
    expected = []
    for (day, queue, channel), rows in gold("queue_daily").groupby(["business_date", "queue", "channel"]):
        total = {name: int(rows[name].sum()) for name in ("offered", "answered", "abandoned", "diverted")}
        expected.append(
            {
                "business_date": str(day),
                "queue": queue,
                "channel": channel,
                **{name: str(value) for name, value in total.items()},
                "speed_of_answer_s": _text(_ratio(rows["answer_wait_ms"].sum() / 1000, total["answered"])),
                "wait_of_abandoned_s": _text(_ratio(rows["abandon_wait_ms"].sum() / 1000, total["abandoned"])),
                "abandonment_rate": _text(_ratio(total["abandoned"], total["offered"])),
            }
        )
    assert len(expected) > 10
    assert shown["queues"] == expected


def test_the_handle_times_shown_are_those_of_gold(shown: Shown, gold: Callable[[str], pd.DataFrame]) -> None:
    expected = []
    for (day, queue, channel), rows in gold("handle_daily").groupby(["business_date", "queue", "channel"]):
        handled = int(rows["handled"].sum())
        expected.append(
            {
                "business_date": str(day),
                "queue": queue,
                "channel": channel,
                "handled": str(handled),
                "average_handle_min": _text(rows["handle_ms"].sum() / handled / 60_000),
                "average_without_parked_min": _text(rows["focus_ms"].sum() / handled / 60_000),
                "average_parked_min": _text(rows["parked_ms"].sum() / handled / 60_000),
                "average_wrap_min": _text(rows["wrap_ms"].sum() / handled / 60_000),
            }
        )
    assert len(expected) > 10
    assert shown["handled"] == expected


def test_the_days_shown_are_those_of_gold_and_of_the_run(
    shown: Shown, gold: Callable[[str], pd.DataFrame], demo: Demo
) -> None:
    visits = gold("queue_daily").groupby("business_date")[["offered", "answered", "abandoned", "diverted"]].sum()
    handled = gold("handle_daily").groupby("business_date")["handled"].sum()
    rows = shown["days"][1:]  # below the headings stands the index's name
    assert len(rows) == len(demo.run["dates"])
    for name in visits.columns:
        assert [int(row[name]) for row in rows] == [
            int(visits[name].get(day, 0)) for day in sorted({*visits.index, *handled.index})
        ]
    assert sum(int(row["handled"]) for row in rows) == handled.sum()


def test_the_service_levels_shown_are_those_of_gold(shown: Shown, gold: Callable[[str], pd.DataFrame]) -> None:
    counts = ["offered", "answered_within", "abandoned_within", "removed_below"]
    rows = gold("service_level_daily").groupby(["business_date", "threshold_seconds"])[counts].sum()
    assert len(shown["service_levels"]) == len(rows) >= 6
    for printed, (key, total) in zip(shown["service_levels"], rows.iterrows(), strict=True):
        assert (printed["business_date"], printed["threshold_seconds"]) == (str(key[0]), str(key[1]))  # type: ignore[index]
        assert printed["removed"] == _text(_ratio(total["removed_below"], total["offered"]))
        assert printed["answered"] == _text(_ratio(total["answered_within"], total["offered"]))


def test_the_statuses_shown_are_those_of_gold(shown: Shown, gold: Callable[[str], pd.DataFrame]) -> None:
    expected: dict[tuple[str, str], int] = {}
    for row in gold("reconciliation_daily").itertuples():
        key = (str(row.status), str(row.business_date))
        expected[key] = expected.get(key, 0) + int(str(row.contacts))
    printed = {
        (row["status"], day): int(count)
        for row in shown["reconciliation"]
        for day, count in row.items()
        if day not in ("status", "all") and int(count)
    }
    assert printed == expected
