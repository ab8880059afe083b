"""Drivers killed at every step, before and after changes of the lake, and at random: the next run mends it.

Kills are chained: a killed run is the next one's unfinished run. After the last one, a run completes the lake to what
it is without any.
"""

import random
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from pyspark.sql import DataFrame
from tests.commands import Command
from tests.conftest import Tally
from tests.drivers import Ended
from tests.s3_server import Bucket
from tests.scenes import AS_OF, Scene

from contactlake.archive.storage import ObjectStore, open_store
from contactlake.config import load_configuration
from contactlake.published import open_published
from contactlake.tables.gold import GOLD_TABLES, HANDLE_DAILY
from contactlake.tables.ops import RUN

SURVIVED = "kills survived"
_AT_POINTS = 8
"""So many kills per chapter, besides one at each step."""
_AT_RANDOM = 5
_WHILE_MAKING = ("after create silver/conversation", "before create ops/quality_result")
_WHILE_UNDOING = ("before restore silver/interaction", "after restore gold/queue_daily", "after fence ops/run")
_WHILE_MERGING = ("before commit silver/connect_contact", "after commit silver/connect_contact")


def chosen(points: Sequence[str], number: int) -> list[str]:
    """Each step, and of the other points so many that lie apart, in the order in which a run comes by."""
    known = list(dict.fromkeys(points))
    known = known[: known.index("after commit ops/run")]  # then the run is complete
    # Making tables is over after the first run of a chain, whatever becomes of it.
    others = [point for point in known if not point.startswith("step: ") and " create " not in point]
    picked = {others[round(index * (len(others) - 1) / (number - 1))] for index in range(number)}
    return [point for point in known if point in picked or point.startswith("step: ")]


def kill_at(scene: Scene, points: Sequence[str]) -> int:
    for point in points:
        ended = scene.run(point)
        assert ended.code == -signal.SIGKILL, (point, ended.log)
        scene.expire()
    return len(points)


def kill_at_random(scene: Scene) -> int:
    """Kills some time after a random point. A run that was faster has completed the lake: then anew from before."""
    complete_runs = scene.undisturbed[RUN.path]
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    dice = random.Random(seed)
    kills = 0
    for _ in range(_AT_RANDOM):
        ended = scene.run(dice.choice(scene.points), delay=dice.uniform(0.001, 0.6))
        assert ended.code in (0, -signal.SIGKILL), (seed, ended.log)
        kills += ended.code == -signal.SIGKILL
        if scene.leases():
            scene.expire()
        if scene.complete_runs() == complete_runs:
            assert scene.facts() == scene.undisturbed, seed
            scene.begin()
    return kills


def complete(scene: Scene) -> None:
    ended = scene.run()
    assert ended.code == 0, ended.log
    assert scene.facts() == scene.undisturbed
    assert scene.laid_down() == []


@pytest.mark.timeout(1800)
def test_a_first_run_that_is_killed_leaves_no_trace(first: Scene, tally: Tally) -> None:
    tally(SURVIVED, kill_at(first, [*_WHILE_MAKING, *chosen(first.points, _AT_POINTS), *_WHILE_UNDOING]))
    tally(SURVIVED, kill_at_random(first))
    complete(first)


@pytest.mark.timeout(1800)
def test_a_later_run_that_is_killed_leaves_no_trace(later: Scene, tally: Tally) -> None:
    """It merges updates into what is there, and replaces dates in gold."""
    tally(SURVIVED, kill_at_random(later))
    tally(SURVIVED, kill_at(later, [*_WHILE_MERGING, *chosen(later.points, _AT_POINTS), *_WHILE_UNDOING]))
    complete(later)
    versions = later.versions()
    assert later.run().code == 0
    assert later.versions() == {**versions, "ops/run": (versions["ops/run"] or 0) + 1}  # nothing is left to mend


def test_killed_with_its_engine(later: Scene, tally: Tally) -> None:
    """The command as users start it, its whole process group killed."""
    for step in ("write events", "publish"):
        with Command(later.config(), AS_OF) as command:
            command.await_step(step)
            assert command.kill() == -signal.SIGKILL
            assert command.is_gone()
        later.expire()
        tally(SURVIVED)
    complete(later)


def test_killed_on_s3(first: Scene, s3_bucket: Bucket, tally: Tally) -> None:
    """Where the lease expires by the server's clock."""
    config = first.config(s3_bucket, lease_seconds=2)
    for point in ("after commit silver/connect_contact", "before commit gold/queue_daily", "before commit ops/run"):
        assert run_once_expired(first, config, point).code == -signal.SIGKILL
        tally(SURVIVED)
    ended = run_once_expired(first, config)
    assert ended.code == 0, ended.log
    copy_into(first.folder / "lake", open_store(f"{s3_bucket.uri}/lake", s3_bucket.options))
    assert first.facts() == first.undisturbed


def run_once_expired(scene: Scene, config: Path, point: str | None = None) -> Ended:
    """A run once the lease of the last one has expired."""
    while (ended := scene.drivers.run(config, AS_OF, point)).code == 5:
        pass
    return ended


def copy_into(folder: Path, store: ObjectStore) -> None:
    for found in store.list(""):
        file = folder / found.key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(store.read(found.key))


def test_readers_of_the_last_complete_run_see_nothing_of_one_under_way(later: Scene) -> None:
    settings = load_configuration(later.config())
    published = open_published(settings, "reader")
    before = {table.path: rows_of(published.rows(table)) for table in GOLD_TABLES}
    driver = later.start("after commit gold/handle_daily", by=signal.SIGSTOP)
    driver.await_stop()
    assert rows_of(later.centre.reader().frame(HANDLE_DAILY)) != before[HANDLE_DAILY.path]  # half of it is there
    for reader in (published, open_published(settings, "another reader")):
        assert reader.run == published.run
        assert {table.path: rows_of(reader.rows(table)) for table in GOLD_TABLES} == before
    driver.signal(signal.SIGCONT)
    assert driver.wait().code == 0
    after = open_published(settings, "reader")
    assert after.run.run_id > published.run.run_id
    assert rows_of(after.rows(HANDLE_DAILY)) == rows_of(later.centre.reader().frame(HANDLE_DAILY))
    assert {table.path: rows_of(published.rows(table)) for table in GOLD_TABLES} == before


def rows_of(rows: DataFrame) -> list[str]:
    return sorted(str(row) for row in rows.toArrow().to_pylist())
