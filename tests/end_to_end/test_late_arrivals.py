"""Whatever comes late, out of order or in parts: in the end the lake is the one that a single run would have made."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.centre import Centre, assert_same_lake
from tests.records import agent_event, contact, contact_object, interaction, interaction_object, usage, work_code

from contactlake import moved_sessions
from contactlake.tables.conformed import AGENT_SESSION, AGENT_STATE, CONVERSATION, DISPOSITION, INTERACTION, MESSAGE
from contactlake.tables.gold import AGENT_DAILY, AGENT_UNAVAILABLE_DAILY, CHAT_DAILY, WORK_CODE_DAILY


@pytest.fixture
def centre(spark: SparkSession, tmp_path: Path) -> Centre:
    return Centre(spark, tmp_path)


def events(hour: str, *records: dict[str, Any], feed: str = "agentevents") -> dict[str, bytes]:
    """One object of agent events, usage or work codes that arrived in `hour`."""
    name = f"sc-{hashlib.sha256(json.dumps(records).encode()).hexdigest()[:8]}"
    return {f"symbee/{feed}/{hour}/{name}": json.dumps(records).encode()}


def transcript(day: str, name: str, *messages: tuple[str, str]) -> dict[str, bytes]:
    said = [{"Member": "x", "Timestamp": sent, "Direction": direction, "Message": "hi"} for sent, direction in messages]
    record = {"ActivityType": "CHAT_TRANSCRIPT", "SessionId": "s", "Transcript": said}
    return {f"symbee/ChatTranscripts/{day}/{name}": json.dumps(record).encode()}


def assert_as_in_one_run(centre: Centre, as_of: str) -> None:
    centre.run(as_of, lake="at-once", with_transcripts=True)
    assert_same_lake(centre, "lake", "at-once")


def test_agents_time_is_told_anew_when_events_come_late(centre: Centre) -> None:
    # A session that nothing ends, an evening in Chicago.
    centre.arrives(
        events("2025/03/05/02", agent_event("2025-03-05T02:00:00Z", "IDLE", EventType="LOGIN")),
        events("2025/03/05/02", agent_event("2025-03-05T03:00:00Z", "UNAVAILABLE", CurrentStateReason="Lunch")),
    )
    assert centre.run("2025-03-05T04:00:00Z", with_transcripts=True).dates == ["2025-03-04"]
    assert centre.rows(AGENT_SESSION, ["ended_by", "is_open", "duration_ms"]) == [
        {"ended_by": "LAST_SEEN", "is_open": True, "duration_ms": 3_600_000}
    ]
    # A sign of life after midnight carries its last state into the next date: one occurrence, on the first.
    centre.arrives(events("2025/03/05/07", usage("2025-03-05T07:00:00Z", "ALIVE"), feed="usage"))
    summary = centre.run("2025-03-05T08:00:00Z", with_transcripts=True)
    assert summary.dates == ["2025-03-04", "2025-03-05"]
    lunches = centre.rows(AGENT_UNAVAILABLE_DAILY, ["business_date", "unavailable_ms", "occurrences"])
    assert [(row["unavailable_ms"], row["occurrences"]) for row in lunches] == [(10_800_000, 1), (3_600_000, 0)]
    # Days later an event between the two, and the logout: both dates are told anew.
    centre.arrives(
        events("2025/03/07/12", agent_event("2025-03-05T05:30:00Z", "IDLE")),
        events("2025/03/07/12", agent_event("2025-03-05T06:30:00Z", "LOGGED_OFF", EventType="LOGOUT")),
    )
    assert "2025-03-04" in centre.run("2025-03-07T13:00:00Z", with_transcripts=True).dates
    idle = centre.rows(AGENT_DAILY, ["business_date", "idle_ms", "unavailable_ms", "logged_in_ms"])
    assert [(row["idle_ms"], row["unavailable_ms"], row["logged_in_ms"]) for row in idle] == [
        (5_400_000, 9_000_000, 14_400_000),
        (1_800_000, 0, 1_800_000),
    ]
    assert_as_in_one_run(centre, "2025-03-07T13:00:00Z")


def test_a_later_login_takes_back_what_usage_had_told(centre: Centre) -> None:
    centre.arrives(
        events("2025/03/04/15", agent_event("2025-03-04T15:00:00Z", "IDLE", EventType="LOGIN")),
        events("2025/03/06/15", usage("2025-03-06T15:00:00Z", "ALIVE"), feed="usage"),
    )
    assert centre.run("2025-03-06T16:00:00Z", with_transcripts=True).dates == ["2025-03-04", "2025-03-05", "2025-03-06"]
    other = {"AgentSessionId": "another", "EventType": "LOGIN"}
    centre.arrives(events("2025/03/06/16", agent_event("2025-03-06T14:00:00Z", "IDLE", **other)))
    summary = centre.run("2025-03-06T17:00:00Z", with_transcripts=True)
    assert summary.dates == ["2025-03-04", "2025-03-05", "2025-03-06"]
    assert [row["duration_ms"] for row in centre.rows(AGENT_SESSION, ["session_id", "duration_ms"])] == [0, 3_600_000]
    assert {row["business_date"].day for row in centre.rows(AGENT_STATE, ["business_date"])} == {6}
    assert_as_in_one_run(centre, "2025-03-06T17:00:00Z")


@pytest.mark.parametrize("few", [1_000, 0])
def test_a_session_goes_on_however_long_ago_its_agent_logged_in(
    centre: Centre, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moved_sessions, "_FEW_VALUES", few)  # more than few sessions are looked for in another way
    centre.arrives(events("2025/02/01/15", agent_event("2025-02-01T15:00:00Z", "IDLE", EventType="LOGIN")))
    centre.run("2025-02-03T16:00:00Z", with_transcripts=True)
    # Weeks later a sign of life: no other login tells that the session has ended, so it lasts until then.
    centre.arrives(events("2025/03/06/15", usage("2025-03-06T15:00:00Z", "ALIVE"), feed="usage"))
    assert len(centre.run("2025-03-07T16:00:00Z", with_transcripts=True).dates) == 34
    (session,) = centre.rows(AGENT_SESSION)
    assert session["duration_ms"] == 33 * 86_400_000
    # The agent logs in again, and then an event of the old session arrives, of a time between the two.
    again = {"AgentSessionId": "another", "EventType": "LOGIN"}
    centre.arrives(events("2025/03/08/15", agent_event("2025-03-08T15:00:00Z", "IDLE", **again)))
    assert centre.run("2025-03-09T16:00:00Z", with_transcripts=True).dates == ["2025-03-08"]
    centre.arrives(events("2025/03/10/15", agent_event("2025-03-07T15:00:00Z", "UNAVAILABLE")))
    assert len(centre.run("2025-03-11T16:00:00Z", with_transcripts=True).dates) == 35
    assert sorted(row["duration_ms"] for row in centre.rows(AGENT_SESSION)) == [0, 34 * 86_400_000]
    assert_as_in_one_run(centre, "2025-03-11T16:00:00Z")


def test_a_session_closes_by_time_alone(centre: Centre) -> None:
    centre.arrives(events("2025/03/04/15", agent_event("2025-03-04T15:00:00Z", "IDLE", EventType="LOGIN")))
    centre.run("2025-03-04T16:00:00Z", with_transcripts=True)
    assert [day.day for day in centre.pending()] == [4]
    assert centre.run("2025-03-05T15:00:00Z", with_transcripts=True).dates == ["2025-03-04"]
    centre.run("2025-03-05T15:00:01Z", with_transcripts=True)
    assert centre.pending() == []
    assert centre.rows(AGENT_SESSION, ["is_open"]) == [{"is_open": False}]


def test_codes_transcripts_and_conversations_that_come_in_parts(centre: Centre) -> None:
    key = "ChatTranscripts/2025/02/01/chat-1"
    chat = interaction(
        TaskId="chat",
        GatewayTaskId="gateway-chat",
        OriginTaskId="call",
        TaskType="WEBCHAT",
        DeliveryProvider="SYMBEE",
        MediaLocation=f"sc-reporting/{key}",
        CompletedTimestamp="2025-03-05T17:06:00Z",
    )
    code = work_code(GatewayTaskId="gateway-chat", CreatedDate="2025-03-06T17:00:00Z", TaskType="WEBCHAT")
    call = interaction(TaskId="call", GatewayTaskId="contact-1")
    # The code first, on a date of its own; then the chat, whose origin is not there yet.
    centre.arrives(events("2025/03/06/18", code, feed="workcodes"))
    centre.run("2025-03-06T19:00:00Z", with_transcripts=True)
    assert centre.rows(DISPOSITION, ["interaction_id"]) == [{"interaction_id": None}]
    # The transcript lies far outside the window: it is found because the chat names it.
    centre.arrives(
        transcript("2025/02/01", "chat-1", ("2025-03-05 05:59:00", "Inbound"), ("2025-03-05 06:00:30", "Outbound")),
        interaction_object("2025/03/06/20", chat),
    )
    summary = centre.run("2025-03-06T21:00:00Z", with_transcripts=True)
    assert summary.objects == 2
    # The messages lie on both sides of midnight, the code on a third date.
    assert summary.dates == ["2025-03-04", "2025-03-05", "2025-03-06"]
    responses = {row["sequence"]: row["response_ms"] for row in centre.rows(MESSAGE, ["sequence", "response_ms"])}
    assert responses == {0: None, 1: 90_000}
    (daily,) = centre.rows(CHAT_DAILY)
    assert (daily["business_date"].day, daily["first_response_ms"]) == (5, 90_000)
    (coded,) = centre.rows(WORK_CODE_DAILY)
    assert (coded["business_date"].day, coded["interactions"], coded["handle_ms"]) == (6, 1, 350_000)
    assert [row["uncoded"] for row in centre.rows(AGENT_DAILY, ["business_date", "uncoded"])] == [0]
    assert centre.rows(CONVERSATION, ["conversation_id", "transfers"]) == [{"conversation_id": "call", "transfers": 1}]
    # The call that it came of, days after, and then that call's contact: the conversation becomes the contact's.
    centre.arrives(interaction_object("2025/03/08/20", call))
    assert "2025-03-05" in centre.run("2025-03-08T21:00:00Z", with_transcripts=True).dates
    centre.arrives(contact_object("2025/03/09/20", contact(InitialContactId="first")))
    summary = centre.run("2025-03-09T21:00:00Z", with_transcripts=True)
    assert {"2025-03-04", "2025-03-05"} <= set(summary.dates)
    assert {row["conversation_id"] for row in centre.rows(INTERACTION, ["conversation_id"])} == {"first"}
    (conversation,) = centre.rows(CONVERSATION)
    assert (conversation["interactions"], conversation["contacts"], conversation["transfers"]) == (2, 1, 1)
    assert {row["conversation_id"] for row in centre.rows(MESSAGE, ["conversation_id"])} == {"first"}
    assert_as_in_one_run(centre, "2025-03-09T21:00:00Z")


def test_dates_recomputed_one_by_one_end_as_in_one_run(centre: Centre) -> None:
    """What crosses a date's bounds is right on a date though its neighbours are still pending."""
    centre.arrives(
        events("2025/03/05/02", agent_event("2025-03-05T02:00:00Z", "IDLE", EventType="LOGIN")),
        interaction_object("2025/03/04/20", interaction()),
    )
    centre.run("2025-03-05T03:00:00Z", with_transcripts=True)
    centre.arrives(
        events("2025/03/05/20", agent_event("2025-03-05T04:00:00Z", "UNAVAILABLE", CurrentStateReason="Lunch")),
        events("2025/03/05/20", agent_event("2025-03-05T20:00:00Z", "LOGGED_OFF", EventType="LOGOUT")),
        events("2025/03/05/20", work_code(CreatedDate="2025-03-05T18:00:00Z"), feed="workcodes"),
        contact_object("2025/03/05/20", contact()),
    )
    as_of = "2025-03-06T18:00:00Z"
    centre.run(as_of, "ingest", with_transcripts=True)
    assert [day.day for day in centre.pending()] == [4, 5]
    for day in (5, 4):
        date = centre.pending()[-1]
        assert date.day == day
        centre.run(as_of, "reconcile", with_transcripts=True, dates=(date, date))
        centre.run(as_of, "measure", with_transcripts=True, dates=(date, date))
    assert centre.pending() == []
    assert_as_in_one_run(centre, as_of)
