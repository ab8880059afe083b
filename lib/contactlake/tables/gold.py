"""Gold tables: daily and additive, for dashboards and workforce planning."""

from contactlake.tables.conformed import (
    AGENT_STATE,
    CONVERSATION,
    DISPOSITION,
    INTERACTION,
    IS_UNAVAILABLE,
    QUEUE_VISIT,
    RECONCILIATION,
    STATUSES,
)
from contactlake.tables.declaration import (
    Balance,
    Check,
    Column,
    Rollup,
    Severity,
    Table,
    count,
    date,
    instant,
    milliseconds,
    percentile,
    ratio,
    text,
)

_DATE = date("business_date", "The calendar date in the lake's time zone.", required=True)
_SOURCE = text("source", "The feed.", required=True)
_ENVIRONMENT = text("environment", "The environment.", required=True)
_AGENT = text("agent", "The agent.", required=True)
_QUEUE = text("queue", "The queue; `(none)` where there was none.", required=True)
_CHANNEL = text("channel", "The channel.", required=True)

HANDLE_DAILY = Table(
    layer="gold",
    name="handle_daily",
    description="Handled interactions and the agents' clocks, per agent, queue, channel and direction.",
    key=("business_date", "source", "environment", "agent", "queue", "channel", "direction"),
    partition_by=("business_date",),
    columns=(
        _DATE,
        _SOURCE,
        _ENVIRONMENT,
        _AGENT,
        _QUEUE,
        _CHANNEL,
        text("direction", "inbound or outbound.", required=True, values=("inbound", "outbound", "internal")),
        count("handled", "Handled interactions.", required=True),
        milliseconds("active_ms", "Sum of active time.", required=True),
        milliseconds("parked_ms", "Sum of parked time.", required=True),
        milliseconds("wrap_ms", "Sum of wrap.", required=True),
        milliseconds("handle_ms", "Sum of handle time: active + parked + wrap.", required=True),
        milliseconds("focus_ms", "Sum of focus time: active + wrap.", required=True),
        milliseconds("hold_ms", "Sum of hold, from the contacts.", required=True),
        milliseconds("queue_ms", "Sum of queue time.", required=True),
        count("transferred_out", "Handled interactions that ended in a transfer.", required=True),
        count("flagged", "Handled interactions that carry a flag.", required=True),
        ratio("average_handle_ms", "handle_ms", "handled"),
        ratio("average_active_ms", "active_ms", "handled"),
        ratio("average_parked_ms", "parked_ms", "handled"),
        ratio("average_wrap_ms", "wrap_ms", "handled"),
    ),
    checks=(
        Check("handle is active + parked + wrap", "handle_ms = active_ms + parked_ms + wrap_ms"),
        Check("focus is active + wrap", "focus_ms = active_ms + wrap_ms"),
        Check("parts are not more than the whole", "transferred_out <= handled and flagged <= handled"),
    ),
    balances=(
        Balance("handled", "sum(handled)", INTERACTION, "count_if(is_handled)"),
        Balance("handle time", "sum(handle_ms)", INTERACTION, "sum(case when is_handled then handle_ms end)"),
        Balance("wrap", "sum(wrap_ms)", INTERACTION, "sum(case when is_handled then wrap_ms end)"),
        Balance("queue time", "sum(queue_ms)", INTERACTION, "sum(case when is_handled then queue_ms end)"),
    ),
)

_VISITS = (_DATE, _SOURCE, _ENVIRONMENT, _QUEUE, _CHANNEL)
_VISIT_KEY = ("business_date", "source", "environment", "queue", "channel")

QUEUE_DAILY = Table(
    layer="gold",
    name="queue_daily",
    description="Queue visits by outcome, and how long they waited.",
    key=_VISIT_KEY,
    partition_by=("business_date",),
    columns=(
        *_VISITS,
        count("offered", "Visits.", required=True),
        count("answered", "Visits that an agent answered.", required=True),
        count("abandoned", "Visits that ended unanswered.", required=True),
        count("diverted", "Visits that went elsewhere: callback, another queue, another flow.", required=True),
        milliseconds("wait_ms", "Sum of wait.", required=True),
        milliseconds("answer_wait_ms", "Sum of wait of the answered.", required=True),
        milliseconds("abandon_wait_ms", "Sum of wait of the abandoned.", required=True),
        milliseconds("max_wait_ms", "The longest wait; null where no wait is known.", rollup=Rollup.MAX),
        ratio("average_speed_of_answer_ms", "answer_wait_ms", "answered"),
        ratio("average_abandon_ms", "abandon_wait_ms", "abandoned"),
        ratio("abandonment_rate", "abandoned", "offered"),
    ),
    checks=(
        Check("offered is answered + abandoned + diverted", "offered = answered + abandoned + diverted"),
        Check("waits of outcomes are not more than all", "answer_wait_ms + abandon_wait_ms <= wait_ms"),
    ),
    balances=(
        Balance("offered", "sum(offered)", QUEUE_VISIT, "count(1)"),
        Balance("abandoned", "sum(abandoned)", QUEUE_VISIT, "count_if(outcome = 'ABANDONED')"),
        Balance("wait", "sum(wait_ms)", QUEUE_VISIT, "sum(wait_ms)"),
    ),
)

SERVICE_LEVEL_DAILY = Table(
    layer="gold",
    name="service_level_daily",
    description="The service level in each published definition, per threshold.",
    key=(*_VISIT_KEY, "threshold_seconds"),
    partition_by=("business_date",),
    overlapping=("threshold_seconds",),
    columns=(
        *_VISITS,
        count("threshold_seconds", "The threshold X.", required=True, rollup=None),
        count("offered", "Visits.", required=True),
        count("answered_within", "ANSWERED with wait <= X.", required=True),
        count("abandoned_within", "ABANDONED with wait <= X.", required=True),
        count("removed_below", "Visits with wait < X, whatever their outcome.", required=True),
        ratio("service_level_removed", "removed_below", "offered", "Amazon Connect's console and API."),
        ratio("service_level_answered", "answered_within", "offered", "Amazon Connect's data lake."),
        ratio("service_level_excluding_abandoned", "answered_within", "offered - abandoned_within"),
        ratio("service_level_abandoned_met", "answered_within + abandoned_within", "offered"),
    ),
    checks=(
        Check("those within are not more than offered", "answered_within + abandoned_within <= offered"),
        Check("those removed are not more than offered", "removed_below <= offered"),
    ),
)

DURATION_DISTRIBUTION_DAILY = Table(
    layer="gold",
    name="duration_distribution_daily",
    description="Percentiles of durations, with a sketch that can be merged over days and queues.",
    key=(*_VISIT_KEY, "measure"),
    partition_by=("business_date",),
    overlapping=("measure",),
    columns=(
        *_VISITS,
        text("measure", "Which duration.", required=True, values=("handle", "active", "parked", "wrap", "wait")),
        count("count", "Rows that have the measure.", required=True),
        milliseconds("sum_ms", "Sum of the measure.", required=True),
        percentile("p50_ms", "sketch", 0.5, "The median; exact, interpolated linearly."),
        percentile("p90_ms", "sketch", 0.9, "The 90th percentile."),
        percentile("p95_ms", "sketch", 0.95, "The 95th percentile."),
        percentile("p99_ms", "sketch", 0.99, "The 99th percentile."),
        milliseconds("max_ms", "The greatest.", required=True, rollup=Rollup.MAX),
        Column(
            "sketch",
            "binary",
            "A KLL sketch of the measure in milliseconds, for percentiles over several rows.",
            is_required=True,
            is_volatile=True,
            rollup=Rollup.MERGE,
        ),
    ),
    checks=(
        Check(
            "percentiles rise",
            "p50_ms <= p90_ms + 1e-6 and p90_ms <= p95_ms + 1e-6 and p95_ms <= p99_ms + 1e-6"
            " and p99_ms <= max_ms + 1e-6",
        ),
        Check("the sum lies between count and count times the greatest", "sum_ms <= count * max_ms"),
    ),
    balances=(
        Balance(
            "waits",
            "coalesce(sum(case when measure = 'wait' then count end), 0)",
            QUEUE_VISIT,
            "count(wait_ms)",
        ),
        Balance(
            "handled with a handle time",
            "coalesce(sum(case when measure = 'handle' then count end), 0)",
            INTERACTION,
            "count(case when is_handled then handle_ms end)",
        ),
    ),
)

RECONCILIATION_DAILY = Table(
    layer="gold",
    name="reconciliation_daily",
    description="How many interactions and contacts have each reconciliation status.",
    key=("business_date", "environment", "channel", "status"),
    partition_by=("business_date",),
    columns=(
        _DATE,
        _ENVIRONMENT,
        _CHANNEL,
        text("status", "The verdict.", required=True, values=STATUSES),
        count("contacts", "Rows of reconciliation.", required=True),
        milliseconds("talk_delta_ms", "Sum of talk time, interaction less contact.", required=True, signed=True),
        milliseconds("wrap_delta_ms", "Sum of wrap, interaction less contact.", required=True, signed=True),
    ),
    balances=(Balance("rows", "sum(contacts)", RECONCILIATION, "count(1)"),),
)

_INTERVAL = instant("interval_start_at", "The beginning of a quarter of an hour, UTC.", required=True)
_AGENT_KEY = ("business_date", "source", "environment", "agent")
_AGENT_TIMES = (
    milliseconds("logged_in_ms", "Time in any state of a session.", required=True),
    milliseconds("idle_ms", "Time in IDLE.", required=True),
    milliseconds("reserved_ms", "Time in RESERVING and RESERVED.", required=True),
    milliseconds("working_ms", "Time in WORKING, and in PENDING_UNAVAILABLE with a task.", required=True),
    milliseconds("wrap_ms", "Time in WRAP.", required=True),
    milliseconds("unavailable_ms", "Time in UNAVAILABLE, and in PENDING_UNAVAILABLE without a task.", required=True),
    milliseconds("other_ms", "Time in any other state.", required=True),
)
_AGENT_WORK = (
    count("timeouts", "TIMEOUT events.", required=True),
    count("handled", "Handled interactions.", required=True),
    count("uncoded", "Handled interactions that no work code belongs to.", required=True),
    milliseconds("focus_ms", "Sum of the handled interactions' focus time.", required=True),
    milliseconds("parked_ms", "Sum of the handled interactions' parked time.", required=True),
)
_AGENT_CHECKS = (
    Check(
        "logged in is the sum of the states",
        "logged_in_ms = idle_ms + reserved_ms + working_ms + wrap_ms + unavailable_ms + other_ms",
    ),
    Check("uncoded are handled", "uncoded <= handled"),
)
_AGENT_BALANCES = (
    Balance("logged in", "sum(logged_in_ms)", AGENT_STATE, "sum(duration_ms)"),
    Balance("handled", "sum(handled)", INTERACTION, "count_if(is_handled)"),
    Balance("focus", "sum(focus_ms)", INTERACTION, "sum(case when is_handled then focus_ms end)"),
)

AGENT_DAILY = Table(
    layer="gold",
    name="agent_daily",
    description="Agents' time by state, and what they handled in it.",
    key=_AGENT_KEY,
    partition_by=("business_date",),
    columns=(
        _DATE,
        _SOURCE,
        _ENVIRONMENT,
        _AGENT,
        *_AGENT_TIMES,
        count("sessions", "Sessions with time on the date.", required=True, rollup=None),
        *_AGENT_WORK,
        ratio("occupancy", "working_ms + wrap_ms", "working_ms + wrap_ms + idle_ms + reserved_ms"),
        ratio("utilisation", "working_ms + wrap_ms", "logged_in_ms"),
        ratio("focus_share", "focus_ms", "working_ms + wrap_ms"),
    ),
    checks=(
        *_AGENT_CHECKS,
        Check("only one task can be in focus", "focus_share <= 1.02", Severity.WARNING),
    ),
    balances=_AGENT_BALANCES,
)

AGENT_INTERVAL = Table(
    layer="gold",
    name="agent_interval",
    description="agent_daily by quarters of an hour: its additive measures.",
    key=(*_AGENT_KEY, "interval_start_at"),
    partition_by=("business_date",),
    columns=(_DATE, _INTERVAL, _SOURCE, _ENVIRONMENT, _AGENT, *_AGENT_TIMES, *_AGENT_WORK),
    checks=_AGENT_CHECKS,
    balances=_AGENT_BALANCES,
)

QUEUE_INTERVAL = Table(
    layer="gold",
    name="queue_interval",
    description="queue_daily by quarters of an hour: its additive measures, in the quarter that a visit ended in.",
    key=(*_VISIT_KEY, "interval_start_at"),
    partition_by=("business_date",),
    columns=(
        _DATE,
        _INTERVAL,
        *_VISITS[1:],
        *(column for column in QUEUE_DAILY.columns if column.rollup is Rollup.SUM),
    ),
    checks=QUEUE_DAILY.checks,
    balances=QUEUE_DAILY.balances,
)

AGENT_UNAVAILABLE_DAILY = Table(
    layer="gold",
    name="agent_unavailable_daily",
    description="Agents' unavailable time by its reason.",
    key=(*_AGENT_KEY, "reason"),
    partition_by=("business_date",),
    columns=(
        _DATE,
        _SOURCE,
        _ENVIRONMENT,
        _AGENT,
        text("reason", "The reason; `(none)` where none was given.", required=True),
        milliseconds("unavailable_ms", "Time that counts as unavailable.", required=True),
        count("occurrences", "Times that it began on the date.", required=True),
    ),
    balances=(
        Balance(
            "unavailable time",
            "sum(unavailable_ms)",
            AGENT_STATE,
            f"sum(case when {IS_UNAVAILABLE} then duration_ms end)",
        ),
    ),
)

WORK_CODE_DAILY = Table(
    layer="gold",
    name="work_code_daily",
    description="Work codes that agents selected, and the handle time of their interactions.",
    key=(*_VISIT_KEY, "code_group", "code"),
    partition_by=("business_date",),
    columns=(
        *_VISITS,
        text("code_group", "The code's group; `(none)` where it has none.", required=True),
        text("code", "The work code.", required=True),
        count("selected", "Codes selected.", required=True),
        count("interactions", "Distinct interactions that they belong to.", required=True, rollup=None),
        milliseconds("handle_ms", "Handle time of the interaction, once per code.", required=True),
        Column(
            "average_handle_ms",
            "double",
            "handle_ms / codes that have an interaction.",
        ),
    ),
    checks=(Check("interactions are not more than codes", "interactions <= selected"),),
    balances=(Balance("selected", "sum(selected)", DISPOSITION, "count(1)"),),
)

USER_USAGE_DAILY = Table(
    layer="gold",
    name="user_usage_daily",
    description="Users in session per product: what the AWS Marketplace meters.",
    key=("business_date", "environment", "product_id"),
    partition_by=("business_date",),
    columns=(
        _DATE,
        _ENVIRONMENT,
        text("product_id", "The product; `(none)` where none was named.", required=True),
        count("users", "Distinct users in session.", required=True, rollup=None),
        count("sessions", "Sessions that touch the date.", required=True, rollup=None),
        count(
            "peak_concurrent_users",
            "The most distinct users in session at one instant.",
            required=True,
            rollup=Rollup.PEAK,
        ),
    ),
    checks=(Check("the peak is not above the users", "peak_concurrent_users <= users and users <= sessions"),),
)

CHAT_DAILY = Table(
    layer="gold",
    name="chat_daily",
    description="Chat interactions with a transcript: messages and response times.",
    key=_VISIT_KEY,
    partition_by=("business_date",),
    columns=(
        *_VISITS,
        count("conversations", "Interactions with a transcript.", required=True),
        count("inbound_messages", "Messages of customers.", required=True),
        count("outbound_messages", "Messages of agents.", required=True),
        milliseconds("first_response_ms", "Sum of first response times.", required=True),
        count("first_responses", "Interactions with a first response.", required=True),
        milliseconds("response_ms", "Sum of agents' response times.", required=True),
        count("responses", "Agents' responses.", required=True),
        ratio("average_first_response_ms", "first_response_ms", "first_responses"),
        ratio("average_response_ms", "response_ms", "responses"),
    ),
    checks=(
        Check("first responses are not more than interactions", "first_responses <= conversations"),
        Check("responses are messages", "responses <= outbound_messages"),
    ),
    balances=(Balance("transcripts", "sum(conversations)", INTERACTION, "count_if(transcript_status = 'PRESENT')"),),
)

CONVERSATION_DAILY = Table(
    layer="gold",
    name="conversation_daily",
    description="Conversations by outcome, and what happened on their way.",
    key=("business_date", "source", "environment", "first_queue", "channel"),
    partition_by=("business_date",),
    columns=(
        _DATE,
        _SOURCE,
        _ENVIRONMENT,
        text("first_queue", "The first part's queue; `(none)` where there was none.", required=True),
        _CHANNEL,
        count("conversations", "Conversations.", required=True),
        count("handled", "Conversations that were handled.", required=True),
        count("abandoned", "Conversations that were abandoned.", required=True),
        count("transferred", "Conversations with a transfer.", required=True),
        count("consulted", "Conversations with a consultation.", required=True),
        count("conferenced", "Conversations with a conference.", required=True),
        count("multi_agent", "Conversations with more than one agent.", required=True),
        count("interactions", "Their interactions.", required=True),
    ),
    checks=(Check("outcomes are not more than conversations", "handled + abandoned <= conversations"),),
    balances=(
        Balance("conversations", "sum(conversations)", CONVERSATION, "count(1)"),
        Balance("interactions", "sum(interactions)", CONVERSATION, "sum(interactions)"),
    ),
)

GOLD_TABLES = (
    HANDLE_DAILY,
    QUEUE_DAILY,
    SERVICE_LEVEL_DAILY,
    DURATION_DISTRIBUTION_DAILY,
    RECONCILIATION_DAILY,
    AGENT_DAILY,
    QUEUE_INTERVAL,
    AGENT_INTERVAL,
    AGENT_UNAVAILABLE_DAILY,
    WORK_CODE_DAILY,
    USER_USAGE_DAILY,
    CHAT_DAILY,
    CONVERSATION_DAILY,
)
