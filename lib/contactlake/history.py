"""The runs that were: the last complete one, and undoing what an unfinished one left."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from pyspark.sql import functions as F  # noqa: N812

from contactlake.concurrency import concurrently
from contactlake.store import Lake
from contactlake.tables import TABLES
from contactlake.tables.ops import RUN

log = logging.getLogger("contactlake.run")

COMPLETE = ("SUCCEEDED", "GATE_FAILED")
"""The statuses of a run whose writes stand."""


@dataclass(frozen=True)
class PastRun:
    """A complete run: its clock, the versions that it left and how far it had listed."""

    run_id: str
    as_of: datetime
    table_versions: Mapping[str, int]
    newest_arrivals: Mapping[str, datetime]


def last_complete_run(lake: Lake) -> PastRun | None:
    """The latest complete run; run ids rise with the leases they ran under."""
    if lake.version(RUN) in (None, 0):
        return None
    row = (
        lake.read(RUN)
        .where(F.col("status").isin(*COMPLETE))
        .orderBy(F.col("run_id").desc())
        .select("run_id", F.unix_micros("as_of").alias("as_of"), "table_versions", "newest_arrivals")
        .withColumn("newest_arrivals", F.transform_values("newest_arrivals", lambda _, value: F.unix_micros(value)))
        .first()
    )
    if row is None:
        return None
    return PastRun(
        row["run_id"],
        _instant(row["as_of"]),
        dict(row["table_versions"] or {}),
        {name: _instant(micros) for name, micros in (row["newest_arrivals"] or {}).items()},
    )


def _instant(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)


def undo_unfinished(lake: Lake, last: PastRun | None) -> list[str]:
    """Takes each table back to the version that the last complete run left, and says which were taken back.

    `ops/run` stays as it is: its rows tell of failed runs too, and only those of complete runs count.
    """
    known = last.table_versions if last else {}
    undone = []
    tables = [table for table in TABLES if table is not RUN]
    versions = concurrently(partial(lake.version, table) for table in tables)
    for table, version in zip(tables, versions, strict=True):
        wanted = known.get(table.path, 0)  # a table that no complete run knew was made empty, as version 0
        if version is not None and version > wanted:
            lake.restore(table, wanted)
            undone.append(table.path)
    if undone:
        log.warning("an unfinished run was undone in %s", ", ".join(undone))
    return undone


@dataclass
class RunRecord:
    """What a run tells about itself, filled in as it goes."""

    run_id: str
    job: str
    as_of: datetime
    started_at: datetime
    dates: Sequence[date] = ()
    newest_arrivals: dict[str, datetime] = field(default_factory=dict)
    steps: list[tuple[str, float]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)


def write_run(lake: Lake, record: RunRecord, status: str) -> None:
    """Ends the run in `ops/run`: of a complete run, this is what makes its writes stand."""
    row = {
        "run_id": record.run_id,
        "job": record.job,
        "as_of": record.as_of,
        "started_at": record.started_at,
        "finished_at": datetime.now(UTC),
        "status": status,
        "dates": list(record.dates),
        "table_versions": [
            (table.path, version) for table in TABLES if (version := lake.versions.get(table.path)) is not None
        ],
        "newest_arrivals": list(record.newest_arrivals.items()),
        "steps": [{"step": step, "seconds": round(seconds, 3)} for step, seconds in record.steps],
        "summary": json.dumps(record.summary),
    }
    lake.append_rows(RUN, [row])
