"""What the care commands do to tables: rows changed where they stand, small files made one, old ones removed."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from contactlake.business_dates import date_of
from contactlake.data_files import REWRITTEN_DDL, DataFile, Rewriter, RowChange
from contactlake.delta_log import DeltaLog, NamedFile
from contactlake.store import Lake
from contactlake.tables.declaration import BUSINESS_DATE, Table

# --- rows ---


def rewrite(lake: Lake, table: Table, change: RowChange, files: Sequence[NamedFile]) -> int:
    """Changes rows of a table that is not partitioned, where they stand in `files`; returns how many.

    Only files that hold such rows are laid down anew, in one commit.
    """
    rewriter = Rewriter(lake.writer(table), change)
    rows = from_files(lake, files, rewriter.rewrite, rewriter, REWRITTEN_DDL)
    changed: int = sum(row.pop("changed") for row in rows)
    gone = {row.pop("rewritten") for row in rows}
    added = [DataFile(**row) for row in rows if row["path"] is not None]
    lake.replace_files(table, added, [file for file in files if file.path in gone])
    return changed


def from_files(
    lake: Lake,
    files: Sequence[NamedFile],
    here: Callable[[pa.Table], pa.Table],
    there: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    ddl: str,
) -> list[dict[str, Any]]:
    """The rows that `there` makes in the executors of the names of `files` (file); `here` if there is little."""
    if not files:
        return []
    rows: list[dict[str, Any]]
    names = pa.table({"file": pa.array([file.path for file in files])})
    if lake.is_little:
        rows = here(names).to_pylist()
        return rows
    frame = lake.spark.createDataFrame(names).repartition(len(files))
    rows = frame.mapInArrow(there, ddl).toArrow().to_pylist()
    return rows


def drop_files(lake: Lake, table: Table, files: Sequence[NamedFile]) -> int:
    """Takes whole files off the table; returns how many rows they held."""
    lake.replace_files(table, [], files)
    return sum(file.rows or 0 for file in files)


# --- files ---


def compact(lake: Lake, table: Table) -> int:
    """Makes the small files of a table, of each date if it is kept apart by date, one; returns how many went in."""
    groups: dict[Any, list[NamedFile]] = defaultdict(list)
    for file in lake.small_files(table):
        groups[_dates_of(table, file, lake.timezone)].append(file)
    several = [group for group in groups.values() if len(group) > 1]
    removed = [file for group in several for file in group]
    writer = lake.writer(table)
    added = [laid for group in several for laid in writer.write(lake.contents(table, file) for file in group)]
    lake.replace_files(table, added, removed)
    return len(removed)


def _dates_of(table: Table, file: NamedFile, timezone: str) -> tuple[date | None, ...]:
    """The dates that a file is kept apart for: files of the same ones may become one."""
    if table.partition_by:
        return (file.business_date,)
    if table.dated_by == BUSINESS_DATE:
        return ()
    bounds = file.least.get(table.dated_by), file.greatest.get(table.dated_by)
    return tuple(None if bound is None else date_of(bound, timezone) for bound in bounds)


def purge(lake: Lake, table: Table) -> int:
    """Leaves nothing but the newest version: not one file that it does not name, and no log of how it came to be.

    Returns how many files went. There is no way back behind it: the version must be a complete run's.
    """
    files, _ = _shed(lake, table, timedelta(), lambda log: log.entries_before(log.version))
    return files


def tidy(lake: Lake, table: Table, age: timedelta, log_age: timedelta) -> tuple[int, int]:
    """Deletes files that no version of the last `age` names, and log entries older than `log_age`.

    Returns how many of each. What the newest version consists of stays, whatever its age.
    """
    return _shed(lake, table, age, lambda log: log.entries_older_than(lake.store.now() - log_age))


def _shed(lake: Lake, table: Table, age: timedelta, entries: Callable[[DeltaLog], Collection[str]]) -> tuple[int, int]:
    log = lake.writable(table)
    lake.check_lease()
    if log.version:
        log.checkpoint()
    gone, unread = log.unneeded(age), entries(log)
    unfinished = list(lake.store.unfinished(f"{table.path}/"))
    # Who still holds the lake now has listed nothing of a later run's, however long it sleeps before it deletes.
    lake.check_lease()
    lake.store.delete([*(f"{table.path}/{path}" for path in gone), *unread, *unfinished])
    return len(gone), len(unread)
