"""Records as they must not be. Each of these is one quarantined record and costs its neighbours nothing."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from contactlake.synthesize.dice import Dice
from contactlake.synthesize.recorder import AGENT_EVENTS, CONTACTS, INTERACTIONS, USAGE, WORK_CODES

Spoiler = Callable[[bytes, Dice], bytes]


@dataclass(frozen=True, slots=True)
class Malformation:
    """A way to spoil a record.

    `broken`: what results is no JSON. `keeps_start`: it still begins as a record of its feed does; what does not
    can't stand right after a broken one, with which it would be read as one.
    """

    kind: str
    spoil: Spoiler
    broken: bool = False
    keeps_start: bool = True


def _set(key: str, value: str) -> Spoiler:
    """Replace the first value of a key, text or number, by other JSON."""
    pattern = re.compile(rf'("{key}":)("(?:[^"\\]|\\.)*"|-?\d+|null)'.encode())
    replacement = rb"\g<1>" + value.encode().replace(b"\\", rb"\\")
    return lambda record, _: pattern.sub(replacement, record, count=1)


def _truncate(record: bytes, dice: Dice) -> bytes:
    return record[: int(len(record) * (0.3 + 0.6 * dice.random()))]


def _lose_comma(record: bytes, _: Dice) -> bytes:
    return record.replace(b'","', b'" "', 1)


def _spoil_utf8(record: bytes, _: Dice) -> bytes:
    """Put a byte in front of the last text's end that no UTF-8 holds."""
    at = record.rindex(b'"')
    return record[:at] + b"\xff" + record[at:]


_EVERYWHERE = (
    Malformation("truncated", _truncate, broken=True),
    Malformation("missing_comma", _lose_comma, broken=True),
    Malformation("bad_utf8", _spoil_utf8, broken=True),
    Malformation("not_an_object", lambda _, dice: dice.pick((b'"just text"', b"42", b"null")), keeps_start=False),
    Malformation("not_json", lambda *_: b"<html>503</html>", broken=True, keeps_start=False),
)
_SYMBEE = (*_EVERYWHERE, Malformation("unknown_type", _set("ActivityType", '"SOMETHING_NEW"')))

MALFORMATIONS: dict[str, tuple[Malformation, ...]] = {
    INTERACTIONS: (
        *_SYMBEE,
        Malformation("nan", _set("ActiveDurationInMillis", "NaN"), broken=True),
        Malformation("lone_surrogate", _set("NearEndAddress", r'"\ud83d"'), broken=True),
        Malformation("wrong_type", _set("WrapTimestamp", '"yesterday"')),
        Malformation("wrong_type", _set("ActiveDurationInMillis", "12.5")),
        Malformation("missing_key", _set("TaskId", '""')),
        Malformation("missing_key", _set("CompletedTimestamp", "null")),
        Malformation("negative_duration", _set("WrapDurationInMillis", "-5")),
    ),
    WORK_CODES: (
        *_SYMBEE,
        Malformation("nan", _set("TaskType", "NaN"), broken=True),
        Malformation("wrong_type", _set("CreatedDate", '"03/07/2025"')),
        Malformation("missing_key", _set("GatewayTaskId", "null")),
    ),
    USAGE: (
        *_SYMBEE,
        Malformation("nan", _set("ProductId", "NaN"), broken=True),
        Malformation("wrong_type", _set("UsageEntryTime", '"noon"')),
        Malformation("missing_key", _set("Username", '""')),
    ),
    AGENT_EVENTS: (
        *_SYMBEE,
        Malformation("nan", _set("PreviousStateDurationMS", "NaN"), broken=True),
        Malformation("wrong_type", _set("CurrentTaskCount", '"two"')),
        Malformation("missing_key", _set("AgentSessionId", '""')),
        Malformation("negative_duration", _set("PreviousStateDurationMS", "-1")),
    ),
    CONTACTS: (
        *_EVERYWHERE,
        Malformation("nan", _set("AgentConnectionAttempts", "NaN"), broken=True),
        Malformation("wrong_type", _set("InitiationTimestamp", '"yesterday"')),
        Malformation("wrong_type", _set("AgentConnectionAttempts", "1.0")),
        Malformation("missing_key", _set("ContactId", "null")),
        Malformation("negative_duration", _set("Duration", "-4")),
    ),
}
