"""``moodlemlbackend compare``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .command import Answer
from .command import command as make
from .output import last_part, print_line, print_rich, safe

if TYPE_CHECKING:
    from moodlemlbackend.report.comparison import Compared

EXAMPLES = """\
moodlemlbackend compare model/logs/1700000000000 model/logs/1700000099999
moodlemlbackend compare --metric auc --json model/logs/*
"""

SHOWN = {"mcc": "MCC", "auc": "AUC", "f1_score": "F1", "Brier score": "Brier"}


@make(
    "compare",
    click.argument("folders", metavar="RUNDIR...", nargs=-1, required=True, type=click.Path(path_type=Path)),
    click.option("--metric", default="mcc", show_default=True, help="What is tested: mcc, auc, f1_score, …"),
    examples=EXAMPLES,
)
def command(folders: tuple[Path, ...], metric: str) -> Answer:
    """Put runs side by side and test whether the others differ from the first.

    RUNDIR is the folder of an evaluation. Two runs are tested split by split when they are of the same data set, seed
    number of iterations and kind of splits; of others the figures are shown alone.
    """
    from moodlemlbackend.report.comparison import compare, sentence

    compared = compare(folders, metric)

    def show() -> None:
        _show(compared)
        for number, run in enumerate(compared[1:], start=2):
            print_line(sentence(number, run, metric))

    return Answer({"metric": metric, "runs": [run.as_dict() for run in compared]}, show)


def _show(compared: list[Compared]) -> None:
    """Print a table, as wide as its text where there is no terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Run", justify="right")
    for title in ("Folder", "Data set", "Interval", "Processor"):
        table.add_column(title, overflow="fold")
    table.add_column("Held out")
    for title in ("Splits", *SHOWN.values(), "MCC in seen courses"):
        table.add_column(title, justify="right", no_wrap=True)
    for number, run in enumerate(compared, start=1):
        words = (run.folder, run.about["data set"], last_part(run.about["time splitting"]), run.about["processor"])
        figures = [_figure(*run.metrics[name], run.splits) for name in SHOWN]
        seen = _figure(run.seen.get("mcc", math.nan), 0.0, 1)
        table.add_row(
            str(number), *(Text(safe(word)) for word in words), run.held_out, str(run.splits), *figures, seen
        )  # fmt: skip
    print_rich(table)


def _figure(mean: float, deviation: float, splits: int) -> str:
    if math.isnan(mean):
        return "–"
    return f"{mean:.3f} ± {deviation:.3f}" if splits > 1 else f"{mean:.3f}"
