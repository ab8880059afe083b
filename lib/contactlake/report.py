"""What a lake has published, for the eyes: `contactlake summary`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from contactlake.business_dates import describe
from contactlake.config import Configuration
from contactlake.conform.dates import is_one_of
from contactlake.errors import ConfigurationError, StorageError
from contactlake.grids import average_clock, new_grid, print_drawn, share
from contactlake.history import PastRun
from contactlake.published import Published, open_published
from contactlake.tables.conformed import STATUSES
from contactlake.tables.gold import HANDLE_DAILY, QUEUE_DAILY, RECONCILIATION_DAILY, SERVICE_LEVEL_DAILY
from contactlake.tables.ops import INGEST_COUNT, PENDING_DATE, QUALITY_RESULT, QUARANTINE

_PLAIN_WIDTH = 100
"""Columns that are used where no terminal says how wide it is."""
_USUAL_DATES = 7
"""So many of the latest dates are shown where none are named."""
_MOST_DATES_ABREAST = 5
_MOST_THRESHOLDS = 3

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
    warnings: list[tuple[str, str]]
    """(expectation, what was observed) of the warnings of the last run that judged anything."""


def show(configuration: Configuration, first: date | None, last: date | None) -> None:
    """Prints the KPIs of the business dates from `first` to `last`, else of the latest ones.

    Raises `StorageError` where nothing is published yet or the lake cannot be reached, `ConfigurationError` where
    none of the dates asked for is.
    """
    published = open_published(configuration, "summary")
    figures = read(published, first, last)
    data_docs = configuration.quality.data_docs or f"{published.uri}/data_docs"
    print_drawn(lambda console: render(console, figures, published.uri, data_docs), _PLAIN_WIDTH)


# --- reading ---


def read(lake: Published, first: date | None, last: date | None) -> Figures:
    """The figures of the lake's last complete run."""
    queues, handled, levels, statuses = (
        lake.rows(table) for table in (QUEUE_DAILY, HANDLE_DAILY, SERVICE_LEVEL_DAILY, RECONCILIATION_DAILY)
    )
    published = _dates(queues, handled, statuses)
    pending = sorted(row["business_date"] for row in lake.rows(PENDING_DATE).collect())
    if not published:
        raise StorageError(
            f"{lake.uri} has published nothing yet ({len(pending)} dates are pending)",
            "run `contactlake measure`, or see ops/quality_result where the quality gate failed",
        )
    dates = published[-_USUAL_DATES:]
    if first is not None and last is not None:
        dates = [day for day in published if first <= day <= last]
        if not dates:
            raise ConfigurationError(
                f"--from {first} --to {last}: nothing is published there", f"the lake has {describe(published)}"
            )
    wanted = is_one_of(F.col("business_date"), dates)
    return Figures(
        run=lake.run,
        dates=dates,
        published=published,
        groups=_groups(queues.where(wanted), handled.where(wanted), levels.where(wanted)),
        service_levels=_service_levels(levels.where(wanted)),
        statuses={
            (row["status"], row["business_date"]): row["contacts"]
            for row in _sums(statuses.where(wanted), ["status", "business_date"], ["contacts"])
        },
        quarantined=_quarantined(lake.rows(QUARANTINE)),
        records=sum(row["records"] for row in lake.rows(INGEST_COUNT).select("records").collect()),
        pending=pending,
        warnings=_warnings(lake.rows(QUALITY_RESULT)),
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


def _warnings(results: DataFrame) -> list[tuple[str, str]]:
    unmet = F.when(F.expr("not is_success and severity = 'warning'"), F.struct("expectation", "observed"))
    runs = results.groupBy("run_id").agg(F.collect_list(unmet).alias("unmet"))
    last = runs.orderBy(F.desc("run_id")).first()
    return sorted((row["expectation"], row["observed"]) for row in last["unmet"]) if last is not None else []


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
    if figures.warnings:
        console.print("Warnings of the quality gate, see docs/operations.md:")
    for expectation, observed in figures.warnings:
        console.print(Padding(Text(f"{expectation}: {observed}", style="yellow"), (0, 0, 0, 2)))
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
            average_clock(counts["answer_wait_ms"], counts["answered"]),
            *(share(group.answered_within.get(seconds, 0), counts["offered"]) for seconds in thresholds),
        ]

    grid = new_grid(
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
        return [f"{handled}", *(average_clock(total, handled) for total in sums)]

    grid = new_grid(
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
    grid = new_grid(
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
            share(counts["removed_below"], offered),
            share(answered, offered),
            share(answered, offered - abandoned),
            share(answered + abandoned, offered),
        )
        previous = day
    return grid


def _status_grid(console: Console, figures: Figures) -> Grid:
    abreast = figures.dates if len(figures.dates) <= _MOST_DATES_ABREAST else []
    grid = new_grid(
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
            grid.add_row(status, *on_dates, f"{total}", share(total, everything))
    return grid


def _quarantine_grid(console: Console, figures: Figures) -> Grid:
    total = sum(records for _, _, records, _ in figures.quarantined)
    grid = new_grid(
        console,
        "Quarantine",
        f"{total} of {figures.records} records read so far ({share(total, figures.records)}).",
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
