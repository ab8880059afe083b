"""Reading one record's values exactly: the rules of the archive, field by field.

This is the definition. `block.py` decodes whole blocks of records at once and hands every record that is not plainly
good to the functions here.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from contactlake.archive.json_values import member_texts
from contactlake.feeds.record_type import Context, Field, Kind, Path, RecordType, Refused

_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:Z|([+-])([0-9]{2}):?([0-9]{2}))"
)
_TRANSCRIPT_TIMESTAMP = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")
_INTEGER = re.compile(r"-?[0-9]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BIGINT = range(-(1 << 63), 1 << 63)
_BIGINT_DIGITS = 19


class _Unreadable(Exception):
    """The value cannot be read as what its field should be; `place` where that is not the field itself."""

    def __init__(self, place: str | None = None) -> None:
        super().__init__(place)
        self.place = place


def timestamp(value: Any) -> int:
    """Microseconds since the epoch of `YYYY-MM-DDTHH:MM:SS[.digits](Z|±HH[:]MM)`; digits are cut after the sixth."""
    match = _TIMESTAMP.fullmatch(value) if type(value) is str else None
    if match is None:
        raise _Unreadable
    year, month, day, hour, minute, second, fraction, sign, zone_hour, zone_minute = match.groups()
    microsecond = int((fraction or "").ljust(6, "0")[:6])
    try:
        offset = timedelta(hours=int(zone_hour or 0), minutes=int(zone_minute or 0))
        if int(zone_minute or 0) > 59:
            raise _Unreadable
        zone = timezone(-offset if sign == "-" else offset)
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second), microsecond, tzinfo=zone
        ).astimezone(UTC)
    except (ValueError, OverflowError) as fault:  # no such day or hour, or not of the years 1 to 9999 in UTC
        raise _Unreadable from fault
    return (moment - _EPOCH) // _MICROSECOND


def transcript_timestamp(value: Any) -> int:
    """Microseconds since the epoch of `YYYY-MM-DD HH:MM:SS`, UTC."""
    match = _TRANSCRIPT_TIMESTAMP.fullmatch(value) if type(value) is str else None
    if match is None:
        raise _Unreadable
    try:
        moment = datetime(*(int(part) for part in match.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError as fault:
        raise _Unreadable from fault
    return (moment - _EPOCH) // _MICROSECOND


def integer(value: Any) -> int:
    """A bigint of a JSON integer, or of a string of digits."""
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise _Unreadable
    digits = value.lstrip("-").lstrip("0")  # Python itself refuses some thousands of digits, zeros or not
    if len(digits) > _BIGINT_DIGITS:
        raise _Unreadable
    number = int(digits or "0") * (-1 if value.startswith("-") else 1)
    if number not in _BIGINT:
        raise _Unreadable
    return number


def scalar_text(value: Any) -> str:
    """A text, or the JSON text of a number, true or false."""
    if isinstance(value, str):
        return str(value)
    if value is True:
        return "true"
    if value is False:
        return "false"
    raise _Unreadable


def _boolean(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise _Unreadable


def is_null(value: Any) -> bool:
    """Absent, null and the empty string are null."""
    return value is None or (type(value) is str and value == "")


def _at(record: dict[str, Any], path: Path) -> Any:
    """What lies at `path`; raises `_Unreadable` where a structure should be and something else is."""
    value: Any = record
    for depth, step in enumerate(path):
        if is_null(value):
            return None
        if not isinstance(value, dict):
            raise _Unreadable(".".join(path[:depth]))
        value = value.get(step)
    return None if is_null(value) else value


def _raw(record: dict[str, Any], field: Field) -> Any:
    values = [_at(record, path) for path in field.paths]  # all of them: each structure must be one
    return next((value for value in values if value is not None), None)


def _attributes(value: Any, field: Field, context: Context, text: str) -> list[tuple[str, str]] | None:
    if not isinstance(value, dict):
        raise _Unreadable
    kept: list[tuple[str, str]] = []
    for key in context.attributes_keep:
        member = value.get(key)
        if member is None:
            continue
        if isinstance(member, dict | list):
            kept.append((key, member_texts(member_texts(text)[field.paths[0][0]])[key]))
        else:
            kept.append((key, scalar_text(member)))
    return kept or None


def _read(raw: Any, field: Field, context: Context, text: str) -> Any:
    match field.kind:
        case Kind.TEXT:
            return scalar_text(raw)
        case Kind.TIMESTAMP:
            return timestamp(raw)
        case Kind.INTEGER | Kind.DURATION:
            return integer(raw)
        case Kind.SECONDS:
            number = integer(raw) * 1000
            if number not in _BIGINT:
                raise _Unreadable
            return number
        case Kind.BOOLEAN:
            return _boolean(raw)
        case Kind.ATTRIBUTES:
            return _attributes(raw, field, context, text)


def _is_missing(record: dict[str, Any], field: Field) -> bool:
    try:
        return _raw(record, field) is None
    except _Unreadable:
        return False  # something is there: it is judged as a bad value


def _names(record_type: RecordType, columns: Sequence[str]) -> str:
    return ", ".join(record_type.field(column).name for column in columns)


def read_record(record: Any, text: str, record_type: RecordType, context: Context) -> dict[str, Any]:
    """The decoded columns of one record: timestamps as microseconds, durations as milliseconds.

    `record` is the JSON value that `text` is. Raises `Refused` with the first reason that applies, in the archive's
    order: MISSING_VALUE, BAD_VALUE, NEGATIVE_DURATION.
    """
    if record_type.read is not None:
        return record_type.read(record, context)
    for column in record_type.required:
        if _is_missing(record, record_type.field(column)):
            raise Refused("MISSING_VALUE", _names(record_type, [column]))
    if record_type.required_any and all(
        _is_missing(record, record_type.field(column)) for column in record_type.required_any
    ):
        raise Refused("MISSING_VALUE", _names(record_type, record_type.required_any))
    row: dict[str, Any] = {}
    for field in record_type.fields:
        try:
            raw = _raw(record, field)
            row[field.column] = None if raw is None else _read(raw, field, context, text)
        except _Unreadable as fault:
            raise Refused("BAD_VALUE", fault.place or field.name) from None
    for field in record_type.fields:
        if field.kind in (Kind.DURATION, Kind.SECONDS) and (row[field.column] or 0) < 0:
            raise Refused("NEGATIVE_DURATION", field.name)
    return row


_PARTIES = {"Inbound": "customer", "Outbound": "agent"}


def read_transcript(record: Any, context: Context) -> dict[str, Any]:
    """The row of a chat transcript: its messages in their order, without their text.

    Raises `Refused` (BAD_VALUE).
    """
    messages = record.get("Transcript")
    if is_null(messages):
        messages = []
    if not isinstance(messages, list):
        raise Refused("BAD_VALUE", "Transcript")
    rows = [_message(message, f"Transcript[{number}]") for number, message in enumerate(messages)]
    times = [row["sent_at"] for row in rows if row["sent_at"] is not None]
    is_known = all(row["direction"] is None or row["party"] is not None for row in rows)
    return {
        "media_key": context.media_key,
        "session_id": _member(record, "SessionId", scalar_text, "SessionId"),
        "messages": rows,
        "first_message_at": min(times, default=None),
        "last_message_at": max(times, default=None),
        "flags": [] if is_known else ["UNKNOWN_ENUM"],
    }


def _message(message: Any, place: str) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise Refused("BAD_VALUE", place)
    direction = _member(message, "Direction", scalar_text, place)
    body = _member(message, "Message", scalar_text, place)
    return {
        "sent_at": _member(message, "Timestamp", transcript_timestamp, place),
        "direction": direction,
        "party": _PARTIES.get(direction or ""),
        "length": len(body or ""),
    }


def _member(record: dict[str, Any], key: str, read: Callable[[Any], Any], place: str) -> Any:
    value = record.get(key)
    try:
        return None if is_null(value) else read(value)
    except _Unreadable:
        raise Refused("BAD_VALUE", key if place == key else f"{place}.{key}") from None
