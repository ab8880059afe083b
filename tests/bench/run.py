"""`make bench`: where the time of a run goes, and how much memory it takes at most.

Each part is a process of its own, measured from its start. Absolute seconds are of the machine at hand; what is worth
keeping are the ratios to a bare Spark session that reads one Delta table.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).with_name("contactlake"))
_STEP = re.compile(r"INFO (?P<step>[a-z][^:]*): (?P<seconds>[0-9.]+) s$", re.MULTILINE)

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


@dataclass
class Part:
    """One process: its wall time, the peak memory of it and its children together, and its steps as it logged them."""

    name: str
    seconds: float
    peak_megabytes: float
    steps: list[tuple[str, float]] = field(default_factory=list)


def _watch(process: psutil.Process, peak: list[int], ended: threading.Event) -> None:
    while not ended.wait(0.1):
        total = 0
        try:
            for member in (process, *process.children(recursive=True)):
                total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        peak[0] = max(peak[0], total)


def measure(name: str, command: Sequence[str]) -> Part:
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        peak, ended = [0], threading.Event()
        watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peak, ended), daemon=True)
        watcher.start()
        _, errors = process.communicate()
        ended.set()
        watcher.join()
    if process.returncode:
        sys.exit(f"{name} ended with exit code {process.returncode}:\n{errors}")
    steps = [(match["step"], float(match["seconds"])) for match in _STEP.finditer(errors)]
    return Part(name, time.perf_counter() - began, peak[0] / 1e6, steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--agents", type=int, default=12)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build" / "bench")
    arguments = parser.parse_args()
    folder = arguments.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = folder / "bench.toml"
    local = (REPOSITORY / "conf" / "local.toml").read_text(encoding="utf-8")
    config.write_text(
        local.replace("build/lake", f"{folder}/lake").replace("build/archive", f"{folder}/archive"), encoding="utf-8"
    )
    span = ["--start", "2025-03-04", "--days", f"{arguments.days}", "--agents", f"{arguments.agents}", "--seed", "7"]
    daily = [COMMAND, "daily", "--config", str(config), "--as-of", "2025-12-01T00:00:00Z"]
    parts = [
        measure("synthesize", [COMMAND, "synthesize", "--out", str(folder / "archive"), *span]),
        measure("first daily run", daily),
        measure("run with nothing new", daily),
        measure("bare session, one table read", [sys.executable, "-c", BARE, str(config)]),
        measure("summary", [COMMAND, "summary", "--config", str(config)]),
    ]
    raw = sum(file.stat().st_size for file in (folder / "archive").rglob("*") if file.is_file())
    _print(parts, raw)
    report = REPOSITORY / "build" / "bench.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(
        json.dumps({"archive_bytes": raw, "parts": [asdict(part) for part in parts]}, indent=2), encoding="utf-8"
    )


def _print(parts: Sequence[Part], raw: int) -> None:
    bare = next(part.seconds for part in parts if part.name.startswith("bare"))
    table = Table(title=f"{raw / 1e6:.1f} MB of archive", title_justify="left")
    for heading in ("part", "seconds", "x bare session", "peak MB"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for part in parts:
        table.add_row(part.name, f"{part.seconds:.1f}", f"{part.seconds / bare:.2f}", f"{part.peak_megabytes:.0f}")
        for step, seconds in part.steps:
            table.add_row(f"  {step}", f"{seconds:.1f}", f"{seconds / bare:.2f}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
