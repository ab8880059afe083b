"""The whole daily job over an archive of nothing but malice: every record is counted, and nothing else happens."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import pytest
from pyspark.sql import SparkSession
from tests.centre import Centre, assert_same_lake
from tests.conftest import Tally
from tests.hostile import ODD_NAMES, broken, damaged, good, gzip_bomb, packed, texts, zip_bomb

from contactlake.feeds import feed_named
from contactlake.tables.ops import INGEST_COUNT, INGESTED_OBJECT, QUARANTINE

SYMBEE, TRANSCRIPTS, CONNECT = feed_named("symbee"), feed_named("symbee_transcript"), feed_named("connect_contact")
PLACES = {
    SYMBEE: "symbee/interactions/{}/",
    CONNECT: "connect/connectCtrAcme{}/",
    TRANSCRIPTS: "symbee/ChatTranscripts/{}/",
}
MOST_BYTES = 5 << 29
"""Of the Python processes, where objects are unpacked and decoded: far below what would be unpacked from the archive.

What the JVM takes is bounded by its setting, and tells of the tests that it ran before.
"""
SETTINGS = {
    "ingest": {"lookback_hours": 400, "max_decompressed_bytes": 64 << 20},
    "quality": {"max_quarantined_share": 1.0},
    "privacy": {"customer_identifiers": "keep", "attributes_keep": ["tier", "Email"]},
}
OBJECTS, RECORDS = 12, 120


@contextmanager
def most_memory() -> Iterator[list[int]]:
    """The most memory, in bytes, that this process and the Python workers below it took at one time."""
    most, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            total = 0
            for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
                try:
                    if process.name() != "java":
                        total += process.memory_full_info().uss
                except psutil.Error:  # it has just ended
                    continue
            most[0] = max(most[0], total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        ended.set()
        watcher.join()


def objects(day: int) -> Iterator[tuple[str, bytes]]:
    """The objects of one day: records as they come, packed in every way, bombs, and names as odd as they may be."""
    for feed, place in PLACES.items():
        folder = place.format(f"2025/03/{day:02}" + ("" if feed is TRANSCRIPTS else "/18"))
        first = day * 1_000_000
        for number in range(OBJECTS):
            seeds = range(first + number * RECORDS, first + (number + 1) * RECORDS)
            goods = [json.dumps(good(seed, feed)).encode() for seed in seeds]
            yield f"{folder}{number}-{ODD_NAMES[number % len(ODD_NAMES)]}"[:230], texts(feed, seeds, goods)
        small = texts(feed, range(first, first + 20))
        if feed is TRANSCRIPTS:
            continue
        for name, content in packed(small).items():
            yield f"{folder}packed {name}", content
        for seed in range(40):
            yield f"{folder}damaged {seed}", damaged(first + seed, small)
        for number, content in enumerate(broken(good(3, feed))):
            yield f"{folder}broken {number}", content
        yield f"{folder}gzip bomb", gzip_bomb(2 << 30)
        yield f"{folder}zip bomb", zip_bomb(1 << 30)


def assert_all_is_counted(centre: Centre, lake: str = "lake") -> None:
    counts = centre.rows(INGEST_COUNT, lake=lake)
    for row in counts:
        assert row["records"] == sum(
            row[name] for name in ("inserted", "updated", "duplicate", "ignored", "quarantined")
        )
        assert min(value for value in row.values() if isinstance(value, int)) >= 0
    ledger = centre.rows(INGESTED_OBJECT, lake=lake)
    total: Counter[str] = Counter()
    for row in ledger:
        total.update({f"{row['feed']} records": row["records"], f"{row['feed']} quarantined": row["quarantined"]})
    for row in counts:
        total.subtract({f"{row['feed']} {name}": row[name] for name in ("records", "quarantined")})
    assert not any(total.values())
    assert sum(row["quarantined"] for row in ledger) == len(centre.rows(QUARANTINE, ["feed"], lake=lake))


@dataclass(frozen=True)
class Told:
    """What two runs over the archive came to."""

    centre: Centre
    inputs: int
    most_bytes: int


@pytest.fixture(scope="module")
def told(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Told:
    centre, inputs = Centre(spark, tmp_path_factory.mktemp("hostile")), 0
    with most_memory() as most:
        for day in (4, 5):
            arriving = dict(objects(day))
            centre.arrives(arriving)
            summary = centre.run(f"2025-03-{day + 1:02}T06:00:00Z", with_transcripts=True, sections=SETTINGS)
            assert summary.objects == len(arriving)
            assert_all_is_counted(centre)
            inputs += len(arriving) + OBJECTS * len(PLACES) * RECORDS
    return Told(centre, inputs, most[0])


def test_a_hostile_archive_is_counted_to_the_last_record(told: Told, tally: Tally) -> None:
    assert 0 < told.most_bytes < MOST_BYTES
    unreadable = [
        row["object"]
        for row in told.centre.rows(QUARANTINE, ["object", "reason"])
        if row["reason"] == "UNREADABLE_OBJECT"
    ]
    assert sum(name.endswith("bomb") for name in unreadable) == 8
    tally("bad inputs", told.inputs)


def test_a_hostile_archive_ends_as_in_one_run(told: Told) -> None:
    told.centre.run("2025-03-06T06:00:00Z", lake="at-once", with_transcripts=True, sections=SETTINGS)
    assert_all_is_counted(told.centre, "at-once")
    assert_same_lake(told.centre, "lake", "at-once")
