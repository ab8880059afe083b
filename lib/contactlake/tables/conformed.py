"""Silver conformed tables: the same for every vendor's feed."""

from contactlake.tables.declaration import (
    Check,
    Column,
    Table,
    boolean,
    count,
    date,
    instant,
    milliseconds,
    text,
)

STATUSES = (
    "MATCHED",
    "MATCHED_WITH_DIFFERENCES",
    "EXTRA_INTERACTION",
    "AWAITING_CONTACT",
    "MISSING_CONTACT",
    "NOT_EXPECTED",
    "UNHANDLED",
    "NOT_SYMBEE_AGENT",
    "AWAITING_INTERACTION",
    "MISSING_INTERACTION",
)

RECONCILIATION = Table(
    layer="silver",
    name="reconciliation",
    description="One row per interaction, and per contact that no interaction is joined to: how the two sides agree.",
    key=("contact_id", "task_id"),
    partition_by=("business_date",),
    statistics=("contact_id", "agent"),
    columns=(
        text("contact_id", "The contact; of an interaction its gateway_task_id, even where no contact is known."),
        text("task_id", "The interaction; null for a contact without one."),
        text("status", "The verdict; see the statuses.", required=True, values=STATUSES),
        text("environment", "The interaction's environment, else the contact's."),
        text("agent", "The interaction's agent, else the contact's."),
        text("queue", "The interaction's queue, else the contact's queue name."),
        text("channel", "The interaction's channel, else the contact's."),
        date("business_date", "The date the row is counted on, in the lake's time zone.", required=True),
        instant("interaction_completed_at", "When the interaction ended."),
        instant("contact_ended_at", "When the contact ended, after-contact work included."),
        Column(
            "differences",
            "array<struct<field:string,interaction:string,contact:string,delta_ms:bigint>>",
            "The comparisons out of tolerance, in the order of the comparisons' table.",
        ),
        milliseconds("talk_delta_ms", "Talk time, interaction less contact.", signed=True),
        milliseconds("wrap_delta_ms", "Wrap, interaction less contact.", signed=True),
        milliseconds("connected_delta_ms", "Connected, interaction less contact.", signed=True),
        milliseconds("wrap_start_delta_ms", "Start of wrap, interaction less contact.", signed=True),
        milliseconds("completed_delta_ms", "End of wrap, interaction less contact.", signed=True),
        boolean("is_agent_equal", "Both sides name the same agent."),
        boolean("is_queue_equal", "Both sides name the same queue."),
    ),
    checks=(
        Check("either id is present", "contact_id is not null or task_id is not null"),
        Check(
            "differences stand exactly where the status says so",
            "(status = 'MATCHED_WITH_DIFFERENCES') = (size(differences) > 0)",
        ),
    ),
)

INTERACTION = Table(
    layer="silver",
    name="interaction",
    description="One row per task worked or offered, whatever the vendor.",
    key=("source", "interaction_id"),
    partition_by=("business_date",),
    statistics=("interaction_id", "contact_id", "agent"),
    columns=(
        text("source", "The vendor's feed: symbee, vonage, ...", required=True),
        text("interaction_id", "The interaction within its source.", required=True),
        text("conversation_id", "The conversation that it is a part of.", required=True),
        text("origin_interaction_id", "The interaction that it was transferred or started from."),
        text("contact_id", "The Amazon Connect contact joined to it."),
        text("environment", "The environment that it was worked in.", required=True),
        text("agent", "Who worked it."),
        text("agent_hierarchy", "The agent's reporting hierarchy."),
        text("queue", "The queue it came through."),
        text(
            "channel",
            "voice, email, chat, sms, social, task, preview, instant_message, uc_call or other.",
            required=True,
            values=(
                "voice",
                "email",
                "chat",
                "sms",
                "social",
                "task",
                "preview",
                "instant_message",
                "uc_call",
                "other",
            ),
        ),
        text("direction", "inbound or outbound.", required=True, values=("inbound", "outbound", "internal")),
        text("initiation", "How it began, in the vendor's word."),
        text("provider", "Who queued and routed it."),
        instant("initiated_at", "When it became known."),
        instant("queued_at", "When it was queued."),
        instant("assigned_at", "When it was delivered to the agent."),
        instant("connected_at", "When the agent accepted it."),
        instant("wrap_at", "When wrap began."),
        instant("completed_at", "When it ended, wrap included.", required=True),
        date("business_date", "The date of completed_at in the lake's time zone.", required=True),
        milliseconds("queue_ms", "Time in the queue."),
        text("queue_ms_from", "Where queue_ms is from.", values=("contact", "interaction")),
        milliseconds("active_ms", "Time in focus before wrap."),
        milliseconds("parked_ms", "Time in the background."),
        milliseconds("wrap_ms", "Time in wrap."),
        milliseconds("hold_ms", "The customer's time on hold, of the contact joined."),
        milliseconds("handle_ms", "active + parked + wrap."),
        milliseconds("focus_ms", "active + wrap."),
        boolean("is_handled", "An agent and a connection are there.", required=True),
        boolean("is_transferred_out", "It ended in a transfer."),
        text("reconciliation_status", "The verdict of reconciliation.", values=STATUSES),
        text(
            "transcript_status",
            "Whether the transcript that it names is there.",
            values=("PRESENT", "MISSING", "NOT_EXPECTED"),
        ),
        Column("flags", "array<string>", "What looks wrong with the record."),
    ),
    checks=(
        Check(
            "handle is active + parked + wrap",
            "handle_ms <=> case when active_ms is null and parked_ms is null and wrap_ms is null then null"
            " else coalesce(active_ms, 0) + coalesce(parked_ms, 0) + coalesce(wrap_ms, 0) end",
        ),
        Check(
            "focus is active + wrap",
            "focus_ms <=> case when active_ms is null and parked_ms is null and wrap_ms is null then null"
            " else coalesce(active_ms, 0) + coalesce(wrap_ms, 0) end",
        ),
        Check("a handled interaction has an agent", "not is_handled or agent is not null"),
    ),
)

QUEUE_VISIT = Table(
    layer="silver",
    name="queue_visit",
    description="One row per stay of a contact or interaction in a queue.",
    key=("source", "visit_id"),
    partition_by=("business_date",),
    statistics=("visit_id",),
    columns=(
        text("source", "connect for Amazon's queues, else the vendor's feed.", required=True),
        text("visit_id", "The contact or interaction that waited.", required=True),
        text("conversation_id", "The conversation that it is a part of.", required=True),
        text("environment", "The environment of the queue."),
        text("queue", "The queue's name, else the last segment of its ARN."),
        text("channel", "The channel."),
        instant("enqueued_at", "When the wait began.", required=True),
        instant("dequeued_at", "When the wait ended."),
        instant("ended_at", "When the contact ended.", required=True),
        date("business_date", "The date of ended_at in the lake's time zone.", required=True),
        milliseconds("wait_ms", "How long it waited; null where nothing tells."),
        text("outcome", "What ended the wait.", required=True, values=("ANSWERED", "ABANDONED", "DIVERTED")),
    ),
)

AGENT = Table(
    layer="silver",
    name="agent",
    description="One row per agent whom a feed has named.",
    key=("source", "environment", "agent"),
    columns=(
        text("source", "The vendor's feed.", required=True),
        text("environment", "The environment.", required=True),
        text("agent", "The agent's username.", required=True),
        instant("first_seen_at", "The earliest instant at which a record names the agent.", required=True),
        instant("last_seen_at", "The latest instant at which a record names the agent.", required=True),
        text("agent_hierarchy", "The reporting hierarchy that was named last."),
    ),
)

_SOURCE = text("source", "The vendor's feed.", required=True)
_ENVIRONMENT = text("environment", "The environment.", required=True)
_AGENT_NAME = text("agent", "The agent's username.", required=True)
_SESSION_ID = text("session_id", "The agent's login session.", required=True)
_NOT_BACKWARDS = "ended_at >= started_at and duration_ms = unix_millis(ended_at) - unix_millis(started_at)"

IS_UNAVAILABLE = "state = 'UNAVAILABLE' or (state = 'PENDING_UNAVAILABLE' and coalesce(task_count, 0) <= 0)"
"""Which stretches of `agent_state` count as unavailable time, in Spark SQL."""

AGENT_STATE = Table(
    layer="silver",
    name="agent_state",
    description="One row per stretch of a business date that an agent's session was in one state.",
    key=("source", "environment", "agent", "session_id", "started_at", "state"),
    partition_by=("business_date",),
    statistics=("agent", "started_at"),
    columns=(
        _SOURCE,
        _ENVIRONMENT,
        _AGENT_NAME,
        text("agent_hierarchy", "The agent's reporting hierarchy."),
        _SESSION_ID,
        text("state", "The state, in the vendor's word.", required=True),
        text("reason", "The reason of an unavailable state."),
        text("focus_interaction_id", "The task that was in focus."),
        count("task_count", "Tasks assigned to the agent."),
        instant("started_at", "When the stretch began.", required=True),
        instant("ended_at", "When it ended.", required=True),
        milliseconds("duration_ms", "How long it lasted.", required=True),
        boolean("is_open", "The session has not ended, and this is its last stretch: its end may still move."),
        date("business_date", "The date of started_at in the lake's time zone.", required=True),
    ),
    checks=(Check("a stretch ends after its beginning", "ended_at > started_at"),),
)

AGENT_SESSION = Table(
    layer="silver",
    name="agent_session",
    description="One row per login session of an agent.",
    key=("source", "environment", "agent", "session_id"),
    statistics=("started_at", "ended_at"),
    dated_by="started_at",
    columns=(
        _SOURCE,
        _ENVIRONMENT,
        _AGENT_NAME,
        _SESSION_ID,
        instant("started_at", "The session's first event.", required=True),
        instant("ended_at", "Its end, or its last sign of life.", required=True),
        text(
            "ended_by",
            "LAST_SEEN: no event tells the end, so the last sign of life stands for it.",
            required=True,
            values=("LOGOUT", "TIMEOUT", "LAST_SEEN"),
        ),
        boolean("is_open", "The session may still go on.", required=True),
        milliseconds("duration_ms", "ended_at less started_at.", required=True),
    ),
    checks=(Check("duration is end less start", _NOT_BACKWARDS),),
)

FOCUS_INTERVAL = Table(
    layer="silver",
    name="focus_interval",
    description="One row per stretch of a session in which one task was in focus, in one state.",
    key=("source", "environment", "agent", "session_id", "started_at"),
    statistics=("started_at",),
    dated_by="started_at",
    columns=(
        _SOURCE,
        _ENVIRONMENT,
        _AGENT_NAME,
        _SESSION_ID,
        instant("started_at", "When the stretch began.", required=True),
        text("interaction_id", "The task in focus.", required=True),
        text("focus_state", "ALERTING, ACTIVE, WRAP or PARKED, in the vendor's word."),
        instant("ended_at", "When it ended.", required=True),
        milliseconds("duration_ms", "How long it lasted.", required=True),
    ),
    checks=(Check("duration is end less start", _NOT_BACKWARDS),),
)

DISPOSITION = Table(
    layer="silver",
    name="disposition",
    description="One row per work code that an agent selected.",
    key=("source", "disposition_id"),
    partition_by=("business_date",),
    statistics=("agent",),
    columns=(
        _SOURCE,
        text("disposition_id", "The SHA-256 of the record.", required=True),
        text("interaction_id", "The interaction that the code belongs to; null where the lake has none."),
        text("contact_id", "The contact that the code names, where the lake has it."),
        _ENVIRONMENT,
        _AGENT_NAME,
        text("queue", "The queue that the code names."),
        text("channel", "The channel of the code's task type.", required=True),
        text("code_group", "The work code's group."),
        text("code", "The work code.", required=True),
        instant("created_at", "When it was selected.", required=True),
        date("business_date", "The date of created_at in the lake's time zone.", required=True),
    ),
)

MESSAGE = Table(
    layer="silver",
    name="message",
    description="One row per message of a chat interaction's transcript, without its text.",
    key=("source", "interaction_id", "sequence"),
    statistics=("interaction_id", "sent_at"),
    dated_by="sent_at",
    columns=(
        _SOURCE,
        text("interaction_id", "The interaction that names the transcript.", required=True),
        count("sequence", "The message's place in the transcript, from 0.", required=True),
        text("conversation_id", "The interaction's conversation.", required=True),
        instant("sent_at", "When it was sent.", required=True),
        text("direction", "Inbound or Outbound, as the transcript has it."),
        text("party", "Who wrote it: null for any other direction.", values=("customer", "agent")),
        count("length", "Characters."),
        milliseconds(
            "response_ms",
            "Of a message that answers the other party: the time since the first message that it left unanswered.",
        ),
    ),
)

CONVERSATION = Table(
    layer="silver",
    name="conversation",
    description="One row per conversation: all interactions and contacts that belong to one customer's request.",
    key=("source", "conversation_id"),
    partition_by=("business_date",),
    statistics=("conversation_id",),
    columns=(
        text("source", "symbee where a part is an interaction, else connect.", required=True),
        text("conversation_id", "The conversation.", required=True),
        instant("started_at", "The least initiation of parts and joined contacts."),
        instant("ended_at", "The greatest end of them.", required=True),
        date("business_date", "The date of ended_at in the lake's time zone.", required=True),
        text("environment", "The first part's environment."),
        text("first_queue", "The first part's queue."),
        text("channel", "The first part's channel."),
        count("interactions", "Interactions.", required=True),
        count("contacts", "Contacts, joined to an interaction or not.", required=True),
        count("agents", "Distinct agents of the parts.", required=True),
        count("queues", "Distinct queues of the parts.", required=True),
        count("transfers", "Legs that are transfers, external ones included.", required=True),
        count("consults", "Legs that are consultations, external ones included.", required=True),
        count("conferences", "Legs that are conferences, external ones included.", required=True),
        count("external_legs", "Legs to an external party.", required=True),
        count("callbacks", "Contacts that are callbacks.", required=True),
        text(
            "outcome",
            "HANDLED where a part was, else ABANDONED where a queue visit was.",
            required=True,
            values=("HANDLED", "ABANDONED", "OTHER"),
        ),
    ),
    checks=(
        Check("a conversation has a part", "interactions + contacts > 0"),
        Check("external legs are legs", "external_legs <= transfers + consults + conferences"),
    ),
)

CONFORMED_TABLES = (
    RECONCILIATION,
    INTERACTION,
    QUEUE_VISIT,
    AGENT_STATE,
    AGENT_SESSION,
    AGENT,
    FOCUS_INTERVAL,
    DISPOSITION,
    MESSAGE,
    CONVERSATION,
)
