"""What a run is asked for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from contactlake import business_dates

JOBS = ("ingest", "reconcile", "measure", "daily")


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    job: str
    as_of: datetime
    first: date | None = None
    last: date | None = None
    is_full: bool = False
    accepted: Collection[str] = ()

    @property
    def dates(self) -> list[date] | None:
        """The business dates that were named, or None: whatever is pending."""
        if self.first is None or self.last is None:
            return None
        return business_dates.dates_between(self.first, self.last)
