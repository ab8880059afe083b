"""The pages: what is made of the declarations is current, and what is written by hand names only what there is."""

import re
from pathlib import Path

import pytest
from tests.conftest import REPOSITORY

from contactlake import cli, documentation
from contactlake.errors import ConfigurationError
from contactlake.tables import TABLES
from contactlake.tables.ops import REASONS

DOCS = REPOSITORY / "docs"
HAND_WRITTEN = sorted({REPOSITORY / "README.md", *DOCS.rglob("*.md")} - {DOCS / name for name in documentation.PAGES})
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_the_generated_pages_are_current() -> None:
    assert documentation.stale_pages(DOCS) == []


def test_a_page_that_is_not_current_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert documentation.main([str(tmp_path)]) == 0
    assert documentation.main(["--check", str(tmp_path)]) == 0
    (tmp_path / "kpis.md").write_text("# KPIs\n")
    (tmp_path / "tables.md").unlink()
    assert documentation.main(["--check", str(tmp_path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path}/tables.md is not current; run `make docs`",
        f"{tmp_path}/kpis.md is not current; run `make docs`",
    ]


def test_every_table_and_column_has_its_line() -> None:
    sections = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", read(DOCS / "tables.md"), re.MULTILINE | re.DOTALL))
    assert set(sections) == {str(table) for table in TABLES}
    for table in TABLES:
        named = re.findall(r"^\| (?:\*\*)?`(\w+)`(?:\*\*)? \|", sections[str(table)], re.MULTILINE)
        assert named == list(table.column_names), table


def test_every_link_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(REPOSITORY)}: {target}"
        for page in (REPOSITORY / "README.md", *DOCS.rglob("*.md"))
        for target in _LINK.findall(read(page))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_reason_is_explained() -> None:
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", read(DOCS / "archive.md"), re.MULTILINE)) == set(REASONS)


def test_make_targets_that_are_named_exist() -> None:
    makefile = read(REPOSITORY / "Makefile")
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert {"setup", "demo", "test", "check", "format", "docs", "bench", "wheel", "clean"} == targets
    named = {
        target
        for page in (*HAND_WRITTEN, REPOSITORY / ".ci" / "run")
        for target in re.findall(r"(?:^|`)make ([a-z]+)", read(page), re.MULTILINE)
    }
    assert {"demo", "check", "test"} <= named <= targets


def test_every_target_is_listed_with_a_sentence() -> None:
    sentences = re.findall(r"^[a-z]+:.*## (.*)$", read(REPOSITORY / "Makefile"), re.MULTILINE)
    assert all(re.fullmatch(r"[A-Z].{20,}\.", sentence) for sentence in sentences)


@pytest.mark.parametrize("page", HAND_WRITTEN, ids=lambda page: page.name)
def test_commands_that_are_named_are_understood(page: Path) -> None:
    fenced = "".join(re.findall(r"^```\n(.*?)^```", read(page), re.MULTILINE | re.DOTALL))
    for command in re.findall(r"^(?:\.venv/bin/)?contactlake (.+)$", fenced, re.MULTILINE):
        words = command.split()
        try:
            cli.parser().parse_args(words)
        except ConfigurationError as error:
            pytest.fail(f"{page.name}: contactlake {command}: {error}")


def test_decisions_are_numbered_without_a_gap() -> None:
    records = sorted(file for file in (DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(file.name[:4]) for file in records] == list(range(1, len(records) + 1))
    for file in records:
        text = read(file)
        assert text.startswith(f"# {int(file.name[:4])}. ")
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Consequences"))
