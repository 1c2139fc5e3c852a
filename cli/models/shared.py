"""What several commands on models have in common: options, a model as JSON has it, what came of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..command import Answer
from ..exit_codes import code_of_run
from ..options import named
from ..output import last_part, print_line, print_sentence
from ..tables import Table, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from moodlemlbackend.analytics.lifecycle import RunResult
    from moodlemlbackend.analytics.models import AnalyticsModel

FILE = click.argument("file", metavar="FILE", type=click.Path(dir_okay=False))
ZIP_FILE = click.argument(
    "file", metavar="FILE", type=click.Path(dir_okay=False), callback=named("a model package", ".zip")
)
CSV_FILE = click.argument(
    "file", metavar="FILE", type=click.Path(dir_okay=False), callback=named("training data", ".csv", ".txt")
)
WEIGHTS = click.option(
    "--weights/--no-weights",
    default=True,
    show_default=True,
    help="Include or leave out what the model has learned.",
)


def name_option(meaning: str) -> Callable[[Any], Any]:
    """The option that names a model, with what happens without it."""
    return click.option("--name", metavar="TEXT", help=f"The model's name. {meaning}")


CONTEXT = click.option(
    "--context", "contexts", metavar="ID", type=click.IntRange(1), multiple=True,
    help="Analyse only the course or category with this context id. Repeatable.",
)  # fmt: skip
MODE = click.option(
    "--mode", type=click.Choice(["configuration", "trainedmodel"]), default="configuration", show_default=True,
    help="Evaluate how well the model could learn, or how well it predicts as currently trained.",
)  # fmt: skip
PAST = ("In time", "Right", "F1 in time", "Warnings a week")
"""Columns on what an interval would have given in the site's past."""

ALL = click.option("--all", "everything", is_flag=True, help="Also list every course that was not used.")


def model_facts(model: AnalyticsModel) -> dict[str, Any]:
    """A model as JSON has it."""
    return {
        "id": model.id,
        "name": model.name,
        "target": model.target,
        "static": model.static,
        "enabled": model.enabled,
        "trained": model.trained,
        "interval": model.interval,
        "indicators": [*model.indicators],
        "processor": model.processor,
        "contexts": [*model.contexts] if model.contexts else None,
        "notifies": _notified_by(model),
        "version": model.version,
        "created": model.created,
        "modified": model.modified,
    }


def _notified_by(model: AnalyticsModel) -> str:
    """Who is notified by a model: teachers, students, managers or nobody."""
    from moodlemlbackend.analytics.features import definitions

    return definitions.audience(model.target) or "nobody"


def changed(model: AnalyticsModel, how: str) -> Answer:
    """Say what has become of a model, and why its interval cannot help when that is so."""
    from moodlemlbackend.analytics.features import definitions

    why_not = definitions.cannot_help(model.target, model.interval) if model.enabled else ""
    text = f"Model {model.id} is {how}: {model.name}."
    return Answer({"model": model_facts(model)}, f"{text}\n{why_not}", info=[why_not] if why_not else [])


def run_answer(result: RunResult, *, everything: bool) -> Answer:
    """What came of a training or prediction, and what was not used."""

    def show() -> None:
        print_figures(result)
        reasons: dict[str, int] = {}
        for analysed in result.refused:
            reasons[analysed.reason] = reasons.get(analysed.reason, 0) + 1
            if everything:
                print_line(f"  {analysed.name}: {analysed.reason}")
        if not everything:
            for reason, number in sorted(reasons.items(), key=lambda item: -item[1]):
                print_sentence(f"  {number} not used: {reason}")

    facts = {**result.summary(), "analysables": [vars(analysed) for analysed in result.analysables]}
    return Answer(facts, show, code_of_run(result.status), result.info)


def print_figures(result: RunResult) -> None:
    """Print what a run gave, and what there is to say."""
    figures = ", ".join(f"{number} {name}" for name, number in result.figures.items() if number)
    print_sentence(f"{result.name} (model {result.modelid}): {figures or 'nothing new'}.")
    for sentence in result.info:
        print_sentence(f"  {sentence}")


def evaluation_answer(result: RunResult) -> Answer:
    """What came of an evaluation; the exit code is the status of the best interval."""
    past = PAST if any("load" in judged.past for judged in result.evaluations) else ()

    rows = [
        (last_part(judged.interval), f"{judged.score:.3f}" if judged.logid else "",
         _number(judged.result.get("seen", {}), "score"), *(_past_cells(judged.past) if past else ()),
         _number(judged.result, "mcc"), _number(judged.result, "auc"), judged.rows or "", judged.dir)
        for judged in result.evaluations
    ]  # fmt: skip
    numbers = ("Score", "In seen courses", *past, "MCC", "AUC", "Rows")
    least = ("Logs", "AUC", "Rows", "In seen courses", "MCC")
    table = Table(("Interval", *numbers, "Logs"), rows, right=numbers, least=least)

    def show() -> None:
        print_line(f"{result.name} (model {result.modelid})")
        print_table(table)
        for judged in result.evaluations:
            if judged.info:
                print_sentence(f"  {last_part(judged.interval)}: {' '.join(judged.info)}")
        of_intervals = {sentence for judged in result.evaluations for sentence in judged.info}
        for sentence in result.info:
            if sentence not in of_intervals:
                print_sentence(f"  {sentence}")

    facts = {**result.summary(), "evaluations": [vars(judged) for judged in result.evaluations]}
    return Answer(facts, show, int(result.status), result.info, [table])


def _past_cells(past: dict[str, Any]) -> list[str]:
    """What an interval would have given in time and how much work; nothing where that is not known."""
    shares = [_number(past, name, ".0%") for name in ("in_time", "precision")]
    return [*shares, _number(past, "in_time_f1"), _number(past.get("load", {}), "warnings_a_teacher_and_week", ".1f")]


def _number(result: dict[str, Any], key: str, form: str = ".3f") -> str:
    return format(result[key], form) if isinstance(result.get(key), (int, float)) else ""
