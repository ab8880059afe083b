"""A small demo lake, made once: what a newcomer's `make demo` makes, with fewer agents."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.commands import surroundings
from tests.drivers import Drivers
from tests.scenes import Scene

REPOSITORY = Path(__file__).parents[2]
AS_OF = "2025-03-12T06:00:00Z"


def run_command(arguments: list[str], folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The console command as a user runs it: another process, in `folder`, in plain surroundings."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "contactlake"), *arguments],
        cwd=folder,
        env=surroundings(**variables),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@dataclass(frozen=True)
class Demo:
    """Where the demo was run, and what its two commands printed last."""

    folder: Path
    synthesis: dict[str, Any]
    run: dict[str, Any]

    @property
    def config(self) -> Path:
        return REPOSITORY / "conf" / "local.toml"

    @property
    def lake(self) -> Path:
        return self.folder / "build" / "lake"


def _last_line(command: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert command.returncode == 0, command.stderr
    said: dict[str, Any] = json.loads(command.stdout.splitlines()[-1])
    return said


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """`contactlake synthesize`, then `contactlake daily` with the configuration of the demo."""
    folder = tmp_path_factory.mktemp("demo")
    synthesis = run_command(
        [
            "synthesize",
            "--out",
            "build/archive",
            "--start",
            "2025-03-04",
            "--days",
            "2",
            "--agents",
            "6",
            "--seed",
            "7",
        ],
        folder,
    )
    config = str(REPOSITORY / "conf" / "local.toml")
    daily = run_command(["daily", "--config", config, "--as-of", AS_OF], folder)
    return Demo(folder, _last_line(synthesis), _last_line(daily))


@pytest.fixture(scope="session")
def drivers(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drivers]:
    with Drivers(spark, tmp_path_factory.mktemp("drivers")) as drivers:
        yield drivers


@pytest.fixture(scope="session")
def first_scene(spark: SparkSession, drivers: Drivers, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(spark, tmp_path_factory.mktemp("first"), drivers)


@pytest.fixture(scope="session")
def later_scene(spark: SparkSession, drivers: Drivers, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(spark, tmp_path_factory.mktemp("later"), drivers, is_later=True)


@pytest.fixture
def first(first_scene: Scene) -> Scene:
    """A centre whose lake is not there yet."""
    first_scene.begin()
    return first_scene


@pytest.fixture
def later(later_scene: Scene) -> Scene:
    """A centre whose lake is a day old, and whose next run finds updates of what it holds."""
    later_scene.begin()
    return later_scene
