"""``moodlemlbackend models``: everything an administrator does with models."""

from __future__ import annotations

import click

from ..command import CommandGroup

EXAMPLES = """\
moodlemlbackend models list
moodlemlbackend models evaluate course_dropout --interval quarters
"""

NAMES = (
    "list", "show", "create", "edit", "enable", "disable", "evaluate", "backtest", "train", "predict", "log", "clear",
    "delete", "restore", "export", "import", "export-data", "invalid", "targets", "indicators", "intervals",
    "processors",
)  # fmt: skip


@click.group("models", cls=CommandGroup, epilog=EXAMPLES, package=__name__, names=NAMES)
def command() -> None:
    """List, create, change, evaluate, train and share models.

    MODEL is a model's id, its name, or its target if only one model has it.
    """
