"""How tables look to the eye: on a terminal, and as plain text."""

import io
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

_RULED = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""A line below the headings, and nothing else."""
_GAP = 2
"""What stands between two columns."""
_MOST_OF_WIDTH_FOR_KEY = 0.6
_NARROWEST_KEY = 10
"""A column of the key is made narrower to make room, but not below this."""


def new_grid(console: Console, title: str | None, caption: str | None, *columns: str, words: int) -> Grid:
    """A table whose first `words` columns are words and the others figures."""
    grid = Grid(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        caption_style="dim",
        box=box.SIMPLE_HEAD if console.is_terminal else _RULED,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for number, name in enumerate(columns):
        is_word = number < words
        grid.add_column(name, justify="left" if is_word else "right", overflow="fold", no_wrap=not is_word)
    return grid


def print_drawn(draw: Callable[[Console], None], plain_width: int) -> None:
    """Prints what `draw` draws: in colour on a terminal, else plain text of at most `plain_width` columns."""
    if sys.stdout.isatty():
        draw(Console(highlight=False))
    else:
        print(plain_text(draw, plain_width))


def plain_text(draw: Callable[[Console], None], width: int) -> str:
    """What `draw` draws, without colours and without blanks at the lines' ends."""
    plain = Console(file=io.StringIO(), width=width, highlight=False, record=True)
    draw(plain)
    return "\n".join(line.rstrip() for line in plain.export_text().splitlines())


def clock(milliseconds: float) -> str:
    """A duration as m:ss or h:mm:ss."""
    sign = "-" if round(milliseconds / 1000) < 0 else ""
    minutes, seconds = divmod(abs(round(milliseconds / 1000)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}:{minutes:02}:{seconds:02}" if hours else f"{sign}{minutes}:{seconds:02}"


def average_clock(total_ms: int, count: int) -> str:
    """An average duration; `-` of nothing."""
    return clock(total_ms / count) if count else "-"


def percentage(ratio: float) -> str:
    return f"{100 * ratio:.1f}%"


def share(part: int, whole: int) -> str:
    """A share; `-` of nothing."""
    return percentage(part / whole) if whole else "-"


@dataclass(frozen=True)
class GridColumn:
    """A heading and what stands below it. Columns of the key are repeated wherever a wide table is continued."""

    heading: str
    cells: Sequence[str]
    is_key: bool
    is_word: bool

    @property
    def width(self) -> int:
        """What the cells need, and the heading's longest word."""
        return max(cell_len(text) for text in (*self.cells, *self.heading.split()))


def draw_wide(console: Console, title: str, columns: Sequence[GridColumn]) -> None:
    """Draws a table; where it is wider than the console, its figures stand in several tables below one another."""
    key = [column for column in columns if column.is_key]
    widths = _squeezed([column.width for column in key], int(console.width * _MOST_OF_WIDTH_FOR_KEY))
    room = console.width - sum(width + _GAP for width in widths)
    figures = [column for column in columns if not column.is_key]
    blocks = _blocks(figures, room)
    while room > 0 and len(evener := _blocks(figures, room - 1)) == len(blocks) > 1:
        blocks, room = evener, room - 1
    console.print(Text(title, style="bold"), soft_wrap=True)
    for block in blocks:
        console.print()
        shown = [*zip(key, widths, strict=True), *((column, column.width) for column in block)]
        grid = new_grid(console, None, None, words=0)
        for column, width in shown:
            heading = textwrap.fill(column.heading, width)
            grid.add_column(Text(heading), justify="left" if column.is_word else "right", overflow="fold", width=width)
        for cells in zip(*(column.cells for column, _ in shown), strict=True):
            grid.add_row(*map(Text, cells))
        console.print(grid)


def _blocks(columns: Sequence[GridColumn], room: int) -> list[list[GridColumn]]:
    """The columns in as few blocks as there is room for, each with at least one."""
    blocks: list[list[GridColumn]] = []
    left = 0
    for column in columns:
        if not blocks or left < column.width + _GAP:
            blocks.append([])
            left = room
        blocks[-1].append(column)
        left -= column.width + _GAP
    return blocks


def _squeezed(widths: Sequence[int], room: int) -> list[int]:
    """`widths` that fit into `room`, as far as they may be made narrower: always the widest."""
    squeezed = list(widths)
    while sum(squeezed) + _GAP * len(squeezed) > room and max(squeezed, default=0) > _NARROWEST_KEY:
        squeezed[squeezed.index(max(squeezed))] -= 1
    return squeezed
