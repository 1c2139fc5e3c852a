"""``moodlemlbackend models processors``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..tables import Table

EXAMPLES = """\
moodlemlbackend models processors
moodlemlbackend models processors --json
"""

_MEANINGS = {
    "neural_network": "a small neural network (TensorFlow)",
    "logistic_regression": "logistic regression: trains in seconds, without TensorFlow",
}


@make("processors", tables=True, examples=EXAMPLES)
def command() -> Answer:
    """List the processors, which are the ways a model can learn."""
    from moodlemlbackend.processor import processor_names
    from moodlemlbackend.settings.backend import load_settings

    default = load_settings().processor
    facts = [
        {
            "name": name,
            "meaning": _MEANINGS.get(name, "from an installed package"),
            "default": name == default,
        }
        for name in processor_names()
    ]
    rows = [(fact["name"], fact["meaning"], "yes" if fact["default"] else "") for fact in facts]
    return Answer({"processors": facts}, tables=[Table(("Processor", "Meaning", "Used by default"), rows)])
