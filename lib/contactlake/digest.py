"""One hash of several columns, in which a null counts for where it stands."""

from collections.abc import Iterable

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812


def digest(names: Iterable[str]) -> Column:
    """A bigint hash of the columns `names`: rows that differ in one value, or in where a null stands, differ in it.

    Spark's own hash passes nulls over, so that (null, 5) and (5, null) would be one.
    """
    columns = [F.col(f"`{name}`") for name in names]
    nulls = F.concat(*(F.when(column.isNull(), "1").otherwise("0") for column in columns))
    return F.xxhash64(nulls, *columns)
