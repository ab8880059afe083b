"""Collects records by arrival hour and writes them out as objects; holds at most one open object per hour and type."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from contactlake.synthesize.dice import Dice
from contactlake.synthesize.layout import STREAMS, SYMBEE
from contactlake.synthesize.summary import Tally


@dataclass(slots=True)
class Batch:
    """The records of an object to be.

    `undecodable`: one of them is no JSON. `loose_end`: the last one is none, or no object, so that only what begins as
    a record may follow it.
    """

    arrival: int
    records: list[bytes] = field(default_factory=list)
    size: int = 0
    undecodable: bool = False
    loose_end: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """An object's bytes and how its name ends."""

    data: bytes
    ending: str = ""


class Packing(Protocol):
    """How a batch becomes an object."""

    def pack(self, batch: Batch) -> Packed:
        """The object of a batch of at least one record."""


def gzip(data: bytes) -> bytes:
    """One gzip member without a time in it, so that equal content gives equal objects."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


class CleanPacking:
    """Undelimited JSON as the services emit it; three objects of four are compressed by gzip, and named so."""

    def __init__(self) -> None:
        self._packed = 0

    def pack(self, batch: Batch) -> Packed:
        self._packed += 1
        text = b"".join(batch.records)
        return Packed(text) if self._packed % 4 == 0 else Packed(gzip(text), ".gz")


class Outbox:
    """Writes one stretch of the work below `out`; its objects are its own, whatever other stretches write."""

    def __init__(self, out: Path, dice: Dice, packing: Packing, object_bytes: int, tally: Tally) -> None:
        self.tally = tally
        self._out = out
        self._dice = dice
        self._packing = packing
        self._object_bytes = object_bytes
        self._open: dict[tuple[str, int], Batch] = {}
        self._folders: set[str] = set()

    def batch(self, record_type: str, arrival: int) -> Batch:
        """The open batch in which a record of that arrival would be put next."""
        key = (record_type, arrival // 3600)
        batch = self._open.get(key)
        if batch is None:
            batch = self._open[key] = Batch(arrival)
        return batch

    def post(self, record_type: str, record: bytes, arrival: int, *, broken: bool = False, loose: bool = False) -> None:
        """Add a record (no JSON where `broken`, a loose end where `loose`); a large enough object is written out."""
        key = (record_type, arrival // 3600)
        batch = self._open.get(key)
        if batch is None:
            batch = self._open[key] = Batch(arrival)
        batch.records.append(record)
        batch.size += len(record)
        batch.loose_end = loose
        batch.undecodable |= broken
        if batch.size >= self._object_bytes:
            del self._open[key]
            self._write(record_type, batch)

    def post_transcript(self, key: str, transcript: bytes) -> None:
        self.tally.records["transcripts"] += 1
        self.tally.bytes_by_type["transcripts"] += len(transcript)
        self.tally.objects += 1
        self.write_object(f"{SYMBEE}/{key}", transcript)

    def close(self) -> None:
        """Write out what is still open."""
        for (record_type, _), batch in self._open.items():
            self._write(record_type, batch)
        self._open.clear()

    def _write(self, record_type: str, batch: Batch) -> None:
        stream = STREAMS[record_type]
        packed = self._packing.pack(batch)
        name = stream.object_name(batch.arrival, self._dice.uuid())
        self.write_object(f"{stream.folder(batch.arrival // 3600)}/{name}{packed.ending}", packed.data)
        self.tally.records[record_type] += len(batch.records)
        self.tally.bytes_by_type[record_type] += batch.size
        self.tally.objects += 1

    def write_object(self, key: str, data: bytes) -> None:
        """Write one object as it is."""
        folder = key.rpartition("/")[0]
        if folder not in self._folders:
            (self._out / folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        (self._out / key).write_bytes(data)


class Scales(Outbox):
    """An outbox that only weighs."""

    def _write(self, record_type: str, batch: Batch) -> None:
        self.tally.records[record_type] += len(batch.records)
        self.tally.bytes_by_type[record_type] += batch.size

    def write_object(self, key: str, data: bytes) -> None:
        """Write nothing."""
