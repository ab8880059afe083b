"""The checks of what lies elsewhere: the archive, the lake, its clock and its lock."""

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from contactlake.archive.listing import Place, newest_object
from contactlake.archive.storage import ObjectStore
from contactlake.concurrency import concurrently
from contactlake.config import FeedSection
from contactlake.doctor.examination import Examination, Finding, Verdict, duration, failure, ok
from contactlake.errors import ContactlakeError, StorageError
from contactlake.lock import last_lease, lease_key
from contactlake.store import check_marker, greatest_lease

_log = logging.getLogger("contactlake.doctor")

_SILENT_AFTER = timedelta(hours=24)
_SKEW = timedelta(seconds=60)
_DAY = timedelta(days=1)


def archive(examination: Examination) -> Iterator[Finding]:
    """Per feed entry: whether it can be listed and read, and when its newest object arrived."""
    now = datetime.now(UTC)
    yield from concurrently(partial(_entry, examination.store, section, now) for section in examination.settings.feed)


def _entry(stores: Callable[[str], ObjectStore], section: FeedSection, now: datetime) -> Finding:
    name = section.name
    try:
        store = stores(section.archive)
        address = store.uri_of(section.prefix)
        place = Place(section.prefix, section.layout, section.arrival_timezone)
        newest = newest_object(store, place, now + _DAY)
        if newest is None:
            return _nothing(store, section)
        with store.open(newest.key) as stream:
            stream.read(1)
    except ContactlakeError as fault:
        return failure(fault, f"{name} ")
    grain = timedelta() if not section.layout else timedelta(hours=1) if "%H" in section.layout else _DAY
    arrived = f"{newest.arrival_at:%Y-%m-%d %H:%M} UTC" if grain < _DAY else f"{newest.arrival_at:%Y-%m-%d}"
    told = f"{name} {address}: newest object {arrived}"
    if newest.arrival_at > now + timedelta(hours=1):
        return Finding(
            Verdict.WARN,
            f"{told}, which is still to come",
            f"see that arrival_timezone of {address} is the zone that its Firehose stream uses, and this host's clock",
        )
    silence = max(now - newest.arrival_at - grain, timedelta())
    told += f", {duration(silence)} ago" if silence else f", {'this hour' if grain < _DAY else 'today'}"
    if silence > _SILENT_AFTER:
        return Finding(Verdict.WARN, told, f"see that Firehose still delivers to {address}, and that its source works")
    return ok(told)


def _nothing(store: ObjectStore, section: FeedSection) -> Finding:
    """What to say of an entry that holds no data: most often its prefix or its layout is not the archive's."""
    address, some = store.uri_of(section.prefix), store.probe(section.prefix)
    if some is None:
        found = f"{section.name} {address}: nothing lies there"
        remedy = (
            f"give the prefix of {section.name} as typed into Firehose, or leave {address} out until it has objects"
        )
    else:
        found = f"{section.name} {address}: no data in the layout {section.layout}, but {some.key}"
        remedy = f"mend prefix and layout of {section.name}, {address}, to what the archive's keys look like"
    return Finding(Verdict.FAIL, found, remedy, StorageError.exit_code)


def lake(examination: Examination) -> Iterator[Finding]:
    """Whether the lake can be listed, written, read and deleted from."""
    store = examination.lake
    with probing(store) as folder:
        is_there = _exists(store)
        _write_and_read(store, folder)
        is_lake = check_marker(store)
    state = "" if is_lake else ", holds no lake yet" if is_there else ", not there yet: the first run makes it"
    yield ok(f"{store.uri}: listed, written, read and deleted{state}")


def data_docs(examination: Examination) -> Iterator[Finding]:
    """The same of the place for the data docs, where that is not in the lake."""
    root = examination.settings.quality.data_docs
    if root is not None:
        store = examination.store(root)
        with probing(store) as folder:
            _exists(store)
            _write_and_read(store, folder)
        yield ok(f"{store.uri}: listed, written, read and deleted")


def _write_and_read(store: ObjectStore, folder: str) -> None:
    """Raises `StorageError` where that does not work, or where a create does not keep a second one away."""
    key, content = f"{folder}probe", b"contactlake doctor"
    store.write(key, content)
    if store.read(key) != content:
        raise StorageError(f"{store.uri_of(key)} is not what was written", "see what stands before the server")
    if [found.key for found in store.list(folder)] != [key]:
        raise StorageError(f"{store.uri}: a listing does not show what was written", "use a server that lists at once")
    if store.create(key, b"second"):
        raise StorageError(
            f"{store.uri} does not keep a second create away, so that two runs could write at once",
            "use a server that knows conditional puts (If-None-Match)",
        )


def clock(examination: Examination) -> Iterator[Finding]:
    """Whether this host's clock is that of the stores: the default of --as-of, and what S3 lets in, hang on it."""
    places = [] if "lake" in examination.failed else [examination.lake]
    places += [examination.store(section.archive) for section in examination.settings.feed]
    on_s3 = [place for place in places if place.uri.startswith("s3://")]
    if not on_s3:  # the time of a directory is asked by writing to it, which only the lake allows
        examination.needs("lake", "the lake cannot be used")
    store = (on_s3 or places)[0]
    before = datetime.now(UTC)
    told = store.now()
    after = datetime.now(UTC)
    yield told_time(before + (after - before) / 2 - told, store.uri)


def told_time(ahead: timedelta, uri: str) -> Finding:
    """What to say of a host whose clock is so far ahead of the store's."""
    seconds = abs(ahead).total_seconds()
    if seconds < 2:  # S3 tells whole seconds
        return ok(f"this host's clock is that of {uri}")
    found = f"this host is {seconds:.0f} s {'behind' if ahead < timedelta() else 'ahead of'} {uri}"
    return (
        ok(found) if abs(ahead) <= _SKEW else Finding(Verdict.WARN, found, "set this host's clock, and keep it by NTP")
    )


def lock(examination: Examination) -> Iterator[Finding]:
    """Whether the lake is free, held, or its leases are gone; none is taken."""
    examination.needs("lake", "the lake cannot be used")
    store = examination.lake
    last = greatest_lease(store) if check_marker(store) else 0
    standing = last_lease(store)  # after the other: a run that begins meanwhile takes its lease before it writes
    if last > standing.number:
        yield Finding(
            Verdict.FAIL,
            f"wiped: the last lease is {standing.number}, but lease {last} has written to the lake",
            f'make sure that no run is at work, and put {{"released": true}} into {store.uri_of(lease_key(last))}',
            StorageError.exit_code,
        )
    elif not standing.number:
        yield ok("free: no run has taken the lake yet")
    elif standing.is_released:
        yield ok(f"free: last held by {standing.holder}")
    elif standing.is_held:
        yield ok(f"held by {standing.holder}, renewed {duration(standing.age)} ago")
    else:
        yield Finding(
            Verdict.WARN,
            f"expired: {standing.holder} has not renewed it for {duration(standing.age)}",
            "see why that run died; the next one undoes what it left, and goes on",
        )


@contextmanager
def probing(store: ObjectStore) -> Iterator[str]:
    """A folder (with its slash) below the store's root that is gone afterwards.

    What keeps it from being removed is raised, unless something has failed before, which is then what counts.
    """
    folder = f"_doctor-{uuid.uuid4().hex[:12]}/"
    try:
        yield folder
    except BaseException:
        try:
            store.delete_prefix(folder)
        except StorageError as fault:
            _log.warning("%s may be left: %s", store.uri_of(folder), fault)
        raise
    try:
        store.delete_prefix(folder)
    except StorageError as fault:
        raise StorageError(
            f"{store.uri_of(folder)} is left: {fault.problem}",
            f"allow deleting, then delete it by hand; {fault.remedy}",
        ) from fault


@contextmanager
def no_new_folders(examination: Examination) -> Iterator[None]:
    """Removes the folders that were made for the stores' roots and Spark's, if nobody has put anything into them."""
    roots = [examination.settings.lake.root, examination.settings.quality.data_docs]
    places = [Path(root).absolute() for root in roots if root is not None and "://" not in root]
    places.append(Path("spark-warehouse").absolute())
    absent = {folder for place in places for folder in (place, *place.parents) if not folder.exists()}
    try:
        yield
    finally:
        for folder in sorted(absent, reverse=True):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _exists(store: ObjectStore) -> bool:
    """Whether the root is there; raises `StorageError` where it cannot be listed."""
    if not store.uri.startswith("s3://") and not Path(store.uri).exists():
        return False
    store.probe("")
    return True
