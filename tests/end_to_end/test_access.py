"""The rights that a run needs are those that the operations page lists, and its credentials stay where they are."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.conftest import REPOSITORY
from tests.end_to_end.conftest import run_command
from tests.records import contact, contact_object, interaction, interaction_object
from tests.s3_server import ACCESS_KEY, SECRET_KEY, Bucket, SeaweedFS

from contactlake.archive.storage import ObjectStore, open_store
from contactlake.errors import StorageError

RUNNER, RUNNERS_SECRET = "AKIARUNNERRUNNERRUNN", "runners-secret-4f0c9d2e7b61"
PSEUDONYM_KEY = "pseudonym-key-83ab1c55e0d7"
IVY = REPOSITORY / "conf" / "ivysettings.xml"
ARCHIVE, LAKE = "an-archive", "a-lake"
RIGHTS = (f"Read:{ARCHIVE}", f"List:{ARCHIVE}", f"Read:{LAKE}", f"List:{LAKE}", f"Write:{LAKE}")
"""`s3:GetObject` and `s3:ListBucket` on the archive; on the lake these, `s3:PutObject` and `s3:DeleteObject`."""


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bucket, Bucket]]:
    """The archive's and the lake's, on a server that knows a runner of few rights; the environment is a master's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    with SeaweedFS({RUNNER: (RUNNERS_SECRET, RIGHTS)}) as server:
        yield server.create_bucket(ARCHIVE), server.create_bucket(LAKE)


def _configuration(folder: Path, archive: Bucket, lake: Bucket) -> Path:
    file = folder / "contactlake.toml"
    file.write_text(
        f"""
[lake]
root = "{lake.uri}/lake"
timezone = "America/Chicago"

[[feed]]
name = "symbee"
archive = "{archive.uri}/symbee"
prefix = "interactions/"

[[feed]]
name = "connect_contact"
archive = "{archive.uri}/connect"
prefix = "connectCtrAcme"
environment = "abccompany/prod"

[privacy]
customer_identifiers = "hash"

[storage.s3]
endpoint = "{archive.options.endpoint}"
path_style = true
region = "us-east-1"
"""
    )
    return file


def _settings(folder: Path) -> tuple[Path, Path]:
    """Spark's settings as they ship, with an event log; and where it goes."""
    settings, events = folder / "spark", folder / "events"
    settings.mkdir()
    events.mkdir()
    shipped = (REPOSITORY / "conf" / "s3" / "spark-defaults.conf").read_text()
    log = f"spark.eventLog.enabled true\nspark.eventLog.dir {events.as_uri()}\nspark.eventLog.compress false\n"
    (settings / "spark-defaults.conf").write_text(f"{shipped}\n{log}")
    return settings, events


def _everything(store: ObjectStore) -> Iterator[tuple[str, str]]:
    """Every object's key and what it says, as it lies and, of a data file, unpacked."""
    for found in store.list(""):
        content = store.read(found.key)
        yield found.key, content.decode("latin-1")
        if found.key.endswith(".parquet"):
            yield found.key, repr(pq.read_table(io.BytesIO(content)).to_pylist())


def test_few_rights_are_enough_and_no_credential_is_told(
    buckets: tuple[Bucket, Bucket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, lake = (open_store(bucket.uri, bucket.options) for bucket in buckets)
    settings, events = _settings(tmp_path)
    config = _configuration(tmp_path, *buckets)
    said = []

    def daily() -> int:
        done = run_command(
            ["daily", "--config", str(config), "--as-of", "2025-03-06T00:00:00Z"],
            tmp_path,
            AWS_ACCESS_KEY_ID=RUNNER,
            AWS_SECRET_ACCESS_KEY=RUNNERS_SECRET,
            CONTACTLAKE_PSEUDONYM_KEY=PSEUDONYM_KEY,
            SPARK_CONF_DIR=str(settings),
            PYSPARK_SUBMIT_ARGS=f"--conf spark.jars.ivySettings={IVY} pyspark-shell",
        )
        said.append(done.stdout + done.stderr)
        return done.returncode

    hour = "2025/03/04/18"
    for key, content in {**interaction_object(hour, interaction()), **contact_object(hour, contact())}.items():
        archive.write(key, content)
    assert daily() == 0, said[-1]
    changed = interaction(CompletedTimestamp="2025-03-04T17:07:00Z")  # which Spark merges
    (key, content) = next(iter(interaction_object(hour, changed, name="b").items()))
    archive.write(key, content)
    assert daily() == 0, said[-1]

    told = [*_everything(archive), *_everything(lake), *((f"run {number}", text) for number, text in enumerate(said))]
    logs = [file for file in events.rglob("*") if file.is_file()]
    assert logs
    told += [(file.name, file.read_text()) for file in logs]
    for secret in (RUNNERS_SECRET, RUNNER, PSEUDONYM_KEY):
        assert [where for where, text in told if secret in text] == []

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", RUNNER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", RUNNERS_SECRET)
    before = [(found.key, found.etag) for found in archive.list("")]
    attempts: tuple[Callable[[], object], ...] = (
        lambda: archive.write("symbee/interactions/mine", b"-"),
        lambda: archive.write(key, b"-"),
        lambda: archive.delete([key]),
    )
    for forbidden in attempts:
        with pytest.raises(StorageError, match="AccessDenied"):
            forbidden()
    assert [(found.key, found.etag) for found in archive.list("")] == before
