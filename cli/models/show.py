"""``moodlemlbackend models show``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..options import MODEL
from ..output import moment, print_facts, print_line, print_sentence
from ..session import Session
from .shared import model_facts

_ABSENT = {"interval": "none yet", "processor": "the site's", "contexts": "the whole site"}


@make("show", MODEL, store=True, examples="moodlemlbackend models show 1")
def command(session: Session, modelid: int) -> Answer:
    """Show everything about a model."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.db import feedback, predictions
    from moodlemlbackend.analytics.lifecycle import most_flagged
    from moodlemlbackend.analytics.notifications import switch

    workspace = session.workspace
    with workspace.store.read() as connection:
        model = models.get(connection, modelid)
        marks = feedback.listed(connection, modelid)
        facts = {
            **model_facts(model),
            "trained_locally": models.trained_locally(connection, model),
            "predictions": predictions.count(connection, modelid),
            "marked_not_useful": len(feedback.in_force(marks)),
            "directory": str(workspace.executiondir(model)),
        }
        withheld = most_flagged.listed(connection, modelid, workspace.clock())
        notifications = switch.read(connection, workspace.settings)

    def show() -> None:
        times = {key: moment(facts[key]) for key in ("created", "modified")}
        shown = {key: value for key, value in {**facts, **times}.items() if key != "indicators"}
        print_facts([(key.replace("_", " "), _in_words(key, value)) for key, value in shown.items()])
        print_line("indicators")
        for indicator in model.indicators:
            print_line(f"  {indicator}")
        for course in withheld:
            print_sentence(course.sentence)
        print_sentence(notifications.sentence)

    not_notified = [vars(course) for course in withheld]
    return Answer({"model": {**facts, "not_notified": not_notified}, "notifications": vars(notifications)}, show)


def _in_words(key: str, value: object) -> object:
    if value is None:
        return _ABSENT.get(key, "none")
    return ("yes" if value else "no") if isinstance(value, bool) else value
