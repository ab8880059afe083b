"""A hundred thousand records and some thousand objects that are wrong in every way: each is counted, none does harm."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import REPOSITORY, Tally
from tests.hostile import NASTY_VALUES, broken, damaged, good, gzip_bomb, packed, texts, zip_bomb
from tests.unit.feed_samples import CONNECT, SYMBEE, TRANSCRIPTS
from tests.unit.test_block import assert_both_ways_agree, by_the_block, context, one_by_one
from tests.unit.test_privacy import Laid, land

from contactlake.archive.storage import ObjectStore, S3Options, open_store
from contactlake.feeds.record_type import Feed

PARTS, RECORDS = 20, 2000
KEYS = {SYMBEE: "interactions", CONNECT: "contacts", TRANSCRIPTS: "transcript"}
"""What `land` takes for objects of the feed."""


@pytest.fixture
def archive(tmp_path: Path) -> ObjectStore:
    (tmp_path / "archive").mkdir()
    return open_store(str(tmp_path / "archive"), S3Options())


def marked(number: int, feed: Feed) -> bytes:
    """A good record that is told from all others."""
    record = good(3, feed)  # of Symbee's an interaction
    name = "SessionId" if feed.holds_messages else "ContactId" if feed.type_key is None else "TaskId"
    return json.dumps({**record, name: f"marked-{number}"}).encode()


def marks(rows: dict[str, list[dict[str, Any]]]) -> Counter[str]:
    names = ("task_id", "contact_id", "session_id")
    found = (row[name] for kind in rows.values() for row in kind for name in names if row.get(name))
    return Counter(name for name in found if name.startswith("marked-"))


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("feed", [SYMBEE, CONNECT, TRANSCRIPTS], ids=lambda feed: feed.name)
def test_no_bad_record_costs_a_good_one(feed: Feed, part: int, tally: Tally) -> None:
    number = RECORDS if feed is not TRANSCRIPTS else RECORDS // 2
    seeds = range(part * number, (part + 1) * number)
    text = texts(feed, seeds, (marked(number, feed) for number in range(number // 10)))
    rows, refused = by_the_block(text, feed, context(("tier",)))
    assert marks(rows) == Counter({f"marked-{number}": 1 for number in range(number // 10)})
    assert len({record.ordinal for record in refused}) == len(refused)
    tally("bad inputs", number)


@pytest.mark.parametrize("feed", [SYMBEE, CONNECT], ids=lambda feed: feed.name)
def test_every_nasty_value_is_read_alike_both_ways(feed: Feed, tally: Tally) -> None:
    record = good(3, feed)
    for value in NASTY_VALUES:
        members = [[name, json.dumps(there)] for name, there in record.items()]
        bad = []
        for at in range(1, len(members)):
            changed = [f"{json.dumps(name)}:{value if at == n else there}" for n, (name, there) in enumerate(members)]
            bad.append(("{" + ",".join(changed) + "}").encode("utf-8", "surrogatepass"))
        assert_both_ways_agree(b"\n".join(bad), feed, context(("tier",)))
        tally("bad inputs", len(bad))


@pytest.mark.parametrize("feed", [SYMBEE, CONNECT, TRANSCRIPTS], ids=lambda feed: feed.name)
def test_what_is_very_wrong_is_one_record(feed: Feed, tally: Tally) -> None:
    for bad in broken(good(3, feed)):
        text = marked(1, feed) + b"\n" + bad + b"\n" + marked(2, feed)
        rows, refused = by_the_block(text, feed, context())
        assert marks(rows) == Counter({"marked-1": 1, "marked-2": 1}), bad[:100]
        assert sum(map(len, rows.values())) + len(refused) == 3, bad[:100]
        tally("bad inputs")


def assert_counted(laid: Laid) -> None:
    """Every object was read, and each of its records is a row or a refused one."""
    assert {row["status"] for row in laid.manifest} <= {"READ", "COUNT", "FILE"}
    read = [row for row in laid.manifest if row["status"] == "READ"]
    counts = [row for row in laid.manifest if row["status"] == "COUNT"]
    for name in ("records", "quarantined"):
        assert sum(row[name] for row in read) == sum(row[name] for row in counts)
    refused = len(laid.rows.get("ops/quarantine", []))
    assert sum(row["quarantined"] for row in read) == refused
    assert sum(row["records"] for row in read) == sum(map(len, laid.rows.values()))


def test_objects_packed_in_every_way_are_read_or_refused_whole(archive: ObjectStore, tally: Tally) -> None:
    text = texts(SYMBEE, range(50))
    objects = packed(text)
    for name, content in objects.items():
        archive.write(name, content)
    laid = land(archive, "drop", feed="symbee")
    assert_counted(laid)
    unreadable = {row["object"].rpartition("/")[2] for row in laid.rows["ops/quarantine"] if row["ordinal"] < 0}
    assert {name for name in objects if "cut" in name} <= unreadable
    assert {"magic alone", "zip magic alone", "zip, encrypted", "gzip, wrong sum", "gzip, garbage behind"} <= unreadable
    assert unreadable.isdisjoint({"gzip", "gzip, two members", "zip", "zip, out of its root", "zip, bzip2", "zstd"})
    whole = len(one_by_one(text, SYMBEE, context())[1]) + sum(map(len, one_by_one(text, SYMBEE, context())[0].values()))
    records = {row["key"]: row["records"] for row in laid.manifest if row["status"] == "READ"}
    assert {records[name] for name in ("gzip", "zip", "zip, bzip2", "zip, lzma", "zstd")} == {whole}
    assert {records[name] for name in unreadable} == {1}
    assert not Path("/tmp/evil").exists()  # noqa: S108 - where a member of an archive wanted to be
    tally("bad inputs", len(objects))


def test_damaged_objects_are_counted(archive: ObjectStore, tally: Tally) -> None:
    text = texts(SYMBEE, range(20))
    for seed in range(2000):
        archive.write(f"{seed:05}", damaged(seed, text))
    assert_counted(land(archive, "drop", feed="symbee"))
    tally("bad inputs", 2000)


_LIMITED = """
import resource, sys
from tests.unit.test_privacy import land
from contactlake.archive.storage import S3Options, open_store
laid = land(open_store(sys.argv[1], S3Options()), "drop", limit=1 << 28, feed="symbee")
records = [row["records"] for row in laid.manifest if row["status"] == "READ"]
print(records, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_bombs_and_monsters_cost_little_memory(archive: ObjectStore, tally: Tally) -> None:
    """In a process of its own, whose greatest memory is asked for at its end."""
    archive.write("1 gzip bomb", gzip_bomb(1 << 30))
    archive.write("2 zip bomb", zip_bomb(1 << 30))
    archive.write("3 nested", b'{"ActivityType":' + b'{"x":' * 10_000_000)
    archive.write("4 one string", b'{"ActivityType":"' + b"x" * 100_000_000 + b'"}')
    archive.write("5 never ending", b'{"ActivityType":"' + b"\xff" * 50_000_000)
    archive.write("6 numbers", b"1" * 50_000_000)
    archive.write("7 starts", b'{"ActivityType":' * 100_000)  # each is one, and what follows it is too
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, archive.uri],
        cwd=REPOSITORY,
        env={"PYTHONPATH": f"{REPOSITORY / 'lib'}:{REPOSITORY}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    records, kilobytes = done.stdout.rsplit(" ", 1)
    assert records == "[1, 1, 1, 1, 1, 1, 100000]"
    assert int(kilobytes) < 2 << 20
    tally("bad inputs", 7)
