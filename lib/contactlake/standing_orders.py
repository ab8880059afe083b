"""Standing orders: who is forgotten and what has expired, at the lake's root. They outlive the runs, and hold for each.

An order is a file `_suppressed/<run id>.json` or `_expired/<run id>.json`, of which the greatest name counts: run ids
rise with leases, so that what a run wrote that had lost the lake is not the last word.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from contactlake.archive.storage import ObjectStore
from contactlake.config import PSEUDONYM_KEY_VARIABLE
from contactlake.errors import ConfigurationError, StorageError
from contactlake.privacy import pseudonym
from contactlake.retention import Expiry

_SUPPRESSED, _EXPIRED = "_suppressed", "_expired"
_PROBE = "contactlake"
"""Its pseudonym tells whether a key is the one that a list was made with."""


@dataclass(frozen=True)
class Suppressed:
    """Who is forgotten: pseudonyms of customers' identifiers, and of the ids of their tasks and contacts.

    `probe` is the pseudonym of a constant, empty while there is no list.
    """

    customers: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    probe: str = ""

    @property
    def hashes(self) -> frozenset[str]:
        return self.customers | self.ids

    def check_key(self, key: bytes) -> None:
        """Raises `ConfigurationError` where the list was made with another key, or there is none."""
        if not key and self.probe:
            raise ConfigurationError(
                "the lake has a list of customers to be forgotten, which needs its key",
                f"set {PSEUDONYM_KEY_VARIABLE} in the environment, as for `contactlake forget`",
            )
        if self.probe and self.probe != pseudonym(_PROBE, key):
            raise ConfigurationError(
                f"{PSEUDONYM_KEY_VARIABLE} is not the key that the lake's list of forgotten customers was made with",
                "set it to that key",
            )

    def extended(self, customers: frozenset[str], ids: frozenset[str], key: bytes) -> "Suppressed":
        return Suppressed(self.customers | customers, self.ids | ids, pseudonym(_PROBE, key))


def read_suppressed(store: ObjectStore) -> Suppressed:
    """The lake's list; raises `StorageError` where it cannot be read."""
    said = _read(store, _SUPPRESSED, {"customers": list, "ids": list, "probe": str})
    return Suppressed(frozenset(said["customers"]), frozenset(said["ids"]), said["probe"]) if said else Suppressed()


def write_suppressed(store: ObjectStore, run_id: str, suppressed: Suppressed) -> None:
    _write(
        store,
        _SUPPRESSED,
        run_id,
        {
            "customers": sorted(suppressed.customers),
            "ids": sorted(suppressed.ids),
            "probe": suppressed.probe,
        },
    )


def read_expiry(store: ObjectStore) -> Expiry:
    """What has expired; raises `StorageError` where it cannot be read."""
    said = _read(store, _EXPIRED, {})
    try:
        dates = {layer: date.fromisoformat(said[layer]) for layer in ("silver", "gold") if said.get(layer)}
    except (TypeError, ValueError) as fault:
        raise _unreadable(store, f"{_EXPIRED}/") from fault
    return Expiry(**dates)


def write_expiry(store: ObjectStore, run_id: str, expiry: Expiry) -> None:
    dates = {"silver": expiry.silver, "gold": expiry.gold}
    _write(store, _EXPIRED, run_id, {layer: day.isoformat() for layer, day in dates.items() if day is not None})


def _read(store: ObjectStore, name: str, wanted: Mapping[str, type]) -> dict[str, Any]:
    """The order that counts; nothing where there is none."""
    keys = [info.key for info in store.list(f"{name}/")]
    if not keys:
        return {}
    try:
        said = json.loads(store.read(keys[-1]))
    except ValueError as fault:
        raise _unreadable(store, keys[-1]) from fault
    if not isinstance(said, dict) or any(not isinstance(said.get(part), kind) for part, kind in wanted.items()):
        raise _unreadable(store, keys[-1])
    return said


def _write(store: ObjectStore, name: str, run_id: str, said: Mapping[str, Any]) -> None:
    """Puts an order in force, and then removes those before it."""
    key = f"{name}/{run_id}.json"
    store.write(key, json.dumps(said).encode())
    store.delete([info.key for info in store.list(f"{name}/") if info.key < key])


def _unreadable(store: ObjectStore, key: str) -> StorageError:
    return StorageError(f"{store.uri_of(key)} cannot be read", "restore it from a copy; without it nothing is written")
