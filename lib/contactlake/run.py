"""A run: a list of named steps under one lease, from the archive to gold."""

import json
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from contactlake import business_dates, pending
from contactlake.archive.listing import ArchiveObject
from contactlake.archive.storage import ObjectStore, open_store
from contactlake.changes import Changes
from contactlake.concurrency import concurrently
from contactlake.config import PSEUDONYM_KEY_VARIABLE, Configuration
from contactlake.conforming import Told, open_dates, tell, write_conformed
from contactlake.discovery import Discovery
from contactlake.errors import ConfigurationError
from contactlake.evidence import Evidence, gather
from contactlake.feeds import FEEDS
from contactlake.freshness import Source, Watch, freshness
from contactlake.history import reconciled_dates
from contactlake.ingest import (
    Change,
    adoptable_tables,
    count_rows,
    find_change,
    land,
    record_types_landed,
    write_accounts,
    write_change,
)
from contactlake.landing import Entry, Landing
from contactlake.privacy import Privacy
from contactlake.publication import (
    Candidates,
    GateRules,
    MeasureOptions,
    audited_and_limits,
    candidates,
    check_accepted,
    discard,
    judge_and_report,
    lay_gold,
    publish,
    write_results,
)
from contactlake.quality.audit import Audited
from contactlake.quality.gate import Limit, Result, failed, fetch, judge
from contactlake.reconciliation import ReconciliationRules
from contactlake.request import Request
from contactlake.session import for_little, for_short_rows
from contactlake.sightings import changed_sightings, update_agents
from contactlake.tables.conformed import RECONCILIATION
from contactlake.tables.events import EVENT_TABLES
from contactlake.tenure import LANDING, Progress, Tenure, hold_lake, s3_options

log = logging.getLogger("contactlake.run")

_LITTLE_BYTES = 32 << 20
_READ_OF_LAKE, _FEW_DATES = 10, 31
"""About one byte in so many of a lake's events is read for so few dates."""


@dataclass
class Summary:
    """What a run prints at its end; counts are of records, but for `objects`."""

    run_id: str
    as_of: str
    objects: int = 0
    records: int = 0
    inserted: int = 0
    updated: int = 0
    duplicate: int = 0
    ignored: int = 0
    quarantined: int = 0
    dates: list[str] = field(default_factory=list)
    verdict: str = "passed"
    failed_expectations: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        return json.dumps(self.__dict__)


class Run:
    """One run of one job. `execute` is the whole of it."""

    def __init__(self, configuration: Configuration, request: Request, progress: Progress) -> None:
        self._configuration = configuration
        self._request = request
        self._progress = progress
        self._options = s3_options(configuration)
        self._entries = tuple(
            Entry(entry.name, open_store(entry.archive, self._options), entry.environment)
            for entry in configuration.feed
        )
        self._counts: list[dict[str, Any]] = []
        self._told: tuple[Evidence, Told] | None = None
        self._listed: list[tuple[int, ArchiveObject]] = []

    def execute(self) -> Summary:
        """Runs the job's steps; raises `ContactlakeError` for what a user can act on.

        A run that ends with the gate's refusal is complete, and its summary says so before `GateFailed` is raised
        by the caller.
        """
        self._probe_archives()
        request = self._request
        with hold_lake(self._configuration, request.job, request.as_of, self._progress, self._check) as tenure:
            self._tenure, self._lake, self._record = tenure, tenure.lake, tenure.record
            self._summary = Summary(self._record.run_id, _instant_text(request.as_of))
            if request.job in ("ingest", "daily"):
                with self._step("list the archive"):
                    self._list()
            self._lake.is_little = self._is_little()
            with for_little(self._lake.spark) if self._lake.is_little else nullcontext():
                self._run_steps()
            status = "SUCCEEDED" if self._summary.verdict == "passed" else "GATE_FAILED"
            tenure.complete(self._summary.__dict__, status)
        return self._summary

    # --- the whole ---

    def _is_little(self) -> bool:
        """Whether what this run will read is little: new objects, and of the lake's events the ids and some dates."""
        lake = self._lake.size(EVENT_TABLES)
        dates = self._request.dates or pending.pending_dates(self._lake)
        if len(dates) <= _FEW_DATES and not self._lake.is_new(RECONCILIATION):
            lake = lake // _READ_OF_LAKE
        return lake + sum(item.size for _, item in self._listed) < _LITTLE_BYTES

    def _probe_archives(self) -> None:
        """Raises `StorageError` for an archive that is not there, before anything is started or written.

        Raises `ConfigurationError` for one that this version cannot read.
        """
        for section, entry in zip(self._configuration.feed, self._entries, strict=True):
            if section.name not in {feed.name for feed in FEEDS}:
                raise ConfigurationError(
                    f'feed "{section.name}" cannot be read yet', "leave it out of the configuration"
                )
            entry.store.probe(section.prefix)

    def _check(self, tenure: Tenure) -> None:
        """Raises `ConfigurationError` for what the lake does not let this run do."""
        request, last, first_open = self._request, tenure.last, tenure.expiry.first_open
        if last is not None and request.as_of < last.as_of:
            raise ConfigurationError(
                f"--as-of {_instant_text(request.as_of)} is before the last complete run's"
                f" ({_instant_text(last.as_of)}, run {last.run_id})",
                "give that instant or a later one",
            )
        if request.first is not None and not tenure.expiry.is_open(request.first):
            raise ConfigurationError(
                f"--from {request.first}: what dates before {first_open} are computed from has expired",
                f"give --from {first_open} or a later date",
            )
        if request.job in ("ingest", "daily") and self._stores_identifiers():
            tenure.suppressed.check_key(_pseudonym_key())

    def _stores_identifiers(self) -> bool:
        privacy = self._configuration.privacy
        return privacy.customer_identifiers != "drop" or bool(privacy.attributes_keep)

    def _run_steps(self) -> None:
        job = self._request.job
        if job in ("ingest", "daily"):
            self._ingest()
        if job == "ingest":
            return
        dates = self._request.dates
        if dates is None:
            dates = sorted(pending.pending_dates(self._lake))
        self._record.dates = dates
        self._summary.dates = [day.isoformat() for day in dates]
        if job in ("measure", "daily") and dates:
            fetch()
        with for_short_rows(self._lake.spark):
            if job in ("reconcile", "daily") and dates:
                with self._step(f"reconcile {business_dates.describe(dates)}"):
                    pending.add_pending(self._lake, dates, self._record.run_id)
                    evidence, told = self._tell(dates)
                    write_conformed(self._lake, evidence, told, dates, self._reconciliation_rules())
            if job in ("measure", "daily"):
                self._measure(dates)

    def _step(self, name: str) -> AbstractContextManager[None]:
        return self._tenure.step(name)

    # --- ingest ---

    def _ingest(self) -> None:
        listed = self._listed
        with self._step(f"read {len(listed)} objects"):
            landing = self._landing()
            landed = land(self._lake.spark, landing, listed)
            listed = [(entry, item) for entry, item in listed if (entry, item.key) in landed.read]
            named = self._discovery.named_transcripts(landed)
            if named:
                landed.add(land(self._lake.spark, landing, named))
                listed += named
        for vanished in landed.vanished:
            log.warning("%s; it is tried again while it is listed, and by a run with --full", vanished)
        changes: list[Change] = []
        try:
            with self._step("find what is new"):
                changes = concurrently(
                    partial(find_change, self._lake, landed, kind) for kind in record_types_landed(landed)
                )
                changes = [change for change in changes if change.inserted or change.updated]
                changed = Changes(changes)
                touched = pending.touched_dates(
                    self._lake,
                    changed,
                    self._configuration.lake.timezone,
                    self._configuration.usage.heartbeat_timeout_minutes,
                )
                touched = [day for day in touched if self._tenure.expiry.is_open(day)]
            self._counts = count_rows(landed, changes, self._entries, self._record.run_id)
            with self._step("write events"):
                pending.add_pending(self._lake, touched, self._record.run_id)
                seen = changed_sightings(changed)
                concurrently(partial(write_change, self._lake, change) for change in changes)
                update_agents(self._lake, changed, seen)
            with self._step("write the accounts"):
                write_accounts(
                    self._lake, landed, listed, self._entries, self._counts, self._record.run_id, self._request.as_of
                )
        finally:
            for change in changes:
                change.rows.unpersist()
        self._summary.objects = len(landed.read)
        for row in self._counts:
            for name in ("records", "inserted", "updated", "duplicate", "ignored", "quarantined"):
                setattr(self._summary, name, getattr(self._summary, name) + row[name])
        self._summary.dates = [day.isoformat() for day in touched]

    def _list(self) -> None:
        """Finds out what is new. A run of named dates does not tell how far the archive was read."""
        self._discovery = Discovery(self._lake, self._configuration, self._entries, self._request, self._tenure.last)
        self._listed = self._discovery.list_new()
        if self._request.dates is None:
            for mark, newest in self._discovery.newest_arrivals.items():
                before = self._record.newest_arrivals.get(mark)
                self._record.newest_arrivals[mark] = max(newest, before or newest)

    def _landing(self) -> Landing:
        privacy, zone = self._configuration.privacy, self._configuration.lake.timezone
        expired = self._tenure.expiry.silver
        suppressed = self._tenure.suppressed.hashes if self._stores_identifiers() else frozenset()
        return Landing(
            entries=self._entries,
            lake=self._lake.store,
            folder=f"{LANDING}/{self._record.run_id}",
            adopting=adoptable_tables(self._lake),
            privacy=Privacy(privacy.customer_identifiers, _pseudonym_key(), privacy.attributes_keep, suppressed),
            max_decompressed_bytes=self._configuration.ingest.max_decompressed_bytes,
            run_id=self._record.run_id,
            as_of=self._request.as_of,
            expired_before=None if expired is None else business_dates.date_start(expired, zone),
        )

    # --- reconcile and measure ---

    def _tell(self, dates: list[date]) -> tuple[Evidence, Told]:
        """The evidence for `dates` and what it tells, gathered once in a run: nothing writes to the events after."""
        if self._told is None:
            evidence = gather(
                self._lake,
                dates,
                pending.pending_dates(self._lake),
                self._configuration.lake.timezone,
                self._configuration.usage.heartbeat_timeout_minutes,
            )
            self._told = evidence, tell(evidence, self._reconciliation_rules())
        return self._told

    def _reconciliation_rules(self) -> ReconciliationRules:
        section = self._configuration.reconcile
        return ReconciliationRules(
            self._request.as_of,
            self._configuration.lake.timezone,
            section.tolerance_ms,
            section.grace_hours,
            section.span_days,
        )

    def _gate_rules(self) -> GateRules:
        quality = self._configuration.quality
        return GateRules(
            self._request.as_of,
            self._configuration.lake.timezone,
            self._configuration.reconcile.grace_hours,
            self._configuration.reconcile.tolerance_ms,
            quality.max_quarantined_share,
            quality.max_missing_share,
            self._request.accepted,
            self._watch(),
        )

    def _watch(self) -> Watch:
        """What this run knows of the archive: which entries there are, and up to when they were listed."""
        reads, last = self._request.job == "daily", self._tenure.last
        return Watch(
            [
                Source(
                    section.name,
                    entry.store.uri_of(section.prefix),
                    self._configuration.lake.timezone if section.tells_hours else section.arrival_timezone,
                    section.tells_hours,
                    self._record.newest_arrivals.get(section.mark_key),
                )
                for section, entry in zip(self._configuration.feed, self._entries, strict=True)
                if section.tells_hours or "%d" in section.layout
            ],
            self._request.as_of if reads else last.listed_at if last else None,
            reads and self._request.dates is None,
            last.published_at if last else None,
        )

    def _measure(self, dates: list[date]) -> None:
        rules = self._gate_rules()
        if not dates and not self._counts:
            self._warn_of_silence(rules)
            return
        found: Candidates | None = None
        with self._step(f"measure {business_dates.describe(dates)}"):
            if dates:
                evidence, told = self._tell(dates)
                options = MeasureOptions(
                    self._configuration.service_level.thresholds_seconds,
                    self._configuration.usage.heartbeat_timeout_minutes,
                )
                found = candidates(self._lake, evidence, told, dates, rules, options)
            audited, figures = audited_and_limits(self._lake, found, rules)
        with ThreadPoolExecutor(1, thread_name_prefix="contactlake") as pool:  # judging keeps one core busy at most
            laying = pool.submit(lay_gold, self._lake, found) if found is not None else None
            is_refused = self._is_refused(audited, figures, rules)
            if laying is None:
                return
            if is_refused:
                discard(self._lake, laying.result())
                return
            with self._step("publish"):
                publish(self._lake, laying.result())
                settled = self._settled(dates)
                still_open = open_dates(self._lake, settled, self._configuration.lake.timezone)
                pending.settle_pending(self._lake, settled, still_open, self._record.run_id)

    def _is_refused(self, audited: Sequence[Audited], figures: Sequence[Limit], rules: GateRules) -> bool:
        """Whether the gate is failed by what nobody has accepted."""
        with self._step("judge"):
            results = judge_and_report(audited, figures, self._docs(), self._tenure.lease.check_time)
            write_results(self._lake, results, rules, self._record.run_id)
        _log_unmet(results)
        refused = failed(results, rules.accepted)
        if refused:
            self._summary.verdict = "failed"
            self._summary.failed_expectations = list(refused)
        return bool(refused)

    def _settled(self, dates: Sequence[date]) -> list[date]:
        """Those of `dates` that are measured for good: a job of its own may have measured what is not reconciled."""
        if self._request.job != "measure":
            return list(dates)
        reconciled = reconciled_dates(self._lake)
        settled = [day for day in dates if day in reconciled]
        if len(settled) < len(dates):
            log.warning(
                "%d of the dates were not reconciled since the archive was read, and stay pending",
                len(dates) - len(settled),
            )
        return settled

    def _warn_of_silence(self, rules: GateRules) -> None:
        """Where nothing is new, that may be what is wrong; a run without anything to tell writes nothing."""
        figures = freshness(self._lake, rules.watch, rules.timezone, (), ())
        if all(figure.is_met for figure in figures):
            return
        with self._step("judge"):
            results = judge((), figures, None)
            write_results(self._lake, results, rules, self._record.run_id)
        _log_unmet(results)

    def _docs(self) -> ObjectStore:
        place = self._configuration.quality.data_docs
        if place is None:
            place = f"{self._lake.store.uri}/data_docs"
        return open_store(place, self._options)


def _log_unmet(results: Sequence[Result]) -> None:
    for result in results:
        if not result.is_success:
            log.warning("%s: %s is not met (%s)", result.severity, result.expectation, result.observed)


def _pseudonym_key() -> bytes:
    return os.environ.get(PSEUDONYM_KEY_VARIABLE, "").encode()


def _instant_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def run_job(configuration: Configuration, request: Request, progress: Progress = lambda _: None) -> Summary:
    """Runs one job and returns its summary; a failed gate is told by the summary's verdict.

    Raises `ContactlakeError`.
    """
    check_accepted(request.accepted, {section.name for section in configuration.feed})
    return Run(configuration, request, progress).execute()
