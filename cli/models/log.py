"""``moodlemlbackend models log``."""

from __future__ import annotations

import json

from ..command import Answer
from ..command import command as make
from ..options import MODEL
from ..output import last_part, moment, print_table
from ..session import Session


@make("log", MODEL, store=True, examples="moodlemlbackend models log 1")
def command(session: Session, modelid: int) -> Answer:
    """Show a model's evaluations, its runs, and predictions marked as not useful."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.db import feedback
    from moodlemlbackend.analytics.db.history import evaluations, runs

    with session.workspace.store.read() as connection:
        models.get(connection, modelid)
        judged, ran = evaluations(connection, modelid), runs(connection, modelid)
        marks = feedback.listed(connection, modelid)

    def show() -> None:
        rows = [
            (moment(entry["timecreated"]), last_part(entry["timesplitting"]), entry["evaluationmode"],
             f"{entry['score']:.3f}", " ".join(entry["info"]), session.workspace.absolute(entry["dir"]))
            for entry in judged
        ]  # fmt: skip
        print_table("Evaluations", ("Time (UTC)", "Interval", "Mode", "Score", "Notes", "Logs"), rows)
        rows_of_runs = [
            (moment(run["timestarted"]), run["task"], run["status"], json.dumps(run["figures"]), " ".join(run["info"]))
            for run in ran
        ]
        print_table("Runs", ("Time (UTC)", "Task", "Status", "Figures", "Notes"), rows_of_runs)
        rows_of_marks = [
            (moment(mark.created), mark.predictionid, mark.userid, mark.weight, moment(mark.trained),
             moment(mark.reverted))
            for mark in marks
        ]  # fmt: skip
        if rows_of_marks:
            columns = ("Time (UTC)", "Prediction", "User", "Weight", "Trained", "Taken back")
            print_table("Marked as not useful", columns, rows_of_marks)

    return Answer({"evaluations": judged, "runs": ran, "marks": [vars(mark) for mark in marks]}, show)
