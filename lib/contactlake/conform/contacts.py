"""What a contact's instants mean: each rule once, as a column."""

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from contactlake.tables.events import CONTACT_ENDS


def contact_ended_at() -> Column:
    """A contact's end: the end of after-contact work, else the best that is known."""
    return F.coalesce(*CONTACT_ENDS)


def contact_conversation() -> Column:
    """A contact's conversation: the contact that it all began with."""
    return F.coalesce("initial_contact_id", "contact_id")


def amazon_visit_outcome() -> Column:
    """What became of a contact in the queue it was in: ANSWERED, ABANDONED or DIVERTED; null: it was in none."""
    return (
        F.when(F.col("enqueued_at").isNull(), None)
        .when(F.col("agent_connected_at").isNotNull(), "ANSWERED")
        .when(F.col("next_contact_id").isNull(), "ABANDONED")
        .otherwise("DIVERTED")
    )


def milliseconds_between(later: Column, earlier: Column) -> Column:
    """`later` less `earlier` in whole milliseconds; null where either is."""
    return F.unix_millis(later) - F.unix_millis(earlier)


def not_below_zero(milliseconds: Column) -> Column:
    """0 for a duration below it, as clocks that disagree give it."""
    return F.when(milliseconds < 0, F.lit(0)).otherwise(milliseconds)
