"""The command as its users start it: a process of its own, exit codes, stdout and stderr."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.commands import surroundings
from tests.conftest import REPOSITORY
from tests.lakes import write_objects
from tests.records import contact, contact_object, interaction, interaction_object, text
from tests.s3_server import Bucket

from contactlake.archive.storage import S3Options, open_store
from contactlake.lock import acquire_lease

HOUR = "2025/03/04/18"
COMMAND = str(Path(sys.executable).with_name("contactlake"))


def contactlake(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env=surroundings(**(environment or {})),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def config(tmp_path: Path, lake: str | None = None, archive: str | None = None, more: str = "") -> str:
    file = tmp_path / "contactlake.toml"
    file.write_text(
        f"""
[lake]
root = "{lake or tmp_path / "lake"}"
timezone = "America/Chicago"

[[feed]]
name = "symbee"
archive = "{archive or tmp_path / "symbee"}"
prefix = "interactions/"

[[feed]]
name = "connect_contact"
archive = "{archive or tmp_path / "connect"}"
prefix = "connectCtrAcme"
environment = "abccompany/prod"
{more}
"""
    )
    return str(file)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write_objects(tmp_path, {**interaction_object(HOUR, interaction()), **contact_object(HOUR, contact())})
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["daily"], "--config"),
        (["daily", "--config", "nowhere.toml"], "nowhere.toml"),
        (["daily", "--config", "CONFIG", "--as-of", "2025-03-06T00:00:00"], "--as-of"),
        (["daily", "--config", "CONFIG", "--as-of", "yesterday"], "--as-of"),
        (["daily", "--config", "CONFIG", "--as-of", "0001-01-01T00:00:00+14:00"], "--as-of"),
        (["daily", "--config", "CONFIG", "--from", "2025-03-02", "--to", "2025-03-01"], "--from"),
        (["daily", "--config", "CONFIG", "--from", "2025-03-02"], "--to"),
        (["daily", "--config", "CONFIG", "--from", "2025-02-30", "--to", "2025-03-01"], "--from"),
        (["daily", "--config", "CONFIG", "--accept", "no.such"], "--accept"),
        (["daily", "--config", "CONFIG", "--whatever"], "--whatever"),
        (["weekly"], "weekly"),
        ([], "COMMAND"),
    ],
)
def test_a_wrong_command_line_is_exit_2_in_one_line(archive: Path, arguments: list[str], named: str) -> None:
    file = config(archive)
    done = contactlake(*(file if argument == "CONFIG" else argument for argument in arguments))
    assert done.returncode == 2
    assert named in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (archive / "lake").exists()


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("[ingest]\nlookbackhours = 3", "ingest.lookbackhours"),
        ('[ingest]\nlookback_hours = "3"', "ingest.lookback_hours"),
        ('[[feed]]\nname = "symbee"\narchive = "x"', "feed[2].prefix"),
        ('[privacy]\ncustomer_identifiers = "hash"', "CONTACTLAKE_PSEUDONYM_KEY"),
    ],
)
def test_a_wrong_configuration_is_exit_2_in_one_line(archive: Path, more: str, key: str) -> None:
    done = contactlake("daily", "--config", config(archive, more=more))
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
    assert key in done.stderr
    assert not (archive / "lake").exists()


def test_an_archive_that_is_not_there_is_exit_4(tmp_path: Path) -> None:
    done = contactlake("daily", "--config", config(tmp_path))
    assert done.returncode == 4
    assert str(tmp_path / "symbee") in done.stderr
    assert not (tmp_path / "lake").exists()


def s3_section(bucket: Bucket) -> str:
    return f'[storage.s3]\nendpoint = "{bucket.options.endpoint}"\npath_style = true\nregion = "us-east-1"\n'


def keys(access: str | None = None, secret: str | None = None) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": access or os.environ["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": secret or os.environ["AWS_SECRET_ACCESS_KEY"],
    }


def test_wrong_credentials_are_exit_4_and_never_shown(archive: Path, s3_bucket: Bucket) -> None:
    secret = "not-the-secret-of-anything"
    wrong = keys("AKIAWRONGWRONGWRONG", secret)
    for file in (
        config(archive, lake=f"{s3_bucket.uri}/lake", more=s3_section(s3_bucket)),
        config(archive, archive=s3_bucket.uri, more=s3_section(s3_bucket)),
    ):
        done = contactlake("daily", "--config", file, environment=wrong)
        assert done.returncode == 4
        assert s3_bucket.uri in done.stderr
        assert "403" in done.stderr
        assert secret not in done.stderr + done.stdout
    assert not (archive / "lake").exists()


def test_a_missing_bucket_is_exit_4(archive: Path, s3_bucket: Bucket) -> None:
    for places in ({"lake": "s3://no-such-bucket-here/lake"}, {"archive": "s3://no-such-bucket-here"}):
        done = contactlake(
            "daily", "--config", config(archive, **places, more=s3_section(s3_bucket)), environment=keys()
        )
        assert done.returncode == 4
        assert "s3://no-such-bucket-here" in done.stderr


def test_a_lake_that_is_held_is_exit_5(archive: Path) -> None:
    with acquire_lease(open_store(str(archive / "lake"), S3Options()), "the-other-run", 600):
        done = contactlake("daily", "--config", config(archive))
    assert done.returncode == 5
    assert "the-other-run" in done.stderr
    assert not (archive / "lake" / "ops").exists()


def test_daily_from_the_command_and_from_spark_submit(archive: Path) -> None:
    file = config(archive)
    done = contactlake("daily", "--config", file, "--as-of", "2025-03-06T00:00:00Z")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["as_of"] == "2025-03-06T00:00:00Z"
    assert {name: summary[name] for name in ("objects", "records", "inserted", "dates", "verdict")} == {
        "objects": 2,
        "records": 2,
        "inserted": 2,
        "dates": ["2025-03-04"],
        "verdict": "passed",
    }
    assert (archive / "lake" / "gold" / "handle_daily" / "_delta_log").is_dir()
    bad = [interaction(TaskId=f"t{number}", CompletedTimestamp="") for number in range(200)]
    write_objects(archive, {f"symbee/interactions/{HOUR}/bad": text(bad)})
    submitted = subprocess.run(
        [
            str(Path(sys.executable).with_name("spark-submit")),
            "--conf",
            f"spark.jars.ivySettings={REPOSITORY / 'conf' / 'ivysettings.xml'}",
            str(REPOSITORY / "jobs" / "daily.py"),
            "--config",
            file,
            "--as-of",
            "2025-03-06T00:00:00Z",
        ],
        env={**os.environ, "SPARK_CONF_DIR": str(REPOSITORY / "conf"), "PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert submitted.returncode == 3, submitted.stderr
    # spark-submit puts what the job says on stderr onto its own stdout, before the summary.
    assert "ingest_count.quarantined_share_symbee" in "\n".join(submitted.stdout.splitlines()[:-1])
    assert json.loads(submitted.stdout.splitlines()[-1])["verdict"] == "failed"
