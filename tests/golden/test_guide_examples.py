"""The examples of the vendor's own guide: as printed they are no JSON; mended they say what the guide says of them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from contactlake.feeds import feed_named
from contactlake.feeds.block import Decoded, decode_text
from contactlake.feeds.record_type import Context

PRINTED = Path(__file__).parents[1] / "data" / "symbee"
SYMBEE = feed_named("symbee")
CONTEXT = Context(None, ("Phone", "FullName"), lambda column: column, "key")


def mended() -> str:
    """The guide's interaction with its three missing commas and its one curly quote put right."""
    text = (PRINTED / "interaction.txt").read_text(encoding="utf-8")
    for broken, whole in (
        ('"DeliveryProvider": "SYMBEE"', '"DeliveryProvider": "SYMBEE",'),
        ('"ConnectedTimestamp": "2019-02-28T01:04:52Z"', '"ConnectedTimestamp": "2019-02-28T01:04:52Z",'),
        ('"FullName": "John Smith"', '"FullName": "John Smith",'),
        ("”", '"'),
    ):
        assert broken in text
        text = text.replace(broken, whole)
    return text


def decode(text: bytes) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    parts: list[Decoded] = list(decode_text(text, SYMBEE, CONTEXT))
    rows = [row for part in parts for _, table in part.rows for row in _python(table)]
    return rows, [(refused.ordinal, refused.reason) for part in parts for refused in part.quarantined]


def _python(table: pa.Table) -> list[dict[str, Any]]:
    return list(table.to_pylist())


def test_mended_it_is_the_row_that_the_guide_describes() -> None:
    (row,), refused = decode(mended().encode())
    assert refused == []
    assert row["task_id"] == "32628905-a1bd-4d7b-977d-9ae4b500b086"
    assert row["gateway_task_id"] == "9e108fff-f369-4921-87fe-7d1656006dd4"
    assert (row["task_type"], row["task_initiation_method"], row["delivery_provider"]) == (
        "WEBCHAT",
        "INBOUND_QUEUE",
        "SYMBEE",
    )
    assert (row["username"], row["user_report_hierarchy"]) == ("cmiller", "MidWest|Servicing|GTocata")
    # "If the task did not result in a transfer this will be empty-string": null, and not transferred.
    assert (row["origin_task_id"], row["transferred_to_address"], row["is_transferred_out"]) == (None, None, False)
    assert row["near_end_address"] is None
    assert row["far_end_address"] == "John Smith"
    assert row["media_location"].startswith("sc-reporting-prod-999123456789/ChatTranscripts/2019/02/28/")
    assert row["queued_at"] == datetime(2019, 2, 28, 1, 4, 48, tzinfo=UTC)
    assert row["completed_at"] == datetime(2019, 2, 28, 1, 5, 54, tzinfo=UTC)
    # "Active, Wrap, and Parked ... combined provide the total time the agent worked the task."
    assert (row["queued_ms"], row["active_ms"], row["parked_ms"], row["wrap_ms"]) == (1934, 48_674, 0, 11_215)
    assert dict(row["attributes"]) == {"Phone": "5551232100", "FullName": "John Smith"}
    assert row["flags"] == []


def test_as_printed_it_is_one_refused_record_between_two_good_ones() -> None:
    printed = (PRINTED / "interaction.txt").read_bytes()
    first = json.dumps({**json.loads(mended()), "TaskId": "first"}).encode()
    last = json.dumps({**json.loads(mended()), "TaskId": "last"}).encode()
    rows, refused = decode(first + printed + last)
    assert [(row["source_ordinal"], row["task_id"]) for row in rows] == [(0, "first"), (2, "last")]
    assert refused == [(1, "UNDECODABLE")]
