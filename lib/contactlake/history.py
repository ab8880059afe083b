"""The runs that were: the last complete one, and undoing what an unfinished one left."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import pyarrow.compute as pc

from contactlake.concurrency import concurrently
from contactlake.lock import Lease
from contactlake.store import Lake
from contactlake.tables import TABLES
from contactlake.tables.ops import RUN

log = logging.getLogger("contactlake.run")

COMPLETE = ("SUCCEEDED", "GATE_FAILED")
"""The statuses of a run whose writes stand."""


@dataclass(frozen=True)
class PastRun:
    """A complete run: its clock, the versions that it left and how far it had listed.

    `listed_at` and `published_at` are the clocks of the last run up to it that read the archive, and of the last whose
    figures passed the gate.
    """

    run_id: str
    as_of: datetime
    table_versions: Mapping[str, int]
    newest_arrivals: Mapping[str, datetime]
    listed_at: datetime | None
    published_at: datetime | None


def last_complete_run(lake: Lake) -> PastRun | None:
    """The latest complete run; run ids rise with the leases they ran under."""
    columns = ("run_id", "job", "status", "as_of", "table_versions", "newest_arrivals")
    rows = lake.read_rows(RUN, columns, pc.field("status").isin(COMPLETE)).to_pylist()
    if not rows:
        return None
    row = max(rows, key=lambda row: str(row["run_id"]))
    return PastRun(
        row["run_id"],
        row["as_of"],
        dict(row["table_versions"] or ()),
        dict(row["newest_arrivals"] or ()),
        max((row["as_of"] for row in rows if row["job"] in ("ingest", "daily")), default=None),
        max((row["as_of"] for row in rows if is_publication(row["job"], row["status"])), default=None),
    )


def reconciled_dates(lake: Lake) -> set[date]:
    """The dates that were reconciled since the archive was last read: their conformed rows tell all of the events."""
    rows = lake.read_rows(RUN, ("run_id", "job", "dates"), pc.field("status").isin(COMPLETE)).to_pylist()
    last_read = max((row["run_id"] for row in rows if row["job"] in ("ingest", "daily")), default="")
    later = (row for row in rows if row["job"] in ("reconcile", "daily") and row["run_id"] >= last_read)
    return {day for row in later for day in row["dates"] or ()}


def is_succession(last: PastRun | None, lease: Lease) -> bool:
    """Whether `lease` follows that of the last complete run, whose holder has said that it ended.

    Otherwise somebody may be asleep who thinks that he holds the lake.
    """
    return lease.follows_release and last is not None and _lease_number(last.run_id) == lease.number - 1


def _lease_number(run_id: str) -> int:
    return int(run_id.partition("-")[0])


def is_publication(job: str, status: str) -> bool:
    """Whether a run has put figures in place, or seen that there are none to put."""
    return status == "SUCCEEDED" and job in ("daily", "measure")


def undo_unfinished(lake: Lake, last: PastRun | None, *, fencing: bool = False) -> list[str]:
    """Takes each table back to the version that the last complete run left, and says which were taken back.

    When `fencing`, every table gets a commit of this lease, and those that are not there are made: nobody who held the
    lake before can commit any more. `ops/run` stays as it is: its rows tell of failed runs too, and only those of
    complete runs count.
    """
    known = last.table_versions if last else {}
    lake.expect(known)
    tables = [table for table in TABLES if table is not RUN]
    # A table that no complete run knew was made empty, as version 0.
    put_back = lake.fence if fencing else lake.take_back
    was_ahead = concurrently(partial(put_back, table, known.get(table.path, 0)) for table in tables)
    undone = [table.path for table, is_undone in zip(tables, was_ahead, strict=True) if is_undone]
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
