"""`make bench`: how long runs take beside what one would use instead, where the time goes, and how much memory.

Each part is a process of its own, measured from its start. Absolute seconds are of the machine at hand; what is worth
keeping are the ratios: to the DuckDB script beside this file (`duckdb_daily.py`), which does the main line's work
without quarantine, ledger, lock, gate or increments, and to a bare Spark session that reads one Delta table.
"""

import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table
from tests.faulty_s3 import FaultyS3
from tests.s3_server import ACCESS_KEY, SECRET_KEY, SeaweedFS

from contactlake.archive.storage import open_store

REPOSITORY = Path(__file__).parents[2]
_BUILD = REPOSITORY / "build"
PYTHON = sys.executable
COMMAND = str(Path(PYTHON).with_name("contactlake"))
RIVAL = str(Path(__file__).with_name("duckdb_daily.py"))
FIRST_DAY = date(2025, 3, 3)
_STEP = re.compile(r"INFO (?P<step>[a-z][^:]*): (?P<seconds>[0-9.]+) s$", re.MULTILINE)
_NUMBERS = re.compile(r" [0-9].*")
"""What differs between the names of one step: how many objects, which dates."""
_PLACE = re.compile(r"/lake/(?P<table>(silver|gold|ops)/[a-z_]+)")
_MASTER = re.compile(r"Starting Spark master at (spark://\S+)")

BARE = """
import sys
from pathlib import Path
from contactlake.config import load_configuration
from contactlake.launch import prepare
from contactlake.session import get_session
configuration = load_configuration(Path(sys.argv[1]))
prepare(configuration)
spark = get_session(configuration, "bench")
print(spark.read.format("delta").load(f"{configuration.lake.root}/gold/handle_daily").count())
"""

BUSY = """
import pyarrow, pyarrow.json
text = b'\\n'.join(b'{"id": "%d", "contact": {"number": %d, "queue": "abcdefgh"}}' % (n, n) for n in range(30_000))
options = pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1)
for _ in range(500):
    pyarrow.json.read_json(pyarrow.BufferReader(text), read_options=options)
"""
"""Keeps one core at work as decoding does, and shares nothing with others that do so."""


@dataclass
class Part:
    """One process: its wall time, the peak memory of it and its children together, how many of the machine's cores
    were busy meanwhile, by whomever, and its steps as it logged them."""

    name: str
    seconds: float
    peak_megabytes: float
    busy_cores: float
    steps: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Ratio:
    """One target of the bench: what was measured over what, and what it should be at most (or, `at_least`)."""

    letter: str
    what: str
    value: float
    target: float
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target


def _watch(process: psutil.Process, peak: list[int], ended: threading.Event) -> None:
    while not ended.wait(0.2):
        total = 0
        try:
            for member in (process, *process.children(recursive=True)):
                total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        peak[0] = max(peak[0], total)


def _busy_seconds() -> float:
    """What all cores together have worked since the machine was started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def measure(name: str, command: Sequence[str], **environment: str) -> Part:
    began, worked = time.perf_counter(), _busy_seconds()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as process:
        peak, ended = [0], threading.Event()
        watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peak, ended), daemon=True)
        watcher.start()
        _, errors = process.communicate()
        ended.set()
        watcher.join()
    if process.returncode:
        sys.exit(f"{name} ended with exit code {process.returncode}:\n{errors}")
    steps = {_NUMBERS.sub("", match["step"]): float(match["seconds"]) for match in _STEP.finditer(errors)}
    seconds = time.perf_counter() - began
    part = Part(name, seconds, peak[0] / 1e6, (_busy_seconds() - worked) / seconds, steps)
    told = f"{part.name}: {part.seconds:.1f} s, {part.peak_megabytes:.0f} MB, {part.busy_cores:.2f} cores"
    print(told, file=sys.stderr, flush=True)
    return part


def median(parts: Sequence[Part]) -> Part:
    """The part of the median time, with the median of each step and the greatest peak."""
    names = {name for part in parts for name in part.steps}
    return Part(
        parts[0].name,
        statistics.median(part.seconds for part in parts),
        max(part.peak_megabytes for part in parts),
        statistics.median(part.busy_cores for part in parts),
        {name: statistics.median(part.steps.get(name, 0.0) for part in parts) for name in sorted(names)},
    )


def quotient(parts: Sequence[Part], others: Sequence[Part]) -> float:
    """The median of what each of `parts` took to what the one made next to it took: spells may end between rounds."""
    return statistics.median(part.seconds / other.seconds for part, other in zip(parts, others, strict=True))


class Bench:
    """The archives, lakes and configurations below one folder."""

    def __init__(self, folder: Path, runs: int) -> None:
        self.folder, self.runs = folder, runs
        self.parts: list[Part] = []
        self.ratios: list[Ratio] = []

    def archive(self, name: str, *arguments: str) -> Path:
        """An invented archive, made once, and its configuration beside it."""
        path = self.folder / name
        if not path.exists():
            processes = ["--processes", f"{os.cpu_count()}"]
            measure(f"synthesize {name}", [COMMAND, "synthesize", "--out", str(path), *arguments, *processes])
        local = (REPOSITORY / "conf" / "local.toml").read_text(encoding="utf-8")
        config = local.replace("build/lake", f"{self.folder}/{name}-lake").replace("build/archive", str(path))
        (self.folder / f"{name}.toml").write_text(config, encoding="utf-8")
        return path

    def lake(self, name: str) -> Path:
        return self.folder / f"{name}-lake"

    def daily(self, title: str, name: str, as_of: date, **environment: str) -> Part:
        """`contactlake daily` as of six in the morning, UTC, of a date."""
        command = [COMMAND, "daily", "--config", str(self.folder / f"{name}.toml")]
        return measure(title, [*command, "--as-of", f"{as_of.isoformat()}T06:00:00Z"], **environment)

    def first_load(self, title: str, name: str, as_of: date, **environment: str) -> Part:
        shutil.rmtree(self.lake(name), ignore_errors=True)
        return self.daily(title, name, as_of, **environment)

    def in_turn(self, *runs: Callable[[], Part]) -> list[list[Part]]:
        """The parts of each of `runs`, made in turn, so that the machine's slow spells fall on all; keeps medians."""
        rounds = [[run() for run in runs] for _ in range(self.runs)]
        parts = [list(of_one) for of_one in zip(*rounds, strict=True)]
        for of_one in parts:
            self.kept(median(of_one))
        return parts

    def repeated(self, run: Callable[[], Part]) -> Part:
        (parts,) = self.in_turn(run)
        return median(parts)

    def kept(self, part: Part) -> Part:
        self.parts.append(part)
        return part


def raw_bytes(archive: Path) -> int:
    return sum(file.stat().st_size for file in archive.rglob("*") if file.is_file())


# --- the targets ---

_WEEK = ("--start", FIRST_DAY.isoformat(), "--days", "5", "--clean")
_WEEK_IS_OVER = FIRST_DAY + timedelta(days=6)


def _main_line(bench: Bench, gigabytes: float) -> str:
    """The name of an archive of so many raw gigabytes of interactions and contacts."""
    name = f"bulk-{gigabytes:g}"
    bench.archive(name, *_WEEK, "--types", "interactions,contacts", "--gigabytes", f"{gigabytes:g}")
    return name


def bulk(bench: Bench, gigabytes: float) -> None:
    """a, g and h: a first load of interactions and contacts, beside the rival's; and a tenth of it."""
    name, tenth = _main_line(bench, gigabytes), _main_line(bench, gigabytes / 10)

    def rival() -> Part:
        lake = bench.folder / "rival-lake"
        shutil.rmtree(lake, ignore_errors=True)
        arguments = [str(bench.folder / name), str(lake), "--as-of", f"{_WEEK_IS_OVER.isoformat()}T06:00:00Z"]
        return measure(f"DuckDB script, {gigabytes:g} GB", [PYTHON, RIVAL, *arguments])

    ours, rivals = bench.in_turn(
        lambda: bench.first_load(f"first load of {gigabytes:g} GB", name, _WEEK_IS_OVER), rival
    )
    our = median(ours)
    small = bench.repeated(lambda: bench.first_load(f"first load of {gigabytes / 10:g} GB", tenth, _WEEK_IS_OVER))
    bench.ratios += [
        Ratio("a", f"first load of {gigabytes:g} GB / DuckDB script", quotient(ours, rivals), 1.0),
        Ratio("g", "peak memory of it / of a tenth", our.peak_megabytes / small.peak_megabytes, 1.2),
        Ratio("h", "the gate's judging / that run", our.steps["judge"] / our.seconds, 0.1),
    ]


def every_type(bench: Bench, gigabytes: float) -> None:
    """b: the same with agent events, work codes, usage and transcripts; seconds per raw gigabyte."""
    name = f"all-{gigabytes:g}"
    archive = bench.archive(name, *_WEEK, "--gigabytes", f"{gigabytes:g}")
    part = bench.repeated(lambda: bench.first_load("first load of every record type", name, _WEEK_IS_OVER))
    stored = raw_bytes(archive) / 1e9
    bench.ratios.append(Ratio("b", "seconds per gigabyte as it is stored", part.seconds / stored, math.inf))


_LAST_DAY = date(2025, 3, 10)
_AGES = {"month": 30, "year": 365}
"""Lakes by age, in days: a day more is in their archives."""


def _grown(bench: Bench, name: str) -> Path:
    """The lake of that age, loaded once."""
    begin = _LAST_DAY - timedelta(days=_AGES[name])
    span = ["--start", begin.isoformat(), "--days", f"{_AGES[name] + 1}"]
    bench.archive(name, *span, "--agents", "12", "--seed", "7")
    before = bench.folder / f"{name}-lake-before"
    if not before.exists():
        bench.kept(bench.first_load(f"first load of a {name}", name, _LAST_DAY))
        shutil.copytree(bench.lake(name), before)
    return before


def growth(bench: Bench) -> None:
    """c: one more day on a lake of a year, beside one on a lake of a month."""

    def increment(name: str, before: Path) -> Part:
        shutil.rmtree(bench.lake(name), ignore_errors=True)
        shutil.copytree(before, bench.lake(name))
        return bench.daily(f"a day onto a {name}", name, _LAST_DAY + timedelta(days=1))

    month, year = bench.in_turn(*(partial(increment, name, _grown(bench, name)) for name in ("month", "year")))
    bench.ratios.append(Ratio("c", "a day onto a year / onto a month", quotient(year, month), 1.1))


def _asked(request: str) -> str:
    """What a request asks of which table: `GET silver/interaction`, or `GET silver/interaction log`."""
    method, _, address = request.partition(" ")
    place = _PLACE.search(address)
    if place is None:
        return f"{method} elsewhere"
    return f"{method} {place['table']}{' log' if '_delta_log' in address else ''}"


def requests(bench: Bench) -> None:
    """i: what one more day asks of S3 where the lake lies there, of a year beside of a month. The archive is local."""
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    os.environ |= keys
    found = {}
    with SeaweedFS() as server:
        for name in _AGES:
            before, bucket = _grown(bench, name), server.create_bucket(name)
            store = open_store(f"{bucket.uri}/lake", bucket.options)
            for file in before.rglob("*"):
                if file.is_file():
                    store.upload(file.relative_to(before).as_posix(), file)
            with FaultyS3(bucket) as proxy:
                local = (bench.folder / f"{name}.toml").read_text(encoding="utf-8")
                config = local.replace(str(bench.lake(name)), f"{bucket.uri}/lake")
                config += f'\n[storage.s3]\nendpoint = "{proxy.bucket.options.endpoint}"\n'
                config += 'path_style = true\nregion = "us-east-1"\n'
                (bench.folder / f"{name}-s3.toml").write_text(config, encoding="utf-8")
                bench.kept(bench.daily(f"a day onto a {name} on S3", f"{name}-s3", _LAST_DAY + timedelta(days=1)))
                asked = Counter(_asked(request) for request in proxy.requests())
            found[name] = asked.total()
            print(f"requests onto a {name}: {dict(asked.most_common(20))}", file=sys.stderr, flush=True)
    bench.ratios.append(
        Ratio("i", f"S3 requests onto a year ({found['year']}) / onto a month", found["year"] / found["month"], 1.1)
    )


def fixed_costs(bench: Bench) -> None:
    """d and e: nothing new, and one agent's day, beside a bare session."""
    bench.archive("day", "--start", FIRST_DAY.isoformat(), "--days", "2", "--agents", "5", "--seed", "7")
    first, second = FIRST_DAY + timedelta(days=1), FIRST_DAY + timedelta(days=2)
    before = bench.folder / "day-lake-before"
    if not before.exists():
        bench.kept(bench.first_load("first day", "day", first))
        shutil.copytree(bench.lake("day"), before)

    def increment() -> Part:
        shutil.rmtree(bench.lake("day"), ignore_errors=True)
        shutil.copytree(before, bench.lake("day"))
        return bench.daily("a few agents' day", "day", second)

    settled = second + timedelta(days=10)  # when no counterpart is awaited any more, and no session is open
    more, _, nothing, bare = bench.in_turn(
        increment,
        lambda: bench.daily("the same, settled", "day", settled),
        lambda: bench.daily("nothing new", "day", settled),
        lambda: measure("bare session, one table read", [PYTHON, "-c", BARE, str(bench.folder / "day.toml")]),
    )
    bench.ratios += [
        Ratio("d", "nothing new / bare session", quotient(nothing, bare), 3.0),
        Ratio("e", "a few agents' day / bare session", quotient(more, bare), 6.0),
    ]


def workers(bench: Bench, gigabytes: float) -> None:
    """f: a standalone cluster with one worker, then with two, each of one core; a plot of what growth costs."""
    sizes, took = (gigabytes / 10, gigabytes * 0.3, gigabytes), {}
    names = {size: _main_line(bench, size) for size in sizes}
    for number in (1, 2):
        with _cluster(bench.folder, number) as settings:
            for size, name in names.items():
                title, place = f"first load of {size:g} GB, {number} worker(s)", {"SPARK_CONF_DIR": str(settings)}
                took[number, size] = bench.repeated(partial(bench.first_load, title, name, _WEEK_IS_OVER, **place))
    at_once = statistics.median(_gain_of_two(number) for number in range(bench.runs))
    bench.ratios.append(
        Ratio("f", "one after the other / at once: two processes that share nothing", at_once, math.inf)
    )
    value = took[1, gigabytes].seconds / took[2, gigabytes].seconds
    bench.ratios.append(Ratio("f", f"one worker / two workers, {gigabytes:g} GB", value, 1.8, at_least=True))
    _plot({key: part.seconds for key, part in took.items()})


def _gain_of_two(number: int) -> float:
    """What the machine makes of its second core: no cluster's second worker can gain more."""
    alone = measure(f"a busy process, {number}", [PYTHON, "-c", BUSY]).seconds
    began = time.perf_counter()
    processes = [subprocess.Popen([PYTHON, "-c", BUSY]) for _ in range(2)]
    for process in processes:
        process.wait()
    return 2 * alone / (time.perf_counter() - began)


def _plot(seconds: Mapping[tuple[int, float], float]) -> None:
    """`build/bench.svg`: a first load's time by size, a line for each number of workers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for number in sorted({number for number, _ in seconds}):
        points = sorted((size, took) for (of, size), took in seconds.items() if of == number)
        axes.plot(*zip(*points, strict=True), marker="o", label=f"{number} worker{'s'[: number - 1]} of one core")
    axes.set(xlabel="raw gigabytes", ylabel="seconds", xlim=(0, None), ylim=(0, None), title="First load")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(_BUILD / "bench.svg", metadata={"Date": None})


def _bind(worker: int) -> None:
    """Keeps this process and its children on one core, where the system can: what Spark calls a worker's cores bounds
    its tasks alone, not the compilers, the collector and the Python process beside each of them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[worker]})


@contextmanager
def _cluster(folder: Path, number: int) -> Iterator[Path]:
    """A standalone cluster of `number` workers; gives a folder of settings that name its master."""
    import pyspark

    home = Path(pyspark.__file__).parent
    start = [str(home / "bin" / "spark-class")]
    environment = {**os.environ, "SPARK_HOME": str(home), "PYSPARK_PYTHON": PYTHON}
    processes: list[subprocess.Popen[str]] = []

    def launch(name: str, *arguments: str, bind: Callable[[], None] | None = None) -> Path:
        log = folder / f"{name}.log"
        with log.open("w") as errors:
            command = [*start, *arguments]
            processes.append(
                subprocess.Popen(command, stdout=errors, stderr=errors, text=True, env=environment, preexec_fn=bind)
            )
        return log

    try:
        package = "org.apache.spark.deploy"
        log = launch("master", f"{package}.master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        deadline = time.monotonic() + 60
        while not (match := _MASTER.search(log.read_text(encoding="utf-8"))):
            if time.monotonic() > deadline:
                sys.exit(f"no Spark master came up: {log}")
            time.sleep(0.5)
        for worker in range(number):
            work = str(folder / f"worker-{worker}")
            place = ["--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "4g", "--work-dir", work]
            launch(f"worker-{worker}", f"{package}.worker.Worker", *place, match[1], bind=partial(_bind, worker))
        settings = folder / "cluster-conf"
        shutil.rmtree(settings, ignore_errors=True)
        shutil.copytree(REPOSITORY / "conf", settings)
        defaults = settings / "spark-defaults.conf"
        lines = defaults.read_text(encoding="utf-8").replace("local[*]", match[1])
        cluster = {"executor.memory": "3g", "executor.cores": "1", "cores.max": f"{number}", "driver.host": "127.0.0.1"}
        lines += "".join(f"spark.{key} {value}\n" for key, value in cluster.items())
        defaults.write_text(lines, encoding="utf-8")
        yield settings
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


# --- the report ---


def report(bench: Bench) -> None:
    table = Table(title="What was run, and the ratios that are worth keeping", title_justify="left")
    for heading in ("", "what", "seconds", "peak MB", "cores", "ratio", "target"):
        table.add_column(heading, justify="left" if heading in ("", "what") else "right")
    for part in bench.parts:
        table.add_row("", part.name, f"{part.seconds:.1f}", f"{part.peak_megabytes:.0f}", f"{part.busy_cores:.2f}")
        for step, seconds in part.steps.items():
            table.add_row("", f"  {step}", f"{seconds:.1f}")
    table.add_section()
    for ratio in sorted(bench.ratios, key=lambda ratio: ratio.letter):
        target = "" if ratio.target == math.inf else f"{'≥' if ratio.at_least else '≤'} {ratio.target:g}"
        missed = "" if ratio.is_met else " (not met)"
        table.add_row(ratio.letter, ratio.what, "", "", "", f"{ratio.value:.2f}", target + missed)
    Console().print(table)
    told = {
        "machine": {
            "cores": os.cpu_count(),
            "memory_gigabytes": round(psutil.virtual_memory().total / 1e9, 1),
            "python": sys.version.split()[0],
        },
        "runs": bench.runs,
        "ratios": [{"target": ratio.letter, "what": ratio.what, "value": ratio.value} for ratio in bench.ratios],
        "parts": [asdict(part) for part in bench.parts],
    }
    (_BUILD / "bench.json").write_text(json.dumps(told, indent=2), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of the bulk archive, raw (default 1)")
    parser.add_argument("--runs", type=int, default=1, help="of each part; medians are kept (default 1)")
    parser.add_argument("--only", default="abcdefi", help="which targets, by their letters (g and h come with a)")
    parser.add_argument("--folder", type=Path, default=_BUILD / "bench", help="kept between calls")
    arguments = parser.parse_args()
    _BUILD.mkdir(exist_ok=True)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(arguments.folder.resolve(), arguments.runs)
    wanted = set(arguments.only)
    if wanted & set("agh"):
        bulk(bench, arguments.gigabytes)
    if "b" in wanted:
        every_type(bench, arguments.gigabytes)
    if "c" in wanted:
        growth(bench)
    if wanted & set("de"):
        fixed_costs(bench)
    if "i" in wanted:
        requests(bench)
    if "f" in wanted:
        workers(bench, arguments.gigabytes)
    report(bench)


if __name__ == "__main__":
    main()
