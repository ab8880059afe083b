"""Which business dates a change of the silver event tables can touch.

Everything is found before the first write, from the lake as it is and the rows that are about to change it. A change
touches the dates of the rows themselves, old and new; of everything that belongs with them in a pair, a conversation
or a leg, with its work codes and messages; of the agents' and usage sessions that it moves; and of the contacts whose
verdict depends on when Symbee first named their agent.
"""

from collections.abc import Iterable, Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from contactlake.changes import Changes, dates_between, dates_of, union_if_any
from contactlake.conform.interactions import media_key
from contactlake.evidence import COUNTED_AT, NAMES, closure, holding, ids_of, transcripts_of
from contactlake.moved_sessions import session_dates
from contactlake.sightings import agent_dates
from contactlake.store import Lake
from contactlake.tables.events import (
    CONNECT_CONTACT,
    SYMBEE_INTERACTION,
    SYMBEE_TRANSCRIPT,
    SYMBEE_USER_USAGE,
    SYMBEE_WORK_CODE,
)
from contactlake.tables.ops import PENDING_DATE


def touched_dates(lake: Lake, changed: Changes, timezone: str, heartbeat_timeout_minutes: int) -> list[date]:
    """Every business date that `changed` rows can touch, in order."""
    told = {date.fromisoformat(day) for change in changed for file in change.files for day in file.dates}
    found: list[DataFrame] = [
        dates_of(rows, COUNTED_AT[change.record_type.table], timezone)
        for change in changed
        if not change.files and change.record_type.table.counted_at
        for rows in changed.both(change.record_type.table)
    ]
    found += _family_dates(lake, changed, timezone)
    found += agent_dates(lake, changed)
    found += session_dates(lake, changed, timezone)
    for rows in changed.both(SYMBEE_USER_USAGE):  # what it joins or parts lies no further off
        around = f"interval {heartbeat_timeout_minutes} minutes"
        found.append(dates_between(rows, f"usage_entry_at - {around}", f"usage_entry_at + {around}", timezone))
    dates = union_if_any(found)
    if dates is not None:
        told.update(row["business_date"] for row in dates.distinct().collect())
    return sorted(told)


def _family_dates(lake: Lake, changed: Changes, timezone: str) -> list[DataFrame]:
    """Of all that belongs with a changed interaction, contact, work code or transcript."""
    if all(lake.is_new(table) for table in COUNTED_AT):  # whatever belongs with a changed row is changed itself
        return _message_dates(changed.both(SYMBEE_TRANSCRIPT), changed.both(SYMBEE_INTERACTION), timezone)
    seeds = [ids_of(rows, table) for table in NAMES for rows in changed.both(table)]
    seeds += [rows.select(F.col("gateway_task_id").alias("id")) for rows in changed.both(SYMBEE_WORK_CODE)]
    fresh_transcripts = changed.new(SYMBEE_TRANSCRIPT)
    if fresh_transcripts is not None:
        keys = fresh_transcripts.select(F.col("media_key").alias("changed_key"))
        interactions = [lake.read(SYMBEE_INTERACTION), *changed.both(SYMBEE_INTERACTION)]
        for rows in interactions:
            naming = rows.select(*lake.read(SYMBEE_INTERACTION).columns).join(
                keys, media_key() == F.col("changed_key"), "left_semi"
            )
            seeds.append(ids_of(naming, SYMBEE_INTERACTION))
    if not seeds:
        return []
    ids = closure(lake, seeds)
    held = {
        table: holding(lake.read(table, around=around), column, ids.ids)
        for table, column, around in (
            (SYMBEE_INTERACTION, "task_id", ids.around(SYMBEE_INTERACTION)),
            (CONNECT_CONTACT, "contact_id", ids.around(CONNECT_CONTACT)),
            (SYMBEE_WORK_CODE, "gateway_task_id", None),
        )
        if not lake.is_new(table)
    }
    found = [dates_of(rows, COUNTED_AT[table], timezone) for table, rows in held.items()]
    interactions = changed.both(SYMBEE_INTERACTION)
    if SYMBEE_INTERACTION in held:
        interactions.append(held[SYMBEE_INTERACTION])
    transcripts = changed.both(SYMBEE_TRANSCRIPT)
    if not lake.is_new(SYMBEE_TRANSCRIPT):
        transcripts.append(lake.read(SYMBEE_TRANSCRIPT))
    return found + _message_dates(transcripts, interactions, timezone)


def _message_dates(
    transcripts: Sequence[DataFrame], interactions: Sequence[DataFrame], timezone: str
) -> list[DataFrame]:
    """Of the messages of those `transcripts` that one of `interactions` names."""
    spoken = union_if_any(rows.select("media_key", "first_message_at", "last_message_at") for rows in transcripts)
    naming = union_if_any(rows.select("task_id", "media_location") for rows in interactions)
    if spoken is None or naming is None:
        return []
    return [dates_between(transcripts_of(spoken, naming), "first_message_at", "last_message_at", timezone)]


# --- the table of pending dates ---


def pending_dates(lake: Lake) -> dict[date, str]:
    """Every pending date and the run that first touched it."""
    rows = lake.read_rows(PENDING_DATE, ("business_date", "since_run"))
    return {row["business_date"]: row["since_run"] for row in rows.to_pylist()}


def add_pending(lake: Lake, dates: Iterable[date], run_id: str) -> None:
    """Makes `dates` pending, those that are already keeping their run."""
    known = pending_dates(lake)
    new = [{"business_date": day, "since_run": run_id} for day in sorted(set(dates) - set(known))]
    lake.append_rows(PENDING_DATE, new)


def settle_pending(lake: Lake, published: Iterable[date], still_open: Iterable[date], run_id: str) -> None:
    """Takes published dates off, except those that hold rows whose verdict is still open."""
    known = pending_dates(lake)
    opened = set(still_open)
    remaining = {day: run for day, run in known.items() if day not in set(published) or day in opened}
    remaining |= {day: run_id for day in opened if day not in remaining}
    if remaining != known:
        rows = [{"business_date": day, "since_run": run} for day, run in sorted(remaining.items())]
        lake.overwrite_rows(PENDING_DATE, rows)
