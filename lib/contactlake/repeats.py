"""Which of many hashes come more than once.

To count rows, Spark moves each of them on its own. Here hashes travel by the thousand, sorted: a fraction of the work.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame

from contactlake.workers import spare_jars

_RANGES = 256
"""Hashes of a range are compared with each other: of a billion, some 30 MB at a time."""
_LEAST_OF_RANGES = np.arange(1 - _RANGES // 2, _RANGES // 2, dtype=np.int64) * (2**64 // _RANGES)
_PACKED_AT_ONCE = 1 << 18
_PACKED = pa.schema([pa.field("range", pa.int32()), pa.field("hashes", pa.binary())])
_HASH = pa.schema([pa.field("hash", pa.int64())])

_Hashes = npt.NDArray[np.int64]


def repeated(rows: DataFrame, value: Column) -> DataFrame:
    """The values of the bigint `value`, a hash, that several of `rows` have: a row each (hash)."""
    packed = rows.select(value.alias("hash")).mapInArrow(pack, "range int, hashes binary")
    together = packed.repartition("range").sortWithinPartitions("range")
    return together.mapInArrow(find_repeated, "hash bigint")


def pack(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The hashes of `batches` (hash), those of a range together."""
    spare_jars()
    waiting: list[_Hashes] = []
    for batch in batches:
        waiting.append(batch.column(0).to_numpy())
        if sum(map(len, waiting)) >= _PACKED_AT_ONCE:
            yield _packed(waiting)
            waiting = []
    yield _packed(waiting)


def _packed(hashes: list[_Hashes]) -> pa.RecordBatch:
    values = np.sort(np.concatenate([np.empty(0, np.int64), *hashes]))
    parts = np.split(values, np.searchsorted(values, _LEAST_OF_RANGES))
    rows = [{"range": number, "hashes": part.tobytes()} for number, part in enumerate(parts) if len(part)]
    return pa.RecordBatch.from_pylist(rows, _PACKED)


def find_repeated(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The hashes that come more than once in `batches` of packed hashes, in the order of their ranges."""
    spare_jars()
    packed = (row for batch in batches for row in zip(*batch.columns, strict=True))
    for _, of_a_range in groupby(packed, key=lambda row: row[0].as_py()):
        yield _repeated_of([np.frombuffer(hashes.as_buffer(), np.int64) for _, hashes in of_a_range])


def _repeated_of(hashes: list[_Hashes]) -> pa.RecordBatch:
    values = np.sort(np.concatenate(hashes), kind="stable")
    several = np.unique(values[1:][values[1:] == values[:-1]])
    return pa.RecordBatch.from_arrays([pa.array(several)], schema=_HASH)
