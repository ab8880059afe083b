"""The measure step: write, audit, publish. Gold candidates are computed, judged, and only then put in place."""

import getpass
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812

from contactlake.archive.storage import ObjectStore
from contactlake.business_dates import date_end, shifted, spans
from contactlake.concurrency import both, concurrently
from contactlake.conform.agent_time import SESSION, session_events
from contactlake.conform.dates import business_date, is_one_of
from contactlake.conform.interactions import handle_ms
from contactlake.conforming import Told
from contactlake.errors import ConfigurationError
from contactlake.evidence import Evidence
from contactlake.freshness import Watch, freshness
from contactlake.joins import brought, computed, hash_of
from contactlake.kpi import KPIS
from contactlake.kpi.conformed import Conformed
from contactlake.pruning import Around
from contactlake.quality import figures
from contactlake.quality.audit import Audited, audit
from contactlake.quality.gate import Limit, Result, judge
from contactlake.quality.rules import KEY_RULE, balance_name, expectation_name, row_rules
from contactlake.store import Lake, Replacement
from contactlake.tables.conformed import (
    AGENT,
    AGENT_STATE,
    CONFORMED_TABLES,
    CONVERSATION,
    DISPOSITION,
    INTERACTION,
    QUEUE_VISIT,
    RECONCILIATION,
)
from contactlake.tables.declaration import BUSINESS_DATE, Severity, Table
from contactlake.tables.events import CONNECT_CONTACT, SYMBEE_INTERACTION, SYMBEE_TRANSCRIPT
from contactlake.tables.gold import GOLD_TABLES, RECONCILIATION_DAILY
from contactlake.tables.ops import COUNTS, INGEST_COUNT, QUALITY_RESULT, RUN

_JUDGED_FROM_RECORDS = 100
"""The quarantined share is judged from this many records on."""
_QUARANTINED_SHARE = "quarantined_share"
_MISSING_SHARE = "missing_share"
_BEYOND_SPAN = "contacts_beyond_span"


@dataclass(frozen=True)
class GateRules:
    """What the gate is told besides the tables: `[quality]`, the clock, and what the user accepts."""

    as_of: datetime
    timezone: str
    grace_hours: int
    tolerance_ms: int
    max_quarantined_share: float
    max_missing_share: float
    accepted: Collection[str]
    watch: Watch


def known_expectations(feeds: Collection[str]) -> set[str]:
    """Every name that `--accept` may take."""
    names = {_limit_name(feed) for feed in feeds}
    for table in (*GOLD_TABLES, *_JUDGED):
        names.add(expectation_name(table, KEY_RULE))
        names |= {rule.expectation for rule in row_rules(table)}
        names |= {expectation_name(table, balance_name(balance)) for balance in table.balances}
    names |= {f"{INGEST_COUNT.name}.{_CONSERVATION}"}
    names |= {f"{table.name}.{name}" for name, (table, _, _) in _FIGURES.items()}
    return names


_CONSERVATION = "records_are_conserved"


def _limit_name(feed: str) -> str:
    return f"{INGEST_COUNT.name}.{_QUARANTINED_SHARE}_{feed}"


def check_accepted(accepted: Collection[str], feeds: Collection[str]) -> None:
    """Raises `ConfigurationError` for a name that no expectation has."""
    for name in accepted:
        if name not in known_expectations(feeds):
            raise ConfigurationError(
                f"--accept {name}: there is no such expectation", "take a name that a failed gate has named"
            )


@dataclass(frozen=True)
class MeasureOptions:
    """`[service_level]` and `[usage]`."""

    thresholds_seconds: tuple[int, ...]
    heartbeat_timeout_minutes: int


@dataclass(frozen=True)
class Candidates:
    """What is about to be published for `dates`: gold rows per table, and the conformed rows that they are computed
    from."""

    dates: Sequence[date]
    gold: Mapping[Table, DataFrame]
    conformed: Mapping[Table, DataFrame]
    figures: Sequence[Callable[[], DataFrame]]
    """What makes frames of a row per figure (name, value): what no single row tells."""


_JUDGED = tuple(table for table in CONFORMED_TABLES if table is not AGENT)
"""The conformed tables: rows of dates, judged with the gold tables whose totals must equal theirs."""


def _dated(lake: Lake, table: Table, dates: Sequence[date], timezone: str) -> DataFrame:
    """The rows of `table` that belong to `dates`, with their business_date."""
    if table.dated_by == BUSINESS_DATE:
        return lake.read_pinned(table, dates)
    around = Around((table.dated_by,), spans(dates, timezone))
    rows = lake.read_pinned(table, around=around).withColumn(BUSINESS_DATE, business_date(table.dated_by, timezone))
    return rows.where(is_one_of(F.col(BUSINESS_DATE), dates))


def candidates(
    lake: Lake, evidence: Evidence, told: Told, dates: Sequence[date], rules: GateRules, options: MeasureOptions
) -> Candidates:
    """Computes the gold rows of `dates`, and keeps them at hand."""
    conformed = {table: _dated(lake, table, dates, rules.timezone) for table in _JUDGED}
    source = Conformed(
        interaction=conformed[INTERACTION],
        queue_visit=conformed[QUEUE_VISIT],
        reconciliation=conformed[RECONCILIATION],
        agent_state=conformed[AGENT_STATE],
        disposition=conformed[DISPOSITION],
        conversation=conformed[CONVERSATION],
        intervals=told.agent_time.intervals,
        dispositions=told.dispositions,
        messages=told.messages,
        handle_times=told.judged.select(F.col("task_id").alias("interaction_id"), handle_ms().alias("handle_ms")),
        timeouts=session_events(evidence.agent_events.where("event_type = 'TIMEOUT'")),
        usage=evidence.usage,
        dates=dates,
        timezone=rules.timezone,
        thresholds_seconds=options.thresholds_seconds,
        heartbeat_timeout_minutes=options.heartbeat_timeout_minutes,
    )
    gold = concurrently(partial(computed, kpi.compute(source)) for kpi in KPIS)
    states, zone = conformed[AGENT_STATE], rules.timezone
    intervals, events = told.agent_time.intervals, evidence.agent_events
    naming = lake.read(SYMBEE_INTERACTION)
    return Candidates(
        dates,
        dict(zip((kpi.table for kpi in KPIS), gold, strict=True)),
        conformed,
        (
            partial(figures.overlaps, figures.OVERLAPPING_STATES, states, SESSION),
            partial(figures.overlaps, figures.OVERLAPPING_SESSIONS, states, ("environment", "agent")),
            partial(figures.overlong_days, states, zone),
            partial(figures.state_differences, intervals, events, dates, zone, rules.tolerance_ms),
            partial(figures.orphan_transcripts, lake.read(SYMBEE_TRANSCRIPT), naming, dates, zone),
            partial(figures.codes, conformed[DISPOSITION]),
            partial(figures.usage_and_sessions, evidence.usage, states, dates, zone),
        ),
    )


def audited_and_limits(
    lake: Lake, found: Candidates | None, rules: GateRules
) -> tuple[Sequence[Audited], Sequence[Limit]]:
    """What the gate judges: each candidate table's figures, and those of the run as a whole."""
    if found is None:
        return [], _limits(lake, None, rules)
    frames = {**found.gold, **found.conformed}
    return both(partial(audit, frames, lake.is_little), partial(_limits, lake, found, rules))


def _limits(lake: Lake, found: Candidates | None, rules: GateRules) -> list[Limit]:
    """Figures of the run as a whole: conservation, the quarantined share, what may be missing and what is unusual."""
    measured = _accounts(lake, rules)
    if found is None:
        return measured + freshness(lake, rules.watch, rules.timezone, (), ())
    columns = ("business_date", "environment", "status", "contacts")
    rows = [row.asDict() for row in found.gold[RECONCILIATION_DAILY].select(*columns).collect()]
    measured += _missing(lake, found, rows, rules)
    measured += _disagreements(found)
    return measured + freshness(lake, rules.watch, rules.timezone, found.dates, rows)


_FIGURES: Mapping[str, tuple[Table, float | None, Severity]] = {
    figures.OVERLAPPING_STATES: (AGENT_STATE, 0, Severity.CRITICAL),
    figures.OVERLONG_DAYS: (AGENT_STATE, 0, Severity.CRITICAL),
    figures.OVERLAPPING_SESSIONS: (AGENT_STATE, 0, Severity.WARNING),
    figures.STATE_DIFFERENCES: (AGENT_STATE, None, Severity.WARNING),
    figures.ORPHAN_TRANSCRIPTS: (SYMBEE_TRANSCRIPT, None, Severity.WARNING),
    figures.CODES_WITHOUT_INTERACTION: (DISPOSITION, None, Severity.WARNING),
    figures.CODES_WITHOUT_GROUP: (DISPOSITION, None, Severity.WARNING),
    figures.USAGE_WITHOUT_SESSION: (AGENT_STATE, None, Severity.WARNING),
    figures.SESSION_WITHOUT_USAGE: (AGENT_STATE, None, Severity.WARNING),
}
"""Per figure the table it is about and the most that it may be; None: it is only recorded."""


def _disagreements(found: Candidates) -> list[Limit]:
    told = concurrently(partial(_collected, make) for make in found.figures)
    values = {row["name"]: row["value"] for rows in told for row in rows}
    return [Limit(table.name, name, values[name], most, severity) for name, (table, most, severity) in _FIGURES.items()]


def _collected(make: Callable[[], DataFrame]) -> list[Row]:
    return make().collect()


def _accounts(lake: Lake, rules: GateRules) -> list[Limit]:
    """Of all records since the last publication: is each in exactly one count, and what share of a feed was refused."""
    is_publication = (pc.field("status") == "SUCCEEDED") & pc.field("job").isin(("daily", "measure"))
    published = lake.read_rows(RUN, ["run_id"], is_publication)["run_id"].to_pylist()
    is_later = pc.field("run_id") > max(published) if published else None
    unbalanced = 0
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for row in lake.read_rows(INGEST_COUNT, ("feed", "records", *COUNTS), is_later).to_pylist():
        counts = [row[name] for name in COUNTS]
        unbalanced += row["records"] != sum(counts) or min(counts) < 0
        totals[row["feed"]].update(records=row["records"], refused=row["quarantined"])
    return [
        Limit(INGEST_COUNT.name, _CONSERVATION, unbalanced, 0, Severity.CRITICAL),
        *(
            Limit(
                INGEST_COUNT.name,
                f"{_QUARANTINED_SHARE}_{feed}",
                total["refused"] / total["records"],
                rules.max_quarantined_share,
                Severity.CRITICAL,
            )
            for feed, total in sorted(totals.items())
            if total["records"] >= _JUDGED_FROM_RECORDS
        ),
    ]


def _missing(lake: Lake, found: Candidates, rows: Sequence[Mapping[str, Any]], rules: GateRules) -> list[Limit]:
    """The greatest share of missing counterparts on a settled date, and interactions too far from their contact."""
    statuses: dict[date, Counter[str]] = defaultdict(Counter)
    for row in rows:
        kind = row["status"].partition("_")[0]  # MATCHED and MATCHED_WITH_DIFFERENCES are one
        statuses[row["business_date"]][kind] += row["contacts"]
    shares = [
        kinds["MISSING"] / (kinds["MISSING"] + kinds["MATCHED"])
        for day, kinds in statuses.items()
        if not kinds["AWAITING"]
        and kinds["MISSING"] + kinds["MATCHED"]
        and shifted(date_end(day, rules.timezone), timedelta(hours=rules.grace_hours)) <= rules.as_of
    ]
    reconciled = found.conformed[RECONCILIATION]
    contactless = reconciled.where(
        "task_id is not null and contact_id is not null"
        " and status in ('MISSING_CONTACT', 'AWAITING_CONTACT', 'NOT_EXPECTED')"
    ).select(F.col("contact_id").alias("named"))
    contacts = lake.read(CONNECT_CONTACT).select("contact_id")
    # Next to none: their hashes tell that in a fraction of the ids' size.
    hashes = contacts.select(hash_of("contact_id").alias("hash"))
    suspects = contactless.join(hashes, hash_of("named") == F.col("hash"), "left_semi").localCheckpoint()
    beyond = contacts.join(brought(suspects), F.col("named") == F.col("contact_id"), "inner").count()
    return [
        Limit(RECONCILIATION.name, _MISSING_SHARE, max(shares, default=0.0), rules.max_missing_share, Severity.WARNING),
        Limit(RECONCILIATION.name, _BEYOND_SPAN, beyond, 0, Severity.WARNING),
    ]


def judge_and_report(
    audited: Sequence[Audited], measured: Sequence[Limit], docs: ObjectStore, check: Callable[[], None]
) -> list[Result]:
    """Every expectation's outcome; the data docs are put below `docs`, page by page while `check` lets pass."""
    with tempfile.TemporaryDirectory(prefix="contactlake-docs-") as folder:
        results = judge(audited, measured, Path(folder))
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                check()
                docs.upload(file.relative_to(folder).as_posix(), file)
    return results


def write_results(lake: Lake, results: Sequence[Result], rules: GateRules, run_id: str) -> None:
    """Records every outcome in `ops/quality_result`, and who accepted what was not met."""
    rows = []
    for result in results:
        is_accepted = not result.is_success and result.expectation in rules.accepted
        observed = f"{result.observed}; accepted by {getpass.getuser()}" if is_accepted else result.observed
        rows.append(
            {
                "run_id": run_id,
                "table": result.table,
                "expectation": result.expectation,
                "severity": result.severity.value,
                "is_success": result.is_success,
                "observed": observed,
                "checked_at": rules.as_of,
            }
        )
    lake.append_rows(QUALITY_RESULT, rows)


def lay_gold(lake: Lake, found: Candidates) -> list[Replacement]:
    """Lays the gold rows down, for nobody to see before they are published."""
    return concurrently(partial(lake.lay_dates, table, rows, found.dates) for table, rows in found.gold.items())


def publish(lake: Lake, laid: Sequence[Replacement]) -> None:
    """Puts the gold rows in place."""
    concurrently(partial(lake.put, replacement) for replacement in laid)


def discard(lake: Lake, laid: Sequence[Replacement]) -> None:
    """Removes the gold rows that the gate refused."""
    concurrently(partial(lake.discard, replacement) for replacement in laid)
