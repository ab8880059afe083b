"""Frames of event rows, for the transformations that need no lake."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from contactlake.feeds.arrow_schema import arrow_schema
from contactlake.tables.declaration import Table

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    """An instant, UTC where it names no zone."""
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def micros(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1)


def frame(spark: SparkSession, table: Table, rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    """Rows of `table`: what they do not name is null, the hash made up."""
    whole = [
        {
            **dict.fromkeys(table.column_names),
            **({"record_sha256": hashlib.sha256(f"{number}".encode()).hexdigest()} if _is_event(table) else {}),
            **row,
        }
        for number, row in enumerate(rows)
    ]
    return spark.createDataFrame(pa.Table.from_pylist(whole, arrow_schema(table)))


def _is_event(table: Table) -> bool:
    return "record_sha256" in table.column_names


def rows_of(rows: DataFrame) -> list[dict[str, Any]]:
    """The rows as Python values, instants in UTC."""
    return list(rows.toArrow().to_pylist())
