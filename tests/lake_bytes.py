"""Everything that a lake's files hold, for tests of what must not be in them."""

import gzip
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from contactlake.archive.storage import ObjectStore


def contents(store: ObjectStore, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Per object its key and what it says: its bytes; of Parquet also its rows and its footer's statistics."""
    for info in store.list(prefix):
        content = store.read(info.key)
        said = [info.key, content.decode("utf-8", "replace")]
        if content.startswith(b"\x1f\x8b"):
            said.append(gzip.decompress(content).decode("utf-8", "replace"))
        if content.startswith(b"PAR1"):
            file = pq.ParquetFile(pa.BufferReader(content))
            said.append(str(file.read().to_pylist()))
            for number in range(file.metadata.num_row_groups):
                group = file.metadata.row_group(number)
                said += [str(group.column(column).statistics) for column in range(group.num_columns)]
        yield info.key, "\n".join(said)


def objects_with(store: ObjectStore, *values: str) -> set[tuple[str, str]]:
    """Which objects (the table's folder, or the name at the lake's root) hold which of `values`, in any case."""
    return {
        ("/".join(key.split("/")[:2]), value)
        for key, said in contents(store)
        for value in values
        if value.lower() in said.lower()
    }


def columns_with(store: ObjectStore, *values: str) -> set[tuple[str, str]]:
    """Which columns (table's folder, column) of Parquet files hold which of `values`."""
    found: set[tuple[str, str]] = set()
    for info in store.list(""):
        if info.key.endswith(".parquet") and "/_delta_log/" not in info.key:
            rows = pq.read_table(pa.BufferReader(store.read(info.key)))
            for name in rows.column_names:
                text = str(rows[name].to_pylist()).lower()
                if any(value.lower() in text for value in values):
                    found.add(("/".join(info.key.split("/")[:2]), name))
    return found
