"""The console command as a process of its own: in plain surroundings, and under way, watched and signalled."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import psutil

_PATIENCE_SECONDS = 60
_TESTS_OWN = ("SPARK", "PYSPARK", "AWS_", "CONTACTLAKE_")
_SOON_COMPILED = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
"""For a JVM that lives for seconds: the optimising compiler would take more time than it saves."""


def surroundings(**variables: str) -> dict[str, str]:
    """A user's environment: without what the tests need themselves, and with `variables`."""
    users = {name: value for name, value in os.environ.items() if not name.startswith(_TESTS_OWN)}
    return {**users, "AWS_EC2_METADATA_DISABLED": "true", "SPARK_SUBMIT_OPTS": _SOON_COMPILED, **variables}


class Command:
    """`contactlake daily`, with the settings that ship but for a compiler that starts sooner."""

    def __init__(self, config: Path, as_of: str) -> None:
        self._process = subprocess.Popen(
            [str(Path(sys.executable).with_name("contactlake")), "daily", "--config", str(config), "--as-of", as_of],
            env=surroundings(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes():
            process.kill()
        self.end()

    @property
    def pid(self) -> int:
        return self._process.pid

    def processes(self) -> list[psutil.Process]:
        """What is left of the command: itself, its JVM and their workers."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found

    def await_step(self, name: str) -> None:
        """Until the run has begun the step whose name begins so."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said += line
            if f"step: {name}" in line:
                return
        raise AssertionError(f"there was no step {name}:\n{self.said}")

    def signal_group(self, number: int) -> None:
        os.killpg(self.pid, number)

    def signal_driver(self, number: int) -> None:
        os.kill(self.pid, number)

    def end(self) -> int:
        """The exit code, or the negative number of the signal that ended it."""
        assert self._process.stderr is not None
        self.said += self._process.stderr.read()
        return self._process.wait()

    def kill(self) -> int:
        self.signal_group(signal.SIGKILL)
        return self.end()

    def is_gone(self) -> bool:
        """Whether no process is left of it, in a while."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True
