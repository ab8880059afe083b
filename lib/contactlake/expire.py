"""`expire`: deletes the rows that are older than `[retention]` lets their layer hold."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from contactlake import pending
from contactlake.business_dates import date_of, date_start
from contactlake.care import drop_files, purge, rewrite
from contactlake.config import Configuration
from contactlake.delta_log import NamedFile
from contactlake.errors import ConfigurationError
from contactlake.retention import Expiry, Outdated, dated_at
from contactlake.standing_orders import write_expiry
from contactlake.store import Lake
from contactlake.tables import TABLES
from contactlake.tables.declaration import Table
from contactlake.tables.ops import PENDING_DATE, QUARANTINE
from contactlake.tenure import Progress, Tenure, hold_lake


def expire(configuration: Configuration, as_of: datetime, progress: Progress) -> dict[str, Any]:
    """Deletes rows whose business date is more than the layer's days before `as_of`'s; returns figures.

    The dates that have expired are put on record first: no later run recomputes them, or brings rows of them back.
    Raises `ContactlakeError`.
    """
    zone, retention = configuration.lake.timezone, configuration.retention
    today = date_of(as_of, zone)
    lines = {
        layer: _days_before(today, days, layer)
        for layer, days in (
            ("silver", retention.silver),
            ("gold", retention.gold),
            ("quarantine", retention.quarantine),
        )
        if days is not None
    }
    with hold_lake(configuration, "expire", None, progress) as tenure:
        lake = tenure.lake
        expiry = _put_on_record(tenure, Expiry(lines.get("silver"), lines.get("gold")))
        firsts: dict[Table, date] = {
            table: first for table in TABLES if (first := _first_kept(table, expiry, lines)) is not None
        }
        with tenure.step("delete what has expired"):
            deleted = {table.path: _delete_before(lake, table, first, zone) for table, first in firsts.items()}
            _forget_pending(lake, expiry)
        summary: dict[str, Any] = {
            "run_id": tenure.record.run_id,
            "as_of": as_of.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "first_dates": {layer: first.isoformat() for layer, first in lines.items()},
            "rows": {path: number for path, number in deleted.items() if number},
        }
        tenure.complete(summary)
        with tenure.step("remove what was before"):
            summary["files_removed"] = sum(purge(lake, table) for table in firsts)
    return summary


def _days_before(today: date, days: int, layer: str) -> date:
    try:
        return today - timedelta(days=days)
    except OverflowError:
        raise ConfigurationError(f"retention.{layer} is longer than the calendar", "leave it out") from None


def _put_on_record(tenure: Tenure, wanted: Expiry) -> Expiry:
    """What has expired by now: dates only ever join it."""
    expiry = tenure.expiry.advanced(wanted)
    if expiry != tenure.expiry:
        tenure.lake.check_lease()
        write_expiry(tenure.lake.store, tenure.record.run_id, expiry)
    return expiry


def _first_kept(table: Table, expiry: Expiry, lines: dict[str, date]) -> date | None:
    """The first date whose rows the table keeps; None: all are kept."""
    if table is QUARANTINE:
        return lines.get("quarantine")
    if table.layer not in lines:
        return None
    return expiry.silver if table.layer == "silver" else expiry.gold if table.layer == "gold" else None


def _delete_before(lake: Lake, table: Table, first: date, timezone: str) -> int:
    """Deletes the table's rows of dates before `first`; returns how many."""
    files = lake.files(table)
    if table.partition_by:
        return drop_files(lake, table, [file for file in files if file.business_date and file.business_date < first])
    before = date_start(first, timezone)
    instants = dated_at(table)
    return rewrite(
        lake, table, Outdated(instants, before), [file for file in files if _may_hold(file, instants, before)]
    )


def _may_hold(file: NamedFile, instants: Sequence[str], before: datetime) -> bool:
    """Whether the file may hold a row that one of `instants` dates before `before`, by its statistics."""
    return not all(
        ((least := file.least.get(name)) is not None and least >= before) or file.nulls.get(name, -1) == file.rows
        for name in instants
    )


def _forget_pending(lake: Lake, expiry: Expiry) -> None:
    """Nothing is owed for dates that cannot be recomputed any more."""
    known = pending.pending_dates(lake)
    kept = {day: run for day, run in known.items() if expiry.is_open(day)}
    if kept != known:
        lake.overwrite_rows(PENDING_DATE, [{"business_date": day, "since_run": run} for day, run in kept.items()])
