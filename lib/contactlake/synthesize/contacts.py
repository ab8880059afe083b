"""Amazon Connect's contact records, in the shapes that instances emit."""

from dataclasses import dataclass

from contactlake.synthesize.centre import AWS_ACCOUNT, Agent, Queue
from contactlake.synthesize.instants import NEVER, Stamps

FORMER, CURRENT, NEWER = "former", "current", "newer"
"""The record's schemas: of 2019 (no `DisconnectReason` and others), the usual one, and one with later additions."""

_MEDIA = {"VOICE": '[{"Type":"AUDIO"}]', "CHAT": '[{"Type":"CHAT"}]', "TASK": "[]"}
_SUBTYPE = {"VOICE": "connect:Telephony", "CHAT": "connect:Chat", "TASK": "connect:Task"}


@dataclass(slots=True)
class Contact:
    """One contact; instants and durations in whole seconds, as Amazon Connect reports them."""

    contact_id: str
    channel: str
    method: str
    customer: str
    dialled: str
    agent: Agent | None = None
    queue: Queue | None = None
    initial_id: str = ""
    previous_id: str = ""
    next_id: str = ""
    related_id: str = ""
    initiation: int = NEVER
    on_system: int = NEVER
    enqueued: int = NEVER
    dequeued: int = NEVER
    queue_seconds: int = 0
    connected: int = NEVER
    acw_start: int = NEVER
    acw_end: int = NEVER
    hold_seconds: int = 0
    longest_hold: int = 0
    holds: int = 0
    disconnect: int = NEVER
    disconnect_reason: str = "CUSTOMER_DISCONNECT"
    transfer_completed: int = NEVER
    transferred_to: str = ""
    scheduled: int = NEVER
    third_party_seconds: int = NEVER
    last_update: int = NEVER
    attributes: str = "{}"
    chat_metrics: str = ""
    schema: str = CURRENT

    @property
    def end(self) -> int:
        """The last instant at which the contact can still change."""
        return max(self.acw_end, self.disconnect, self.initiation)


def _text(value: str) -> str:
    return f'"{value}"' if value else "null"


def _address(value: str, kind: str = "TELEPHONE_NUMBER") -> str:
    return f'{{"Address":"{value}","Type":"{kind}"}}' if value else "null"


def _agent_json(contact: Contact, at: Stamps) -> str:
    agent = contact.agent
    if agent is None:
        return "null"
    interacting = contact.acw_start - contact.connected - contact.hold_seconds
    return (
        f'{{"ARN":"{agent.arn}","AfterContactWorkDuration":{contact.acw_end - contact.acw_start},'
        f'"AfterContactWorkEndTimestamp":"{at[contact.acw_end]}","AfterContactWorkStartTimestamp":"{at[contact.acw_start]}",'
        f'"AgentInteractionDuration":{interacting},"ConnectedToAgentTimestamp":"{at[contact.connected]}",'
        f'"CustomerHoldDuration":{contact.hold_seconds},"HierarchyGroups":{agent.groups_json},'
        f'"LongestHoldDuration":{contact.longest_hold},"NumberOfHolds":{contact.holds},'
        f'"RoutingProfile":{agent.routing_json},"Username":"{agent.username}"}}'
    )


def _queue_json(contact: Contact, at: Stamps) -> str:
    queue = contact.queue
    if queue is None:
        return "null"
    return (
        f'{{"ARN":"{queue.arn}","DequeueTimestamp":{_text(at[contact.dequeued])},"Duration":{contact.queue_seconds},'
        f'"EnqueueTimestamp":{_text(at[contact.enqueued])},"Name":"{queue.name}"}}'
    )


def _recording_json(contact: Contact, at: Stamps) -> str:
    if contact.agent is None or contact.channel == "TASK":
        return '"Recording":null,"Recordings":null'
    day, minute = at[contact.connected][:10], at[contact.connected][11:16]
    kind, folder, ending = (
        ("AUDIO", "CallRecordings", "wav") if contact.channel == "VOICE" else ("CHAT", "ChatTranscripts", "json")
    )
    location = (
        f"amazon-connect-0123456789ab/connect/acme/{folder}/{day.replace('-', '/')}/"
        f"{contact.contact_id}_{day.replace('-', '')}T{minute}_UTC.{ending}"
    )
    return (
        f'"Recording":{{"DeletionReason":null,"Location":"{location}","Status":"AVAILABLE","Type":"{kind}"}},'
        f'"Recordings":[{{"DeletionReason":null,"FragmentStartNumber":null,"FragmentStopNumber":null,'
        f'"Location":"{location}","MediaStreamType":"{kind}","ParticipantType":null,"StartTimestamp":null,'
        f'"Status":"AVAILABLE","StopTimestamp":null,"StorageType":"S3"}}]'
    )


def contact_text(contact: Contact, instance_arn: str, at: Stamps) -> str:
    """A contact record, its keys in the alphabetical order of the real ones."""
    former = contact.schema == FORMER
    newer = contact.schema == NEWER
    reason = contact.disconnect_reason
    third_party = contact.third_party_seconds
    return (
        f'{{"AWSAccountId":"{AWS_ACCOUNT}","AWSContactTraceRecordFormatVersion":"2017-03-10",'
        f'"Agent":{_agent_json(contact, at)},"AgentConnectionAttempts":{1 if contact.agent else 0},'
        f"{'' if former else _DETECTION}"
        f'"Attributes":{contact.attributes},{"" if former else _CAMPAIGN}"Channel":"{contact.channel}",'
        f"{contact.chat_metrics}"
        f'"ConnectedToSystemTimestamp":{_text(at[contact.on_system])},{"" if former else _DETAILS}'
        f'"ContactId":"{contact.contact_id}","CustomerEndpoint":{_address(contact.customer)},'
        f"{'' if former else _DISCONNECT + _text(reason) + ','}"
        f'"DisconnectTimestamp":{_text(at[contact.disconnect])},'
        f"{'' if third_party == NEVER else _THIRD_PARTY % third_party}"
        f'"InitialContactId":{_text(contact.initial_id)},"InitiationMethod":"{contact.method}",'
        f'"InitiationTimestamp":{_text(at[contact.initiation])},"InstanceARN":"{instance_arn}",'
        f'"LastUpdateTimestamp":{_text(at[contact.last_update])},"MediaStreams":{_MEDIA[contact.channel]},'
        f'"NextContactId":{_text(contact.next_id)},"PreviousContactId":{_text(contact.previous_id)},'
        f"{_QUALITY if newer else ''}"
        f'"Queue":{_queue_json(contact, at)},{_recording_json(contact, at)},'
        f"{'' if former else _REFERENCES}"
        f"{_RELATED + _text(contact.related_id) + ',' if newer else ''}"
        f"{'' if former else _SCHEDULED + _text(at[contact.scheduled]) + ','}"
        f"{_SEGMENT % _SUBTYPE[contact.channel] if newer else ''}"
        f'"SystemEndpoint":{_address(contact.dialled)},"TransferCompletedTimestamp":{_text(at[contact.transfer_completed])},'
        f'"TransferredToEndpoint":{_address(contact.transferred_to)}{"" if former else _VOICE_ID}}}'
    )


_DETECTION = '"AnsweringMachineDetectionStatus":null,'
_CAMPAIGN = '"Campaign":{"CampaignId":null},'
_DETAILS = '"ContactDetails":{},'
_DISCONNECT = '"DisconnectReason":'
_THIRD_PARTY = '"ExternalThirdParty":{"ExternalThirdPartyInteractionDuration":%d},'
_QUALITY = '"QualityMetrics":{"Agent":{"Audio":{"PotentialQualityIssues":[],"QualityScore":4.3}},"Customer":null},'
_REFERENCES = '"References":[],'
_RELATED = '"RelatedContactId":'
_SCHEDULED = '"ScheduledTimestamp":'
_SEGMENT = '"SegmentAttributes":{"connect:Subtype":{"ValueString":"%s"}},'
_VOICE_ID = ',"VoiceIdResult":null'
