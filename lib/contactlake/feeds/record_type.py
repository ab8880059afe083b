"""The words in which a feed declares its records: which JSON field becomes which column, and what must be there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contactlake.tables.declaration import Table


class Kind(Enum):
    """How a JSON value is read."""

    TEXT = auto()
    TIMESTAMP = auto()
    INTEGER = auto()
    DURATION = auto()
    """Milliseconds, not below zero."""
    SECONDS = auto()
    """Seconds, not below zero; kept as milliseconds."""
    BOOLEAN = auto()
    ATTRIBUTES = auto()
    """A map of string to string, of which the configured keys are kept."""


ARROW_TYPES: Mapping[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.TIMESTAMP: pa.timestamp("us", "UTC"),
    Kind.INTEGER: pa.int64(),
    Kind.DURATION: pa.int64(),
    Kind.SECONDS: pa.int64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.ATTRIBUTES: pa.map_(pa.string(), pa.string()),
}

Path = tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """One column and the JSON path that it is read from; of several `paths` the first that has a value counts."""

    column: str
    kind: Kind
    paths: tuple[Path, ...]
    values: frozenset[str] | None = None
    """The enumeration, as far as its vendor has published it; another value is kept and flagged."""

    @property
    def name(self) -> str:
        """The field as its vendor names it, for `detail`."""
        return ".".join(self.paths[0])


Columns = dict[str, pa.Array]


def _nobody(_: Table, __: Columns) -> None:
    """Nobody is to be forgotten."""


@dataclass(frozen=True)
class Context:
    """What a record's columns depend on besides the record: the feed's environment, privacy, the object, the run."""

    environment: str | None
    attributes_keep: tuple[str, ...]
    protect: Callable[[pa.Array], pa.Array]
    """What `[privacy] customer_identifiers` makes of a column of customers' identifiers."""
    media_key: str
    """The object's key within its archive."""
    forgotten: "Callable[[Table, Columns], npt.NDArray[np.bool_] | None]" = _nobody
    """Which rows of a table, as they were read, must not tell whose they are; None: all may."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes_keep", tuple(dict.fromkeys(self.attributes_keep)))


@dataclass(frozen=True, eq=False)
class RecordType:
    """One type of record in a feed. There is one of each, so they are compared by identity.

    `required`: columns that must have a value; `required_any`: at least one of these must (a contact's end).
    `version`: Spark SQL over the table's columns, the greatest wins; None: any version, so the tie-break decides.
    `derive`: adds the table's columns that are no field, given the decoded ones.
    """

    name: str
    table: Table
    fields: tuple[Field, ...]
    required: tuple[str, ...]
    derive: Callable[[Columns, Context], Columns]
    required_any: tuple[str, ...] = ()
    version: str | None = None
    ordered_times: tuple[str, ...] = ()
    """Columns that must not run backwards by more than a second (OUT_OF_ORDER)."""
    unordered_when: tuple[str, str, frozenset[str]] | None = None
    """(time, column, values): the time is left out of the order where the column has one of the values."""
    read: Callable[[Any, Context], dict[str, Any]] | None = None
    """A reader of its own, for a record that is no flat list of fields: gives the row with its flags, or raises
    `Refused`."""

    def field(self, column: str) -> Field:
        for candidate in self.fields:
            if candidate.column == column:
                return candidate
        raise KeyError(column)


@dataclass(frozen=True, eq=False)
class Feed:
    """One kind of source: how its records begin, which types it has and how a record tells its type.

    There is one of each, so they are compared by identity.
    """

    name: str
    first_key: str
    record_types: tuple[RecordType, ...]
    type_key: str | None = None
    """The field that names the record's type; None where the feed has one type only."""
    holds_messages: bool = False
    """Its text is never stored, not even in quarantine and whatever `[privacy]` says."""
    default_layout: str = "%Y/%m/%d/%H/"

    @property
    def is_flat(self) -> bool:
        """Whether a record's row is told by its fields alone, and not by the object that it stands in."""
        return all(record_type.read is None for record_type in self.record_types)

    def record_type(self, name: str | None) -> RecordType | None:
        if self.type_key is None:
            return self.record_types[0]
        for candidate in self.record_types:
            if candidate.name == name:
                return candidate
        return None


class Refused(Exception):
    """A record that decodes but cannot be used: goes to quarantine under `reason`, `detail` naming the field."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
