"""The hash by which rows are compared and keys counted."""

from pyspark.sql import SparkSession

from contactlake.digest import digest


def test_a_null_counts_for_where_it_stands(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [(None, "a"), ("a", None), (None, None), ("a", "a"), (None, "a")], "left string, right string"
    )
    hashes = [row["hash"] for row in rows.select(digest(["left", "right"]).alias("hash")).collect()]
    assert len(set(hashes)) == 4
    assert hashes[0] == hashes[4]
