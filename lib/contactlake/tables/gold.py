"""Gold tables: daily and additive, for dashboards and workforce planning."""

from contactlake.tables.conformed import INTERACTION, QUEUE_VISIT, RECONCILIATION, STATUSES
from contactlake.tables.declaration import (
    Balance,
    Check,
    Column,
    Table,
    count,
    date,
    milliseconds,
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
        ratio("average_handle_ms", "handle_ms / handled."),
        ratio("average_active_ms", "active_ms / handled."),
        ratio("average_parked_ms", "parked_ms / handled."),
        ratio("average_wrap_ms", "wrap_ms / handled."),
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
        milliseconds("max_wait_ms", "The longest wait; null where no wait is known."),
        ratio("average_speed_of_answer_ms", "answer_wait_ms / answered."),
        ratio("average_abandon_ms", "abandon_wait_ms / abandoned."),
        ratio("abandonment_rate", "abandoned / offered."),
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
    columns=(
        *_VISITS,
        count("threshold_seconds", "The threshold X.", required=True),
        count("offered", "Visits.", required=True),
        count("answered_within", "ANSWERED with wait <= X.", required=True),
        count("abandoned_within", "ABANDONED with wait <= X.", required=True),
        count("removed_below", "Visits with wait < X, whatever their outcome.", required=True),
        ratio("service_level_removed", "removed_below / offered: Amazon Connect's console and API."),
        ratio("service_level_answered", "answered_within / offered: Amazon Connect's data lake."),
        ratio("service_level_excluding_abandoned", "answered_within / (offered - abandoned_within)."),
        ratio("service_level_abandoned_met", "(answered_within + abandoned_within) / offered."),
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
    columns=(
        *_VISITS,
        text("measure", "Which duration.", required=True, values=("handle", "active", "parked", "wrap", "wait")),
        count("count", "Rows that have the measure.", required=True),
        milliseconds("sum_ms", "Sum of the measure.", required=True),
        ratio("p50_ms", "The median; exact, interpolated linearly."),
        ratio("p90_ms", "The 90th percentile."),
        ratio("p95_ms", "The 95th percentile."),
        ratio("p99_ms", "The 99th percentile."),
        milliseconds("max_ms", "The greatest.", required=True),
        Column(
            "sketch",
            "binary",
            "A KLL sketch of the measure in milliseconds, for percentiles over several rows.",
            is_required=True,
            is_volatile=True,
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

GOLD_TABLES = (HANDLE_DAILY, QUEUE_DAILY, SERVICE_LEVEL_DAILY, DURATION_DISTRIBUTION_DAILY, RECONCILIATION_DAILY)
