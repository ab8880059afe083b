"""The only place where a Spark session is got. It sets neither master nor jars: those come from spark-submit, from
`spark-defaults.conf`, or from the platform."""

import atexit
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from py4j.java_gateway import java_import
from pyspark import SparkContext
from pyspark.sql import SparkSession

from contactlake.config import Configuration

_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # As many files as the lake lets Spark look up: a job that does it costs more than it saves.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "256",
}
_NAMED_IN_SHORT = (
    "org.apache.spark.sql.functions",
    "org.apache.spark.api.python.PythonUtils",
    "org.apache.spark.sql.api.python.PythonSQLUtils",
)
"""Classes that PySpark names without their package, some thousand times a run. Known by name, they are not looked for
in every package, and each jar, first."""


def s3a_settings(configuration: Configuration) -> dict[str, str]:
    """Hadoop's settings for an S3-compatible server; none on AWS itself."""
    s3 = configuration.storage.s3
    settings: dict[str, str] = {}
    if s3.endpoint:
        settings["fs.s3a.endpoint"] = s3.endpoint
        settings["fs.s3a.connection.ssl.enabled"] = str(s3.endpoint.startswith("https:")).lower()
    if s3.path_style:
        settings["fs.s3a.path.style.access"] = "true"
    if s3.region:
        settings["fs.s3a.endpoint.region"] = s3.region
    return settings


def get_session(configuration: Configuration, name: str) -> SparkSession:
    """The running session, or one as the surroundings define it."""
    builder = SparkSession.builder.appName(f"contactlake {name}")
    for key, value in s3a_settings(configuration).items():
        builder = builder.config(f"spark.hadoop.{key}", value)
    spark = builder.getOrCreate()
    for key, value in _SETTINGS.items():
        spark.conf.set(key, value)
    jvm = getattr(spark, "_jvm", None)
    if jvm is not None:
        for name in _NAMED_IN_SHORT:
            java_import(jvm, name)
    _leave_no_socket()
    return spark


def _leave_no_socket() -> None:
    """PySpark removes the file of the socket that Spark reports to once a context is stopped; a run just ends."""
    server = getattr(SparkContext._active_spark_context, "_accumulatorServer", None)
    address = getattr(server, "server_address", None)
    if isinstance(address, str):
        atexit.register(Path(address).unlink, missing_ok=True)


_ENDING_SECONDS = 10


def end_engine() -> None:
    """Ends the JVM, where this process has started it, whatever it is doing."""
    process: subprocess.Popen[bytes] | None = getattr(SparkContext._gateway, "proc", None)
    if process is None:
        return
    process.terminate()
    try:
        process.wait(_ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_FOR_LITTLE = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.leafNodeDefaultParallelism": "1",
    "spark.sql.files.minPartitionNum": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""With little data a query's tasks and stages take longer to hand out than to run: one task does it all. Adaptive
execution would plan anew after every stage, and a query's own code takes longer to make and compile than it saves."""


def for_little(spark: SparkSession) -> AbstractContextManager[None]:
    """Settings for data that a single core reads in seconds."""
    return with_settings(spark, _FOR_LITTLE)


_FOR_SHORT_ROWS = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "2000",
    "spark.sql.execution.arrow.maxBytesPerBatch": f"{(1 << 31) - 1}",
}
"""To bound what goes to Python at once by its bytes, which Spark counts anew after each row, takes a quarter of the
time of bringing it there; to bound it by fewer rows takes next to none."""


def for_short_rows(spark: SparkSession) -> AbstractContextManager[None]:
    """Settings for rows of which some thousand are no burden: conformed ones and gold, not what an archive holds."""
    return with_settings(spark, _FOR_SHORT_ROWS)


@contextmanager
def with_settings(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """The session with `settings`; what it had is put back at the end."""
    before = {key: spark.conf.get(key, None) for key in settings}
    for key, value in settings.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, old in before.items():
            if old is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, old)
