"""``moodlemlbackend compare``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .command import Answer
from .command import command as make
from .output import last_part, print_sentence
from .tables import Table, print_table

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
    click.option("--metric", default="mcc", show_default=True, help="Metric to test: mcc, auc, f1_score, …"),
    tables=True,
    examples=EXAMPLES,
)
def command(folders: tuple[Path, ...], metric: str) -> Answer:
    """Put runs side by side and test whether the others differ from the first.

    Each RUNDIR is the folder of an evaluation. Two runs are tested split by split if they share the data set, the
    seed, the number of iterations and the kind of split. For other runs only the figures are shown.
    """
    from moodlemlbackend.report.comparison import compare, sentence

    compared = compare(folders, metric)

    table = _table(compared)

    def show() -> None:
        print_table(table)
        for number, run in enumerate(compared[1:], start=2):
            print_sentence(sentence(number, run, metric))

    return Answer({"metric": metric, "runs": [run.as_dict() for run in compared]}, show, tables=[table])


def _table(compared: list[Compared]) -> Table:
    rows = []
    for number, run in enumerate(compared, start=1):
        words = (run.folder, run.about["data set"], last_part(run.about["time splitting"]), run.about["processor"])
        figures = [_figure(*run.metrics[name], run.splits) for name in SHOWN]
        seen = _figure(run.seen.get("mcc", math.nan), 0.0, 1)
        rows.append((number, *words, run.held_out, run.splits, *figures, seen))
    numbers = ("Splits", *SHOWN.values(), "MCC in seen courses")
    least = ("Folder", "Data set", "Splits", "Held out", "MCC in seen courses", "Processor", "Interval", "Brier", "F1")
    columns = ("Run", "Folder", "Data set", "Interval", "Processor", "Held out", *numbers)
    return Table(columns, rows, right=("Run", *numbers), least=least)


def _figure(mean: float, deviation: float, splits: int) -> str:
    if math.isnan(mean):
        return "–"
    return f"{mean:.3f} ±{deviation:.3f}" if splits > 1 else f"{mean:.3f}"
