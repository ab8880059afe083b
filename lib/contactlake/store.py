"""The only reader and writer of Delta: the lake's tables by path, each write fenced by the run's lease."""

import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from itertools import count
from typing import Any

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - the name that the Spark world uses
from pyspark.sql.readwriter import DataFrameWriter
from pyspark.sql.types import StructType

from contactlake.archive.storage import ObjectStore
from contactlake.concurrency import concurrently
from contactlake.digest import digest
from contactlake.errors import StorageError
from contactlake.feeds.arrow_schema import arrow_schema
from contactlake.tables import SCHEMA_VERSION, TABLES
from contactlake.tables.declaration import Table

_COMMIT = re.compile(r"(\d{20})\.json$")
MARKER = "_contactlake.json"
"""At a lake's root: the version of the declarations that wrote it."""
_FENCE_APP = "contactlake"
_WRITES_PER_LEASE = 1_000_000


class Lake:
    """The tables below one root.

    `lease_number` numbers the run's lease and `check_lease` raises once it is lost: a write that reaches Delta under
    a lease older than a table's last one is a no-op there. Without a lease the lake can only be read.
    """

    def __init__(
        self,
        spark: SparkSession,
        store: ObjectStore,
        lease_number: int | None = None,
        check_lease: Callable[[], None] = lambda: None,
    ) -> None:
        self.spark = spark
        self.store = store
        self._lease_number = lease_number
        self._check_lease = check_lease
        self._writes = count(1)
        self.versions: dict[str, int] = {}
        """Per table that was touched, the version that this run last saw or wrote."""

    def path(self, table: Table) -> str:
        return f"{self.store.uri}/{table.path}"

    # --- the lake as a whole ---

    def check_marker(self) -> None:
        """Raises `StorageError` where the lake was written by a newer version of the tables."""
        if self.store.head(MARKER) is None:
            return
        marker = json.loads(self.store.read(MARKER))
        if marker["schema_version"] > SCHEMA_VERSION:
            raise StorageError(
                f"the lake {self.store.uri} was written by a newer contactlake"
                f" (schema {marker['schema_version']}, this one knows {SCHEMA_VERSION})",
                "install that version or name another lake.root",
            )

    def create_missing(self) -> None:
        """Makes each declared table that is not there yet, empty, so that readers find all of them."""
        versions = concurrently(partial(self.version, table) for table in TABLES)
        missing = [table for table, version in zip(TABLES, versions, strict=True) if version is None]
        for table in missing:
            if next(iter(self.store.list(f"{table.path}/")), None) is not None:
                raise StorageError(
                    f"{self.path(table)} holds files but no Delta table", "move them away or name another lake.root"
                )
        concurrently(partial(self._create, table) for table in missing)
        if self.store.head(MARKER) is None:
            self.store.write(MARKER, json.dumps({"schema_version": SCHEMA_VERSION}).encode())

    def _create(self, table: Table) -> None:
        """Makes an empty table: its first commit, as the Delta protocol writes it down.

        A first run makes all tables; through Spark's DDL that took longer than everything else on a small archive.
        """
        schema: dict[str, Any] = json.loads(StructType.fromDDL(table.schema_ddl).json())
        for described, column in zip(schema["fields"], table.columns, strict=True):
            described["metadata"] = {"comment": column.description}
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
                    "schemaString": json.dumps(schema),
                    "partitionColumns": list(table.partition_by),
                    "configuration": statistics,
                    "createdTime": now,
                }
            },
        ]
        self._check_lease()
        self.store.create(
            f"{table.path}/_delta_log/{0:020d}.json", "\n".join(json.dumps(action) for action in actions).encode()
        )
        self.versions[table.path] = 0

    def version(self, table: Table) -> int | None:
        """The table's newest version; None where there is no table."""
        newest = None
        for info in self.store.list(f"{table.path}/_delta_log/"):
            if match := _COMMIT.search(info.key):
                newest = max(newest or 0, int(match.group(1)))
        if newest is not None:
            self.versions[table.path] = newest
        return newest

    # --- reading ---

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """The table's rows, at its newest version or at `version`; no rows where there is no table yet."""
        if self.versions.get(table.path) is None and self.version(table) is None:
            return self.spark.createDataFrame([], table.schema_ddl)
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        try:
            return reader.load(self.path(table))
        except AnalysisException as fault:
            raise StorageError(
                f"{self.path(table)} cannot be read as a Delta table ({_first_line(fault)})",
                "restore it or name another lake.root",
            ) from fault

    def read_pinned(self, table: Table) -> DataFrame:
        """The table's rows as they are now, whatever is written to it before the frame is used."""
        version = self.version(table)
        return self.read(table, version)

    # --- writing ---

    def append(self, table: Table, rows: DataFrame) -> None:
        """Adds `rows`, which the caller knows to be new."""
        with_fence = self._fenced(rows.select(*table.column_names).write.format("delta").mode("append"))
        self._write(table, lambda: with_fence.save(self.path(table)))

    def append_rows(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds `rows` of Python values; none is no write."""
        if rows:
            self.append(table, self.frame(table, rows))

    def frame(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
        """`rows` of Python values as a frame in the table's schema."""
        return self.spark.createDataFrame(pa.Table.from_pylist([dict(row) for row in rows], arrow_schema(table)))

    def overwrite(self, table: Table, rows: DataFrame) -> None:
        """Puts `rows` in place of all of the table's."""
        with_fence = self._fenced(rows.select(*table.column_names).write.format("delta").mode("overwrite"))
        self._write(table, lambda: with_fence.save(self.path(table)))

    def merge(self, table: Table, rows: DataFrame) -> None:
        """Puts each of `rows` in place of the row that has its key, or beside the others where none has."""
        view = f"contactlake_{table.name}_changes"
        rows.select(*table.column_names).createOrReplaceTempView(view)
        on = " AND ".join(f"t.`{column}` <=> s.`{column}`" for column in table.key)
        statement = (
            f"MERGE INTO delta.`{self.path(table)}` t USING {view} s ON {on} "
            "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
        )
        self._set_fence()
        try:
            self._write(table, lambda: self.spark.sql(statement))
        finally:
            self._unset_fence()
            self.spark.catalog.dropTempView(view)

    def replace_dates(self, table: Table, rows: DataFrame, dates: Sequence[date]) -> list[date]:
        """Makes `rows` all of the table's rows of `dates`, and returns the dates that this changed.

        `rows` is used twice where the table has rows already: the caller keeps it at hand. Dates whose rows are
        equal already are not written, so a run that changes nothing leaves the table's version as it was.
        """
        if not dates:
            return []
        if self.is_new(table):
            self.append(table, rows)
            return list(dates)
        where = F.col("business_date").isin(list(dates))
        before = _fingerprints(self.read_pinned(table).where(where), table)
        after = _fingerprints(rows, table)
        changed = sorted(day for day in dates if before.get(day) != after.get(day))
        if not changed:
            return []
        rows = rows.where(F.col("business_date").isin(changed)).select(*table.column_names)
        writer = rows.write.format("delta")
        if before:
            literals = ", ".join(f"DATE'{day.isoformat()}'" for day in changed)
            writer = writer.mode("overwrite").option("replaceWhere", f"business_date IN ({literals})")
        else:
            writer = writer.mode("append")
        with_fence = self._fenced(writer)
        self._write(table, lambda: with_fence.save(self.path(table)))
        return changed

    def is_new(self, table: Table) -> bool:
        """Whether the table has never been written to."""
        version = self.versions.get(table.path)
        return (self.version(table) if version is None else version) in (None, 0)

    def restore(self, table: Table, version: int) -> None:
        """Takes the table back to `version`."""
        self._check_lease()
        self.spark.sql(f"RESTORE TABLE delta.`{self.path(table)}` TO VERSION AS OF {version}")
        self.version(table)

    # --- fencing ---

    def _fence(self) -> tuple[str, str]:
        if self._lease_number is None:
            raise RuntimeError("a lake that is open for reading only was written to")
        return _FENCE_APP, str(self._lease_number * _WRITES_PER_LEASE + next(self._writes))

    def _fenced(self, writer: DataFrameWriter) -> DataFrameWriter:
        app, version = self._fence()
        return writer.option("txnAppId", app).option("txnVersion", version)

    def _set_fence(self) -> None:
        app, version = self._fence()
        self.spark.conf.set("spark.databricks.delta.write.txnAppId", app)
        self.spark.conf.set("spark.databricks.delta.write.txnVersion", version)

    def _unset_fence(self) -> None:
        self.spark.conf.unset("spark.databricks.delta.write.txnAppId")
        self.spark.conf.unset("spark.databricks.delta.write.txnVersion")

    def _write(self, table: Table, write: Callable[[], object]) -> None:
        self._check_lease()
        before = self.versions.get(table.path)
        write()
        after = self.version(table)
        if after == before:  # Delta has seen a later lease: this one is lost
            self._check_lease()
            raise RuntimeError(f"a write to {self.path(table)} left no new version")


def _first_line(fault: Exception) -> str:
    return str(fault).strip().splitlines()[0][:300]


def _fingerprints(rows: DataFrame, table: Table) -> dict[date, tuple[int, int, int]]:
    """Per business date: how many rows, and two sums over their hashes; equal rows give equal figures."""
    compared = [column.name for column in table.columns if not column.is_volatile]
    figures = (
        rows.select("business_date", digest(compared).alias("digest"))
        .groupBy("business_date")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.bit_xor("digest").alias("parity"),
            F.sum(F.shiftrightunsigned("digest", 24)).alias("total"),
        )
    )
    return {row["business_date"]: (row["rows"], row["parity"], row["total"]) for row in figures.collect()}
