"""What more than one test module stands on."""

import os
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.s3_server import ACCESS_KEY, SECRET_KEY, Bucket, SeaweedFS
from xdist.scheduler import LoadScopeScheduling

REPOSITORY = Path(__file__).parents[1]

_FOR_MANY_RUNS = (
    # Drivers that were killed let go of nothing that they held in the JVM.
    "--driver-memory 4500m "
    "--conf spark.sql.shuffle.partitions=2 --conf spark.sql.codegen.wholeStage=false "
    "--conf spark.sql.codegen.factoryMode=NO_CODEGEN "
    # Unlike a run's own, this JVM lives long enough for the optimising compiler to pay, and sees very many tables.
    '--conf "spark.driver.extraJavaOptions=-Djava.net.preferIPv4Stack=true -Ddelta.log.cacheSize=40"'
)
"""Settings for very many runs over a handful of rows in one session. What ships is shown by tests of the command."""


_MADE_ONCE = {
    "a demo": ("test_notebooks", "test_show", "test_summary"),
    "drivers": ("test_holders", "test_kills"),
    "hostile": ("test_hostile_archive",),
}
"""Modules whose tests share what takes long to make, and so run in one process."""


def _scope(nodeid: str) -> str:
    module = Path(nodeid.partition("::")[0]).stem
    return next((shared for shared, modules in _MADE_ONCE.items() if module in modules), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Test by test, but for those that share something, which come first."""
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = _scope
    return scheduler


@pytest.fixture(scope="session")
def s3_server() -> Iterator[SeaweedFS]:
    with SeaweedFS() as server:
        yield server


@pytest.fixture
def s3_bucket(s3_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A fresh bucket; the environment holds the keys to it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    return s3_server.create_bucket(f"test-{uuid.uuid4().hex}")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One local session for all tests in this process, with the settings that ship with the package.

    It has the S3 support too; that a lake in a directory does without is shown by tests that start the command.
    """
    # The JVM reads its credentials from its own environment, once.
    os.environ |= {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_CONF_DIR": str(REPOSITORY / "conf" / "s3"),
        "PYSPARK_SUBMIT_ARGS": (
            f"--conf spark.jars.ivySettings={REPOSITORY / 'conf' / 'ivysettings.xml'} {_FOR_MANY_RUNS} pyspark-shell"
        ),
    }
    session = SparkSession.builder.appName("tests").getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    yield session
    session.stop()


# --- what tests have counted ---

Tally = Callable[..., None]


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """Counts things that a test tries, such as kills: `tally("kills survived", 3)`. The sums are printed at the end."""

    def count(what: str, number: int = 1) -> None:
        record_property("tally", [what, number])

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    sums: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", ()):
        if report.when == "call":
            for name, value in report.user_properties:
                if name == "tally":
                    sums[value[0]] += value[1]
    for what, number in sorted(sums.items()):
        terminalreporter.write_line(f"{what}: {number:,}")
