"""What is wrong with an installation and its places: `contactlake doctor`.

Each check is a function that gives findings; a check that fails keeps none of the others from being made, unless there
is nothing left for it to look at. No lease is taken, and what is written is removed again.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from contactlake.doctor.engine import delta, executors, spark, time_zone
from contactlake.doctor.examination import (
    ENGINE,
    Examination,
    Finding,
    Unexamined,
    Verdict,
    broken,
    failure,
    first_line,
)
from contactlake.doctor.host import configuration, java, python
from contactlake.doctor.places import archive, clock, data_docs, lake, lock, no_new_folders
from contactlake.errors import ConfigurationError, ContactlakeError, StorageError

_log = logging.getLogger("contactlake.doctor")

CHECKS: tuple[tuple[str, Callable[[Examination], Iterator[Finding]]], ...] = (
    ("configuration", configuration),
    ("python", python),
    ("java", java),
    ("archive", archive),
    ("lake", lake),
    ("data docs", data_docs),
    ("clock", clock),
    ("lock", lock),
    ("spark", spark),
    ("executors", executors),
    ("delta", delta),
    ("time zone", time_zone),
)


def examine(file: Path | None, tell: Callable[[str], None] = print) -> int:
    """Makes every check and tells a line per finding, then what to do; returns the exit code.

    That is 0 where nothing failed, 2 for the configuration, 4 for a place, 1 for the engine, the first of these.
    """
    examination = Examination(file)
    remedies: list[str] = []
    codes: set[int] = set()
    with ExitStack() as left:
        for name, check in CHECKS:
            for finding in findings(examination, check):
                tell(f"{finding.verdict:<5} {name:<13} {_one_line(finding.found)}")
                if finding.verdict is Verdict.FAIL:
                    examination.failed.add(name)
                    codes.add(finding.exit_code)
                remedy = f"{name}: {_one_line(finding.remedy)}"
                if finding.remedy and remedy not in remedies:
                    remedies.append(remedy)
            if check is configuration and examination.configuration is not None:
                left.enter_context(no_new_folders(examination))
    tell("")
    tell("To do:" if remedies else "Nothing to do.")
    for remedy in remedies:
        tell(f"- {remedy}")
    return next((code for code in (ConfigurationError.exit_code, StorageError.exit_code, ENGINE) if code in codes), 0)


def findings(examination: Examination, check: Callable[[Examination], Iterator[Finding]]) -> Iterator[Finding]:
    """The check's findings; what it raises is one, too."""
    try:
        yield from check(examination)
    except Unexamined as reason:
        yield Finding(Verdict.SKIP, f"not looked at: {reason}")
    except ContactlakeError as fault:
        yield failure(fault)
    except Exception as fault:
        _log.exception("the check could not be made")
        yield broken(f"{type(fault).__name__}: {first_line(fault)}", "report the traceback on stderr")


def _one_line(text: str) -> str:
    return " ".join(text.split())
