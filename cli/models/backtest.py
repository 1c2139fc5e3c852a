"""``moodlemlbackend models backtest``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..command import Answer
from ..command import command as make
from ..options import MODEL
from ..output import last_part, print_line, print_table, working
from ..session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

_RIGHT = (
    "Predictions", "Warnings", "Right", "Precision", "Recall", "In time", "F1", "MCC", "AUC", "Brier", "Top 10 %",
    "Promised", "Real", "Flagged",
)  # fmt: skip

INTERVALS = click.option(
    "--interval", "intervals", metavar="NAME", multiple=True,
    help="Analysis interval: its class in Moodle, or the last part. Repeatable.  [default: the model's, or those that "
    "evaluations try]",
)  # fmt: skip


@make(
    "backtest", MODEL, INTERVALS, site=True, store=True,
    examples="moodlemlbackend models backtest 1 --interval quarters --interval deciles",
)  # fmt: skip
def command(session: Session, modelid: int, intervals: tuple[str, ...]) -> Answer:
    """Go through the site's past as if a model had run: whom it would have warned, how often rightly, and in time.

    At each moment it learns from the courses that had ended by then and sees nothing dated later. Its figures are kept
    for the page of the model; its predictions are not, and nobody is told.
    """
    from moodlemlbackend.analytics import lifecycle

    with working("Reading the past") as say:
        result = lifecycle.backtest(
            session.workspace, session.site, modelid, intervals=intervals,
            shown=lambda name, number, courses: say(f"The past of course {number} of {courses}: {name}"),
        )  # fmt: skip

    def show() -> None:
        for one in result.info:
            print_line(one)
        for interval, found in result.intervals.items():
            if "by_course" in found:
                _print_interval(interval, found)

    facts = {"model": modelid, "name": result.name, "intervals": result.intervals}
    return Answer(facts, show, int(result.status), result.info)


def _print_interval(interval: str, found: Mapping[str, Any]) -> None:
    """Print the figures of an interval: in all with their bounds, by range and by course."""
    load, bounds = found["load"], found["bounds"]
    rows = [("All", *_cells({**found, "flagged": load["flagged"]}))]
    low, high = ({key: pair[at] for key, pair in bounds.items()} for at in (0, 1))
    rows += [("  from", *_cells(low)), ("  to", *_cells(high))]
    rows += [(f"Range {one['range'] + 1}", *_cells(one)) for one in found["by_range"]]
    rows += [(one["name"], *_cells(one)) for one in found["by_course"]]
    print_table(f"{last_part(interval)}, {found['trainings']} trainings", ("", *_RIGHT), rows, right=_RIGHT)
    if found["days_median"] is not None:
        quartiles = [found[f"days_{name}"] for name in ("lower_quartile", "median", "upper_quartile")]
        print_line(
            "Days from the first warning to the last visit: {:.0f}, {:.0f}, {:.0f} (quartiles).".format(*quartiles)
        )
    print_line(
        f"Courses of which more than half would be flagged: {load['courses_flagged_by_more_than_half']} of "
        f"{found['courses']}."
    )


def _cells(found: Mapping[str, Any]) -> list[str]:
    """The cells of a row, empty where there is no figure."""
    whole, shares = ("predictions", "warnings", "right"), ("precision", "recall", "in_time")
    scores = ("in_time_f1", "mcc", "auc", "brier")
    numbers = {**dict.fromkeys(whole, "d"), **dict.fromkeys(shares, ".0%"), **dict.fromkeys(scores, ".3f")}
    numbers |= {"precision_top_tenth": ".0%", "promised": ".1f", "real": "d", "flagged": ".0%"}
    return ["" if found.get(name) is None else format(found[name], form) for name, form in numbers.items()]
