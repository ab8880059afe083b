"""The Arrow schema of a declared table, for rows that are made without Spark."""

import re
from functools import cache

import pyarrow as pa

from contactlake.tables.declaration import Table

_SCALARS = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "binary": pa.binary(),
}
_TOKEN = re.compile(r"\w+|[<>,:]")


@cache
def arrow_schema(table: Table) -> pa.Schema:
    """One Arrow field per column of `table`, timestamps in microseconds UTC."""
    return pa.schema([pa.field(column.name, arrow_type(column.type)) for column in table.columns])


def arrow_type(ddl: str) -> pa.DataType:
    """The Arrow type of a Spark SQL type, as far as the declarations use them."""
    tokens = _TOKEN.findall(ddl)
    parsed, rest = _parse(tokens)
    if rest:
        raise ValueError(f"not a type: {ddl}")
    return parsed


def _parse(tokens: list[str]) -> tuple[pa.DataType, list[str]]:
    name, *rest = tokens
    if name == "array":
        element, rest = _parse(rest[1:])
        return pa.list_(element), rest[1:]
    if name == "map":
        key, rest = _parse(rest[1:])
        value, rest = _parse(rest[1:])
        return pa.map_(key, value), rest[1:]
    if name == "struct":
        fields = []
        while rest[0] != ">":
            member, _, *rest = rest[1:]  # behind `<` or `,`: name, `:`
            member_type, rest = _parse(rest)
            fields.append(pa.field(member, member_type))
        return pa.struct(fields), rest[1:]
    return _SCALARS[name], rest
