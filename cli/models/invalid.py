"""``moodlemlbackend models invalid``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..options import MODEL
from ..output import print_table
from ..session import Session


@make("invalid", MODEL, site=True, store=True, examples="moodlemlbackend models invalid 1")
def command(session: Session, modelid: int) -> Answer:
    """List what on the site a model cannot use, why, and what to do about it."""
    from moodlemlbackend.analytics.features.invalid import invalid_elements

    elements = [*invalid_elements(session.site, session.model(modelid), session.now)]
    facts = [
        {
            "id": element.id,
            "name": element.name,
            "training": element.training and element.training._asdict(),
            "prediction": element.prediction._asdict(),
            "advice": element.advice,
        }
        for element in elements
    ]
    rows = [(element.id, element.name, " ".join(element.reasons), element.advice) for element in elements]
    return Answer({"invalid": facts}, lambda: print_table("", ("ID", "Name", "Reason", "What to do"), rows))
