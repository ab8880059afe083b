"""`maintain`: keeps the tables quick to read, and removes what nothing needs any more."""

from datetime import timedelta
from typing import Any

from contactlake.care import compact, tidy
from contactlake.config import Configuration
from contactlake.tables import TABLES
from contactlake.tenure import Progress, hold_lake

_FILES_KEPT = timedelta(days=7)
"""Delta's own: so long a reader may go on with a version that is not the newest any more."""
_LOG_KEPT = timedelta(days=30)
"""Delta's own: so long a version can be asked for, as far as its files are there."""


def maintain(configuration: Configuration, progress: Progress) -> dict[str, Any]:
    """Compacts small files, writes checkpoints, removes old files and log entries; returns figures.

    What the last complete run left stays: it is this one. Raises `ContactlakeError`.
    """
    with hold_lake(configuration, "maintain", None, progress) as tenure:
        lake = tenure.lake
        with tenure.step("compact small files"):
            compacted = {table.path: number for table in TABLES if (number := compact(lake, table))}
        summary: dict[str, Any] = {"run_id": tenure.record.run_id, "files_compacted": compacted}
        tenure.complete(summary)
        with tenure.step("remove what nothing needs"):
            removed = [tidy(lake, table, _FILES_KEPT, _LOG_KEPT) for table in TABLES]
        summary["files_removed"] = sum(files for files, _ in removed)
        summary["log_entries_removed"] = sum(entries for _, entries in removed)
    return summary
