"""The command line: arguments, exit codes, progress and the run summary."""

import argparse
import json
import logging
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from itertools import chain
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from rich.console import Console

from contactlake import __version__, doctor, interruption, report, synthesize
from contactlake.config import load_configuration
from contactlake.errors import ConfigurationError, ContactlakeError, GateFailed
from contactlake.expire import expire
from contactlake.forget import customers_named, forget
from contactlake.launch import prepare
from contactlake.maintain import maintain
from contactlake.request import JOBS, Request
from contactlake.run import run_job
from contactlake.session import end_engine
from contactlake.show import Format, show, wanted
from contactlake.spark_faults import refusal_of
from contactlake.tenure import Progress

log = logging.getLogger("contactlake")

DEFECT = 1
"""The exit code of a defect or an engine's failure."""

_DESCRIPTIONS = {
    "ingest": "read the archive into the silver event tables",
    "reconcile": "recompute the conformed tables of pending dates",
    "measure": "compute KPIs, judge them and publish gold",
    "daily": "ingest, reconcile and measure: what a scheduler calls",
}
_EXAMINES = "examine Java, Spark, Delta, the configuration, the archive, the lake and its lock; nothing is left behind"


class _Parser(argparse.ArgumentParser):
    """Argument errors are `ConfigurationError`s: one line on stderr, exit code 2."""

    def error(self, message: str) -> "None":  # type: ignore[override]
        raise ConfigurationError(message, f"see {self.prog} --help")


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 instant such as 2025-03-03T06:00:00Z") from None
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no zone, give one such as 2025-03-03T06:00:00Z")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text!r} lies outside of the years 1 to 9999 in UTC") from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2025-03-01") from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _add_config_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="the TOML configuration (CONTACTLAKE_CONFIG)")


def add_job_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="the TOML configuration (CONTACTLAKE_CONFIG)")
    parser.add_argument("--as-of", type=_instant, metavar="INSTANT", help="the run's clock, ISO 8601 with zone (now)")
    parser.add_argument("--from", dest="first", type=_date, metavar="D", help="first business date to recompute")
    parser.add_argument("--to", dest="last", type=_date, metavar="D", help="last business date to recompute")
    parser.add_argument("--full", action="store_true", help="list the whole archive, not only the window")
    parser.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="EXPECTATION",
        help="publish although this critical expectation fails; may be repeated",
    )


def _range(arguments: argparse.Namespace) -> tuple[date | None, date | None]:
    first, last = arguments.first, arguments.last
    if (first is None) != (last is None):
        raise ConfigurationError("--from and --to go together", "give both or neither")
    if first is not None and first > last:
        raise ConfigurationError(f"--from {first} is after --to {last}", "give the earlier date first")
    return first, last


def _request(job: str, arguments: argparse.Namespace) -> Request:
    first, last = _range(arguments)
    return Request(job, arguments.as_of or datetime.now(UTC), first, last, arguments.full, tuple(arguments.accept))


@contextmanager
def _progress() -> Iterator[Progress]:
    """A line that moves on a terminal; without one, plain log lines."""
    console = Console(stderr=True)
    logging.basicConfig(
        level=logging.WARNING if console.is_terminal else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    logging.getLogger("py4j").setLevel(logging.WARNING)
    if not console.is_terminal:
        yield lambda step: log.info("step: %s", step)
        return
    with console.status("starting") as status, interruption.when_interrupted(status.stop):
        yield lambda step: status.update(step)


@contextmanager
def _at_work() -> Iterator[Progress]:
    """Around what holds the lake: its progress is shown, and it ends at once when it is told to."""
    with interruption.heeded(), interruption.when_interrupted(end_engine), _progress() as progress:
        yield progress


def _run(job: str, arguments: argparse.Namespace) -> int:
    request = _request(job, arguments)
    configuration = load_configuration(arguments.config)
    prepare(configuration)
    with _at_work() as progress:
        summary = run_job(configuration, request, progress)
    if summary.failed_expectations:
        print(GateFailed(tuple(summary.failed_expectations)), file=sys.stderr)
    print(summary.as_json(), flush=True)
    return GateFailed.exit_code if summary.failed_expectations else 0


def _guarded(action: Callable[[], int]) -> int:
    """The one place where errors become exit codes."""
    try:
        return action()
    except ContactlakeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except (PySparkException, Py4JJavaError) as fault:
        refusal = refusal_of(fault)
        if refusal is not None:
            print(refusal, file=sys.stderr)
            return refusal.exit_code
        traceback.print_exc()
        return DEFECT
    except KeyboardInterrupt:  # of a command that writes nothing, or before anything was begun
        return 128 + signal.SIGINT
    except Exception:  # the last resort: whatever is left is a defect
        traceback.print_exc()
        return DEFECT


def parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="contactlake", description="Batch analytics over a contact centre's S3 archives.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for job in JOBS:
        add_job_arguments(commands.add_parser(job, help=_DESCRIPTIONS[job], description=_DESCRIPTIONS[job]))
    words = "show the published KPIs of a lake; nothing is written"
    shown = commands.add_parser("summary", help=words, description=words)
    shown.add_argument("--config", type=Path, metavar="FILE", help="the TOML configuration (CONTACTLAKE_CONFIG)")
    shown.add_argument("--from", dest="first", type=_date, metavar="D", help="first business date (the last seven)")
    shown.add_argument("--to", dest="last", type=_date, metavar="D", help="last business date")
    words = "show a KPI table, as it is or rolled up over days and dimensions; nothing is written to the lake"
    _add_show_arguments(commands.add_parser("show", help=words, description=words))
    _add_care_commands(commands)
    _add_config_argument(commands.add_parser("doctor", help=_EXAMINES, description=_EXAMINES))
    words = "write an invented contact centre's archive, to try things on"
    synthesize.add_arguments(commands.add_parser("synthesize", help=words, description=words))
    return parser


_CARE = {
    "forget": "erase customers from the lake, and keep them out of it",
    "expire": "delete the rows that are older than [retention] lets them be",
    "maintain": "compact small files, remove files and log entries that nothing needs any more",
}


def _add_care_commands(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parsers = {name: commands.add_parser(name, help=words, description=words) for name, words in _CARE.items()}
    for parser in parsers.values():
        parser.add_argument("--config", type=Path, metavar="FILE", help="the TOML configuration (CONTACTLAKE_CONFIG)")
    parsers["forget"].add_argument(
        "--customer",
        action="append",
        default=[],
        metavar="VALUE",
        help="a number, name or address of the customer; may be repeated, and is seen by whoever sees processes",
    )
    parsers["forget"].add_argument("--file", metavar="F", help="a file with one such value a line; - is stdin")
    words = "the clock that ages are told by, ISO 8601 with zone (now)"
    parsers["expire"].add_argument("--as-of", type=_instant, metavar="INSTANT", help=words)


def _add_show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="a gold table, such as queue_daily")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the TOML configuration (CONTACTLAKE_CONFIG)")
    parser.add_argument("--from", dest="first", type=_date, metavar="D", help="first business date (all)")
    parser.add_argument("--to", dest="last", type=_date, metavar="D", help="last business date")
    parser.add_argument(
        "--by",
        action="append",
        default=[],
        type=_names,
        metavar="NAME",
        help="what to keep apart: day, week, month or total, and dimensions of the table; comma-separated, may be"
        " repeated (the table's own rows)",
    )
    parser.add_argument(
        "--format", choices=[form.value for form in Format], default=Format.TABLE.value, help="the form (table)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write it (stdout)")


def main(argv: Sequence[str] | None = None) -> int:
    """The console command; returns its exit code."""
    return _guarded(lambda: _dispatch(_parsed(sys.argv[1:] if argv is None else argv)))


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments. What is wrong with those of `forget` is not told where a customer's value would be."""
    try:
        return parser().parse_args(argv)
    except ConfigurationError as error:
        told = {word for word in argv if word not in ("forget", "--customer", "--file", "--config") and word.strip("-")}
        if "forget" in argv and any(word in error.problem for word in told):
            raise ConfigurationError(
                "the arguments of forget are wrong; they are not shown, as one may name a customer",
                "see contactlake forget --help, and quote a value that holds spaces",
            ) from None
        raise


def _dispatch(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "summary":
            return _summary(arguments)
        case "show":
            return _show(arguments)
        case "doctor":
            return _doctor(arguments)
        case "synthesize":
            print(synthesize.run(arguments).to_json(), flush=True)
            return 0
        case "forget" | "expire" | "maintain":
            return _care(arguments)
        case job:
            return _run(job, arguments)


def _care(arguments: argparse.Namespace) -> int:
    customers = customers_named(arguments.customer, arguments.file) if arguments.command == "forget" else []
    configuration = load_configuration(arguments.config)
    prepare(configuration)
    with _at_work() as progress:
        match arguments.command:
            case "forget":
                summary = forget(configuration, customers, progress)
            case "expire":
                summary = expire(configuration, arguments.as_of or datetime.now(UTC), progress)
            case _:
                summary = maintain(configuration, progress)
    print(json.dumps(summary), flush=True)
    return 0


def _summary(arguments: argparse.Namespace) -> int:
    first, last = _range(arguments)
    configuration = load_configuration(arguments.config)
    prepare(configuration)
    report.show(configuration, first, last)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    return doctor.examine(arguments.config, partial(print, flush=True))


def _show(arguments: argparse.Namespace) -> int:
    first, last = _range(arguments)
    by = chain.from_iterable(arguments.by)
    asked = wanted(arguments.table, by, first, last, Format(arguments.format), arguments.output)
    configuration = load_configuration(arguments.config)
    prepare(configuration)
    show(configuration, asked)
    return 0


def run_job_command(job: str, argv: Sequence[str] | None = None) -> int:
    """One of the jobs under spark-submit; returns its exit code."""
    parser = _Parser(prog=f"{job}.py", description=_DESCRIPTIONS[job])
    add_job_arguments(parser)
    return _guarded(lambda: _run(job, parser.parse_args(argv)))


def doctor_command(argv: Sequence[str] | None = None) -> int:
    """The examination under spark-submit, of the platform's own Spark; returns its exit code."""
    parser = _Parser(prog="doctor.py", description=_EXAMINES)
    _add_config_argument(parser)
    return _guarded(lambda: _doctor(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
