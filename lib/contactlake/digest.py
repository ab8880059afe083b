"""One hash of several columns, in which a null counts for where it stands."""

from collections.abc import Iterable

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812


def digest(names: Iterable[str]) -> Column:
    """A bigint hash of the columns `names`: rows that differ in one value, or in where a null stands, differ in it.

    Spark's own hash passes nulls over, so that (null, 5) and (5, null) would be one.
    """
    columns = [f"`{name}`" for name in names]
    nulls = ", ".join(f"if({column} is null, '1', '0')" for column in columns)
    return F.expr(f"xxhash64(concat({nulls}), {', '.join(columns)})")
