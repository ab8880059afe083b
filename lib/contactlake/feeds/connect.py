"""Amazon Connect's contact records (Amazon Connect administrator guide, contact records data model)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contactlake.feeds.record_type import Columns, Context, Feed, Field, Kind, RecordType
from contactlake.tables.events import CONNECT_CONTACT, CONTACT_ENDS

_CHANNELS = frozenset({"VOICE", "CHAT", "TASK", "EMAIL"})
_INITIATION_METHODS = frozenset(
    [
        "INBOUND",
        "OUTBOUND",
        "TRANSFER",
        "QUEUE_TRANSFER",
        "CALLBACK",
        "API",
        "DISCONNECT",
        "MONITOR",
        "EXTERNAL_OUTBOUND",
        "WEBRTC_API",
        "AGENT_REPLY",
        "FLOW",
        "CALLBACK_CUSTOMER_FIRST_DIALED",
    ]
)


def _field(column: str, kind: Kind, *paths: str, values: frozenset[str] | None = None) -> Field:
    return Field(column, kind, tuple(tuple(path.split(".")) for path in paths), values)


_LEVELS = tuple(f"agent_hierarchy_{level}" for level in range(1, 6))
_PARTICIPANT = (
    ("participant_id", Kind.TEXT, "ParticipantId"),
    ("participant_type", Kind.TEXT, "ParticipantType"),
    ("is_conversation_abandoned", Kind.BOOLEAN, "ConversationAbandon"),
    ("messages_sent", Kind.INTEGER, "MessagesSent"),
    ("num_responses", Kind.INTEGER, "NumResponses"),
    ("message_length_in_chars", Kind.INTEGER, "MessageLengthInChars"),
    ("total_response_ms", Kind.DURATION, "TotalResponseTimeInMillis"),
    ("max_response_ms", Kind.DURATION, "MaxResponseTimeInMillis"),
    ("last_message_at", Kind.TIMESTAMP, "LastMessageTimestamp"),
)
_CHAT = (
    ("is_multi_party", Kind.BOOLEAN, "MultiParty"),
    ("total_messages", Kind.INTEGER, "TotalMessages"),
    ("total_bot_messages", Kind.INTEGER, "TotalBotMessages"),
    ("total_bot_message_length_in_chars", Kind.INTEGER, "TotalBotMessageLengthInChars"),
    ("conversation_close_ms", Kind.DURATION, "ConversationCloseTimeInMillis"),
    ("conversation_turn_count", Kind.INTEGER, "ConversationTurnCount"),
    ("agent_first_response_at", Kind.TIMESTAMP, "AgentFirstResponseTimestamp"),
    ("agent_first_response_ms", Kind.DURATION, "AgentFirstResponseTimeInMillis"),
)
# The contact record calls it ContactMetrics, the API ChatContactMetrics; either may arrive.
_METRICS = (
    ("contact_metrics", _CHAT, ("ContactMetrics", "ChatContactMetrics")),
    ("agent_metrics", _PARTICIPANT, ("AgentMetrics",)),
    ("customer_metrics", _PARTICIPANT, ("CustomerMetrics",)),
)
_METRIC_FIELDS = tuple(
    Field(f"{group}.{column}", kind, tuple(("ChatMetrics", spelling, name) for spelling in spellings))
    for group, members, spellings in _METRICS
    for column, kind, name in members
)

_FIELDS = (
    _field("contact_id", Kind.TEXT, "ContactId"),
    _field("initial_contact_id", Kind.TEXT, "InitialContactId"),
    _field("previous_contact_id", Kind.TEXT, "PreviousContactId"),
    _field("next_contact_id", Kind.TEXT, "NextContactId"),
    _field("related_contact_id", Kind.TEXT, "RelatedContactId"),
    _field("aws_account_id", Kind.TEXT, "AWSAccountId"),
    _field("instance_arn", Kind.TEXT, "InstanceARN"),
    _field("channel", Kind.TEXT, "Channel", values=_CHANNELS),
    _field("initiation_method", Kind.TEXT, "InitiationMethod", values=_INITIATION_METHODS),
    _field("disconnect_reason", Kind.TEXT, "DisconnectReason"),
    _field("initiation_at", Kind.TIMESTAMP, "InitiationTimestamp"),
    _field("connected_to_system_at", Kind.TIMESTAMP, "ConnectedToSystemTimestamp"),
    _field("disconnect_at", Kind.TIMESTAMP, "DisconnectTimestamp"),
    _field("transfer_completed_at", Kind.TIMESTAMP, "TransferCompletedTimestamp"),
    _field("last_update_at", Kind.TIMESTAMP, "LastUpdateTimestamp"),
    _field("scheduled_at", Kind.TIMESTAMP, "ScheduledTimestamp"),
    _field("agent", Kind.TEXT, "Agent.Username"),
    _field("agent_arn", Kind.TEXT, "Agent.ARN"),
    _field("agent_connected_at", Kind.TIMESTAMP, "Agent.ConnectedToAgentTimestamp"),
    _field("agent_interaction_ms", Kind.SECONDS, "Agent.AgentInteractionDuration"),
    _field("agent_hold_ms", Kind.SECONDS, "Agent.CustomerHoldDuration"),
    _field("agent_longest_hold_ms", Kind.SECONDS, "Agent.LongestHoldDuration"),
    _field("agent_hold_count", Kind.INTEGER, "Agent.NumberOfHolds"),
    _field("agent_pause_ms", Kind.SECONDS, "Agent.AgentPauseDuration", "Agent.AgentPauseDurationInSeconds"),
    _field("acw_ms", Kind.SECONDS, "Agent.AfterContactWorkDuration"),
    _field("acw_started_at", Kind.TIMESTAMP, "Agent.AfterContactWorkStartTimestamp"),
    _field("acw_ended_at", Kind.TIMESTAMP, "Agent.AfterContactWorkEndTimestamp"),
    *(
        _field(column, Kind.TEXT, f"Agent.HierarchyGroups.Level{level}.GroupName")
        for level, column in enumerate(_LEVELS, start=1)
    ),
    _field("routing_profile", Kind.TEXT, "Agent.RoutingProfile.Name"),
    _field("agent_connection_attempts", Kind.INTEGER, "AgentConnectionAttempts"),
    _field("queue", Kind.TEXT, "Queue.Name"),
    _field("queue_arn", Kind.TEXT, "Queue.ARN"),
    _field("enqueued_at", Kind.TIMESTAMP, "Queue.EnqueueTimestamp"),
    _field("dequeued_at", Kind.TIMESTAMP, "Queue.DequeueTimestamp"),
    _field("queue_ms", Kind.SECONDS, "Queue.Duration"),
    _field("customer_endpoint", Kind.TEXT, "CustomerEndpoint.Address"),
    _field("system_endpoint", Kind.TEXT, "SystemEndpoint.Address"),
    _field("transferred_to_endpoint", Kind.TEXT, "TransferredToEndpoint.Address"),
    _field("external_third_party_ms", Kind.SECONDS, "ExternalThirdParty.ExternalThirdPartyInteractionDuration"),
    _field("campaign_id", Kind.TEXT, "Campaign.CampaignId"),
    _field("answering_machine_status", Kind.TEXT, "AnsweringMachineDetectionStatus"),
    _field("segment_subtype", Kind.TEXT, "SegmentAttributes.connect:Subtype.ValueString"),
    *_METRIC_FIELDS,
    _field("attributes", Kind.ATTRIBUTES, "Attributes"),
)


def _last_segment(arns: pa.Array) -> pa.Array:
    few = arns.dictionary_encode()
    segments = pc.replace_substring_regex(few.dictionary, r"(?s)^.*/", "")
    return pc.if_else(pc.equal(segments, ""), pa.scalar(None, pa.string()), segments).take(few.indices)


def _is_known(column: pa.Array) -> bool:
    return bool(column.null_count < len(column))


def _metrics(columns: Columns) -> pa.Array:
    """The chat metrics as one structure; null, at each level, where nothing is known."""
    groups = []
    for group, members, _ in _METRICS:
        leaves = [columns[f"{group}.{name}"] for name, _, _ in members]
        groups.append(_struct(leaves, [name for name, _, _ in members]))
    return _struct(groups, [group for group, _, _ in _METRICS])


def _struct(children: list[pa.Array], names: list[str]) -> pa.Array:
    known = [child for child in children if _is_known(child)]
    if not known:
        kind = pa.struct([(name, child.type) for name, child in zip(names, children, strict=True)])
        return pa.nulls(len(children[0]), kind)
    is_there = np.zeros(len(children[0]), dtype=bool)
    for child in known:
        is_there |= child.is_valid().to_numpy(zero_copy_only=False)
    return pa.StructArray.from_arrays(children, names=names, mask=pa.array(~is_there))


def _derive(columns: Columns, context: Context) -> Columns:
    instance_id = _last_segment(columns["instance_arn"])
    hierarchy = columns[_LEVELS[0]]
    for level in filter(lambda level: _is_known(columns[level]), _LEVELS[1:]):
        hierarchy = pc.coalesce(pc.binary_join_element_wise(hierarchy, columns[level], "|"), hierarchy, columns[level])
    environment = instance_id
    if context.environment is not None:
        environment = pa.repeat(pa.scalar(context.environment, pa.string()), len(instance_id))
    return {
        **columns,
        "instance_id": instance_id,
        "environment": environment,
        "agent_hierarchy": hierarchy,
        "customer_endpoint": context.protect(columns["customer_endpoint"]),
        "transferred_to_endpoint": context.protect(columns["transferred_to_endpoint"]),
        "chat_metrics": _metrics(columns),
    }


CONTACT = RecordType(
    name="CONTACT_RECORD",
    table=CONNECT_CONTACT,
    fields=_FIELDS,
    required=("contact_id",),
    required_any=CONTACT_ENDS,
    derive=_derive,
    version=f"coalesce(last_update_at, {', '.join(CONTACT_ENDS)})",
)

CONNECT = Feed(name="connect_contact", first_key="AWSAccountId", record_types=(CONTACT,))
