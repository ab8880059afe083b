"""What a synthesis wrote, counted."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass(slots=True)
class Tally:
    """The running counts of one stretch of the work."""

    records: Counter[str] = field(default_factory=Counter)
    bytes_by_type: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    objects: int = 0

    def add(self, other: Self) -> None:
        self.records.update(other.records)
        self.bytes_by_type.update(other.bytes_by_type)
        self.faults.update(other.faults)
        self.objects += other.objects


@dataclass(frozen=True, slots=True)
class Summary:
    """The archive that was written.

    `records` counts every record delivered per type, copies and malformed ones among them (each of those is one
    quarantined record), but not what is inside a corrupt object. `objects` counts the objects that hold records,
    corrupt ones too: neither empty objects nor markers nor Firehose's error output. Bytes are those of the records,
    before compression and without delimiters. `faults` counts what was done wrong on purpose, by kind.
    """

    records: Mapping[str, int]
    bytes_by_type: Mapping[str, int]
    faults: Mapping[str, int]
    objects: int

    @property
    def raw_bytes(self) -> int:
        return sum(self.bytes_by_type.values())

    @property
    def malformed(self) -> int:
        """How many of the records are malformed."""
        return sum(count for kind, count in self.faults.items() if kind.startswith("malformed_"))

    def to_json(self) -> str:
        """One line, for standard output."""
        return json.dumps(
            {
                "records": dict(self.records),
                "raw_bytes": self.raw_bytes,
                "objects": self.objects,
                "faults": dict(self.faults),
            }
        )


def summarise(tallies: Iterable[Tally]) -> Summary:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return Summary(
        records=dict(sorted(total.records.items())),
        bytes_by_type=dict(sorted(total.bytes_by_type.items())),
        faults=dict(sorted(total.faults.items())),
        objects=total.objects,
    )
