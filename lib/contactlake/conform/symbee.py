"""From Symbee's words to the conformed ones: each rule once, as a column."""

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

SYMBEE = "symbee"
"""The source of what Symbee's feeds tell."""
ABSENT = "(none)"
"""What stands in a dimension that is absent."""

_CHANNELS = {
    "VOICE": "voice",
    "ROUTED_EMAIL": "email",
    "WEBCHAT": "chat",
    "GENERIC_TASK": "task",
    "PREVIEW_DIAL": "preview",
    "INSTANT_MESSAGE": "instant_message",
    "UC_CALL": "uc_call",
}


def symbee_environment(company_id: str = "company_id", environment: str = "environment") -> Column:
    """`company/environment`; a missing part is `(none)`."""
    return F.concat_ws("/", F.coalesce(F.col(company_id), F.lit(ABSENT)), F.coalesce(F.col(environment), F.lit(ABSENT)))


def symbee_channel(task_type: str = "task_type") -> Column:
    """The channel of a task type; `other` for one that is unknown or absent."""
    kind = F.col(task_type)
    channel = F.when(kind.startswith("SMS"), "sms").when(kind.startswith("SOCIAL_"), "social")
    for name, value in _CHANNELS.items():
        channel = channel.when(kind == name, value)
    return channel.otherwise("other")


def symbee_direction(initiation_method: str = "task_initiation_method") -> Column:
    """outbound for OUTBOUND_*, else inbound."""
    return F.when(F.col(initiation_method).startswith("OUTBOUND_"), "outbound").otherwise("inbound")


def is_handled() -> Column:
    """An agent is named and was connected."""
    return F.col("username").isNotNull() & F.col("connected_at").isNotNull()


def symbee_visit_outcome() -> Column:
    """What became of an interaction that Symbee queued: ANSWERED, ABANDONED or DIVERTED; null: it was not queued."""
    is_queued = (
        (F.col("delivery_provider") == "SYMBEE")
        & (F.col("task_initiation_method") == "INBOUND_QUEUE")
        & F.col("queued_at").isNotNull()
    )
    outcome = F.when(is_handled(), "ANSWERED").when(F.col("is_transferred_out"), "DIVERTED").otherwise("ABANDONED")
    return F.when(is_queued, outcome)
