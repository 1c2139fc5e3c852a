"""``moodlemlbackend explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .command import Answer
from .command import command as make
from .options import DATASET, OUTPUTDIR
from .output import print_line, working
from .tables import Coloured, Table, print_table

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
    click.option("--figure", metavar="FILE", type=click.Path(path_type=Path), help="Also draw a .png or .svg file."),
    tables=True, examples=EXAMPLES,
)  # fmt: skip
def command(
    outputdir: str, dataset: str, sampleid: str | None, row: int | None, top: int, figure: Path | None
) -> Answer:
    """Explain the prediction for one sample.

    Prints how much each indicator adds to the log-odds of the prediction, the largest first. Name the sample by its id,
    or by its row: a labelled data set has no ids.
    """
    from moodlemlbackend.operations.explain import explain
    from moodlemlbackend.report import explanation
    from moodlemlbackend.runtime.environment import set_library_defaults

    set_library_defaults()
    if figure is not None:
        explanation.check_format(figure)
    with working("Explaining the prediction"):
        explained = explain(outputdir, dataset, sampleid, row)
    if figure is not None:
        explanation.save(explained, figure, top=top)
    table = _table(explained, top)

    def show() -> None:
        for sentence in explained.sentences():
            print_line(sentence)
        print_line()
        print_table(table)

    return Answer(explained.as_dict(), show, tables=[table])


def _table(explained: Explanation, top: int) -> Table:
    """What each indicator adds, between the baseline and the sum."""
    reasons = [
        (Coloured(str(reason), "dark_orange3" if reason.contribution > 0 else "blue"), reason.label, reason.value)
        for reason in explained.largest(top)
    ]
    first, last = (f"{value:.2f}".replace("-", "−") for value in (explained.baseline, explained.logit))
    rows = [(first, f"({explained.baseline_is})", ""), *reasons, (last, "(this sample)", "")]
    return Table(("Log-odds", "Indicator", "Value"), rows, right=("Log-odds",))
