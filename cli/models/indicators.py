"""``moodlemlbackend models indicators``."""

from __future__ import annotations

from collections import Counter

from ..command import Answer
from ..command import command as make
from ..options import target_option
from ..output import last_part
from ..tables import Table

EXAMPLES = """\
moodlemlbackend models indicators
moodlemlbackend models indicators --target course_dropout --json
"""


@make("indicators", target_option("Only indicators of this target's core model."), tables=True, examples=EXAMPLES)
def command(target: str | None) -> Answer:
    """List the indicators, on which models base their predictions.

    An indicator whose value is not known during the course is used only if learn_after_end is on.
    """
    from moodlemlbackend.analytics.features import registry
    from moodlemlbackend.analytics.insights.names import indicator_name

    every = registry.list_indicators()
    same_end = Counter(last_part(indicator.id) for indicator in every)
    core = registry.indicators_of(registry.get_target(target)) if target else None
    facts = [
        {
            "name": last_part(indicator.id) if same_end[last_part(indicator.id)] == 1 else indicator.id.lstrip("\\"),
            "id": indicator.id,
            "meaning": indicator_name(indicator.id),
            "known_during_course": indicator.known_in_time,
        }
        for indicator in every
        if core is None or indicator.id in core
    ]
    rows = [
        (fact["name"], fact["meaning"], "yes" if fact["known_during_course"] else "no", fact["id"]) for fact in facts
    ]
    columns = ("Indicator", "Meaning", "Known during the course", "Moodle's id")
    table = Table(columns, rows, least=("Moodle's id", "Known during the course"))
    return Answer({"indicators": facts}, tables=[table])
