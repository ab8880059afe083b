"""Runs on small lakes: a configuration for an archive, a run of a job, and what the lake then holds."""

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from contactlake.archive.storage import ObjectStore, S3Options, open_store
from contactlake.config import Configuration, parse_configuration
from contactlake.request import Request
from contactlake.run import Summary, run_job
from contactlake.store import Lake
from contactlake.tables import TABLES
from contactlake.tables.declaration import Table

_LOCAL = S3Options()
SYMBEE_PREFIXES = ("interactions/", "workcodes/", "usage/", "agentevents/")


def configuration(
    lake: str,
    symbee: str,
    connect: str,
    options: S3Options = _LOCAL,
    sections: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    with_transcripts: bool = True,
) -> Configuration:
    """The configuration of a centre whose archive lies at `symbee` and `connect`."""
    feeds: list[dict[str, Any]] = [
        {"name": "symbee", "archive": symbee, "prefix": prefix} for prefix in SYMBEE_PREFIXES
    ]
    if with_transcripts:
        feeds.append({"name": "symbee_transcript", "archive": symbee, "prefix": "ChatTranscripts/"})
    feeds.append(
        {
            "name": "connect_contact",
            "archive": connect,
            "prefix": "connectCtrAcme",
            "environment": "abccompany/prod",
        }
    )
    values: dict[str, Any] = {
        "lake": {"root": lake, "timezone": "America/Chicago"},
        "feed": feeds,
        **{name: dict(section) for name, section in (sections or {}).items()},
    }
    if options.endpoint:
        values["storage"] = {
            "s3": {"endpoint": options.endpoint, "path_style": options.path_style, "region": options.region}
        }
    return parse_configuration(values, "test.toml")


def run(
    spark: SparkSession,
    settings: Configuration,
    as_of: str,
    job: str = "daily",
    dates: tuple[date, date] | None = None,
    accepted: tuple[str, ...] = (),
    *,
    is_full: bool = False,
) -> Summary:
    """One run of `job` in the tests' session."""
    assert spark is SparkSession.getActiveSession()
    if settings.storage.s3.endpoint:
        for key, value in {
            "fs.s3a.endpoint": settings.storage.s3.endpoint,
            "fs.s3a.path.style.access": "true",
            "fs.s3a.endpoint.region": settings.storage.s3.region or "us-east-1",
        }.items():
            spark.conf.set(key, value)
    first, last = dates or (None, None)
    return run_job(settings, Request(job, datetime.fromisoformat(as_of), first, last, is_full, accepted))


class Reader:
    """What a lake holds."""

    def __init__(self, spark: SparkSession, settings: Configuration) -> None:
        s3 = settings.storage.s3
        self.store: ObjectStore = open_store(settings.lake.root, S3Options(s3.endpoint, s3.path_style, s3.region))
        self.lake = Lake(spark, self.store, settings.lake.timezone)

    def frame(self, table: Table) -> DataFrame:
        self.lake.version(table)
        return self.lake.read(table)

    def rows(self, table: Table) -> pd.DataFrame:
        rows: pd.DataFrame = self.frame(table).toArrow().to_pandas(integer_object_nulls=True)
        return rows

    def versions(self, *layers: str) -> dict[str, int | None]:
        return {table.path: self.lake.version(table) for table in TABLES if table.layer in layers}


def write_objects(root: Path, objects: Mapping[str, bytes]) -> None:
    """Lays `objects` (key → bytes) down below a directory."""
    for key, content in objects.items():
        file = root / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
