"""A table's declared checks as rules: each has a name, a severity and a count of rows that break it."""

import re
from dataclasses import dataclass

from contactlake.tables.declaration import Balance, Check, Column, Severity, Table


@dataclass(frozen=True)
class Rule:
    """A rule about one table's rows; `breaks` is a Spark SQL condition that is true for a row that breaks it."""

    table: Table
    name: str
    breaks: str
    severity: Severity

    @property
    def expectation(self) -> str:
        """The name under which results are kept and `--accept` takes it."""
        return expectation_name(self.table, self.name)


def expectation_name(table: Table, name: str) -> str:
    return f"{table.name}.{re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_')}"


def _column_rules(table: Table, column: Column) -> list[Rule]:
    rules = []
    name = f"`{column.name}`"
    if column.is_required:
        rules.append(Rule(table, f"{column.name} is present", f"{name} is null", Severity.CRITICAL))
    if column.values is not None:
        allowed = ", ".join(f"'{value}'" for value in column.values)
        rules.append(Rule(table, f"{column.name} is a known value", f"{name} not in ({allowed})", Severity.CRITICAL))
    if column.type in ("bigint", "double") and not column.is_signed:
        rules.append(Rule(table, f"{column.name} is not negative", f"{name} < 0", Severity.CRITICAL))
    return rules


def _check_rule(table: Table, check: Check) -> Rule:
    return Rule(table, check.name, f"not ({check.holds})", check.severity)


def row_rules(table: Table) -> tuple[Rule, ...]:
    """Every rule about single rows: presence, enumerations, signs, and the checks across columns."""
    rules = [rule for column in table.columns for rule in _column_rules(table, column)]
    return (*rules, *(_check_rule(table, check) for check in table.checks))


KEY_RULE = "key is unique"


def balance_name(balance: Balance) -> str:
    return f"{balance.name} equals that of {balance.other.name}"
