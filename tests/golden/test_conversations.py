"""Conversations: chains and legs by hand, random chains against a plain reading of the rules."""

import random
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.frames import at, frame, rows_of

from contactlake.conform.conversations import conversations, followed_conversations, with_conversations
from contactlake.reconciliation import (
    ReconciliationRules,
    interactions_of,
    judge_interactions,
    lonely_contacts,
    pair,
    rivals,
    with_partners,
)
from contactlake.tables.events import CONNECT_CONTACT, SYMBEE_INTERACTION

RULES = ReconciliationRules(at("2025-03-14T00:00:00"), "America/Chicago", 3000, 24, 30)
START = at("2025-03-04T17:00:00")


def task(task_id: str, minute: int = 0, **more: Any) -> dict[str, Any]:
    """A task that began `minute` minutes after five and took four."""
    begin = START + timedelta(minutes=minute)
    return {
        "task_id": task_id,
        "company_id": "abccompany",
        "environment": "prod",
        "task_type": "WEBCHAT",
        "username": "cmiller",
        "initiation_at": begin,
        "connected_at": begin,
        "completed_at": begin + timedelta(minutes=4),
        **more,
    }


def leg(contact_id: str, minute: int = 0, **more: Any) -> dict[str, Any]:
    """A call that began `minute` minutes after five, was answered at once and took four; then a minute's work."""
    begin = START + timedelta(minutes=minute)
    return {
        "contact_id": contact_id,
        "environment": "abccompany/prod",
        "channel": "VOICE",
        "initiation_method": "INBOUND",
        "initiation_at": begin,
        "agent": "cmiller",
        "agent_connected_at": begin,
        "agent_interaction_ms": 240_000,
        "disconnect_at": begin + timedelta(minutes=4),
        "acw_started_at": begin + timedelta(minutes=4),
        "acw_ended_at": begin + timedelta(minutes=5),
        **more,
    }


def paired(
    spark: SparkSession, tasks: Iterable[dict[str, Any]], legs: Iterable[dict[str, Any]]
) -> tuple[DataFrame, DataFrame]:
    contacts = frame(spark, CONNECT_CONTACT, legs)
    both = pair(frame(spark, SYMBEE_INTERACTION, tasks), contacts, RULES).localCheckpoint()
    return with_partners(both, rivals(both)), contacts


def identified(both: DataFrame, contacts: DataFrame) -> DataFrame:
    interactions = interactions_of(both)
    return with_conversations(interactions, followed_conversations(interactions, contacts))


def ids(spark: SparkSession, tasks: Iterable[dict[str, Any]], legs: Iterable[dict[str, Any]] = ()) -> dict[str, str]:
    both, contacts = paired(spark, tasks, legs)
    rows = rows_of(identified(both, contacts))
    return {row["task_id"]: row["conversation_id"] for row in rows}


def told(
    spark: SparkSession, tasks: Iterable[dict[str, Any]], legs: Iterable[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    both, contacts = paired(spark, tasks, legs)
    judged = judge_interactions(identified(both, contacts), RULES)
    judged, lonely = judged.localCheckpoint(), lonely_contacts(both)
    rows, again = (
        rows_of(conversations(judged, lonely, contacts, RULES.timezone, is_little)) for is_little in (True, False)
    )
    assert sorted(rows, key=str) == sorted(again, key=str)
    assert len({row["conversation_id"] for row in rows}) == len(rows)
    return {row["conversation_id"]: row for row in rows}


# --- which conversation ---


def test_the_first_rule_that_applies(spark: SparkSession) -> None:
    legs = [leg("c1"), leg("c2", initial_contact_id="c1"), leg("far", initiation_at=START - timedelta(days=400))]
    tasks = [
        task("own", gateway_task_id="c2", origin_task_id="elsewhere"),
        task("second-of-one", gateway_task_id="c2"),
        task("far-apart", gateway_task_id="far", origin_task_id="own"),
        task("from-task", gateway_task_id="unknown", origin_task_id="own", origin_gateway_task_id="far"),
        task("from-contact", origin_task_id="not-here", origin_gateway_task_id="far"),
        task("z-by-gateway", origin_gateway_task_id="shared"),
        task("b-shared", gateway_task_id="shared", origin_task_id="gone"),
        task("a-shared", gateway_task_id="shared"),
        task("origin-gateway-only", origin_task_id="gone", origin_gateway_task_id="gone-too"),
        task("origin-only", gateway_task_id="g", origin_task_id="gone"),
        task("gateway-only", gateway_task_id="g"),
        task("alone"),
    ]
    assert ids(spark, tasks, legs) == {
        "own": "c1",
        "second-of-one": "c1",
        "far-apart": "far",
        "from-task": "c1",
        "from-contact": "far",
        "z-by-gateway": "shared",
        "b-shared": "gone",
        "a-shared": "shared",
        "origin-gateway-only": "gone-too",
        "origin-only": "gone",
        "gateway-only": "g",
        "alone": "alone",
    }


def test_a_cycle_s_conversation_is_its_smallest_task(spark: SparkSession) -> None:
    found = ids(
        spark,
        [
            task("b", origin_task_id="c"),
            task("c", origin_task_id="d"),
            task("d", origin_task_id="b"),
            task("a-before", origin_task_id="c"),  # leads into the cycle and is not in it
            task("own-origin", origin_task_id="own-origin"),
        ],
    )
    assert found == {"b": "b", "c": "b", "d": "b", "a-before": "b", "own-origin": "own-origin"}


def test_origins_are_followed_fifty_steps(spark: SparkSession) -> None:
    names = [f"t{number:02}" for number in range(60)]
    found = ids(spark, [task(names[0], gateway_task_id="c"), *map(_follows, names[1:], names[:-1])], [leg("c")])
    assert found["t50"] == "c"
    assert found["t51"] == "t01"
    assert found["t59"] == "t09"


def _follows(name: str, before: str) -> dict[str, Any]:
    return task(name, origin_task_id=before)


def _plainly(tasks: list[dict[str, Any]], legs: list[dict[str, Any]]) -> dict[str, str]:
    contacts = {one["contact_id"]: one.get("initial_contact_id") or one["contact_id"] for one in legs}
    by_id = {one["task_id"]: one for one in tasks}

    def step(one: dict[str, Any]) -> tuple[str | None, str | None]:
        gateway, origin, origin_gateway = (
            one.get(name) for name in ("gateway_task_id", "origin_task_id", "origin_gateway_task_id")
        )
        if gateway in contacts:
            return contacts[gateway], None
        if origin in by_id:
            return None, origin
        if origin_gateway in contacts:
            return contacts[origin_gateway], None
        sharing = [
            other["task_id"] for other in tasks if origin_gateway and other.get("gateway_task_id") == origin_gateway
        ]
        if sharing:
            return None, min(sharing)
        return origin_gateway or origin or gateway or one["task_id"], None

    found = {}
    for one in tasks:
        path = [one["task_id"]]
        while True:
            conversation, following = step(by_id[path[-1]])
            if following is None:
                break
            if following in path:
                conversation = min(path[path.index(following) :])
                break
            if len(path) == 50 and step(by_id[following])[1] is not None and step(by_id[following])[1] not in path:
                conversation = following
                break
            path.append(following)
        assert conversation is not None
        found[one["task_id"]] = conversation
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_random_chains_are_as_the_rules_say(spark: SparkSession, seed: int) -> None:
    chance = random.Random(seed)
    names = [f"t{number:03}" for number in range(300)]
    contacts = [f"c{number:03}" for number in range(40)]

    def some(among: list[str], share: float) -> str | None:
        return chance.choice(among) if chance.random() < share else None

    legs = [leg(name, initial_contact_id=some(contacts, 0.4)) for name in contacts]
    gateways = [*contacts, *(f"g{number}" for number in range(120))]
    tasks = [
        task(
            name,
            gateway_task_id=some(gateways, 0.6),
            origin_task_id=some([*names, "gone"], 0.5),
            origin_gateway_task_id=some(gateways, 0.4),
        )
        for name in names
    ]
    assert ids(spark, tasks, legs) == _plainly(tasks, legs)


# --- the conversation as a whole ---


def child(contact_id: str, parent: str, minute: int = 2, **more: Any) -> dict[str, Any]:
    return leg(
        contact_id, minute, initial_contact_id=parent, previous_contact_id=parent, initiation_method="TRANSFER", **more
    )


_EARLY: dict[str, Any] = {"acw_started_at": START + timedelta(minutes=3)}
_EXTERNAL: dict[str, Any] = {
    "initiation_method": "EXTERNAL_OUTBOUND",
    "agent": None,
    "agent_connected_at": None,
    "external_third_party_ms": 60_000,
}
_TRANSFERRED: dict[str, Any] = {"transfer_completed_at": START + timedelta(minutes=3)}


@pytest.fixture(scope="module")
def legs_told(spark: SparkSession) -> dict[str, dict[str, Any]]:
    """Conversations of two legs, named after what the second is."""

    def both(name: str, parent: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
        return [leg(name, **parent), {**child(f"{name}-2", name), **second}]

    legs = [
        *both("consult", {}, {**_EARLY, "agent_interaction_ms": 1_999}),
        *both("conference", {}, {**_EARLY, "agent_interaction_ms": 2_000}),
        *both("conference-of-unknown-length", {}, {**_EARLY, "agent_interaction_ms": None}),
        *both("transfer", _TRANSFERRED, {}),
        *both("not-completed", {}, {}),
        *both("unanswered-child", _TRANSFERRED, {"agent_connected_at": None}),
        *both("no-after-contact-work", {"acw_started_at": None, **_TRANSFERRED}, {}),
        *both("external-transfer", _TRANSFERRED, _EXTERNAL),
        *both("external-consult", {"agent_hold_ms": 60_001}, _EXTERNAL),
        *both("external-conference", {"agent_hold_ms": 60_000}, _EXTERNAL),
        *both("external-by-default", {}, _EXTERNAL),
        leg("orphan", previous_contact_id="not-here"),
        leg("callback", initiation_method="CALLBACK"),
    ]
    return told(spark, [], legs)


@pytest.mark.parametrize(
    ("name", "transfers", "consults", "conferences", "external"),
    [
        ("consult", 0, 1, 0, 0),
        ("conference", 0, 0, 1, 0),
        ("conference-of-unknown-length", 0, 0, 1, 0),
        ("transfer", 1, 0, 0, 0),
        ("not-completed", 0, 0, 0, 0),
        ("unanswered-child", 0, 0, 0, 0),
        ("no-after-contact-work", 0, 0, 0, 0),
        ("external-transfer", 1, 0, 0, 1),
        ("external-consult", 0, 1, 0, 1),
        ("external-conference", 0, 0, 1, 1),
        ("external-by-default", 0, 0, 1, 1),
        ("orphan", 0, 0, 0, 0),
        ("callback", 0, 0, 0, 0),
    ],
)
def test_each_leg_is_of_one_type(
    legs_told: dict[str, dict[str, Any]], name: str, transfers: int, consults: int, conferences: int, external: int
) -> None:
    row = legs_told[name]
    assert (row["transfers"], row["consults"], row["conferences"], row["external_legs"]) == (
        transfers,
        consults,
        conferences,
        external,
    )
    assert row["callbacks"] == (1 if name == "callback" else 0)


def test_a_call_that_became_a_chat_is_one_conversation(spark: SparkSession) -> None:
    legs = [
        leg("call", queue="billing", enqueued_at=START),
        leg("queued", 1, initial_contact_id="call", agent=None, agent_connected_at=None, enqueued_at=START),
    ]
    tasks = [
        task(
            "voice", gateway_task_id="call", task_type="VOICE", delivery_provider="AMAZON", skill_queue_name="billing"
        ),
        task("chat", 5, origin_task_id="voice", username="other", skill_queue_name="chat-queue"),
        task("chat-2", 400, origin_task_id="chat", username="other", skill_queue_name="chat-queue"),
    ]
    (row,) = told(spark, tasks, legs).values()
    assert row["conversation_id"] == "call"
    assert (row["source"], row["environment"], row["channel"]) == ("symbee", "abccompany/prod", "voice")
    assert (row["interactions"], row["contacts"], row["agents"], row["queues"]) == (3, 2, 2, 2)
    assert (row["transfers"], row["outcome"], row["first_queue"]) == (2, "HANDLED", "billing")
    assert row["started_at"] == START
    assert row["ended_at"] == START + timedelta(minutes=404)
    assert row["business_date"].isoformat() == "2025-03-04"


def test_the_first_part_is_the_earliest_and_an_interaction_before_a_contact(spark: SparkSession) -> None:
    legs = [
        leg("c1", 0, queue="from-contact"),
        leg("c2", 0, initial_contact_id="c1", queue="unjoined"),
        leg("d1", 0, queue="first-contact", initiation_at=None),
        leg("d2", 9, initial_contact_id="d1", queue="later-contact"),
    ]
    tasks = [task("t1", 0, gateway_task_id="c1", skill_queue_name="from-interaction")]
    found = told(spark, tasks, legs)
    assert found["c1"]["first_queue"] == "from-interaction"
    assert found["d1"]["first_queue"] == "later-contact"  # an unknown beginning comes last


def test_outcomes(spark: SparkSession) -> None:
    nobody: dict[str, Any] = {"agent": None, "agent_connected_at": None}
    queued: dict[str, Any] = {"enqueued_at": START, "queue": "billing"}
    legs = [
        leg("answered", **queued),
        leg("given-up", **nobody, **queued),
        leg("never-queued", **nobody),
        leg("called-back-later", **nobody, **queued, next_contact_id="elsewhere"),
    ]
    symbees: dict[str, Any] = {
        "delivery_provider": "SYMBEE",
        "task_initiation_method": "INBOUND_QUEUE",
        "queued_at": START,
    }
    tasks = [
        task("chat-given-up", username=None, connected_at=None, **symbees),
        task("chat-passed-on", username=None, connected_at=None, is_transferred_out=True, **symbees),
    ]
    assert {name: row["outcome"] for name, row in told(spark, tasks, legs).items()} == {
        "answered": "HANDLED",
        "given-up": "ABANDONED",
        "never-queued": "OTHER",
        "called-back-later": "OTHER",
        "chat-given-up": "ABANDONED",
        "chat-passed-on": "OTHER",
    }
