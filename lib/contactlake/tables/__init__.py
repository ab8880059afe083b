"""Every table of the lake, declared once."""

from contactlake.tables.conformed import CONFORMED_TABLES
from contactlake.tables.declaration import Table
from contactlake.tables.events import EVENT_TABLES
from contactlake.tables.gold import GOLD_TABLES
from contactlake.tables.ops import OPS_TABLES

TABLES: tuple[Table, ...] = (*EVENT_TABLES, *CONFORMED_TABLES, *GOLD_TABLES, *OPS_TABLES)

SCHEMA_VERSION = 1
"""The version of these declarations: a lake written by a greater one is refused."""
