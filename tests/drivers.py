"""Drivers that are processes of their own, and are killed or stopped at a named point of their run.

A driver is a whole run of the command, forked from a process that has its modules at hand; it uses the JVM of the
tests' session. So it starts in a fraction of a second, and when it dies, its JVM lives on and finishes what the driver
had it do: as hard a case as a dead driver's cluster.

The points of a run are its steps, and the moments before and after each change of the lake: `step: publish`,
`before commit gold/handle_daily`, `after upload data_docs`.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from contactlake import cli, tenure
from contactlake.archive.directory_store import DirectoryStore
from contactlake.archive.s3_store import S3Store
from contactlake.config import load_configuration
from contactlake.delta_log import DeltaLog

_PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Ended:
    """How a driver ended: `code` is its exit code, or the negative number of the signal that ended it."""

    code: int
    log: str
    points: tuple[str, ...]
    """Where it came by, in order."""


class Driver:
    """A run under way."""

    def __init__(self, drivers: "Drivers", pid: int, log: Path) -> None:
        self._drivers, self.pid, self._log = drivers, pid, log

    @property
    def state(self) -> str:
        """As the system tells it: T is stopped, Z has ended."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def await_stop(self) -> None:
        """Until the driver has stopped itself."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.state != "T":
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)

    def wait(self) -> Ended:
        code = self._drivers.wait(self.pid)
        log = self._log.read_text()
        points = tuple(line.removeprefix("point: ") for line in log.splitlines() if line.startswith("point: "))
        return Ended(code, log, points)


def first_to_end(drivers: Sequence[Driver]) -> Driver:
    """The first of them whose process has ended."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for driver in drivers:
            if driver.state == "Z":
                return driver
        time.sleep(0.02)
    raise AssertionError("none of the drivers ends")


class Drivers:
    """The process that drivers are forked from."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        gateway = spark.sparkContext._gateway
        assert gateway is not None
        self._folder, self._count = folder, 0
        self._running: set[int] = set()
        self._jvm: Any = spark._jvm
        self._bindings: Any = gateway.java_gateway_server.getGateway().getBindings()
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.drivers import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "PYSPARK_GATEWAY_PORT": str(gateway.gateway_parameters.port),
                "PYSPARK_GATEWAY_SECRET": str(gateway.gateway_parameters.auth_token),
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in list(self._running):  # a test that failed has left it asleep
            os.kill(pid, signal.SIGKILL)
            self.wait(pid)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def wait(self, pid: int) -> int:
        """The exit code of a driver, or the negative number of the signal that ended it."""
        status: int = self.ask({"wait": pid})["status"]
        self._running.discard(pid)
        return os.waitstatus_to_exitcode(status)

    def ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(question)}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(
        self, config: Path, as_of: str, at: str | None = None, by: int = signal.SIGKILL, delay: float = 0
    ) -> Driver:
        """A run of `daily`, which sends itself the signal `by` at the point `at`, or `delay` seconds later."""
        self._count += 1
        log = self._folder / f"driver-{self._count}.log"
        command = ["daily", "--config", str(config), "--as-of", as_of]
        answer = self.ask({"command": command, "log": str(log), "at": at, "by": int(by), "delay": delay})
        self._running.add(answer["pid"])
        return Driver(self, answer["pid"], log)

    def run(self, config: Path, as_of: str, at: str | None = None, delay: float = 0) -> Ended:
        is_alone = not self._running
        before = self._jvm.java.util.HashSet(self._bindings.keySet())
        ended = self.start(config, as_of, at, delay=delay).wait()
        if is_alone:  # it ended without letting go of what it held in the JVM
            self._bindings.keySet().retainAll(before)
        return ended


# --- in the process that drivers are forked from ---


def serve() -> None:
    """Answers requests, a line of JSON each, until there are no more."""
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = {"status": os.waitpid(request["wait"], 0)[1]}
        else:
            pid = os.fork()
            if pid == 0:
                _drive(request)
            answer = {"pid": pid}
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


def _drive(request: dict[str, Any]) -> None:
    code = 70
    try:
        os.setsid()
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for standard in (1, 2):
            os.dup2(log, standard)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        _watch(request["at"], request["by"], request["delay"])
        _join_engine(Path(request["command"][2]))
        code = cli.main(request["command"])
        sys.stdout.flush()
    finally:
        os._exit(code)  # the engine is not its own, and goes on


def _join_engine(config: Path) -> None:
    """A session of its own in the JVM that is there."""
    gateway = launch_gateway()  # type: ignore[no-untyped-call]
    jvm: Any = gateway.jvm
    jsc = jvm.org.apache.spark.api.java.JavaSparkContext.fromSparkContext(
        jvm.org.apache.spark.SparkContext.getOrCreate()
    )
    context = SparkContext(conf=SparkConf(_jconf=jsc.getConf()), gateway=gateway, jsc=jsc)
    session = SparkSession(
        context, jvm.org.apache.spark.sql.classic.SparkSession.getDefaultSession().get().newSession()
    )
    s3 = load_configuration(config).storage.s3
    if s3.endpoint:
        session.conf.set("fs.s3a.endpoint", s3.endpoint)
        session.conf.set("fs.s3a.path.style.access", "true")
        session.conf.set("fs.s3a.endpoint.region", s3.region or "us-east-1")


def _watch(at: str | None, by: int, delay: float) -> None:
    """Has the process say at which point it is, and send itself the signal `by` at the point `at` or `delay` later."""
    lock = threading.Lock()
    has_struck = False

    def pass_by(point: str) -> None:
        nonlocal has_struck
        with lock:
            os.write(2, f"point: {point}\n".encode())
            if point == at and not has_struck:
                has_struck = True
                if delay:
                    threading.Timer(delay, os.kill, (os.getpid(), by)).start()
                else:
                    os.kill(os.getpid(), by)

    def watch(owner: Any, method: str, name: Callable[..., str | None]) -> None:
        original = getattr(owner, method)

        def watched(self: Any, *arguments: Any, **options: Any) -> Any:
            named = name(self, *arguments)
            if named is None:
                return original(self, *arguments, **options)
            pass_by(f"before {named}")
            answer = original(self, *arguments, **options)
            pass_by(f"after {named}")
            return answer

        setattr(owner, method, watched)

    def of_commit(log: Any, added: Sequence[Any], removed: Sequence[Any], _: int) -> str:
        return f"{'commit' if added or removed else 'fence'} {log._path}"

    watch(DeltaLog, "commit", of_commit)
    watch(DeltaLog, "restore", lambda log, *_: f"restore {log._path}")
    for store in (DirectoryStore, S3Store):
        for method in ("write", "create", "upload", "delete_prefix"):
            watch(store, method, lambda self, key, *_, method=method: _place(self.uri, method, key))

    told = vars(tenure)["_told"]

    @contextmanager
    def watched_step(record: Any, progress: Any, name: str) -> Iterator[None]:
        with told(record, progress, name):
            pass_by(f"step: {name}")
            yield

    vars(tenure)["_told"] = watched_step


def _place(uri: str, method: str, key: str) -> str | None:
    """A change of the store by its table or folder; renewals come when they come."""
    if key.startswith("_lease/"):
        return None if method == "write" else f"{method} _lease"
    if "/_delta_log/" in key:
        return f"{method} {key.partition('/_delta_log/')[0]}"
    if uri.endswith("data_docs"):
        return f"{method} data_docs"
    if key.startswith(("_", "data_docs")):
        return f"{method} {key.partition('/')[0]}"
    return f"{method} a file of {'/'.join(key.split('/')[:2])}"
