"""What a lake has published, for the eyes: `contactlake summary`. Reads only, and takes no lease.

Every table is read at the version that the last complete run recorded, so that the figures belong together whatever a
run under way is writing.
"""

import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812
from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from contactlake.archive.storage import S3Options, open_store
from contactlake.business_dates import describe
from contactlake.config import Configuration
from contactlake.errors import ConfigurationError, StorageError
from contactlake.history import PastRun, last_complete_run
from contactlake.session import get_session
from contactlake.store import MARKER, Lake
from contactlake.tables.conformed import STATUSES
from contactlake.tables.declaration import Table
from contactlake.tables.gold import HANDLE_DAILY, QUEUE_DAILY, RECONCILIATION_DAILY, SERVICE_LEVEL_DAILY
from contactlake.tables.ops import INGEST_COUNT, PENDING_DATE, QUARANTINE

"""At the root of every lake."""
_PLAIN_WIDTH = 100
"""Columns that are used where no terminal says how wide it is."""
_USUAL_DATES = 7
"""So many of the latest dates are shown where none are named."""
_MOST_DATES_ABREAST = 5
_MOST_THRESHOLDS = 3
_RULED = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""A line below the headings, and nothing else."""

Counts = dict[str, int]
"""Sums by their column in gold."""


@dataclass(frozen=True)
class Group:
    """What one queue and channel did on one date; `answered_within` is by threshold in seconds."""

    environment: str
    business_date: date
    queue: str
    channel: str
    counts: Counts
    answered_within: dict[int, int]


@dataclass(frozen=True)
class Figures:
    """Everything that is shown."""

    run: PastRun
    dates: list[date]
    published: list[date]
    groups: list[Group]
    service_levels: list[tuple[date, int, Counts]]
    """(date, threshold in seconds, sums over all queues)."""
    statuses: dict[tuple[str, date], int]
    quarantined: list[tuple[str, str, int, datetime]]
    """(feed, reason, records, latest arrival), of the whole lake."""
    records: int
    """Records read into the lake since its first run."""
    pending: list[date]


def show(configuration: Configuration, first: date | None, last: date | None) -> None:
    """Prints the KPIs of the business dates from `first` to `last`, else of the latest ones.

    Raises `StorageError` where nothing is published yet or the lake cannot be reached, `ConfigurationError` where
    none of the dates asked for is.
    """
    s3 = configuration.storage.s3
    root = open_store(configuration.lake.root, S3Options(s3.endpoint, s3.path_style, s3.region))
    if root.head(MARKER) is None:  # told before Spark is started for nothing
        raise _no_lake(root.uri)
    with _engine_chatter_on_stderr():
        lake = Lake(get_session(configuration, "summary"), root, configuration.lake.timezone)
    figures = read(lake, first, last)
    data_docs = configuration.quality.data_docs or f"{root.uri}/data_docs"
    if sys.stdout.isatty():
        render(Console(highlight=False), figures, root.uri, data_docs)
        return
    plain = Console(file=io.StringIO(), width=_PLAIN_WIDTH, highlight=False, record=True)
    render(plain, figures, root.uri, data_docs)
    print("\n".join(line.rstrip() for line in plain.export_text().splitlines()))


def _no_lake(uri: str) -> StorageError:
    return StorageError(
        f"{uri} holds no lake yet", "make one with `contactlake daily`, or mend lake.root in the configuration"
    )


@contextmanager
def _engine_chatter_on_stderr() -> Iterator[None]:
    """Starts the JVM with stderr in place of stdout, where its dependency resolver prints."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


# --- reading ---


def read(lake: Lake, first: date | None, last: date | None) -> Figures:
    """The figures of the lake's last complete run."""
    lake.check_marker()
    run = last_complete_run(lake)
    if run is None:
        raise _no_lake(lake.store.uri)

    def rows(table: Table) -> DataFrame:
        return lake.read(table, run.table_versions.get(table.path))

    queues, handled, levels, statuses = (
        rows(table) for table in (QUEUE_DAILY, HANDLE_DAILY, SERVICE_LEVEL_DAILY, RECONCILIATION_DAILY)
    )
    published = _dates(queues, handled, statuses)
    pending = sorted(row["business_date"] for row in rows(PENDING_DATE).collect())
    if not published:
        raise StorageError(
            f"{lake.store.uri} has published nothing yet ({len(pending)} dates are pending)",
            "run `contactlake measure`, or see ops/quality_result where the quality gate failed",
        )
    dates = published[-_USUAL_DATES:]
    if first is not None and last is not None:
        dates = [day for day in published if first <= day <= last]
        if not dates:
            raise ConfigurationError(
                f"--from {first} --to {last}: nothing is published there", f"the lake has {describe(published)}"
            )
    wanted = F.col("business_date").isin(dates)
    return Figures(
        run=run,
        dates=dates,
        published=published,
        groups=_groups(queues.where(wanted), handled.where(wanted), levels.where(wanted)),
        service_levels=_service_levels(levels.where(wanted)),
        statuses={
            (row["status"], row["business_date"]): row["contacts"]
            for row in _sums(statuses.where(wanted), ["status", "business_date"], ["contacts"])
        },
        quarantined=_quarantined(rows(QUARANTINE)),
        records=sum(row["records"] for row in rows(INGEST_COUNT).select("records").collect()),
        pending=pending,
    )


def _dates(*frames: DataFrame) -> list[date]:
    union = reduce(DataFrame.union, (frame.select("business_date") for frame in frames))
    return sorted(row["business_date"] for row in union.distinct().collect())


def _sums(rows: DataFrame, by: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any]]:
    return [row.asDict() for row in rows.groupBy(*by).agg(*(F.sum(name).alias(name) for name in columns)).collect()]


def _groups(queues: DataFrame, handled: DataFrame, levels: DataFrame) -> list[Group]:
    """Visits and handled work side by side, sources added up."""
    by = ("environment", "business_date", "queue", "channel")
    groups: dict[tuple[Any, ...], Group] = {}

    def group_of(row: Mapping[str, Any]) -> Group:
        environment, day, queue, channel = key = tuple(row[name] for name in by)
        return groups.setdefault(key, Group(environment, day, queue, channel, {}, {}))

    for frame, columns in (
        (queues, ("offered", "answered", "abandoned", "answer_wait_ms")),
        (handled, ("handled", "handle_ms", "focus_ms", "parked_ms", "wrap_ms")),
    ):
        for row in _sums(frame, by, columns):
            group_of(row).counts.update({name: row[name] for name in columns})
    for row in _sums(levels, (*by, "threshold_seconds"), ("answered_within",)):
        group_of(row).answered_within[row["threshold_seconds"]] = row["answered_within"]
    return [groups[key] for key in sorted(groups)]


def _service_levels(levels: DataFrame) -> list[tuple[date, int, Counts]]:
    columns = ("offered", "answered_within", "abandoned_within", "removed_below")
    rows = _sums(levels, ("business_date", "threshold_seconds"), columns)
    found = [(row["business_date"], row["threshold_seconds"], {name: row[name] for name in columns}) for row in rows]
    return sorted(found, key=lambda level: (level[0], level[1]))


def _quarantined(quarantine: DataFrame) -> list[tuple[str, str, int, datetime]]:
    rows = quarantine.groupBy("feed", "reason").agg(
        F.count(F.lit(1)).alias("records"), F.max("arrival_at").cast("string").alias("latest")
    )
    return sorted((row["feed"], row["reason"], row["records"], row["latest"]) for row in rows.collect())


# --- showing ---


def render(console: Console, figures: Figures, root: str, data_docs: str) -> None:
    """Prints `figures`: in colour on a terminal, else plain text of at most a hundred columns."""
    run = figures.run
    console.print(f"[bold]contactlake[/bold] {root}")
    console.print(f"Last complete run {run.run_id}, as of {run.as_of:%Y-%m-%d %H:%M} UTC.")
    shown, all_of_them = describe(figures.dates), describe(figures.published)
    console.print(f"Business dates {shown}" + ("." if shown == all_of_them else f" of {all_of_them}."))
    if figures.pending:
        console.print(f"Still pending: {describe(figures.pending)}; a later run publishes them anew.")
    for environment in sorted({group.environment for group in figures.groups}):
        groups = [group for group in figures.groups if group.environment == environment]
        _print(console, _queue_grid(console, environment, groups))
        _print(console, _handle_grid(console, environment, groups))
    _print(console, _level_grid(console, figures.service_levels))
    _print(console, _status_grid(console, figures))
    _print(console, _quarantine_grid(console, figures))
    _places(console, root, data_docs)


def _print(console: Console, grid: Grid | None) -> None:
    if grid is not None and grid.row_count:
        console.print()
        console.print(grid)


def _grid(console: Console, title: str, caption: str | None, *columns: str, words: int) -> Grid:
    """A table whose first `words` columns are words and the others figures."""
    grid = Grid(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        caption_style="dim",
        box=box.SIMPLE_HEAD if console.is_terminal else _RULED,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for number, name in enumerate(columns):
        is_word = number < words
        grid.add_column(name, justify="left" if is_word else "right", overflow="fold", no_wrap=not is_word)
    return grid


def _add_groups(grid: Grid, groups: Sequence[Group], figures: Callable[[Group], list[str]]) -> None:
    """Per date a heading, a row for each queue and channel, and one for all of them."""
    for day in sorted({group.business_date for group in groups}):
        on_day = [group for group in groups if group.business_date == day]
        grid.add_row(f"{day:%Y-%m-%d %a}", style="bold")
        for group in on_day:
            grid.add_row(Text(f"  {group.queue}"), Text(group.channel), *figures(group))
        if len(on_day) > 1:
            grid.add_row("  all queues", "", *figures(_whole(on_day)), style="bold")
        grid.add_section()


def _whole(groups: Sequence[Group]) -> Group:
    counts: Counts = {}
    within: dict[int, int] = {}
    for group in groups:
        for name, value in group.counts.items():
            counts[name] = counts.get(name, 0) + value
        for seconds, value in group.answered_within.items():
            within[seconds] = within.get(seconds, 0) + value
    return Group(groups[0].environment, groups[0].business_date, "", "", counts, within)


def _queue_grid(console: Console, environment: str, groups: Sequence[Group]) -> Grid:
    visited = [group for group in groups if group.counts.get("offered")]
    thresholds = sorted({seconds for group in visited for seconds in group.answered_within})[:_MOST_THRESHOLDS]

    def figures(group: Group) -> list[str]:
        counts = group.counts
        return [
            *(f"{counts[name]}" for name in ("offered", "answered", "abandoned")),
            _average(counts["answer_wait_ms"], counts["answered"]),
            *(_share(group.answered_within.get(seconds, 0), counts["offered"]) for seconds in thresholds),
        ]

    grid = _grid(
        console,
        f"Queues, {environment}",
        "Offered: answered, abandoned and diverted. ASA: average speed of answer.\n"
        "SL: answered within so many seconds / offered.",
        "queue",
        "channel",
        "offered",
        "answered",
        "abandoned",
        "ASA",
        *(f"SL {seconds}" for seconds in thresholds),
        words=2,
    )
    _add_groups(grid, visited, figures)
    return grid


def _handle_grid(console: Console, environment: str, groups: Sequence[Group]) -> Grid:
    def figures(group: Group) -> list[str]:
        handled = group.counts["handled"]
        sums = (group.counts[name] for name in ("handle_ms", "focus_ms", "parked_ms", "wrap_ms"))
        return [f"{handled}", *(_average(total, handled) for total in sums)]

    grid = _grid(
        console,
        f"Handled work, {environment}",
        "AHT: average handle time, with parked time and without it. Parked and wrap are averages too.",
        "queue",
        "channel",
        "handled",
        "AHT",
        "AHT without parked",
        "parked",
        "wrap",
        words=2,
    )
    _add_groups(grid, [group for group in groups if group.counts.get("handled")], figures)
    return grid


def _level_grid(console: Console, levels: Sequence[tuple[date, int, Counts]]) -> Grid:
    grid = _grid(
        console,
        "Service level of all queues, by definition",
        "Removed: Amazon Connect's console and API. Answered: its data lake. See docs/kpis.md.",
        "date",
        "within",
        "offered",
        "removed",
        "answered",
        "without abandoned",
        "abandoned met",
        words=1,
    )
    previous = None
    for day, seconds, counts in levels:
        if previous not in (None, day):
            grid.add_section()
        offered, answered, abandoned = counts["offered"], counts["answered_within"], counts["abandoned_within"]
        grid.add_row(
            "" if previous == day else f"{day:%Y-%m-%d %a}",
            f"{seconds} s",
            f"{offered}",
            _share(counts["removed_below"], offered),
            _share(answered, offered),
            _share(answered, offered - abandoned),
            _share(answered + abandoned, offered),
        )
        previous = day
    return grid


def _status_grid(console: Console, figures: Figures) -> Grid:
    abreast = figures.dates if len(figures.dates) <= _MOST_DATES_ABREAST else []
    grid = _grid(
        console,
        "Reconciliation of interactions with contacts",
        None,
        "status",
        *(f"{day}" for day in abreast),
        "all",
        "share",
        words=1,
    )
    everything = sum(figures.statuses.values())
    for status in STATUSES:
        total = sum(figures.statuses.get((status, day), 0) for day in figures.dates)
        if total:
            on_dates = [f"{figures.statuses.get((status, day), 0)}" for day in abreast]
            grid.add_row(status, *on_dates, f"{total}", _share(total, everything))
    return grid


def _quarantine_grid(console: Console, figures: Figures) -> Grid:
    total = sum(records for _, _, records, _ in figures.quarantined)
    grid = _grid(
        console,
        "Quarantine",
        f"{total} of {figures.records} records read so far ({_share(total, figures.records)}).",
        "feed",
        "reason",
        "records",
        "latest arrival, UTC",
        words=2,
    )
    for feed, reason, records, latest in figures.quarantined:
        grid.add_row(feed, reason, f"{records}", f"{latest}"[:16])
    return grid


def _places(console: Console, root: str, data_docs: str) -> None:
    console.print()
    for what, where in (
        ("Tables", f"{root}/{{silver,gold,ops}}/<table>, each a Delta table"),
        ("Data docs", f"{data_docs}/index.html"),
    ):
        console.print(Text(f"{what:10} {where}"), soft_wrap=True)


def _average(total_ms: int, count: int) -> str:
    """An average duration as m:ss or h:mm:ss."""
    if not count:
        return "-"
    minutes, seconds = divmod(round(total_ms / count / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "-"
