"""The pages under docs/ that are made of the declarations: configuration, tables and KPIs.

`python -m contactlake.documentation docs` writes them, with `--check` it only says which are not current.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contactlake.config import CONFIG_VARIABLE, PSEUDONYM_KEY_VARIABLE, Configuration
from contactlake.kpi import KPIS
from contactlake.quality.rules import balance_name, expectation_name
from contactlake.tables import SCHEMA_VERSION, TABLES
from contactlake.tables.conformed import STATUSES
from contactlake.tables.declaration import Column, Rollup, Severity, Table

_GENERATED = "<!-- Made by `make docs`. What is wrong here is to be mended in the declarations. -->"


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([_GENERATED, f"# {title}", *(part.strip() for part in parts)]) + "\n"


def _grid(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# --- configuration ---

_PLACES: Mapping[str, str] = {"feed": "[[feed]]", "storage": "[storage.s3]"}
"""How a section stands in TOML where that is not its name in brackets."""


def configuration_page() -> str:
    schema = Configuration.model_json_schema()
    parts = [
        "One TOML file holds everything that a run is told besides its command line. `conf/local.toml` and"
        " `conf/s3.toml` are examples. Paths are relative to the current directory. An unknown key, a wrong type, an"
        " unknown time zone or feed name ends the run with exit code 2 before anything is touched.",
        _grid(
            ["environment variable", "meaning"],
            [
                [f"`{CONFIG_VARIABLE}`", "The configuration file, where `--config` is not given."],
                [
                    f"`{PSEUDONYM_KEY_VARIABLE}`",
                    'The key of `customer_identifiers = "hash"`, which is refused without, and of the list that'
                    " `forget` keeps: once there is one, every run that stores identifiers or attributes needs the"
                    " same key.",
                ],
                ["`SPARK_CONF_DIR`", "Spark's settings; the console command takes those that ship with it by default."],
                ["`AWS_…`", "Credentials and region, by the standard AWS chain; never in the file."],
            ],
        ),
    ]
    for name in schema["properties"]:
        section = _resolve(schema, schema["properties"][name])
        if name == "storage":
            section = _resolve(schema, section["properties"]["s3"])
        parts.append(f"## {_PLACES.get(name, f'[{name}]')}")
        if "description" in section:
            parts.append(section["description"])
        required = section.get("required", [])
        rows = [
            [f"`{key}`", _wanted(value), "required" if key in required else _default(value), value["description"]]
            for key, value in section["properties"].items()
        ]
        parts.append(_grid(["key", "wants", "default", "meaning"], rows))
    return _page("Configuration", *parts)


def _resolve(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section that a property of the JSON schema stands for."""
    if "items" in node:
        node = node["items"]
    resolved: Mapping[str, Any] = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return resolved


def _wanted(value: Mapping[str, Any]) -> str:
    if "anyOf" in value:
        return _wanted(value["anyOf"][0])
    if "enum" in value:
        return _listed(value["enum"])
    match value["type"]:
        case "array":
            return f"array of {_wanted(value['items'])}"
        case "integer":
            return f"integer{_bounds(value)}"
        case "number":
            return f"number{_bounds(value)}"
        case kind:
            return "text" if kind == "string" else str(kind)


def _bounds(value: Mapping[str, Any]) -> str:
    words = [
        f"{word} {value[key]:g}"
        for key, word in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))
        if key in value
    ]
    return " ".join(["", *words])


def _default(value: Mapping[str, Any]) -> str:
    default = value["default"]
    if default is None:
        return "none"
    if isinstance(default, bool):
        return f"`{default}`".lower()
    if isinstance(default, str):
        return f'`"{default}"`'
    return f"`{default:_}`" if isinstance(default, int) else f"`{default}`"


# --- tables ---

_LAYERS: Mapping[str, tuple[str, str]] = {
    "silver": (
        "Silver",
        "Events, one table per record type, and the conformed tables, the same for every vendor's feed.",
    ),
    "gold": ("Gold", "Daily and additive, for dashboards and planning. [kpis.md](kpis.md) has the formulas."),
    "ops": ("Ops", "What was read, refused, owed and checked, and what ran."),
}


def tables_page() -> str:
    parts = [
        "Delta tables at `<root>/<layer>/<table>`, readable by any Delta reader; the same sentences stand in the"
        f" tables as comments. This is schema version {SCHEMA_VERSION}.",
        "Names end in `_at` (timestamp, UTC), `_date`, `_ms` (milliseconds), `_seconds`, or begin with `is_`. Counts"
        " are bigint, ratios and averages double. A column in **bold** is part of the key: no two rows share all of"
        " them, null being a value like others. The rules of gold, and of the conformed tables that gold is computed"
        " from, are judged before gold is published.",
        "\n".join(f"- [{table}](#{_anchor(table)}): {table.description}" for table in TABLES),
    ]
    for layer, (title, sentence) in _LAYERS.items():
        parts += [f"## {title}", sentence]
        parts += [_table_section(table) for table in TABLES if table.layer == layer]
    return _page("Tables", *parts)


def _anchor(table: Table) -> str:
    return f"{table.layer}{table.name}"


def _table_section(table: Table) -> str:
    parts = [f"### {table}", table.description]
    if table.partition_by:
        parts.append(f"Partitioned by {_listed(table.partition_by)}.")
    rows = [
        [f"**`{column.name}`**" if column.name in table.key else f"`{column.name}`", _type(column), _meaning(column)]
        for column in table.columns
    ]
    parts.append(_grid(["column", "type", "meaning"], rows))
    if table.checks or table.balances:
        parts.append("\n".join(["Rules:", "", *_checks(table)]))
    return "\n\n".join(parts)


def _type(column: Column) -> str:
    return f"`{column.type}`" if "<" in column.type else column.type


def _meaning(column: Column) -> str:
    sentences = [column.description]
    if column.values is not None and not all(value in column.description for value in column.values):
        sentences.append(f"One of {_listed(column.values)}.")
    if column.is_identifier:
        sentences.append("Names a customer: subject to `[privacy]`.")
    if column.is_required:
        sentences.append("*Never null.*")
    return " ".join(sentences)


def _checks(table: Table) -> list[str]:
    lines = [
        f"- {check.name}: `{check.holds}`" + (" (a warning)" if check.severity is Severity.WARNING else "")
        for check in table.checks
    ]
    return lines + [f"- per date, {balance_name(balance)}" for balance in table.balances]


# --- KPIs ---

_STATUS_MEANINGS: Mapping[str, str] = {
    "MATCHED": "Both are there and every comparison is within the tolerance.",
    "MATCHED_WITH_DIFFERENCES": "Both are there and at least one comparison is not; `differences` names each.",
    "EXTRA_INTERACTION": "The contact that it names is another interaction's: of several, the one whose agent is the"
    " contact's comes first, then the one connected closest to it, then the smallest task_id.",
    "AWAITING_CONTACT": "A contact is expected and is not there yet; the grace is not over.",
    "MISSING_CONTACT": "A contact is expected and is not there; the grace is over.",
    "NOT_EXPECTED": "An interaction with no contact, of which none is expected; or a contact that only monitors.",
    "UNHANDLED": "A contact without interaction that no agent was connected to.",
    "NOT_SYMBEE_AGENT": "A contact without interaction whose agent no Symbee record had named by then.",
    "AWAITING_INTERACTION": "Any other contact without interaction; the grace is not over.",
    "MISSING_INTERACTION": "Any other contact without interaction; the grace is over.",
}

_WORDS = """
- handled: an interaction that names an agent and a connection.
- active, parked, wrap: Symbee's three clocks. Handle is all of them, focus is active and wrap.
- average handle time: handle_ms / handled with parked time, focus_ms / handled without it.
- visit: a stay in a queue. Work that Amazon delivers is counted from its contact record alone, work that Symbee queues
  from its interaction alone: nothing twice. A visit is counted on the date on which its contact or interaction ended.
- answered: an agent was connected. abandoned: nobody was, and nothing followed. diverted: nobody was, and the contact
  went on elsewhere, to a callback, another queue or another flow. offered: all three.
- logged in, idle, reserved, working, wrap, unavailable: wall clock, from the agent events of sessions. A session that
  nothing ends lasts until the last event of it, or of the agent's use, is seen.
- focus share: the interactions' focus time / (working + wrap). Only one task can be in focus, so more than 1.02 is a
  warning.
- conversation: everything that one request of a customer led to, over contacts, transfers and channels. consult,
  conference and transfer follow Amazon Connect's own rules for telling them apart in contact records.
- response time: from the first message of a run that the other party left unanswered to the message that answers it.
"""

_DIFFERENCES_FROM_AMAZON = """
Where these figures differ from Amazon Connect's console, they do so on purpose:

- Parked time has no counterpart there. Handle time stands here with it (`handle_ms`) and without it (`focus_ms`).
- Handle time is counted on the date on which wrap was completed, there on the date of the disconnect.
- Contact records hold whole seconds, cut; Symbee's clocks are milliseconds.
- The service level has four published definitions; all four stand in `gold/service_level_daily`.
- Agents in a task that is no call stand in a custom status there, which counts as non-productive. Occupancy is
  therefore computed here from Symbee's agent events, with all work in it.
- A wait that nothing tells counts as offered and under its outcome, and in no time or threshold.
"""


_ROLLED_UP: Mapping[Rollup | None, str] = {
    Rollup.SUM: "added",
    Rollup.MAX: "the greatest",
    Rollup.PEAK: "the greatest, over dates alone",
    Rollup.MERGE: "merged",
    Rollup.PERCENTILE: "from the merged sketch",
    None: "not known",
}


def kpis_page() -> str:
    if set(_STATUS_MEANINGS) != set(STATUSES):
        raise ValueError("the statuses and their meanings differ")
    parts = [
        "Every gold table has a row per business date, the calendar date in the lake's time zone, and per value of its"
        " other dimensions. Sums take null as 0, an absent dimension is `(none)`, a ratio whose denominator is 0 is"
        " null. Of several rows, each measure is taken by the rule in its last column, and by no other:"
        " [rolling-up.md](rolling-up.md) shows how.",
        _WORDS,
        _DIFFERENCES_FROM_AMAZON,
        "Before a gold table is published, its key must be unique and each column's own rules must hold (present, a"
        " known value, not negative); the names of further expectations stand below as `--accept` takes them.",
    ]
    for kpi in KPIS:
        parts.append(_kpi_section(kpi.table, kpi.compute))
    parts += [
        "## Reconciliation statuses",
        "Each interaction, and each contact that no interaction is joined to, has exactly one.",
        _grid(["status", "when"], [[f"`{status}`", _STATUS_MEANINGS[status]] for status in STATUSES]),
    ]
    return _page("KPIs", *parts)


def _kpi_section(table: Table, compute: Callable[..., object]) -> str:
    module = importlib.import_module(compute.__module__)
    words = (module.__doc__ or "").strip().split("\n\n")
    parts = [f"## {table}", table.description]
    parts += [" ".join(paragraph.split()) for paragraph in words[1:]]
    parts.append(f"Grain: {_listed(table.key)}.")
    measures = [column for column in table.columns if column.name not in table.key]
    rows = [
        [
            f"`{column.name}`",
            _unit(column),
            _meaning(column).removesuffix(" *Never null.*"),
            "made anew" if column.ratio_of is not None else _ROLLED_UP[column.rollup],
        ]
        for column in measures
    ]
    parts.append(_grid(["measure", "unit", "definition", "over several rows"], rows))
    if table.overlapping:
        parts.append(f"Rows that differ in {_listed(table.overlapping)} are never taken together.")
    names = [*(check.name for check in table.checks), *(balance_name(balance) for balance in table.balances)]
    parts.append("Expectations: " + _listed(expectation_name(table, name) for name in names) + ".")
    return "\n\n".join(parts)


def _unit(column: Column) -> str:
    if column.name.endswith("_ms"):
        return "ms"
    if column.name.endswith("_seconds"):
        return "s"
    return {"bigint": "count", "double": "ratio"}.get(column.type, column.type)


# --- writing ---

PAGES: Mapping[str, Callable[[], str]] = {
    "configuration.md": configuration_page,
    "tables.md": tables_page,
    "kpis.md": kpis_page,
}


def stale_pages(folder: Path) -> list[str]:
    """The names of the pages in `folder` that are not what the declarations say."""
    return [
        name
        for name, make in PAGES.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != make()
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Writes or checks the pages; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m contactlake.documentation", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a page is not current")
    parser.add_argument("folder", type=Path, help="where the pages lie")
    arguments = parser.parse_args(argv)
    if arguments.check:
        stale = stale_pages(arguments.folder)
        for name in stale:
            print(f"{arguments.folder / name} is not current; run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (arguments.folder / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
