"""`contactlake doctor` as a user starts it: with the settings that ship, on a place that is right and on wrong ones."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.commands import surroundings
from tests.conftest import REPOSITORY
from tests.end_to_end.conftest import run_command
from tests.lakes import write_objects
from tests.s3_server import Bucket

from contactlake.archive.storage import S3Options, open_store
from contactlake.lock import acquire_lease

CHECKS = ("configuration", "python", "java", "archive", "lake", "clock", "lock", "spark", "executors", "delta", "time")


def config(folder: Path, prefix: str = "interactions/") -> str:
    write_objects(folder, {f"archive/interactions/{datetime.now(UTC):%Y/%m/%d/%H}/a": b"{}"})
    file = folder / "contactlake.toml"
    file.write_text(
        f'[lake]\nroot = "lake"\ntimezone = "America/Chicago"\n'
        f'[[feed]]\nname = "symbee"\narchive = "archive"\nprefix = "{prefix}"\n'
    )
    return str(file)


def verdicts(report: str) -> dict[str, str]:
    lines = report.split("\n\n")[0].splitlines()
    return {line.split()[1]: line.split()[0] for line in lines}


def test_all_is_well_while_a_run_is_at_work(tmp_path: Path) -> None:
    file = config(tmp_path)
    with acquire_lease(open_store(str(tmp_path / "lake"), S3Options()), "some-run", 600):
        before = sorted(tmp_path.rglob("*"))
        done = run_command(["doctor", "--config", file], tmp_path)
        assert sorted(tmp_path.rglob("*")) == before
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts(done.stdout) == dict.fromkeys(CHECKS, "ok")
    assert "held by run some-run" in done.stdout
    assert done.stdout.endswith("\nNothing to do.\n")


def test_a_broken_archive_hides_nothing_else(tmp_path: Path) -> None:
    done = run_command(["doctor", "--config", config(tmp_path, "nowhere/")], tmp_path)
    assert done.returncode == 4, done.stdout + done.stderr
    assert verdicts(done.stdout) == {**dict.fromkeys(CHECKS, "ok"), "archive": "FAIL"}
    assert "\nTo do:\n- archive: give the prefix of symbee as typed into Firehose" in done.stdout
    assert not (tmp_path / "lake").exists()


def test_settings_without_delta_are_told(tmp_path: Path) -> None:
    settings = tmp_path / "conf"
    settings.mkdir()
    (settings / "spark-defaults.conf").write_text("spark.master local[1]\nspark.log.level ERROR\n")
    done = run_command(["doctor", "--config", config(tmp_path)], tmp_path, SPARK_CONF_DIR=str(settings))
    assert done.returncode == 1, done.stdout + done.stderr
    assert verdicts(done.stdout) == {**dict.fromkeys(CHECKS, "ok"), "delta": "FAIL"}
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "lake").exists()


def test_no_java_and_wrong_keys_at_once(tmp_path: Path, s3_bucket: Bucket) -> None:
    file = Path(config(tmp_path))
    file.write_text(
        file.read_text().replace('"lake"', f'"{s3_bucket.uri}/lake"')
        + f'[storage.s3]\nendpoint = "{s3_bucket.options.endpoint}"\npath_style = true\nregion = "us-east-1"\n'
    )
    secret = "not-the-secret-of-anything"
    keys = {"AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"], "AWS_SECRET_ACCESS_KEY": secret}
    done = run_command(["doctor", "--config", str(file)], tmp_path, JAVA_HOME=str(tmp_path), **keys)
    assert done.returncode == 4, done.stdout + done.stderr
    found = verdicts(done.stdout)
    assert {name for name, verdict in found.items() if verdict == "FAIL"} == {"java", "lake"}
    assert {name for name, verdict in found.items() if verdict == "ok"} == {
        "configuration",
        "python",
        "archive",
        "time",
    }
    assert "refused with SignatureDoesNotMatch" in done.stdout
    assert secret not in done.stdout + done.stderr


def test_a_wrong_configuration(tmp_path: Path) -> None:
    done = run_command(["doctor", "--config", "nowhere.toml"], tmp_path)
    assert done.returncode == 2
    assert "FAIL  configuration --config nowhere.toml cannot be read" in done.stdout


@pytest.mark.parametrize("arguments", [["--as-of", "now"], ["something"]])
def test_a_wrong_command_line(tmp_path: Path, arguments: list[str]) -> None:
    done = run_command(["doctor", *arguments], tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_under_spark_submit_the_platforms_settings_count(tmp_path: Path) -> None:
    file = config(tmp_path)
    ivy = REPOSITORY / "conf" / "ivysettings.xml"
    done = subprocess.run(
        [
            shutil.which("spark-submit", path=str(Path(sys.executable).parent)) or "spark-submit",
            *("--conf", f"spark.jars.ivySettings={ivy}", "--conf", "spark.master=local[1]"),
            str(REPOSITORY / "jobs" / "doctor.py"),
            *("--config", file),
        ],
        cwd=tmp_path,
        env=surroundings(SPARK_CONF_DIR=str(REPOSITORY / "conf"), PYSPARK_PYTHON=sys.executable),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " on Java 17." in done.stdout
    assert "local[1]" in done.stdout
    assert "Nothing to do." in done.stdout
