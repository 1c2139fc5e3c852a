"""``moodlemlbackend models invalid``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..options import MODEL
from ..output import working
from ..session import Session
from ..tables import Table


@make("invalid", MODEL, site=True, store=True, tables=True, examples="moodlemlbackend models invalid 1")
def command(session: Session, modelid: int) -> Answer:
    """List what a model cannot use on the site, why, and what to do about it."""
    from moodlemlbackend.analytics.features.invalid import invalid_elements

    with working("Checking the site"):
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
    columns = ("ID", "Name", "Reason", "What to do")
    table = Table(columns, rows, right=("ID",), empty="Nothing is invalid: the model can use everything on the site.")
    return Answer({"invalid": facts}, tables=[table])
