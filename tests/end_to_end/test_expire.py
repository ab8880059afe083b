"""Old rows expire, and stay away: whatever is read again, and whichever dates are recomputed."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.centre import Centre
from tests.records import agent_event, contact, contact_object, interaction, interaction_object, text, usage

from contactlake.errors import ConfigurationError
from contactlake.expire import expire
from contactlake.tables import TABLES
from contactlake.tables.conformed import AGENT, AGENT_SESSION, AGENT_STATE, CONVERSATION, INTERACTION, RECONCILIATION
from contactlake.tables.events import CONNECT_CONTACT, SYMBEE_AGENT_EVENT, SYMBEE_INTERACTION, SYMBEE_USER_USAGE
from contactlake.tables.gold import GOLD_TABLES, HANDLE_DAILY
from contactlake.tables.ops import INGESTED_OBJECT, QUARANTINE

OLD, NEW = date(2025, 3, 4), date(2025, 3, 14)
ACCEPTED = ("ingest_count.quarantined_share_symbee",)


def day_of_work(day: str, agent: str) -> dict[str, bytes]:
    """A call with its contact, a session and a use of `agent`, and a malformed record, on `day`."""
    names: dict[str, Any] = {"Username": agent}
    stamps = {"InitiationTimestamp": f"{day}T16:59:00Z", "ConnectedTimestamp": f"{day}T17:00:10Z"}
    call = interaction(
        **names,
        **stamps,
        TaskId=f"task-{day}",
        GatewayTaskId=f"contact-{day}",
        AssignedTimestamp=f"{day}T17:00:05Z",
        WrapTimestamp=f"{day}T17:05:10Z",
        CompletedTimestamp=f"{day}T17:06:00Z",
    )
    its_contact = contact(
        agent={
            "Username": agent,
            "ConnectedToAgentTimestamp": f"{day}T17:00:10Z",
            "AfterContactWorkStartTimestamp": f"{day}T17:05:10Z",
            "AfterContactWorkEndTimestamp": f"{day}T17:06:00Z",
        },
        queue={"EnqueueTimestamp": f"{day}T16:59:10Z", "DequeueTimestamp": f"{day}T17:00:05Z"},
        ContactId=f"contact-{day}",
        InitiationTimestamp=f"{day}T16:59:00Z",
        DisconnectTimestamp=f"{day}T17:05:10Z",
        LastUpdateTimestamp=f"{day}T17:07:00Z",
    )
    session = {"AgentSessionId": f"session-{day}", **names}
    events = [
        agent_event(f"{day}T16:00:00Z", "IDLE", EventType="LOGIN", **session),
        agent_event(f"{day}T18:00:00Z", "LOGGED_OFF", EventType="LOGOUT", **session),
    ]
    uses = [usage(f"{day}T16:00:00Z", "BEGIN", **names), usage(f"{day}T18:00:00Z", "END", **names)]
    hour = f"{day.replace('-', '/')}/18"
    return {
        **interaction_object(hour, call),
        **contact_object(hour, its_contact),
        f"symbee/agentevents/{hour}/e": text(events),
        f"symbee/usage/{hour}/u": text(uses),
        f"symbee/workcodes/{hour}/w": text([interaction()])[:-1],
    }


def rows_of(centre: Centre) -> dict[str, Any]:
    return {table.path: centre.rows(table) for table in TABLES if table.layer in ("silver", "gold")}


def expires(centre: Centre, as_of: str, **retention: int) -> dict[str, Any]:
    return expire(centre.settings(retention=retention), datetime.fromisoformat(as_of), lambda _: None)


def test_old_rows_go_and_stay_away(spark: SparkSession, tmp_path: Path) -> None:
    centre = Centre(spark, tmp_path)
    old, new = day_of_work("2025-03-04", "cmiller"), day_of_work("2025-03-14", "kgray")
    centre.arrives(old)
    centre.run("2025-03-06T00:00:00Z", accepted=ACCEPTED)
    centre.arrives(new)
    centre.run("2025-03-15T20:00:00Z", accepted=ACCEPTED)
    kept = rows_of(centre)
    assert expires(centre, "2025-03-24T00:00:00Z")["rows"] == {}  # nothing is asked for
    assert rows_of(centre) == kept

    # 23 March in Chicago, less nine days: 14 March is the first that stays.
    told = expires(centre, "2025-03-24T00:00:00Z", silver=9, quarantine=9)
    assert told["first_dates"] == {"silver": "2025-03-14", "quarantine": "2025-03-14"}
    assert told["files_removed"]
    for table in (SYMBEE_INTERACTION, CONNECT_CONTACT, INTERACTION, RECONCILIATION, AGENT, AGENT_SESSION, CONVERSATION):
        assert (len(kept[table.path]), told["rows"][table.path], len(centre.rows(table))) == (2, 1, 1), table
    for table, rows in ((SYMBEE_AGENT_EVENT, 2), (SYMBEE_USER_USAGE, 2)):
        assert (len(kept[table.path]), told["rows"][table.path]) == (2 * rows, rows)
    assert {row["business_date"] for row in centre.rows(AGENT_STATE)} == {NEW}
    assert [f"{row['quarantined_at']:%Y-%m-%d}" for row in centre.rows(QUARANTINE)] == ["2025-03-15"]
    assert len(centre.rows(INGESTED_OBJECT)) == 10
    after = rows_of(centre)
    for table in GOLD_TABLES:
        assert after[table.path] == kept[table.path], table
    assert {row["business_date"] for row in after[HANDLE_DAILY.path]} == {OLD, NEW}
    again = expires(centre, "2025-03-24T00:00:00Z", silver=9, quarantine=9)
    assert (again["rows"], again["files_removed"]) == ({}, 0)

    # All is read again that has another name or content, whole or in part: nothing old comes back.
    centre.arrives({key + "-again": content for key, content in old.items()})
    late = interaction(TaskId="late", GatewayTaskId="late", DeliveryProvider="SYMBEE", TaskType="SMS")
    centre.arrives(interaction_object("2025/03/14/19", late, name="late"))
    summary = centre.run("2025-03-24T00:00:00Z", accepted=ACCEPTED, is_full=True)
    assert (summary.inserted, summary.updated, summary.dates) == (0, 0, [])
    assert (summary.records, summary.duplicate, summary.quarantined) == (8, 7, 1)
    assert rows_of(centre) == after
    assert centre.pending() == []
    with pytest.raises(ConfigurationError, match="--from 2025-03-04"):
        centre.run("2025-03-24T00:00:00Z", dates=(OLD, NEW))

    # Gold has its own days; a longer retention brings nothing back.
    told = expires(centre, "2025-03-24T00:00:00Z", gold=9, silver=900)
    assert told["rows"][HANDLE_DAILY.path] == 1
    assert all(path.startswith("gold/") for path in told["rows"])
    assert {row["business_date"] for row in centre.rows(HANDLE_DAILY)} == {NEW}
    centre.run("2025-03-24T06:00:00Z", accepted=ACCEPTED)
    assert {row["business_date"] for row in centre.rows(HANDLE_DAILY)} == {NEW}


def test_since_when_an_agent_is_known_outlasts_what_told_it(spark: SparkSession, tmp_path: Path) -> None:
    """A correction of an agent's latest record looks anew when the agent was seen: of that, the first has expired."""
    centre = Centre(spark, tmp_path)
    centre.arrives(day_of_work("2025-03-04", "cmiller"), day_of_work("2025-03-14", "cmiller"))
    missed = contact(
        agent={
            "Username": "cmiller",
            "ConnectedToAgentTimestamp": "2025-03-13T17:00:10Z",
            "AfterContactWorkStartTimestamp": "2025-03-13T17:05:10Z",
            "AfterContactWorkEndTimestamp": "2025-03-13T17:06:00Z",
        },
        ContactId="missed",
        InitiationTimestamp="2025-03-13T16:59:00Z",
        DisconnectTimestamp="2025-03-13T17:05:10Z",
        LastUpdateTimestamp="2025-03-13T17:07:00Z",
    )
    centre.arrives(contact_object("2025/03/13/18", missed, name="missed"))

    def latest(completed_at: str) -> dict[str, Any]:
        stamps = {name: f"2025-03-14T18:{minute}:00Z" for name, minute in _LATE_CALL.items()}
        return interaction(**stamps, TaskId="latest", GatewayTaskId="none", CompletedTimestamp=completed_at)

    centre.arrives(interaction_object("2025/03/14/19", latest("2025-03-14T18:30:00Z"), name="latest"))
    centre.run("2025-03-20T00:00:00Z", accepted=ACCEPTED, is_full=True)
    expires(centre, "2025-03-24T00:00:00Z", silver=12)
    (agent,) = (row for row in centre.rows(AGENT) if row["source"] == "symbee")
    assert agent["first_seen_at"].date() == OLD
    assert f"{agent['last_seen_at']:%F %T}" == "2025-03-14 18:30:00"
    assert _status_of(centre, "missed") == "MISSING_INTERACTION"

    centre.arrives(interaction_object("2025/03/14/20", latest("2025-03-14T18:40:00Z"), name="corrected"))
    summary = centre.run("2025-03-24T06:00:00Z", accepted=ACCEPTED, is_full=True)
    assert (summary.updated, summary.dates) == (1, ["2025-03-14"])
    (corrected,) = (row for row in centre.rows(AGENT) if row["source"] == "symbee")
    assert corrected == {**agent, "last_seen_at": agent["last_seen_at"] + timedelta(minutes=10)}
    assert _status_of(centre, "missed") == "MISSING_INTERACTION"


_LATE_CALL = {"InitiationTimestamp": 10, "AssignedTimestamp": 11, "ConnectedTimestamp": 12, "WrapTimestamp": 20}


def _status_of(centre: Centre, contact_id: str) -> str:
    (row,) = (row for row in centre.rows(RECONCILIATION) if row["contact_id"] == contact_id)
    return str(row["status"])
