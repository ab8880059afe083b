"""Spark's classes as Java has kept them: the command takes them from there, and does without where they are others'."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.end_to_end.conftest import run_command
from tests.end_to_end.test_doctor import CHECKS, config, verdicts

from contactlake import launch
from contactlake.config import load_configuration


@pytest.fixture(scope="module")
def kept() -> Path:
    """The classes as `make setup` keeps them, made now where that was left out."""
    if not launch.shared_classes().is_file():
        subprocess.run([sys.executable, "-m", "contactlake.class_sharing"], check=True, timeout=600)
    return launch.shared_classes()


def test_a_command_maps_the_kept_classes(tmp_path: Path, kept: Path) -> None:
    log = tmp_path / "loaded.log"
    options = f"-Xlog:class+load:file={log}"
    done = run_command(["doctor", "--config", config(tmp_path)], tmp_path, SPARK_SUBMIT_OPTS=options)
    assert done.returncode == 0, done.stdout + done.stderr
    (loaded,) = [line for line in log.read_text().splitlines() if " org.apache.spark.SparkContext " in line]
    assert loaded.endswith("shared objects file (top)")


def test_classes_of_another_java_are_left_aside(tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "sharing"
    (other / "conf").mkdir(parents=True)
    (other / "classes.jsa").write_bytes(kept.read_bytes().replace(b"64-Bit Server VM", b"65-Bit Server VM", 1))
    monkeypatch.setattr(launch, "class_sharing_folder", lambda: other)
    users = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    monkeypatch.setattr(os, "environ", users)  # what is set there ends with this test
    file = config(tmp_path)
    launch.prepare(load_configuration(Path(file)))
    taken = ("SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS", "SPARK_SUBMIT_OPTS")
    settings = {name: os.environ[name] for name in taken}
    assert str(other / "classes.jsa") in settings["SPARK_SUBMIT_OPTS"]
    done = run_command(["doctor", "--config", file], tmp_path, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts(done.stdout) == dict.fromkeys(CHECKS, "ok")
    assert "classes.jsa" not in done.stdout + done.stderr
