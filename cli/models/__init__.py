"""``moodlemlbackend models``: everything an administrator does with models."""

from __future__ import annotations

import click

from ..command import CommandGroup

EXAMPLES = """\
moodlemlbackend models list
moodlemlbackend models evaluate 1 --interval quarters
"""

NAMES = (
    "list", "show", "create", "edit", "enable", "disable", "evaluate", "backtest", "train", "predict", "log", "clear",
    "delete", "restore", "export", "import", "export-data", "invalid",
)  # fmt: skip


@click.group("models", cls=CommandGroup, epilog=EXAMPLES, package=__name__, names=NAMES)
def command() -> None:
    """List, make, change, judge, train and exchange models."""
