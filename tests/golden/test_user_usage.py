"""Usage sessions and the most users at once: each rule by hand, random users against a plain reading."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import SparkSession
from tests.frames import at, frame, rows_of

from contactlake.kpi.user_usage import usage_sessions, user_usage_daily
from contactlake.tables.events import SYMBEE_USER_USAGE

CHICAGO = "America/Chicago"


def use(user: str, action: str, moment: str | datetime, product: str | None = "Engage") -> dict[str, Any]:
    return {
        "company_id": "abccompany",
        "environment": "prod",
        "product_id": product,
        "username": user,
        "usage_action_code": action,
        "usage_entry_at": at(moment) if isinstance(moment, str) else moment,
    }


def sessions(spark: SparkSession, *events: dict[str, Any], timeout: int = 60) -> list[tuple[str, str]]:
    rows = rows_of(usage_sessions(frame(spark, SYMBEE_USER_USAGE, events), timeout))
    return sorted((f"{row['started_at']:%H:%M}", f"{row['ended_at']:%H:%M}") for row in rows)


def daily(spark: SparkSession, events: Iterable[dict[str, Any]], dates: Sequence[date]) -> dict[Any, tuple[int, ...]]:
    return {
        (row["business_date"].isoformat(), row["product_id"]): (
            row["users"],
            row["sessions"],
            row["peak_concurrent_users"],
        )
        for row in rows_of(user_usage_daily(frame(spark, SYMBEE_USER_USAGE, events), dates, CHICAGO, 60))
    }


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("BEGIN", "12:00"), ("ALIVE", "12:50"), ("END", "13:40")], [("12:00", "13:40")]),
        ([("BEGIN", "12:00"), ("ALIVE", "13:00"), ("ALIVE", "14:01")], [("12:00", "13:00"), ("14:01", "14:01")]),
        ([("BEGIN", "12:00"), ("ALIVE", "12:30"), ("BEGIN", "12:40")], [("12:00", "12:30"), ("12:40", "12:40")]),
        ([("ALIVE", "12:00"), ("END", "12:10"), ("END", "12:20")], [("12:00", "12:10"), ("12:20", "12:20")]),
        ([("END", "12:10"), ("ALIVE", "12:20")], [("12:10", "12:10"), ("12:20", "12:20")]),
        ([("END", "12:00"), ("BEGIN", "12:00"), ("ALIVE", "12:00")], [("12:00", "12:00")]),
        ([("BEGIN", "12:00"), ("PING", "12:30"), ("END", "12:40")], [("12:00", "12:40")]),
    ],
)
def test_a_session_ends(spark: SparkSession, events: list[tuple[str, str]], expected: list[tuple[str, str]]) -> None:
    assert sessions(spark, *(use("a", action, f"2025-03-04T{clock}:00") for action, clock in events)) == expected


def test_the_most_users_at_one_instant(spark: SparkSession) -> None:
    noon = "2025-03-04T12:00:00"
    one = "2025-03-04T13:00:00"
    found = daily(
        spark,
        [
            use("a", "BEGIN", noon),
            use("a", "END", one),
            use("b", "BEGIN", one),  # comes at the instant at which a goes
            use("b", "END", "2025-03-04T13:30:00"),
            use("a", "BEGIN", one),  # the same user again, at once: still one
            use("c", "BEGIN", "2025-03-04T14:00:00"),
            use("d", "ALIVE", noon, product=None),
            use("e", "ALIVE", "2025-03-05T05:50:00"),  # the evening of the fourth in Chicago
            use("e", "ALIVE", "2025-03-05T06:00:00"),  # and its midnight
            use("f", "ALIVE", "2025-03-05T06:20:00"),
        ],
        [date(2025, 3, 4), date(2025, 3, 5)],
    )
    assert found == {
        ("2025-03-04", "Engage"): (4, 5, 2),
        ("2025-03-04", "(none)"): (1, 1, 1),
        ("2025-03-05", "Engage"): (2, 2, 1),
    }


def test_random_users_are_as_the_rules_say(spark: SparkSession) -> None:
    chance = random.Random(3)
    start = at("2025-03-09T00:00:00")  # two days about the spring change
    events = [
        use(f"u{user}", chance.choice(["BEGIN", "ALIVE", "ALIVE", "END"]), start + timedelta(minutes=10 * slot))
        for user in range(25)
        for slot in sorted(chance.sample(range(432), chance.randint(1, 80)))
    ]
    dates = [date(2025, 3, 8), date(2025, 3, 9), date(2025, 3, 10), date(2025, 3, 11)]
    assert daily(spark, events, dates) == _plainly(events, dates)


def _plainly(events: list[dict[str, Any]], dates: Sequence[date]) -> dict[Any, tuple[int, ...]]:
    by_user = defaultdict(list)
    for one in events:
        by_user[one["username"]].append(one)
    spans: list[tuple[str, datetime, datetime]] = []
    for user, own in by_user.items():
        opened: list[datetime] = []
        for one in own:
            moment, action = one["usage_entry_at"], one["usage_action_code"]
            if opened and (action == "BEGIN" or moment - opened[-1] > timedelta(minutes=60)):
                spans.append((user, opened[0], opened[-1]))
                opened = []
            opened.append(moment)
            if action == "END":
                spans.append((user, opened[0], opened[-1]))
                opened = []
        if opened:
            spans.append((user, opened[0], opened[-1]))
    found: dict[Any, tuple[int, ...]] = {}
    for day in dates:
        first, after = (
            datetime.combine(day + timedelta(days=more), datetime.min.time(), ZoneInfo(CHICAGO)) for more in (0, 1)
        )
        touching = [(user, start, end) for user, start, end in spans if start < after and end >= first]
        if touching:
            instants = [max(start, first) for _, start, _ in touching]
            most = max(len({user for user, start, end in touching if start <= now <= end}) for now in instants)
            found[day.isoformat(), "Engage"] = (len({user for user, _, _ in touching}), len(touching), most)
    return found
