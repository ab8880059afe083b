"""Which hashes come more than once, and the keys that are counted by it."""

from collections import Counter
from datetime import date
from itertools import chain

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from contactlake import repeats
from contactlake.quality.audit import audit
from contactlake.quality.rules import KEY_RULE
from contactlake.repeats import repeated
from contactlake.tables.conformed import QUEUE_VISIT

BIGINTS = st.integers(-(2**63), 2**63 - 1)
DAY, NEXT_DAY = date(2025, 3, 3), date(2025, 3, 4)


def told(spark: SparkSession, values: list[int]) -> list[int]:
    rows = spark.createDataFrame([(value,) for value in values], "value bigint").repartition(3)
    return sorted(row["hash"] for row in repeated(rows, F.col("value")).collect())


@given(
    batches=st.lists(
        st.lists(st.one_of(BIGINTS, st.sampled_from([-(2**63), -1, 0, 1, 2**55, 2**63 - 1])), max_size=20), max_size=5
    ),
    at_once=st.integers(1, 40),
)
def test_those_that_come_more_than_once(batches: list[list[int]], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("contactlake.repeats._PACKED_AT_ONCE", at_once)
        packed = pa.Table.from_batches(
            repeats.pack(pa.record_batch({"hash": pa.array(b, pa.int64())}) for b in batches)
        )
    found = repeats.find_repeated(packed.sort_by("range").to_batches(3))
    times = Counter(chain(*batches))
    assert [h for batch in found for h in batch["hash"].to_pylist()] == sorted(h for h in times if times[h] > 1)


def test_wherever_they_lie(spark: SparkSession) -> None:
    values = [(-(2**63) + step * 2**51) for step in range(5_000)]
    assert told(spark, values) == []
    assert told(spark, values + values[7::100] + values[7::500]) == values[7::100]


def test_of_nothing(spark: SparkSession) -> None:
    assert told(spark, []) == []


@pytest.mark.parametrize("is_little", [True, False])
def test_rows_that_share_a_key_with_another_of_their_date_are_counted(spark: SparkSession, is_little: bool) -> None:
    visits: list[tuple[date, str | None, str]]
    visits = [(DAY, "symbee", "a"), (DAY, "symbee", "a"), (DAY, "symbee", "b"), (DAY, "connect", "b")]
    visits += [(NEXT_DAY, "symbee", "a"), (NEXT_DAY, None, "c"), (NEXT_DAY, None, "c"), (NEXT_DAY, None, "c")]
    keys = spark.createDataFrame(visits, "business_date date, source string, visit_id string")
    lacking = [F.lit(None).cast(c.type).alias(c.name) for c in QUEUE_VISIT.columns if c.name not in keys.columns]
    (audited,) = audit({QUEUE_VISIT: keys.select("*", *lacking)}, is_little)
    assert dict(zip(audited.figures["business_date"], audited.figures[KEY_RULE], strict=True)) == {DAY: 1, NEXT_DAY: 2}
    (audited,) = audit({QUEUE_VISIT: keys.distinct().select("*", *lacking)}, is_little)
    assert list(audited.figures[KEY_RULE]) == [0, 0]
