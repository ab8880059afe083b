"""Records and objects as nobody should send them: a corpus written by hand, and as many more as are asked for."""

import bz2
import gzip
import io
import json
import lzma
import random
import zipfile
from collections.abc import Iterable
from typing import Any

import zstandard
from tests.records import agent_event, contact, interaction, usage, work_code
from tests.unit.feed_samples import any_record

from contactlake.feeds.record_type import Feed

DEEP = 100_000
NASTY_VALUES: tuple[str, ...] = (
    *("null", '""', '" "', "[]", "{}", "[[]]", "[null]", '{"":null}', "true", "false", "0", "-0", '"null"', '"NULL"'),
    # numbers
    *("1e308", "1e309", "-1e400", "1E+999999", "1e-400", "0.1", "5.0", "00", "-", "+1", ".5", "1.", "0x10", "1_000"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "2147483648"),
    *("9" * 5_000, f'"{"9" * 5_000}"', f'"-{"0" * 5_000}1"', "-1", '"-1"', "-86400000", "NaN", "Infinity", "-Infinity"),
    *("9223372036854775", "9223372036854776", "86400000000000", '"1e3"', '"٣"', '"１"'),
    # texts
    *(r'"\ud800"', r'"\udfff\ud800"', r'"\ud83d\ude00"', r'"\u0000"', '"a\0b"', '"\x01"', '"\x7f"', '"\n"', '"\ufeff"'),
    *('"\u202e"', '"e\u0301"', '"\U0010ffff"', r'"\uffff"', r'"\x"', r'"\u12"', '"unterminated', "'single'", '"a" "b"'),
    *('"; DROP TABLE x; --"', '"../../etc/passwd"', '"%s%n{0}${jndi:x}"', "\"<script>alert('x')</script>\"", '"a|b||"'),
    f'"{"x" * 70_000}"',
    # times
    *(
        f'"{stamp}"'
        for stamp in (
            *("0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "0001-01-01T23:59:59-12:00"),
            *("0001-12-31T00:00:00Z", "1582-10-10T00:00:00Z", "1883-11-18T12:00:00Z", "1899-12-31T00:00:00Z"),
            *("1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1677-09-21T00:12:43Z", "2262-04-11T23:47:17Z"),
            *(
                "9999-12-31T23:59:59.999999Z",
                "9999-12-31T23:59:59-12:00",
                "9999-12-30T00:00:00Z",
                "9998-06-01T00:00:00Z",
            ),
            *("10000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "292278994-08-17T07:12:55Z", "2016-12-31T23:59:60Z"),
            *("2025-03-09T02:30:00-06:00", "2025-11-02T01:30:00-05:00", "2025-03-09T08:00:00Z", "2024-02-30T00:00:00Z"),
            *("2025-03-07T12:00:00+23:59", "2025-03-07T12:00:00-23:59", "2025-03-07T24:00:00Z", "1741694400"),
        )
    ),
    # structures where there is none
    '{"ActivityType":"WORK_CODES"}',
    '[{"AWSAccountId":"1"}]',
    "[" * 511 + "]" * 511,
    "[" * 600 + "]" * 600,
    '{"a":' * 600 + "1" + "}" * 600,
    '{"a":1,"a":2,"A":3}',
    "",
    ",",
)
"""What may stand where a value should: much of it is no JSON."""

_BYTES = (
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x80",
    b"\0",
    b'"',
    b"\\",
    b"{",
    b"[",
    b",",
    b":",
)
_BETWEEN = (
    b"",
    b"\n",
    b" ",
    rb"\n",
    b"\r\n\t",
    b"\n\n",
    b"\x0b",
    b",",
    b"garbage",
    b"\xef\xbb\xbf",
    b"null",
    b"5",
    b"[]",
)
"""What may stand between records: much of it should not."""


def broken(record: dict[str, Any]) -> list[bytes]:
    """What `record` may look like where something is very wrong with it."""
    text = json.dumps(record).encode()
    cuts = [text[:at] for at in (1, 2, 16, len(text) // 2, len(text) - 2, len(text) - 1)]
    deep = (b"[" * DEEP, b'{"a":' * DEEP, b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP)
    return [
        *cuts,
        *(text[:-1] + b',"Deep":' + nested + b"}" for nested in deep),
        text[:-1] + b',"Long":"' + b"x" * 10_000_000 + b'"}',
        text[:-1] + b',"Long":"' + b"\\u00e4" * 500_000 + b'"}',
        text[:-1] + b"," + b",".join(b'"k%d":%d' % (number, number) for number in range(20_000)) + b"}",
        text[:-1] + b"," + b",".join([b'"same":1'] * 20_000) + b"}",
        text[:-1] + b',"Cut":"' + b"\xff" * 1000 + b'"}',
        text[:-1] + b',"Number":' + b"1" * 1_000_000 + b"}",
        text[:-1] + b',"Number":1e' + b"9" * 10_000 + b"}",
        text.upper(),
        text.replace(b'"', b"'"),
        text.replace(b": ", b"="),
        text.decode().encode("utf-16"),
        text.decode().encode("utf-32-be"),
        b"\0" * 1000,
        bytes(range(128, 256)),
        b"[",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"5",
        b"true",
        b"[" + text + b"]",
    ]


def good(number: int, feed: Feed) -> dict[str, Any]:
    """A good record of its own key; interaction and contact of one number belong together."""
    if feed.type_key is None:
        return contact(ContactId=f"contact-{number}")
    task = {"GatewayTaskId": f"contact-{number}"}
    if feed.holds_messages:
        message = {"Timestamp": "2025-03-04 17:00:00", "Direction": "Inbound", "Message": "hi"}
        return {"ActivityType": "CHAT_TRANSCRIPT", "SessionId": f"s-{number}", "Transcript": [message]}
    match number % 5:
        case 0:
            return agent_event("2025-03-04T17:00:00Z", "IDLE", Username=f"agent-{number}")
        case 1:
            return usage("2025-03-04T17:00:00Z", "ALIVE", Username=f"agent-{number}")
        case 2:
            return work_code(**task)
        case _:
            return interaction(TaskId=f"task-{number}", **task)


def with_nasty_value(record: dict[str, Any], dice: random.Random) -> bytes:
    """The record with one of its values replaced, wherever in it; by what is JSON or not."""
    at = dice.choice([name for name in record if name not in ("ActivityType", "AWSAccountId")])
    inner = record[at]
    if isinstance(inner, dict) and inner and dice.random() < 0.8:
        value = with_nasty_value(inner, dice).decode("utf-8", "surrogatepass")
    else:
        value = dice.choice(NASTY_VALUES)
    members = [f"{json.dumps(key)}:{value if key == at else json.dumps(there)}" for key, there in record.items()]
    return ("{" + ",".join(members) + "}").encode("utf-8", "surrogatepass")


def hostile(seed: int, feed: Feed) -> bytes:
    """The record number `seed`: an odd one of the feed, or a good one that was spoilt, and maybe more done to it."""
    dice = random.Random(seed)
    text = any_record(seed, feed) if dice.random() < 0.4 else with_nasty_value(good(seed, feed), dice)
    chance = dice.random()
    if chance < 0.1:
        at = dice.randrange(len(text) + 1)
        text = text[:at] + dice.choice(_BYTES) + text[at + dice.randrange(2) :]
    elif chance < 0.2:
        text = text[: dice.randrange(len(text) + 1)]
    elif chance < 0.25:
        at = dice.randrange(len(text) + 1)
        text = text[:at] + bytes(dice.randrange(256) for _ in range(dice.randrange(20))) + text[at:]
    return text


# --- objects ---


def zipped(*members: tuple[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", how) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return sink.getvalue()


def gzip_bomb(size: int) -> bytes:
    """So many spaces, in members of 16 MiB."""
    return gzip.compress(b" " * (16 << 20), 9) * (size // (16 << 20))


def zip_bomb(size: int) -> bytes:
    return zipped(*((f"{number}", b" " * (16 << 20)) for number in range(size // (16 << 20))))


def packed(text: bytes) -> dict[str, bytes]:
    """Objects that hold `text`, or seem to, packed in every way."""
    whole = gzip.compress(text)
    member = zipped(("a.json", text))
    return {
        "gzip": whole,
        "gzip, two members": whole + whole,
        "gzip, cut": whole[:-9],
        "gzip, cut in its header": whole[:5],
        "gzip, second member cut": whole + whole[:-3],
        "gzip, wrong sum": whole[:-8] + b"\0\0\0\0" + whole[-4:],
        "gzip, garbage behind": whole + b"garbage",
        "gzip in gzip": gzip.compress(whole),
        "zip": member,
        "zip, cut": member[: len(member) // 2],
        "zip in zip": zipped(("inner.zip", member)),
        "zip, encrypted": member[:6]
        + b"\x01"
        + member[7:].replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
        "zip, out of its root": zipped(
            ("../../../tmp/evil", text), ("/etc/evil", text), ("C:\\evil", text), ("a\0b", text)
        ),
        "zip, folders and nothing": zipped(("folder/", b""), ("empty", b"")),
        "zip, bzip2": zipped(("a", text), how=zipfile.ZIP_BZIP2),
        "zip, lzma": zipped(("a", text), how=zipfile.ZIP_LZMA),
        "zstd": zstandard.compress(text),
        "zstd, cut": zstandard.compress(text)[:-4],
        "bzip2": bz2.compress(text),
        "xz": lzma.compress(text),
        "magic alone": b"\x1f\x8b",
        "zip magic alone": b"PK\x03\x04",
        "snappy magic alone": b"\xff\x06\x00\x00sNaPpY",
        "one byte": b"{",
        "byte order marks": b"\xef\xbb\xbf" * 3 + text,
        "utf-16": text.decode("utf-8", "replace").encode("utf-16"),
    }


def damaged(seed: int, text: bytes) -> bytes:
    """A packed object with some of its bytes changed, added or missing."""
    dice = random.Random(seed)
    content = bytearray(dice.choice(list(packed(text).values())))
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(content) + 1)
        content[at : at + dice.randrange(4)] = bytes(dice.randrange(256) for _ in range(dice.randrange(4)))
    return bytes(content)


ODD_NAMES = (
    "a b  c",
    "quotes'\"`",
    "date=2025-03-01",
    "%20%00%zz",
    "plus+and&",
    "hash#query?x=1",
    "semi;colon,comma:",
    "Ünïcödé日本語😀",
    "new\nline",
    "back\\slash",
    "{braces}[brackets]*$!~",
    "n" * 250,
    "-leading",
    "trailing.",
    "a.gz.json.zip",
)


def texts(feed: Feed, seeds: range, goods: Iterable[bytes] = ()) -> bytes:
    """Hostile records with what may stand between them, and one of `goods` behind every tenth."""
    good = iter(goods)
    parts = []
    for seed in seeds:
        parts += [hostile(seed, feed), random.Random(seed).choice(_BETWEEN)]
        if seed % 10 == 9:
            parts.append(b"\n" + next(good, b"") + b"\n")
    return b"".join(parts)
