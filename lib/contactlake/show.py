"""One KPI table, for the eyes or for another program: `contactlake show`."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import BinaryType, TimestampType
from rich.console import Console

from contactlake.config import Configuration
from contactlake.errors import ConfigurationError
from contactlake.grids import GridColumn, clock, draw_wide, percentage, plain_text
from contactlake.published import open_published
from contactlake.rollup import Grouping, grouping, rollup
from contactlake.tables import TABLES
from contactlake.tables.declaration import Table
from contactlake.tables.gold import GOLD_TABLES

_AS_WIDE_AS_IT_IS = 100_000
_ROWS_AT_ONCE = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Format(StrEnum):
    """What the rows are written as."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


@dataclass(frozen=True)
class Wanted:
    """Which rows of which table, in which form and where; without `output` on stdout."""

    groups: Grouping
    first: date | None
    last: date | None
    format: Format
    output: Path | None


@dataclass(frozen=True)
class _Result:
    """The rows that were asked for, one by one; instants are UTC."""

    names: tuple[str, ...]
    schema: pa.Schema
    rows: Iterator[tuple[Any, ...]]


def kpi_table(name: str) -> Table:
    """The gold table that `name` names, with or without its layer; else raises `ConfigurationError`."""
    for table in GOLD_TABLES:
        if name in (table.name, table.path):
            return table
    others = [table for table in TABLES if name in (table.name, table.path)]
    problem = f"{others[0]} is not a KPI table" if others else f"there is no KPI table {name}"
    raise ConfigurationError(problem, f"name one of {', '.join(table.name for table in GOLD_TABLES)}")


def wanted(
    table: str, by: Iterable[str], first: date | None, last: date | None, form: Format, output: Path | None
) -> Wanted:
    """What a command line asks for. Raises `ConfigurationError` where it cannot be had."""
    groups = grouping(kpi_table(table), by)
    if output is None and form is Format.PARQUET:
        raise ConfigurationError("--format parquet cannot be written to stdout", "name a file with --output FILE")
    if output is not None and (output.is_dir() or not output.parent.is_dir()):
        raise ConfigurationError(f"--output {output} cannot be written", "name a file in a directory that is there")
    return Wanted(groups, first, last, form, output)


def show(configuration: Configuration, asked: Wanted) -> None:
    """Writes the rows that `asked` describes, and to stderr what is to be known about them.

    Raises `StorageError` where there is no lake or it cannot be reached, `ConfigurationError` where the output cannot
    be written.
    """
    table = asked.groups.table
    rows = open_published(configuration, "show").rows(table)
    if asked.first is not None and asked.last is not None:
        rows = rows.where(F.col("business_date").between(asked.first, asked.last))
    rolled = rollup(table, rows, asked.groups.by)
    result = _result(rolled.orderBy(*asked.groups.key) if asked.groups.key else rolled, asked.format)
    first = next(result.rows, None)  # computed before the output is touched
    if first is None:
        print(f"{table} has no rows {_when(asked)}", file=sys.stderr)
    left_out = [name for name in table.column_names if name not in (*table.key, *result.names)]
    if left_out := [name for name in left_out if table.column(name).type != "binary"]:
        print(f"left out, as they are not known over several rows: {', '.join(left_out)}", file=sys.stderr)
    _write(asked, _Result(result.names, result.schema, chain([] if first is None else [first], result.rows)))


def _when(asked: Wanted) -> str:
    if asked.first is None or asked.last is None:
        return "yet"
    return f"from {asked.first} to {asked.last}"


def _result(rows: DataFrame, form: Format) -> _Result:
    fields = [field for field in rows.schema if form is Format.PARQUET or not isinstance(field.dataType, BinaryType)]
    names = tuple(field.name for field in fields)
    is_instant = [isinstance(field.dataType, TimestampType) for field in fields]
    # Spark would give instants in this machine's time zone, without saying so.
    plain = rows.select(
        *(
            F.unix_micros(name).alias(name) if instant else F.col(name)
            for name, instant in zip(names, is_instant, strict=True)
        )
    )

    def told() -> Iterator[tuple[Any, ...]]:
        for row in plain.toLocalIterator():
            yield tuple(
                _EPOCH + timedelta(microseconds=value) if instant and value is not None else value
                for value, instant in zip(row, is_instant, strict=True)
            )

    return _Result(names, to_arrow_schema(rows.select(*names).schema), told())


# --- writing ---


def _write(asked: Wanted, result: _Result) -> None:
    match asked.format:
        case Format.TABLE:
            _write_table(asked, result)
        case Format.CSV:
            _write_text(_csv_lines(result), asked.output)
        case Format.JSON:
            _write_text(_json_lines(result), asked.output)
        case Format.PARQUET:
            with _told_of_output(asked.output):
                _write_parquet(result, asked.output)


def _write_text(lines: Iterable[str], output: Path | None) -> None:
    if output is None:
        _print(lines)
        return
    with _told_of_output(output), output.open("w", encoding="utf-8", newline="") as file:
        file.writelines(lines)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        try:
            print(line, end="", flush=True)
        except BrokenPipeError:  # the reader has seen enough, as `head` has
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return


@contextmanager
def _told_of_output(output: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise ConfigurationError(
            f"--output {output} cannot be written ({fault.strerror})", "name a file that can be, or make room"
        ) from fault


class _Line:
    """What a CSV writer writes to when its lines are wanted one by one."""

    @staticmethod
    def write(line: str) -> str:
        return line


def _csv_lines(result: _Result) -> Iterator[str]:
    writer = csv.writer(_Line(), lineterminator="\n")
    for row in chain([result.names], result.rows):
        yield writer.writerow([_iso(value) if isinstance(value, date) else value for value in row])


def _json_lines(result: _Result) -> Iterator[str]:
    """An array with an object a line."""
    yield "["
    for number, row in enumerate(result.rows):
        record = dict(zip(result.names, row, strict=True))
        yield (",\n" if number else "\n") + json.dumps(record, default=_iso, ensure_ascii=False)
    yield "\n]\n"


def _iso(value: date) -> str:
    """ISO 8601; instants with Z."""
    return value.isoformat().replace("+00:00", "Z")


def _write_parquet(result: _Result, output: Path | None) -> None:
    with pq.ParquetWriter(output, result.schema) as writer:
        while rows := list(islice(result.rows, _ROWS_AT_ONCE)):
            columns = zip(*rows, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, result.schema, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=result.schema))


# --- for the eyes ---


def _write_table(asked: Wanted, result: _Result) -> None:
    rows = list(result.rows)
    if not rows:
        return
    table, key = asked.groups.table, asked.groups.key
    values = dict(zip(result.names, zip(*rows, strict=True), strict=True))
    alike = [name for name in key if len(rows) > 1 and len(set(values[name])) == 1]
    same = ", ".join(f"{_heading(name)} {_cell(table, name, values[name][0])}" for name in alike)
    columns = [
        GridColumn(
            _heading(name),
            [_cell(table, name, value) for value in column],
            is_key=name in key,
            is_word=not isinstance(column[0], int | float) and name in key,
        )
        for name, column in values.items()
        if name not in alike
    ]

    def draw(console: Console) -> None:
        draw_wide(console, f"{table}{': ' if same else ''}{same}", columns)

    if asked.output is None and sys.stdout.isatty():
        draw(Console(highlight=False))
        return
    # Whoever reads lines wants each row on one of them; a terminal's width is another matter.
    width = int(os.environ["COLUMNS"]) if os.environ.get("COLUMNS", "").isdecimal() else _AS_WIDE_AS_IT_IS
    _write_text([plain_text(draw, width) + "\n"], asked.output)


def _heading(name: str) -> str:
    words = name.removesuffix("_ms").replace("_", " ")
    return f"{words}, UTC" if name.endswith("_at") else words


def _cell(table: Table, name: str, value: Any) -> str:
    """Durations as m:ss, ratios as percentages, dates with their weekday."""
    match value:
        case None:
            return "-"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case date():
            return f"{value:%Y-%m-%d %a}" if name == "business_date" else f"{value}"
        case int() | float() if name.endswith("_ms"):
            return clock(value)
        case float():
            return percentage(value) if table.column(name).ratio_of else f"{value:.3f}"
        case _:
            return f"{value}"
