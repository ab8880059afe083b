"""From a text to its records, against a slow splitter that is obviously right, and rule by rule."""

import gzip
import io
import json
import mmap
import zipfile
from dataclasses import dataclass
from typing import Any
from unittest import mock

import cramjam
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contactlake.archive import records as module
from contactlake.archive.compression import open_text
from contactlake.archive.json_values import MAX_DEPTH, Number, decode_first
from contactlake.archive.records import Record, Span, Splitter, record_start

KEY = "ActivityType"
START = record_start(KEY)
BOM = b"\xef\xbb\xbf"


# --- the slow splitter: the whole text at once, characters one by one, the standard library's decoder ---


@dataclass(frozen=True)
class Expected:
    start: int
    end: int
    is_good: bool


class NotJson(Exception):
    """The text is no JSON value here."""


def _refuse(constant: str) -> None:
    raise NotJson


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level := [container for container in level if isinstance(container, dict | list)]:
        deepest += 1
        level = [
            child for container in level for child in (container.values() if isinstance(container, dict) else container)
        ]
    return deepest


def _has_half_a_character(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


class SlowSplitter:
    """Works on characters: bytes that are no UTF-8 stand in the text as surrogates, which nothing else can be."""

    DECODER = json.JSONDecoder(parse_constant=_refuse)

    def __init__(self, text: bytes) -> None:
        self.text = text.decode("utf-8", "surrogateescape")
        self.begin = 1 if self.text.startswith("\ufeff") else 0

    def value(self, at: int) -> tuple[bool, int]:
        """Whether the value is good, and its end. Raises `NotJson`."""
        try:
            value, end = self.DECODER.raw_decode(self.text, at)
        except (json.JSONDecodeError, RecursionError):
            raise NotJson from None
        if _depth(value) > MAX_DEPTH:
            raise NotJson
        is_utf8 = not any("\udc80" <= character <= "\udcff" for character in self.text[at:end])
        return is_utf8 and not _has_half_a_character(value), end

    def white_space(self, at: int) -> int:
        while self.text[at : at + 1] in (" ", "\t", "\r", "\n"):
            at += 1
        return at

    def separators(self, at: int) -> int:
        while (behind := self.white_space(at)) > at or self.text.startswith("\\n", at):
            at = behind if behind > at else at + 2
        return at

    def is_start(self, at: int) -> bool:
        return self.text[at] == "{" and self.text.startswith(f'"{KEY}"', self.white_space(at + 1))

    def array(self) -> list[tuple[int, int, bool]] | None:
        at = self.separators(self.begin)
        if not self.text.startswith("[", at):
            return None
        found = []
        at = self.white_space(at + 1)
        if not self.text.startswith("]", at):
            while True:
                try:
                    is_good, end = self.value(at)
                except NotJson:
                    return None
                found.append((at, end, is_good))
                at = self.white_space(end)
                if not self.text.startswith(",", at):
                    break
                at = self.white_space(at + 1)
        if not self.text.startswith("]", at) or self.separators(at + 1) < len(self.text):
            return None
        return found

    def stream(self) -> list[tuple[int, int, bool]]:
        found = []
        at = first = self.separators(self.begin)
        while at < len(self.text):
            try:
                if at == first and self.text[at] == "[":
                    raise NotJson  # noqa: TRY301
                is_good, end = self.value(at)
            except NotJson:
                is_good, end = False, at + 1
                while end < len(self.text) and not self.is_start(end):
                    end += 1
            found.append((at, end, is_good))
            at = self.separators(end)
        return found

    def split(self) -> list[Expected]:
        array = self.array()
        found = self.stream() if array is None else array
        offsets = [0]
        for character in self.text:
            offsets.append(offsets[-1] + len(character.encode("utf-8", "surrogateescape")))
        return [Expected(offsets[start], offsets[end], is_good) for start, end, is_good in found]


def slowly(text: bytes) -> list[Expected]:
    return SlowSplitter(text).split()


# --- the product, in both its ways ---


def exactly(text: bytes) -> list[Record]:
    return list(Splitter(text, START).all())


def by_pieces(text: bytes, size: int = 1 << 20) -> list[Record]:
    """As a block reader goes about it: spans that hold one object are taken as they are, others looked into."""
    splitter = Splitter(text, START)
    found: list[Record] = []
    position = splitter.begin
    while position < len(text):
        pieces, behind = splitter.pieces(position, size)
        assert behind > position
        position = behind
        for piece in pieces:
            found += splitter.records(piece.start, piece.end) if isinstance(piece, Span) else [piece]
    return found


def spans(records: list[Record]) -> list[Expected]:
    return [Expected(record.start, record.end, record.fault is None) for record in records]


def texts_of(text: bytes) -> list[bytes]:
    """The texts of the good records."""
    return [text[record.start : record.end] for record in exactly(text) if record.fault is None]


def faults_of(text: bytes) -> list[bytes]:
    return [text[record.start : record.end] for record in exactly(text) if record.fault is not None]


def record(number: int = 0, **members: object) -> bytes:
    return json.dumps({KEY: "WORK_CODES", "Number": number, **members}).encode()


ONE, TWO, THREE = (record(number) for number in (1, 2, 3))


# --- rule by rule ---


class TestDelimiters:
    @pytest.mark.parametrize(
        "delimiter",
        [b"", b" ", b"\n", b"\r\n", b"\t", b"\\n", b"\\n\n\\n", b" \\n \\n ", b"\n" * 70_000, b"\\n" * 70_000],
    )
    def test_of_every_kind(self, delimiter: bytes) -> None:
        text = delimiter + ONE + delimiter + TWO + delimiter
        assert texts_of(text) == [ONE, TWO]
        assert spans(exactly(text)) == spans(by_pieces(text)) == slowly(text)

    @pytest.mark.parametrize("text", [b"", b" \r\n\t", b"\\n", BOM, BOM + b"\\n\n", b"[]", b" [ ] \\n", BOM + b"[]"])
    def test_alone_are_no_record(self, text: bytes) -> None:
        assert exactly(text) == by_pieces_or_array(text) == []

    @pytest.mark.parametrize("delimiter", [b",", b";", b"\\", b"n", b"\\t", b"\x0b", b"\0", b"\xc2\xa0", BOM, b"|\\n"])
    def test_that_are_none_are_a_record_that_does_not_decode(self, delimiter: bytes) -> None:
        text = ONE + delimiter + TWO
        assert texts_of(text) == [ONE, TWO]
        assert faults_of(text) == [delimiter]

    def test_between_values_of_any_kind_may_be_missing(self) -> None:
        text = b'1"a"true[1]null{}2 3-4{"a":5}6'
        assert texts_of(text) == [b"1", b'"a"', b"true", b"[1]", b"null", b"{}", b"2", b"3", b"-4", b'{"a":5}', b"6"]


def by_pieces_or_array(text: bytes) -> list[Record]:
    splitter = Splitter(text, START)
    return list(splitter.elements()) if splitter.is_array() else by_pieces(text)


class TestArray:
    def test_of_records_gives_them(self) -> None:
        text = b" [ " + ONE + b" ,\n" + TWO + b"," + THREE + b" ] \\n"
        assert texts_of(text) == [ONE, TWO, THREE]
        assert faults_of(text) == []

    def test_elements_may_be_anything(self) -> None:
        assert texts_of(b'[1,"a",null,[2,[3]],{}]') == [b"1", b'"a"', b"null", b"[2,[3]]", b"{}"]

    @pytest.mark.parametrize(
        "text",
        [
            b"[" + ONE + b"," + TWO,
            b"[" + ONE + b"," + TWO + b",]",
            b"[" + ONE + b" " + TWO + b"]",
            b"[" + ONE + b"\\n," + TWO + b"]",
            b"[" + ONE + b",," + TWO + b"]",
            b"[" + ONE + b"," + TWO + b"]]",
            b"[" + ONE + b"," + TWO + b"]" + THREE,
            b"[" + ONE + b"," + TWO + b"][]",
            b"[" + ONE + b",NaN," + TWO + b"]",
            b"[," + ONE + b"," + TWO + b"]",
            BOM + b"[" + ONE + b"," + TWO + b"}",
        ],
    )
    def test_that_does_not_decode_to_the_end_is_read_without_its_bracket(self, text: bytes) -> None:
        assert texts_of(text)[:2] == [ONE, TWO]
        assert faults_of(text)[0].rstrip(b",") == b"["
        assert spans(exactly(text)) == spans(by_pieces(text)) == slowly(text)

    def test_behind_a_record_is_a_value_like_others(self) -> None:
        assert texts_of(ONE + b"[" + TWO + b"]") == [ONE, b"[" + TWO + b"]"]

    def test_holds_elements_that_are_no_utf8_and_keeps_the_others(self) -> None:
        bad = ONE[:-1] + b',"x":"\xff"}'
        half = ONE[:-1] + rb',"x":"\ud83d"}'
        text = b"[" + ONE + b"," + bad + b"," + half + b"," + TWO + b"]"
        assert texts_of(text) == [ONE, TWO]
        assert faults_of(text) == [bad, half]

    def test_elements_are_nested_as_deep_as_records_may_be(self) -> None:
        deep, deeper = nested(MAX_DEPTH), nested(MAX_DEPTH + 1)
        assert texts_of(b"[" + ONE + b"," + deep + b"]") == [ONE, deep]
        assert faults_of(b"[" + ONE + b"," + deeper + b"]")[0] == b"["

    @pytest.mark.parametrize("size", [1, 100, 1 << 20])
    def test_of_records_shows_them_as_spans(self, size: int) -> None:
        text = b"[ " + b" , ".join([ONE, TWO, THREE]) + b" ]\n"
        found = [span for block in Splitter(text, START).element_spans(size) for span in block]
        assert [text[span.start : span.end] for span in found] == [ONE, TWO, THREE]


def nested(depth: int) -> bytes:
    return b'{"ActivityType":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


class TestUndecodable:
    @pytest.mark.parametrize(
        ("bad", "fault"),
        [
            (b"NaN", "NaN is not JSON"),
            (b"Infinity", "Infinity is not JSON"),
            (b"-Infinity", "-Infinity is not JSON"),
            (b'"\xff"', "not UTF-8"),
            (b'"\xc3"', "not UTF-8"),
            (b'"\xed\xa0\x80"', "not UTF-8"),
            (b'"\xc0\xaf"', "not UTF-8"),
            (rb'"\ud800"', "a lone surrogate"),
            (rb'"\udfff"', "a lone surrogate"),
            (rb'"\ude00\ud83d"', "a lone surrogate"),
            (rb'"\ud83d\\ude00"', "a lone surrogate"),
            (rb'"\ud83dx\ude00"', "a lone surrogate"),
            (rb'"\ud83d\ud83d\ude00"', "a lone surrogate"),
            (rb'{"\ud83d":1}', "a lone surrogate"),
            (b'"a\nb"', "not JSON: Invalid control character at"),
            (b'"a\0b"', "not JSON: Invalid control character at"),
            (rb'"\x"', "not JSON: Invalid \\escape"),
            (rb'"\u12g4"', "not JSON: Invalid \\uXXXX escape"),
            (b"01", "not JSON: Expecting ',' delimiter"),
            (b"1.", "not JSON: Expecting ',' delimiter"),
            (b"+1", "not JSON: Expecting value"),
            (b".5", "not JSON: Expecting value"),
            (b"[1,]", "not JSON: "),
            (b"{1:2}", "not JSON: Expecting property name enclosed in double quotes"),
            (b"'a'", "not JSON: Expecting value"),
            (b"/**/1", "not JSON: Expecting value"),
            (b"tru", "not JSON: Expecting value"),
            (b"True", "not JSON: Expecting value"),
            (b"1 2", "not JSON: Expecting ',' delimiter"),
        ],
    )
    def test_costs_no_neighbour(self, bad: bytes, fault: str) -> None:
        spoiled = b'{"ActivityType":"USER_USAGE","x":' + bad + b',"y":1}'
        for delimiter in (b"", b"\n"):
            text = delimiter.join([ONE, spoiled, TWO])
            assert texts_of(text) == [ONE, TWO]
            (found,) = (record for record in exactly(text) if record.fault is not None)
            assert found.fault is not None
            assert found.fault.startswith(fault)
            assert found.value is None
            assert text[found.start : found.end] in (spoiled, spoiled + delimiter)

    @pytest.mark.parametrize(
        "good", [rb'"\ud83d\ude00"', rb'"\\ud83d"', rb'"\uD83D\uDE00\u00e4"', '"😀\ufffd"'.encode()]
    )
    def test_is_not_what_is_a_whole_character(self, good: bytes) -> None:
        text = b'{"ActivityType":"USER_USAGE","x":' + good + b"}"
        assert texts_of(text + ONE) == [text, ONE]

    def test_is_what_is_nested_deeper_than_512(self) -> None:
        assert texts_of(nested(512) + ONE) == [nested(512), ONE]
        assert texts_of(nested(513) + ONE) == [ONE]
        assert faults_of(nested(513) + ONE) == [nested(513)]
        assert exactly(nested(513))[0].fault == "nested deeper than 512"

    @pytest.mark.parametrize("depth", [513, 900, 5_000, 200_000])
    def test_is_what_is_nested_very_deep(self, depth: int) -> None:
        for deep in (b"[" * depth, b'{"a":' * depth, b"[" * depth + b"]" * depth):
            text = ONE + b'{"ActivityType":' + deep + TWO
            assert texts_of(text) == [ONE, TWO]
            assert spans(exactly(text)) == spans(by_pieces(text))

    def test_braces_in_texts_are_no_nesting(self) -> None:
        text = record(text="{[" * 2_000)
        assert texts_of(text) == [text]

    def test_bad_utf8_ends_where_its_value_ends(self) -> None:
        bad = b'{"a":"\xff"}'
        text = ONE + bad + b'{"b":1}' + b"5" + TWO
        assert texts_of(text) == [ONE, b'{"b":1}', b"5", TWO]
        assert faults_of(text) == [bad]

    def test_bad_utf8_may_swallow_no_quote(self) -> None:
        bad = b'{"ActivityType":"x\xc3"}'
        assert texts_of(bad + TWO) == [TWO]
        assert faults_of(bad + TWO) == [bad]

    def test_other_text_goes_up_to_the_next_start(self) -> None:
        text = b"<html>503</html>" + b'{"a":1}' + ONE + b'} {"b":2} x' + TWO + b"tail"
        assert texts_of(text) == [ONE, TWO]
        assert faults_of(text) == [b'<html>503</html>{"a":1}', b'} {"b":2} x', b"tail"]

    @pytest.mark.parametrize("cut", range(1, len(ONE)))
    def test_cut_anywhere_a_record_leaves_the_next_alone(self, cut: int) -> None:
        for delimiter in (b"", b"\n", b"\\n"):
            text = TWO + delimiter + ONE[:cut] + delimiter + THREE
            assert texts_of(text) == [TWO, THREE]
            assert len(exactly(text)) == 3
            assert spans(exactly(text)) == spans(by_pieces(text)) == slowly(text)

    def test_in_a_broken_records_nested_object_a_false_start_is_accepted(self) -> None:
        inner = b'{"ActivityType":"inner"}'
        text = b'{"ActivityType":"outer" "x":1,"y":' + inner + b"}" + TWO
        assert texts_of(text) == [inner, TWO]
        assert faults_of(text) == [b'{"ActivityType":"outer" "x":1,"y":', b"}"]

    def test_in_a_good_record_a_nested_start_is_no_start(self) -> None:
        outer = b'{"ActivityType":"outer","y":[ {"ActivityType":"inner"},{ "ActivityType":"inner"}],"z":1}'
        text = ONE + outer + TWO
        assert texts_of(text) == [ONE, outer, TWO]
        assert texts_of(outer[:-1] + b"x" + TWO) == [b'{"ActivityType":"inner"}', b'{ "ActivityType":"inner"}', TWO]

    def test_white_space_may_stand_before_the_first_key(self) -> None:
        text = b'broken{ \r\n\t"ActivityType" :"x"}'
        assert texts_of(text) == [b'{ \r\n\t"ActivityType" :"x"}']

    def test_in_a_text_there_is_no_start(self) -> None:
        text = record(text='{"ActivityType":"x"}', other='{ "ActivityType"')
        assert texts_of(text + TWO) == [text, TWO]

    def test_the_start_is_the_feeds(self) -> None:
        text = b'x{"ActivityType":1}{"AWSAccountId":2}'
        found = list(Splitter(text, record_start("AWSAccountId")).all())
        assert [text[record.start : record.end] for record in found] == [b'x{"ActivityType":1}', b'{"AWSAccountId":2}']


class TestRecords:
    def test_hold_their_values_with_numbers_as_they_are_written(self) -> None:
        (found,) = exactly(b'{"a":5.0,"b":-0,"c":1e3,"d":123456789012345678901234567890,"a":[true,null,"x"]}')
        assert found.value == {"a": [True, None, "x"], "b": "-0", "c": "1e3", "d": "123456789012345678901234567890"}
        assert isinstance(found.value["b"], Number)

    def test_have_ordinals_that_count_what_is_refused(self) -> None:
        text = ONE + b"x" + TWO + b"5" + b'{"ActivityType":"\xff"}' + THREE
        assert [record.fault is None for record in exactly(text)] == [True, False, True, True, False, True]

    def test_begin_behind_the_byte_order_mark(self) -> None:
        assert exactly(BOM + ONE)[0].start == 3
        assert spans(exactly(BOM + ONE + TWO)) == slowly(BOM + ONE + TWO)

    @pytest.mark.parametrize(
        "character", ["x", "ä", "日", "😀", "\\n", "\\\\", '\\"', "\\u00e4", "\\ud83d\\ude00", "{[", "]}"]
    )
    def test_may_be_longer_than_any_window(self, character: str) -> None:
        long = b'{"ActivityType":"x","long":"' + (character * (2_500_000 // len(character))).encode() + b'"}'
        text = ONE + long + TWO
        assert texts_of(text) == [ONE, long, TWO]
        assert [text[record.start : record.end] for record in by_pieces(text, 1_000)] == [ONE, long, TWO]

    def test_may_hold_ten_million_characters(self) -> None:
        long = record(text="x" * 10_000_000)
        assert texts_of(b"?" + long + TWO) == [long, TWO]
        assert faults_of(long[:-2] + TWO) == [long[:-2]]

    @pytest.mark.parametrize("window", range(1, 24))
    def test_do_not_depend_on_where_a_window_ends(self, window: int) -> None:
        text = (
            b' 12345.6789e-10 -0.5 "\\u00e4\\ud83d\\ude00" \xf0\x9f\x98\x80 true false null [1,[2]] "\xff" '
            b'{"a":"\xe6\x97\xa5"}{"ActivityType":"\\\\","b":-1.5E+7} 1.x 1e+ nul -Infinit "open'
        )
        with mock.patch.multiple(module, _SMALLEST_WINDOW=window, CACHED_BYTES=window):
            assert spans(exactly(text)) == spans(by_pieces(text, window)) == slowly(text)


class TestStarts:
    @pytest.mark.parametrize("cached", [1, 2, 3, 7, 1 << 16])
    @pytest.mark.parametrize("space", [b"", b" \n"])
    def test_are_found_wherever_a_part_of_the_text_ends(
        self, cached: int, space: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "CACHED_BYTES", cached)
        start = b"{" + space + f'"{KEY}"'.encode()
        text = ONE + b'{"other":{}}' + TWO + start + b":{" + start[:-1] + b"}}" + start
        expected = [match.start() for match in START.pattern.finditer(text)]
        assert len(expected) == 4
        with mmap.mmap(-1, len(text)) as mapped:
            mapped.write(text)
            for of in (text, mapped):
                splitter = Splitter(of, START)
                assert splitter._starts_in(0, len(text)) == expected
                assert splitter._starts_in(1, len(text) - 1) == expected[1:-1]
                assert splitter._starts_in(7, 7) == []


class TestPieces:
    def test_are_spans_where_nothing_is_odd(self) -> None:
        text = BOM + b"\\n".join([ONE, TWO, THREE]) + b" \\n"
        pieces, position = Splitter(text, START).pieces(3, 1 << 20)
        assert all(isinstance(piece, Span) for piece in pieces)
        assert [text[piece.start : piece.end] for piece in pieces] == [ONE, TWO, THREE]
        assert position == len(text)

    def test_are_records_only_where_something_is(self) -> None:
        text = ONE + TWO[:-4] + THREE + b"?" + ONE
        pieces, _ = Splitter(text, START).pieces(0, 1 << 20)
        assert [isinstance(piece, Span) for piece in pieces] == [True, False, False, False, True]

    def test_are_about_as_many_bytes_as_wanted(self) -> None:
        text = b"".join(record(number) for number in range(1_000))
        splitter = Splitter(text, START)
        position, blocks = 0, 0
        while position < len(text):
            _, behind = splitter.pieces(position, 1_000)
            assert 1_000 <= behind - position < 1_100 or behind == len(text)
            position, blocks = behind, blocks + 1
        assert blocks > 40

    def test_stop_where_a_text_without_starts_would_be_one_block(self) -> None:
        text = b"1 " * 100_000
        splitter = Splitter(text, START)
        pieces, position = splitter.pieces(0, 1_000)
        assert len(pieces) == 500
        assert position == 1_000
        pieces, position = splitter.pieces(0, 1 << 20)
        assert len(pieces) == 10_000
        assert position == 20_000

    def test_of_a_record_longer_than_any_block_are_that_record(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_LONGEST_SPAN", 5_000)
        long = record(text="x" * 20_000, nested={KEY: "y" * 20_000})
        text = ONE + long + TWO
        assert [text[record.start : record.end] for record in by_pieces(text, 100)] == [ONE, long, TWO]
        assert [text[record.start : record.end] for record in by_pieces(text, 10_000)] == [ONE, long, TWO]


class TestHostileTexts:
    """Texts that are made to be decoded over and over: the bytes that are decoded are counted."""

    @staticmethod
    def decoded_bytes(text: bytes) -> int:
        counted = 0

        def count(window: bytes, *, is_last: bool) -> Any:
            nonlocal counted
            counted += len(window)
            return decode_first(window, is_last=is_last)

        with mock.patch.object(module, "decode_first", count):
            assert spans(exactly(text)) == spans(by_pieces(text))
        return counted // 2  # split twice

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(b'{"ActivityType":' * 60_000, id="starts in starts"),
            pytest.param(b'{"ActivityType":' * 20_000 + b"1" + b"}" * 20_000, id="starts in starts, closed"),
            pytest.param(b'{"ActivityType":' * 500 + b"[1,2,3]" + b',{"a":[]}' * 100_000, id="open over much"),
            pytest.param(b'{"ActivityType":[' * 200 + b'{"ActivityType":1},' * 50_000, id="open over many starts"),
            pytest.param(b'{"ActivityType":[' * 200 + b'{"ActivityType":1},' * 50_000 + b"NaN", id="up to a NaN"),
            pytest.param((b'{"ActivityType":[' + b"1," * 500) * 1_000, id="starts in long starts"),
            pytest.param((b'{"ActivityType":[' + b'"x",' * 200 + b"[" * 600) * 300, id="deep again and again"),
            pytest.param(b'{"ActivityType":"' * 60_000, id="texts that never end"),
            pytest.param(b'{"ActivityType"' * 60_000, id="cut at once"),
            pytest.param((ONE[:-1] + b"\n") * 20_000, id="cut at the end"),
            pytest.param(b"1 " * 100_000, id="many values"),
            pytest.param(b'"' + b"x" * 2_000_000, id="one text that never ends"),
            pytest.param(b"x" * 2_000_000, id="nothing"),
            pytest.param(b"\\" * 500_000, id="backslashes"),
            pytest.param(b"[" * 500_000, id="brackets"),
            pytest.param(b"[" + b"1," * 200_000, id="an array that does not end"),
            pytest.param(b"[" + (b'{"ActivityType":[' * 200 + b'{"ActivityType":1},' * 20_000), id="open in an array"),
        ],
    )
    def test_cost_no_more_than_their_length(self, text: bytes) -> None:
        # However short a value is, it is seen in a window of 256 bytes.
        assert self.decoded_bytes(text) < 150 * len(text)

    @pytest.mark.parametrize("cut", ['"open', '"open\\', '"', "", "1", "tru", "[1,", '{"a":{'])
    @pytest.mark.parametrize("following", ['{"ActivityType":1}', '{\n"ActivityType":1}', '{ "ActivityType":1}'])
    def test_a_start_behind_a_long_cut_record_is_not_hopeless(self, cut: str, following: str) -> None:
        text = b'{"ActivityType":"x","a":"' + b"y" * 2_000 + b'","b":' + cut.encode() + following.encode()
        assert spans(exactly(text)) == spans(by_pieces(text)) == slowly(text)
        if cut != "":
            assert texts_of(text) == [following.encode()]

    def test_hopeless_starts_are_still_what_they_would_be(self) -> None:
        text = b'{"ActivityType":[' * 100 + b'{"ActivityType":1},' * 100 + b"}" + ONE
        assert spans(exactly(text)) == slowly(text)
        deep = (b'{"ActivityType":[' + b'"x",' * 30) * 700 + b"1" + b"]}" * 700 + ONE
        assert spans(exactly(deep)) == slowly(deep)


# --- whatever a text holds ---

_texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ['{"ActivityType":"x"}', "\\n", '"', "\\", "{[", "\x00\x1f", "😀", "\ud83d".encode("utf-16", "surrogatepass").hex()]
)
_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(_texts | st.just(KEY), children, max_size=3)
        | st.builds(lambda child: {KEY: child}, children)
    ),
    max_leaves=6,
)


@st.composite
def _records(draw: st.DrawFn) -> bytes:
    members = {KEY: draw(_values), **draw(st.dictionaries(_texts, _values, max_size=4))}
    separators = draw(st.sampled_from([None, (",", ":"), (" , ", "\r\n:\t")]))
    text = json.dumps(members, ensure_ascii=draw(st.booleans()), separators=separators).encode()
    return draw(st.sampled_from([b"{", b"{", b"{\n", b"{ "])) + text[1:]


_good = _records() | st.builds(nested, st.sampled_from([2, 511, 512]))
_bad = st.one_of(
    st.builds(lambda text, at: text[: at % len(text)], _records(), st.integers(0, 10_000)),
    st.builds(lambda text, at: text[at % len(text) :], _records(), st.integers(0, 10_000)),
    st.builds(
        lambda text, at, junk: text[: at % len(text)] + junk + text[at % len(text) :],
        _records(),
        st.integers(0, 10_000),
        st.sampled_from(
            [b"\xff", b"\xc3", b'"', b",", b"}", b"{", b"]", b"[", b"\0", b"\n", b"NaN", rb"\ud800", b"\\"]
        ),
    ),
    st.builds(nested, st.sampled_from([513, 514])),
    st.sampled_from(
        [
            b"NaN",
            b"-Infinity",
            b"nul",
            b"<html>503</html>",
            b"1.",
            b"-",
            b'"open',
            rb'"\udc00"',
            b'{"ActivityType"',
            b"[1,",
        ]
    ),
    st.binary(max_size=6),
)
_other = st.builds(lambda value: json.dumps(value).encode(), _values)
_delimiters = st.sampled_from([b"", b"", b"\n", b"\\n", b" ", b"\r\n\t", b",", b"\\n\\n "])


@st.composite
def _objects(draw: st.DrawFn) -> bytes:
    parts = draw(st.lists(st.one_of(_good, _good, _bad, _other), max_size=7))
    if draw(st.integers(0, 4)) == 0:
        text = b"[" + draw(st.sampled_from([b",", b" ,\n", b",,", b"\\n,"])).join(parts) + b"]"
        text += draw(st.sampled_from([b"", b"\\n", b"]", b"{}"]))
    else:
        text = b"".join(part + draw(_delimiters) for part in parts)
    return draw(st.sampled_from([b"", b"", BOM, b"\\n"])) + text


def _zip(text: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("first", text[: len(text) // 3])
        archive.writestr("second", text[len(text) // 3 :])
    return packed.getvalue()


_PACKINGS = (
    gzip.compress,
    lambda text: gzip.compress(text[: len(text) // 2]) + gzip.compress(text[len(text) // 2 :]),
    _zip,
    zstandard.ZstdCompressor().compress,
    lambda text: bytes(cramjam.snappy.compress(text)),
)


class TestEveryText:
    @settings(max_examples=400, deadline=None)
    @given(text=_objects(), window=st.sampled_from([1, 7, 64, 256]), size=st.sampled_from([1, 40, 1 << 20]))
    @example(text=b"1.5 1e5 1.e 1e+", window=1, size=1)
    @example(text=b'{"ActivityType":{"ActivityType":NaN}}' + ONE, window=1, size=1)
    @example(text=b"[" + ONE + b",", window=1, size=1)
    def test_has_the_records_that_the_slow_splitter_finds(self, text: bytes, window: int, size: int) -> None:
        expected = slowly(text)
        with mock.patch.object(module, "_SMALLEST_WINDOW", window), mock.patch.object(module, "_FAR", window):
            assert spans(exactly(text)) == expected
            splitter = Splitter(text, START)
            if not splitter.is_array():
                assert spans(by_pieces(text, size)) == expected

    @settings(max_examples=100, deadline=None)
    @given(text=_objects(), pack=st.sampled_from(_PACKINGS))
    def test_has_the_same_records_however_it_is_packed(self, text: bytes, pack: Any) -> None:
        with open_text(io.BytesIO(pack(text)), "object", 1 << 30) as unpacked:
            assert spans(list(Splitter(unpacked, START).all())) == slowly(text)

    @settings(max_examples=200, deadline=None)
    @given(
        parts=st.lists(
            st.tuples(
                _good,
                st.sampled_from(
                    [
                        b"",
                        b"\n",
                        b"\\n",
                        b"<html>503</html>",
                        b'{"ActivityType":"cut',
                        b'{"ActivityType":"cut"',
                        b'{"ActivityType":"a" "b":1}',
                        b'{"ActivityType":"\xff"}',
                        b'{"ActivityType":NaN}',
                        rb'{"ActivityType":"\ud83d"}',
                        b"12",
                        b'"text"',
                        nested(513),
                    ]
                ),
            ),
            max_size=8,
        )
    )
    def test_has_each_good_record_once_whatever_stands_between_them(self, parts: list[tuple[bytes, bytes]]) -> None:
        text = b"".join(good + between for good, between in parts)
        found = [found for found in texts_of(text) if found.startswith(b"{")]
        assert found == [good for good, _ in parts]
