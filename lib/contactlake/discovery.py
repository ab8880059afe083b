"""What the archive holds and the lake has not taken in."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from contactlake import business_dates
from contactlake.archive.listing import ArchiveObject, Place, Window, find_object, list_place
from contactlake.concurrency import concurrently
from contactlake.config import Configuration, FeedSection
from contactlake.feeds.symbee import SYMBEE_TRANSCRIPTS
from contactlake.history import PastRun
from contactlake.ingest import Landed, transcripts_wanted
from contactlake.landing import Entry
from contactlake.request import Request
from contactlake.store import Lake
from contactlake.tables.ops import INGESTED_OBJECT

log = logging.getLogger("contactlake.run")


class Discovery:
    """Finds the objects that the lake's ledger does not hold, each once; `entries` are those of the configuration."""

    def __init__(
        self, lake: Lake, configuration: Configuration, entries: Sequence[Entry], request: Request, last: PastRun | None
    ) -> None:
        self._lake, self._configuration, self._entries, self._request = lake, configuration, entries, request
        self._last = last
        self._known = self._ledger()
        self.newest_arrivals: dict[str, datetime] = {}
        """The latest arrival that was listed, of each entry that any was listed of, by its mark."""

    def list_new(self) -> list[tuple[int, ArchiveObject]]:
        """The objects that the ledger does not hold, by the number of their entry."""
        new: list[tuple[int, ArchiveObject]] = []
        for number, (section, entry) in enumerate(zip(self._configuration.feed, self._entries, strict=True)):
            window = self._window(section)
            listing = list_place(entry.store, _place(section), window)
            if not listing.objects:
                log.info("no object matches %s", entry.store.uri_of(section.prefix))
            for reason, skipped in sorted(listing.skipped.items()):
                log.info("%s: skipped %d (%s)", entry.store.uri_of(section.prefix), skipped, reason)
            new += [(number, item) for item in listing.objects if self._take(entry, item)]
            newest = max((item.arrival_at for item in listing.objects), default=None)
            if newest is not None:
                before = self.newest_arrivals.get(section.mark_key)
                self.newest_arrivals[section.mark_key] = max(newest, before or newest)
        if not new:
            log.info("nothing new in the archive")
        return new

    def _take(self, entry: Entry, item: ArchiveObject) -> bool:
        """Takes the object into this run and says so, unless the ledger holds it or this run has taken it already."""
        known = (entry.feed, entry.store.uri_of(item.key), item.etag)
        if known in self._known:
            return False
        self._known.add(known)
        return True

    def _ledger(self) -> set[tuple[str, str, str]]:
        columns = ("feed", "object", "etag")
        rows = self._lake.read_rows(INGESTED_OBJECT, columns)
        return set(zip(*(rows[name].to_pylist() for name in columns), strict=True))

    def named_transcripts(self, landed: Landed) -> list[tuple[int, ArchiveObject]]:
        """The transcripts that new interactions name and the window has missed, found by their keys.

        Where everything was listed there is nothing to be missed.
        """
        feeds = [
            (number, entry, _place(section))
            for number, (section, entry) in enumerate(zip(self._configuration.feed, self._entries, strict=True))
            if entry.feed == SYMBEE_TRANSCRIPTS.name and self._window(section).start is not None
        ]
        keys = transcripts_wanted(self._lake, landed) if feeds else []
        places = [(key, number, entry, place) for key in keys for number, entry, place in feeds]
        found = concurrently(partial(find_object, entry.store, place, key) for key, _, entry, place in places)
        return [
            (number, item)
            for (_, number, entry, _), item in zip(places, found, strict=True)
            if item is not None and item.arrival_at <= self._request.as_of and self._take(entry, item)
        ]

    def _window(self, section: FeedSection) -> Window:
        """The span of arrival to list for one feed entry."""
        request, lookback = self._request, timedelta(hours=self._configuration.ingest.lookback_hours)
        if request.is_full:
            return Window(None, request.as_of)
        if request.first is not None and request.last is not None:
            zone = self._configuration.lake.timezone
            before = business_dates.date_before(request.first)
            start = business_dates.date_start(before, zone)
            end = business_dates.shifted(business_dates.date_end(request.last, zone), lookback)
            return Window(start, min(end, request.as_of))
        newest = self._last.newest_arrivals.get(section.mark_key) if self._last else None
        return Window(business_dates.shifted(newest, -lookback) if newest else None, request.as_of)


def _place(section: FeedSection) -> Place:
    return Place(section.prefix, section.layout, section.arrival_timezone)
