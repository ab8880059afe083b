"""`python -m contactlake.class_sharing`: keeps Spark's classes as Java has loaded them, for the commands that follow.

In a small run a third of what Java does is to read some fifteen thousand classes from their jars and to check them. It
can keep them in an archive that it maps in a moment, and leaves aside where Java itself or the jars are others by now.
Source: the JDK's documentation of application class-data sharing.
"""

import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from pyspark.sql import functions as F  # noqa: N812

from contactlake import cli
from contactlake.config import load_configuration
from contactlake.launch import class_sharing_folder, class_sharing_options, prepare, shared_classes
from contactlake.session import get_session
from contactlake.synthesize import config_toml, synthesize

_DAY = date(2025, 3, 4)
_OTHERS_SETTINGS = ("PYSPARK_GATEWAY_PORT", "PYSPARK_SUBMIT_ARGS", "SPARK_CONF_DIR", "SPARK_SUBMIT_OPTS")
_MINUTES = 10
_LOAD, _START = "load", "start"


def keep_classes() -> Path | None:
    """Runs the daily job over a small invented archive and keeps the classes that it took; where they lie then.

    None where Java keeps none, as without an archive of its own classes: commands then start as they do without.
    Raises `RuntimeError` where the job, or a start with what was kept, fails.
    """
    kept = shared_classes()
    # Java shares classes only where no folder with files is on the class path, and Spark puts its settings' there.
    (class_sharing_folder() / "conf").mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="classes-", dir=class_sharing_folder()) as folder:
        fresh = Path(folder) / kept.name
        _run(_LOAD, folder, class_sharing_options("ArchiveClassesAtExit", fresh))
        if not fresh.is_file():
            return None
        # Java would die of what a full disk has cut short.
        _run(_START, folder, class_sharing_options("SharedArchiveFile", fresh))
        fresh.replace(kept)
    return kept


def _run(part: str, folder: str, options: str) -> None:
    """Does one part of this in a Python, and a Java with `options`, of its own; both have ended then."""
    environment = {name: value for name, value in os.environ.items() if name not in _OTHERS_SETTINGS}
    # Java writes the archive as it ends, which is later than what started it: it has ended when nobody writes here.
    done = subprocess.run(  # noqa: S603 - this file itself
        [sys.executable, __file__, part, folder],
        env=environment | {"SPARK_SUBMIT_OPTS": options},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_MINUTES * 60,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"Spark's classes cannot be kept: to {part} has failed\n{done.stdout}")


def _config(folder: Path) -> Path:
    config = folder / "config.toml"
    config.write_text(config_toml(folder / "archive", folder / "lake", "UTC"), encoding="utf-8")
    return config


def _load_classes(folder: Path) -> int:
    """The daily job over an invented archive below `folder`, and what only large loads use; returns its exit code."""
    synthesize(folder / "archive", start=_DAY, days=1, agents=2, seed=7)
    config = _config(folder)
    code = cli.main(["daily", "--config", str(config), "--as-of", "2025-03-12T06:00:00Z"])
    if code:
        return code
    spark = get_session(load_configuration(config), "class sharing")
    numbers = spark.range(100_000).withColumns({"group": F.col("id") % 7, "text": F.col("id").cast("string")})
    sums = numbers.groupBy("group").agg(F.sum("id").alias("sum"), F.max("text").alias("text"))
    numbers.join(sums, ["group"]).sort("sum").localCheckpoint().count()
    return 0


def _start(folder: Path) -> int:
    configuration = load_configuration(_config(folder))
    prepare(configuration)
    get_session(configuration, "class sharing")
    return 0


def main() -> int:
    if len(sys.argv) > 1:
        part, folder = sys.argv[1:]
        return {_LOAD: _load_classes, _START: _start}[part](Path(folder))
    kept = keep_classes()
    print("Java keeps no classes here; commands start without" if kept is None else f"Spark's classes are in {kept}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
