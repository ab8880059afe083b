"""Response times from transcripts: the guide's own chat, what breaks a run, random chats against a plain reading."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from tests.frames import at, frame, rows_of

from contactlake.conform.messages import messages
from contactlake.feeds import feed_named
from contactlake.feeds.block import decode_text
from contactlake.feeds.record_type import Context
from contactlake.tables.events import SYMBEE_INTERACTION, SYMBEE_TRANSCRIPT

PRINTED = Path(__file__).parents[1] / "data" / "symbee" / "transcript.txt"
START = at("2025-03-04T17:00:00")
PARTIES = {"Inbound": "customer", "Outbound": "agent"}


def told(spark: SparkSession, transcripts: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The messages per interaction, which is named like its transcript's key."""
    rows = list(transcripts)
    interactions = [{"task_id": row["media_key"], "media_location": f"bucket/{row['media_key']}"} for row in rows]
    tasks = frame(spark, SYMBEE_INTERACTION, [*interactions, {"task_id": "without"}])
    conversations = tasks.selectExpr("task_id", "concat('of-', task_id) as conversation_id")
    found: dict[str, list[dict[str, Any]]] = {row["media_key"]: [] for row in rows}
    for row in rows_of(messages(tasks, frame(spark, SYMBEE_TRANSCRIPT, rows), conversations)):
        assert row["conversation_id"] == f"of-{row['interaction_id']}"
        found[row["interaction_id"]].append(row)
    for said in found.values():
        said.sort(key=lambda row: row["sequence"])
    return found


def chat(key: str, *messages: tuple[str | None, int | None]) -> dict[str, Any]:
    """A transcript of (direction, seconds after five)."""
    return {
        "media_key": key,
        "messages": [
            {
                "sent_at": None if second is None else START + timedelta(seconds=second),
                "direction": direction,
                "party": PARTIES.get(direction or ""),
                "length": 1,
            }
            for direction, second in messages
        ],
    }


def test_the_guide_s_own_chat(spark: SparkSession) -> None:
    context = Context(None, (), lambda column: column, "key")
    (part,) = decode_text(PRINTED.read_bytes(), feed_named("symbee_transcript"), context)
    ((_, table),) = part.rows
    (said,) = told(spark, table.select(["media_key", "messages"]).to_pylist()).values()
    assert [row["party"] for row in said].count("customer") == 4
    assert [row["response_ms"] for row in said] == [
        None,
        9_000,
        None,
        None,
        31_000,  # since the first of the agent's three messages
        45_000,
        77_000,
        7_000,
        7_000,
        8_000,
    ]
    assert [row["first_response_ms"] for row in said if row["first_response_ms"] is not None] == [9_000]
    assert said[0]["sent_at"] == datetime(2019, 5, 1, 0, 46, 6, tzinfo=UTC)
    assert said[0]["length"] == len("Hi, can I get my password reset please?")


def test_what_answers_and_what_does_not(spark: SparkSession) -> None:
    found = told(
        spark,
        [
            chat("agent-first", ("Outbound", 0), ("Inbound", 10), ("Outbound", 15)),
            chat("unknown-between", ("Inbound", 0), ("System", 5), ("Inbound", 7), (None, 8), ("Outbound", 20)),
            chat("clock-back", ("Inbound", 10), ("Outbound", 5)),
            chat("no-answer", ("Inbound", 0), ("Inbound", 5)),
            chat("no-time", ("Inbound", 0), ("Outbound", None), ("Outbound", 9)),
            chat("nothing"),
        ],
    )

    def responses(key: str) -> list[int | None]:
        return [row["response_ms"] for row in found[key]]

    def first(key: str) -> list[int]:
        return [row["first_response_ms"] for row in found[key] if row["first_response_ms"] is not None]

    assert (responses("agent-first"), first("agent-first")) == ([None, 10_000, 5_000], [5_000])
    assert (responses("unknown-between"), first("unknown-between")) == ([None, None, None, None, 20_000], [20_000])
    assert [row["party"] for row in found["unknown-between"]] == ["customer", None, "customer", None, "agent"]
    assert (responses("clock-back"), first("clock-back")) == ([None, 0], [0])
    assert (responses("no-answer"), first("no-answer")) == ([None, None], [])
    # A message without a time stands in the transcript alone; places stay what they were.
    assert [(row["sequence"], row["response_ms"]) for row in found["no-time"]] == [(0, None), (2, 9_000)]
    assert found["nothing"] == []


def test_random_chats_are_as_the_rules_say(spark: SparkSession) -> None:
    chance = random.Random(5)
    chats = []
    for number in range(200):
        second, said = 0, []
        for _ in range(chance.randint(0, 12)):
            second += chance.randint(-5, 60)
            said.append((chance.choice(["Inbound", "Outbound", "Inbound", "Outbound", "System"]), second))
        chats.append(chat(f"k{number:03}", *said))
    for key, rows in told(spark, chats).items():
        run: list[tuple[str, datetime]] = []
        asked = answered = None
        for row in rows:
            party, sent = row["party"], row["sent_at"]
            response = None
            if party is not None:
                if run and run[0][0] != party:
                    response = max(0, (sent - run[0][1]) // timedelta(milliseconds=1))
                    run = []
                run.append((party, sent))
                if party == "customer" and asked is None:
                    asked = sent
                if party == "agent" and asked is not None and answered is None:
                    answered = row["sequence"]
                    assert row["first_response_ms"] == max(0, (sent - asked) // timedelta(milliseconds=1)), key
            assert row["response_ms"] == response, key
            assert (row["first_response_ms"] is not None) == (answered == row["sequence"]), key
