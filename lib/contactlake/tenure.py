"""A tenure: the lake, held under a lease by a run or a care command, from its opening to its row in `ops/run`."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from contactlake import interruption
from contactlake.archive.storage import ObjectStore, S3Options, open_store
from contactlake.config import Configuration
from contactlake.errors import LakeHeld, StorageError
from contactlake.history import PastRun, RunRecord, is_succession, last_complete_run, undo_unfinished, write_run
from contactlake.lock import Lease, acquire_lease
from contactlake.retention import Expiry
from contactlake.session import get_session
from contactlake.standing_orders import Suppressed, read_expiry, read_suppressed
from contactlake.store import MARKER, Lake, greatest_lease
from contactlake.tables.ops import RUN

log = logging.getLogger("contactlake.run")

LANDING = "_landing"
"""Below the lake's root: what the executors laid down for the run that is under way."""

Progress = Callable[[str], None]
"""Told the name of each step as it begins."""


@dataclass
class Tenure:
    """What the holder of the lake works with: `last` is the last complete run, `record` what this one tells."""

    lake: Lake
    lease: Lease
    record: RunRecord
    last: PastRun | None
    suppressed: Suppressed
    expiry: Expiry
    progress: Progress
    is_recorded: bool = False

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Tells of a step, and how long it took."""
        with _told(self.record, self.progress, name):
            yield

    def complete(self, summary: Mapping[str, Any], status: str = "SUCCEEDED") -> None:
        """Makes all that was written stand."""
        self.record.summary = dict(summary)
        self.is_recorded = True
        with self.step("record the run"):
            self.lake.store.delete_prefix(f"{LANDING}/{self.record.run_id}/")
            write_run(self.lake, self.record, status)

    def give_up(self) -> None:
        """Leaves word of a run that failed; what it wrote is undone by the next one."""
        try:
            write_run(self.lake, self.record, "FAILED")
        except Exception as fault:
            log.warning("the failed run could not be recorded: %s", fault)


@contextmanager
def _told(record: RunRecord, progress: Progress, name: str) -> Iterator[None]:
    progress(name)
    began = time.monotonic()
    yield
    seconds = time.monotonic() - began
    record.steps.append((name, seconds))
    log.info("%s: %.1f s", name, seconds)


def s3_options(configuration: Configuration) -> S3Options:
    s3 = configuration.storage.s3
    return S3Options(s3.endpoint, s3.path_style, s3.region)


@contextmanager
def hold_lake(
    configuration: Configuration,
    job: str,
    as_of: datetime | None,
    progress: Progress,
    check: Callable[[Tenure], None] = lambda _: None,
) -> Iterator[Tenure]:
    """Takes the lake's lease, undoes what an unfinished run left, and makes tables that are missing.

    Without `as_of`, a care command's: the clock of the last complete run goes on, and there must be one. `check` is
    asked before anything is changed, and may raise. Raises `ContactlakeError`.
    """
    root = open_store(configuration.lake.root, s3_options(configuration))
    if as_of is None and root.head(MARKER) is None:
        raise _no_lake(root)
    token = uuid.uuid4().hex[:8]
    with (
        acquire_lease(root, token, configuration.lock.lease_seconds, partial(greatest_lease, root)) as lease,
        interruption.when_interrupted(lease.release),
        _told_by_its_lease(lease),
    ):
        record = RunRecord(f"{lease.number:08d}-{token}", job, as_of or datetime.now(UTC), datetime.now(UTC))
        log.info("run %s of %s%s", record.run_id, job, f", as of {as_of.isoformat()}" if as_of else "")
        with _told(record, progress, "start Spark"), interruption.still_heeded():
            spark = get_session(configuration, job)
        lake = Lake(spark, root, configuration.lake.timezone, lease.number, lease.check)
        with _told(record, progress, "open the lake"):
            lake.check_marker()
            tenure = Tenure(
                lake, lease, record, last_complete_run(lake), read_suppressed(root), read_expiry(root), progress
            )
            check(tenure)
            is_orderly = is_succession(tenure.last, lease)
            if not is_orderly:  # who held the lake before may be asleep: from now on that run cannot complete any more
                lake.fence(RUN)
                tenure.last = last_complete_run(lake)
                check(tenure)
            last = tenure.last
            if as_of is None and last is None:
                raise _no_lake(root)
            if last is not None:
                record.as_of = as_of or last.as_of
                record.newest_arrivals = dict(last.newest_arrivals)
            undo_unfinished(lake, last, fencing=not is_orderly)
            _clear_landings(root, record.run_id)
            lake.create_missing()
        try:
            yield tenure
        except BaseException:
            if not tenure.is_recorded:
                tenure.give_up()
            raise


def _clear_landings(root: ObjectStore, run_id: str) -> None:
    """Removes what runs before this one have left; what a later one lays down is none of this one's business."""
    keys = (*(found.key for found in root.list(f"{LANDING}/")), *root.unfinished(f"{LANDING}/"))
    folders = {key.split("/")[1] for key in keys}
    for folder in folders:
        if folder < run_id:
            root.delete_prefix(f"{LANDING}/{folder}/")


@contextmanager
def _told_by_its_lease(lease: Lease) -> Iterator[None]:
    """What fails once the lease is lost has failed of that: whoever has the lake now undoes and removes."""
    try:
        yield
    except LakeHeld:
        raise
    except Exception as fault:
        held = lease.loss()
        if held is None:
            raise
        raise held from fault


def _no_lake(root: ObjectStore) -> StorageError:
    return StorageError(
        f"{root.uri} holds no lake yet", "make one with `contactlake daily`, or mend lake.root in the configuration"
    )
