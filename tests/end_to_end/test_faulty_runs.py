"""Whole runs on a storage that fails: they end in the lake that they would have made, or tell why they did not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.bucket_centre import BucketCentre
from tests.centre import HOUR
from tests.faulty_s3 import Act, Cut, Drop, FaultyS3, LoseAnswer, Meanwhile, Refuse, Stall
from tests.records import contact, contact_object, interaction, interaction_object
from tests.s3_server import Bucket

from contactlake import cli, delta_log
from contactlake.archive import s3_client
from contactlake.tables.events import SYMBEE_INTERACTION
from contactlake.tables.ops import INGEST_COUNT, RUN

SLOW_DOWN, DENIED = Refuse(503, "SlowDown"), Refuse(403, "AccessDenied")
LATER = "2025/03/05/10"


@pytest.fixture
def faulty(s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    monkeypatch.setattr(s3_client, "_ANSWER_SECONDS", 5)
    monkeypatch.setattr(delta_log, "_PAUSES", (0.1, 0.1))
    with FaultyS3(s3_bucket) as faulty:
        yield faulty


@pytest.fixture
def centre(spark: SparkSession, tmp_path: Path, s3_bucket: Bucket, faulty: FaultyS3) -> BucketCentre:
    for key, value in {"retry.limit": "2", "retry.throttle.limit": "2", "retry.interval": "100ms"}.items():
        spark.conf.set(f"fs.s3a.{key}", value)
    return BucketCentre(spark, tmp_path, s3_bucket, faulty.bucket)


def task(number: int, **changes: Any) -> dict[str, Any]:
    return interaction(TaskId=f"task-{number}", GatewayTaskId=f"contact-{number}", **changes)


def first_load(centre: BucketCentre) -> None:
    centre.arrives(
        interaction_object(HOUR, *map(task, range(5))),
        contact_object(HOUR, *(contact(ContactId=f"contact-{number}") for number in range(5))),
    )


def more(centre: BucketCentre) -> None:
    """New rows, and some that replace others, which is a MERGE."""
    changed = [task(number, CompletedTimestamp="2025-03-04T17:07:00Z") for number in range(2)]
    centre.arrives(
        interaction_object(LATER, *changed, name="changed"),
        interaction_object(LATER, task(8), name="replaced"),
        interaction_object(LATER, task(9), name="deleted"),
        contact_object(LATER, contact(ContactId="contact-9"), name="new"),
    )


_STORM: tuple[tuple[str, Act, int], ...] = (
    ("^(GET|PUT|POST|HEAD)", SLOW_DOWN, 17),
    ("^(GET|PUT)", Refuse(500, "InternalError"), 29),
    ("^(GET|PUT|HEAD)", Drop(), 31),
    ("^GET", Cut(40), 37),
    ("^GET", Cut(40, is_reset=True), 41),
    ("^PUT", LoseAnswer(), 23),
)


def test_a_storm_costs_nothing_but_time(centre: BucketCentre, faulty: FaultyS3, s3_bucket: Bucket) -> None:
    first_load(centre)
    for pattern, act, every in _STORM:
        faulty.add(pattern, act, times=None, every=every)
    faulty.add("^GET .*symbee_interaction/.*parquet", Stall())
    assert centre.run().inserted == 10
    assert min(faulty.clear()) > 0
    more(centre)
    key = f"symbee/interactions/{LATER}/"
    replaced, deleted = ((centre.undisturbed.root / key / name).read_bytes() for name in ("replaced", "deleted"))
    faulty.add(f"^GET .*/{key}replaced", Meanwhile(s3_bucket.name, f"{key}replaced", replaced + replaced))
    faulty.add(f"^GET .*/{key}deleted", Meanwhile(s3_bucket.name, f"{key}deleted", None))
    for pattern, act, every in _STORM:
        faulty.add(pattern, act, times=None, every=every)
    summary = centre.run()  # what was deleted or replaced since it was listed is left for the next run
    assert (summary.objects, summary.inserted, summary.updated) == (2, 1, 2)
    assert faulty.clear()[:2] == [1, 1]
    centre.arrives({f"{key}replaced": replaced, f"{key}deleted": deleted})
    summary = centre.run()
    assert (summary.objects, summary.inserted, summary.duplicate) == (2, 2, 0)
    centre.assert_undisturbed()


HALFWAY: tuple[tuple[str, Act, str], ...] = (
    (
        f"^GET .*/interactions/{LATER}/replaced",
        DENIED,
        f"/symbee/interactions/{LATER}/replaced: refused with AccessDenied",
    ),
    (f"^GET .*/interactions/{LATER}/replaced", Cut(0), f"/symbee/interactions/{LATER}/replaced broke off at byte 0"),
    ("^PUT .*/_landing/", DENIED, "/_landing/"),
    ("^PUT .*/symbee_interaction/.*parquet", DENIED, "/symbee_interaction"),
    ("^PUT .*/gold/handle_daily/_delta_log/", SLOW_DOWN, "/gold/handle_daily: refused with SlowDown"),
    ("^PUT .*/ops/run/_delta_log/", DENIED, "/ops/run: refused with AccessDenied"),
)


def test_a_failure_halfway_is_exit_4_and_undone(
    centre: BucketCentre, faulty: FaultyS3, capsys: pytest.CaptureFixture[str]
) -> None:
    first_load(centre)
    centre.run()
    centre.undisturbed.run()
    more(centre)

    def attempt() -> int:
        centre.run()
        return 0

    for pattern, act, named in HALFWAY:
        faulty.add(pattern, act, times=None)
        assert cli._guarded(attempt) == 4, pattern
        assert faulty.clear()[0] > 0
        said = capsys.readouterr().err.splitlines()[-1]
        assert named in said, said
        assert "Traceback" not in said
    assert centre.run().objects == 4
    centre.assert_undisturbed()
    assert len(centre.rows(SYMBEE_INTERACTION)) == 7
    assert sum(row["records"] for row in centre.rows(INGEST_COUNT)) == 15
    statuses = [row["status"] for row in centre.rows(RUN, ["run_id", "status"])]
    assert (statuses[0], statuses[-1], set(statuses[1:-1])) == ("SUCCEEDED", "SUCCEEDED", {"FAILED"})
