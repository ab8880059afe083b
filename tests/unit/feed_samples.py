"""Records of every feed as text: plain ones, and ones with everything that JSON and its senders come up with."""

import json
import random
from collections.abc import Callable, Sequence

from contactlake.feeds import feed_named
from contactlake.feeds.record_type import Feed, Field, Kind, RecordType

SYMBEE, TRANSCRIPTS, CONNECT = feed_named("symbee"), feed_named("symbee_transcript"), feed_named("connect_contact")

_TEXTS = (
    "abc",
    "a b",
    "Ünïcödé 日本 😀",
    "5551232100",
    "sc/2025/x",
    "MidWest|Servicing",
    '"quoted"',
    "back\\slash",
    "t\tn\n",
)
_STAMPS = (
    "2025-03-07T19:41:46Z",
    "2025-03-07T23:59:59Z",
    "2024-02-29T00:00:00Z",
    "2025-03-08T02:00:00.5Z",
    "1999-12-31T00:00:00.123456Z",
)

_ODD_VALUES = (
    # nothing, and structures where there should be none or others
    *("null", '""', "[]", "{}", '[1,{"a":[]}]', '{"a":{"b":[null,"x"]}}', '"x"', "true", "false"),
    # numbers in every guise
    *("5", "-5", "0", "-0", "5.0", "1e3", "1E-2", "123456789012345678901234567890", "9223372036854775807"),
    *("9223372036854775808", "-9223372036854775808", "-9223372036854775809", "9223372036854776", "1e400", "0.1"),
    *(
        '"5"',
        '"-5"',
        '"007"',
        '"-0"',
        '" 5"',
        '"5 "',
        '"+5"',
        '"5.0"',
        '"1e3"',
        '"٥"',
        f'"{"0" * 50}7"',
        f'"{"9" * 50}"',
    ),
    *("86400000", "86400001", "86400", "86401"),
    # texts with escapes, control characters and odd characters
    *(r'"\u0041bc"', r'"\"\\\/\b\f\n\r\t"', r'"\u0000"', r'"\ud83d\ude00"', '"\x7f"', '"\u2028"', '"{[\\"NaN,Inf]}"'),
    *('"a:NaN"', '":Infinity"', '"}null"', '"\ufeff"', '"Ä\u0301"'),
    # times
    *(
        '"2025-03-07T12:00:00+05:30"',
        '"2025-03-07T12:00:00-0800"',
        '"2025-03-07T12:00:00+00:60"',
        '"2025-03-07T12:00:00+24:00"',
    ),
    *(f'"2025-03-07T12:00:00.{"123456789"[:digits]}Z"' for digits in range(1, 10)),
    *('"2025-02-30T00:00:00Z"', '"2025-02-29T00:00:00Z"', '"2024-02-29T00:00:00Z"', '"1900-02-29T00:00:00Z"'),
    *('"2000-02-29T00:00:00Z"', '"2025-03-07T24:00:00Z"', '"2025-03-07T23:59:60Z"', '"2025-13-01T00:00:00Z"'),
    *('"2025-00-01T00:00:00Z"', '"2025-01-00T00:00:00Z"', '"2025-03-07 12:00:00Z"', '"2025-03-07t12:00:00Z"'),
    *('"2025-03-07T12:00:00z"', '"2025-03-07T12:00:00"', '"2025-03-07T12:00Z"', '"2025-03-07"', '"2025-3-7T12:00:00Z"'),
    *('"2025-03-07T12:00:00Z "', '"2025-03-07T12:00:00.Z"', '"2025-03-07T12:00:00,5Z"', '"0000-01-01T00:00:00Z"'),
    *('"0001-01-01T00:00:00Z"', '"0001-01-01T00:00:00+01:00"', '"9999-12-31T23:59:59Z"', '"9999-12-31T23:59:59-01:00"'),
    *(
        '"20250307T120000Z"',
        '"yesterday"',
        '"٢٠٢٥-03-07T12:00:00Z"',
        '"2025-03-07T12:00:00\\u005a"',
        '"0099-01-01T00:00:00Z"',
    ),
)
_UNDECODABLE_VALUES = (
    "NaN",
    "-Infinity",
    "Inf",
    r'"\ud800"',
    r'"\udc00x"',
    '"a\x00b"',
    '"a\nb"',
    "01",
    "1.",
    "+1",
    "tru",
    "'a'",
    "[1,]",
    "",
)
_UNKNOWN_MEMBERS = (
    ('"Unknown"', "1"),
    ('"Unknown"', '{"ActivityType":"WORK_CODES","Unknown":[{"ActivityType":"x"},{"AWSAccountId":"y"}]}'),
    ('"Deep"', "[" * 400 + "]" * 400),
    ('"TooDeep"', "[" * 600 + "]" * 600),
    ('"NearlyTooDeep"', "[" * 511 + "]" * 511),
    ('"Wide"', "[" + ",".join(["{}"] * 600) + "]"),
    ('"Twice"', '{"a":1,"a":[2]}'),
    ('"Big"', "1e400"),
    ('""', "null"),
    (r'"\u0000"', "true"),
    (r'"taskid"', '"lower case"'),
    ('"Constant"', "NaN"),
    ('"Constant"', "[-Infinity]"),
)

Pairs = list[tuple[str, "str | Pairs"]]


def plain_value(field: Field, dice: random.Random) -> str:
    """A value as it should be, as JSON."""
    match field.kind:
        case Kind.TEXT:
            choices = sorted(field.values) if field.values and dice.random() < 0.8 else _TEXTS
            return json.dumps(dice.choice(choices), ensure_ascii=dice.random() < 0.5)
        case Kind.TIMESTAMP:
            return f'"{dice.choice(_STAMPS)}"'
        case Kind.BOOLEAN:
            return dice.choice(("true", "false"))
        case Kind.ATTRIBUTES:
            return dice.choice(
                ("null", "{}", '{"Email":"j@x.y","tier":"gold"}', '{"greetingPlayed":"a","GreetingPlayed":"b","x":""}')
            )
        case _:
            return str(dice.choice((0, 1, 42, 9_000, 86_400)))


def _odd_attributes(dice: random.Random) -> str:
    keys = ("tier", "Tier", "TIER", "greetingPlayed", "GreetingPlayed", r"t\u0069er", "x y", "")
    members = [f'"{dice.choice(keys)}":{dice.choice(_ODD_VALUES)}' for _ in range(dice.randrange(6))]
    return "{" + dice.choice((",", " , ")).join(members) + "}"


def _set(pairs: Pairs, path: Sequence[str], value: str) -> None:
    for step in path[:-1]:
        key = json.dumps(step)
        for name, inner in pairs:
            if name == key and isinstance(inner, list):
                pairs = inner
                break
        else:
            inner = []
            pairs.append((key, inner))
            pairs = inner
    pairs.append((json.dumps(path[-1]), value))


def _all_pairs(pairs: Pairs) -> list[Pairs]:
    return [pairs, *(deeper for _, inner in pairs if isinstance(inner, list) for deeper in _all_pairs(inner))]


def _escape_a_letter(key: str, dice: random.Random) -> str:
    at = dice.randrange(1, len(key) - 1) if len(key) > 2 else 0
    if not at or not key[at].isalpha():
        return key
    return f"{key[:at]}\\u{ord(key[at]):04{dice.choice('xX')}}{key[at + 1 :]}"


def _spoil(pairs: Pairs, record_type: RecordType, dice: random.Random) -> None:
    """One oddity somewhere in a record."""
    place = dice.choice(_all_pairs(pairs))
    at = dice.randrange(len(place)) if place else 0

    def replace_value() -> None:
        if place:
            place[at] = (place[at][0], dice.choice(_ODD_VALUES))

    def repeat_key() -> None:
        if place:
            place.insert(
                dice.randrange(len(place) + 1), (place[at][0], dice.choice((place[at][1], dice.choice(_ODD_VALUES))))
            )

    def escape_key() -> None:
        if place:
            place[at] = (_escape_a_letter(place[at][0], dice), place[at][1])

    def shuffle() -> None:
        dice.shuffle(place)

    def add_unknown() -> None:
        place.insert(dice.randrange(len(place) + 1), dice.choice(_UNKNOWN_MEMBERS))

    def remove() -> None:
        if place:
            del place[at]

    def not_json() -> None:
        if place and dice.random() < 0.3:
            place[at] = (place[at][0], dice.choice(_UNDECODABLE_VALUES))

    def change_type() -> None:
        pairs[:] = [
            (key, dice.choice(('"WORK_CODES"', '"OTHER"', "5", "[]"))) if key == '"ActivityType"' else (key, value)
            for key, value in pairs
        ]

    def negate() -> None:
        for number, (key, value) in enumerate(place):
            if isinstance(value, str) and value.isdigit():
                place[number] = (key, f"-{value}")

    def attributes() -> None:
        pairs.append(('"Attributes"', _odd_attributes(dice)))

    oddities: tuple[Callable[[], None], ...] = (
        *(replace_value,) * 5,
        *(repeat_key, escape_key, shuffle, add_unknown, remove, not_json, change_type, negate, attributes),
    )
    dice.choice(oddities)()


def _write(pairs: Pairs, dice: random.Random) -> str:
    space = dice.choice(("", "", "", " ", "\n", "\r\n\t"))
    members = (
        f"{key}{space}:{space}{value if isinstance(value, str) else _write(value, dice)}" for key, value in pairs
    )
    return "{" + space + f"{space},{space}".join(members) + space + "}"


def plain_record(record_type: RecordType, feed: Feed, dice: random.Random) -> bytes:
    """A record as it should be, of which many fields are left out or empty."""
    return _write(_pairs(record_type, feed, dice), random.Random(0)).encode()


def _pairs(record_type: RecordType, feed: Feed, dice: random.Random) -> Pairs:
    first = record_type.name if feed.type_key else "123456789012"
    pairs: Pairs = [(json.dumps(feed.first_key), json.dumps(first))]
    needed = {*record_type.required, *record_type.required_any[:1]}
    for field in record_type.fields:
        for path in field.paths:
            if path == (feed.first_key,):
                continue
            if field.column in needed or dice.random() < 0.7:
                _set(pairs, path, plain_value(field, dice))
            elif dice.random() < 0.3:
                _set(pairs, path, dice.choice(("null", '""')) if field.kind is Kind.TEXT else "null")
    return pairs


def any_record(seed: int, feed: Feed) -> bytes:
    """The record number `seed`: about half of them plain, the others with up to four oddities."""
    dice = random.Random(seed)
    record_type = dice.choice(feed.record_types)
    if not record_type.fields:
        return transcript(dice)
    pairs = _pairs(record_type, feed, dice)
    for _ in range(dice.choice((0, 0, 0, 0, 1, 1, 2, 4))):
        _spoil(pairs, record_type, dice)
    text = _write(pairs, dice).encode("utf-8", "surrogatepass")
    chance = dice.random()
    if chance < 0.02:
        return text[: dice.randrange(len(text))]
    if chance < 0.04:
        at = dice.randrange(len(text))
        return text[:at] + dice.choice((b"\xff", b'"', b",", b"}", b"{", b"\0", b"\\")) + text[at:]
    if chance < 0.07:
        return text + dice.choice(
            (b"null", b" null", b"5", b'{"b":1}', b"{}", b"garbage", b'null{"b":1}', b'\0{"b":1}')
        )
    return text


def transcript(dice: random.Random) -> bytes:
    messages = [
        {
            "Member": "Johnny",
            "Timestamp": dice.choice(("2019-05-01 00:46:06", "2019-05-01T00:46:06Z", "", None)),
            "Direction": dice.choice(("Inbound", "Outbound", "Sideways", None)),
            "Message": dice.choice(("Hi", "", "😀😀", None, 5)),
        }
        for _ in range(dice.randrange(4))
    ]
    return json.dumps({"ActivityType": "CHAT_TRANSCRIPT", "SessionId": "s", "Transcript": messages}).encode()
