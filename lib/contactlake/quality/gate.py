"""The verdict: audited figures judged by Great Expectations suites that are generated from the declarations."""

import logging
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import pandas as pd

from contactlake.quality.audit import Audited, conformed_side, gold_side
from contactlake.quality.rules import KEY_RULE, balance_name, expectation_name, row_rules
from contactlake.tables.declaration import Severity

log = logging.getLogger("contactlake.quality")

_RESULT_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": 0}


@dataclass(frozen=True)
class Limit:
    """A figure of the run as a whole that must not exceed `most`; `table` is where it is from.

    Without `most` it is only recorded. `told` says in words what the figure counts; never a value of a customer.
    """

    table: str
    name: str
    value: float
    most: float | None
    severity: Severity
    told: str = ""

    @property
    def is_met(self) -> bool:
        return self.most is None or self.value <= self.most

    @property
    def expectation(self) -> str:
        return f"{self.table}.{self.name}"


@dataclass(frozen=True)
class Result:
    """One expectation's outcome. `observed` is a figure, with words to it at most; never a value of a customer."""

    table: str
    expectation: str
    severity: Severity
    is_success: bool
    observed: str


@dataclass(frozen=True)
class _Suite:
    name: str
    figures: pd.DataFrame
    expectations: tuple[tuple[Severity, Any], ...]


def fetch() -> None:
    """Imports Great Expectations beside what goes on, which takes seconds: Spark has most to do before the verdict."""
    Thread(target=import_module, args=("great_expectations.expectations",), name="gate").start()


def judge(audited: Sequence[Audited], limits: Sequence[Limit], docs: Path | None) -> list[Result]:
    """Every expectation's outcome; static HTML of it goes to the folder `docs`."""
    # Importing Great Expectations takes seconds: only a run that has something to judge pays for it.
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    context.variables.analytics_enabled = False
    for name, site in list(context.list_data_docs_sites().items()):  # an ephemeral context makes a folder of its own
        shutil.rmtree(site["store_backend"]["base_directory"], ignore_errors=True)
        context.delete_data_docs_site(name)
    if docs is not None:
        context.add_data_docs_site("contactlake", _site(docs))
    source = context.data_sources.add_pandas("contactlake")
    results: list[Result] = []
    for suite in [*(_table_suite(table) for table in audited), *_limit_suites(limits)]:
        batch = source.add_dataframe_asset(suite.name).add_batch_definition_whole_dataframe("figures")
        expectations = gx.ExpectationSuite(
            name=suite.name, expectations=[expectation for _, expectation in suite.expectations]
        )
        definition = gx.ValidationDefinition(name=suite.name, data=batch, suite=context.suites.add(expectations))
        outcome = context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": suite.figures}, result_format=_RESULT_FORMAT
        )
        results += [_result(suite, one) for one in outcome.results]
    if docs is not None:
        context.build_data_docs()
    return sorted(results, key=lambda result: (result.table, result.expectation))


def failed(results: Sequence[Result], accepted: Collection[str]) -> tuple[str, ...]:
    """The critical expectations that were not met and that nobody accepts."""
    return tuple(
        result.expectation
        for result in results
        if not result.is_success and result.severity is Severity.CRITICAL and result.expectation not in accepted
    )


def _site(docs: Path) -> Any:
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }


def _meta(expectation: str, severity: Severity, told: str = "") -> dict[str, str]:
    return {"expectation": expectation, "severity": severity.value, **({"told": told} if told else {})}


def _table_suite(audited: Audited) -> _Suite:
    import great_expectations.expectations as gxe

    table = audited.table
    rules = [(KEY_RULE, Severity.CRITICAL), *((rule.name, rule.severity) for rule in row_rules(table))]
    expectations: list[tuple[Severity, Any]] = [
        (
            severity,
            gxe.ExpectColumnSumToBeBetween(  # type: ignore[attr-defined]
                column=name,
                min_value=0,
                max_value=0,
                meta=_meta(expectation_name(table, name), severity),
                notes=f"Rows that break the rule: {name}.",
            ),
        )
        for name, severity in rules
    ]
    for balance in table.balances:
        name = balance_name(balance)
        if gold_side(name) in audited.figures.columns:
            expectations.append(
                (
                    Severity.CRITICAL,
                    gxe.ExpectColumnPairValuesToBeEqual(  # type: ignore[attr-defined]
                        column_A=gold_side(name),
                        column_B=conformed_side(name),
                        meta=_meta(expectation_name(table, name), Severity.CRITICAL),
                        notes=f"Per date, {name}.",
                    ),
                )
            )
    dates = audited.figures[["business_date"]]
    figures = dates.join(audited.figures.drop(columns="business_date").astype("int64"))
    if figures.empty:  # no rows break no rule
        figures = pd.DataFrame([{name: None if name == "business_date" else 0 for name in figures.columns}])
    return _Suite(table.name, figures, tuple(expectations))


def _limit_suites(limits: Sequence[Limit]) -> list[_Suite]:
    import great_expectations.expectations as gxe

    suites = []
    for table in sorted({limit.table for limit in limits}):
        own = [limit for limit in limits if limit.table == table]
        figures = pd.DataFrame([{limit.name: limit.value for limit in own}])
        expectations = tuple(
            (
                limit.severity,
                gxe.ExpectColumnMaxToBeBetween(  # type: ignore[attr-defined]
                    column=limit.name,
                    min_value=0,
                    max_value=limit.most,
                    meta=_meta(limit.expectation, limit.severity, limit.told),
                ),
            )
            for limit in own
        )
        suites.append(_Suite(f"{table} of the run", figures, expectations))
    return suites


def _result(suite: _Suite, outcome: Any) -> Result:
    raised = outcome.exception_info or {}
    if raised.get("raised_exception") or any(
        isinstance(info, dict) and info.get("raised_exception") for info in raised.values()
    ):
        raise RuntimeError(f"an expectation on {suite.name} could not be evaluated: {raised}")
    meta = outcome.expectation_config.meta
    observed = outcome.result.get("observed_value", outcome.result.get("unexpected_count"))
    return Result(
        table=meta["expectation"].split(".")[0],
        expectation=meta["expectation"],
        severity=Severity(meta["severity"]),
        is_success=bool(outcome.success),
        observed=f"{observed}: {meta['told']}" if "told" in meta else f"{observed}",
    )
