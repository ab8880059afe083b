"""An agent's day with every state, and what of it gold's tables say, by day and by quarters of an hour."""

from datetime import date, datetime, timedelta
from typing import Any, cast

import pytest
from pyspark.sql import SparkSession
from tests.frames import at, frame, rows_of

from contactlake.kpi.agent import AGENT, AGENT_BY_INTERVAL, AGENT_UNAVAILABLE
from contactlake.kpi.conformed import Conformed
from contactlake.tables.conformed import AGENT_STATE, DISPOSITION, INTERACTION

ENVIRONMENT = "abccompany/prod"
START = at("2025-03-04T15:00:00")
STATES: list[tuple[str, int | None, str | None, int]] = [  # state, tasks, reason, minutes
    ("UNAVAILABLE", 0, "Login", 1),
    ("IDLE", 0, None, 10),
    ("RESERVING", 0, None, 1),
    ("RESERVED", 1, None, 2),
    ("WORKING", 1, None, 20),
    ("PENDING_UNAVAILABLE", 2, "Lunch", 4),
    ("PENDING_UNAVAILABLE", 0, "Lunch", 3),
    ("PENDING_UNAVAILABLE", None, None, 5),
    ("WRAP", 1, None, 6),
    ("UNAVAILABLE", 0, "Lunch", 30),
    ("UNKNOWN", 0, None, 7),
    ("SOMETHING_NEW", 3, None, 8),
]


def pieces() -> list[dict[str, Any]]:
    rows, now = [], START
    for state, tasks, reason, minutes in STATES:
        end = now + timedelta(minutes=minutes)
        rows.append(
            {
                "source": "symbee",
                "environment": ENVIRONMENT,
                "agent": "cmiller",
                "session_id": "s1" if state != "SOMETHING_NEW" else "s2",
                "state": state,
                "reason": reason,
                "task_count": tasks,
                "started_at": now,
                "ended_at": end,
                "duration_ms": minutes * 60_000,
                "business_date": date(2025, 3, 4),
            }
        )
        now = end
    return rows


def handled(name: str, completed: datetime, **more: Any) -> dict[str, Any]:
    return {
        "source": "symbee",
        "interaction_id": name,
        "environment": ENVIRONMENT,
        "agent": "cmiller",
        "completed_at": completed,
        "business_date": date(2025, 3, 4),
        "is_handled": True,
        "focus_ms": 600_000,
        "parked_ms": 30_000,
        **more,
    }


@pytest.fixture(scope="module")
def conformed(spark: SparkSession) -> Conformed:
    states = frame(spark, AGENT_STATE, pieces())
    interactions = [
        handled("coded", START + timedelta(minutes=14, seconds=59)),
        handled("uncoded", START + timedelta(minutes=15), parked_ms=None),
        handled("not-handled", START, is_handled=False),
        handled("someone-else-s", START, agent="only.work", focus_ms=None),
    ]
    timeouts = spark.createDataFrame(
        [
            (ENVIRONMENT, "cmiller", START + timedelta(minutes=16)),
            (ENVIRONMENT, "cmiller", START + timedelta(days=1)),  # of another date
            (ENVIRONMENT, "only.timed.out", START),
        ],
        "environment string, agent string, at timestamp",
    )
    nothing = cast("Any", None)
    return Conformed(
        interaction=frame(spark, INTERACTION, interactions),
        queue_visit=nothing,
        reconciliation=nothing,
        agent_state=states,
        disposition=nothing,
        conversation=nothing,
        intervals=states,
        dispositions=frame(spark, DISPOSITION, [{"interaction_id": "coded"}, {"interaction_id": "coded"}, {}]),
        messages=nothing,
        handle_times=nothing,
        timeouts=timeouts,
        usage=nothing,
        dates=[date(2025, 3, 4)],
        timezone="America/Chicago",
        thresholds_seconds=(),
        heartbeat_timeout_minutes=60,
    )


def test_a_day_with_every_state(conformed: Conformed) -> None:
    rows = {row["agent"]: row for row in rows_of(AGENT.compute(conformed))}
    assert set(rows) == {"cmiller", "only.work", "only.timed.out"}
    day = rows["cmiller"]
    minutes = {name: day[f"{name}_ms"] / 60_000 for name in ("idle", "reserved", "working", "wrap", "unavailable")}
    # Pending with a task is work; without one, or without word of one, it is unavailable.
    assert minutes == {"idle": 10, "reserved": 3, "working": 24, "wrap": 6, "unavailable": 39}
    assert day["other_ms"] / 60_000 == 15
    assert day["logged_in_ms"] / 60_000 == 97
    assert (day["sessions"], day["timeouts"], day["handled"], day["uncoded"]) == (2, 1, 2, 1)
    assert (day["focus_ms"], day["parked_ms"]) == (1_200_000, 30_000)
    assert day["occupancy"] == pytest.approx(30 / 43)
    assert day["utilisation"] == pytest.approx(30 / 97)
    assert day["focus_share"] == pytest.approx(20 / 30)
    alone = rows["only.work"]
    assert (alone["logged_in_ms"], alone["handled"], alone["focus_ms"], alone["sessions"]) == (0, 1, 0, 0)
    assert (alone["occupancy"], alone["utilisation"], alone["focus_share"]) == (None, None, None)
    assert rows["only.timed.out"]["timeouts"] == 1


def test_unavailable_by_reason(conformed: Conformed) -> None:
    rows = {row["reason"]: row for row in rows_of(AGENT_UNAVAILABLE.compute(conformed))}
    assert {reason: (row["unavailable_ms"] / 60_000, row["occurrences"]) for reason, row in rows.items()} == {
        "Login": (1, 1),
        "Lunch": (33, 2),
        "(none)": (5, 1),
    }


def test_time_is_cut_at_quarters_of_an_hour(conformed: Conformed) -> None:
    rows = [row for row in rows_of(AGENT_BY_INTERVAL.compute(conformed)) if row["agent"] == "cmiller"]
    rows.sort(key=lambda row: row["interval_start_at"])
    assert [f"{row['interval_start_at']:%H:%M}" for row in rows] == [
        "15:00", "15:15", "15:30", "15:45", "16:00", "16:15", "16:30",
    ]  # fmt: skip
    assert [row["logged_in_ms"] / 60_000 for row in rows] == [15, 15, 15, 15, 15, 15, 7]
    assert [row["working_ms"] / 60_000 for row in rows] == [1, 15, 8, 0, 0, 0, 0]
    assert [row["handled"] for row in rows] == [1, 1, 0, 0, 0, 0, 0]
    assert [row["uncoded"] for row in rows] == [0, 1, 0, 0, 0, 0, 0]
    assert [row["timeouts"] for row in rows] == [0, 1, 0, 0, 0, 0, 0]
