"""``moodlemlbackend site dataset``."""

from __future__ import annotations

import sys

import click

from ..command import Answer
from ..command import command as make
from ..confirmation import confirm_overwriting
from ..options import INDICATOR, INTERVAL, TARGET, YES, named
from ..output import print_line, progress_of_analysis
from ..session import Session

EXAMPLES = """\
moodlemlbackend site dataset --site site.db --target course_dropout --interval quarters -o dropout.csv
moodlemlbackend site dataset --target course_gradetopass --interval deciles --unlabelled --now 2026-03-01 -o -
"""


@make(
    "dataset", TARGET, INTERVAL, INDICATOR,
    click.option(
        "--labelled/--unlabelled", default=True, show_default=True,
        help="Write a data set for training and evaluation, or one for prediction.",
    ),
    click.option(
        "--jobs", type=click.IntRange(1), help="How many courses to analyse at once.  [default: depends on the log]"
    ),
    click.option(
        "-o", "--output", required=True, metavar="FILE", callback=named("a data set", ".csv", ".txt"),
        help="CSV file to write; - is standard output.",
    ),
    YES, site=True, cluster=True, examples=EXAMPLES,
)  # fmt: skip
def command(
    session: Session,
    target: str,
    interval: str | None,
    indicators: tuple[str, ...],
    labelled: bool,
    jobs: int | None,
    output: str,
    yes: bool,
) -> Answer:
    """Calculate a data set identical to the one that Moodle would write.

    A labelled data set holds every sample whose outcome is known; an unlabelled one holds the samples to predict.
    Without --indicator, the data set has the indicators of the target's core model.
    """
    from moodlemlbackend.analytics.cluster_analysis import analyse
    from moodlemlbackend.analytics.features import registry
    from moodlemlbackend.analytics.features.analysis import Analysis
    from moodlemlbackend.analytics.features.datasets import write_dataset
    from moodlemlbackend.errors import UsageError

    to_output = output == "-"
    if to_output and click.get_current_context().params["as_json"]:
        raise UsageError("With --json, standard output cannot hold the data set as well; specify a file with --output.")
    if interval is None:
        raise UsageError("Specify the analysis interval with --interval, such as quarters.")
    learned, method = registry.get_target(target), registry.get_time_splitting(interval)
    chosen = indicators or registry.indicators_of(learned, session.site.modules)
    used = [registry.get_indicator(name) for name in chosen]
    registry.check_fit(learned, used, method)
    if not to_output:
        confirm_overwriting(output, yes=yes)
    analysis = Analysis(learned, used, [method], session.now, labelled)
    file = sys.stdout.buffer if to_output else output
    progress = progress_of_analysis(lambda: analysis.analyser.rows(session.site, analysis.contexts))
    written = write_dataset(file, session.site, analysis, jobs=jobs, progress=progress, analyse=analyse)
    text = (
        f"Wrote {written.rows:,} rows with {written.columns} features to "
        f"{'standard output' if to_output else output}; analysed: {written.analysables:,}, left out: "
        f"{len(written.refused):,}."
    )
    if to_output:
        print_line(text, err=True)
    facts = {"rows": written.rows, "columns": written.columns, "analysables": written.analysables, "file": output}
    return Answer({**facts, "left_out": len(written.refused)}, "" if to_output else text)
