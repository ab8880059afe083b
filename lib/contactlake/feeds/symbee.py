"""Symbee Connect's four event feeds and its chat transcripts (Interaction Event Feeds Reference Guide)."""

import re
from collections.abc import Mapping

import pyarrow.compute as pc

from contactlake.feeds.record_type import Columns, Context, Feed, Field, Kind, RecordType
from contactlake.feeds.values import read_transcript
from contactlake.tables.declaration import Table
from contactlake.tables.events import (
    SYMBEE_AGENT_EVENT,
    SYMBEE_INTERACTION,
    SYMBEE_TRANSCRIPT,
    SYMBEE_USER_USAGE,
    SYMBEE_WORK_CODE,
)

_TASK_TYPES = frozenset(
    [
        "VOICE",
        "ROUTED_EMAIL",
        "WEBCHAT",
        "SMS",
        "SMS_PINPOINT",
        "SMS_WEBHOOK",
        "PREVIEW_DIAL",
        "SOCIAL_WHATSAPP",
        "SOCIAL_LINE",
        "SOCIAL_FBMESSENGER",
        "SOCIAL_TWITTERDM",
        "SOCIAL_OTHER",
        "INSTANT_MESSAGE",
        "UC_CALL",
        "GENERIC_TASK",
    ]
)
_INITIATION_METHODS = frozenset(
    [
        "INBOUND_FORCED",
        "INBOUND_QUEUE",
        "OUTBOUND_FORCED",
        "OUTBOUND_REQUESTED",
        "OUTBOUND_AUTO",
        "OUTBOUND_AUTO_AGENT",
        "BRIDGE",
        "FORWARD",
    ]
)
_AGENT_STATES = frozenset(
    ["UNKNOWN", "UNAVAILABLE", "IDLE", "RESERVING", "RESERVED", "WORKING", "WRAP", "PENDING_UNAVAILABLE", "LOGGED_OFF"]
)
_FOCUS_STATES = frozenset(["ALERTING", "ACTIVE", "WRAP", "PARKED"])

DIALLED = frozenset({"OUTBOUND_AUTO", "OUTBOUND_AUTO_AGENT"})
"""Initiation methods whose ConnectedTimestamp is the dialler's, not the agent's."""

_ENUMERATIONS: Mapping[str, frozenset[str]] = {
    "task_type": _TASK_TYPES,
    "task_initiation_method": _INITIATION_METHODS,
    "delivery_provider": frozenset({"SYMBEE", "AMAZON", "SMARTDIAL"}),
    "media_location_type": frozenset({"S3"}),
    "usage_action_code": frozenset({"BEGIN", "ALIVE", "END"}),
    "event_type": frozenset({"LOGIN", "LOGOUT", "STATE_CHANGE", "TIMEOUT"}),
    "current_state": _AGENT_STATES,
    "previous_state": _AGENT_STATES,
    "current_focus_task_type": _TASK_TYPES,
    "previous_focus_task_type": _TASK_TYPES,
    "current_focus_task_init_method": _INITIATION_METHODS,
    "previous_focus_task_init_method": _INITIATION_METHODS,
    "current_focus_task_state": _FOCUS_STATES,
    "previous_focus_task_state": _FOCUS_STATES,
}

_JSON_NAMES = {
    "usage_entry_at": "UsageEntryTime",
    "created_at": "CreatedDate",
    "previous_state_ms": "PreviousStateDurationMS",
}
_NOT_FIELDS = frozenset(
    {"source_object", "source_ordinal", "record_sha256", "ingested_at", "flags", "is_transferred_out"}
)


def _json_name(column: str) -> str:
    """The feed's name of a column: snake case back to its own."""
    if column in _JSON_NAMES:
        return _JSON_NAMES[column]
    stem = re.sub(r"_at$", "_timestamp", column)
    stem = re.sub(r"_ms$", "_duration_in_millis", stem)
    return "".join(word.capitalize() for word in stem.split("_"))


def _kind(name: str, spark_type: str) -> Kind:
    if spark_type == "map<string,string>":
        return Kind.ATTRIBUTES
    if spark_type == "timestamp":
        return Kind.TIMESTAMP
    if spark_type == "bigint":
        return Kind.DURATION if name.endswith("_ms") else Kind.INTEGER
    return Kind.TEXT


def _fields(table: Table) -> tuple[Field, ...]:
    return tuple(
        Field(
            column.name,
            _kind(column.name, column.type),
            ((_json_name(column.name),),),
            _ENUMERATIONS.get(column.name),
        )
        for column in table.columns
        if column.name not in _NOT_FIELDS
    )


def _as_is(columns: Columns, _: Context) -> Columns:
    return columns


def _derive_interaction(columns: Columns, context: Context) -> Columns:
    transferred_to = columns["transferred_to_address"]
    return {
        **columns,
        "is_transferred_out": pc.is_valid(transferred_to),
        "far_end_address": context.protect(columns["far_end_address"]),
        "transferred_to_address": context.protect(transferred_to),
    }


INTERACTION = RecordType(
    name="INTERACTION_TRACE_RECORD",
    table=SYMBEE_INTERACTION,
    fields=_fields(SYMBEE_INTERACTION),
    required=("task_id", "completed_at"),
    derive=_derive_interaction,
    version="completed_at",
    ordered_times=("initiation_at", "queued_at", "assigned_at", "connected_at", "wrap_at", "completed_at"),
    unordered_when=("connected_at", "task_initiation_method", DIALLED),
)

WORK_CODE = RecordType(
    name="WORK_CODES",
    table=SYMBEE_WORK_CODE,
    fields=_fields(SYMBEE_WORK_CODE),
    required=("gateway_task_id", "work_code_name", "username", "created_at"),
    derive=_as_is,
)

USER_USAGE = RecordType(
    name="USER_USAGE",
    table=SYMBEE_USER_USAGE,
    fields=_fields(SYMBEE_USER_USAGE),
    required=("username", "usage_entry_at", "usage_action_code"),
    derive=_as_is,
)

AGENT_EVENT = RecordType(
    name="EXTENDED_AGENT_EVENTS",
    table=SYMBEE_AGENT_EVENT,
    fields=_fields(SYMBEE_AGENT_EVENT),
    required=("username", "agent_session_id", "current_state_at", "event_type", "current_state"),
    derive=_as_is,
)

TRANSCRIPT = RecordType(
    name="CHAT_TRANSCRIPT",
    table=SYMBEE_TRANSCRIPT,
    fields=(),
    required=(),
    derive=_as_is,
    read=read_transcript,
)

SYMBEE = Feed(
    name="symbee",
    first_key="ActivityType",
    type_key="ActivityType",
    record_types=(INTERACTION, WORK_CODE, USER_USAGE, AGENT_EVENT),
)

SYMBEE_TRANSCRIPTS = Feed(
    name="symbee_transcript",
    first_key="ActivityType",
    type_key="ActivityType",
    record_types=(TRANSCRIPT,),
    holds_messages=True,
    default_layout="%Y/%m/%d/",
)
