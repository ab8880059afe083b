"""Rolling gold tables up, against figures that were added up by hand, and percentiles against the exact ones."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest
from chispa.dataframe_comparer import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from contactlake.errors import ConfigurationError
from contactlake.rollup import rollup
from contactlake.tables.declaration import Rollup, Table
from contactlake.tables.gold import (
    AGENT_DAILY,
    AGENT_INTERVAL,
    DURATION_DISTRIBUTION_DAILY,
    GOLD_TABLES,
    QUEUE_DAILY,
    RECONCILIATION_DAILY,
    SERVICE_LEVEL_DAILY,
    USER_USAGE_DAILY,
    WORK_CODE_DAILY,
)

_RANK_ERROR = 0.0266
"""Twice the error of a rank that 99 of 100 sketches of this size keep below, so that no test fails by chance."""


def frame(spark: SparkSession, table: Table, rows: Sequence[dict[str, Any]]) -> DataFrame:
    """`rows` in the table's columns; what a row does not tell is 0, `x` or null."""
    usual = {"bigint": 0, "string": "x"}
    told = [tuple(row.get(c.name, usual.get(c.type)) for c in table.columns) for row in rows]
    return spark.createDataFrame(told, table.schema_ddl)


def records(rows: DataFrame) -> list[dict[str, Any]]:
    return sorted((row.asDict() for row in rows.collect()), key=lambda row: str(list(row.values())))


def queue_day(day: str, queue: str, channel: str = "voice", **measures: Any) -> dict[str, Any]:
    return {"business_date": date.fromisoformat(day), "queue": queue, "channel": channel, **measures}


@pytest.fixture(scope="module")
def queues(spark: SparkSession) -> DataFrame:
    rows = [
        queue_day("2024-12-29", "sales", offered=4, answered=3, abandoned=1, answer_wait_ms=30_000, max_wait_ms=20_000),
        queue_day("2024-12-30", "sales", offered=1, answered=1, answer_wait_ms=50_000, max_wait_ms=50_000),
        queue_day("2024-12-31", "sales", "chat", offered=2, abandoned=2, max_wait_ms=9_000),
        queue_day("2025-01-01", "sales", offered=9, answered=9, answer_wait_ms=90_000, max_wait_ms=10_000),
        queue_day("2025-01-05", "care", offered=3, abandoned=3, max_wait_ms=None),
        queue_day("2025-01-06", "care", offered=2, answered=1, diverted=1, answer_wait_ms=7_000, max_wait_ms=7_000),
    ]
    return frame(spark, QUEUE_DAILY, rows)


# --- declarations ---


@pytest.mark.parametrize("table", GOLD_TABLES, ids=lambda table: table.name)
def test_the_rules_of_a_table_fit_together(table: Table) -> None:
    sums = {column.name for column in table.columns if column.rollup is Rollup.SUM}
    for column in table.columns:
        if column.name in table.key:
            assert column.rollup is None, column.name
        if column.ratio_of is not None:
            assert column.rollup is None
            assert set(re.findall(r"[a-z]\w*", " ".join(column.ratio_of))) <= sums, column.name
        if column.rollup is Rollup.PERCENTILE:
            assert column.percentile_of is not None
            assert table.column(column.percentile_of[0]).rollup is Rollup.MERGE


def test_what_cannot_be_added_has_no_rule() -> None:
    assert {
        f"{table.name}.{column.name}"
        for table in GOLD_TABLES
        for column in table.columns
        if column.name not in table.key and column.rollup is None and column.ratio_of is None
    } == {
        "agent_daily.sessions",
        "user_usage_daily.users",
        "user_usage_daily.sessions",
        "work_code_daily.interactions",
        "work_code_daily.average_handle_ms",
    }


# --- rules ---


def test_sums_are_added_and_ratios_made_anew(queues: DataFrame) -> None:
    (row,) = records(rollup(QUEUE_DAILY, queues.where("queue = 'sales' and channel = 'voice'"), ["total", "queue"]))
    assert row == {
        "queue": "sales",
        "offered": 14,
        "answered": 13,
        "abandoned": 1,
        "diverted": 0,
        "wait_ms": 0,
        "answer_wait_ms": 170_000,
        "abandon_wait_ms": 0,
        "max_wait_ms": 50_000,
        "average_speed_of_answer_ms": pytest.approx(170_000 / 13),  # the averages' average would be 23,333
        "average_abandon_ms": 0.0,
        "abandonment_rate": pytest.approx(1 / 14),
    }


def test_a_ratio_of_nothing_and_a_maximum_of_nothing_are_null(queues: DataFrame) -> None:
    (row,) = records(rollup(QUEUE_DAILY, queues.where("queue = 'care' and offered = 3"), ["total"]))
    assert row["average_speed_of_answer_ms"] is None
    assert row["max_wait_ms"] is None
    assert row["abandonment_rate"] == 1.0


def test_weeks_are_iso_weeks_whatever_the_year(queues: DataFrame) -> None:
    weeks = rollup(QUEUE_DAILY, queues, ["week"])
    assert weeks.columns[:2] == ["week_start_date", "offered"]
    assert [(row["week_start_date"], row["offered"]) for row in records(weeks)] == [
        (date(2024, 12, 23), 4),
        (date(2024, 12, 30), 15),
        (date(2025, 1, 6), 2),
    ]


def test_months(queues: DataFrame) -> None:
    months = rollup(QUEUE_DAILY, queues, ["queue", "month"])
    assert months.columns[:2] == ["month_start_date", "queue"]
    assert [(row["month_start_date"], row["queue"], row["offered"]) for row in records(months)] == [
        (date(2024, 12, 1), "sales", 7),
        (date(2025, 1, 1), "care", 5),
        (date(2025, 1, 1), "sales", 9),
    ]


def test_a_day_is_a_grain_and_no_grain_is_the_total(queues: DataFrame) -> None:
    days = records(rollup(QUEUE_DAILY, queues, ["day"]))
    assert [row["offered"] for row in days] == [4, 1, 2, 9, 3, 2]
    assert rollup(QUEUE_DAILY, queues, ["day"]).columns[:2] == ["business_date", "offered"]
    by_channel = rollup(QUEUE_DAILY, queues, ["channel"])
    assert [(row["channel"], row["offered"]) for row in records(by_channel)] == [("chat", 2), ("voice", 19)]
    assert_df_equality(by_channel, rollup(QUEUE_DAILY, queues, ["channel", "total"]), ignore_row_order=True)


def test_signed_differences_are_added_too(spark: SparkSession) -> None:
    rows = [
        {"business_date": date(2025, 3, day), "status": "MATCHED", "contacts": 1, "talk_delta_ms": delta}
        for day, delta in ((4, 700), (5, -900))
    ]
    (row,) = records(rollup(RECONCILIATION_DAILY, frame(spark, RECONCILIATION_DAILY, rows), ["status"]))
    assert (row["contacts"], row["talk_delta_ms"]) == (2, -200)


def test_intervals_may_be_added_up_or_kept(spark: SparkSession) -> None:
    rows = [
        {"business_date": date(2025, 3, 4), "agent": agent, "interval_start_at": at, "idle_ms": idle}
        for agent, at, idle in (
            ("ann", datetime(2025, 3, 4, 15, 0), 1),  # noqa: DTZ001
            ("ann", datetime(2025, 3, 4, 15, 15), 2),  # noqa: DTZ001
            ("bob", datetime(2025, 3, 4, 15, 15), 4),  # noqa: DTZ001
        )
    ]
    intervals = frame(spark, AGENT_INTERVAL, rows)
    assert [row["idle_ms"] for row in records(rollup(AGENT_INTERVAL, intervals, ["day", "agent"]))] == [3, 4]
    kept = rollup(AGENT_INTERVAL, intervals, ["total", "interval_start_at"])
    assert [row["idle_ms"] for row in records(kept)] == [1, 6]


# --- what is not known over several rows ---


def test_distinct_counts_are_left_out(spark: SparkSession) -> None:
    agents = frame(spark, AGENT_DAILY, [{"business_date": date(2025, 3, 4), "sessions": 2, "idle_ms": 5}])
    assert "sessions" not in rollup(AGENT_DAILY, agents, ["week", "source", "environment", "agent"]).columns
    assert "sessions" not in rollup(AGENT_DAILY, agents, ["day", "agent"]).columns
    codes = frame(spark, WORK_CODE_DAILY, [{"business_date": date(2025, 3, 4), "selected": 2, "handle_ms": 5}])
    assert rollup(WORK_CODE_DAILY, codes, ["code"]).columns == ["code", "selected", "handle_ms"]


def test_a_peak_is_known_over_dates_and_over_nothing_else(spark: SparkSession) -> None:
    rows = [
        {"business_date": date(2025, 3, 4), "product_id": "a", "users": 5, "sessions": 6, "peak_concurrent_users": 3},
        {"business_date": date(2025, 3, 5), "product_id": "a", "users": 4, "sessions": 4, "peak_concurrent_users": 4},
        {"business_date": date(2025, 3, 5), "product_id": "b", "users": 2, "sessions": 2, "peak_concurrent_users": 2},
    ]
    usage = frame(spark, USER_USAGE_DAILY, rows)
    weeks = rollup(USER_USAGE_DAILY, usage, ["week", "environment", "product_id"])
    assert weeks.columns == ["week_start_date", "environment", "product_id", "peak_concurrent_users"]
    assert [row["peak_concurrent_users"] for row in records(weeks)] == [4, 2]
    with pytest.raises(ConfigurationError, match="no measure of gold/user_usage_daily is known by week alone"):
        rollup(USER_USAGE_DAILY, usage, ["week"])


def test_thresholds_are_kept_apart_unasked(spark: SparkSession) -> None:
    rows = [
        queue_day(day, "sales", threshold_seconds=limit, offered=10, answered_within=within)
        for day, limit, within in (("2025-03-04", 20, 4), ("2025-03-04", 60, 9), ("2025-03-05", 20, 2))
    ]
    levels = rollup(SERVICE_LEVEL_DAILY, frame(spark, SERVICE_LEVEL_DAILY, rows), ["total"])
    assert [(row["threshold_seconds"], row["offered"], row["service_level_answered"]) for row in records(levels)] == [
        (20, 20, 0.3),
        (60, 10, 0.9),
    ]


@pytest.mark.parametrize("table", GOLD_TABLES, ids=lambda table: table.name)
def test_days_with_every_dimension_are_the_table_itself(spark: SparkSession, table: Table) -> None:
    rows = frame(spark, table, [{"business_date": date(2025, 3, 4), "sketch": b"", "p50_ms": 1.5}])
    dimensions = [name for name in table.key if name != "business_date"]
    assert_df_equality(rollup(table, rows, ["day", *dimensions]), rows)
    assert_df_equality(rollup(table, rows), rows)


@pytest.mark.parametrize("table", [QUEUE_DAILY, DURATION_DISTRIBUTION_DAILY], ids=lambda table: table.name)
@pytest.mark.parametrize("grain", ["day", "week", "month", "total"])
def test_no_rows_stay_no_rows(spark: SparkSession, table: Table, grain: str) -> None:
    assert rollup(table, frame(spark, table, []), [grain]).collect() == []


# --- percentiles ---


@pytest.fixture(scope="module")
def durations() -> dict[tuple[str, str], list[int]]:
    """Durations per day and queue, of unequal number and scale."""
    dice = np.random.default_rng(7)
    return {
        (f"2025-03-{day:02}", queue): [int(value) for value in dice.lognormal(mean, 0.9, size)]
        for day in range(3, 12)
        for queue, mean, size in (("sales", 11.0, 900), ("care", 12.5, 60), ("mail", 9.0, 3))
    }


@pytest.fixture(scope="module")
def distributions(spark: SparkSession, durations: dict[tuple[str, str], list[int]]) -> DataFrame:
    rows = [
        (date.fromisoformat(day), queue, measure, value)
        for (day, queue), values in durations.items()
        for measure in ("wait", "wrap")
        for value in values
    ]
    exact = F.percentile("value", F.array(*map(F.lit, (0.5, 0.9, 0.95, 0.99))))
    told = spark.createDataFrame(rows, "business_date date, queue string, measure string, value bigint")
    return (
        told.groupBy("business_date", "queue", "measure")
        .agg(
            F.count(F.lit(1)).alias("count"),
            F.sum("value").alias("sum_ms"),
            exact.alias("exact"),
            F.max("value").alias("max_ms"),
            F.kll_sketch_agg_bigint("value").alias("sketch"),
        )
        .select(
            "*",
            *(F.lit("x").alias(name) for name in ("source", "environment", "channel")),
            *(F.col("exact")[place].alias(name) for place, name in enumerate(("p50_ms", "p90_ms", "p95_ms", "p99_ms"))),
        )
        .select(*DURATION_DISTRIBUTION_DAILY.column_names)
        .cache()
    )


def assert_near(row: dict[str, Any], values: list[int]) -> None:
    """The percentiles' ranks among `values` are within the sketch's error."""
    for name, fraction in (("p50_ms", 0.5), ("p90_ms", 0.9), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        low = np.quantile(values, max(0.0, fraction - _RANK_ERROR), method="lower")
        high = np.quantile(values, min(1.0, fraction + _RANK_ERROR), method="higher")
        assert low <= row[name] <= high, name
    assert (row["count"], row["sum_ms"], row["max_ms"]) == (len(values), sum(values), max(values))


def test_percentiles_come_from_the_merged_sketch(
    distributions: DataFrame, durations: dict[tuple[str, str], list[int]]
) -> None:
    rows = records(rollup(DURATION_DISTRIBUTION_DAILY, distributions, ["total"]))
    assert [row["measure"] for row in rows] == ["wait", "wrap"]
    for row in rows:
        assert_near(row, [value for values in durations.values() for value in values])
    weeks = records(rollup(DURATION_DISTRIBUTION_DAILY, distributions, ["week", "queue", "measure"]))
    assert len(weeks) == 2 * 3 * 2
    for row in weeks:
        parts = [
            values
            for (day, queue), values in durations.items()
            if queue == row["queue"] and 0 <= (date.fromisoformat(day) - row["week_start_date"]).days < 7
        ]
        assert_near(row, [value for values in parts for value in values])


def test_a_merged_sketch_merges_again(spark: SparkSession, distributions: DataFrame) -> None:
    weeks = rollup(DURATION_DISTRIBUTION_DAILY, distributions, ["week", "queue"]).where("measure = 'wait'")
    counted = weeks.select(F.kll_sketch_get_n_bigint("sketch").alias("n"), "count").collect()
    assert [row["n"] for row in counted] == [row["count"] for row in counted]


def test_percentiles_of_one_row_stay_exact(distributions: DataFrame) -> None:
    one_day = distributions.where("business_date = '2025-03-10' and queue = 'care'")
    (exact,) = one_day.where("measure = 'wait'").select("p50_ms", "p90_ms", "p95_ms", "p99_ms", "sketch").collect()
    (rolled,) = (
        rollup(DURATION_DISTRIBUTION_DAILY, one_day, ["month", "queue"])
        .where("measure = 'wait'")
        .select("p50_ms", "p90_ms", "p95_ms", "p99_ms", "sketch")
        .collect()
    )
    assert rolled == exact
    assert exact["p90_ms"] % 1 != 0  # interpolated, which a sketch never does


# --- errors ---


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (
            ["agent"],
            "gold/queue_daily has no dimension agent; name any of source, environment, queue, channel,"
            " and one of day, week, month, total",
        ),
        (["offered"], "gold/queue_daily has no dimension offered; "),
        (["business_date"], "gold/queue_daily has no dimension business_date; "),
        (["week", "queue", "day"], "week and day do not go together; name one of them"),
    ],
)
def test_what_cannot_be_kept_is_named(queues: DataFrame, by: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        rollup(QUEUE_DAILY, queues, by)
    assert str(told.value).startswith(words)
