"""A lake as its last complete run left it: for reading alone, without a lease.

Every table is read at the version that this run recorded, so that the figures belong together whatever a run under way
is writing.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame

from contactlake.archive.storage import S3Options, open_store
from contactlake.config import Configuration
from contactlake.errors import StorageError
from contactlake.history import PastRun, last_complete_run
from contactlake.session import get_session
from contactlake.store import MARKER, Lake
from contactlake.tables.declaration import Table


@dataclass(frozen=True)
class Published:
    """What a lake's last complete run left."""

    lake: Lake
    run: PastRun

    @property
    def uri(self) -> str:
        return self.lake.store.uri

    def rows(self, table: Table) -> DataFrame:
        """The table's rows; none where the run knew no such table yet."""
        version = self.run.table_versions.get(table.path)
        if version is None:
            return self.lake.spark.createDataFrame([], table.schema_ddl)
        return self.lake.read(table, version)


def open_published(configuration: Configuration, name: str) -> Published:
    """The configuration's lake, in a Spark session called `name` that prints nothing on stdout.

    Raises `StorageError` where there is no lake, no run of it was complete, or it cannot be reached.
    """
    s3 = configuration.storage.s3
    root = open_store(configuration.lake.root, S3Options(s3.endpoint, s3.path_style, s3.region))
    if root.head(MARKER) is None:  # told before Spark is started for nothing
        raise _no_lake(root.uri)
    with engine_chatter_on_stderr():
        lake = Lake(get_session(configuration, name), root, configuration.lake.timezone)
    lake.check_marker()
    run = last_complete_run(lake)
    if run is None:
        raise _no_lake(root.uri)
    return Published(lake, run)


def _no_lake(uri: str) -> StorageError:
    return StorageError(
        f"{uri} holds no lake yet", "make one with `contactlake daily`, or mend lake.root in the configuration"
    )


@contextmanager
def engine_chatter_on_stderr() -> Iterator[None]:
    """Starts the JVM with stderr in place of stdout, where its dependency resolver prints."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
