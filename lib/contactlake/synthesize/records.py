"""The records of the four Symbee feeds, fields in the order of the vendor's guide."""

from dataclasses import dataclass
from typing import NamedTuple

from contactlake.synthesize.centre import PLATFORM_JSON, Agent
from contactlake.synthesize.instants import NEVER, Stamps


@dataclass(slots=True)
class Interaction:
    """One task; instants and durations in milliseconds, `NEVER` for what did not happen.

    `attributes` is JSON; the task belongs to nobody while `agent` is None.
    """

    task_id: str
    contact_id: str
    task_type: str
    method: str
    provider: str
    agent: Agent | None
    queue: str
    far: str
    near: str = ""
    origin_task_id: str = ""
    origin_contact_id: str = ""
    work_handle: int = 0
    transferred_to: str = ""
    media_location: str = ""
    initiation: int = NEVER
    queued: int = NEVER
    assigned: int = NEVER
    connected: int = NEVER
    wrap: int = NEVER
    completed: int = NEVER
    queued_ms: int = 0
    active_ms: int = 0
    parked_ms: int = 0
    wrap_ms: int = 0
    attributes: str = "null"


NOBODY_JSON = '"Username":"","UserReportHierarchy":""'


def interaction_text(task: Interaction, at: Stamps) -> str:
    """An `INTERACTION_TRACE_RECORD`."""
    return (
        f'{{"ActivityType":"INTERACTION_TRACE_RECORD","TaskId":"{task.task_id}",{PLATFORM_JSON},'
        f'"OriginTaskId":"{task.origin_task_id}","GatewayTaskId":"{task.contact_id}",'
        f'"OriginGatewayTaskId":"{task.origin_contact_id}","TaskType":"{task.task_type}",'
        f'"TaskInitiationMethod":"{task.method}","DeliveryProvider":"{task.provider}",'
        f'"GatewayWorkHandle":"{task.work_handle}",{task.agent.symbee_json if task.agent else NOBODY_JSON},'
        f'"SkillQueueName":"{task.queue}","FarEndAddress":"{task.far}","NearEndAddress":"{task.near}",'
        f'"TransferredToAddress":"{task.transferred_to}","MediaLocation":"{task.media_location}",'
        f'"MediaLocationType":"{"S3" if task.media_location else ""}",'
        f'"InitiationTimestamp":"{at[task.initiation // 1000]}","QueuedTimestamp":"{at[task.queued // 1000]}",'
        f'"AssignedTimestamp":"{at[task.assigned // 1000]}","ConnectedTimestamp":"{at[task.connected // 1000]}",'
        f'"WrapTimestamp":"{at[task.wrap // 1000]}","CompletedTimestamp":"{at[task.completed // 1000]}",'
        f'"QueuedDurationInMillis":{task.queued_ms},"ActiveDurationInMillis":{task.active_ms},'
        f'"ParkedDurationInMillis":{task.parked_ms},"WrapDurationInMillis":{task.wrap_ms},'
        f'"Attributes":{task.attributes}}}'
    )


def work_code_text(task: Interaction, agent: Agent, group: str, code: str, stamp: str) -> str:
    """A `WORK_CODES` record of one code selected at the end of `task`."""
    return (
        f'{{"ActivityType":"WORK_CODES",{PLATFORM_JSON},"WorkGroupName":"{group}","WorkGroupDescription":"{group}",'
        f'"WorkCodeName":"{code}","WorkCodeDescription":"{code}",{agent.symbee_json},"QueueName":"{task.queue}",'
        f'"CreatedDate":"{stamp}","GatewayTaskId":"{task.contact_id}","TaskType":"{task.task_type}"}}'
    )


def usage_text(agent: Agent, action: str, stamp: str) -> str:
    """A `USER_USAGE` record."""
    return (
        f'{{"ActivityType":"USER_USAGE","UsageEntryTime":"{stamp}",{PLATFORM_JSON},"ProductId":"SymbeeEngage",'
        f'{agent.symbee_json},"UsageActionCode":"{action}"}}'
    )


class Posture(NamedTuple):
    """What an agent's session is doing from `since` (milliseconds) on."""

    state: str
    since: int
    reason: str = ""
    task_count: int = 0
    focus: Interaction | None = None
    focus_state: str = ""


def _posture_json(side: str, posture: Posture, at: Stamps, lasted: str) -> str:
    focus = posture.focus
    if focus is None:
        task = (
            f'"{side}FocusTaskId":"","{side}FocusGatewayTaskId":"","{side}FocusTaskType":"",'
            f'"{side}FocusTaskInitMethod":"","{side}FocusTaskState":""'
        )
    else:
        task = (
            f'"{side}FocusTaskId":"{focus.task_id}","{side}FocusGatewayTaskId":"{focus.contact_id}",'
            f'"{side}FocusTaskType":"{focus.task_type}","{side}FocusTaskInitMethod":"{focus.method}",'
            f'"{side}FocusTaskState":"{posture.focus_state}"'
        )
    return (
        f'"{side}State":"{posture.state}","{side}StateReason":"{posture.reason}",'
        f'"{side}StateTimestamp":"{at[posture.since // 1000]}",{lasted}"{side}TaskCount":{posture.task_count},{task}'
    )


def agent_event_text(agent: Agent, session_id: str, event: str, now: Posture, before: Posture, at: Stamps) -> str:
    """An `EXTENDED_AGENT_EVENTS` record: the session goes from `before` to `now`."""
    lasted = f'"PreviousStateDurationMS":{now.since - before.since if before.since != NEVER else 0},'
    return (
        f'{{"ActivityType":"EXTENDED_AGENT_EVENTS",{PLATFORM_JSON},{agent.symbee_json},"AgentSessionId":"{session_id}",'
        f'"EventType":"{event}",{_posture_json("Current", now, at, "")},'
        f"{_posture_json('Previous', before, at, lasted)}}}"
    )
