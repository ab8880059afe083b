"""Instants and dates as columns are those they are made of, in every year of the calendar."""

from datetime import UTC, date, datetime

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from contactlake.conform.dates import at, is_one_of

INSTANTS = ["0001-01-01T00:00:00", "0999-12-31T23:59:59.999999", "1582-10-10T00:00:00", "1883-11-18T12:00:00"]
INSTANTS += ["1969-12-31T23:59:59.999999", "2025-03-09T08:00:00", "9999-12-31T23:59:59.999999"]


@pytest.mark.parametrize("text", INSTANTS)
def test_an_instant_is_itself(spark: SparkSession, text: str) -> None:
    instant = datetime.fromisoformat(text).replace(tzinfo=UTC)
    rows = spark.sql(f"select timestamp'{text}Z' as instant")
    assert rows.where(F.col("instant") == at(instant)).count() == 1
    assert rows.where(is_one_of(F.to_date("instant"), [instant.date()])).count() == 1
    assert rows.where(is_one_of(F.to_date("instant"), [date(2024, 2, 29)])).count() == 0
