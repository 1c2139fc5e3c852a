"""``moodlemlbackend models backtest``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..command import Answer
from ..command import command as make
from ..options import MODEL
from ..output import last_part, print_line, print_sentence, progress_of_past
from ..session import Session
from ..tables import Table, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

_RIGHT = (
    "Predictions", "Warnings", "Right", "Precision", "Recall", "In time", "F1", "MCC", "AUC", "Brier", "Top 10 %",
    "Promised", "Real", "Flagged",
)  # fmt: skip

_LEAST = ("Promised", "Real", "Top 10 %", "Brier", "AUC", "MCC", "Flagged", "Predictions", "Right", "F1")

INTERVALS = click.option(
    "--interval", "intervals", metavar="NAME", multiple=True,
    help="Analysis interval, such as quarters; moodlemlbackend models intervals lists them. Repeatable.  [default: the "
    "model's interval, or those that evaluations try]",
)  # fmt: skip


@make(
    "backtest", MODEL, INTERVALS, site=True, store=True, cluster=True, tables=True,
    examples="moodlemlbackend models backtest 1 --interval quarters --interval deciles",
)  # fmt: skip
def command(session: Session, modelid: int, intervals: tuple[str, ...]) -> Answer:
    """Replay the site's past as if the model had been running, and show how well it would have done.

    You see who would have been flagged, how often correctly and how often in time.

    At each moment, the model learns only from courses that had ended by then, and sees nothing dated later. The
    figures are kept for the model's page. Predictions are not kept and nobody is notified.
    """
    from moodlemlbackend.analytics import lifecycle

    shown = progress_of_past()
    result = lifecycle.backtest(session.workspace, session.site, modelid, intervals=intervals, shown=shown)

    def show() -> None:
        for sentence in result.info:
            print_sentence(sentence)
        for interval, table in tables.items():
            print_table(table)
            _print_remarks(result.intervals[interval])

    tables = {
        interval: _table(interval, figures) for interval, figures in result.intervals.items() if "by_course" in figures
    }
    facts = {"model": modelid, "name": result.name, "intervals": result.intervals}
    return Answer(facts, show, int(result.status), result.info, [*tables.values()])


def _table(interval: str, figures: Mapping[str, Any]) -> Table:
    """The figures of an interval: overall with their bounds, by range and by course."""
    load, bounds = figures["load"], figures["bounds"]
    rows = [("All", *_cells({**figures, "flagged": load["flagged"]}))]
    low, high = ({key: pair[at] for key, pair in bounds.items()} for at in (0, 1))
    rows += [("  from", *_cells(low)), ("  to", *_cells(high))]
    rows += [(f"Range {row['range'] + 1}", *_cells(row)) for row in figures["by_range"]]
    rows += [(row["name"], *_cells(row)) for row in figures["by_course"]]
    title = f"{last_part(interval)}, {figures['trainings']} training runs"
    return Table(("Of", *_RIGHT), rows, title, right=_RIGHT, least=_LEAST)


def _print_remarks(figures: Mapping[str, Any]) -> None:
    """Print what the table does not hold."""
    if figures["days_median"] is not None:
        quartiles = [figures[f"days_{name}"] for name in ("lower_quartile", "median", "upper_quartile")]
        print_line(
            "Days from the first prediction of risk to the last visit: {:.0f}, {:.0f}, {:.0f} (quartiles).".format(
                *quartiles
            )
        )
    load = figures["load"]
    print_line(
        f"Courses in which more than half of the students would be flagged: "
        f"{load['courses_flagged_by_more_than_half']} of {figures['courses']}."
    )


def _cells(figures: Mapping[str, Any]) -> list[str]:
    """The cells of a row, empty where there is no figure."""
    whole, shares = ("predictions", "warnings", "right"), ("precision", "recall", "in_time")
    scores = ("in_time_f1", "mcc", "auc", "brier")
    numbers = {**dict.fromkeys(whole, "d"), **dict.fromkeys(shares, ".0%"), **dict.fromkeys(scores, ".3f")}
    numbers |= {"precision_top_tenth": ".0%", "promised": ".1f", "real": "d", "flagged": ".0%"}
    return ["" if figures.get(name) is None else format(figures[name], form) for name, form in numbers.items()]
