"""The checks of what contactlake is started with: the configuration, Python, Java."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pyspark

from contactlake import __version__
from contactlake.config import load_configuration
from contactlake.doctor.examination import SPARK, Examination, Finding, Verdict, broken, failure, ok
from contactlake.errors import ConfigurationError
from contactlake.feeds import FEEDS

_PYTHONS = ((3, 11), (3, 13))
_JAVAS = (17, 21)


def configuration(examination: Examination) -> Iterator[Finding]:
    """Whether it is valid, and names feeds that can be read; all of its faults."""
    try:
        loaded = examination.configuration = load_configuration(examination.file)
    except ConfigurationError as fault:
        for each in (fault, *fault.others):
            yield failure(each)
        return
    known = {feed.name for feed in FEEDS}
    for name in sorted({section.name for section in loaded.feed} - known):
        yield failure(ConfigurationError(f'feed "{name}" cannot be read yet', "leave it out of the configuration"))
    yield ok(f"{len(loaded.feed)} feed entries, lake {loaded.lake.root}")


def python(_: Examination) -> Iterator[Finding]:
    """Whether this Python fits, and the packages that contactlake declares are there."""
    version = sys.version_info[:2]
    if not _PYTHONS[0] <= version <= _PYTHONS[1]:
        yield broken(f"Python {version[0]}.{version[1]}", "run contactlake with Python 3.11, 3.12 or 3.13")
    missing = [name for name in _requirements() if not _is_installed(name)]
    if missing:
        yield broken(
            f"not installed: {', '.join(missing)}",
            "install the wheel with its dependencies, all but pyspark on a platform that has it",
        )
    yield ok(f"{sys.version.split()[0]}, contactlake {__version__}, pyspark {pyspark.__version__}")


def _requirements() -> list[str]:
    try:
        required = metadata.requires("contactlake") or []
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return []
    names = (re.match(r"[\w.-]+", line) for line in required if "extra ==" not in line)
    return sorted(name.group() for name in names if name is not None and name.group() != "pyspark")


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def java(_: Examination) -> Iterator[Finding]:
    """Whether the Java that Spark will be started with is one that Spark runs on."""
    if os.environ.get("PYSPARK_GATEWAY_PORT"):
        yield ok("of the platform, see spark")
        return
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home) / "bin" / "java") if home else "java"
    remedy = "install a Java 17 runtime, or let JAVA_HOME name one"
    try:
        told = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as fault:
        yield broken(f"{program} does not run ({type(fault).__name__})", remedy)
        return
    version = re.search(r'version "([^"]+)"', told.stderr + told.stdout)
    if version is None:
        yield broken(f"{program} tells no version", remedy)
        return
    yield _java(version.group(1), program)


def _java(version: str, program: str) -> Finding:
    number = int(version.removeprefix("1.").partition(".")[0].partition("-")[0])
    if number < _JAVAS[0]:
        return broken(f"{version}, {program}", "install a Java 17 runtime, or let JAVA_HOME name one")
    if number > _JAVAS[1]:
        return Finding(Verdict.WARN, f"{version}, {program}: Spark {SPARK} is made for 17 and 21", "prefer Java 17")
    return ok(f"{version}, {program}")
