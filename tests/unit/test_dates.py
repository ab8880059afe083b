"""Instants and dates as columns are those they are made of, in every year of the calendar."""

from datetime import UTC, date, datetime

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from contactlake.business_dates import span, spans
from contactlake.conform.dates import at, business_date, is_between, is_one_of

INSTANTS = ["0001-01-01T00:00:00", "0999-12-31T23:59:59.999999", "1582-10-10T00:00:00", "1883-11-18T12:00:00"]
INSTANTS += ["1969-12-31T23:59:59.999999", "2025-03-09T08:00:00", "9999-12-31T23:59:59.999999"]


@pytest.mark.parametrize("text", INSTANTS)
def test_an_instant_is_itself(spark: SparkSession, text: str) -> None:
    instant = datetime.fromisoformat(text).replace(tzinfo=UTC)
    rows = spark.sql(f"select timestamp'{text}Z' as instant")
    assert rows.where(F.col("instant") == at(instant)).count() == 1
    assert rows.where(is_one_of(F.to_date("instant"), [instant.date()])).count() == 1
    assert rows.where(is_one_of(F.to_date("instant"), [date(2024, 2, 29)])).count() == 0


@pytest.mark.parametrize("zone", ["America/St_Johns", "America/Sao_Paulo", "Asia/Beirut", "Pacific/Apia"])
def test_a_date_holds_the_instants_that_spark_dates_so(spark: SparkSession, zone: str) -> None:
    """Through years in which these clocks were turned at midnight, or a day was left out."""
    spark.range(0, 3 * 366 * 48).selectExpr(
        "timestamp_seconds(1262304000 + id * 1800 + 60) as at",
        f"to_date(from_utc_timestamp(timestamp_seconds(1262304000 + id * 1800 + 60), '{zone}')) as day",
    ).createOrReplaceTempView("instants")
    rows = spark.sql("select day, min(at) as first, max(at) as last from instants group by day").collect()
    for found in rows:
        start, end = span(found["day"], zone)
        assert end is not None
        assert start <= found["first"].astimezone(UTC)
        assert found["last"].astimezone(UTC) < end


@pytest.mark.parametrize("zone", ["America/Chicago", "UTC", "Pacific/Auckland"])
@pytest.mark.parametrize("text", INSTANTS)
def test_a_date_holds_its_instants_to_either_end_of_the_calendar(spark: SparkSession, text: str, zone: str) -> None:
    rows = spark.sql(f"select timestamp'{text}Z' as instant").withColumn("day", business_date("instant", zone))
    (row,) = rows.select("day").collect()
    for start, end in [span(row["day"], zone), *spans([row["day"]], zone)]:
        assert rows.where(is_between(F.col("instant"), start, end)).count() == 1
