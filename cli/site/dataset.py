"""``moodlemlbackend site dataset``."""

from __future__ import annotations

import sys

import click

from ..command import Answer
from ..command import command as make
from ..options import INDICATOR, INTERVAL, TARGET
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
        help="For training and evaluation, or for prediction.",
    ),
    click.option(
        "--jobs", type=click.IntRange(1), help="Courses analysed side by side.  [default: by the log's size]"
    ),
    click.option("-o", "--output", required=True, metavar="FILE", help="Data set to write; - is standard output."),
    site=True, examples=EXAMPLES,
)  # fmt: skip
def command(
    session: Session,
    target: str,
    interval: str | None,
    indicators: tuple[str, ...],
    labelled: bool,
    jobs: int | None,
    output: str,
) -> Answer:
    """Calculate a data set, equal to the one that Moodle itself would write.

    Ids are the names of classes in Moodle; the last part is enough for the targets and time splitting methods that
    Moodle ships. A labelled data set holds every sample whose truth is known at the time, an unlabelled one those to
    predict.
    """
    from moodlemlbackend.analytics.features import registry
    from moodlemlbackend.analytics.features.analysis import Analysis
    from moodlemlbackend.analytics.features.datasets import write_dataset
    from moodlemlbackend.errors import UsageError

    to_output = output == "-"
    if to_output and click.get_current_context().params["as_json"]:
        raise UsageError("With --json the data set cannot be on standard output as well; name a file with --output.")
    if interval is None:
        raise UsageError("Name the analysis interval with --interval, such as quarters.")
    learned, method = registry.get_target(target), registry.get_time_splitting(interval)
    chosen = indicators or registry.indicators_of(learned, session.site.modules)
    used = [registry.get_indicator(name) for name in chosen]
    registry.check_fit(learned, used, method)
    analysis = Analysis(learned, used, [method], session.now, labelled)
    file = sys.stdout.buffer if to_output else output
    progress = progress_of_analysis(lambda: analysis.analyser.rows(session.site, analysis.contexts))
    written = write_dataset(file, session.site, analysis, jobs=jobs, progress=progress)
    text = (
        f"{written.rows} rows with {written.columns} features from {written.analysables} analysables, "
        f"{len(written.refused)} left out, in {'standard output' if to_output else output}."
    )
    if to_output:
        print_line(text, err=True)
    facts = {"rows": written.rows, "columns": written.columns, "analysables": written.analysables, "file": output}
    return Answer({**facts, "left_out": len(written.refused)}, "" if to_output else text)
