"""``moodlemlbackend models log``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..options import MODEL
from ..output import last_part, moment
from ..session import Session
from ..tables import Table


@make("log", MODEL, store=True, tables=True, examples="moodlemlbackend models log 1")
def command(session: Session, modelid: int) -> Answer:
    """Show a model's evaluations, its runs and the predictions marked as not useful."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.db import feedback
    from moodlemlbackend.analytics.db.history import evaluations, runs

    with session.workspace.store.read() as connection:
        models.get(connection, modelid)
        judged, ran = evaluations(connection, modelid), runs(connection, modelid)
        marks = feedback.listed(connection, modelid)

    rows_of_evaluations = [
        (moment(entry["timecreated"]), last_part(entry["timesplitting"]), entry["evaluationmode"],
         f"{entry['score']:.3f}", " ".join(entry["info"]), session.workspace.absolute(entry["dir"]))
        for entry in judged
    ]  # fmt: skip
    rows_of_runs = [
        (moment(run["timestarted"]), run["task"], run["status"],
         ", ".join(f"{number} {name}" for name, number in run["figures"].items()), " ".join(run["info"]))
        for run in ran
    ]  # fmt: skip
    rows_of_marks = [
        (moment(mark.created), mark.predictionid, mark.userid, mark.weight, moment(mark.trained), moment(mark.reverted))
        for mark in marks
    ]
    tables = [
        Table(
            ("Time (UTC)", "Interval", "Mode", "Score", "Notes", "Logs"), rows_of_evaluations, "Evaluations",
            right=("Score",), least=("Logs", "Mode"), empty="No evaluations yet.",
        ),
        Table(
            ("Time (UTC)", "Task", "Status", "Figures", "Notes"), rows_of_runs, "Runs", right=("Status",),
            least=("Figures",), empty="No runs yet.",
        ),
        Table(
            ("Time (UTC)", "Prediction", "User", "Weight", "Trained", "Taken back"), rows_of_marks,
            "Marked as not useful", right=("Prediction", "User", "Weight"),
        ),
    ]  # fmt: skip
    return Answer({"evaluations": judged, "runs": ran, "marks": [vars(mark) for mark in marks]}, tables=tables)
