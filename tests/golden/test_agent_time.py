"""Agents' time from their events: every rule by hand, and random sessions against a plain reading of the rules."""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.frames import at, frame, rows_of

from contactlake.conform.agent_time import AgentTime, agent_states, agent_time, focus_intervals
from contactlake.tables.events import SYMBEE_AGENT_EVENT, SYMBEE_USER_USAGE

CHICAGO = "America/Chicago"
LATE = at("2025-12-01T00:00:00")


def event(moment: str | datetime, state: str, kind: str = "STATE_CHANGE", **more: Any) -> dict[str, Any]:
    instant = at(moment) if isinstance(moment, str) else moment
    if isinstance(more.get("previous_state_at"), str):
        more["previous_state_at"] = at(more["previous_state_at"])
    return {
        "company_id": "abccompany",
        "environment": "prod",
        "username": "cmiller",
        "agent_session_id": "s1",
        "event_type": kind,
        "current_state": state,
        "current_state_at": instant,
        **more,
    }


def use(moment: str | datetime, **more: Any) -> dict[str, Any]:
    return {
        "company_id": "abccompany",
        "environment": "prod",
        "username": "cmiller",
        "usage_entry_at": at(moment) if isinstance(moment, str) else moment,
        "usage_action_code": "ALIVE",
        **more,
    }


def told(
    spark: SparkSession,
    events: Iterable[dict[str, Any]],
    usage: Iterable[dict[str, Any]] = (),
    as_of: datetime = LATE,
) -> AgentTime:
    rows = frame(spark, SYMBEE_AGENT_EVENT, events)
    logins = rows.where("event_type = 'LOGIN'")
    return agent_time(rows, logins, frame(spark, SYMBEE_USER_USAGE, usage), as_of)


@dataclass
class Told:
    """What all cases' events tell, computed at once: rows by the agent that a case is named after."""

    intervals: dict[str, list[dict[str, Any]]]
    sessions: dict[str, list[dict[str, Any]]]
    focus: dict[str, list[dict[str, Any]]]
    pieces: dict[tuple[str, str], list[dict[str, Any]]]


_EVENTS: list[dict[str, Any]] = []
_USAGE: list[dict[str, Any]] = []
ZONES = ("America/Chicago", "America/Sao_Paulo", "America/Havana", "Asia/Kolkata")


def case(*events: dict[str, Any], usage: Iterable[dict[str, Any]] = ()) -> str:
    """Makes the events those of an agent of their own, and returns its name."""
    name = f"agent{len(_EVENTS)}"
    _EVENTS.extend({**one, "username": name} for one in events)
    _USAGE.extend({**one, "username": name} for one in usage)
    return name


@pytest.fixture(scope="module")
def cases(spark: SparkSession) -> Told:
    time = told(spark, _EVENTS, _USAGE)
    intervals = time.intervals.localCheckpoint()

    def by_agent(rows: DataFrame) -> dict[str, list[dict[str, Any]]]:
        found = defaultdict(list)
        for row in rows_of(rows):
            found[row["agent"]].append(row)
        return found

    pieces = {(zone, agent): rows for zone in ZONES for agent, rows in by_agent(agent_states(intervals, zone)).items()}
    return Told(by_agent(intervals), by_agent(time.sessions), by_agent(focus_intervals(intervals)), pieces)


def clock(instant: datetime) -> str:
    return instant.strftime("%H:%M:%S")


def intervals_of(cases: Told, name: str) -> list[tuple[Any, ...]]:
    found = [row for row in cases.intervals[name] if row["session_id"] == "s1"]
    return sorted((clock(row["started_at"]), clock(row["ended_at"]), row["state"]) for row in found)


def session_of(cases: Told, name: str) -> tuple[Any, ...]:
    (row,) = (row for row in cases.sessions[name] if row["session_id"] == "s1")
    return clock(row["started_at"]), clock(row["ended_at"]), row["ended_by"], row["is_open"]


# --- intervals ---

NOON = "2025-03-04T12:00:00"
END = "2025-03-04T12:10:00"

ORDINARY = case(
    event("2025-03-04T15:00:00", "UNAVAILABLE", "LOGIN"),
    event("2025-03-04T15:01:00", "IDLE"),
    event("2025-03-04T15:10:00", "RESERVED"),
    event("2025-03-04T15:10:05", "WORKING"),
    event("2025-03-04T15:15:00", "WRAP"),
    event("2025-03-04T15:16:00", "LOGGED_OFF", "LOGOUT"),
)


def test_each_event_opens_an_interval_that_the_next_one_closes(cases: Told) -> None:
    assert intervals_of(cases, ORDINARY) == [
        ("15:00:00", "15:01:00", "UNAVAILABLE"),
        ("15:01:00", "15:10:00", "IDLE"),
        ("15:10:00", "15:10:05", "RESERVED"),
        ("15:10:05", "15:15:00", "WORKING"),
        ("15:15:00", "15:16:00", "WRAP"),
    ]
    assert session_of(cases, ORDINARY) == ("15:00:00", "15:16:00", "LOGOUT", False)


SIMULTANEOUS = case(
    event(NOON, "LOGGED_OFF", "LOGOUT", agent_session_id="other"),
    event(NOON, "WORKING", previous_state_at="2025-03-04T11:59:00"),
    event(NOON, "IDLE"),
    event(NOON, "UNAVAILABLE", "LOGIN"),
    event(END, "LOGGED_OFF", "LOGOUT"),
)
LOGGED_OUT_AT_ONCE = case(
    event(NOON, "UNAVAILABLE", "LOGIN"), event(NOON, "LOGGED_OFF", "LOGOUT"), event(NOON, "IDLE", "TIMEOUT")
)


def test_events_of_one_instant_happen_in_order(cases: Told) -> None:
    # Login, change, timeout, logout; of equal kinds the one without a previous time first, then by previous time.
    assert intervals_of(cases, SIMULTANEOUS) == [("12:00:00", "12:10:00", "WORKING")]
    assert session_of(cases, LOGGED_OUT_AT_ONCE) == ("12:00:00", "12:00:00", "LOGOUT", False)


def _with_previous(state: str | None, moment: str | None) -> str:
    return case(
        event(NOON, "IDLE", "LOGIN"),
        event(END, "LOGGED_OFF", "LOGOUT", previous_state=state, previous_state_at=moment),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            _with_previous("WORKING", "2025-03-04T12:04:00"),
            [("12:00:00", "12:04:00", "IDLE"), ("12:04:00", "12:10:00", "WORKING")],
        ),
        (_with_previous("WORKING", "2025-03-04T12:30:00"), [("12:00:00", "12:10:00", "IDLE")]),  # after the event
        (_with_previous("WORKING", NOON), [("12:00:00", "12:10:00", "IDLE")]),  # not later than the interval's start
        (_with_previous("WORKING", None), [("12:00:00", "12:10:00", "IDLE")]),
        (_with_previous("IDLE", "2025-03-04T12:04:00"), [("12:00:00", "12:10:00", "IDLE")]),  # nothing was lost
        (_with_previous(None, "2025-03-04T12:04:00"), [("12:00:00", "12:10:00", "IDLE")]),
    ],
)
def test_a_lost_event_is_filled_in(cases: Told, name: str, expected: list[tuple[str, str, str]]) -> None:
    assert intervals_of(cases, name) == expected


FILLED_IN = case(
    event(NOON, "IDLE", "LOGIN", current_task_count=0),
    event(
        END,
        "IDLE",
        previous_state="UNAVAILABLE",
        previous_state_reason="Lunch",
        previous_state_at="2025-03-04T12:02:00",
        previous_task_count=2,
        previous_focus_task_id="t1",
        previous_focus_task_state="PARKED",
    ),
)


def test_the_filled_in_interval_has_the_previous_state_s_own_words(cases: Told) -> None:
    (row,) = (row for row in cases.intervals[FILLED_IN] if row["state"] == "UNAVAILABLE")
    assert (row["reason"], row["task_count"], row["focus_interaction_id"]) == ("Lunch", 2, "t1")
    (focus,) = cases.focus[FILLED_IN]
    assert (focus["interaction_id"], focus["focus_state"], focus["duration_ms"]) == ("t1", "PARKED", 480_000)


TIMED_OUT = case(
    event(NOON, "IDLE", "LOGIN"),
    event(END, "UNAVAILABLE", "TIMEOUT"),
    event("2025-03-04T12:20:00", "LOGGED_OFF", "TIMEOUT"),
)


def test_a_timeout_in_another_state_goes_on(cases: Told) -> None:
    assert intervals_of(cases, TIMED_OUT) == [("12:00:00", "12:10:00", "IDLE"), ("12:10:00", "12:20:00", "UNAVAILABLE")]
    assert session_of(cases, TIMED_OUT) == ("12:00:00", "12:20:00", "TIMEOUT", False)


RESUMED = case(
    event(NOON, "IDLE", "LOGIN"),
    event(END, "LOGGED_OFF", "LOGOUT"),
    event("2025-03-04T12:15:00", "IDLE", previous_state="WORKING", previous_state_at="2025-03-04T12:12:00"),
    event("2025-03-04T12:20:00", "LOGGED_OFF"),
)


def test_events_after_the_end_open_intervals_again(cases: Told) -> None:
    assert intervals_of(cases, RESUMED) == [("12:00:00", "12:10:00", "IDLE"), ("12:15:00", "12:20:00", "IDLE")]
    assert session_of(cases, RESUMED) == ("12:00:00", "12:20:00", "LOGOUT", False)


# --- sessions without an end ---

_UNENDED = (event(NOON, "IDLE", "LOGIN"), event(END, "WORKING"))
_LOGIN_AT_ONE = event("2025-03-04T13:00:00", "IDLE", "LOGIN", agent_session_id="s2")
_USED = (use("2025-03-04T12:30:00"), use("2025-03-04T13:30:00"))
NOT_USED = case(*_UNENDED)
USED = case(*_UNENDED, usage=(use("2025-03-04T11:00:00"), use("2025-03-04T12:25:00")))
USED_AFTER_LOGIN = case(_UNENDED[0], _LOGIN_AT_ONE, usage=_USED)
OWN_AFTER_LOGIN = case(_UNENDED[0], _LOGIN_AT_ONE, event("2025-03-04T14:00:00", "IDLE"), usage=_USED)


def test_it_ends_at_its_last_event_or_the_user_s_last_usage(cases: Told) -> None:
    assert session_of(cases, NOT_USED) == ("12:00:00", "12:10:00", "LAST_SEEN", False)
    assert session_of(cases, USED) == ("12:00:00", "12:25:00", "LAST_SEEN", False)
    assert intervals_of(cases, USED)[-1] == ("12:10:00", "12:25:00", "WORKING")


def test_usage_counts_up_to_the_next_login_of_whichever_session(cases: Told) -> None:
    assert session_of(cases, USED_AFTER_LOGIN) == ("12:00:00", "12:30:00", "LAST_SEEN", False)
    # Its own events count, all of them.
    assert session_of(cases, OWN_AFTER_LOGIN) == ("12:00:00", "14:00:00", "LAST_SEEN", False)


def test_it_is_open_for_a_day_unless_there_is_a_later_login(spark: SparkSession) -> None:
    login = event(NOON, "IDLE", "LOGIN")
    events = [
        {**login, "username": "recent"},
        {**login, "username": "followed"},
        {**login, "username": "followed", "agent_session_id": "s2", "current_state_at": at(END)},
        {**login, "username": "old", "current_state_at": at(NOON) - timedelta(seconds=1)},
    ]
    sessions = rows_of(told(spark, events, as_of=at(NOON) + timedelta(hours=24)).sessions)
    assert {(row["agent"], row["session_id"]): row["is_open"] for row in sessions} == {
        ("recent", "s1"): True,
        ("followed", "s1"): False,
        ("followed", "s2"): True,
        ("old", "s1"): False,
    }


def test_only_the_last_piece_of_an_open_session_is_open(spark: SparkSession) -> None:
    time = told(
        spark,
        [event(NOON, "IDLE", "LOGIN"), event(END, "WORKING")],
        [use("2025-03-05T07:00:00")],
        at("2025-03-05T08:00:00"),
    )
    rows = rows_of(agent_states(time.intervals, CHICAGO))
    pieces = sorted((row["business_date"].day, row["state"], row["is_open"]) for row in rows)
    assert pieces == [(4, "IDLE", False), (4, "WORKING", False), (5, "WORKING", True)]


# --- cut at dates ---


def _around(zone: str, day: str) -> str:
    """A session from two days before noon of `day` to two days after."""
    noon = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    two_days = timedelta(days=2)
    return case(event(noon - two_days, "IDLE", "LOGIN"), event(noon + two_days, "LOGGED_OFF", "LOGOUT"))


@pytest.mark.parametrize(
    ("name", "zone", "day", "hours"),
    [
        (_around(zone, day), zone, day, hours)
        for zone, day, hours in (
            ("America/Chicago", "2025-03-09", 23),
            ("America/Chicago", "2025-11-02", 25),
            ("America/Sao_Paulo", "2018-11-04", 23),  # there is no midnight: the date begins at one
            ("America/Havana", "2024-11-03", 25),  # midnight occurs twice: the first counts
            ("Asia/Kolkata", "2025-03-09", 24),
        )
    ],
)
def test_a_date_is_as_long_as_it_is(cases: Told, name: str, zone: str, day: str, hours: int) -> None:
    pieces = {f"{row['business_date']}": row for row in cases.pieces[zone, name]}
    assert pieces[day]["duration_ms"] == hours * 3_600_000
    assert sum(row["duration_ms"] for row in pieces.values()) == 96 * 3_600_000
    assert pieces[day]["started_at"].astimezone(ZoneInfo(zone)).date().isoformat() == day


TO_MIDNIGHT = case(
    event("2025-03-04T22:00:00-06:00", "IDLE", "LOGIN"),
    event("2025-03-05T00:00:00-06:00", "WORKING"),
    event("2025-03-05T01:00:00-06:00", "LOGGED_OFF", "LOGOUT"),
)


def test_an_interval_that_ends_at_midnight_has_no_piece_beyond(cases: Told) -> None:
    pieces = sorted((row["business_date"].day, row["state"]) for row in cases.pieces[CHICAGO, TO_MIDNIGHT])
    assert pieces == [(4, "IDLE"), (5, "WORKING")]


# --- against a plain reading of the rules ---

_STATES = ["IDLE", "WORKING", "WRAP", "UNAVAILABLE", "RESERVED", "PENDING_UNAVAILABLE", "LOGGED_OFF"]
_KINDS = ["STATE_CHANGE"] * 8 + ["LOGIN", "LOGOUT", "TIMEOUT", "OTHER"]


def _random_events(chance: random.Random, agents: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    start = at("2025-03-08T20:00:00")
    events, usage = [], []
    for agent in range(agents):
        for number in range(chance.randint(1, 3)):
            for _ in range(chance.randint(1, 8)):
                moment = start + timedelta(minutes=chance.randint(0, 60) * 30)
                more: dict[str, Any] = {}
                if chance.random() < 0.6:
                    more["previous_state"] = chance.choice(_STATES)
                if chance.random() < 0.6:
                    more["previous_state_at"] = moment + timedelta(minutes=chance.randint(-8, 2) * 15)
                events.append(
                    event(
                        moment,
                        chance.choice(_STATES),
                        chance.choice(_KINDS),
                        username=f"agent{agent}",
                        agent_session_id=f"{agent}-{number}",
                        **more,
                    )
                )
        for _ in range(chance.randint(0, 4)):
            usage.append(use(start + timedelta(minutes=chance.randint(0, 80) * 30), username=f"agent{agent}"))
    return events, usage


def _plainly(
    events: list[dict[str, Any]], usage: list[dict[str, Any]], as_of: datetime
) -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
    """Intervals and sessions by the rules, one event after another."""
    rank = {"LOGIN": 0, "TIMEOUT": 2, "LOGOUT": 3}
    sessions = defaultdict(list)
    for one in events:
        sessions[one["username"], one["agent_session_id"]].append(one)
    pieces, ends = set(), set()
    for (agent, name), own in sessions.items():
        own.sort(
            key=lambda one: (
                one["current_state_at"],
                rank.get(one["event_type"], 1),
                one.get("previous_state_at") or datetime.min.replace(tzinfo=UTC),
                one["current_state"],
                one["record_sha256"],
            )
        )
        first = own[0]["current_state_at"]
        opened: tuple[str, datetime] | None = None
        ended_by, end = "", first
        for one in own:
            now = one["current_state_at"]
            if opened is not None:
                state, since = opened
                before, before_at = one.get("previous_state"), one.get("previous_state_at")
                closes = now
                if before is not None and before != state and before_at is not None and before_at > since:
                    closes = min(before_at, now)
                    pieces.add((agent, name, before, closes, now))
                pieces.add((agent, name, state, since, closes))
            is_end = one["event_type"] == "LOGOUT" or one["current_state"] == "LOGGED_OFF"
            opened = None if is_end else (one["current_state"], now)
            ended_by = ("TIMEOUT" if one["event_type"] == "TIMEOUT" else "LOGOUT") if is_end else "LAST_SEEN"
            end = now
        logins = [
            one["current_state_at"] for one in events if one["username"] == agent and one["event_type"] == "LOGIN"
        ]
        later = min((moment for moment in logins if moment > first), default=None)
        if opened is not None:
            signs = [
                one["usage_entry_at"]
                for one in usage
                if one["username"] == agent
                and one["usage_entry_at"] > first
                and (later is None or one["usage_entry_at"] < later)
            ]
            end = max([end, *signs])
            pieces.add((agent, name, opened[0], opened[1], end))
        is_open = opened is not None and later is None and end >= as_of - timedelta(hours=24)
        ends.add((agent, name, first, end, ended_by, is_open))
    return {piece for piece in pieces if piece[4] > piece[3]}, ends


@pytest.mark.parametrize("seed", [1, 2])
def test_random_sessions_are_as_the_rules_say(spark: SparkSession, seed: int) -> None:
    chance = random.Random(seed)
    events, usage = _random_events(chance, agents=150)
    as_of = at("2025-03-10T06:00:00")
    rows = rows_of(frame(spark, SYMBEE_AGENT_EVENT, events))
    time = told(spark, events, usage, as_of)
    pieces, ends = _plainly(rows, usage, as_of)
    found = rows_of(time.intervals)
    assert {(r["agent"], r["session_id"], r["state"], r["started_at"], r["ended_at"]) for r in found} == pieces
    assert len(found) == len(pieces)
    sessions = rows_of(time.sessions)
    assert {
        (r["agent"], r["session_id"], r["started_at"], r["ended_at"], r["ended_by"], r["is_open"]) for r in sessions
    } == ends
    # The stored pieces tile the intervals: the same total, no gap, no overlap.
    cut = rows_of(agent_states(time.intervals, CHICAGO))
    assert sum(row["duration_ms"] for row in cut) == sum(
        (row["ended_at"] - row["started_at"]) // timedelta(milliseconds=1) for row in found
    )
    by_session = defaultdict(list)
    for row in cut:
        by_session[row["agent"], row["session_id"]].append((row["started_at"], row["ended_at"]))
    for spans in by_session.values():
        spans.sort()
        assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans))
    assert all(
        row["started_at"].astimezone(ZoneInfo(CHICAGO)).date()
        == (row["ended_at"] - timedelta(microseconds=1)).astimezone(ZoneInfo(CHICAGO)).date()
        == row["business_date"]
        for row in cut
    )
