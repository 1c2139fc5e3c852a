"""``moodlemlbackend compare``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import ModelCommand

if TYPE_CHECKING:
    from moodlemlbackend.report.comparison import Compared

EXAMPLES = """\
moodlemlbackend compare model/logs/1700000000000 model/logs/1700000099999
moodlemlbackend compare --metric auc --json model/logs/*
"""

SHOWN = {"mcc": "MCC", "auc": "AUC", "f1_score": "F1", "Brier score": "Brier"}


@click.command("compare", cls=ModelCommand, epilog=EXAMPLES)
@click.argument("folders", metavar="RUNDIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--metric", default="mcc", show_default=True, help="What is tested: mcc, auc, f1_score, …")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(folders: tuple[Path, ...], metric: str, as_json: bool) -> None:
    """Put runs side by side and test whether the others differ from the first.

    RUNDIR is the folder of an evaluation. Two runs are tested split by split when they are of the same data set, seed
    and number of iterations; of others the figures are shown alone.
    """
    from moodlemlbackend.errors import BackendError
    from moodlemlbackend.report.comparison import compare, sentence

    try:
        found = compare(folders, metric)
    except BackendError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps({"metric": metric, "runs": [one.as_dict() for one in found]}, indent=2))
        return
    _print(found)
    for number, one in enumerate(found[1:], start=2):
        click.echo(sentence(number, one, metric))


def _print(found: list[Compared]) -> None:
    """Print a table, as wide as its text where there is no terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Run", justify="right")
    for title in ("Folder", "Data set", "Interval", "Processor"):
        table.add_column(title, overflow="fold")
    for title in ("Splits", *SHOWN.values()):
        table.add_column(title, justify="right", no_wrap=True)
    for number, one in enumerate(found, start=1):
        interval = one.about["time splitting"].rpartition("\\")[2]
        words = (one.folder, one.about["data set"], interval, one.about["processor"])
        figures = [_figure(*one.metrics[name], one.splits) for name in SHOWN]
        table.add_row(str(number), *map(Text, words), str(one.splits), *figures)
    console.print(table)


def _figure(mean: float, deviation: float, splits: int) -> str:
    if math.isnan(mean):
        return "–"
    return f"{mean:.3f} ± {deviation:.3f}" if splits > 1 else f"{mean:.3f}"
