"""The only reader and writer of Delta: the lake's tables by path, each write fenced by the run's lease.

Executors lay rows down as Parquet, and the driver commits the files. What is small is read and written by the driver
alone, without Spark.
"""

import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from itertools import count
from typing import Any

import pyarrow as pa
from deltalake.exceptions import TableNotFoundError
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name that the Spark world uses
from pyspark.sql.types import StructType

from contactlake.archive.storage import ObjectStore
from contactlake.business_dates import span
from contactlake.concurrency import concurrently
from contactlake.conform.dates import business_date, is_one_of
from contactlake.data_files import (
    MANIFEST_DDL,
    SIFTED_DDL,
    DataFile,
    DataWriter,
    Sieve,
    read_rows,
    with_columns,
)
from contactlake.delta_log import APP, CommitConflict, DeltaLog, NamedFile
from contactlake.errors import StorageError
from contactlake.feeds.arrow_schema import arrow_schema
from contactlake.fingerprints import fingerprints
from contactlake.joins import are_same, computed
from contactlake.pruning import Around, Overlapping, overlaps
from contactlake.tables import SCHEMA_VERSION, TABLES
from contactlake.tables.declaration import BUSINESS_DATE, Table

MARKER = "_contactlake.json"
"""At a lake's root: the version of the declarations that wrote it."""
_WRITES_PER_LEASE = 1_000_000
_FENCE_TRIES = 10
_FEW_DATES = 10
"""Rows of no more dates are written where they lie, not brought together by date."""
_FEW_ROWS = 20_000
"""So many rows at most are written by the driver, which takes less time than handing them to the executors."""
_TASK_ROWS = 200_000
_FEW_FILES = 32
_FEW_LOCAL_FILES = 256
"""So many files at most are read as plain Parquet: Spark looks each up on its own. Above, Delta's index pays."""
_SMALL_BYTES = 4 << 20
_MOST_SMALL_FILES = 24
"""Where a table has more small files than this, they are made one when rows are added: it would have a file of each run
otherwise."""
_GLOB = re.compile(r"[*?{}\[\]\\]")


@dataclass(frozen=True)
class Replacement:
    """Files that are to take the place of others: what a table will have of `dates`."""

    table: Table
    dates: Sequence[date] = ()
    added: Sequence[DataFile] = ()
    """They are laid down, and no commit names them yet."""
    removed: Sequence[NamedFile] = ()


class Lake:
    """The tables below one root.

    `timezone` is the one of the business dates. `lease_number` numbers the run's lease and `check_lease` raises once it
    is lost: a write under a lease older than a table's last one is refused. Without a lease the lake can only be read.
    """

    def __init__(
        self,
        spark: SparkSession,
        store: ObjectStore,
        timezone: str,
        lease_number: int | None = None,
        check_lease: Callable[[], None] = lambda: None,
    ) -> None:
        self.spark = spark
        self.store = store
        self.timezone = timezone
        self._lease_number = lease_number
        self.check_lease = check_lease
        self._writes = count(1)
        self._logs: dict[str, DeltaLog] = {}
        self._expected: dict[str, int] = {}
        self.is_little = False
        """Whether all that is read is so little that one task does best: no query then moves rows between tasks."""
        self.versions: dict[str, int] = {}
        """Per table that was touched, the version that this run last saw or wrote."""

    def path(self, table: Table) -> str:
        return f"{self.store.uri}/{table.path}"

    # --- the lake as a whole ---

    def check_marker(self) -> None:
        """Raises `StorageError` where the lake was written by a newer version of the tables."""
        check_marker(self.store)

    def create_missing(self) -> None:
        """Makes each declared table that is not there yet, empty, so that readers find all of them.

        Tables of an earlier version get the columns that have come since; in their old rows these are null.
        """
        unseen = [table for table in TABLES if table.path not in self.versions]
        versions = concurrently(partial(self.version, table) for table in unseen)
        missing = [table for table, version in zip(unseen, versions, strict=True) if version is None]
        concurrently(partial(self.create, table) for table in missing)
        marked = _marked_version(self.store)
        if marked is None:
            self.store.create(MARKER, _marker())
        elif marked != SCHEMA_VERSION:
            concurrently(partial(self.writable, table) for table in TABLES if table not in missing)
            self.store.write(MARKER, _marker())

    def create(self, table: Table) -> bool:
        """Makes an empty table, unless there is one: its first commit, as the Delta protocol writes it down.

        A first run makes all tables; through Spark's DDL that took longer than everything else on a small archive.
        """
        if next(iter(self.store.list(f"{table.path}/")), None) is not None and self._log(table) is None:
            raise StorageError(
                f"{self.path(table)} holds files but no Delta table", "move them away or name another lake.root"
            )
        statistics = (
            {"delta.dataSkippingStatsColumns": ",".join(table.statistics)}
            if table.statistics
            else {"delta.dataSkippingNumIndexedCols": "0"}
        )
        now = int(self.store.now().timestamp() * 1000)
        actions = [
            {"commitInfo": {"timestamp": now, "operation": "CREATE TABLE", "operationParameters": {}}},
            {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
            {
                "metaData": {
                    "id": str(uuid.uuid4()),
                    "description": table.description,
                    "format": {"provider": "parquet", "options": {}},
                    "schemaString": json.dumps({"type": "struct", "fields": _delta_fields(table)}),
                    "partitionColumns": list(table.partition_by),
                    "configuration": statistics,
                    "createdTime": now,
                }
            },
            {"txn": {"appId": APP, "version": self._next_transaction(), "lastUpdated": now}},
        ]
        self.check_lease()
        is_made = self.store.create(_commit_key(table, 0), "\n".join(json.dumps(action) for action in actions).encode())
        if is_made:
            self.versions[table.path] = 0
        else:
            self.version(table)
        return is_made

    def expect(self, versions: Mapping[str, int]) -> None:
        """Tells which versions the tables most likely are at: to see that takes less than to find it out."""
        self._expected = dict(versions)

    def version(self, table: Table) -> int | None:
        """The table's newest version; None where there is no table."""
        newest = self._expected.get(table.path)
        if table.path in self._logs or newest is None or not self._is_newest(table, newest):
            log = self._log(table)
            newest = log.refresh() if log is not None else None
        if newest is not None:
            self.versions[table.path] = newest
        return newest

    def _is_newest(self, table: Table, version: int) -> bool:
        """Whether the log ends at `version`. Commits are removed from the oldest on, so that two answers tell it."""
        is_there, is_followed = (self.store.head(_commit_key(table, number)) for number in (version, version + 1))
        return is_there is not None and is_followed is None

    def _log(self, table: Table) -> DeltaLog | None:
        """The table's log, opened once; None where there is no table."""
        if table.path not in self._logs:
            try:
                self._logs.setdefault(table.path, DeltaLog(self.store, table.path))
            except TableNotFoundError:
                return None
            self.versions.setdefault(table.path, self._logs[table.path].version)
        return self._logs[table.path]

    def size(self, tables: Sequence[Table]) -> int:
        """The bytes of the tables' files, as they are stored."""
        logs = [log for table in tables if not self.is_new(table) and (log := self._log(table)) is not None]
        return sum(file.size for log in logs for file in log.files())

    # --- reading ---

    def read(
        self,
        table: Table,
        version: int | None = None,
        dates: Sequence[date] | None = None,
        around: Around | Overlapping | None = None,
    ) -> DataFrame:
        """The table's rows, at its newest version or at `version`; no rows where there is no table yet.

        With `dates`, of a table that is partitioned by them, only theirs; with `around`, only those that it tells.
        Files that can hold none of them are not opened.
        """
        if version is None and self.is_new(table):
            return self._no_rows(table)
        log = self._log(table)
        if log is None:
            return self._no_rows(table)
        files = [
            file
            for file in log.files(version)
            if (dates is None or file.business_date in dates) and (around is None or around.may_lie_in(file))
        ]
        rows = self.in_few_tasks(self._of_files(table, log, files, version))
        if around is not None:
            rows = rows.where(around.condition())
        return rows if dates is None or not table.partition_by else rows.where(is_one_of(F.col(BUSINESS_DATE), dates))

    def read_pinned(self, table: Table, dates: Sequence[date] | None = None, around: Around | None = None) -> DataFrame:
        """The table's rows as they are now, whatever is written to it before the frame is used."""
        version = self.version(table)
        return self.read(table, version, dates, around)

    def read_rows(self, table: Table, columns: Sequence[str], where: pa.compute.Expression | None = None) -> pa.Table:
        """`columns` of the table's rows, read by the driver alone: for what is small."""
        log = None if self.is_new(table) else self._log(table)
        schema = pa.schema([arrow_schema(table).field(name) for name in columns])
        if log is None:
            return schema.empty_table()
        if log.is_plain:
            rows = log.rows([name for name in columns if name in log.column_names], where)
            return with_columns(rows, schema)
        rows = self.read(table).toArrow()
        return (rows if where is None else rows.filter(where)).select(list(columns)).cast(schema)

    def in_few_tasks(self, rows: DataFrame) -> DataFrame:
        """`rows`, in one task where there is little."""
        return rows.coalesce(1) if self.is_little else rows

    def _no_rows(self, table: Table) -> DataFrame:
        """An empty frame that Spark sees to be empty when it plans: whatever is joined with it costs nothing."""
        nothing = ", ".join(f"cast(null as {column.type}) as `{column.name}`" for column in table.columns)
        return self.spark.sql(f"select {nothing} where false")

    def _of_files(self, table: Table, log: DeltaLog, files: Sequence[NamedFile], version: int | None) -> DataFrame:
        """The rows of `files`, or, where Delta's own reader serves better, all rows of `version`."""
        if not files:
            return self._no_rows(table)
        path = self.path(table)
        is_simple = all(_is_below(file) for file in files)
        most = _FEW_FILES if path.startswith("s3://") else _FEW_LOCAL_FILES
        if log.is_plain and is_simple and len(files) <= most and not _GLOB.search(path):
            reader = self.spark.read.schema(table.schema_ddl).option("basePath", path)
            return _shaped(table, reader.parquet(*(f"{path}/{file.path}" for file in files)))
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        try:
            rows = reader.load(path)
        except AnalysisException as fault:
            raise StorageError(
                f"{path} cannot be read as a Delta table ({_first_line(fault)})",
                "restore it or name another lake.root",
            ) from fault
        lacking = {
            column.name: F.lit(None).cast(column.type) for column in table.columns if column.name not in rows.columns
        }
        return _shaped(table, rows.withColumns(lacking))

    def read_laid(self, table: Table, files: Sequence[DataFile]) -> DataFrame:
        """The rows of `files` of a table, which no commit need name."""
        if not files:
            return self._no_rows(table)
        paths = (f"{self.path(table)}/{file.path}" for file in files)
        return self.in_few_tasks(self.spark.read.schema(table.schema_ddl).parquet(*paths))

    # --- writing ---

    def writer(self, table: Table) -> DataWriter:
        """What lays down files of `table`, in the executors or here."""
        return DataWriter.of(table, self.store, self.timezone)

    def adopt(self, table: Table, files: Sequence[DataFile]) -> None:
        """Names `files`, whose rows the caller knows to be new."""
        self._add(table, self.writable(table), files)

    def without_rows(self, table: Table, files: Sequence[DataFile], losers: DataFrame) -> list[DataFile]:
        """`files`, which no commit names yet, without `losers` (file, losers: numbers of its rows).

        A file that holds any is laid down anew, and the old one removed.
        """
        sieve = Sieve(self.writer(table))
        sifted = (
            sieve.sift(losers.toArrow()) if self.is_little else losers.mapInArrow(sieve, SIFTED_DDL).toArrow()
        ).to_pylist()
        gone = {row.pop("sifted") for row in sifted}
        self.store.delete(f"{table.path}/{path}" for path in gone)
        kept = [file for file in files if file.path not in gone]
        return kept + [DataFile(**row) for row in sifted if row["path"] is not None]

    def append(self, table: Table, rows: DataFrame, number: int | None = None) -> None:
        """Adds `rows`, which the caller knows to be new; `number` says how many, where that is known."""
        self._add(table, self.writable(table), self._lay_down(table, rows, number))

    def append_rows(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds `rows` of Python values; none is no write."""
        if rows:
            self._add(table, self.writable(table), self._lay_down_rows(table, rows))

    def overwrite(self, table: Table, rows: DataFrame, number: int | None = None) -> None:
        """Puts `rows` in place of all of the table's."""
        log = self.writable(table)
        self._commit(table, log, self._lay_down(table, rows, number), log.files())

    def overwrite_rows(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Puts `rows` of Python values in place of all of the table's."""
        log = self.writable(table)
        self._commit(table, log, self._lay_down_rows(table, rows), log.files())

    def merge(self, table: Table, rows: DataFrame, number: int | None = None, around: Around | None = None) -> None:
        """Puts each of `rows` in place of the row that has its key, or beside the others where none has.

        The files that hold replaced rows are laid down anew. `rows` have different keys and are read more than once;
        `number` says how many they are, `around` where the rows that they replace can lie.
        """
        log = self.writable(table)
        named = {
            file.path.rpartition("/")[2]: file for file in log.files() if around is None or around.may_lie_in(file)
        }
        rows = _shaped(table, rows)
        keys = rows.select(*(F.col(name).alias(f"changed_{name}") for name in table.key))
        is_changed = are_same(table.key, keys.columns)
        file_name = F.col("_metadata.file_name")
        replaced: list[NamedFile] = []
        if named:
            old = self.in_few_tasks(self._of_files(table, log, list(named.values()), log.version))
            holding = old.select(*table.key, file_name.alias("file")).join(keys, is_changed, "left_semi")
            replaced = [named[row["file"]] for row in holding.select("file").distinct().collect()]
        if replaced:
            names = [file.path.rpartition("/")[2] for file in replaced]
            others = self.in_few_tasks(self._of_files(table, log, replaced, log.version)).where(file_name.isin(names))
            rows = others.join(keys, is_changed, "left_anti").unionByName(rows)
            known = [file.rows for file in replaced if file.rows is not None]
            number = None if number is None or len(known) < len(replaced) else number + sum(known)
        self._commit(table, log, self._lay_down(table, rows, number), replaced)

    def replace_dates(self, table: Table, rows: DataFrame, dates: Sequence[date]) -> list[date]:
        """Makes the rows of `dates` all that the table has of these dates; returns the dates that this changed.

        `rows` of other dates are left aside. Dates whose rows are equal already are not written, so a run that changes
        nothing leaves the table's version as it was.
        """
        replacement = self.lay_dates(table, rows, dates)
        self.put(replacement)
        return list(replacement.dates)

    def put(self, replacement: Replacement) -> None:
        """Puts in place what was laid down."""
        self.replace_files(replacement.table, replacement.added, replacement.removed)

    def discard(self, replacement: Replacement) -> None:
        """Removes what was laid down and will not be put in place."""
        self.store.delete(f"{replacement.table.path}/{file.path}" for file in replacement.added)

    def lay_dates(self, table: Table, rows: DataFrame, dates: Sequence[date]) -> Replacement:
        """As `replace_dates`, but for the commit, before which nobody sees it."""
        if not dates:
            return Replacement(table)
        log = self.writable(table)
        day = self._day(table)
        old = self._files_of(table, log.files(), dates)
        rows = _shaped(table, rows).where(is_one_of(day, dates))
        if not old:
            added = self._lay_down(table, rows, days=len(dates))
            days = sorted({date.fromisoformat(file.business_date) for file in added if file.business_date})
            return Replacement(table, days, added)
        rows = computed(rows)  # looked at, then written
        before, after = fingerprints(table, day, self._of_files(table, log, old, log.version), rows, dates)
        changed = sorted(day for day in dates if before.get(day) != after.get(day))
        if not changed:
            return Replacement(table)
        old = self._files_of(table, old, changed)
        number = sum(after[day][0] for day in changed if day in after)
        rows = rows.where(is_one_of(day, changed))
        kept = sum(file.rows or 0 for file in old) - sum(before[day][0] for day in changed if day in before)
        if not table.partition_by and (kept or any(file.rows is None for file in old)):
            others = self._of_files(table, log, old, log.version).where(~is_one_of(day, changed) | day.isNull())
            rows, number = rows.unionByName(others), number + kept
        return Replacement(table, changed, self._lay_down(table, rows, number), old)

    def _day(self, table: Table) -> Column:
        """A row's business date."""
        return F.col(BUSINESS_DATE) if table.dated_by == BUSINESS_DATE else business_date(table.dated_by, self.timezone)

    def _files_of(self, table: Table, files: Sequence[NamedFile], dates: Sequence[date]) -> list[NamedFile]:
        """Those of `files` that can hold rows of `dates`."""
        if table.partition_by:
            return [file for file in files if file.business_date in dates]
        if table.dated_by == BUSINESS_DATE:
            return list(files)
        days = [span(day, self.timezone) for day in dates]
        return [file for file in files if overlaps(file, table.dated_by, days)]

    def is_new(self, table: Table) -> bool:
        """Whether the table has no rows."""
        version = self.versions.get(table.path)
        if (self.version(table) if version is None else version) in (None, 0):
            return True
        log = self._log(table)
        return log is None or log.is_empty

    def restore(self, table: Table, version: int) -> None:
        """Takes the table back to `version`."""
        log = self.writable(table)
        self._fenced(table, log, lambda number: log.restore(version, number))

    # --- after a run that did not end well ---

    def take_back(self, table: Table, version: int) -> bool:
        """Takes the table back to `version` if it is ahead of it; returns whether it was."""
        newest = self.version(table)
        if newest is None or newest <= version:
            return False
        self.restore(table, version)
        return True

    def fence(self, table: Table, version: int | None = None) -> bool:
        """Puts a commit of this lease on the table, so that none of an older lease can follow; makes a missing table.

        A table that is ahead of `version` is taken back to it in the same commit; returns whether it was.
        """
        for _ in range(_FENCE_TRIES):
            if self.version(table) is None and self.create(table):
                return False
            log = self._log(table)
            if log is None:
                continue
            newest = log.refresh()
            is_ahead = version is not None and newest > version
            commit = partial(log.restore, version or 0) if is_ahead else partial(log.commit, [], [])
            try:
                self._numbered(table, log, commit)
            except CommitConflict:  # a sleeper woke up and was faster, once more and for the last time
                continue
            return is_ahead
        raise StorageError(
            f"{self.path(table)} is written to by somebody else all the time",
            "see that only contactlake writes to the lake, and run again",
        )

    # --- files ---

    def files(self, table: Table) -> list[NamedFile]:
        """What the table consists of."""
        return self.writable(table).files()

    def writable(self, table: Table) -> DeltaLog:
        """The table's log, at the version that this run last saw or wrote."""
        if self._lease_number is None:
            raise RuntimeError("a lake that is open for reading only was written to")
        log = self._log(table)
        if log is None:
            raise StorageError(f"{self.path(table)} is not there any more", "restore it or name another lake.root")
        if not log.is_plain or not set(log.column_names) <= set(table.column_names):
            raise StorageError(
                f"{self.path(table)} has other columns or features than contactlake gave it",
                "restore it or name another lake.root",
            )
        lacking = [described for described in _delta_fields(table) if described["name"] not in log.column_names]
        if lacking:
            self._fenced(table, log, lambda number: log.add_columns(lacking, number))
        return log

    def small_files(self, table: Table) -> list[NamedFile]:
        """Those of the table's files that are worth being made one with others."""
        return [file for file in self.writable(table).files() if file.size < _SMALL_BYTES and _is_below(file)]

    def contents(self, table: Table, file: NamedFile) -> pa.Table:
        """The rows of one of the table's files."""
        rows = read_rows(self.store.read(f"{table.path}/{file.path}"))
        if table.partition_by:
            day = pa.scalar(file.business_date, pa.date32())
            rows = rows.append_column(BUSINESS_DATE, pa.repeat(day, rows.num_rows))
        return rows

    def replace_files(self, table: Table, added: Sequence[DataFile], removed: Sequence[NamedFile]) -> None:
        """Names the files `added` in place of `removed`, in one commit; nothing for nothing is no commit."""
        self._commit(table, self.writable(table), added, removed)

    # --- laying down and committing ---

    def _lay_down(
        self, table: Table, rows: DataFrame, number: int | None = None, days: int | None = None
    ) -> list[DataFile]:
        """Writes `rows` as files that no commit names yet: `number` says how many, `days` of how many dates."""
        writer = self.writer(table)
        rows = _shaped(table, rows)
        if self.is_little or (number is not None and number <= _FEW_ROWS):
            return writer.write([rows.toArrow()])
        if writer.dated_by is not None and days is not None and days <= _FEW_DATES:
            # A file of each date from each core: to bring the rows of a date together takes longer than to write them.
            rows = rows.coalesce(self.spark.sparkContext.defaultParallelism)
        elif writer.dated_by is not None:
            # Few tasks per date, else each of them writes a file of each date: as Spark sees fit by their size.
            day = "contactlake_day"
            rows = rows.withColumn(day, self._day(table)).hint("rebalance", day).drop(day)
        elif number is not None:
            rows = rows.coalesce(max(1, number // _TASK_ROWS))
        return [DataFile(*row) for row in rows.mapInArrow(writer, MANIFEST_DDL).collect()]

    def _lay_down_rows(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[DataFile]:
        arrow = pa.Table.from_pylist([dict(row) for row in rows], arrow_schema(table))
        return self.writer(table).write([arrow])

    def _add(self, table: Table, log: DeltaLog, added: Sequence[DataFile]) -> None:
        """Names `added`; the small files of a table that has too many of them become one in the same commit."""
        writer = self.writer(table)
        is_by_date = writer.dated_by is not None  # then each date has files of its own
        small = self.small_files(table)
        if not added or is_by_date or len(small) <= _MOST_SMALL_FILES:
            self._commit(table, log, added, [])
            return
        self._commit(table, log, [*added, *writer.write(self.contents(table, file) for file in small)], small)

    def _commit(self, table: Table, log: DeltaLog, added: Sequence[DataFile], removed: Sequence[NamedFile]) -> None:
        if added or removed:
            self._fenced(table, log, lambda number: log.commit(added, removed, number))

    def _fenced(self, table: Table, log: DeltaLog, commit: Callable[[int], int]) -> None:
        """Makes a commit unless a later lease has written to the table, or anybody else since this run looked."""
        try:
            self._numbered(table, log, commit)
        except CommitConflict as fault:
            self.check_lease()
            raise StorageError(
                f"{self.path(table)} was written to by somebody else",
                "see that only contactlake writes to the lake, and run again",
            ) from fault

    def _numbered(self, table: Table, log: DeltaLog, commit: Callable[[int], int]) -> None:
        """As above; raises `CommitConflict` where the log has grown since this run looked."""
        self.check_lease()
        number = self._next_transaction()
        last = log.last_transaction()
        if last is not None and last >= number:
            self.check_lease()
            raise RuntimeError(f"a later lease has written to {self.path(table)}")
        self.versions[table.path] = commit(number)

    def _next_transaction(self) -> int:
        if self._lease_number is None:
            raise RuntimeError("a lake that is open for reading only was written to")
        return self._lease_number * _WRITES_PER_LEASE + next(self._writes)


def check_marker(store: ObjectStore) -> bool:
    """Whether there is a lake in `store`; raises `StorageError` where a newer version of the tables wrote it."""
    version = _marked_version(store)
    if version is not None and version > SCHEMA_VERSION:
        raise StorageError(
            f"the lake {store.uri} was written by a newer contactlake"
            f" (schema {version}, this one knows {SCHEMA_VERSION})",
            "install that version or name another lake.root",
        )
    return version is not None


def _marked_version(store: ObjectStore) -> int | None:
    if store.head(MARKER) is None:
        return None
    version: int = json.loads(store.read(MARKER))["schema_version"]
    return version


def _marker() -> bytes:
    return json.dumps({"schema_version": SCHEMA_VERSION}).encode()


def _shaped(table: Table, rows: DataFrame) -> DataFrame:
    """The table's columns of `rows`. To name each takes calls to the JVM: rows that have just them are left alone."""
    return rows if tuple(rows.columns) == table.column_names else rows.select(*table.column_names)


@cache
def _delta_fields(table: Table) -> list[dict[str, Any]]:
    """The table's columns as Delta's log describes them."""
    fields: list[dict[str, Any]] = json.loads(StructType.fromDDL(table.schema_ddl).json())["fields"]
    return [
        {**described, "metadata": {"comment": column.description}}
        for described, column in zip(fields, table.columns, strict=True)
    ]


def greatest_lease(store: ObjectStore) -> int:
    """The greatest lease that has written to any of the lake's tables; 0 where none has."""

    def last_lease(table: Table) -> int:
        try:
            return (DeltaLog(store, table.path).last_transaction() or 0) // _WRITES_PER_LEASE
        except TableNotFoundError:
            return 0

    return max(concurrently(partial(last_lease, table) for table in TABLES))


def _commit_key(table: Table, version: int) -> str:
    return f"{table.path}/_delta_log/{version:020d}.json"


def _is_below(file: NamedFile) -> bool:
    """Whether the file lies below its table's folder, under a path that needs no decoding."""
    return ":" not in file.path and "%" not in file.path and not file.path.startswith("/")


def _first_line(fault: Exception) -> str:
    return str(fault).strip().splitlines()[0][:300]
