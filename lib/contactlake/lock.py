"""One writer at a time: numbered leases at the lake's root.

`_lease/<20 digits>.json` is the lease of that number. Taking one is an atomic create of the next number, allowed once
the last has expired or was released; its holder writes it anew while it lives, so that its last-modified time moves.
Expiry is judged by the store's clock alone, a holder's own standing by the time that passed for it: no two hosts'
clocks are compared. Numbers only grow and fence writes: the greater number is the later run.
"""

import getpass
import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Self

from contactlake.archive.storage import ObjectInfo, ObjectStore
from contactlake.errors import LakeHeld, StorageError
from contactlake.interruption import when_interrupted

_log = logging.getLogger(__name__)

_FOLDER = "_lease/"
_FILE = re.compile(rf"{_FOLDER}([0-9]{{20}})\.json")
_RELEASED = '{"released": true}'
_KEPT = 10
_TRIES = 10
# S3 gives both its clock and last-modified in whole seconds: a lease must look expired by more than that.
_CLOCK_GRAIN = timedelta(seconds=1)
_SET_BACK = timedelta(minutes=1)
_GAP = 100
"""So many numbers are left out where all lease files are gone: runs that wrote nothing had numbers, too."""


@dataclass(frozen=True)
class _Terms:
    """What a lease file says. `since` is ISO 8601 by the store's clock, `lease_seconds` counts from each renewal."""

    run_id: str
    holder: str
    since: str
    lease_seconds: float
    released: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.lease_seconds < 1e9:
            raise ValueError(f"lease_seconds is {self.lease_seconds!r}")

    def is_in_force(self, age: timedelta) -> bool:
        """Whether the lease keeps others away, so long after its last renewal by the store's clock."""
        return not self.released and age <= timedelta(seconds=self.lease_seconds) + _CLOCK_GRAIN

    def __str__(self) -> str:
        return f"run {self.run_id} ({self.holder}) since {self.since}"

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


class Lease:
    """A lease that was taken; it is renewed by a thread until it is released or lost.

    As a context manager it is released at the end, however that comes. `follows_release` tells that the holder before
    said that it had ended: of any other it is not known whether it sleeps and will go on.
    """

    def __init__(
        self, store: ObjectStore, number: int, terms: _Terms, taken_at: float, *, follows_release: bool
    ) -> None:
        self.number = number
        self.follows_release = follows_release
        self._store = store
        self._terms = terms
        self._renewed_at = taken_at  # by time.monotonic(), from before the request that renewed
        self._loss: str | None = None
        self._ended = threading.Event()
        self._renewal = threading.Thread(target=self._renew, name=f"lease-{number}", daemon=True)
        self._renewal.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def loss(self) -> LakeHeld | None:
        """Why the lease is not held any more, as far as that can be told; None while it is."""
        try:
            self.check()
        except LakeHeld as held:
            return held
        except StorageError as error:
            _log.warning("whether lease %d is still held cannot be told: %s", self.number, error)
        return None

    def check(self) -> None:
        """Nothing while the lease is held; `LakeHeld` once it was lost or released. Asks the store.

        Lost is a lease that was not renewed for `lease_seconds`, or that a greater number follows. It stays lost.
        Raises `StorageError` where the store does not answer while the lease is good.
        """
        if self._ended.is_set():
            raise LakeHeld(f"lease {self.number} on {self._store.uri} was released", "take a new one")
        if self._loss is None and self._is_overdue():
            self._loss = f"it was not renewed for {self._terms.lease_seconds:g} s"
        try:
            self._look_for_a_follower()
        except StorageError:  # where the lease is known to be lost, that it cannot be told to whom changes nothing
            if self._loss is None:
                raise
        if self._loss is not None:
            raise LakeHeld(
                f"lease {self.number} on {self._store.uri} was lost: {self._loss}",
                "run again once no other run is at work: what this one left unfinished is undone then",
            )

    def check_time(self) -> None:
        """As `check`, but only by the time that has passed since the last renewal: the store is not asked."""
        if self._is_overdue():
            self.check()

    def _look_for_a_follower(self) -> None:
        leases = _leases(self._store)
        if not leases:
            self._loss = "its file is gone"
        elif _number(leases[-1]) != self.number:
            self._loss = "another run took the lake over"
            self._loss = f"{_read(self._store, leases[-1])} took the lake over"

    def release(self) -> None:
        """Let the next run in at once. A store that does not answer is logged: the lease then expires by itself."""
        if self._ended.is_set():
            return
        self._ended.set()
        # A renewal under way must not land after the release; one that hangs for that long has lost the lease.
        self._renewal.join(self._terms.lease_seconds)
        if self._loss is not None or self._is_overdue():
            return
        try:
            self._store.write(lease_key(self.number), replace(self._terms, released=True).encode())
        except StorageError as error:
            _log.warning("lease %d was not released, and expires by itself: %s", self.number, error)

    def _renew(self) -> None:
        usual, soon = self._terms.lease_seconds / 3, self._terms.lease_seconds / 12
        pause = usual
        while not self._ended.wait(pause):
            started_at = time.monotonic()
            if self._loss is not None or self._is_overdue():  # a paused holder that wakes must not pretend
                _log.error("lease %d on %s was lost", self.number, self._store.uri)
                return
            try:
                self._store.write(lease_key(self.number), self._terms.encode())
            except StorageError as error:
                _log.warning("lease %d could not be renewed, trying again: %s", self.number, error)
                pause = soon
            else:
                self._renewed_at, pause = started_at, usual

    def _is_overdue(self) -> bool:
        return time.monotonic() - self._renewed_at > self._terms.lease_seconds


def acquire_lease(
    store: ObjectStore, run_id: str, lease_seconds: float, greatest_known: Callable[[], int] = lambda: 0
) -> Lease:
    """The lake's next lease, renewed from now on.

    `greatest_known` is asked where no lease file is left: the greatest number that the lake shows elsewhere, or 0.
    Raises `LakeHeld`, which names the holder and since when, while another lease is in force, and `StorageError` where
    the lake cannot be reached or its last lease file cannot be read.
    """
    for _ in range(_TRIES):
        now = store.now()  # before the listing: a renewal in between only makes the lease look younger
        leases = _leases(store)
        follows_release = False
        if leases:
            number = _number(leases[-1]) + 1
            follows_release = _let_go(store, leases[-1], now)
        else:
            number = _number_after_loss(store, greatest_known())
        terms = _Terms(run_id, _holder(), now.isoformat(timespec="seconds"), lease_seconds)
        taken_at = time.monotonic()
        with when_interrupted(partial(_withdraw, store, number, terms)):
            if store.create(lease_key(number), terms.encode()):
                _forget(store, leases[: 1 - _KEPT])
                return Lease(store, number, terms, taken_at, follows_release=follows_release)
        # Another taker was first: look at its lease.
    raise StorageError(f"{store.uri}: no lease can be created", f"see that only contactlake writes to {_FOLDER}")


def _withdraw(store: ObjectStore, number: int, terms: _Terms) -> None:
    """Releases the lease of that number if it was taken in these terms."""
    if store.head(lease_key(number)) is not None and store.read(lease_key(number)) == terms.encode():
        store.write(lease_key(number), replace(terms, released=True).encode())


def _let_go(store: ObjectStore, lease: ObjectInfo, now: datetime) -> bool:
    """Whether the lease was released; False where it has expired. Raises `LakeHeld` where it is in force."""
    terms = _read(store, lease)
    age = now - lease.modified_at
    if terms.released:
        return True
    if not terms.is_in_force(age):
        _log.warning("the lease of %s has expired, the lake is taken over", terms)
        return False
    if age < -_SET_BACK:  # a live holder's next renewal mends that
        raise LakeHeld(
            f"{store.uri} is held by {terms}, whose last renewal lies {-age.total_seconds():g} s in the future of the"
            " store's clock, which was set back",
            f"wait for it to end; if no run is at work, put {_RELEASED} in place of {store.uri_of(lease.key)}",
        )
    raise LakeHeld(
        f"{store.uri} is held by {terms}",
        f"wait for it to end; a dead run's lease expires {terms.lease_seconds:g} s after its last renewal",
    )


def _number_after_loss(store: ObjectStore, known: int) -> int:
    """The number of the first lease, or of one that comes after all that were lost."""
    if not known:
        return 1
    _log.warning(
        "%s holds no lease file although run %d has written there; they must not be deleted. Numbers go on above it",
        store.uri,
        known,
    )
    return known + _GAP


@dataclass(frozen=True)
class Standing:
    """How a lake's last lease stands: its number (0: there is none), whose it is and since when, and what became of it.

    `age` is the time since its last renewal, by the store's clock.
    """

    number: int
    holder: str
    is_held: bool
    is_released: bool
    age: timedelta


def last_lease(store: ObjectStore) -> Standing:
    """How the lake's last lease stands; takes none.

    Raises `StorageError` where the lake cannot be reached or its last lease file cannot be read.
    """
    now = store.now()
    leases = _leases(store)
    if not leases:
        return Standing(0, "", is_held=False, is_released=True, age=timedelta())
    last, age = _read(store, leases[-1]), now - leases[-1].modified_at
    return Standing(_number(leases[-1]), str(last), last.is_in_force(age), last.released, age)


def _leases(store: ObjectStore) -> tuple[ObjectInfo, ...]:
    """The lease files by number; other files there are not leases."""
    return tuple(found for found in store.list(_FOLDER) if _FILE.fullmatch(found.key))


def _forget(store: ObjectStore, old: tuple[ObjectInfo, ...]) -> None:
    try:
        store.delete(lease.key for lease in old)
    except StorageError as error:
        _log.warning("old leases were not deleted: %s", error)


def _read(store: ObjectStore, lease: ObjectInfo) -> _Terms:
    try:
        said = json.loads(store.read(lease.key))
        released = said["released"] is True
        if released:  # nothing else counts then
            said = {"run_id": "unknown", "holder": "unknown", "since": "unknown", "lease_seconds": 1} | said
        return _Terms(str(said["run_id"]), str(said["holder"]), str(said["since"]), said["lease_seconds"], released)
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(
            f"{store.uri_of(lease.key)} is no lease that can be read ({type(error).__name__})",
            f"make sure that no run is at work, then put {_RELEASED} in its place; it must not be deleted, or its"
            " number might be given twice",
        ) from error


def lease_key(number: int) -> str:
    """The key of the lease of that number."""
    return f"{_FOLDER}{number:020}.json"


def _number(lease: ObjectInfo) -> int:
    return int(lease.key.removeprefix(_FOLDER).removesuffix(".json"))


def _holder() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} {os.getpid()}"
