"""The audit: per table and business date, how many rows break each rule, and the totals that must balance.

A small query per table or two, several at a time: one over all of them takes Spark longer to plan than to run. What
comes back is a few figures per date, never a value of a customer.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812

from contactlake.concurrency import concurrently
from contactlake.digest import digest
from contactlake.quality.rules import KEY_RULE, balance_name, row_rules
from contactlake.repeats import repeated
from contactlake.tables.declaration import BUSINESS_DATE, Table


@dataclass(frozen=True)
class Audited:
    """One table's figures: a row per business date, a column per rule (rows that break it) and per balance's side."""

    table: Table
    figures: pd.DataFrame


def gold_side(name: str) -> str:
    return f"{name} (published)"


def conformed_side(name: str) -> str:
    return f"{name} (conformed)"


def _totals(table: Table, gold: Sequence[Table]) -> list[tuple[Table, str, str]]:
    """(whose figure it is, column, aggregate) of every balance's side that is computed from `table`."""
    own = [(table, gold_side(balance_name(balance)), balance.total) for balance in table.balances]
    others = [
        (other, conformed_side(balance_name(balance)), balance.other_total)
        for other in gold
        for balance in other.balances
        if balance.other is table
    ]
    return [*own, *others]


def audit(frames: Mapping[Table, DataFrame], is_little: bool) -> list[Audited]:
    """The figures of each table's rows; `frames` holds the gold tables and what they are computed from.

    `is_little`: it takes longer to plan a query than to run it.
    """
    gold = [table for table in frames if table.balances]
    # Beside a distinct count, Spark keeps all the other figures once for every key, of which silver has many, and so
    # has what is told of each agent.
    apart = [] if is_little else [table for table in frames if table.layer == "silver" or "agent" in table.key]
    # To build a query takes many calls to the JVM: some are built while others run.
    queries = [partial(_broken_and_totals, table, frame, gold, table not in apart) for table, frame in frames.items()]
    queries += [partial(_keys, table, frames[table]) for table in apart]
    told_of: dict[tuple[date | None, str], dict[str, Any]] = defaultdict(dict)
    for found in concurrently(queries):
        for row in found:
            told_of[row["business_date"], row["audited"]] |= row.asDict()
    return _arrange(list(told_of.values()), list(frames), gold)


def _broken_and_totals(table: Table, rows: DataFrame, gold: Sequence[Table], with_keys: bool) -> list[Row]:
    # As text: of thousands of columns, each built by a few calls to the JVM, the calls took longer than the queries.
    broken = ", ".join(f"count_if(coalesce({rule.breaks}, false))" for rule in row_rules(table))
    totals = ", ".join(f"coalesce(cast({aggregate} as bigint), 0)" for _, _, aggregate in _totals(table, gold))
    told = {
        "rows": F.expr("count(1)"),
        "broken": F.expr(f"array({broken})"),
        "totals": F.expr(f"cast(array({totals}) as array<bigint>)"),
    }
    if with_keys:
        told["keys"] = F.count_distinct(digest(table.key))
    return _by_date(table, rows, told)


def _keys(table: Table, rows: DataFrame) -> list[Row]:
    """How many keys the rows of each date have; nothing where no two rows of a date share one."""
    if repeated(rows, digest((BUSINESS_DATE, *table.key))).isEmpty():
        return []
    keys = rows.select(BUSINESS_DATE, digest(table.key).alias("key")).distinct()
    return _by_date(table, keys, {"keys": F.count(F.lit(1))})


def _by_date(table: Table, rows: DataFrame, told: Mapping[str, Column]) -> list[Row]:
    """What is told of each date's rows."""
    figures = [figure.alias(name) for name, figure in told.items()]
    return rows.groupBy("business_date").agg(F.lit(table.path).alias("audited"), *figures).collect()


def _arrange(rows: Sequence[Mapping[str, Any]], tables: Sequence[Table], gold: Sequence[Table]) -> list[Audited]:
    dates = sorted({row["business_date"] for row in rows})
    figures = {table.path: {day: dict.fromkeys(_columns(table, gold), 0) for day in dates} for table in tables}
    by_path = {table.path: table for table in tables}
    for row in rows:
        table = by_path[row["audited"]]
        own = figures[table.path][row["business_date"]]
        own[KEY_RULE] = row["rows"] - row.get("keys", row["rows"])
        for rule, count in zip(row_rules(table), row["broken"], strict=True):
            own[rule.name] = count
        for (owner, column, _), total in zip(_totals(table, gold), row["totals"], strict=True):
            figures[owner.path][row["business_date"]][column] = total
    return [
        Audited(
            table,
            pd.DataFrame(
                [{"business_date": day, **values} for day, values in figures[table.path].items()],
                columns=["business_date", *_columns(table, gold)],
            ),
        )
        for table in tables
    ]


def _columns(table: Table, gold: Sequence[Table]) -> list[str]:
    columns = [KEY_RULE, *(rule.name for rule in row_rules(table))]
    for balance in table.balances:
        if balance.other in gold or table in gold:
            columns += [gold_side(balance_name(balance)), conformed_side(balance_name(balance))]
    return columns
