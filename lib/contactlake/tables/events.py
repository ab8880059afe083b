"""Silver event tables: one per record type, every field of the record, one row per natural key."""

from contactlake.tables.declaration import Column, Table, boolean, count, instant, milliseconds, text

_PROVENANCE = (
    text("source_object", "The archive object that the winning version was read from."),
    Column("source_ordinal", "int", "The record's position in that object, from 0."),
    text("record_sha256", "SHA-256 of the record's bytes as they stand in the object, hex.", required=True),
    instant("ingested_at", "The as-of instant of the run that wrote the row.", volatile=True),
    Column("flags", "array<string>", "OUT_OF_ORDER, IMPLAUSIBLE_DURATION, UNKNOWN_ENUM: what looks wrong with it."),
)

_COMPANY = (
    text("platform_id", "Always `AWS Connect`."),
    text("company_id", "The Symbee company alias."),
    text("environment", "The Symbee environment within the company."),
)
_USER = (
    text("username", "The agent; equal to the username in Amazon's contact records."),
    text("user_report_hierarchy", "The agent's reporting hierarchy, parts joined by `|`."),
)

CONTACT_ENDS = ("acw_ended_at", "disconnect_at", "acw_started_at", "last_update_at", "initiation_at")
"""A contact's end is the first of these that is there."""

SYMBEE_INTERACTION = Table(
    layer="silver",
    name="symbee_interaction",
    description="One row per task that Symbee Connect concluded; the version completed last.",
    key=("task_id",),
    statistics=("task_id", "gateway_task_id", "initiation_at", "completed_at"),
    lasting="initiation_at",
    counted_at=(("completed_at",),),
    columns=(
        text("task_id", "The task within Symbee Connect.", required=True),
        *_COMPANY,
        text("origin_task_id", "The task that this one was transferred or started from."),
        text("gateway_task_id", "The task in its gateway; for Amazon's work, the ContactId."),
        text("origin_gateway_task_id", "The origin task in its gateway."),
        text("task_type", "VOICE, ROUTED_EMAIL, WEBCHAT, SMS, ...: what kind of work it was."),
        text("task_initiation_method", "INBOUND_FORCED, OUTBOUND_REQUESTED, ...: direction and style of its start."),
        text("delivery_provider", "AMAZON, SYMBEE or SMARTDIAL: who queued and routed it."),
        text("gateway_work_handle", "The gateway's own handle of the work."),
        *_USER,
        text("skill_queue_name", "The queue; for Amazon's work, as configured in Amazon Connect."),
        text("far_end_address", "The customer's number, name or address.", identifier=True),
        text("near_end_address", "The number or address that the customer contacted."),
        text("transferred_to_address", "Where it was transferred to.", identifier=True),
        boolean("is_transferred_out", "A transferred_to_address was there, whatever privacy made of it."),
        text("media_location", "Where the transcript lies: bucket/key."),
        text("media_location_type", "S3."),
        instant("initiation_at", "When the task became known to Symbee Connect."),
        instant("queued_at", "When it entered the Symbee queue; null for Amazon's work."),
        instant("assigned_at", "When it was delivered to the agent."),
        instant("connected_at", "When the agent accepted it; for dialled work, when the dialler connected."),
        instant("wrap_at", "When wrap began."),
        instant("completed_at", "When the task ended, wrap included.", required=True),
        milliseconds("queued_ms", "Time in the Symbee queue; zero for voice."),
        milliseconds("active_ms", "Time in focus before wrap."),
        milliseconds("parked_ms", "Time in the background, behind another task."),
        milliseconds("wrap_ms", "Time in focus in wrap."),
        Column("attributes", "map<string,string>", "The attributes that `[privacy] attributes_keep` names."),
        *_PROVENANCE,
    ),
)

SYMBEE_WORK_CODE = Table(
    layer="silver",
    name="symbee_work_code",
    description="One row per work code that an agent selected for a task.",
    key=(
        "company_id",
        "environment",
        "gateway_task_id",
        "work_group_name",
        "work_code_name",
        "username",
        "created_at",
    ),
    statistics=("gateway_task_id", "created_at"),
    lasting="created_at",
    counted_at=(("created_at",),),
    columns=(
        *_COMPANY,
        text("work_group_name", "The group that the code is configured in."),
        text("work_group_description", "The group's description."),
        text("work_code_name", "The code.", required=True),
        text("work_code_description", "The code's description."),
        *_USER,
        text("queue_name", "The queue of the task."),
        instant("created_at", "When the code was saved.", required=True),
        text("gateway_task_id", "The task in its gateway; for voice, the ContactId.", required=True),
        text("task_type", "The kind of work, as in symbee_interaction."),
        *_PROVENANCE,
    ),
)

SYMBEE_USER_USAGE = Table(
    layer="silver",
    name="symbee_user_usage",
    description="One row per login, heartbeat and logout of a Symbee user.",
    key=("company_id", "environment", "username", "usage_entry_at", "usage_action_code", "product_id"),
    statistics=("username", "usage_entry_at"),
    lasting="usage_entry_at",
    counted_at=(("usage_entry_at",),),
    columns=(
        instant("usage_entry_at", "When it happened.", required=True),
        *_COMPANY,
        text("product_id", "The AWS Marketplace product that the use is metered against."),
        *_USER,
        text("usage_action_code", "BEGIN, ALIVE or END.", required=True),
        *_PROVENANCE,
    ),
)


def _focus(when: str, meaning: str) -> tuple[Column, ...]:
    return (
        count(f"{when}_task_count", f"Tasks assigned to the agent in the {meaning} state."),
        text(f"{when}_focus_task_id", f"The task in focus in the {meaning} state."),
        text(f"{when}_focus_gateway_task_id", f"That task in its gateway ({meaning} state)."),
        text(f"{when}_focus_task_type", f"The kind of that task ({meaning} state)."),
        text(f"{when}_focus_task_init_method", f"How that task began ({meaning} state)."),
        text(f"{when}_focus_task_state", f"ALERTING, ACTIVE, WRAP or PARKED ({meaning} state)."),
    )


SYMBEE_AGENT_EVENT = Table(
    layer="silver",
    name="symbee_agent_event",
    description="One row per state change of an omnichannel agent.",
    key=(
        "company_id",
        "environment",
        "username",
        "agent_session_id",
        "current_state_at",
        "event_type",
        "current_state",
        "current_focus_task_id",
        "current_task_count",
        "previous_state",
        "previous_state_at",
    ),
    statistics=("username", "agent_session_id", "current_state_at"),
    lasting="current_state_at",
    counted_at=(("current_state_at",),),
    columns=(
        *_COMPANY,
        *_USER,
        text("agent_session_id", "The agent's login session.", required=True),
        text("event_type", "LOGIN, LOGOUT, STATE_CHANGE or TIMEOUT.", required=True),
        text("current_state", "The state that the agent went to.", required=True),
        text("current_state_reason", "The reason of an unavailable state."),
        instant("current_state_at", "When the agent went to that state.", required=True),
        *_focus("current", "new"),
        text("previous_state", "The state that the agent left."),
        text("previous_state_reason", "The reason of the state left."),
        instant("previous_state_at", "When the state left had begun."),
        milliseconds("previous_state_ms", "How long the state left had lasted."),
        *_focus("previous", "left"),
        *_PROVENANCE,
    ),
)

SYMBEE_TRANSCRIPT = Table(
    layer="silver",
    name="symbee_transcript",
    description="One row per chat transcript, without any text: times, directions and lengths.",
    key=("media_key",),
    statistics=("media_key", "first_message_at", "last_message_at"),
    columns=(
        text("media_key", "The object's key within its archive.", required=True),
        text("session_id", "The chat session; not a task id."),
        Column(
            "messages",
            "array<struct<sent_at:timestamp,direction:string,party:string,length:bigint>>",
            "The messages in their order; length in characters.",
        ),
        instant("first_message_at", "When the first message was sent."),
        instant("last_message_at", "When the last message was sent."),
        *_PROVENANCE,
    ),
)

_PARTICIPANT_METRICS = (
    "struct<participant_id:string,participant_type:string,is_conversation_abandoned:boolean,messages_sent:bigint,"
    "num_responses:bigint,message_length_in_chars:bigint,total_response_ms:bigint,max_response_ms:bigint,"
    "last_message_at:timestamp>"
)

CONNECT_CONTACT = Table(
    layer="silver",
    name="connect_contact",
    description="One row per Amazon Connect contact: the contact record that was updated last.",
    key=("contact_id",),
    statistics=(
        "contact_id",
        "initiation_at",
        "disconnect_at",
        "acw_started_at",
        "acw_ended_at",
        "dequeued_at",
        "last_update_at",
    ),
    lasting="initiation_at",
    counted_at=(CONTACT_ENDS, ("disconnect_at", "dequeued_at", *CONTACT_ENDS)),
    columns=(
        text("contact_id", "The contact.", required=True),
        text("initial_contact_id", "The first contact of the conversation."),
        text("previous_contact_id", "The contact that this one followed from."),
        text("next_contact_id", "The contact that followed from this one."),
        text("related_contact_id", "The contact that this one is related to."),
        text("aws_account_id", "The AWS account."),
        text("instance_id", "The Amazon Connect instance: the last segment of its ARN."),
        text("environment", "The feed's environment, else the instance_id."),
        text("channel", "VOICE, CHAT, TASK or EMAIL."),
        text("initiation_method", "INBOUND, OUTBOUND, TRANSFER, CALLBACK, ...: how the contact began."),
        text("disconnect_reason", "Who or what ended the contact; absent from older records."),
        instant("initiation_at", "When the contact began."),
        instant("connected_to_system_at", "When the customer was connected to Amazon Connect."),
        instant("disconnect_at", "When the customer was disconnected."),
        instant("transfer_completed_at", "When the transfer out of this contact was completed."),
        instant("last_update_at", "When the record was updated last: the version."),
        instant("scheduled_at", "When the contact was scheduled to begin."),
        text("agent", "The agent's username."),
        text("agent_arn", "The agent's ARN."),
        instant("agent_connected_at", "When the agent was connected."),
        milliseconds("agent_interaction_ms", "The agent's time with the customer, hold excluded; whole seconds."),
        milliseconds("agent_hold_ms", "The customer's time on hold; whole seconds."),
        milliseconds("agent_longest_hold_ms", "The longest hold; whole seconds."),
        count("agent_hold_count", "How often the customer was put on hold."),
        milliseconds("agent_pause_ms", "The agent's pause on a task; whole seconds."),
        milliseconds("acw_ms", "After-contact work; whole seconds."),
        instant("acw_started_at", "When after-contact work began."),
        instant("acw_ended_at", "When after-contact work ended: the end of the agent's work."),
        text("agent_hierarchy", "The names of the agent's hierarchy groups, levels 1 to 5, joined by `|`."),
        text("routing_profile", "The agent's routing profile."),
        count("agent_connection_attempts", "How often Amazon Connect tried to reach an agent."),
        text("queue", "The queue's name."),
        text("queue_arn", "The queue's ARN."),
        instant("enqueued_at", "When the contact entered the queue."),
        instant("dequeued_at", "When the contact left the queue."),
        milliseconds("queue_ms", "Time in the queue; whole seconds; for callbacks not the difference of the two."),
        text("customer_endpoint", "The customer's number or address.", identifier=True),
        text("system_endpoint", "The number or address that the customer contacted."),
        text("transferred_to_endpoint", "Where the contact was transferred to.", identifier=True),
        milliseconds("external_third_party_ms", "An external participant's time with the customer; whole seconds."),
        text("campaign_id", "The outbound campaign."),
        text("answering_machine_status", "What answering machine detection found."),
        text("segment_subtype", "The channel's subtype, such as connect:Telephony."),
        Column(
            "chat_metrics",
            "struct<contact_metrics:struct<is_multi_party:boolean,total_messages:bigint,total_bot_messages:bigint,"
            "total_bot_message_length_in_chars:bigint,conversation_close_ms:bigint,conversation_turn_count:bigint,"
            "agent_first_response_at:timestamp,agent_first_response_ms:bigint>,"
            f"agent_metrics:{_PARTICIPANT_METRICS},customer_metrics:{_PARTICIPANT_METRICS}>",
            "Amazon's own chat metrics; ContactMetrics and ChatContactMetrics are one thing under two names.",
        ),
        Column("attributes", "map<string,string>", "The attributes that `[privacy] attributes_keep` names."),
        *_PROVENANCE,
    ),
)

EVENT_TABLES = (
    SYMBEE_INTERACTION,
    SYMBEE_WORK_CODE,
    SYMBEE_USER_USAGE,
    SYMBEE_AGENT_EVENT,
    SYMBEE_TRANSCRIPT,
    CONNECT_CONTACT,
)
