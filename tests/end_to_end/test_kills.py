"""Drivers killed at every step, before and after changes of the lake, and at random: the next run mends it.

Kills are chained: a killed run is the next one's unfinished run. After the last one, a run completes the lake to what
it is without any.
"""

import random
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.commands import Command
from tests.conftest import Tally
from tests.drivers import Drivers, Ended
from tests.s3_server import Bucket
from tests.scenes import AS_OF, Scene

from contactlake.archive.storage import ObjectStore, open_store
from contactlake.config import load_configuration
from contactlake.published import open_published
from contactlake.tables.gold import GOLD_TABLES, HANDLE_DAILY

SURVIVED = "kills survived"
_AT_POINTS = 10
"""So many kills per chapter, besides one at each step."""
_AT_RANDOM = 6
_WHILE_UNDOING = ("before restore silver/interaction", "after restore gold/queue_daily", "after fence ops/run")


@pytest.fixture
def scene(spark: SparkSession, tmp_path: Path) -> Iterator[Scene]:
    with Drivers(spark, tmp_path) as drivers:
        yield Scene(spark, tmp_path, drivers)


def chosen(points: Sequence[str], number: int) -> list[str]:
    """Each step, and of the other points so many that lie apart, in the order in which a run comes by."""
    known = list(dict.fromkeys(points))
    # Making tables is over after the first run of a chain, whatever becomes of it.
    others = [point for point in known if not point.startswith("step: ") and " create " not in point]
    picked = {others[round(index * (len(others) - 1) / (number - 1))] for index in range(number)}
    return [point for point in known if point in picked or point.startswith("step: ")]


def undisturbed(scene: Scene) -> Ended:
    ended = scene.drivers.run(scene.config("undisturbed"), AS_OF)
    assert ended.code == 0, ended.log
    return ended


def kill_at(scene: Scene, points: Sequence[str]) -> int:
    for point in points:
        ended = scene.drivers.run(scene.config(), AS_OF, point)
        assert ended.code == -signal.SIGKILL, (point, ended.log)
        scene.expire()
    return len(points)


def complete(scene: Scene) -> None:
    ended = scene.drivers.run(scene.config(), AS_OF)
    assert ended.code == 0, ended.log
    assert scene.facts() == scene.facts("undisturbed")
    scene.drivers.run(scene.config(), AS_OF)
    versions = scene.versions()
    assert scene.drivers.run(scene.config(), AS_OF).code == 0
    versions["ops/run"] = (versions["ops/run"] or 0) + 1
    assert scene.versions() == versions  # nothing is new, and nothing is left to mend


def kill_at_random(scene: Scene, points: Sequence[str]) -> int:
    """Kills some time after a random point. A run that was faster has completed the lake: then anew from before."""
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    dice = random.Random(seed)
    kills = 0
    before = scene.folder / "before"
    if (scene.folder / "lake").exists():
        shutil.copytree(scene.folder / "lake", before)
    for _ in range(_AT_RANDOM):
        ended = scene.drivers.run(scene.config(), AS_OF, dice.choice(points), delay=dice.uniform(0.001, 0.6))
        if ended.code == -signal.SIGKILL:
            kills += 1
            scene.expire()
        else:
            assert ended.code == 0, (seed, ended.log)
            assert scene.facts() == scene.facts("undisturbed"), seed
            shutil.rmtree(scene.folder / "lake")
            if before.exists():
                shutil.copytree(before, scene.folder / "lake")
    return kills


@pytest.mark.timeout(1800)
def test_a_first_run_that_is_killed_leaves_no_trace(scene: Scene, tally: Tally) -> None:
    points = undisturbed(scene).points
    making = ["after create silver/conversation", "before create ops/quality_result"]
    tally(SURVIVED, kill_at(scene, making + chosen(points, _AT_POINTS)))
    tally(SURVIVED, kill_at(scene, _WHILE_UNDOING))
    tally(SURVIVED, kill_at_random(scene, points))
    complete(scene)


@pytest.mark.timeout(1800)
def test_a_later_run_that_is_killed_leaves_no_trace(scene: Scene, tally: Tally) -> None:
    """It merges updates into what is there, and replaces dates in gold."""
    undisturbed(scene)
    shutil.copytree(scene.folder / "undisturbed", scene.folder / "lake")
    scene.arrives_later()
    points = undisturbed(scene).points
    merged = [f"{when} commit silver/connect_contact" for when in ("before", "after")]
    assert set(merged) < set(points)
    tally(SURVIVED, kill_at_random(scene, points))
    tally(SURVIVED, kill_at(scene, merged + chosen(points, _AT_POINTS)))
    tally(SURVIVED, kill_at(scene, _WHILE_UNDOING))
    complete(scene)


def test_killed_with_its_engine(scene: Scene, tally: Tally) -> None:
    """The command as users start it, its whole process group killed."""
    undisturbed(scene)
    for step in ("read", "write events", "reconcile", "publish"):
        with Command(scene.config(), AS_OF) as command:
            command.await_step(step)
            assert command.kill() == -signal.SIGKILL
            assert command.is_gone()
        scene.expire()
        tally(SURVIVED)
    complete(scene)


def test_killed_on_s3(scene: Scene, s3_bucket: Bucket, tally: Tally) -> None:
    """Where the lease expires by the server's clock."""
    undisturbed(scene)
    config = scene.config(bucket=s3_bucket, lease_seconds=2)
    store = open_store(f"{s3_bucket.uri}/lake", s3_bucket.options)
    for point in ("after commit silver/connect_contact", "before commit gold/queue_daily", "before commit ops/run"):
        assert await_lake(scene, config, point).code == -signal.SIGKILL
        tally(SURVIVED)
    assert await_lake(scene, config).code == 0
    copy_of(store, scene.folder / "lake")
    assert scene.facts() == scene.facts("undisturbed")


def await_lake(scene: Scene, config: Path, point: str | None = None) -> Ended:
    """A run once the last one's lease has expired."""
    while (ended := scene.drivers.run(config, AS_OF, point)).code == 5:
        pass
    return ended


def copy_of(store: ObjectStore, folder: Path) -> None:
    for found in store.list(""):
        file = folder / found.key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(store.read(found.key))


def test_readers_of_the_last_complete_run_see_nothing_of_one_under_way(scene: Scene) -> None:
    undisturbed(scene)
    settings = load_configuration(scene.config("undisturbed"))
    published = open_published(settings, "reader")
    before = {table.path: rows_of(published.rows(table)) for table in GOLD_TABLES}
    scene.arrives_later()
    driver = scene.drivers.start(
        scene.config("undisturbed"), AS_OF, "after commit gold/handle_daily", by=signal.SIGSTOP
    )
    driver.await_stop()
    latest = scene.centre.reader("undisturbed")
    assert rows_of(latest.frame(HANDLE_DAILY)) != before[HANDLE_DAILY.path]  # half of it is there
    for reader in (published, open_published(settings, "another reader")):
        assert reader.run == published.run
        assert {table.path: rows_of(reader.rows(table)) for table in GOLD_TABLES} == before
    driver.signal(signal.SIGCONT)
    assert driver.wait().code == 0
    after = open_published(settings, "reader")
    assert after.run.run_id > published.run.run_id
    assert rows_of(after.rows(HANDLE_DAILY)) == rows_of(scene.centre.reader("undisturbed").frame(HANDLE_DAILY))
    assert {table.path: rows_of(published.rows(table)) for table in GOLD_TABLES} == before


def rows_of(rows: DataFrame) -> list[str]:
    return sorted(str(row) for row in rows.toArrow().to_pylist())
