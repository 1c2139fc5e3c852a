"""``moodlemlbackend explain``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import DATASET, OUTPUTDIR, ModelCommand

if TYPE_CHECKING:
    from moodlemlbackend.processor.explanation import Explanation

EXAMPLES = """\
moodlemlbackend explain model prediction.csv 1234-2
moodlemlbackend explain model prediction.csv 1234-2 --figure why.png --top 15
moodlemlbackend explain model training.csv --row 4 --json
"""


@click.command("explain", cls=ModelCommand, epilog=EXAMPLES)
@OUTPUTDIR
@DATASET
@click.argument("sampleid", metavar="[SAMPLEID]", required=False)
@click.option("--row", type=click.IntRange(1), help="Row of the sample in the file; the first sample is in row 4.")
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="How many indicators to show.")
@click.option("--figure", metavar="FILE", type=click.Path(path_type=Path), help="Draw it, too: a .png or .svg file.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    outputdir: str, dataset: str, sampleid: str | None, row: int | None, top: int, figure: Path | None, as_json: bool
) -> None:
    """Say why a sample is predicted as it is.

    Prints how much each indicator adds to the log-odds of the prediction, the largest first. The sample is named by its
    id, or by its row: a labelled data set has no ids.
    """
    from moodlemlbackend.errors import BackendError
    from moodlemlbackend.operations.explain import explain
    from moodlemlbackend.report import explanation
    from moodlemlbackend.runtime.environment import set_library_defaults

    set_library_defaults()
    try:
        if figure is not None:
            explanation.check_format(figure)
        found = explain(outputdir, dataset, sampleid, row)
        if figure is not None:
            explanation.save(found, figure, top=top)
    except BackendError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
    else:
        _print(found, top)


def _print(found: Explanation, top: int) -> None:
    """Print sentences and a table; the latter as wide as its text where there is no terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 1000
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Log-odds", justify="right", no_wrap=True)
    table.add_column("Indicator", overflow="fold")
    table.add_column("Value", overflow="fold")
    table.add_row(f"{found.baseline:.2f}".replace("-", "−"), Text(f"({found.baseline_is})"))
    for reason in found.largest(top):
        colour = "dark_orange3" if reason.contribution > 0 else "blue"
        table.add_row(Text(str(reason), style=colour), Text(_printable(reason.label)), Text(_printable(reason.value)))
    table.add_row(f"{found.logit:.2f}".replace("-", "−"), Text("(this sample)"))
    for sentence in found.sentences():
        console.print(Text(_printable(sentence)))
    with console.capture() as captured:
        console.print(table)
    console.print()
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def _printable(text: str) -> str:
    """Names and ids come from a file: what a terminal would obey is shown as a sign of replacement."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
