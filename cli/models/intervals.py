"""``moodlemlbackend models intervals``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..options import target_option
from ..output import last_part
from ..tables import Table

EXAMPLES = """\
moodlemlbackend models intervals
moodlemlbackend models intervals --target course_dropout
"""


@make("intervals", target_option("Only intervals that this target accepts."), tables=True, examples=EXAMPLES)
def command(target: str | None) -> Answer:
    """List the analysis intervals: the parts of a course that a model looks at.

    An interval that looks at whole courses cannot predict in time which students are at risk.
    """
    from moodlemlbackend.analytics.features import answers, registry
    from moodlemlbackend.analytics.insights.names import interval_name

    chosen = registry.get_target(target) if target else None
    facts = [
        {
            "name": last_part(method.id),
            "id": method.id,
            "meaning": interval_name(method.id),
            "predicts_in_time": not method.whole,
        }
        for method in registry.list_time_splittings()
        if chosen is None or answers.accepts(chosen, method)
    ]
    rows = [
        (fact["name"], fact["meaning"], "yes" if fact["predicts_in_time"] else "no, whole courses", fact["id"])
        for fact in facts
    ]
    columns = ("Interval", "Looks at", "Predicts in time", "Moodle's id")
    return Answer({"intervals": facts}, tables=[Table(columns, rows, least=("Moodle's id",))])
