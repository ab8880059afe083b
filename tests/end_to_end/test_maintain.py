"""The lake's upkeep: fewer files, the same rows, and nothing of what the last complete run left is touched."""

import os
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.centre import HOUR, Centre, assert_same_lake
from tests.records import contact, contact_object, interaction, interaction_object

from contactlake.errors import LakeHeld
from contactlake.lock import acquire_lease
from contactlake.maintain import maintain
from contactlake.tables import TABLES
from contactlake.tables.events import SYMBEE_INTERACTION
from contactlake.tables.ops import RUN

LONG_AGO = 40 * 24 * 3600


def grow_old(folder: Path) -> None:
    """As if all that is there had been written forty days ago."""
    then = time.time() - LONG_AGO
    for file in folder.rglob("*"):
        if file.is_file():
            os.utime(file, (then, then))


def test_files_become_few_and_rows_stay(spark: SparkSession, tmp_path: Path) -> None:
    centre = Centre(spark, tmp_path)
    for number in range(3):
        centre.arrives(
            interaction_object(HOUR, interaction(TaskId=f"t{number}", GatewayTaskId=f"g{number}"), name=f"i{number}"),
            contact_object(HOUR, contact(ContactId=f"g{number}"), name=f"c{number}"),
        )
        centre.run(f"2025-03-0{number + 6}T00:00:00Z")
    centre.run("2025-03-09T00:00:00Z", lake="other")
    lake = centre.root / "lake"
    settings = centre.settings()
    table = lake / SYMBEE_INTERACTION.path
    never_named = table / "never-named.parquet"
    never_named.write_bytes(b"what a killed run left")
    (lake / "_landing" / "00000001-killed").mkdir(parents=True)
    (lake / "_landing" / "00000001-killed" / ".contactlake-0123.tmp").write_bytes(b"left")

    told = maintain(settings, lambda _: None)
    assert told["files_compacted"][SYMBEE_INTERACTION.path] == 3
    assert told["files_removed"] == told["log_entries_removed"] == 0  # a reader may still be at them
    assert list((lake / "_landing").iterdir()) == []
    assert len(centre.reader().lake.read(SYMBEE_INTERACTION).inputFiles()) == 1
    assert_same_lake(centre, "lake", "other")
    assert sorted(row["job"] for row in centre.rows(RUN, ["job"])) == ["daily", "daily", "daily", "maintain"]
    for each in TABLES:
        version = centre.reader().lake.version(each)
        checkpoints = list((lake / each.path / "_delta_log").glob("*.checkpoint.parquet"))
        assert not version or checkpoints, each

    before = centre.reader().versions("silver", "gold")
    grow_old(lake / "silver")
    grow_old(lake / "gold")
    told = maintain(settings, lambda _: None)
    assert told["files_compacted"] == {RUN.path: 2}  # its own row beside what it had made one
    assert not never_named.exists()
    assert told["log_entries_removed"]
    assert centre.reader().versions("silver", "gold") == before
    assert_same_lake(centre, "lake", "other")
    assert maintain(settings, lambda _: None)["files_removed"] == 0
    # The next run goes on from there, and one that fails can be undone.
    centre.arrives(interaction_object(HOUR, interaction(TaskId="t0", GatewayTaskId="g0", Username="other"), name="z"))
    assert centre.run("2025-03-10T00:00:00Z").records == 1
    centre.run("2025-03-10T00:00:00Z", lake="other")
    assert_same_lake(centre, "lake", "other")


def test_a_lake_that_is_held_is_left_alone(spark: SparkSession, tmp_path: Path) -> None:
    centre = Centre(spark, tmp_path)
    centre.run()
    before = centre.reader().versions("silver", "gold", "ops")
    with acquire_lease(centre.reader().store, "the-other", 600), pytest.raises(LakeHeld, match="the-other"):
        maintain(centre.settings(), lambda _: None)
    assert centre.reader().versions("silver", "gold", "ops") == before
