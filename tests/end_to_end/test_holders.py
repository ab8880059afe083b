"""One run holds the lake: of two that start together, of a sleeper and who took over, of one that is told to end."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.commands import Command
from tests.conftest import Tally
from tests.drivers import Drivers, Ended, first_to_end
from tests.s3_server import Bucket
from tests.scenes import AS_OF, Scene

HELD, HOLDERS = "double starts held", "sleepers kept out"
_ROUNDS = 4


@pytest.fixture
def scene(spark: SparkSession, tmp_path: Path) -> Iterator[Scene]:
    with Drivers(spark, tmp_path) as drivers:
        yield Scene(spark, tmp_path, drivers)


@pytest.mark.parametrize("place", ["directory", "s3"])
def test_of_two_that_start_together_one_works(
    scene: Scene, place: str, request: pytest.FixtureRequest, tally: Tally
) -> None:
    bucket: Bucket | None = request.getfixturevalue("s3_bucket") if place == "s3" else None
    config = scene.config(bucket=bucket)
    for number in range(_ROUNDS):
        pair = [scene.drivers.start(config, AS_OF, "before create _lease", by=signal.SIGSTOP) for _ in range(2)]
        for driver in pair:
            driver.await_stop()
        for driver in pair:
            driver.signal(signal.SIGCONT)
        waits = first_to_end(pair)
        (works,) = (driver for driver in pair if driver is not waits)
        held = waits.wait()
        assert held.code == 5, held.log
        assert f" {works.pid}) since 20" in held.log
        assert "Traceback" not in held.log
        if number < _ROUNDS - 1:
            works.signal(signal.SIGTERM)
            assert works.wait().code == 128 + signal.SIGTERM
        else:
            ended = works.wait()
            assert ended.code == 0, ended.log
        tally(HELD)


SLEEPS_AT = (
    "before create silver/interaction",
    "step: find what is new",
    "before commit silver/symbee_interaction",
    "before commit silver/agent",
    "before write a file of ops/ingested_object",
    "before commit silver/reconciliation",
    "before upload data_docs",
    "before commit gold/queue_daily",
    "before delete_prefix _landing",
    "before commit ops/run",
)
SLEEPS_LATER_AT = ("before commit silver/connect_contact", "before commit gold/handle_daily")


def undisturbed(scene: Scene) -> None:
    ended = scene.drivers.run(scene.config("undisturbed"), AS_OF)
    assert ended.code == 0, ended.log


def sleep_through(scene: Scene, point: str) -> Ended:
    """The end of a run that slept at `point` while another took the lake over and completed it."""
    sleeper = scene.drivers.start(scene.config(), AS_OF, point, by=signal.SIGSTOP)
    sleeper.await_stop()
    scene.expire()
    taker = scene.drivers.run(scene.config(), AS_OF)
    assert taker.code == 0, taker.log
    versions = scene.versions()
    sleeper.signal(signal.SIGCONT)
    ended = sleeper.wait()
    assert scene.versions() == versions, point
    assert scene.facts() == scene.facts("undisturbed"), point
    return ended


@pytest.mark.timeout(1800)
def test_a_sleeper_commits_nothing_and_ends_with_5(scene: Scene, tally: Tally) -> None:
    undisturbed(scene)
    for point in SLEEPS_AT:
        ended = sleep_through(scene, point)
        assert ended.code == 5, (point, ended.log)
        assert "took the lake over; run again once no other run is at work" in ended.log
        shutil.rmtree(scene.folder / "lake")
        tally(HOLDERS)
    assert scene.drivers.run(scene.config(), AS_OF).code == 0
    shutil.copytree(scene.folder / "lake", scene.folder / "before")
    scene.arrives_later()
    undisturbed(scene)
    for point in SLEEPS_LATER_AT:
        ended = sleep_through(scene, point)
        assert ended.code == 5, (point, ended.log)
        shutil.rmtree(scene.folder / "lake")
        shutil.copytree(scene.folder / "before", scene.folder / "lake")
        tally(HOLDERS)


def test_a_sleeper_that_wakes_while_the_other_works_spoils_nothing(scene: Scene, tally: Tally) -> None:
    undisturbed(scene)
    for wakes_at in ("after fence ops/run", "step: find what is new", "before commit gold/handle_daily"):
        sleeper = scene.drivers.start(scene.config(), AS_OF, "before commit silver/interaction", by=signal.SIGSTOP)
        sleeper.await_stop()
        scene.expire()
        taker = scene.drivers.start(scene.config(), AS_OF, wakes_at, by=signal.SIGSTOP)
        taker.await_stop()
        laid_down = sorted((scene.folder / "lake" / "_landing").rglob("*.parquet"))
        sleeper.signal(signal.SIGCONT)
        ended = sleeper.wait()
        assert ended.code == 5, ended.log
        assert sorted((scene.folder / "lake" / "_landing").rglob("*.parquet")) == laid_down
        taker.signal(signal.SIGCONT)
        ended = taker.wait()
        assert ended.code == 0, ended.log
        assert scene.facts() == scene.facts("undisturbed")
        shutil.rmtree(scene.folder / "lake")
        tally(HOLDERS)


def test_a_command_that_sleeps_with_its_engine_ends_with_5(scene: Scene, tally: Tally) -> None:
    undisturbed(scene)
    with Command(scene.config(), AS_OF) as command:
        command.await_step("reconcile")
        command.signal_group(signal.SIGSTOP)
        scene.expire()
        assert scene.drivers.run(scene.config(), AS_OF).code == 0
        versions = scene.versions()
        command.signal_group(signal.SIGCONT)
        assert command.end() == 5, command.said
        assert command.is_gone()
        assert "took the lake over" in command.said.splitlines()[-1]
        assert "Traceback" not in command.said
    assert scene.versions() == versions
    assert scene.facts() == scene.facts("undisturbed")
    tally(HOLDERS)


@pytest.mark.parametrize(
    ("number", "step", "is_for_all"),
    [(signal.SIGTERM, "reconcile", False), (signal.SIGINT, "measure", True), (signal.SIGTERM, "start Spark", True)],
)
def test_a_command_that_is_told_to_end_lets_go_at_once(
    scene: Scene, number: signal.Signals, step: str, is_for_all: bool
) -> None:
    with Command(scene.config(), AS_OF) as command:
        command.await_step(step)
        (command.signal_group if is_for_all else command.signal_driver)(number)
        assert command.end() == 128 + number, command.said
        assert command.is_gone()
    assert scene.is_released()
    assert f"ended by {number.name}; the next run undoes" in command.said
    assert "Traceback" not in command.said
    assert "Exception" not in command.said
    assert scene.drivers.run(scene.config(), AS_OF).code == 0  # at once


def test_wiped_leases_cost_a_line_in_the_log(scene: Scene) -> None:
    undisturbed(scene)
    assert scene.drivers.run(scene.config(), AS_OF).code == 0
    shutil.rmtree(scene.folder / "lake" / "_lease")
    ended = scene.drivers.run(scene.config(), AS_OF)
    assert ended.code == 0, ended.log
    assert "holds no lease file although run 1 has written there" in ended.log
    assert [lease.stem for lease in scene.leases()] == [f"{101:020}"]
    scene.arrives_later()
    assert scene.drivers.run(scene.config(), AS_OF).code == 0
    undisturbed(scene)
    one, other = scene.facts(), scene.facts("undisturbed")
    for table in one:
        if table.startswith(("silver", "gold")):
            assert one[table] == other[table], table
