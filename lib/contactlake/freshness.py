"""Freshness and completeness: what the lake holds of arrivals and volumes, judged by what is usual in it.

Reads the ledger and one narrow gold table, of the last weeks alone. A lake that is younger than four weeks has no
pattern, and gets no figure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from contactlake.business_dates import date_start
from contactlake.quality.gate import Limit
from contactlake.quality.usual import (
    WEEKS,
    Arrivals,
    earlier_weekdays,
    finished_dates,
    has_pattern,
    is_silent,
    is_unusual,
    missing_hours,
    usual_hours,
    usual_volume,
)
from contactlake.store import Lake
from contactlake.tables.declaration import BUSINESS_DATE, Severity
from contactlake.tables.gold import RECONCILIATION_DAILY
from contactlake.tables.ops import INGESTED_OBJECT

_SILENT = "silent_entries"
_MISSING_HOURS = "hours_without_objects"
_UNUSUAL = "dates_of_unusual"
_PATTERN = timedelta(weeks=WEEKS, days=1)
_LONGEST_SILENCE = timedelta(days=366)
"""A feed that has been silent for longer is taken for one that has ended."""
_MOST_NAMED = 3

_PAIRED = {"MATCHED", "MATCHED_WITH_DIFFERENCES"}
SIDES: Mapping[str, frozenset[str]] = {
    "interactions": frozenset(_PAIRED | {"EXTRA_INTERACTION", "AWAITING_CONTACT", "MISSING_CONTACT", "NOT_EXPECTED"}),
    "contacts": frozenset(_PAIRED | {"UNHANDLED", "NOT_SYMBEE_AGENT", "AWAITING_INTERACTION", "MISSING_INTERACTION"}),
}
"""The reconciliation statuses of rows that hold an interaction, and of those that hold a contact."""

Volumes = dict[str, dict[str, dict[date, int]]]
"""Per side and environment, the rows of each business date."""


@dataclass(frozen=True)
class Source:
    """One feed entry. `address` begins every object's; `timezone` is that of its pattern.

    `newest_at` is the newest arrival that was ever listed, None where there was none.
    """

    feed: str
    address: str
    timezone: str
    is_hourly: bool
    newest_at: datetime | None


@dataclass(frozen=True)
class Watch:
    """What a run knows besides the tables: all instants are clocks of runs, never the host's.

    `listed_at`: whatever had arrived until then is in the lake. `is_listed_now`: this run itself has listed all of it.
    `published_at`: the last publication's clock.
    """

    sources: Sequence[Source]
    listed_at: datetime | None
    is_listed_now: bool
    published_at: datetime | None


def freshness(
    lake: Lake, watch: Watch, timezone: str, dates: Sequence[date], reconciled: Iterable[Mapping[str, Any]]
) -> list[Limit]:
    """What is silent, missing or unusual: warnings all of them, and none where nothing is usual yet.

    `dates` are those that the run recomputes, and `reconciled` their rows of `gold/reconciliation_daily`
    (business_date, environment, status, contacts) as they will be published.
    """
    since = watch.published_at if watch.is_listed_now else None
    judged = finished_dates(dates, since, watch.listed_at, timezone)
    return [
        *_arrivals(lake, watch, judged, timezone),
        *(_volumes(lake, judged, dates, reconciled) if judged else ()),
    ]


# --- arrivals ---


def _arrivals(lake: Lake, watch: Watch, judged: Sequence[date], timezone: str) -> list[Limit]:
    """Per feed, its entries that are silent, and the hours of the judged dates in which nothing arrived."""
    silence_by = watch.listed_at if watch.is_listed_now else None
    begin = [date_start(judged[0], timezone)] if judged else []
    if silence_by is not None:
        longest = silence_by - _LONGEST_SILENCE
        begin += [max(source.newest_at, longest) for source in watch.sources if source.newest_at is not None]
    if not begin:
        return []
    is_recent = pc.field("arrival_at") >= min(begin) - _PATTERN
    ledger = lake.read_rows(INGESTED_OBJECT, ("feed", "object", "arrival_at", "records"), is_recent)
    entries = [(source, _arrivals_of(ledger, source)) for source in watch.sources]
    limits = []
    for feed in sorted({source.feed for source in watch.sources}):
        own = [(source, arrivals) for source, arrivals in entries if source.feed == feed]
        if silence_by is not None and any(has_pattern(arrivals) for _, arrivals in own):
            silent = [
                f"{source.address} since {arrivals.newest_at:%Y-%m-%d %H:%M} UTC"
                for source, arrivals in own
                if is_silent(arrivals, silence_by)
            ]
            limits.append(_limit(INGESTED_OBJECT.name, f"{_SILENT}_{feed}", silent))
        if any(usual_hours(arrivals, day) for _, arrivals in own for day in judged):
            missing = [
                f"{source.address} {day} {hour:02}:00"
                for source, arrivals in own
                for judged_date in judged
                for day, hour in missing_hours(arrivals, judged_date)
            ]
            limits.append(_limit(INGESTED_OBJECT.name, f"{_MISSING_HOURS}_{feed}", missing))
    return limits


def _arrivals_of(ledger: pa.Table, source: Source) -> Arrivals:
    is_own = pc.and_(pc.equal(ledger["feed"], source.feed), pc.starts_with(ledger["object"], source.address))
    own = ledger.filter(is_own)
    hours = pa.table({"hour": pc.floor_temporal(own["arrival_at"], unit="hour"), "records": own["records"]})
    sums = hours.group_by("hour").aggregate([("records", "sum")])
    by_hour = dict(zip(sums["hour"].to_pylist(), sums["records_sum"].to_pylist(), strict=True))
    return Arrivals.of(by_hour, source.timezone, is_hourly=source.is_hourly)


# --- volumes ---


def _volumes(
    lake: Lake, judged: Sequence[date], dates: Sequence[date], reconciled: Iterable[Mapping[str, Any]]
) -> list[Limit]:
    """Per side of the reconciliation, the judged dates of an environment with half or twice the usual rows."""
    compared = {day for one in judged for day in (one, *earlier_weekdays(one))} - set(dates)
    columns = (BUSINESS_DATE, "environment", "status", "contacts")
    published = lake.read_rows(RECONCILIATION_DAILY, columns, pc.field(BUSINESS_DATE).isin(sorted(compared)))
    volumes = _counted([*published.to_pylist(), *reconciled])
    limits = []
    for side in SIDES:
        of_side = volumes[side].items()
        usual = {(name, day): usual_volume(day, of_day) for name, of_day in of_side for day in judged}
        known = {key: value for key, value in usual.items() if value is not None}
        unusual = [
            f"{name} {day} with {volumes[side][name].get(day, 0)} in place of about {value:g}"
            for (name, day), value in sorted(known.items())
            if is_unusual(volumes[side][name].get(day, 0), value)
        ]
        if known:
            limits.append(_limit(RECONCILIATION_DAILY.name, f"{_UNUSUAL}_{side}", unusual))
    return limits


def _counted(rows: Iterable[Mapping[str, Any]]) -> Volumes:
    volumes: Volumes = {side: {} for side in SIDES}
    for row in rows:
        for side, statuses in SIDES.items():
            if row["status"] in statuses:
                of_environment = volumes[side].setdefault(row["environment"], {})
                day = row[BUSINESS_DATE]
                of_environment[day] = of_environment.get(day, 0) + row["contacts"]
    return volumes


def _limit(table: str, name: str, found: Sequence[str]) -> Limit:
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return Limit(table, name, len(found), 0, Severity.WARNING, ", ".join(found[:_MOST_NAMED]) + more)
