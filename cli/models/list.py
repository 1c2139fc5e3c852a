"""``moodlemlbackend models list``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..output import last_part, print_sentence
from ..session import Session
from ..tables import Table, print_table
from .shared import model_facts


@make("list", store=True, tables=True, examples="moodlemlbackend models list\nmoodlemlbackend models list --json")
def command(session: Session) -> Answer:
    """List the models."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.db.predictions import by_model
    from moodlemlbackend.analytics.notifications import switch

    with session.workspace.store.read() as connection:
        listed = models.listed(connection)
        predictions = by_model(connection)
        notifications = switch.read(connection, session.settings)
    rows = [
        (
            model.id, model.name, last_part(model.interval), "enabled" if model.enabled else "disabled",
            "rule-based" if model.static else "trained" if model.trained else "", predictions.get(model.id, 0),
        )
        for model in listed
    ]  # fmt: skip
    facts = [{**model_facts(model), "predictions": predictions.get(model.id, 0)} for model in listed]
    table = Table(
        ("ID", "Name", "Interval", "Status", "Learned", "Predictions"), rows, right=("ID", "Predictions"),
        least=("Predictions", "Learned"), empty="No models yet; create one with moodlemlbackend models create.",
    )  # fmt: skip

    def show() -> None:
        print_table(table)
        print_sentence(notifications.sentence)

    return Answer({"models": facts, "notifications": vars(notifications)}, show, tables=[table])
