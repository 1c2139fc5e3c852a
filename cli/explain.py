"""``moodlemlbackend explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .command import Answer
from .command import command as make
from .options import DATASET, OUTPUTDIR
from .output import print_line, print_rich, safe

if TYPE_CHECKING:
    from moodlemlbackend.processor.explanation import Explanation

EXAMPLES = """\
moodlemlbackend explain model prediction.csv 1234-2
moodlemlbackend explain model prediction.csv 1234-2 --figure why.png --top 15
moodlemlbackend explain model training.csv --row 4 --json
"""


@make(
    "explain", OUTPUTDIR, DATASET,
    click.argument("sampleid", metavar="[SAMPLEID]", required=False),
    click.option("--row", type=click.IntRange(1), help="Row of the sample in the file; the first sample is in row 4."),
    click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="How many indicators to show."),
    click.option("--figure", metavar="FILE", type=click.Path(path_type=Path), help="Draw it: a .png or .svg file."),
    examples=EXAMPLES,
)  # fmt: skip
def command(
    outputdir: str, dataset: str, sampleid: str | None, row: int | None, top: int, figure: Path | None
) -> Answer:
    """Say why a sample is predicted as it is.

    Prints how much each indicator adds to the log-odds of the prediction, the largest first. The sample is named by its
    id, or by its row: a labelled data set has no ids.
    """
    from moodlemlbackend.operations.explain import explain
    from moodlemlbackend.report import explanation
    from moodlemlbackend.runtime.environment import set_library_defaults

    set_library_defaults()
    if figure is not None:
        explanation.check_format(figure)
    explained = explain(outputdir, dataset, sampleid, row)
    if figure is not None:
        explanation.save(explained, figure, top=top)
    return Answer(explained.as_dict(), lambda: _show(explained, top))


def _show(explained: Explanation, top: int) -> None:
    """Print sentences and a table; the latter as wide as its text where there is no terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Log-odds", justify="right", no_wrap=True)
    table.add_column("Indicator", overflow="fold")
    table.add_column("Value", overflow="fold")
    table.add_row(f"{explained.baseline:.2f}".replace("-", "−"), Text(f"({explained.baseline_is})"))
    for reason in explained.largest(top):
        colour = "dark_orange3" if reason.contribution > 0 else "blue"
        table.add_row(Text(str(reason), style=colour), Text(safe(reason.label)), Text(safe(reason.value)))
    table.add_row(f"{explained.logit:.2f}".replace("-", "−"), Text("(this sample)"))
    for sentence in explained.sentences():
        print_line(sentence)
    print_line()
    print_rich(table)
