"""How a file's columns had best be laid down as Parquet, told by its first rows."""

from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_LOOKED_AT_ROWS = 2048
"""A file of fewer rows is small in any case."""
_WORTHWHILE = 0.85
"""A column is compressed if that leaves less of it."""


def encodings(rows: pa.Table) -> dict[str, Any]:
    """How Parquet had best lay down what is like `rows`, as arguments of its writer.

    A dictionary makes ids and instants larger, and slower to write and to read; Snappy finds next to nothing in ids.
    What lies in lists and maps always has a dictionary.
    """
    looked_at = rows.slice(0, _LOOKED_AT_ROWS)
    if looked_at.num_rows < _LOOKED_AT_ROWS:
        return {"compression": "snappy"}
    repetitive = list(_leaves(rows.schema))
    for name, values in zip(looked_at.column_names, looked_at.columns, strict=True):
        if not pa.types.is_nested(values.type):
            there = len(values) - values.null_count
            if 2 * pc.count_distinct(values, mode="only_valid").as_py() > there:
                repetitive.remove(name)
    sink = pa.BufferOutputStream()
    pq.write_table(looked_at, sink, compression="snappy", use_dictionary=repetitive, write_statistics=False)
    group = pq.read_metadata(pa.BufferReader(sink.getvalue())).row_group(0)
    sizes = {
        column.path_in_schema: (column.total_compressed_size, column.total_uncompressed_size)
        for column in map(group.column, range(group.num_columns))
    }
    codecs = {leaf: "none" if small > _WORTHWHILE * large else "snappy" for leaf, (small, large) in sizes.items()}
    return {"use_dictionary": repetitive, "compression": codecs}


@cache
def _leaves(schema: pa.Schema) -> tuple[str, ...]:
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    leaves = pq.ParquetFile(sink.getvalue()).schema
    return tuple(leaves.column(number).path for number in range(len(leaves)))
