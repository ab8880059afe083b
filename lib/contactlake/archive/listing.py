"""Which objects of the archive are data, and when each arrived.

Firehose writes `<prefix><layout><name>`; the hour in the layout is the arrival of the object's oldest record. Beside
the data lie things that are not data: error output, markers, hidden and empty objects. They are skipped and counted.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from contactlake.archive.storage import ObjectInfo, ObjectStore

_FIELDS = {
    "%Y": r"(?P<year>[0-9]{4})",
    "%m": r"(?P<month>[0-9]{2})",
    "%d": r"(?P<day>[0-9]{2})",
    "%H": r"(?P<hour>[0-9]{2})",
}


@dataclass(frozen=True)
class Place:
    """Where one feed entry's objects lie: a verbatim key prefix, and the layout of time behind it."""

    prefix: str
    layout: str
    timezone: str
    """The zone of the hours in the layout."""

    def pattern(self) -> re.Pattern[str]:
        layout = re.escape(self.layout)
        for name, expression in _FIELDS.items():
            layout = layout.replace(re.escape(name), expression)
        return re.compile(re.escape(self.prefix) + layout + r"(?P<name>.+)", re.DOTALL)


@dataclass(frozen=True)
class Window:
    """A span of arrival, both ends included; None where it is open."""

    start: datetime | None
    end: datetime


@dataclass(frozen=True)
class ArchiveObject:
    """One object that holds data."""

    key: str
    size: int
    etag: str
    arrival_at: datetime
    modified_at: datetime


@dataclass
class Listing:
    """What lies in a place: the data, and how much was skipped, by kind."""

    objects: list[ArchiveObject] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def list_place(store: ObjectStore, place: Place, window: Window) -> Listing:
    """The data objects of `place` that arrived within `window`.

    Only the prefixes of the window's hours (or days, as the layout has it) are listed, in parallel; an open window,
    or an empty layout, lists all that is below the prefix.
    """
    listing = Listing()
    pattern = place.pattern()
    infos: Iterable[ObjectInfo]
    earliest: datetime | None = None
    if window.start is None or not place.layout:
        infos = store.list(place.prefix)
    else:
        earliest = _floor(window.start, place)
        infos = store.list_many(sorted(set(_prefixes(place, window.start, window.end))))
    for info in infos:
        found = _as_data(place, pattern, info)
        if isinstance(found, str):
            listing.skipped[found] += 1
        elif not place.layout or (
            found.arrival_at <= window.end and (earliest is None or found.arrival_at >= earliest)
        ):
            listing.objects.append(found)
    return listing


def find_object(store: ObjectStore, place: Place, key: str) -> ArchiveObject | None:
    """The data object of `place` with this key; None where there is none."""
    if not key.startswith(place.prefix):
        return None
    info = store.head(key)
    found = _as_data(place, place.pattern(), info) if info is not None else None
    return found if isinstance(found, ArchiveObject) else None


def newest_object(store: ObjectStore, place: Place, until: datetime) -> ArchiveObject | None:
    """The data object of `place` that arrived last, by `until`; None where there is none.

    Asks for years, months, days and hours from `until` backwards, and lists the first of the latest that holds data:
    some dozens of small requests, whatever the archive's size. Without a layout, all is listed.
    """
    pattern = place.pattern()
    local = until.astimezone(ZoneInfo(place.timezone))
    last = (local.year, local.month, local.day, local.hour)
    for prefix in _latest_first(store, place, last, ()):
        found = [item for info in store.list(prefix) if not isinstance(item := _as_data(place, pattern, info), str)]
        if found:
            return max(found, key=lambda item: (item.arrival_at, item.modified_at, item.key))
    return None


_EARLIEST_YEAR = 2006
"""S3 is no older."""


def _latest_first(store: ObjectStore, place: Place, last: tuple[int, ...], chosen: tuple[int, ...]) -> Iterator[str]:
    """The prefixes of the layout's finest part below which something lies, the latest first, none later than `last`."""
    fields = re.findall("|".join(_FIELDS), place.layout)
    if len(chosen) == len(fields):
        yield place.prefix + _filled(place.layout, chosen)
        return
    head = place.layout[: place.layout.index(fields[len(chosen)]) + 2]
    first, most = ((_EARLIEST_YEAR, last[0]), (1, 12), (1, 31), (0, 23))[len(chosen)]
    for value in range(most, first - 1, -1):
        deeper = (*chosen, value)
        if deeper <= last[: len(deeper)] and store.probe(place.prefix + _filled(head, deeper)) is not None:
            yield from _latest_first(store, place, last, deeper)


def _filled(layout: str, values: tuple[int, ...]) -> str:
    """`layout` with its first fields' values: years of four digits, the others of two."""
    for name, value in zip(_FIELDS, values, strict=False):
        layout = layout.replace(name, f"{value:04}" if name == "%Y" else f"{value:02}")
    return layout


def _as_data(place: Place, pattern: re.Pattern[str], info: ObjectInfo) -> ArchiveObject | str:
    """The object as one that holds data, or why it is skipped."""
    match = pattern.fullmatch(info.key)
    reason = _reason_to_skip(match, info, info.key.removeprefix(place.prefix))
    arrival = _arrival(match, place, info) if match is not None and reason is None else None
    if arrival is None:
        return reason or "not in the layout"
    return ArchiveObject(info.key, info.size, info.etag, arrival, info.modified_at)


def _reason_to_skip(match: re.Match[str] | None, info: ObjectInfo, behind_prefix: str) -> str | None:
    if any(folder.endswith("-failed") for folder in behind_prefix.split("/")[:-1]):
        return "Firehose's error output"
    name = behind_prefix if match is None else match["name"]
    if any(part.startswith((".", "_")) for part in name.split("/")):
        return "hidden or a marker"
    if info.key.endswith("/"):
        return "a folder"
    if info.size == 0:
        return "empty"
    return "not in the layout" if match is None else None


def _arrival(match: re.Match[str], place: Place, info: ObjectInfo) -> datetime | None:
    groups = match.groupdict()
    if "year" not in groups:
        return info.modified_at
    try:
        local = datetime(
            int(groups["year"]),
            int(groups.get("month") or 1),
            int(groups.get("day") or 1),
            int(groups.get("hour") or 0),
            tzinfo=ZoneInfo(place.timezone),
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _step(place: Place) -> timedelta:
    return timedelta(hours=1) if "%H" in place.layout else timedelta(days=1)


def _floor(moment: datetime, place: Place) -> datetime:
    """The start of the layout's hour, day, month or year that `moment` lies in."""
    # The first of two equal hours, as an hour in a path is read.
    local = moment.astimezone(ZoneInfo(place.timezone)).replace(minute=0, second=0, microsecond=0, fold=0)
    if "%H" not in place.layout:
        local = local.replace(hour=0)
    if "%d" not in place.layout:
        local = local.replace(day=1)
    if "%m" not in place.layout:
        local = local.replace(month=1)
    return local.astimezone(UTC)


def _prefixes(place: Place, start: datetime, end: datetime) -> Iterator[str]:
    zone = ZoneInfo(place.timezone)
    moment = _floor(start, place)
    while moment <= end:
        yield place.prefix + moment.astimezone(zone).strftime(place.layout)
        moment += _step(place)
    # A step of a day may pass over the last one where a day has 23 or 25 hours.
    yield place.prefix + end.astimezone(zone).strftime(place.layout)
