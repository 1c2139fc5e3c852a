"""Tables: as wide as the screen and no wider, or CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .output import print_facts, print_line, print_rich, print_sentence, safe

if TYPE_CHECKING:
    from collections.abc import Sequence

_PADDING = 2
_FORMULA = ("=", "+", "-", "@", "|", "%")
"""What a cell begins with that a spreadsheet would run."""


class Coloured(str):
    """A cell in a colour."""

    colour: str

    def __new__(cls, text: str, colour: str) -> Coloured:
        """Make one."""
        made = super().__new__(cls, text)
        made.colour = colour
        return made


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    columns, rows
        names of columns, and a cell for each in every row; None is an empty cell.
    title
        a line above, for people.
    right
        the columns that hold numbers.
    least
        the columns that a narrow screen can do without, the least important first.
    empty
        what people read when there is no row.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ""
    right: Sequence[str] = ()
    least: Sequence[str] = ()
    empty: str = ""

    def without(self, name: str) -> Table:
        """The table without a column."""
        at = self.columns.index(name)
        rows = [[*row[:at], *row[at + 1 :]] for row in self.rows]
        return replace(self, columns=[*self.columns[:at], *self.columns[at + 1 :]], rows=rows)

    def without_empty(self) -> Table:
        """The table without the columns that are empty in every row."""
        shown = self
        for name, *cells in zip(self.columns, *self.rows, strict=True):
            if all(cell is None or cell == "" for cell in cells):
                shown = shown.without(name)
        return shown


def print_table(table: Table) -> None:
    """Print a table for people, within the width of the screen; no word is broken.

    Columns without a value are not shown; those that do not fit are left out, the least important first, and named.
    If it is too wide even so, each row is printed as lines of names and values.
    """
    if not table.rows:
        if table.empty:
            print_sentence(table.empty)
        return
    width = shutil.get_terminal_size((80, 24)).columns
    shown, left_out = table.without_empty(), list[str]()
    for name in ("", *table.least):
        if name and name in shown.columns:
            shown, left_out = shown.without(name), [*left_out, name]
        if widths := _widths(shown, width):
            _print_grid(shown, widths)
            if left_out:
                names = ", ".join(left_out)
                print_sentence(f"Left out to fit {width} columns: {names}. --csv and --json show everything.")
            return
    if table.title:
        print_line(table.title)
    for row in table.rows:
        print_line()
        print_facts([(name, _text(cell)) for name, cell in zip(table.columns, row, strict=True)])


def print_csv(tables: Sequence[Table]) -> None:
    """Print tables as CSV: several become one, whose first column says which table a row is of.

    Text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = [*dict.fromkeys(name for table in tables for name in table.columns)]
    several = len(tables) > 1
    writer.writerow([*(["Table"] if several else []), *columns])
    for table in tables:
        for row in table.rows:
            cells = dict(zip(table.columns, map(_text, row), strict=True))
            first = [_harmless(table.title)] if several else []
            writer.writerow([*first, *(_harmless(cells.get(name, "")) for name in columns)])
    for line in stream.getvalue().splitlines():
        print_line(line)


def _text(cell: Any) -> str:
    return "" if cell is None else safe(cell)


def _harmless(text: str) -> str:
    """A cell that no spreadsheet runs: numbers stay as they are."""
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text.rstrip("%"))
    except ValueError:
        return f"'{text}"
    return text


def _widths(table: Table, screen: int) -> list[int]:
    """The widths of the columns so that they fit a screen and every word a line; empty when they cannot."""
    from rich.cells import cell_len

    lines = [[*table.columns], *([_text(cell) for cell in row] for row in table.rows)]
    natural = [max(map(cell_len, cells)) for cells in zip(*lines, strict=True)]
    widths = [
        max(cell_len(word) for cell in cells for word in cell.split() or [""]) for cells in zip(*lines, strict=True)
    ]
    left = screen - _PADDING * (len(widths) - 1) - sum(widths)
    if left < 0:
        return []
    while left and widths != natural:  # the column that needs most lines gets one more
        at = max(range(len(widths)), key=lambda at: (widths[at] < natural[at], natural[at] / (widths[at] or 1)))
        widths[at] += 1
        left -= 1
    return widths


def _print_grid(table: Table, widths: Sequence[int]) -> None:
    from rich.table import Table as Grid
    from rich.text import Text

    if table.title:
        print_rich(Text(table.title, style="bold"))
    grid = Grid(box=None, padding=(0, _PADDING, 0, 0), pad_edge=False, header_style="bold")
    for name, width in zip(table.columns, widths, strict=True):
        grid.add_column(Text(name), width=width, justify="right" if name in table.right else "left")
    for row in table.rows:
        grid.add_row(*(Text(_text(cell), style=cell.colour if isinstance(cell, Coloured) else "") for cell in row))
    print_rich(grid)
