"""One table's Delta log: which files it names, and commits that never pass over anybody else's."""

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from contactlake.archive.storage import ObjectStore
from contactlake.data_files import DataFile
from contactlake.errors import StorageError
from contactlake.tables.declaration import BUSINESS_DATE

_log = logging.getLogger(__name__)

APP = "contactlake"
"""The application whose transaction versions fence the writes of older leases."""
_CHECKPOINT_EVERY = 10
_CREDENTIALS_SECONDS = 300
"""So long an opened table keeps its credentials; boto3 renews them earlier than that before they expire."""
_ENTRY = re.compile(r"/_delta_log/\.?([0-9]{20})\.[^/]*$")
"""A file of the log, or a local file system's checksum of one, and its version."""
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"\b([345]\d\d) [A-Z]")
_OF_THE_STORE = re.compile(r"object store|Generic S3 error|ObjectStore")
"""What tells a failure of the store from a table's that is broken: delta-rs raises both as one."""
_ORNAMENT = re.compile(r"\x1b\[[0-9;]*m|[↳\s]+")
_PAUSES = (0.5, 2.0, 8.0, 20.0)
"""Seconds between the tries of what the store did not do: object_store itself gives up on a busy one within seconds,
and never tries an answer again that ended early."""
_INSISTS_SECONDS = 100
"""So long after the first of them there is no further try."""

_Result = TypeVar("_Result")


class CommitConflict(Exception):
    """Another writer's commit came first: nothing was written."""


class Interrupted(StorageError):
    """No answer came, not all of it, or that the server is busy: what was asked for may have been done or not."""


@dataclass(frozen=True)
class NamedFile:
    """A file that a version of a table names; `least`, `greatest` and `nulls` (how many) by column, where there are
    statistics."""

    path: str
    size: int
    rows: int | None
    business_date: date | None
    partition: dict[str, str | None]
    least: dict[str, Any]
    greatest: dict[str, Any]
    nulls: dict[str, int]


class DeltaLog:
    """The log of the table at `path` below the store, as it was last seen."""

    def __init__(self, store: ObjectStore, path: str) -> None:
        """Raises `StorageError` where the table cannot be read, and `TableNotFoundError` where there is none."""
        self._store, self._path = store, path
        self.uri = f"{store.uri}/{path}"
        if "%" in self.uri:  # deltalake would decode it in some places and not in others
            raise StorageError(f"{store.uri} has a % in its name", "name another lake.root")
        self._table, self._opened_at = self._opened(None), time.monotonic()
        self._emptiness: tuple[int, bool] | None = None

    def _opened(self, version: int | None) -> DeltaTable:
        return self._insistently(
            lambda: DeltaTable(self.uri, version=version, storage_options=self._store.connection() or None)
        )

    def _insistently(self, action: Callable[[], _Result]) -> _Result:
        """What `action` gives, which changes nothing and may be done again."""
        until = time.monotonic() + _INSISTS_SECONDS
        for pause in _PAUSES:
            try:
                with refusals(self.uri):
                    return action()
            except Interrupted as fault:
                if time.monotonic() > until:
                    raise
                _log.warning("trying again: %s", fault)
                time.sleep(pause)
        with refusals(self.uri):
            return action()

    def _at(self, version: int | None) -> DeltaTable:
        if version is not None and version != self.version:
            return self._opened(version)
        return self._current

    @property
    def _current(self) -> DeltaTable:
        """The table at the version last seen, opened anew where its credentials may be about to expire."""
        if time.monotonic() - self._opened_at > _CREDENTIALS_SECONDS and self._store.connection():
            self._table, self._opened_at = self._opened(self.version), time.monotonic()
        return self._table

    # --- reading ---

    @property
    def version(self) -> int:
        return self._table.version()

    def refresh(self) -> int:
        """The newest version, which is the one last seen from now on."""
        table = self._current
        self._insistently(table.update_incremental)
        return self.version

    @property
    def is_plain(self) -> bool:
        """Whether a file's rows are the table's rows as they stand: no deletion vectors, no mapped columns."""
        return self._table.protocol().min_reader_version == 1

    @property
    def column_names(self) -> list[str]:
        return [field.name for field in self._table.schema().fields]

    def files(self, version: int | None = None) -> list[NamedFile]:
        """What the last seen version, or `version`, consists of."""
        table = self._at(version)
        rows = self._insistently(lambda: pa.table(table.get_add_actions(flatten=False)).to_pylist())
        return [
            NamedFile(
                row["path"],
                row["size_bytes"],
                row["num_records"],
                (row.get("partition") or {}).get(BUSINESS_DATE),
                {name: _text(value) for name, value in (row.get("partition") or {}).items()},
                row.get("min") or {},
                row.get("max") or {},
                row.get("null_count") or {},
            )
            for row in rows
        ]

    @property
    def is_empty(self) -> bool:
        """Whether the last seen version consists of no file."""
        if self._emptiness is None or self._emptiness[0] != self.version:
            table = self._current
            actions = self._insistently(lambda: pa.table(table.get_add_actions()))
            self._emptiness = self.version, not actions.num_rows
        return self._emptiness[1]

    def rows(self, columns: Sequence[str], where: Any, version: int | None = None) -> pa.Table:
        """The rows' `columns` for which the pyarrow expression `where` holds; all rows where it is None."""
        table = self._at(version)
        return self._insistently(lambda: table.to_pyarrow_dataset().to_table(columns=list(columns), filter=where))

    # --- writing ---

    def last_transaction(self) -> int | None:
        """The version of the last transaction of ours."""
        table = self._current
        return self._insistently(lambda: table.transaction_version(APP))

    def commit(self, added: Sequence[DataFile], removed: Sequence[NamedFile], transaction: int) -> int:
        """Adds and removes files in one commit on top of the version last seen; returns the new version.

        Without files it is the transaction's number alone that is put there. Raises `CommitConflict` where the version
        last seen is not the newest any more.
        """
        base, now = self._current, int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [
            RemoveAction(file.path, True, now, size=file.size, partition_values=file.partition) for file in removed
        ]
        is_partitioned = bool(base.metadata().partition_columns)
        for file in added:
            partition = {BUSINESS_DATE: file.business_date} if is_partitioned else {}
            actions.append(AddAction(file.path, file.size, partition, now, True, file.statistics))
        return self._committed(
            transaction,
            lambda: base.create_write_transaction(
                actions,
                mode="append",
                schema=base.schema(),
                partition_by=base.metadata().partition_columns,
                commit_properties=_properties(transaction),
                post_commithook_properties=_NO_HOOKS,
            ),
        )

    def add_columns(self, described: Sequence[Mapping[str, Any]], transaction: int) -> int:
        """Adds columns, given as the log describes them, null in all rows; returns the new version.

        Raises `CommitConflict`.
        """
        fields = Schema.from_json(json.dumps({"type": "struct", "fields": described})).fields
        base = self._current
        return self._committed(
            transaction,
            lambda: base.alter.add_columns(
                fields, commit_properties=_properties(transaction), post_commithook_properties=_NO_HOOKS
            ),
        )

    def restore(self, version: int, transaction: int) -> int:
        """Makes what the table was at `version` its newest version; returns that. Raises `CommitConflict`."""
        base = self._current
        return self._committed(
            transaction,
            lambda: base.restore(
                version, commit_properties=_properties(transaction), post_commithook_properties=_NO_HOOKS
            ),
        )

    def _committed(self, transaction: int, commit: Callable[[], object]) -> int:
        """The version that `commit` makes on top of the one last seen.

        Where it is said to have failed, the log tells: an answer may have been lost, and what the log does not show
        is tried again as long as nobody else has written.
        """
        before, until = self.version, time.monotonic() + _INSISTS_SECONDS
        for pause in (*_PAUSES, None):
            try:
                with refusals(self.uri), _conflicts():
                    commit()
                break
            except (CommitConflict, Interrupted) as fault:
                if self.refresh() != before:
                    if self.last_transaction() != transaction:
                        raise
                    _log.warning("%s: a commit was made although its answer was lost", self.uri)
                    break
                if pause is None or time.monotonic() > until:
                    raise
                _log.warning("committing to %s again: %s", self.uri, fault)
                time.sleep(pause)
        version = self.refresh()
        if version % _CHECKPOINT_EVERY == 0:
            # Our own doing rather than a hook's: a commit stands, whatever becomes of its checkpoint.
            try:
                self.checkpoint()
            except StorageError as fault:
                _log.warning("no checkpoint was made: %s", fault)
        return version

    # --- care ---

    def checkpoint(self) -> bool:
        """Sees that the version last seen has a checkpoint; says whether one was made."""
        if self._store.head(f"{self._path}/_delta_log/{self.version:020d}.checkpoint.parquet") is not None:
            return False
        with refusals(self.uri):
            self._current.create_checkpoint()
        return True

    def unneeded(self, age: timedelta) -> list[str]:
        """The files below the table's folder that no version of the last `age` names: VACUUM's, of what was removed
        longer ago, and what no version ever named and was written longer ago."""
        table, hours = self._current, int(age / timedelta(hours=1))
        named = self._insistently(
            lambda: table.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True)
        )
        folder = f"{self._path}/"
        there = {info.key.removeprefix(folder) for info in self._store.list(folder)} if named else set()
        return [path for path in named if path in there]  # the log remembers some that have gone long since

    def entries_before(self, version: int) -> list[str]:
        """The keys of the log's own files of earlier versions."""
        return [key for number, key, _ in self._entries() if number < version]

    def entries_older_than(self, instant: datetime) -> list[str]:
        """The keys of the log's own files that no version since `instant` needs: those before a checkpoint as old."""
        old = [(number, key) for number, key, modified_at in self._entries() if modified_at < instant]
        start = max((number for number, key in old if ".checkpoint." in key), default=0)
        return [key for number, key in old if number < start]

    def _entries(self) -> Iterator[tuple[int, str, datetime]]:
        for info in self._store.list(f"{self._path}/_delta_log/"):
            if entry := _ENTRY.search(info.key):
                yield int(entry[1]), info.key, info.modified_at


_NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


def _properties(transaction: int) -> CommitProperties:
    return CommitProperties(max_commit_retries=0, app_transactions=[Transaction(APP, transaction)])


def _text(value: Any) -> str | None:
    """A partition's value as Delta writes it."""
    return value.isoformat() if isinstance(value, (date, datetime)) else value


@contextmanager
def _conflicts() -> Iterator[None]:
    try:
        yield
    except CommitFailedError as fault:
        raise CommitConflict(str(fault)) from fault


@contextmanager
def refusals(uri: str) -> Iterator[None]:
    """What fails within is a `StorageError` that names `uri`; a table that is not there passes, and a conflict."""
    try:
        yield
    except (TableNotFoundError, CommitFailedError):
        raise
    except (OSError, DeltaError, ValueError) as fault:
        said = str(fault)
        if not isinstance(fault, OSError) and not _OF_THE_STORE.search(said):
            raise StorageError(
                f"{uri} cannot be read as a Delta table ({_first_line(fault)})", "restore it or name another lake.root"
            ) from fault
        raise _failure(uri, said) from None


def _failure(uri: str, said: str) -> StorageError:
    """What delta-rs says of the store that the table at `uri` lies in."""
    from contactlake.archive.s3_client import remedy  # a lake in a directory need not pay for boto3

    code, status = _CODE.search(said), _STATUS.search(said)
    if not code and not status:
        check = "see that the place is there and may be read and written"
        return Interrupted(f"{uri} cannot be reached: {_innermost(said)}", check)
    name, number = code[1] if code else "unknown", int(status[1]) if status else 0
    kind = Interrupted if number == 429 or number >= 500 else StorageError
    return kind(f"{uri}: refused with {name} (HTTP {number})", remedy(name, number))


def _innermost(said: str) -> str:
    """The cause of what delta-rs says: it puts each cause on a line of its own, below what it caused."""
    return _ORNAMENT.sub(" ", said.strip().splitlines()[-1]).strip().removeprefix("Kernel error -> ")[:300]


def _first_line(fault: Exception) -> str:
    return str(fault).strip().splitlines()[0].removeprefix("Kernel error -> ")[:300]
