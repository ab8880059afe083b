"""A centre in a directory: an archive that grows, the lakes that are made of it, and their comparison."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from tests.lakes import Reader, configuration, run, write_objects

from contactlake.config import Configuration
from contactlake.run import Summary
from contactlake.tables.conformed import CONFORMED_TABLES
from contactlake.tables.declaration import Table
from contactlake.tables.events import EVENT_TABLES
from contactlake.tables.gold import GOLD_TABLES
from contactlake.tables.ops import PENDING_DATE

HOUR = "2025/03/04/18"
AS_OF = "2025-03-06T00:00:00Z"


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


class Centre:
    """An archive in a directory that grows, and the lake that is made of it."""

    def __init__(self, spark: SparkSession, root: Path) -> None:
        self.spark, self.root = spark, root
        for name in ("symbee", "connect"):
            (root / name).mkdir(parents=True, exist_ok=True)

    def arrives(self, *objects: Mapping[str, bytes]) -> None:
        for some in objects:
            write_objects(self.root, some)

    def settings(
        self, lake: str = "lake", with_transcripts: bool = False, **sections: Mapping[str, Any]
    ) -> Configuration:
        return configuration(
            str(self.root / lake),
            str(self.root / "symbee"),
            str(self.root / "connect"),
            sections=sections,
            with_transcripts=with_transcripts,
        )

    def run(self, as_of: str = AS_OF, job: str = "daily", lake: str = "lake", **options: Any) -> Summary:
        sections = options.pop("sections", {})
        settings = self.settings(lake, options.pop("with_transcripts", False), **sections)
        return run(self.spark, settings, as_of, job, **options)

    def reader(self, lake: str = "lake") -> Reader:
        return Reader(self.spark, self.settings(lake))

    def rows(self, table: Table, columns: Sequence[str] | None = None, lake: str = "lake") -> list[dict[str, Any]]:
        """The table's rows without what differs between runs, in a fixed order."""
        names = columns or [
            column.name
            for column in table.columns
            if not column.is_volatile and column.name not in ("source_object", "source_ordinal", "run_id")
        ]
        maps = {column.name for column in table.columns if column.type.startswith("map")}
        rows = [
            {name: dict(value) if name in maps and value is not None else _plain(value) for name, value in row.items()}
            for row in self.reader(lake).lake.read_rows(table, names).to_pylist()
        ]
        return sorted(rows, key=lambda row: json.dumps(row, default=str, sort_keys=True))

    def pending(self, lake: str = "lake") -> list[date]:
        return sorted(row["business_date"] for row in self.rows(PENDING_DATE, lake=lake))


FUNCTION_TABLES = (*EVENT_TABLES, *CONFORMED_TABLES, *GOLD_TABLES)
"""What is a function of the set of records, whatever their order and batches."""


def assert_same_lake(centre: Centre, one: str, other: str) -> None:
    for table in FUNCTION_TABLES:
        assert centre.rows(table, lake=one) == centre.rows(table, lake=other), table
