"""Which interaction a work code belongs to."""

from typing import Any

from pyspark.sql import SparkSession
from tests.frames import at, frame, rows_of

from contactlake.conform.dispositions import dispositions
from contactlake.tables.events import CONNECT_CONTACT, SYMBEE_INTERACTION, SYMBEE_WORK_CODE


def code(name: str, gateway: str, **more: Any) -> dict[str, Any]:
    return {
        "company_id": "abccompany",
        "environment": "prod",
        "gateway_task_id": gateway,
        "username": "cmiller",
        "work_code_name": name,
        "work_group_name": "Voice",
        "task_type": "SMS_PINPOINT",
        "queue_name": "billing",
        "created_at": at("2025-03-05T05:59:59"),
        **more,
    }


def task(task_id: str, gateway: str, ended: str, **more: Any) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "company_id": "abccompany",
        "environment": "prod",
        "gateway_task_id": gateway,
        "username": "cmiller",
        "completed_at": at(ended),
        **more,
    }


def test_a_code_belongs_to_the_closest_interaction_of_its_task_and_user(spark: SparkSession) -> None:
    codes = [
        code("one", "g1"),
        code("closest", "g2"),
        code("tie", "g3"),
        code("other-user", "g4"),
        code("other-environment", "g5"),
        code("no-company", "g6", company_id=None),
        code("nothing", "g7", work_group_name=None),
    ]
    tasks = [
        task("t1", "g1", "2025-03-05T07:00:00"),
        task("t2-early", "g2", "2025-03-05T05:59:50"),
        task("t2-late", "g2", "2025-03-05T06:00:20"),
        task("t3-b", "g3", "2025-03-05T05:59:49"),
        task("t3-a", "g3", "2025-03-05T06:00:09"),
        task("t4", "g4", "2025-03-05T06:00:00", username="someone.else"),
        task("t5", "g5", "2025-03-05T06:00:00", environment="test"),
        task("t6", "g6", "2025-03-05T06:00:00", company_id=None),
    ]
    contacts = [{"contact_id": "g2"}, {"contact_id": "g4"}]
    rows = rows_of(
        dispositions(
            frame(spark, SYMBEE_WORK_CODE, codes),
            frame(spark, SYMBEE_INTERACTION, tasks),
            frame(spark, CONNECT_CONTACT, contacts),
            "America/Chicago",
        )
    )
    assert {row["code"]: (row["interaction_id"], row["contact_id"]) for row in rows} == {
        "one": ("t1", None),
        "closest": ("t2-early", "g2"),
        "tie": ("t3-a", None),
        "other-user": (None, "g4"),
        "other-environment": (None, None),
        "no-company": ("t6", None),
        "nothing": (None, None),
    }
    assert len({row["disposition_id"] for row in rows}) == len(codes)
    (row,) = (row for row in rows if row["code"] == "nothing")
    assert (row["environment"], row["channel"], row["queue"]) == ("abccompany/prod", "sms", "billing")
    assert row["code_group"] is None
    assert row["business_date"].isoformat() == "2025-03-04"
