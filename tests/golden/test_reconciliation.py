"""The status ladder and the comparisons, a case each, through the same frames that a run uses."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.lakes import Reader, configuration, run, write_objects
from tests.records import contact, contact_object, interaction, interaction_object, text, work_code

from contactlake.tables.conformed import INTERACTION, QUEUE_VISIT, RECONCILIATION

LATE = "2025-03-14T00:00:00Z"


@pytest.fixture(scope="module")
def reconciled(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[tuple[Any, Any], Any]]:
    """One lake with every case; per table, rows by key."""
    root = tmp_path_factory.mktemp("cases")

    def case(name: str, **changes: Any) -> dict[str, Any]:
        return interaction(TaskId=f"{name}-task", GatewayTaskId=name, **changes)

    def side(name: str, **changes: Any) -> dict[str, Any]:
        return contact(ContactId=name, **changes)

    interactions = [
        case("matched"),
        case("wrap-at-tolerance", WrapDurationInMillis=53_000),
        case("wrap-beyond", WrapDurationInMillis=53_001),
        case("other-agent"),
        case("queue-by-arn", SkillQueueName="queue-1"),
        case("other-queue", SkillQueueName="sales"),
        case("connected-later", ConnectedTimestamp="2025-03-04T17:00:14Z"),
        case("dialled", TaskInitiationMethod="OUTBOUND_AUTO_AGENT", ConnectedTimestamp="2025-03-04T16:59:30Z"),
        case("talk", ActiveDurationInMillis=None, ParkedDurationInMillis=296_999),
        case("no-clocks", ActiveDurationInMillis=None, ParkedDurationInMillis=None, WrapDurationInMillis=None),
        case("extra"),
        interaction(TaskId="extra-a", GatewayTaskId="extra", Username="someone.else"),
        interaction(TaskId="extra-b", GatewayTaskId="extra", ConnectedTimestamp="2025-03-04T17:00:30Z"),
        case("missing"),
        case("bridged", DeliveryProvider="SYMBEE", TaskInitiationMethod="BRIDGE"),
        case("voice-by-symbee", DeliveryProvider="SYMBEE"),
        case("chat-by-symbee", DeliveryProvider="SYMBEE", TaskType="WEBCHAT"),
        case("chat-yet-contact", DeliveryProvider="SYMBEE", TaskType="WEBCHAT"),
        case("in-span", InitiationTimestamp="2025-02-02T16:59:00Z"),
        case("beyond-span", InitiationTimestamp="2025-02-02T16:58:59Z"),
        case("initiation-unknown", InitiationTimestamp=""),
        case("awaiting", CompletedTimestamp="2025-03-13T00:00:01Z"),
        case("grace-over", CompletedTimestamp="2025-03-13T00:00:00Z"),
        interaction(TaskId="no-gateway-task", GatewayTaskId=""),
        case("automated", Username="", TaskType="SMS", DeliveryProvider="SYMBEE"),
    ]
    contacts = [
        *(
            side(name)
            for name in (
                "matched",
                "wrap-at-tolerance",
                "wrap-beyond",
                "queue-by-arn",
                "other-queue",
                "connected-later",
                "dialled",
                "talk",
                "no-clocks",
                "extra",
                "chat-yet-contact",
                "in-span",
                "beyond-span",
                "initiation-unknown",
            )
        ),
        side("other-agent", agent={"Username": "someone.else"}),
        side("lonely"),
        side("no-gateway-task"),  # its id is that of a task without a contact: two rows, whichever way nulls are hashed
        side("lonely-recent", agent={"AfterContactWorkEndTimestamp": "2025-03-13T00:00:01Z"}),
        side("unhandled", agent={"ConnectedToAgentTimestamp": None}),
        side("stranger", agent={"Username": "not.in.symbee"}),
        side("nobody", agent={"Username": None}),
        side("monitor", InitiationMethod="MONITOR", agent={"ConnectedToAgentTimestamp": None}),
        side(
            "before-first-seen", agent={"Username": "newcomer", "AfterContactWorkEndTimestamp": "2025-03-03T17:06:00Z"}
        ),
        side("on-first-day", agent={"Username": "newcomer", "AfterContactWorkEndTimestamp": "2025-03-04T12:00:00Z"}),
        side(
            "abandoned", agent={"ConnectedToAgentTimestamp": None}, queue={"Duration": None, "DequeueTimestamp": None}
        ),
        side("diverted", agent={"ConnectedToAgentTimestamp": None}, NextContactId="matched"),
    ]
    write_objects(
        root,
        {
            **interaction_object("2025/03/04/18", *interactions),
            **contact_object("2025/03/04/18", *contacts),
            "symbee/workcodes/2025/03/04/18/sc-1": text(
                [work_code(Username="newcomer", GatewayTaskId="elsewhere", CreatedDate="2025-03-04T23:00:00Z")]
            ),
        },
    )
    settings = configuration(str(root / "lake"), str(root / "symbee"), str(root / "connect"))
    assert run(spark, settings, LATE).quarantined == 0
    reader = Reader(spark, settings)
    tables = {}
    for table in (RECONCILIATION, INTERACTION, QUEUE_VISIT):
        rows = [row.asDict(recursive=True) for row in reader.frame(table).collect()]
        tables[table.name] = {tuple(row[name] for name in table.key): row for row in rows}
        assert len(tables[table.name]) == len(rows)
    return tables


@pytest.mark.parametrize(
    ("contact_id", "task_id", "status", "differing"),
    [
        ("matched", "matched-task", "MATCHED", []),
        ("wrap-at-tolerance", "wrap-at-tolerance-task", "MATCHED", []),
        ("wrap-beyond", "wrap-beyond-task", "MATCHED_WITH_DIFFERENCES", ["wrap"]),
        ("other-agent", "other-agent-task", "MATCHED_WITH_DIFFERENCES", ["agent"]),
        ("queue-by-arn", "queue-by-arn-task", "MATCHED", []),
        ("other-queue", "other-queue-task", "MATCHED_WITH_DIFFERENCES", ["queue"]),
        ("connected-later", "connected-later-task", "MATCHED_WITH_DIFFERENCES", ["connected"]),
        ("dialled", "dialled-task", "MATCHED", []),
        ("talk", "talk-task", "MATCHED_WITH_DIFFERENCES", ["talk"]),
        ("no-clocks", "no-clocks-task", "MATCHED", []),
        ("extra", "extra-task", "MATCHED", []),
        ("extra", "extra-a", "EXTRA_INTERACTION", []),
        ("extra", "extra-b", "EXTRA_INTERACTION", []),
        ("missing", "missing-task", "MISSING_CONTACT", []),
        ("bridged", "bridged-task", "NOT_EXPECTED", []),
        ("voice-by-symbee", "voice-by-symbee-task", "MISSING_CONTACT", []),
        ("chat-by-symbee", "chat-by-symbee-task", "NOT_EXPECTED", []),
        ("chat-yet-contact", "chat-yet-contact-task", "MATCHED", []),
        ("in-span", "in-span-task", "MATCHED", []),
        ("beyond-span", "beyond-span-task", "MISSING_CONTACT", []),
        ("beyond-span", None, "MISSING_INTERACTION", []),
        ("initiation-unknown", "initiation-unknown-task", "MATCHED", []),
        ("awaiting", "awaiting-task", "AWAITING_CONTACT", []),
        ("grace-over", "grace-over-task", "MISSING_CONTACT", []),
        (None, "no-gateway-task", "MISSING_CONTACT", []),
        ("automated", "automated-task", "NOT_EXPECTED", []),
        ("lonely", None, "MISSING_INTERACTION", []),
        ("no-gateway-task", None, "MISSING_INTERACTION", []),
        ("lonely-recent", None, "AWAITING_INTERACTION", []),
        ("unhandled", None, "UNHANDLED", []),
        ("stranger", None, "NOT_SYMBEE_AGENT", []),
        ("nobody", None, "NOT_SYMBEE_AGENT", []),
        ("monitor", None, "NOT_EXPECTED", []),
        ("before-first-seen", None, "NOT_SYMBEE_AGENT", []),
        ("on-first-day", None, "MISSING_INTERACTION", []),
    ],
)
def test_status(
    reconciled: dict[str, dict[tuple[Any, Any], Any]],
    contact_id: str | None,
    task_id: str | None,
    status: str,
    differing: list[str],
) -> None:
    row = reconciled["reconciliation"][contact_id, task_id]
    assert row["status"] == status
    assert [difference["field"] for difference in row["differences"]] == differing


def test_a_difference_tells_both_sides(reconciled: dict[str, dict[tuple[Any, Any], Any]]) -> None:
    rows = reconciled["reconciliation"]
    assert rows["wrap-beyond", "wrap-beyond-task"]["differences"] == [
        {"field": "wrap", "interaction": "53001", "contact": "50000", "delta_ms": 3001}
    ]
    assert rows["connected-later", "connected-later-task"]["differences"] == [
        {
            "field": "connected",
            "interaction": "2025-03-04T17:00:14Z",
            "contact": "2025-03-04T17:00:10Z",
            "delta_ms": 4000,
        }
    ]
    assert rows["other-queue", "other-queue-task"]["differences"] == [
        {"field": "queue", "interaction": "sales", "contact": "billing", "delta_ms": None}
    ]
    assert rows["talk", "talk-task"]["talk_delta_ms"] == 296_999 - 300_000
    assert rows["no-clocks", "no-clocks-task"]["talk_delta_ms"] is None
    assert rows["dialled", "dialled-task"]["connected_delta_ms"] is None


def test_a_contact_without_interaction_stands_on_its_own(reconciled: dict[str, dict[tuple[Any, Any], Any]]) -> None:
    row = reconciled["reconciliation"]["lonely", None]
    assert (row["environment"], row["agent"], row["queue"], row["channel"]) == (
        "abccompany/prod",
        "cmiller",
        "billing",
        "voice",
    )
    assert row["contact_ended_at"].replace(tzinfo=UTC) == datetime(2025, 3, 4, 17, 6, tzinfo=UTC)
    assert row["interaction_completed_at"] is None


def test_interactions_take_from_their_contact_alone(reconciled: dict[str, dict[tuple[Any, Any], Any]]) -> None:
    rows = reconciled["interaction"]
    matched = rows["symbee", "matched-task"]
    assert (matched["contact_id"], matched["queue_ms"], matched["queue_ms_from"]) == ("matched", 55_000, "contact")
    assert (matched["hold_ms"], matched["handle_ms"], matched["focus_ms"]) == (20_000, 350_000, 340_000)
    assert matched["is_handled"] is True
    extra = rows["symbee", "extra-a"]
    assert (extra["contact_id"], extra["hold_ms"], extra["queue_ms_from"]) == (None, None, "interaction")
    assert rows["symbee", "no-clocks-task"]["handle_ms"] is None
    assert rows["symbee", "automated-task"]["is_handled"] is False
    assert rows["symbee", "chat-by-symbee-task"]["channel"] == "chat"
    assert rows["symbee", "dialled-task"]["direction"] == "outbound"


def test_queue_visits_by_outcome(reconciled: dict[str, dict[tuple[Any, Any], Any]]) -> None:
    rows = reconciled["queue_visit"]
    assert rows["connect", "matched"]["outcome"] == "ANSWERED"
    abandoned = rows["connect", "abandoned"]
    assert abandoned["outcome"] == "ABANDONED"
    assert abandoned["wait_ms"] == 360_000  # from the queue's entry to the disconnect
    assert rows["connect", "diverted"]["outcome"] == "DIVERTED"
    assert {key[0] for key in rows} == {"connect"}  # no interaction here was queued by Symbee


def test_every_side_is_there_once(reconciled: dict[str, dict[tuple[Any, Any], Any]]) -> None:
    assert len(reconciled["interaction"]) == 25
    keys = reconciled["reconciliation"]
    assert len({task for _, task in keys if task is not None}) == 25
    assert sum(task is None for _, task in keys) == 12
