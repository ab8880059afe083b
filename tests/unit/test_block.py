"""Records read by the block are what they are when each is read alone, whatever they hold."""

import hashlib
import json
import mmap
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.feed_samples import CONNECT, SYMBEE, TRANSCRIPTS, any_record, plain_record

from contactlake.archive.records import Splitter, record_start
from contactlake.feeds import block, native
from contactlake.feeds.arrow_schema import arrow_schema
from contactlake.feeds.block import Decoded, Quarantined, Stretch, decode, decode_text, stretches
from contactlake.feeds.plain_texts import Texts, plain_texts
from contactlake.feeds.record_type import Context, Feed, RecordType, Refused
from contactlake.feeds.rows import columns_of, table_of
from contactlake.feeds.values import is_null, read_record, scalar_text

KEEP = ("tier", "Tier", "greetingPlayed", "GreetingPlayed", "Email", "")
Rows = dict[str, list[dict[str, Any]]]


def context(keep: Sequence[str] = ()) -> Context:
    return Context("abccompany/prod", tuple(keep), lambda column: column, "ChatTranscripts/2025/03/07/key")


def by_the_block(text: bytes, feed: Feed, told: Context) -> tuple[Rows, list[Quarantined]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    quarantined: list[Quarantined] = []
    for decoded in decode_text(text, feed, told):
        assert decoded.records == len(decoded.quarantined) + sum(table.num_rows for _, table in decoded.rows)
        for record_type, table in decoded.rows:
            assert set(table.column_names) == set(arrow_schema(record_type.table).names) - {
                "source_object",
                "ingested_at",
            }
            assert all(
                table.schema.field(name).equals(arrow_schema(record_type.table).field(name))
                for name in table.column_names
            )
            table.validate(full=True)
            rows.setdefault(record_type.name, []).extend(_comparable(table))
        quarantined += decoded.quarantined
    for found in rows.values():
        found.sort(key=lambda row: row["source_ordinal"])
    return rows, sorted(quarantined, key=lambda refused: refused.ordinal)


def by_several(texts: Sequence[bytes], feed: Feed) -> list[tuple[Rows, list[Quarantined]]]:
    """What `by_the_block` gives of each of `texts`, all of which are decoded together."""
    parts = [(number, part) for number, text in enumerate(texts) for part in stretches(text, feed, context())]
    waiting = [(number, part) for number, part in parts if isinstance(part, Stretch)]
    decoded = [([number], part) for number, part in parts if isinstance(part, Decoded)]
    if waiting:
        decoded.append(([number for number, _ in waiting], decode([part for _, part in waiting], feed, context())))
    rows: list[Rows] = [{} for _ in texts]
    quarantined: list[list[Quarantined]] = [[] for _ in texts]
    for numbers, part in decoded:
        for (record_type, table), of_stretch in zip(part.rows, part.row_stretches, strict=True):
            for stretch, row in zip(of_stretch.tolist(), _comparable(table), strict=True):
                rows[numbers[stretch]].setdefault(record_type.name, []).append(row)
        for stretch, refused in zip(part.refused_stretches, part.quarantined, strict=True):
            quarantined[numbers[stretch]].append(refused)
    for told in rows:
        for found in told.values():
            found.sort(key=lambda row: row["source_ordinal"])
    return [
        (told, sorted(refused, key=lambda one: one.ordinal)) for told, refused in zip(rows, quarantined, strict=True)
    ]


def _comparable(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as they are, but for timestamps, which are integers: Python has no years beyond 9999."""
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        columns[name] = (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def one_by_one(text: bytes, feed: Feed, told: Context) -> tuple[Rows, list[Quarantined]]:
    """The definition: each record by itself, by the rules in `values.py`."""
    rows: dict[str, list[dict[str, Any]]] = {}
    quarantined: list[Quarantined] = []
    for ordinal, record in enumerate(Splitter(text, record_start(feed.first_key)).all()):
        raw = text[record.start : record.end]
        record_type: RecordType | None = None
        try:
            if record.fault is not None:
                raise Refused("UNDECODABLE", record.fault)  # noqa: TRY301
            record_type = _type_of(record.value, feed)
            row = read_record(record.value, raw.decode(), record_type, told)
        except Refused as refusal:
            name = record_type.name if record_type else None
            digest = hashlib.sha256(raw).hexdigest()
            quarantined.append(Quarantined(ordinal, name, refusal.reason, refusal.detail, raw, digest, len(raw)))
        else:
            table = table_of(columns_of([row], record_type), np.array([ordinal]), [raw], record_type, told)
            rows.setdefault(record_type.name, []).extend(_comparable(table))
    return rows, quarantined


def _type_of(value: Any, feed: Feed) -> RecordType:
    if not isinstance(value, dict):
        raise Refused(
            "NOT_AN_OBJECT", "an array" if isinstance(value, list) else "null" if value is None else "a scalar"
        )
    stated = value.get(feed.type_key) if feed.type_key else None
    name = None if is_null(stated) or isinstance(stated, dict | list) else scalar_text(stated)
    record_type = feed.record_type(name)
    if record_type is None:
        raise Refused("UNKNOWN_TYPE", "ActivityType")
    return record_type


def assert_both_ways_agree(text: bytes, feed: Feed, told: Context) -> None:
    rows, quarantined = by_the_block(text, feed, told)
    expected_rows, expected_quarantined = one_by_one(text, feed, told)
    assert quarantined == expected_quarantined
    assert rows.keys() == expected_rows.keys()
    for name, expected in expected_rows.items():
        for found, row in zip(rows[name], expected, strict=True):
            assert found == row


class Natively:
    """Counts how records are read while it is active."""

    def __init__(self) -> None:
        self.exactly = 0
        self.natively = 0
        self.stumbles = 0

    def __enter__(self) -> "Natively":
        def read_record_(*arguments: Any) -> Any:
            self.exactly += 1
            return read_record(*arguments)

        def read_json(*arguments: Any) -> Any:
            try:
                return parse(*arguments)
            except pa.ArrowException:
                self.stumbles += 1
                raise

        def read_native(*arguments: Any) -> Any:
            rows = native.read_native(*arguments)
            self.natively += int(rows.good.sum()) if rows else 0
            return rows

        parse = native._read_json
        self._patches = (
            mock.patch.multiple(block, read_record=read_record_, read_native=read_native),
            mock.patch.object(native, "_read_json", read_json),
        )
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        for patch in self._patches:
            patch.stop()


def plain_records(feed: Feed, record_type: RecordType, count: int) -> list[bytes]:
    dice = random.Random(count)
    return [plain_record(record_type, feed, dice) for _ in range(count)]


PLAIN_TYPES = [(feed, record_type) for feed in (SYMBEE, CONNECT) for record_type in feed.record_types]


@pytest.mark.parametrize(("feed", "record_type"), PLAIN_TYPES, ids=lambda value: getattr(value, "name", None))
class TestPlainRecords:
    @pytest.mark.parametrize("delimiter", [b"", b"\n", b"\\n", b" \r\n"])
    def test_are_read_natively(self, feed: Feed, record_type: RecordType, delimiter: bytes) -> None:
        text = delimiter.join(plain_records(feed, record_type, 200)) + delimiter
        with Natively() as counted:
            rows, quarantined = by_the_block(text, feed, context())
        assert (counted.natively, counted.exactly, counted.stumbles) == (200, 0, 0)
        assert [row["source_ordinal"] for row in rows[record_type.name]] == list(range(200))
        assert quarantined == []

    def test_are_read_natively_from_an_array(self, feed: Feed, record_type: RecordType) -> None:
        text = b" [" + b" ,\n".join(plain_records(feed, record_type, 200)) + b"]\\n"
        with Natively() as counted, mock.patch.object(block, "BLOCK_BYTES", 60_000):
            rows, _ = by_the_block(text, feed, context())
        assert counted.exactly < 16  # a last block of a few records is not worth it
        assert counted.natively == 200 - counted.exactly
        assert [row["source_ordinal"] for row in rows[record_type.name]] == list(range(200))

    def test_are_read_natively_with_attributes(self, feed: Feed, record_type: RecordType) -> None:
        with Natively() as counted:
            by_the_block(b"\n".join(plain_records(feed, record_type, 100)), feed, context(KEEP))
        assert (counted.natively, counted.exactly) == (100, 0)

    @pytest.mark.parametrize("keep", [(), KEEP])
    def test_are_the_same_both_ways(self, feed: Feed, record_type: RecordType, keep: tuple[str, ...]) -> None:
        assert_both_ways_agree(b"\n".join(plain_records(feed, record_type, 100)), feed, context(keep))

    def test_that_are_bad_cost_no_more_than_themselves(self, feed: Feed, record_type: RecordType) -> None:
        records = plain_records(feed, record_type, 400)
        records[50] = records[50][:-20]
        records[100] = re.sub(rb'"\s*:', b'" ', records[100], count=1)
        records[150] = records[150][:-1] + b',"Unknown":"\xff"}'
        records[200] = records[200][:-1] + b',"Unknown":NaN}'
        records[250] = records[250][:-1] + rb',"Unknown":"\ud83d"}'
        records[300] = records[300] + b"?"
        with Natively() as counted:
            rows, quarantined = by_the_block(b"".join(records), feed, context())
        assert counted.natively >= 380
        assert counted.exactly <= 2
        assert [refused.ordinal for refused in quarantined] == [50, 100, 150, 200, 250, 301]
        assert len(rows[record_type.name]) == 395


def odd_text(seeds: Iterable[int], delimiters: Iterable[bytes], feed: Feed) -> bytes:
    return b"".join(any_record(seed, feed) + delimiter for seed, delimiter in zip(seeds, delimiters, strict=False))


@contextmanager
def at_sizes(block_bytes: int, fewest_native: int) -> Iterator[None]:
    with (
        mock.patch.multiple(block, BLOCK_BYTES=block_bytes, FEWEST=fewest_native),
        mock.patch.object(native, "FEWEST", fewest_native),
    ):
        yield


DELIMITERS = st.lists(st.sampled_from([b"", b"\n", b"\\n", b" "]), min_size=60, max_size=60)


class TestAnyRecords:
    @settings(max_examples=250, deadline=None)
    @given(
        seeds=st.lists(st.integers(0, 1 << 40), min_size=1, max_size=60),
        delimiters=DELIMITERS,
        feed=st.sampled_from([SYMBEE, CONNECT, TRANSCRIPTS]),
        keep=st.sampled_from([(), KEEP]),
        size=st.sampled_from([1, 3_000, 1 << 20]),
        fewest=st.sampled_from([1, 1, 16]),
        mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    )
    def test_are_the_same_both_ways(
        self,
        seeds: list[int],
        delimiters: list[bytes],
        feed: Feed,
        keep: tuple[str, ...],
        size: int,
        fewest: int,
        mark: bytes,
    ) -> None:
        text = mark + odd_text(seeds, delimiters, feed)
        with at_sizes(size, fewest):
            assert_both_ways_agree(text, feed, context(keep))

    @settings(max_examples=80, deadline=None)
    @given(
        seeds=st.lists(st.integers(0, 1 << 40), min_size=1, max_size=40),
        delimiter=st.sampled_from([b",", b" , ", b",\n", b"\\n,"]),
        feed=st.sampled_from([SYMBEE, CONNECT]),
        size=st.sampled_from([1, 3_000, 1 << 20]),
    )
    @example([0, 2097151, 0], b",", CONNECT, 1)  # the one in the middle fails as an element, then as a record
    def test_are_the_same_both_ways_in_an_array(
        self, seeds: list[int], delimiter: bytes, feed: Feed, size: int
    ) -> None:
        text = b"[" + delimiter.join(any_record(seed, feed) for seed in seeds) + b"]"
        with at_sizes(size, 1):
            assert_both_ways_agree(text, feed, context())

    @settings(max_examples=120, deadline=None)
    @given(
        texts=st.lists(st.lists(st.integers(0, 1 << 40), max_size=12), min_size=1, max_size=8),
        is_array=st.booleans(),
        feed=st.sampled_from([SYMBEE, CONNECT]),
        size=st.sampled_from([1, 3_000, 1 << 20]),
        fewest=st.sampled_from([1, 16]),
    )
    def test_of_several_texts_at_once_are_those_of_each(
        self, texts: list[list[int]], is_array: bool, feed: Feed, size: int, fewest: int
    ) -> None:
        encoded = [b"".join(any_record(seed, feed) for seed in seeds) for seeds in texts]
        if is_array:
            encoded[0] = b"[" + b",".join(any_record(seed, feed) for seed in texts[0]) + b"]"
        with at_sizes(size, fewest):
            alone = [by_the_block(text, feed, context()) for text in encoded]
            assert by_several(encoded, feed) == alone

    def test_are_of_every_kind(self) -> None:
        """What the tests above stand on: the samples hold good records and ones with every fault."""
        reasons: Counter[str] = Counter()
        good = flagged = 0
        for feed in (SYMBEE, CONNECT, TRANSCRIPTS):
            rows, quarantined = one_by_one(odd_text(range(1_500), [b"\n"] * 1_500, feed), feed, context())
            reasons.update(refused.reason for refused in quarantined)
            good += sum(map(len, rows.values()))
            flagged += sum(bool(row["flags"]) for found in rows.values() for row in found)
        assert good > 1_500
        assert flagged > 100
        for reason in (
            "UNDECODABLE",
            "NOT_AN_OBJECT",
            "UNKNOWN_TYPE",
            "MISSING_VALUE",
            "BAD_VALUE",
            "NEGATIVE_DURATION",
        ):
            assert reasons[reason] >= 20, reason


def many_with(changed: bytes, feed: Feed = SYMBEE, count: int = 40, at: int = 20) -> bytes:
    """Plain records of which one is `changed`."""
    records = plain_records(feed, feed.record_types[0], count)
    records[at] = changed
    return b"\n".join(records)


def interaction(**members: Any) -> dict[str, Any]:
    return {
        "ActivityType": "INTERACTION_TRACE_RECORD",
        "TaskId": "t",
        "CompletedTimestamp": "2025-03-07T12:00:00Z",
        **members,
    }


class TestWhatArrowReadsOtherwise:
    """JSON that Arrow's reader takes and should not, or the other way round; some of it could end the process."""

    @pytest.mark.parametrize(
        "oddity",
        [
            b',"Unknown":NaN}',
            b',"Unknown":[ -Inf]}',
            b',"Unknown":{"a":Infinity}}',
            b',"Unknown":1}null{"b":1}',
            b',"Unknown":1} \n null null{"b":1}',
            b',"Unknown":1}\0{"b":1}',
            b',"Unknown":1}{"b":1}',
            b',"Unknown":1}5{"b":1}',
            b',"Unknown":"\xff"}',
            rb',"Unknown":"\ud800"}',
            rb',"Unknown":"\udc00"}',
            rb',"Unknown":"\ud83d\ude00"}',
            rb',"Username":"\ud83d\ude00\\ud83d"}',
            rb',"Username":"\\ud83d\ude00"}',
            rb',"Username":"\\\ud83d\ude00"}',
            b',"Unknown":1e400}',
            b',"Unknown":' + b"[" * 511 + b"]" * 511 + b"}",
            b',"Unknown":' + b"[" * 512 + b"]" * 512 + b"}",
            b',"Unknown":' + b'{"Unknown":' * 20_000 + b"1" + b"}" * 20_000 + b"}",
            b',"ActivityType":"WORK_CODES"}',
            rb',"\u0041ctivityType":"WORK_CODES"}',
            b',"TaskId":"other"}',
            rb',"Task\u0049d":""}',
            b',"Attributes":{"tier":"a","tier":"b"}}',
            b',"Attributes":{"tier":{"b": [1, 2.50] ,"c":"\\u0041"}}}',
            b',"Attributes":"text"}',
            b',"Attributes":[]}',
            b',"WrapDurationInMillis":5.0}',
            b',"WrapDurationInMillis":"5"}',
            b',"WrapDurationInMillis":""}',
            b',"GatewayWorkHandle":482}',
            b',"GatewayWorkHandle":true}',
            b',"Unknown":01}',
            b',"Unknown":1.}',
            b',"Unknown":1,}',
            b',"Unknown":"a\x01b"}',
            b',"Unknown":/**/1}',
            b',"":1}',
        ],
    )
    @pytest.mark.parametrize("keep", [(), KEEP])
    def test_is_read_as_it_should_be(self, oddity: bytes, keep: tuple[str, ...]) -> None:
        record = json.dumps(interaction(Username="u")).encode()[:-1] + oddity
        for count, at in ((40, 20), (40, 0), (40, 39), (17, 16)):
            assert_both_ways_agree(many_with(record, count=count, at=at), SYMBEE, context(keep))

    def test_records_of_all_types_stand_side_by_side(self) -> None:
        dice = random.Random(1)
        records = [plain_record(dice.choice(SYMBEE.record_types), SYMBEE, dice) for _ in range(300)]
        with Natively() as counted:
            assert_both_ways_agree(b"".join(records), SYMBEE, context())
        assert counted.natively == 300

    def test_where_nothing_can_be_read_natively_it_gives_up_soon(self) -> None:
        records = [json.dumps(interaction(GatewayWorkHandle=number)).encode() for number in range(1_000)]
        with Natively() as counted:
            assert_both_ways_agree(b"".join(records), SYMBEE, context())
        assert counted.exactly == 1_000
        assert counted.stumbles <= 12 + 1_000 // 8

    def test_a_text_that_cannot_be_read_natively_does_not_spoil_the_others(self) -> None:
        bad = b"".join(json.dumps(interaction(GatewayWorkHandle=number)).encode() for number in range(1_000))
        good = b"".join(json.dumps(interaction(Username="u")).encode() for _ in range(100))
        with Natively() as counted:
            rows = [told for told, _ in by_several([good, bad, good], SYMBEE)]
        assert [sum(map(len, told.values())) for told in rows] == [100, 1_000, 100]
        assert (counted.natively, counted.exactly) == (200, 1_000)

    def test_a_value_that_is_no_integer_costs_its_record_only(self) -> None:
        records = [json.dumps(interaction(WrapDurationInMillis=number)).encode() for number in range(500)]
        for at in range(0, 500, 50):
            records[at] = json.dumps(interaction(WrapDurationInMillis=12.5 if at % 100 else 1 << 70)).encode()
        with Natively() as counted:
            assert_both_ways_agree(b"".join(records), SYMBEE, context())
        assert (counted.natively, counted.exactly, counted.stumbles) == (490, 10, 2)

    @pytest.mark.parametrize("at", [0, 1, 98, 99])
    def test_a_record_that_is_no_json_costs_itself_only(self, at: int) -> None:
        records = [json.dumps(interaction(TaskId=str(number))).encode() for number in range(100)]
        records[at] = records[at].replace(b'", "', b'" "', 1)
        with Natively() as counted:
            assert_both_ways_agree(b"\n".join(records), SYMBEE, context())
        assert (counted.natively, counted.exactly, counted.stumbles) == (99, 0, 1)

    def test_another_object_behind_a_record_costs_that_record_only(self) -> None:
        records = [json.dumps(interaction(TaskId=str(number))).encode() for number in range(200)]
        records[20] += b'{"heartbeat":1}'
        records[21] += b"null{}"
        with Natively() as counted:
            assert_both_ways_agree(b"\n".join(records), SYMBEE, context())
        assert (counted.natively, counted.exactly) == (198, 2)

    def test_records_that_do_not_begin_as_they_should_are_read_natively_too(self) -> None:
        contacts = [
            b'{"ContactId":"c%d","InitiationTimestamp":"2025-03-07T12:00:00Z"}' % number for number in range(100)
        ]
        with Natively() as counted:
            assert_both_ways_agree(b"\n".join(contacts), CONNECT, context())
        assert counted.natively == 100


class TestOrdinalsAndHashes:
    def test_ordinals_count_everything_in_its_place(self) -> None:
        good = [json.dumps(interaction(TaskId=str(number))).encode() for number in range(60)]
        text = b"x" + b"".join(good[:20]) + b"[5]" + b"".join(good[20:40]) + good[40] + b"{}" + b"".join(good[41:])
        with mock.patch.object(block, "BLOCK_BYTES", 2_000):
            rows, quarantined = by_the_block(text, SYMBEE, context())
        ordinals = {row["task_id"]: row["source_ordinal"] for row in rows["INTERACTION_TRACE_RECORD"]}
        assert [ordinals[str(number)] for number in (0, 19, 20, 40, 41, 59)] == [1, 20, 22, 42, 44, 62]
        assert [(refused.ordinal, refused.reason) for refused in quarantined] == [
            (0, "UNDECODABLE"),
            (21, "NOT_AN_OBJECT"),
            (43, "UNKNOWN_TYPE"),
        ]

    def test_the_hash_is_of_the_records_own_bytes(self) -> None:
        records = [json.dumps(interaction(TaskId=f"ä{number}"), ensure_ascii=False).encode() for number in range(30)]
        for text in (b"\\n \n".join(records), b"[" + b" , ".join(records) + b"]", records[0]):
            rows, _ = by_the_block(text, SYMBEE, context())
            for row, record in zip(rows["INTERACTION_TRACE_RECORD"], records, strict=False):
                assert row["record_sha256"] == hashlib.sha256(record).hexdigest()

    def test_of_a_long_refused_record_the_beginning_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(block, "RAW_BYTES", 100)
        monkeypatch.setattr(block, "_HASHED_AT_ONCE", 7)
        garbage = bytes(range(1, 255)) * 10
        _, (refused,) = by_the_block(garbage, SYMBEE, context())
        assert refused.text == garbage[:100]
        assert refused.size == len(garbage)
        assert refused.sha256 == hashlib.sha256(garbage).hexdigest()

    def test_an_array_that_is_broken_at_its_end_gives_no_record_twice(self) -> None:
        records = [json.dumps(interaction(TaskId=str(number))).encode() for number in range(100)]
        text = b"[" + b",".join(records) + b"]?"
        with mock.patch.object(block, "BLOCK_BYTES", 1_000):
            rows, quarantined = by_the_block(text, SYMBEE, context())
        assert [row["task_id"] for row in rows["INTERACTION_TRACE_RECORD"]] == [str(number) for number in range(100)]
        assert [refused.text for refused in quarantined] == [b"[", *[b","] * 99, b"]?"]

    def test_nothing_gives_nothing(self) -> None:
        for text in (b"", b" \n", b"[]", b"\xef\xbb\xbf", b"\\n"):
            assert by_the_block(text, SYMBEE, context()) == ({}, [])


class TestPlainTexts:
    def test_counts_what_is_nested_text_by_text(self) -> None:
        texts = [b"[" * 512, b"[" * 513, b"{" * 300 + b"[" * 213, b"", b"{" * 256 + b"[" * 256, b"]" * 600]
        assert plain_texts(Texts.of(texts)).tolist() == [True, False, False, True, True, True]

    @pytest.mark.parametrize("cached", [1, 5, 1 << 16])
    @pytest.mark.parametrize("long", [False, True])
    @pytest.mark.parametrize(
        ("text", "is_plain"),
        [
            (b'{"a":1}', True),
            ('{"a":"ä😀"}'.encode(), True),
            (b'{"a":"\xff"}', False),
            (rb'{"a":"\ud83d"}', False),
            (rb'{"a":"\\ud83d"}', False),
            (b'{"a":NaN}', False),
            (rb'{"a":"\ud83d\ude00\uD83D\uDE00"}', True),
            (rb'{"a":"\ud83d\ude00\ude00"}', False),
            (rb'{"a":"\\ud83d\ude00"}', False),
            (b'{"a":"NaN and Inf"}', True),
            (b'{"a": -Inf}', False),
            (b'{"a":[1,\tInfinity]}', False),
            (b'{"a":1}\0', False),
            (b'{"a":1}\r\nnull', False),
            (b'{"a":1}null', False),
            (b'{"a":1}\nnull', False),
            (b'{"a":1}\n{"b":2}', True),
            (b'{"a":1} \n {"b":{} }', True),
            (b'{"a":{"b":null}}', True),
        ],
    )
    def test_finds_what_arrow_must_not_see(
        self, text: bytes, is_plain: bool, long: bool, cached: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("contactlake.feeds.plain_texts.CACHED_BYTES", cached)
        others = [b'{"Information":"' + b"In NaNaimo" * (200 if long else 1) + b'"}'] * 3
        assert plain_texts(Texts.of([*others, text, *others])).tolist() == [True] * 3 + [is_plain] + [True] * 3


class TestTexts:
    @pytest.mark.parametrize("gap", ["", "\n", "\r\n", " \t", "\\n", "}", "   ", ",", "\n?"])
    @pytest.mark.parametrize("is_mapped", [False, True])
    def test_are_the_pieces_of_a_text(self, gap: str, is_mapped: bool) -> None:
        members = [b'{"a":1}', '{"ä":2}'.encode(), b'{"c":{}}']
        text, pieces = b"??", []
        for member in members:
            pieces.append((len(text), len(text) + len(member)))
            text += member + gap.encode()
        with mmap.mmap(-1, len(text)) as mapped:
            mapped.write(text)
            texts = Texts.within(mapped if is_mapped else text, pieces)
            assert [bytes(each) for each in texts] == members
            twice = Texts.together([texts, Texts.of([]), texts])
            assert [bytes(each) for each in twice] == members * 2
            assert [bytes(each) for each in twice.some(np.array([5, 0]))] == [members[2], members[0]]
            assert bytes(twice[4]) == members[1]
            # Whatever is between them, Arrow sees them and nothing else.
            seen = re.findall(rb"\{.*?\}(?=\s*(?:\{\"|$))", bytes(twice.joined))
            assert [json.loads(each) for each in seen] == [json.loads(member) for member in members * 2]
            assert not re.sub(rb"[ \t\r\n]", b"", bytes(twice.joined)).replace(b"".join(members), b"")
