"""A centre in a bucket that is reached through faults, beside one in a directory that knows none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from tests.centre import FUNCTION_TABLES, Centre
from tests.lakes import configuration
from tests.s3_server import Bucket

from contactlake.archive.storage import open_store
from contactlake.config import Configuration


class BucketCentre(Centre):
    """The archive and the lake lie in one bucket, reached as `bucket` says; what arrives lies in a directory, too."""

    def __init__(self, spark: SparkSession, root: Path, direct: Bucket, bucket: Bucket) -> None:
        super().__init__(spark, root)
        self.bucket, self._direct = bucket, direct
        self.undisturbed = Centre(spark, root / "undisturbed")

    def arrives(self, *objects: Mapping[str, bytes]) -> None:
        self.undisturbed.arrives(*objects)
        store = open_store(self._direct.uri, self._direct.options)
        for some in objects:
            for key, content in some.items():
                store.write(key, content)

    def settings(
        self, lake: str = "lake", with_transcripts: bool = False, **sections: Mapping[str, Any]
    ) -> Configuration:
        uri = self.bucket.uri
        return configuration(
            f"{uri}/{lake}",
            f"{uri}/symbee",
            f"{uri}/connect",
            self.bucket.options,
            sections,
            with_transcripts=with_transcripts,
        )

    def assert_undisturbed(self) -> None:
        """The lake is what the same archive gives where nothing ever fails."""
        self.undisturbed.run()
        for table in FUNCTION_TABLES:
            mine, theirs = self.rows(table), self.undisturbed.rows(table)
            assert [row for row in mine if row not in theirs] == [row for row in theirs if row not in mine], table
            assert len(mine) == len(theirs), table
