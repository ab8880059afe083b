"""Reading one record: every rule of the archive, every reason to refuse it, every flag."""

import itertools
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.feed_samples import CONNECT, SYMBEE, TRANSCRIPTS

from contactlake.feeds.block import Decoded, decode_text
from contactlake.feeds.record_type import Context, Feed

DATA = Path(__file__).parents[1] / "data"


def decode(text: bytes | str, feed: Feed, **options: Any) -> Decoded:
    """Everything in `text`, as one."""
    told: dict[str, Any] = {
        "environment": "abccompany/prod",
        "attributes_keep": (),
        "protect": lambda column: column,
        "media_key": "key",
    }
    total = Decoded()
    encoded = text if isinstance(text, bytes) else text.encode()
    for decoded in decode_text(encoded, feed, Context(**(told | options))):
        total.rows += decoded.rows
        total.quarantined += decoded.quarantined
        total.records += decoded.records
    return total


def row_of(record: dict[str, Any] | str | bytes, feed: Feed, **options: Any) -> dict[str, Any]:
    """The one row that the record gives."""
    text = json.dumps(record, ensure_ascii=False) if isinstance(record, dict) else record
    decoded = decode(text, feed, **options)
    assert decoded.quarantined == []
    ((_, table),) = decoded.rows
    rows: list[dict[str, Any]] = table.to_pylist()
    (row,) = rows
    return row


def refusal_of(record: dict[str, Any] | str, feed: Feed, **options: Any) -> tuple[str, str]:
    text = json.dumps(record) if isinstance(record, dict) else record
    decoded = decode(text, feed, **options)
    assert decoded.rows == []
    (refused,) = decoded.quarantined
    return refused.reason, refused.detail


def interaction(**members: Any) -> dict[str, Any]:
    return {
        "ActivityType": "INTERACTION_TRACE_RECORD",
        "TaskId": "task",
        "CompletedTimestamp": "2025-03-07T12:00:00Z",
        **members,
    }


def contact(**members: Any) -> dict[str, Any]:
    return {"AWSAccountId": "1", "ContactId": "contact", "InitiationTimestamp": "2025-03-07T12:00:00Z", **members}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestTimestamps:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2025-03-07T19:41:46Z", at("2025-03-07T19:41:46")),
            ("2025-03-07T19:41:46.1Z", at("2025-03-07T19:41:46.100000")),
            ("2025-03-07T19:41:46.123456Z", at("2025-03-07T19:41:46.123456")),
            ("2025-03-07T19:41:46.123456999Z", at("2025-03-07T19:41:46.123456")),
            ("2025-03-07T19:41:46.0000009Z", at("2025-03-07T19:41:46")),
            ("2025-03-07T19:41:46+05:30", at("2025-03-07T14:11:46")),
            ("2025-03-07T19:41:46-0800", at("2025-03-08T03:41:46")),
            ("2025-03-07T19:41:46.5-00:00", at("2025-03-07T19:41:46.500000")),
            ("2025-03-07T19:41:46+23:59", at("2025-03-06T19:42:46")),
            ("2024-02-29T00:00:00Z", at("2024-02-29T00:00:00")),
            ("2000-02-29T00:00:00Z", at("2000-02-29T00:00:00")),
            ("0001-01-01T00:00:00Z", at("0001-01-01T00:00:00")),
            ("9999-12-31T23:59:59.999999Z", at("9999-12-31T23:59:59.999999")),
        ],
    )
    def test_are_read(self, text: str, expected: datetime) -> None:
        assert row_of(interaction(WrapTimestamp=text), SYMBEE)["wrap_at"] == expected
        assert row_of(contact(DisconnectTimestamp=text), CONNECT)["disconnect_at"] == expected

    @pytest.mark.parametrize(
        "value",
        [
            *("2025-03-07", "2025-03-07T19:41Z", "2025-03-07T19:41:46", "2025-03-07 19:41:46Z", "2025-03-07t19:41:46Z"),
            *("2025-03-07T19:41:46z", "2025-03-07T19:41:46.Z", "2025-03-07T19:41:46,5Z", "2025-03-07T19:41:46+05"),
            *("2025-03-07T19:41:46+5:30", "2025-03-07T19:41:46+05:60", "2025-03-07T19:41:46+24:00", "20250307T194146Z"),
            *("2025-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2025-04-31T00:00:00Z", "2025-13-01T00:00:00Z"),
            *("2025-00-10T00:00:00Z", "2025-01-00T00:00:00Z", "2025-03-07T24:00:00Z", "2025-03-07T23:60:00Z"),
            *("2025-03-07T23:59:60Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"),
            *(" 2025-03-07T19:41:46Z", "2025-03-07T19:41:46Z ", "2025-03-07T19:41:46Z\n", "2025-03-07T19:41:46ZZ"),
            *("٢٠٢٥-03-07T19:41:46Z", "yesterday", "1741376506", 1741376506, 1741376506.5, True, [], {}, ["x"]),
        ],
    )
    def test_of_another_form_are_bad_values(self, value: Any) -> None:
        assert refusal_of(interaction(WrapTimestamp=value), SYMBEE) == ("BAD_VALUE", "WrapTimestamp")

    @pytest.mark.parametrize("value", [None, ""])
    def test_may_be_missing(self, value: str | None) -> None:
        assert row_of(interaction(WrapTimestamp=value), SYMBEE)["wrap_at"] is None
        assert row_of(interaction(), SYMBEE)["wrap_at"] is None


class TestNumbers:
    @pytest.mark.parametrize(
        ("json_text", "expected"),
        [
            ("0", 0),
            ("-0", 0),
            ("42", 42),
            ('"42"', 42),
            ('"-0"', 0),
            ('"007"', 7),
            (f'"{"0" * 100}7"', 7),
            ("9223372036854775807", (1 << 63) - 1),
            ('"9223372036854775807"', (1 << 63) - 1),
            ("null", None),
            ('""', None),
        ],
    )
    def test_are_read(self, json_text: str, expected: int | None) -> None:
        text = json.dumps(interaction())[:-1] + f',"WrapDurationInMillis":{json_text}}}'
        assert row_of(text, SYMBEE)["wrap_ms"] == expected

    def test_may_be_negative_where_they_are_no_durations(self) -> None:
        event = {
            "ActivityType": "EXTENDED_AGENT_EVENTS",
            "Username": "u",
            "AgentSessionId": "s",
            "EventType": "LOGIN",
            "CurrentState": "IDLE",
            "CurrentStateTimestamp": "2025-03-07T12:00:00Z",
            "CurrentTaskCount": "-9223372036854775808",
        }
        assert row_of(event, SYMBEE)["current_task_count"] == -(1 << 63)

    @pytest.mark.parametrize(
        "json_text",
        [
            *(
                "5.0",
                "1e3",
                "1E3",
                "0.5",
                "-0.0",
                "9223372036854775808",
                "-9223372036854775809",
                "1" * 40,
                "true",
                "[]",
            ),
            *('"5.0"', '"1e3"', '"+5"', '" 5"', '"5 "', '"5\\n"', '"0x5"', '"five"', '"٥"', '"-"', '"--5"', '"1_000"'),
            *('"9223372036854775808"', f'"{"9" * 5_000}"', "{}"),
        ],
    )
    def test_of_another_form_are_bad_values(self, json_text: str) -> None:
        text = json.dumps(interaction())[:-1] + f',"WrapDurationInMillis":{json_text}}}'
        assert refusal_of(text, SYMBEE) == ("BAD_VALUE", "WrapDurationInMillis")

    def test_of_seconds_are_kept_in_milliseconds(self) -> None:
        row = row_of(contact(Queue={"Duration": 346}, Agent={"CustomerHoldDuration": "221"}), CONNECT)
        assert (row["queue_ms"], row["agent_hold_ms"]) == (346_000, 221_000)

    @pytest.mark.parametrize(("seconds", "fits"), [(9223372036854775, True), (9223372036854776, False)])
    def test_of_seconds_fit_in_milliseconds(self, seconds: int, fits: bool) -> None:
        record = contact(Queue={"Duration": seconds})
        if fits:
            assert row_of(record, CONNECT)["queue_ms"] == seconds * 1_000
        else:
            assert refusal_of(record, CONNECT) == ("BAD_VALUE", "Queue.Duration")


class TestTexts:
    @pytest.mark.parametrize(
        ("json_text", "expected"),
        [
            ('"482"', "482"),
            ("482", "482"),
            ("4.820e2", "4.820e2"),
            ("-0.0", "-0.0"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("true", "true"),
            ("false", "false"),
            ("null", None),
            ('""', None),
            ('" "', " "),
            (r'"\u00e4\n\ud83d\ude00"', "ä\n😀"),
            ('"ä😀"', "ä😀"),
        ],
    )
    def test_keep_a_scalars_json(self, json_text: str, expected: str | None) -> None:
        text = json.dumps(interaction())[:-1] + f',"GatewayWorkHandle":{json_text}}}'
        assert row_of(text, SYMBEE)["gateway_work_handle"] == expected

    @pytest.mark.parametrize("value", [[], {}, ["a"], {"a": 1}])
    def test_hold_no_structure(self, value: Any) -> None:
        assert refusal_of(interaction(GatewayWorkHandle=value), SYMBEE) == ("BAD_VALUE", "GatewayWorkHandle")


class TestStructures:
    @pytest.mark.parametrize("value", [None, ""])
    def test_may_be_missing(self, value: str | None) -> None:
        row = row_of(contact(Agent=value, Queue=value, SegmentAttributes=value, ChatMetrics=value), CONNECT)
        assert (row["agent"], row["queue"], row["segment_subtype"], row["chat_metrics"]) == (None, None, None, None)

    @pytest.mark.parametrize("value", [0, "text", True, False, [], [{"Username": "u"}]])
    def test_are_neither_scalars_nor_arrays(self, value: Any) -> None:
        assert refusal_of(contact(Agent=value), CONNECT) == ("BAD_VALUE", "Agent")
        assert refusal_of(contact(Queue=value), CONNECT) == ("BAD_VALUE", "Queue")
        nested = contact(Agent={"HierarchyGroups": {"Level2": value}})
        assert refusal_of(nested, CONNECT) == ("BAD_VALUE", "Agent.HierarchyGroups.Level2")
        both = contact(ChatMetrics={"ContactMetrics": {"MultiParty": True}, "ChatContactMetrics": value})
        assert refusal_of(both, CONNECT) == ("BAD_VALUE", "ChatMetrics.ChatContactMetrics")

    def test_that_nobody_reads_may_be_anything(self) -> None:
        assert row_of(contact(Recording=5, ContactDetails=[], Unknown={"Agent": 1}), CONNECT)["contact_id"] == "contact"


class TestKeysThatOccurTwice:
    @pytest.mark.parametrize(
        ("first", "last", "expected"),
        [('"a"', '"b"', "b"), ("5", '"b"', "b"), ('"a"', "null", None), ('"a"', '""', None), ("[]", '"b"', "b")],
    )
    def test_the_last_counts(self, first: str, last: str, expected: str | None) -> None:
        text = json.dumps(interaction())[:-1] + rf',"Username":{first},"User\u006eame":{last}}}'
        assert row_of(text, SYMBEE)["username"] == expected

    def test_the_last_type_counts(self) -> None:
        text = json.dumps(interaction())[:-1] + ',"ActivityType":"WORK_CODES"}'
        assert refusal_of(text, SYMBEE) == ("MISSING_VALUE", "GatewayTaskId")

    def test_the_last_structure_counts(self) -> None:
        text = json.dumps(contact())[:-1] + ',"Agent":{"Username":"a","ARN":"x"},"Agent":{"Username":"b"}}'
        row = row_of(text, CONNECT)
        assert (row["agent"], row["agent_arn"]) == ("b", None)


class TestAttributes:
    def test_are_dropped_unless_they_are_to_be_kept(self) -> None:
        attributes = {"Email": "jsmith@gmail.com", "tier": "gold"}
        assert row_of(interaction(Attributes=attributes), SYMBEE)["attributes"] is None
        row = row_of(interaction(Attributes=attributes), SYMBEE, attributes_keep=("tier", "absent", "tier"))
        assert row["attributes"] == [("tier", "gold")]

    def test_keys_may_differ_only_in_case(self) -> None:
        attributes = {"greetingPlayed": "1", "GreetingPlayed": "2", "GREETINGPLAYED": "3"}
        row = row_of(contact(Attributes=attributes), CONNECT, attributes_keep=("GreetingPlayed", "greetingPlayed"))
        assert dict(row["attributes"]) == {"GreetingPlayed": "2", "greetingPlayed": "1"}

    @pytest.mark.parametrize(
        ("json_text", "kept"),
        [
            ("5", "5"),
            ("1.50", "1.50"),
            ("true", "true"),
            ('{"a": [1, 2.50 ],"b":"\\u0041"}', '{"a": [1, 2.50 ],"b":"\\u0041"}'),
            ("[]", "[]"),
            ('"{}"', "{}"),
            ('""', ""),
            (r'"\u00e4"', "ä"),
        ],
    )
    def test_values_that_are_no_texts_keep_their_json(self, json_text: str, kept: str) -> None:
        for attributes in (f'{{"x":[{{}}],"k" : {json_text} ,"y":1}}', rf'{{"k":"first","\u006b":{json_text}}}'):
            text = json.dumps(interaction())[:-1] + f', "Attributes" : {attributes} }}'
            assert row_of(text, SYMBEE, attributes_keep=("k",))["attributes"] == [("k", kept)]

    @pytest.mark.parametrize("attributes", [None, "", {}, {"other": "x"}, {"k": None}])
    def test_may_be_missing(self, attributes: Any) -> None:
        assert row_of(interaction(Attributes=attributes), SYMBEE, attributes_keep=("k",))["attributes"] is None

    @pytest.mark.parametrize("attributes", ["text", 5, True, [], [{"k": "x"}]])
    @pytest.mark.parametrize("keep", [(), ("k",)])
    def test_are_a_map(self, attributes: Any, keep: tuple[str, ...]) -> None:
        record = interaction(Attributes=attributes)
        assert refusal_of(record, SYMBEE, attributes_keep=keep) == ("BAD_VALUE", "Attributes")


class TestReasons:
    """Each reason, and that it comes before those below it."""

    def test_what_is_no_json_is_undecodable(self) -> None:
        text = '{"ActivityType":"OTHER","WrapDurationInMillis":NaN}'
        assert refusal_of(text, SYMBEE) == ("UNDECODABLE", "NaN is not JSON")

    @pytest.mark.parametrize(
        ("value", "kind"),
        [("5", "a scalar"), ('"x"', "a scalar"), ("true", "a scalar"), ("null", "null"), ("1 []", "an array")],
    )
    def test_what_is_no_object_is_not_an_object(self, value: str, kind: str) -> None:
        for feed in (SYMBEE, TRANSCRIPTS, CONNECT):
            last = decode(value, feed).quarantined[-1]
            assert (last.reason, last.detail, last.record_type) == ("NOT_AN_OBJECT", kind, None)

    @pytest.mark.parametrize(
        "name", ['"OTHER"', '""', "null", "5", "true", "[]", "{}", '"interaction_trace_record"', '"CHAT_TRANSCRIPT"']
    )
    def test_another_type_is_unknown(self, name: str) -> None:
        assert refusal_of(f'{{"ActivityType":{name},"WrapDurationInMillis":"x"}}', SYMBEE) == (
            "UNKNOWN_TYPE",
            "ActivityType",
        )

    def test_no_type_is_unknown(self) -> None:
        assert refusal_of({"TaskId": "x"}, SYMBEE) == ("UNKNOWN_TYPE", "ActivityType")

    @pytest.mark.parametrize(
        ("name", "keys"),
        [
            ("INTERACTION_TRACE_RECORD", ["TaskId", "CompletedTimestamp"]),
            ("WORK_CODES", ["GatewayTaskId", "WorkCodeName", "Username", "CreatedDate"]),
            ("USER_USAGE", ["Username", "UsageEntryTime", "UsageActionCode"]),
            (
                "EXTENDED_AGENT_EVENTS",
                ["Username", "AgentSessionId", "CurrentStateTimestamp", "EventType", "CurrentState"],
            ),
        ],
    )
    @pytest.mark.parametrize("nothing", [{}, None, ""])
    def test_a_part_of_the_key_must_not_be_missing(self, name: str, keys: list[str], nothing: Any) -> None:
        whole = dict.fromkeys(keys, "2025-03-07T12:00:00Z") | {"ActivityType": name}
        assert row_of(whole, SYMBEE)["flags"] is not None
        for key in keys:
            partial = (
                {**whole, key: nothing} if nothing != {} else {other: whole[other] for other in whole if other != key}
            )
            # Whatever else is wrong with it comes later.
            assert refusal_of({**partial, "PlatformId": []}, SYMBEE) == ("MISSING_VALUE", key)

    def test_of_several_missing_parts_the_first_is_named(self) -> None:
        assert refusal_of({"ActivityType": "INTERACTION_TRACE_RECORD"}, SYMBEE) == ("MISSING_VALUE", "TaskId")

    def test_a_contact_must_have_its_id_and_an_end(self) -> None:
        assert refusal_of({"AWSAccountId": "1", "InitiationTimestamp": "2025-03-07T12:00:00Z"}, CONNECT) == (
            "MISSING_VALUE",
            "ContactId",
        )
        reason, detail = refusal_of({"ContactId": "c", "Agent": {"Username": "u"}, "InitiationTimestamp": ""}, CONNECT)
        assert reason == "MISSING_VALUE"
        assert detail.split(", ") == [
            "Agent.AfterContactWorkEndTimestamp",
            "DisconnectTimestamp",
            "Agent.AfterContactWorkStartTimestamp",
            "LastUpdateTimestamp",
            "InitiationTimestamp",
        ]

    @pytest.mark.parametrize(
        "members",
        [
            {"Agent": {"AfterContactWorkEndTimestamp": "2025-03-07T12:00:00Z"}},
            {"DisconnectTimestamp": "2025-03-07T12:00:00Z"},
            {"Agent": {"AfterContactWorkStartTimestamp": "2025-03-07T12:00:00Z"}},
            {"LastUpdateTimestamp": "2025-03-07T12:00:00Z"},
            {"InitiationTimestamp": "2025-03-07T12:00:00Z"},
        ],
    )
    def test_any_of_its_ends_will_do(self, members: dict[str, Any]) -> None:
        assert row_of({"ContactId": "c", **members}, CONNECT)["contact_id"] == "c"

    def test_a_bad_value_is_there_so_it_is_not_missing(self) -> None:
        assert refusal_of(interaction(TaskId=[]), SYMBEE) == ("BAD_VALUE", "TaskId")
        assert refusal_of({"ContactId": "c", "DisconnectTimestamp": 5}, CONNECT) == ("BAD_VALUE", "DisconnectTimestamp")

    def test_a_bad_value_comes_before_a_negative_duration(self) -> None:
        record = interaction(QueuedDurationInMillis=-1, WrapDurationInMillis=1.5)
        assert refusal_of(record, SYMBEE) == ("BAD_VALUE", "WrapDurationInMillis")

    @pytest.mark.parametrize("value", [-1, "-1", -(1 << 63)])
    def test_a_duration_below_zero_is_refused(self, value: Any) -> None:
        assert refusal_of(interaction(WrapDurationInMillis=value), SYMBEE) == (
            "NEGATIVE_DURATION",
            "WrapDurationInMillis",
        )

    @pytest.mark.parametrize(
        "place",
        [
            *(
                "Queue.Duration",
                "Agent.AgentInteractionDuration",
                "Agent.CustomerHoldDuration",
                "Agent.LongestHoldDuration",
            ),
            *("Agent.AgentPauseDuration", "Agent.AfterContactWorkDuration"),
            "ExternalThirdParty.ExternalThirdPartyInteractionDuration",
        ],
    )
    def test_every_duration_of_a_contact_is_looked_at(self, place: str) -> None:
        structure, member = place.split(".")
        assert refusal_of(contact(**{structure: {member: -1}}), CONNECT) == ("NEGATIVE_DURATION", place)

    def test_a_refused_record_is_kept_as_it_stands(self) -> None:
        text = b' {"ActivityType":"USER_USAGE" , "Username":"\xc3\xa4"}\n'
        (refused,) = decode(text, SYMBEE).quarantined
        assert refused.text == text.strip()
        assert (refused.ordinal, refused.record_type, refused.size) == (0, "USER_USAGE", len(text.strip()))


class TestFlags:
    ORDERED = ("Initiation", "Queued", "Assigned", "Connected", "Wrap", "Completed")

    @staticmethod
    def times(method: str = "INBOUND_QUEUE", /, **seconds: float | None) -> dict[str, Any]:
        stamps = {
            f"{name}Timestamp": None if second is None else f"2025-03-07T12:00:{second:09.6f}Z"
            for name, second in seconds.items()
        }
        return interaction(TaskInitiationMethod=method, **stamps)

    @pytest.mark.parametrize(("first", "second"), list(itertools.pairwise(ORDERED)))
    def test_times_may_be_a_second_out_of_order(self, first: str, second: str) -> None:
        last = {} if second == "Completed" else {"Completed": 50.0}
        assert row_of(self.times(**last, **{first: 21.5, second: 20.5}), SYMBEE)["flags"] == []
        assert row_of(self.times(**last, **{first: 21.500001, second: 20.5}), SYMBEE)["flags"] == ["OUT_OF_ORDER"]

    def test_times_that_are_not_there_are_passed_over(self) -> None:
        record = self.times(Initiation=30, Queued=None, Assigned=None, Connected=20, Completed=40)
        assert row_of(record, SYMBEE)["flags"] == ["OUT_OF_ORDER"]
        assert row_of(self.times(Queued=30, Completed=40), SYMBEE)["flags"] == []

    @pytest.mark.parametrize(
        ("method", "flags"),
        [
            ("OUTBOUND_AUTO", []),
            ("OUTBOUND_AUTO_AGENT", []),
            ("OUTBOUND_REQUESTED", ["OUT_OF_ORDER"]),
            ("", ["OUT_OF_ORDER"]),
        ],
    )
    def test_the_diallers_connection_is_left_out(self, method: str, flags: list[str]) -> None:
        record = self.times(method, Initiation=10, Assigned=30, Connected=20, Completed=40)
        assert row_of(record, SYMBEE)["flags"] == flags

    @pytest.mark.parametrize("method", ["OUTBOUND_AUTO", "OUTBOUND_AUTO_AGENT"])
    def test_the_times_around_it_are_not(self, method: str) -> None:
        record = self.times(method, Initiation=10, Assigned=30, Connected=20, Wrap=25, Completed=40)
        assert row_of(record, SYMBEE)["flags"] == ["OUT_OF_ORDER"]

    def test_only_tasks_have_an_order(self) -> None:
        record = contact(InitiationTimestamp="2025-03-07T12:00:00Z", DisconnectTimestamp="2025-03-07T11:00:00Z")
        assert row_of(record, CONNECT)["flags"] == []

    @pytest.mark.parametrize(("milliseconds", "flags"), [(86_400_000, []), (86_400_001, ["IMPLAUSIBLE_DURATION"])])
    @pytest.mark.parametrize("member", ["Queued", "Active", "Parked", "Wrap"])
    def test_a_duration_over_a_day_is_implausible(self, member: str, milliseconds: int, flags: list[str]) -> None:
        assert row_of(interaction(**{f"{member}DurationInMillis": milliseconds}), SYMBEE)["flags"] == flags

    @pytest.mark.parametrize(("seconds", "flags"), [(86_400, []), (86_401, ["IMPLAUSIBLE_DURATION"])])
    def test_so_is_one_of_seconds(self, seconds: int, flags: list[str]) -> None:
        assert row_of(contact(Queue={"Duration": seconds}), CONNECT)["flags"] == flags

    @pytest.mark.parametrize(
        ("field", "column"),
        [
            ("TaskType", "task_type"),
            ("TaskInitiationMethod", "task_initiation_method"),
            ("DeliveryProvider", "delivery_provider"),
            ("MediaLocationType", "media_location_type"),
        ],
    )
    @pytest.mark.parametrize("value", ["NEW", "voice", " "])
    def test_an_unknown_value_is_kept_and_flagged(self, field: str, column: str, value: str) -> None:
        row = row_of(interaction(**{field: value}), SYMBEE)
        assert (row[column], row["flags"]) == (value, ["UNKNOWN_ENUM"])

    def test_known_values_and_none_are_not_flagged(self) -> None:
        record = interaction(TaskType="VOICE", TaskInitiationMethod=None, DeliveryProvider="", MediaLocationType="S3")
        assert row_of(record, SYMBEE)["flags"] == []

    def test_unknown_values_of_other_records_are_flagged(self) -> None:
        usage = {
            "ActivityType": "USER_USAGE",
            "Username": "u",
            "UsageEntryTime": "2025-03-07T12:00:00Z",
            "UsageActionCode": "PING",
        }
        assert row_of(usage, SYMBEE)["flags"] == ["UNKNOWN_ENUM"]
        assert row_of(contact(Channel="FAX"), CONNECT)["flags"] == ["UNKNOWN_ENUM"]
        assert row_of(contact(Channel="VOICE", InitiationMethod="CALLBACK"), CONNECT)["flags"] == []
        assert row_of(contact(DisconnectReason="WHATEVER"), CONNECT)["flags"] == []

    def test_all_may_apply(self) -> None:
        record = self.times("NEW", Initiation=30, Queued=10, Completed=40) | {"WrapDurationInMillis": 1 << 40}
        assert row_of(record, SYMBEE)["flags"] == ["OUT_OF_ORDER", "IMPLAUSIBLE_DURATION", "UNKNOWN_ENUM"]


class TestInteraction:
    def test_knows_that_it_was_transferred_whatever_privacy_makes_of_it(self) -> None:
        def drop(column: pa.Array) -> pa.Array:
            return pa.nulls(len(column), pa.string())

        records = [interaction(TransferredToAddress=value, FarEndAddress="+1") for value in ("+15551234567", "", None)]
        rows = [row_of(record, SYMBEE, protect=drop) for record in records]
        assert [row["is_transferred_out"] for row in rows] == [True, False, False]
        assert [(row["transferred_to_address"], row["far_end_address"]) for row in rows] == [(None, None)] * 3

    def test_keeps_what_names_no_customer(self) -> None:
        row = row_of(
            interaction(NearEndAddress="+18005550100", MediaLocation="b/k"),
            SYMBEE,
            protect=lambda _: pa.nulls(1, pa.string()),
        )
        assert (row["near_end_address"], row["media_location"]) == ("+18005550100", "b/k")


class TestContact:
    def test_of_the_first_delivery(self) -> None:
        row = row_of((DATA / "contacts" / "01_voice_first_delivery.json").read_bytes(), CONNECT, environment=None)
        instance = "428c553e-3d3c-331f-231f-e8c660f9ea75"
        expected: dict[str, Any] = {
            "contact_id": "78a5ea97-0a38-51f5-91c5-e5b7c97624fb",
            "initial_contact_id": None,
            "aws_account_id": "111122223333",
            "instance_id": instance,
            "environment": instance,
            "channel": "VOICE",
            "initiation_method": "INBOUND",
            "disconnect_reason": "CUSTOMER_DISCONNECT",
            "initiation_at": at("2022-01-05T17:12:59"),
            "connected_to_system_at": at("2022-01-05T17:12:59"),
            "disconnect_at": at("2022-01-05T17:47:28"),
            "transfer_completed_at": at("2022-01-05T17:28:12"),
            "last_update_at": at("2022-01-05T17:48:35"),
            "scheduled_at": None,
            "agent": "agent.redacted",
            "agent_connected_at": at("2022-01-05T17:20:32"),
            "agent_interaction_ms": 239_000,
            "agent_hold_ms": 221_000,
            "agent_longest_hold_ms": 204_000,
            "agent_hold_count": 2,
            "agent_pause_ms": None,
            "acw_ms": 5_000,
            "acw_started_at": at("2022-01-05T17:28:12"),
            "acw_ended_at": at("2022-01-05T17:28:17"),
            "agent_hierarchy": "Support|Support All",
            "routing_profile": "Support All",
            "agent_connection_attempts": 1,
            "queue": "Appliance Support",
            "enqueued_at": at("2022-01-05T17:14:46"),
            "dequeued_at": at("2022-01-05T17:20:32"),
            "queue_ms": 346_000,
            "customer_endpoint": "+15555550101",
            "system_endpoint": "+15555550102",
            "transferred_to_endpoint": "+15555550103",
            "external_third_party_ms": None,
            "campaign_id": None,
            "answering_machine_status": None,
            "segment_subtype": None,
            "chat_metrics": None,
            "attributes": None,
            "flags": [],
        }
        assert {name: row[name] for name in expected} == expected
        assert row["agent_arn"].endswith(f"instance/{instance}/agent/80734abd-84e1-9aeb-e1f1-a7736c7ee127")
        assert "instance_arn" not in row

    @pytest.mark.parametrize("name", [path.name for path in sorted((DATA / "contacts").glob("*.json"))])
    def test_of_every_shape_that_occurs_is_read(self, name: str) -> None:
        row = row_of((DATA / "contacts" / name).read_bytes(), CONNECT)
        assert row["contact_id"]
        assert row["environment"] == "abccompany/prod"
        assert row["flags"] == []

    def test_of_an_older_schema_lacks_what_came_later(self) -> None:
        row = row_of((DATA / "contacts" / "04_voice_inbound_then_transfer_2019_schema.json").read_bytes(), CONNECT)
        assert row["disconnect_reason"] is None
        assert row["next_contact_id"] == "942717bb-6fa2-4390-c5a1-3a0e4f655aa0"
        assert row["agent_hierarchy"] == "Segment|Vendor|SiteA|Tier 1"

    @pytest.mark.parametrize(
        ("arn", "instance"),
        [
            ("arn:aws:connect:us-east-1:1:instance/abc", "abc"),
            ("arn:aws:connect:us-east-1:1:instance/abc/queue/def", "def"),
            ("abc", "abc"),
            ("arn:instance/", None),
            ("", None),
            (None, None),
        ],
    )
    def test_the_instance_is_the_last_segment_of_its_arn(self, arn: str | None, instance: str | None) -> None:
        row = row_of(contact(InstanceARN=arn), CONNECT, environment=None)
        assert (row["instance_id"], row["environment"]) == (instance, instance)
        assert row_of(contact(InstanceARN=arn), CONNECT, environment="a/b")["environment"] == "a/b"

    @pytest.mark.parametrize(
        ("levels", "expected"),
        [
            ({}, None),
            ({1: "a"}, "a"),
            ({1: "a", 2: "b", 3: "c", 4: "d", 5: "e"}, "a|b|c|d|e"),
            ({2: "b", 5: "e"}, "b|e"),
            ({1: "", 2: "b"}, "b"),
        ],
    )
    def test_hierarchy_levels_are_joined(self, levels: dict[int, str], expected: str | None) -> None:
        groups = {f"Level{level}": {"ARN": "x", "GroupName": name} for level, name in levels.items()}
        assert row_of(contact(Agent={"HierarchyGroups": groups}), CONNECT)["agent_hierarchy"] == expected

    @pytest.mark.parametrize("spelling", ["ContactMetrics", "ChatContactMetrics"])
    def test_chat_metrics_have_two_spellings(self, spelling: str) -> None:
        metrics = {
            spelling: {
                "MultiParty": False,
                "TotalMessages": 12,
                "TotalBotMessages": 3,
                "TotalBotMessageLengthInChars": 99,
                "ConversationCloseTimeInMillis": 250,
                "ConversationTurnCount": 4,
                "AgentFirstResponseTimestamp": "2025-03-07T12:00:05.25Z",
                "AgentFirstResponseTimeInMillis": 5250,
            },
            "CustomerMetrics": {"ParticipantId": "p", "ConversationAbandon": True, "MessagesSent": 5},
        }
        row = row_of(contact(ChatMetrics=metrics), CONNECT)
        assert row["chat_metrics"]["contact_metrics"] == {
            "is_multi_party": False,
            "total_messages": 12,
            "total_bot_messages": 3,
            "total_bot_message_length_in_chars": 99,
            "conversation_close_ms": 250,
            "conversation_turn_count": 4,
            "agent_first_response_at": at("2025-03-07T12:00:05.25"),
            "agent_first_response_ms": 5250,
        }
        assert row["chat_metrics"]["agent_metrics"] is None
        assert row["chat_metrics"]["customer_metrics"]["is_conversation_abandoned"] is True
        assert row["chat_metrics"]["customer_metrics"]["messages_sent"] == 5

    def test_chat_metrics_of_nothing_are_nothing(self) -> None:
        assert (
            row_of(contact(ChatMetrics={"ContactMetrics": {}, "AgentMetrics": None}), CONNECT)["chat_metrics"] is None
        )

    @pytest.mark.parametrize("value", ["true", 1, 0, [], {}])
    def test_yes_and_no_are_true_and_false_alone(self, value: Any) -> None:
        record = contact(ChatMetrics={"ContactMetrics": {"MultiParty": value}})
        assert refusal_of(record, CONNECT) == ("BAD_VALUE", "ChatMetrics.ContactMetrics.MultiParty")

    @pytest.mark.parametrize("name", ["AgentPauseDuration", "AgentPauseDurationInSeconds"])
    def test_the_pause_has_two_names(self, name: str) -> None:
        assert row_of(contact(Agent={name: 7}), CONNECT)["agent_pause_ms"] == 7_000

    def test_the_segment_is_its_subtype(self) -> None:
        attributes = {"connect:Subtype": {"ValueString": "connect:Telephony"}, "other": 1}
        assert row_of(contact(SegmentAttributes=attributes), CONNECT)["segment_subtype"] == "connect:Telephony"


def example(name: str) -> str:
    """An example of the feeds' guide, as it is published."""
    return (DATA / "symbee" / f"{name}.txt").read_text(encoding="utf-8")


def repaired_interaction() -> str:
    """The guide's interaction with the commas that it lacks, and a straight quote."""
    return re.sub(r'"\n"', '",\n"', example("interaction")).replace("”", '"')


class TestPublishedExamples:
    def test_the_interaction_repaired_gives_the_row_it_describes(self) -> None:
        row = row_of(repaired_interaction(), SYMBEE, attributes_keep=("SubscriberId",))
        del row["source_ordinal"], row["record_sha256"]
        assert row == {
            "task_id": "32628905-a1bd-4d7b-977d-9ae4b500b086",
            "platform_id": "AWS Connect",
            "company_id": "abccompany",
            "environment": "prod",
            "origin_task_id": None,
            "gateway_task_id": "9e108fff-f369-4921-87fe-7d1656006dd4",
            "origin_gateway_task_id": None,
            "task_type": "WEBCHAT",
            "task_initiation_method": "INBOUND_QUEUE",
            "delivery_provider": "SYMBEE",
            "gateway_work_handle": "482",
            "username": "cmiller",
            "user_report_hierarchy": "MidWest|Servicing|GTocata",
            "skill_queue_name": "custservice-webchat",
            "far_end_address": "John Smith",
            "near_end_address": None,
            "transferred_to_address": None,
            "is_transferred_out": False,
            "media_location": (
                "sc-reporting-prod-999123456789/ChatTranscripts/2019/02/28/9e108fff-f369-4921-87fe-7d1656006dd4"
            ),
            "media_location_type": "S3",
            "initiation_at": at("2019-02-28T01:04:48"),
            "queued_at": at("2019-02-28T01:04:48"),
            "assigned_at": at("2019-02-28T01:04:50"),
            "connected_at": at("2019-02-28T01:04:52"),
            "wrap_at": at("2019-02-28T01:05:43"),
            "completed_at": at("2019-02-28T01:05:54"),
            "queued_ms": 1934,
            "active_ms": 48674,
            "parked_ms": 0,
            "wrap_ms": 11215,
            "attributes": [("SubscriberId", "001619723")],
            "flags": [],
        }

    @pytest.mark.parametrize("delimiter", ["", "\n", "\\n"])
    def test_the_interaction_as_published_is_one_refused_record_between_its_neighbours(self, delimiter: str) -> None:
        good = repaired_interaction()
        decoded = decode(delimiter.join([good, example("interaction"), good.replace("32628905", "00000000")]), SYMBEE)
        rows = [row for _, table in decoded.rows for row in table.to_pylist()]
        assert [(row["source_ordinal"], row["task_id"][:8]) for row in rows] == [(0, "32628905"), (2, "00000000")]
        assert [(refused.ordinal, refused.reason) for refused in decoded.quarantined] == [(1, "UNDECODABLE")]
        assert decoded.quarantined[0].text.decode().startswith(example("interaction"))

    def test_the_user_usage_as_published_has_a_comma_too_many(self) -> None:
        assert refusal_of(example("user_usage"), SYMBEE)[0] == "UNDECODABLE"
        row = row_of(example("user_usage").replace(",\n}", "\n}"), SYMBEE)
        assert row["usage_entry_at"] == at("2019-02-28T01:06:01")
        assert (row["product_id"], row["username"], row["usage_action_code"]) == ("SymbeeEngage", "cmiller", "BEGIN")

    def test_the_work_code_gives_its_row(self) -> None:
        row = row_of(example("work_code"), SYMBEE)
        assert row["created_at"] == at("2019-02-28T09:04:30")
        assert row["gateway_task_id"] == "c7d7cf6a-7136-4310-9798-5c27754cfb08"
        assert (row["work_group_name"], row["work_code_name"], row["queue_name"]) == (
            "Chat",
            "Password Change",
            "custservice-webchat",
        )
        assert row["flags"] == []

    def test_the_agent_event_gives_its_row(self) -> None:
        row = row_of(example("agent_event"), SYMBEE)
        expected: dict[str, Any] = {
            "agent_session_id": "5ee2141b-035c-4fe3-b4b9-2e455e2be13c",
            "event_type": "STATE_CHANGE",
            "current_state": "WRAP",
            "current_state_reason": None,
            "current_state_at": at("2019-02-28T23:06:10"),
            "current_task_count": 1,
            "current_focus_task_init_method": "INBOUND_QUEUE",
            "current_focus_task_state": "WRAP",
            "previous_state": "WORKING",
            "previous_state_at": at("2019-02-28T23:03:52"),
            "previous_state_ms": 138_024,
            "previous_focus_gateway_task_id": "567f9838-e81f-4a9b-b627-2af9914d4dd9",
            "flags": [],
        }
        assert {name: row[name] for name in expected} == expected

    def test_the_transcript_gives_its_row(self) -> None:
        key = "ChatTranscripts/2019/05/01/de04e5ec"
        row = row_of(example("transcript"), TRANSCRIPTS, media_key=key)
        assert (row["media_key"], row["session_id"]) == (key, "de04e5ec-81ae-4046-b5d8-a1c42b6f1af3")
        assert (row["first_message_at"], row["last_message_at"]) == (
            at("2019-05-01T00:46:06"),
            at("2019-05-01T00:49:10"),
        )
        assert [message["party"] for message in row["messages"]] == [
            *("customer", "agent", "agent", "agent", "customer", "agent", "customer", "agent", "customer", "agent"),
        ]
        assert row["messages"][0] == {
            "sent_at": at("2019-05-01T00:46:06"),
            "direction": "Inbound",
            "party": "customer",
            "length": len("Hi, can I get my password reset please?"),
        }
        assert row["messages"][8]["length"] == len("No that’s it. Thanks.")
        assert row["flags"] == []
        assert "reset" not in str(row)


def transcript(*messages: Any, **members: Any) -> dict[str, Any]:
    return {"ActivityType": "CHAT_TRANSCRIPT", "SessionId": "s", "Transcript": list(messages), **members}


class TestTranscripts:
    @pytest.mark.parametrize("messages", [[], None, ""])
    def test_may_be_empty(self, messages: Any) -> None:
        row = row_of(transcript(Transcript=messages, SessionId=""), TRANSCRIPTS)
        assert (row["messages"], row["session_id"], row["first_message_at"], row["last_message_at"]) == (
            [],
            None,
            None,
            None,
        )

    @pytest.mark.parametrize(
        ("body", "length"), [("", 0), (None, 0), ("😀ä", 2), (" ", 1), (12.5, 4), (True, 4), ("e\u0301", 2)]
    )
    def test_lengths_are_of_characters(self, body: Any, length: int) -> None:
        assert row_of(transcript({"Message": body}), TRANSCRIPTS)["messages"][0]["length"] == length

    def test_messages_stay_in_their_order_and_the_ends_are_of_the_times(self) -> None:
        stamps = ["2019-05-01 00:46:30", None, "2019-05-01 00:46:06", ""]
        row = row_of(transcript(*({"Timestamp": stamp, "Direction": "Inbound"} for stamp in stamps)), TRANSCRIPTS)
        assert [message["sent_at"] for message in row["messages"]] == [
            at("2019-05-01T00:46:30"),
            None,
            at("2019-05-01T00:46:06"),
            None,
        ]
        assert (row["first_message_at"], row["last_message_at"]) == (
            at("2019-05-01T00:46:06"),
            at("2019-05-01T00:46:30"),
        )

    @pytest.mark.parametrize(
        ("direction", "party", "flags"),
        [
            ("Inbound", "customer", []),
            ("Outbound", "agent", []),
            ("Sideways", None, ["UNKNOWN_ENUM"]),
            ("INBOUND", None, ["UNKNOWN_ENUM"]),
            (5, None, ["UNKNOWN_ENUM"]),
            ("", None, []),
            (None, None, []),
        ],
    )
    def test_directions_tell_the_party(self, direction: Any, party: str | None, flags: list[str]) -> None:
        row = row_of(transcript({"Direction": direction}), TRANSCRIPTS)
        assert row["messages"][0]["direction"] == (str(direction) if direction else None)
        assert row["messages"][0]["party"] == party
        assert row["flags"] == flags

    @pytest.mark.parametrize(
        ("record", "detail"),
        [
            (transcript(Transcript="text"), "Transcript"),
            (transcript(Transcript={}), "Transcript"),
            (transcript("text"), "Transcript[0]"),
            (transcript({}, None), "Transcript[1]"),
            (transcript({"Timestamp": "2019-05-01T00:46:06Z"}), "Transcript[0].Timestamp"),
            (transcript({"Timestamp": "2019-05-01 00:46:06Z"}), "Transcript[0].Timestamp"),
            (transcript({"Timestamp": "2019-02-30 00:46:06"}), "Transcript[0].Timestamp"),
            (transcript({}, {"Timestamp": 5}), "Transcript[1].Timestamp"),
            (transcript({"Direction": []}), "Transcript[0].Direction"),
            (transcript({"Message": {"secret": "x"}}), "Transcript[0].Message"),
            (transcript(SessionId=[]), "SessionId"),
        ],
    )
    def test_of_another_form_have_a_bad_value(self, record: dict[str, Any], detail: str) -> None:
        assert refusal_of(record, TRANSCRIPTS) == ("BAD_VALUE", detail)

    def test_other_records_are_of_an_unknown_type(self) -> None:
        assert refusal_of(interaction(), TRANSCRIPTS) == ("UNKNOWN_TYPE", "ActivityType")
