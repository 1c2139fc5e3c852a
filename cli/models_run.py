"""``moodlemlbackend models evaluate|train|predict|log|invalid``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ._analytics import MODEL, Session, command, last, moment, print_json, print_table, progress

if TYPE_CHECKING:
    from moodlemlbackend.analytics.lifecycle import RunResult
    from moodlemlbackend.analytics.models import AnalyticsModel

INTERVAL = click.option(
    "--interval", metavar="NAME", help="The one analysis interval to try; all enabled ones without."
)
MODE = click.option(
    "--mode", type=click.Choice(["configuration", "trainedmodel"]), default="configuration", show_default=True,
    help="Judge what can be learned, or what the trained model has learned.",
)  # fmt: skip
REUSE = click.option(
    "--reuse/--no-reuse", default=True, show_default=True, help="Use what was calculated of a course in the last week."
)
_ALL = click.option("--all", "everything", is_flag=True, help="Name every course that gave nothing, too.")


def model_of(session: Session, modelid: int) -> AnalyticsModel:
    """Read a model."""
    from moodlemlbackend.analytics import models

    with session.workspace.store.read() as connection:
        return models.get(connection, modelid)


@command(MODEL, INTERVAL, MODE, REUSE, site=True, examples="moodlemlbackend models evaluate 1 --interval quarters")
def evaluate(session: Session, modelid: int, interval: str | None, mode: str, reuse: bool, as_json: bool) -> int:
    """Judge a model by the finished courses of the site.

    The exit code is the status of the best interval: 4 for a score that is too low, 8 for too little data.
    """
    from moodlemlbackend.analytics import lifecycle

    outcome = lifecycle.evaluate(
        session.workspace, session.site, modelid,
        interval=interval, mode=mode, reuse=reuse, shown=progress(model_of(session, modelid)),
    )  # fmt: skip
    show_evaluation(outcome, as_json)
    return outcome.status


@command(MODEL, _ALL, site=True, examples="moodlemlbackend models train 1")
def train(session: Session, modelid: int, everything: bool, as_json: bool) -> int:
    """Train a model with what is new on the site."""
    from moodlemlbackend.analytics import lifecycle

    shown = progress(model_of(session, modelid))
    return show_outcome(lifecycle.train(session.workspace, session.site, modelid, shown=shown), everything, as_json)


@command(MODEL, _ALL, site=True, examples="moodlemlbackend models predict 1")
def predict(session: Session, modelid: int, everything: bool, as_json: bool) -> int:
    """Have a model predict what is new on the site, and tell people of it."""
    from moodlemlbackend.analytics import lifecycle
    from moodlemlbackend.analytics.notifications import outbox

    outcome = lifecycle.predict(session.workspace, session.site, modelid, shown=progress(model_of(session, modelid)))
    delivered = outbox.deliver(session.workspace)
    outcome.info += delivered.problems
    return show_outcome(outcome, everything, as_json)


@command(MODEL, examples="moodlemlbackend models log 1")
def log(session: Session, modelid: int, as_json: bool) -> None:
    """Show a model's evaluations, its runs, and predictions marked as not useful."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.db import feedback
    from moodlemlbackend.analytics.db.history import evaluations, runs

    with session.workspace.store.read() as connection:
        models.get(connection, modelid)
        judged, ran = evaluations(connection, modelid), runs(connection, modelid)
        marks = feedback.listed(connection, modelid)
    if as_json:
        print_json({"evaluations": judged, "runs": ran, "marks": [vars(mark) for mark in marks]})
        return
    rows = [
        (moment(one["timecreated"]), last(one["timesplitting"]), one["evaluationmode"], f"{one['score']:.3f}",
         " ".join(one["info"]), session.workspace.absolute(one["dir"]))
        for one in judged
    ]  # fmt: skip
    print_table("Evaluations", ("Time (UTC)", "Interval", "Mode", "Score", "Notes", "Logs"), rows)
    ran_rows = [
        (moment(one["timestarted"]), one["task"], one["status"], json.dumps(one["figures"]), " ".join(one["info"]))
        for one in ran
    ]
    print_table("Runs", ("Time (UTC)", "Task", "Status", "Figures", "Notes"), ran_rows)
    marked = [
        (moment(mark.created), mark.predictionid, mark.userid, mark.weight, moment(mark.trained), moment(mark.reverted))
        for mark in marks
    ]
    if marked:
        columns = ("Time (UTC)", "Prediction", "User", "Weight", "Trained", "Taken back")
        print_table("Marked as not useful", columns, marked)


@command(MODEL, site=True, examples="moodlemlbackend models invalid 1")
def invalid(session: Session, modelid: int, as_json: bool) -> None:
    """List what on the site a model cannot use, and why."""
    from moodlemlbackend.analytics.features.invalid import invalid_elements

    found = [*invalid_elements(session.site, model_of(session, modelid), session.now)]
    if as_json:
        print_json(
            [
                {"id": one.id, "name": one.name, "training": one.training and one.training._asdict(),
                 "prediction": one.prediction._asdict()}
                for one in found
            ]
        )  # fmt: skip
        return
    rows = [(one.id, one.name, one.training.text if one.training else "", one.prediction.text) for one in found]
    print_table("", ("ID", "Name", "Not for training", "Not for prediction"), rows)


def show_outcome(outcome: RunResult, everything: bool, as_json: bool) -> int:
    """Print what came of a run and of what was not used; returns the exit code, 0 when there was nothing to do."""
    from moodlemlbackend.errors import Status

    code = 0 if outcome.status == Status.NO_DATASET else outcome.status
    if as_json:
        print_json({**outcome.summary(), "analysables": [vars(one) for one in outcome.analysables]})
        return code
    show_figures(outcome)
    reasons: dict[str, int] = {}
    for one in outcome.refused:
        reasons[one.reason] = reasons.get(one.reason, 0) + 1
        if everything:
            click.echo(f"  {one.name}: {one.reason}")
    if not everything:
        for reason, number in sorted(reasons.items(), key=lambda item: -item[1]):
            click.echo(f"  not used, {number}: {reason}")
    return code


def show_figures(outcome: RunResult) -> None:
    """Print what a run gave, and what there is to say."""
    click.echo(f"{outcome.name} (model {outcome.modelid}): {_figures(outcome.figures) or 'nothing'}.")
    for sentence in outcome.info:
        click.echo(f"  {sentence}")


def show_evaluation(outcome: RunResult, as_json: bool) -> None:
    """Print what came of an evaluation."""
    if as_json:
        summary = outcome.summary()
        summary["evaluations"] = [vars(one) for one in outcome.evaluations]
        print_json(summary)
        return
    click.echo(f"{outcome.name} (model {outcome.modelid})")
    rows = [
        (last(one.interval), f"{one.score:.3f}" if one.logid else "", _number(one.result, "mcc"),
         _number(one.result, "auc"), one.rows or "", " ".join(one.info), one.dir)
        for one in outcome.evaluations
    ]  # fmt: skip
    if rows:
        print_table("", ("Interval", "Score", "MCC", "AUC", "Rows", "Notes", "Logs"), rows)
    else:
        for sentence in outcome.info:
            click.echo(f"  {sentence}")


def _number(result: dict[str, Any], key: str) -> str:
    return f"{result[key]:.3f}" if isinstance(result.get(key), (int, float)) else ""


def _figures(figures: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in figures.items() if number)
