"""``moodlemlbackend models targets``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..output import last_part
from ..tables import Table

EXAMPLES = """\
moodlemlbackend models targets
moodlemlbackend models targets --csv
"""


@make("targets", tables=True, examples=EXAMPLES)
def command() -> Answer:
    """List the targets: what a model can predict.

    A learned target must be trained on finished courses; a rule-based target needs no training.
    """
    from moodlemlbackend.analytics.features import registry

    facts = [
        {
            "name": last_part(target.id),
            "id": target.id,
            "meaning": target.title,
            "static": target.static,
            "analyser": last_part(target.analyser),
            "classes": None if target.linear else len(target.classes),
        }
        for target in registry.list_targets()
    ]
    rows = [
        (fact["name"], fact["meaning"], "rule-based" if fact["static"] else "learned",
         str(fact["analyser"]).replace("_", " "), fact["classes"] or "a number", fact["id"])
        for fact in facts
    ]  # fmt: skip
    columns = ("Target", "Predicts", "Kind", "About", "Classes", "Moodle's id")
    table = Table(columns, rows, right=("Classes",), least=("Moodle's id",))
    return Answer({"targets": facts}, tables=[table])
