"""The checks of Spark and Delta, which are started and made to work."""

import logging
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyspark
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from contactlake import __version__
from contactlake.business_dates import date_of
from contactlake.doctor.examination import (
    SHOWN,
    SPARK,
    Examination,
    Finding,
    Unexamined,
    Verdict,
    broken,
    first_line,
    ok,
)
from contactlake.doctor.places import probing
from contactlake.launch import prepare
from contactlake.published import engine_chatter_on_stderr
from contactlake.session import get_session
from contactlake.store import Lake
from contactlake.tables.declaration import Table, count

_log = logging.getLogger("contactlake.doctor")

_DELTA = "4.2"
_PROBE = Table(
    layer="delta",
    name="probe",
    description="Written and read by `contactlake doctor`.",
    key=("id",),
    columns=(count("id", "Key."), count("number", "Number.")),
)


def spark(examination: Examination) -> Iterator[Finding]:
    """Whether Spark starts with the settings that it will be started with, and is of the version that is needed."""
    settings = examination.settings
    examination.needs("java", "Java is missing or too old")
    try:
        prepare(settings)
        with engine_chatter_on_stderr():
            session = get_session(settings, "doctor")
    except (PySparkException, Py4JError, FileNotFoundError) as fault:
        _log.exception("Spark did not start")
        yield broken(
            f"did not start: {first_line(fault)}",
            "see stderr; the first start downloads Delta, so that it needs Maven Central or a mirror",
        )
        return
    examination.spark = session
    runtime = _property(session, "java.lang.System", "getProperty", "java.version") or "of unknown version"
    found = f"{session.version} on Java {runtime}, {session.conf.get('spark.master', 'no master')}"
    if not _is(session.version, SPARK):
        yield broken(f"{found}: not {SPARK}", f"use pyspark {SPARK}, or a release of the platform that has it")
    elif not _is(pyspark.__version__, SPARK):
        yield broken(f"{found}, driven by pyspark {pyspark.__version__}", f"use the pyspark of Spark {session.version}")
    else:
        yield ok(found)


def executors(examination: Examination) -> Iterator[Finding]:
    """Whether the executors' Python can import what decodes the archive."""
    session = examination.session
    try:
        rows = session.range(32).mapInArrow(_surroundings, "python string, contactlake string").distinct().collect()
    except (PySparkException, Py4JError) as fault:
        _log.exception("the executors cannot run Python")
        yield broken(
            f"cannot run contactlake: {_telling_line(fault)}",
            "give the executors a Python with the wheel and its dependencies (spark.pyspark.python, --archives)",
        )
        return
    versions = sorted(f"Python {row['python']} with contactlake {row['contactlake']}" for row in rows)
    if {row["contactlake"] for row in rows} != {__version__}:
        yield broken(f"{', '.join(versions)}; this is {__version__}", "install one version of the wheel everywhere")
    else:
        yield ok(", ".join(versions))


def _surroundings(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """What a task runs in, one row."""
    import_module("contactlake.landing")  # with all that a task needs
    if sum(batch.num_rows for batch in batches):
        version = ".".join(map(str, sys.version_info[:3]))
        yield pa.RecordBatch.from_pydict({"python": [version], "contactlake": [__version__]})


def delta(examination: Examination) -> Iterator[Finding]:
    """Whether a table can be made, merged into by Spark, and read by either of Delta's two readers."""
    session = examination.session
    version = _property(session, "io.delta.package", "VERSION") or "of unknown version"
    try:
        with _place(examination) as place:
            store = examination.store(place)
            store.write("probe", b"")  # makes the directory
            probe = Lake(session, store, "UTC", 1)
            probe.create(_PROBE)
            probe.append_rows(_PROBE, [{"id": 1, "number": 10}, {"id": 2, "number": 20}])
            probe.merge(_PROBE, session.createDataFrame([(2, 21), (3, 30)], "id bigint, number bigint"))
            by_spark = session.read.format("delta").load(probe.path(_PROBE)).orderBy("id").toArrow().to_pylist()
            by_rust = probe.read_rows(_PROBE, _PROBE.column_names).sort_by("id").to_pylist()
    except (PySparkException, Py4JError) as fault:
        _log.exception("Spark cannot write and read a Delta table")
        yield broken(
            f"{version}; Spark cannot write and read a table: {_telling_line(fault)}",
            "see stderr: Delta's jars and settings must be those that ship in conf/, or the platform's, and Spark must"
            " have the access to the lake that Python has",
        )
        return
    expected = [{"id": number, "number": value} for number, value in ((1, 10), (2, 21), (3, 30))]
    if not by_spark == by_rust == expected:
        yield broken(f"{version}; a table is not read as it was written", "use the versions that are declared")
    elif version[0].isdigit() and not _is(version, _DELTA):
        yield broken(f"{version}: not {_DELTA}", f"name Delta {_DELTA} in spark.jars.packages, or use such a release")
    else:
        where = "the lake" if place.startswith(examination.lake.uri) else "a temporary folder"
        yield ok(f"{version}: a table was made in {where}, merged into and read")


@contextmanager
def _place(examination: Examination) -> Iterator[str]:
    """Where a table may be made: in the lake, else, on one machine, in a temporary folder."""
    if "lake" not in examination.failed:
        with probing(examination.lake) as folder:
            yield examination.lake.uri_of(folder)
    elif str(examination.session.conf.get("spark.master", "")).startswith("local"):
        with tempfile.TemporaryDirectory(prefix="contactlake-doctor-") as name:
            yield name
    else:
        raise Unexamined("the lake cannot be written to")


def time_zone(examination: Examination) -> Iterator[Finding]:
    """What date it is in the lake's zone, and whether Java and Python know the same of it."""
    name, now = examination.settings.lake.timezone, datetime.now(UTC)
    local = now.astimezone(ZoneInfo(name))
    found = f"{name}: {local:%Y-%m-%d %H:%M} there, business date {date_of(now, name)}"
    if examination.spark is None:
        yield ok(found)
        return
    noons = [datetime(year, month, 1, 12, tzinfo=UTC) for year in (now.year, now.year + 1) for month in range(1, 13)]
    texts = ", ".join(f"timestamp '{noon:%Y-%m-%dT%H:%M:%S}Z'" for noon in noons)
    query = (
        f"SELECT date_format(from_utc_timestamp(at, '{name}'), 'yyyy-MM-dd HH:mm') AS local"
        f" FROM (SELECT explode(array({texts})) AS at)"
    )
    by_java = [row["local"] for row in examination.session.sql(query).collect()]
    by_python = [f"{noon.astimezone(ZoneInfo(name)):%Y-%m-%d %H:%M}" for noon in noons]
    differing = [one for one, other in zip(by_python, by_java, strict=True) if one != other]
    if differing:
        yield Finding(
            Verdict.WARN,
            f"{found}; Java's and Python's clocks differ there, first about {differing[0]}",
            "bring Java and Python's tzdata up to date: business dates would be told apart differently",
        )
    else:
        yield ok(found)


def _is(version: str, wanted: str) -> bool:
    return version == wanted or version.startswith(f"{wanted}.")


def _property(session: SparkSession, *call: str) -> str | None:
    """What a static method of a class of the JVM says; None where there is none, or it may not be asked."""
    arguments = ", ".join(f"'{part}'" for part in call)
    try:
        told = session.sql(f"SELECT try_reflect({arguments}) AS told").first()
    except (PySparkException, Py4JError):
        return None
    return None if told is None else told["told"]


def _telling_line(fault: Exception) -> str:
    """The line of an engine's fault that says most: the last cause, where causes are given."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return (causes or errors or lines or [type(fault).__name__])[-1 if causes or errors else 0][:SHOWN]
