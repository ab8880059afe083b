"""Starting Spark from the console command, as spark-submit would: with the settings of SPARK_CONF_DIR, else those
that ship with this package. The jobs themselves know nothing of it."""

import os
import sys
from pathlib import Path
from shlex import quote

from contactlake.config import Configuration


def shipped_settings() -> Path:
    """The folder of `spark-defaults.conf` that ships with the package, or lies beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "spark-defaults.conf").is_file():
            return folder
    raise FileNotFoundError("spark-defaults.conf is neither in the package nor in its checkout")


def class_sharing_folder() -> Path:
    """Where this Python's commands look for Spark's classes, and for the empty folder of settings that goes with it."""
    return Path(sys.prefix) / "var" / "contactlake"


def shared_classes() -> Path:
    """What `contactlake.class_sharing` makes."""
    return class_sharing_folder() / "classes.jsa"


def class_sharing_options(option: str, archive: Path) -> str:
    """What has Java read an archive of classes (`SharedArchiveFile`) or write it (`ArchiveClassesAtExit`), silently."""
    return f'"-XX:{option}={archive}" -Xlog:cds*=off'


def prepare(configuration: Configuration) -> None:
    """Points Spark at its settings, unless the surroundings have done so: S3 support only for a lake on S3."""
    if os.environ.get("PYSPARK_GATEWAY_PORT"):  # spark-submit is there already, and so are the platform's settings
        return
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if os.environ.get("SPARK_CONF_DIR"):
        return
    shipped = shipped_settings()
    is_on_s3 = configuration.lake.root.startswith("s3://")
    settings = shipped / "s3" if is_on_s3 else shipped
    ivy = f"spark.jars.ivySettings={shipped / 'ivysettings.xml'}"
    arguments = f"--conf {quote(ivy)} pyspark-shell"
    empty = class_sharing_folder() / "conf"
    if os.environ.get("PYSPARK_SUBMIT_ARGS") or not empty.is_dir():
        os.environ["SPARK_CONF_DIR"] = str(settings)
        os.environ.setdefault("PYSPARK_SUBMIT_ARGS", arguments)
        return
    os.environ["SPARK_CONF_DIR"] = str(empty)
    defaults = quote(str(settings / "spark-defaults.conf"))
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--properties-file {defaults} {arguments}"
    if shared_classes().is_file():
        options = class_sharing_options("SharedArchiveFile", shared_classes())
        os.environ["SPARK_SUBMIT_OPTS"] = f"{options} {os.environ.get('SPARK_SUBMIT_OPTS', '')}"
