"""Builders of records as the vendors publish them: believable, and as different as a test says."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

Record = Mapping[str, Any]


def interaction(**changes: Any) -> dict[str, Any]:
    """A voice call that Amazon delivered to cmiller: connected 17:00:10Z on 4 March 2025, wrapped up by 17:06."""
    return {
        "ActivityType": "INTERACTION_TRACE_RECORD",
        "TaskId": "task-1",
        "PlatformId": "AWS Connect",
        "CompanyId": "abccompany",
        "Environment": "prod",
        "OriginTaskId": "",
        "GatewayTaskId": "contact-1",
        "OriginGatewayTaskId": "",
        "TaskType": "VOICE",
        "TaskInitiationMethod": "INBOUND_FORCED",
        "DeliveryProvider": "AMAZON",
        "GatewayWorkHandle": "482",
        "Username": "cmiller",
        "UserReportHierarchy": "MidWest|Servicing",
        "SkillQueueName": "billing",
        "FarEndAddress": "+15550100123",
        "NearEndAddress": "+15550100999",
        "TransferredToAddress": "",
        "MediaLocation": "",
        "MediaLocationType": "",
        "InitiationTimestamp": "2025-03-04T16:59:00Z",
        "QueuedTimestamp": "",
        "AssignedTimestamp": "2025-03-04T17:00:05Z",
        "ConnectedTimestamp": "2025-03-04T17:00:10Z",
        "WrapTimestamp": "2025-03-04T17:05:10Z",
        "CompletedTimestamp": "2025-03-04T17:06:00Z",
        "QueuedDurationInMillis": 0,
        "ActiveDurationInMillis": 290_000,
        "ParkedDurationInMillis": 10_000,
        "WrapDurationInMillis": 50_000,
        "Attributes": None,
        **changes,
    }


def contact(
    agent: Mapping[str, Any] | None = None, queue: Mapping[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """The contact record of that call, agreeing with it to the second."""
    return {
        "AWSAccountId": "111122223333",
        "ContactId": "contact-1",
        "InitialContactId": None,
        "PreviousContactId": None,
        "NextContactId": None,
        "Channel": "VOICE",
        "InitiationMethod": "INBOUND",
        "InitiationTimestamp": "2025-03-04T16:59:00Z",
        "ConnectedToSystemTimestamp": "2025-03-04T16:59:00Z",
        "DisconnectTimestamp": "2025-03-04T17:05:10Z",
        "TransferCompletedTimestamp": None,
        "LastUpdateTimestamp": "2025-03-04T17:07:00Z",
        "InstanceARN": "arn:aws:connect:us-east-1:111122223333:instance/instance-1",
        "Agent": {
            "ARN": "arn:aws:connect:us-east-1:111122223333:instance/instance-1/agent/agent-1",
            "Username": "cmiller",
            "ConnectedToAgentTimestamp": "2025-03-04T17:00:10Z",
            "AgentInteractionDuration": 280,
            "CustomerHoldDuration": 20,
            "LongestHoldDuration": 20,
            "NumberOfHolds": 1,
            "AfterContactWorkDuration": 50,
            "AfterContactWorkStartTimestamp": "2025-03-04T17:05:10Z",
            "AfterContactWorkEndTimestamp": "2025-03-04T17:06:00Z",
            **(agent or {}),
        },
        "Queue": {
            "ARN": "arn:aws:connect:us-east-1:111122223333:instance/instance-1/queue/queue-1",
            "Name": "billing",
            "EnqueueTimestamp": "2025-03-04T16:59:10Z",
            "DequeueTimestamp": "2025-03-04T17:00:05Z",
            "Duration": 55,
            **(queue or {}),
        },
        "CustomerEndpoint": {"Address": "+15550100123", "Type": "TELEPHONE_NUMBER"},
        "Attributes": {},
        **changes,
    }


def work_code(**changes: Any) -> dict[str, Any]:
    return {
        "ActivityType": "WORK_CODES",
        "PlatformId": "AWS Connect",
        "CompanyId": "abccompany",
        "Environment": "prod",
        "WorkGroupName": "Voice",
        "WorkGroupDescription": "Voice",
        "WorkCodeName": "Password Change",
        "WorkCodeDescription": "Password Change",
        "Username": "cmiller",
        "UserReportHierarchy": "MidWest|Servicing",
        "QueueName": "billing",
        "CreatedDate": "2025-03-04T17:05:30Z",
        "GatewayTaskId": "contact-1",
        "TaskType": "VOICE",
        **changes,
    }


def text(records: Iterable[Record]) -> bytes:
    """Records one after another, as Firehose leaves them: with nothing between."""
    return "".join(json.dumps(record) for record in records).encode()


def interaction_object(hour: str, *records: Record, name: str = "sc-interactions-1") -> dict[str, bytes]:
    """One object of interactions that arrived in `hour` (YYYY/MM/DD/HH)."""
    return {f"symbee/interactions/{hour}/{name}": text(records)}


def contact_object(hour: str, *records: Record, name: str = "sc-ctr-1") -> dict[str, bytes]:
    """One object of contact records that arrived in `hour` (YYYY/MM/DD/HH)."""
    return {f"connect/connectCtrAcme{hour}/{name}": text(records)}


def agent_event(at: str, state: str, **changes: Any) -> dict[str, Any]:
    """cmiller goes to `state`; nothing is told of the state before."""
    return {
        "ActivityType": "EXTENDED_AGENT_EVENTS",
        "PlatformId": "AWS Connect",
        "CompanyId": "abccompany",
        "Environment": "prod",
        "Username": "cmiller",
        "UserReportHierarchy": "MidWest|Servicing",
        "AgentSessionId": "session-1",
        "EventType": "STATE_CHANGE",
        "CurrentState": state,
        "CurrentStateReason": "",
        "CurrentStateTimestamp": at,
        "CurrentTaskCount": 0,
        **changes,
    }


def usage(at: str, action: str, **changes: Any) -> dict[str, Any]:
    """cmiller begins, is alive or ends."""
    return {
        "ActivityType": "USER_USAGE",
        "PlatformId": "AWS Connect",
        "CompanyId": "abccompany",
        "Environment": "prod",
        "ProductId": "SymbeeEngage",
        "Username": "cmiller",
        "UserReportHierarchy": "MidWest|Servicing",
        "UsageEntryTime": at,
        "UsageActionCode": action,
        **changes,
    }
