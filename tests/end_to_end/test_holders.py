"""One run holds the lake: of two that start together, of a sleeper and who took over, of one that is told to end."""

import shutil
import signal
from collections.abc import Sequence

import pytest
from tests.commands import Command
from tests.conftest import Tally
from tests.drivers import first_to_end
from tests.s3_server import Bucket
from tests.scenes import AS_OF, Scene

HELD, KEPT_OUT = "double starts held", "sleepers kept out"
_ROUNDS = 4


@pytest.mark.parametrize("place", ["directory", "s3"])
def test_of_two_that_start_together_one_works(
    first: Scene, place: str, request: pytest.FixtureRequest, tally: Tally
) -> None:
    bucket: Bucket | None = request.getfixturevalue("s3_bucket") if place == "s3" else None
    config = first.config(bucket)
    for number in range(_ROUNDS):
        pair = [first.drivers.start(config, AS_OF, "before create _lease", by=signal.SIGSTOP) for _ in range(2)]
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
    if bucket is None:
        assert first.facts() == first.undisturbed


def sleep_through(scene: Scene, points: Sequence[str]) -> None:
    """Each run takes the lake over from the last and falls asleep at its point; one completes it, then all wake up."""
    sleepers = []
    for point in points:
        sleeper = scene.start(point, by=signal.SIGSTOP)
        sleeper.await_stop()
        sleepers.append(sleeper)
        scene.expire()
    taker = scene.run()
    assert taker.code == 0, taker.log
    versions = scene.versions()
    for sleeper, point in zip(sleepers, points, strict=True):
        sleeper.signal(signal.SIGCONT)
        ended = sleeper.wait()
        assert ended.code == 5, (point, ended.log)
        assert "took the lake over; run again once no other run is at work" in ended.log
        assert scene.versions() == versions, point
    assert scene.facts() == scene.undisturbed


def test_a_sleeper_commits_nothing_and_ends_with_5(first: Scene, tally: Tally) -> None:
    points = (
        "before create silver/interaction",
        "step: find what is new",
        "before commit silver/symbee_interaction",
        "before commit silver/agent",
        "before write a file of ops/ingested_object",
        "before commit silver/reconciliation",
        "before upload data_docs",
        "before delete_prefix _landing",
    )
    sleep_through(first, points)
    tally(KEPT_OUT, len(points))


def test_a_sleeper_over_updates_commits_nothing(later: Scene, tally: Tally) -> None:
    points = (
        "before restore silver/interaction",
        "before commit silver/connect_contact",
        "before commit gold/handle_daily",
        "before commit ops/run",
    )
    assert later.run("step: publish").code == -signal.SIGKILL  # so that there is something to undo
    later.expire()
    sleep_through(later, points)
    tally(KEPT_OUT, len(points))


@pytest.mark.parametrize("wakes_at", ["after fence ops/run", "step: find what is new"])
def test_a_sleeper_that_wakes_while_the_other_works_spoils_nothing(first: Scene, wakes_at: str, tally: Tally) -> None:
    sleeper = first.start("before commit silver/interaction", by=signal.SIGSTOP)
    sleeper.await_stop()
    first.expire()
    taker = first.start(wakes_at, by=signal.SIGSTOP)
    taker.await_stop()
    laid_down = first.laid_down()
    sleeper.signal(signal.SIGCONT)
    ended = sleeper.wait()
    assert ended.code == 5, ended.log
    assert first.laid_down() == laid_down
    taker.signal(signal.SIGCONT)
    ended = taker.wait()
    assert ended.code == 0, ended.log
    assert first.facts() == first.undisturbed
    tally(KEPT_OUT)


def test_a_command_that_sleeps_with_its_engine_ends_with_5(first: Scene, tally: Tally) -> None:
    with Command(first.config(), AS_OF) as command:
        command.await_step("reconcile")
        command.signal_group(signal.SIGSTOP)
        first.expire()
        assert first.run().code == 0
        versions = first.versions()
        command.signal_group(signal.SIGCONT)
        assert command.end() == 5, command.said
        assert command.is_gone()
        assert "took the lake over" in command.said.splitlines()[-1]
        assert "Traceback" not in command.said
    assert first.versions() == versions
    assert first.facts() == first.undisturbed
    tally(KEPT_OUT)


@pytest.mark.parametrize(
    ("number", "step", "is_for_all"),
    [(signal.SIGTERM, "reconcile", False), (signal.SIGINT, "measure", True), (signal.SIGTERM, "start Spark", True)],
)
def test_a_command_that_is_told_to_end_lets_go_at_once(
    first: Scene, number: signal.Signals, step: str, is_for_all: bool
) -> None:
    with Command(first.config(), AS_OF) as command:
        command.await_step(step)
        (command.signal_group if is_for_all else command.signal_driver)(number)
        assert command.end() == 128 + number, command.said
        assert command.is_gone()
    assert first.is_released()
    assert f"ended by {number.name}; the next run undoes" in command.said
    assert "Traceback" not in command.said
    assert "Exception" not in command.said
    assert first.run("step: find what is new").code == -signal.SIGKILL  # the next one may start at once


def test_a_run_that_is_told_to_end_as_it_takes_the_lake_lets_go(first: Scene) -> None:
    ended = first.start("after create _lease", by=signal.SIGTERM).wait()
    assert ended.code == 128 + signal.SIGTERM, ended.log
    assert first.is_released()


def test_wiped_leases_cost_a_line_in_the_log(later: Scene) -> None:
    shutil.rmtree(later.folder / "lake" / "_lease")
    ended = later.run()
    assert ended.code == 0, ended.log
    assert "holds no lease file although run 1 has written there" in ended.log
    assert [lease.stem for lease in later.leases()] == [f"{101:020}"]
    assert later.facts() == later.undisturbed
    assert later.run().code == 0
