"""What the checks share: what they are about, and what a finding is."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from pyspark.sql import SparkSession

from contactlake.archive.storage import ObjectStore, S3Options, open_store
from contactlake.config import Configuration
from contactlake.errors import ContactlakeError

SPARK = "4.1"
"""The version of Spark that is needed, and of pyspark."""
ENGINE = 1
"""The exit code of an engine that is missing, of another version or broken."""
SHOWN = 300
"""An engine's fault may be pages long."""


class Verdict(StrEnum):
    """How a finding is taken; one that could not be looked for is skipped."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"
    SKIP = "skip"


@dataclass(frozen=True)
class Finding:
    """One line of the report, and what the user can do about it."""

    verdict: Verdict
    found: str
    remedy: str = ""
    exit_code: int = 0


@dataclass
class Examination:
    """What the checks are about, and what earlier ones have found for later ones."""

    file: Path | None
    configuration: Configuration | None = None
    failed: set[str] = field(default_factory=set)
    spark: SparkSession | None = None

    @property
    def settings(self) -> Configuration:
        if self.configuration is None:
            raise Unexamined("the configuration is wrong")
        return self.configuration

    @property
    def session(self) -> SparkSession:
        if self.spark is None:
            raise Unexamined("Spark did not start")
        return self.spark

    @property
    def lake(self) -> ObjectStore:
        return self.store(self.settings.lake.root)

    def store(self, root: str) -> ObjectStore:
        s3 = self.settings.storage.s3
        return open_store(root, S3Options(s3.endpoint, s3.path_style, s3.region))

    def needs(self, name: str, otherwise: str) -> None:
        """Raises `Unexamined` where the check `name` has failed."""
        if name in self.failed:
            raise Unexamined(otherwise)


class Unexamined(Exception):
    """There is nothing to look at, since another check has failed."""


def ok(found: str) -> Finding:
    return Finding(Verdict.OK, found)


def broken(found: str, remedy: str) -> Finding:
    return Finding(Verdict.FAIL, found, remedy, ENGINE)


def failure(fault: ContactlakeError, before: str = "") -> Finding:
    return Finding(Verdict.FAIL, f"{before}{fault.problem}", fault.remedy, fault.exit_code)


def duration(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    if minutes < 1:
        return f"{int(span.total_seconds())} s"
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 72 else f"{hours // 24} days"


def first_line(fault: Exception) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:SHOWN]
