"""A centre of five weeks and more: what the quality gate warns of when a feed falls silent or a date is thin."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import SparkSession
from tests.centre import Centre
from tests.records import interaction, interaction_object

from contactlake import report
from contactlake.grids import plain_text
from contactlake.published import open_published
from contactlake.tables.ops import QUALITY_RESULT

SILENT = "ingested_object.silent_entries_symbee"
HOURS = "ingested_object.hours_without_objects_symbee"
VOLUME = "reconciliation_daily.dates_of_unusual_interactions"
JUDGED = {SILENT, HOURS, VOLUME}
TUESDAY = date(2025, 3, 11)
"""The first but one after the clocks went forward."""
WORKING = (9, 10, 11)


def at(day: date, hour: int) -> datetime:
    """An hour on the clocks of Chicago."""
    return datetime.combine(day, time(hour), tzinfo=ZoneInfo("America/Chicago")).astimezone(UTC)


def clock(day: date, hour: int) -> str:
    return at(day, hour).isoformat()


def work(day: date, hours: Sequence[int] = WORKING, records: int = 10) -> dict[str, bytes]:
    """Messages that are answered, `records` in each of the hours: an object an hour, as Firehose lays them down."""
    objects: dict[str, bytes] = {}
    for hour in hours:
        begin = at(day, hour)
        messages = [
            interaction(
                TaskId=f"{begin:%Y%m%d%H}-{number}",
                GatewayTaskId=f"{begin:%Y%m%d%H}-{number}",
                DeliveryProvider="SYMBEE",
                TaskType="SMS",
                InitiationTimestamp=f"{begin:%Y-%m-%dT%H}:00:00Z",
                AssignedTimestamp=f"{begin:%Y-%m-%dT%H}:01:00Z",
                ConnectedTimestamp=f"{begin:%Y-%m-%dT%H}:01:05Z",
                WrapTimestamp=f"{begin:%Y-%m-%dT%H}:06:05Z",
                CompletedTimestamp=f"{begin:%Y-%m-%dT%H}:06:55Z",
            )
            for number in range(records)
        ]
        objects |= interaction_object(f"{begin:%Y/%m/%d/%H}", *messages)
    return objects


def results(centre: Centre) -> dict[str, dict[str, Any]]:
    """The last run's results of what is judged here."""
    rows = centre.rows(QUALITY_RESULT, QUALITY_RESULT.column_names)
    last = max(row["run_id"] for row in rows)
    return {row["expectation"]: row for row in rows if row["run_id"] == last and row["expectation"] in JUDGED}


def unmet(centre: Centre) -> dict[str, str]:
    found = results(centre)
    assert {row["severity"] for row in found.values()} <= {"warning"}
    return {name: row["observed"] for name, row in found.items() if not row["is_success"]}


def summary(centre: Centre) -> str:
    published = open_published(centre.settings(), "tests")
    figures = report.read(published, None, None)
    return plain_text(lambda console: report.render(console, figures, published.uri, "docs"), 100)


@pytest.fixture
def centre(spark: SparkSession, tmp_path: Path) -> Centre:
    """Five weeks before TUESDAY, in which work is done from Tuesdays to Fridays."""
    centre = Centre(spark, tmp_path)
    for week in range(1, 6):
        for number in range(4):
            centre.arrives(work(TUESDAY - timedelta(weeks=week, days=-number)))
    return centre


def test_a_healthy_centre_a_thin_date_and_a_silent_feed(centre: Centre, caplog: pytest.LogCaptureFixture) -> None:
    entry = f"{centre.root}/symbee/interactions/"
    centre.run(clock(TUESDAY, 6))
    assert set(results(centre)) == JUDGED  # and nothing of the feeds that never had any pattern
    assert unmet(centre) == {}
    assert "Warnings" not in summary(centre)

    # Only a run that lists all that has arrived may miss anything: not one of named dates, nor one that reads nothing.
    friday = TUESDAY - timedelta(days=4)
    for hour, job in ((4, "daily"), (5, "measure")):
        centre.run(clock(TUESDAY + timedelta(days=1), hour), job, dates=(friday, friday))
        assert set(results(centre)) == {HOURS, VOLUME}
        assert unmet(centre) == {}

    centre.arrives(work(TUESDAY, WORKING[:1]))
    with caplog.at_level("WARNING"):
        thin = centre.run(clock(TUESDAY + timedelta(days=1), 6))
    assert (thin.verdict, thin.failed_expectations, thin.dates) == ("passed", [], [TUESDAY.isoformat()])
    assert unmet(centre) == {
        SILENT: f"1: {entry} since 2025-03-11 14:00 UTC",
        HOURS: f"2: {entry} 2025-03-11 10:00, {entry} 2025-03-11 11:00",
        VOLUME: "1: abccompany/prod 2025-03-11 with 10 in place of about 30",
    }
    assert f"warning: {VOLUME} is not met (1: abccompany/prod 2025-03-11" in caplog.text
    printed = " ".join(summary(centre).split())
    assert all(f"{name}: {observed}" in printed for name, observed in unmet(centre).items())

    idle = centre.run(clock(TUESDAY + timedelta(days=3), 6))
    assert (idle.objects, idle.dates, idle.verdict) == (0, [], "passed")
    assert unmet(centre) == {
        SILENT: f"1: {entry} since 2025-03-11 14:00 UTC",
        HOURS: f"6: {entry} 2025-03-12 09:00, {entry} 2025-03-12 10:00, {entry} 2025-03-12 11:00 and 3 more",
        VOLUME: "2: abccompany/prod 2025-03-12 with 0 in place of about 30,"
        " abccompany/prod 2025-03-13 with 0 in place of about 30",
    }

    for number in range(1, 4):
        centre.arrives(work(TUESDAY + timedelta(days=number)))
    centre.arrives(work(TUESDAY, WORKING[1:]))
    centre.run(clock(TUESDAY + timedelta(days=4), 6))
    assert set(results(centre)) == JUDGED
    assert unmet(centre) == {}
    before = centre.reader().versions("silver", "gold")["gold/reconciliation_daily"], len(centre.rows(QUALITY_RESULT))
    centre.run(clock(TUESDAY + timedelta(days=4), 6))
    after = centre.reader().versions("silver", "gold")["gold/reconciliation_daily"], len(centre.rows(QUALITY_RESULT))
    assert after == before  # nothing to tell: nothing is written


def test_a_young_lake_has_nothing_usual(spark: SparkSession, tmp_path: Path) -> None:
    centre = Centre(spark, tmp_path)
    for number in range(1, 15):
        centre.arrives(work(TUESDAY - timedelta(days=number), WORKING[:1]))
    centre.run(clock(TUESDAY + timedelta(days=5), 6))
    assert results(centre) == {}
    idle = centre.run(clock(TUESDAY + timedelta(days=9), 6))
    assert idle.verdict == "passed"
    assert results(centre) == {}
