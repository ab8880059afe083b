"""The notebooks' two forms: the `.py` is written by hand, the `.ipynb` is made of it, and neither holds results.

`python -m tests.notebooks` writes the `.ipynb`, with `--check` it only says which are not paired or hold outputs.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat

FOLDER = Path(__file__).parents[1] / "notebooks"
_KEPT = ("jupytext", "kernelspec")
_FORMATS = "ipynb,py:percent"


def scripts() -> list[Path]:
    return sorted(FOLDER.glob("*.py"))


def notebook_of(script: Path) -> Any:
    """The notebook that a py:percent script stands for. Its cells are numbered, so that it is always the same."""
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.metadata = {name: notebook.metadata[name] for name in _KEPT if name in notebook.metadata}
    notebook.metadata["jupytext"] = {"formats": _FORMATS}
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:02}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def faults(script: Path) -> list[str]:
    """What is wrong with a script's notebook: not paired, another content, or results in it."""
    paired = script.with_suffix(".ipynb")
    if not paired.is_file():
        return [f"{script.name} has no {paired.name}"]
    found = []
    notebook = nbformat.read(paired, as_version=4)  # type: ignore[no-untyped-call]
    if notebook.metadata.get("jupytext", {}).get("formats") != _FORMATS:
        found.append(f"{paired.name} is not paired by jupytext")
    if _content(notebook) != _content(notebook_of(script)):
        found.append(f"{paired.name} is not what {script.name} says")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if any(cell.outputs or cell.execution_count is not None for cell in code):
        found.append(f"{paired.name} holds outputs")
    return found


def _content(notebook: Any) -> list[tuple[str, str, list[str]]]:
    return [(cell.cell_type, cell.source.strip(), cell.metadata.get("tags", [])) for cell in notebook.cells]


def main(argv: Sequence[str] | None = None) -> int:
    """Writes or checks the notebooks; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a notebook is not current")
    if parser.parse_args(argv).check:
        found = [fault for script in scripts() for fault in faults(script)]
        orphans = {file.stem for file in FOLDER.glob("*.ipynb")} - {file.stem for file in scripts()}
        found += [f"{name}.ipynb has no {name}.py" for name in sorted(orphans)]
        for fault in found:
            print(f"notebooks: {fault}; run `make docs`", file=sys.stderr)
        return 1 if found else 0
    for script in scripts():
        nbformat.write(notebook_of(script), script.with_suffix(".ipynb"))  # type: ignore[no-untyped-call]
    return 0


if __name__ == "__main__":
    sys.exit(main())
