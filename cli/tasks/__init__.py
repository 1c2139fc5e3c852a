"""``moodlemlbackend tasks``: what cron or a systemd timer runs."""

from __future__ import annotations

import click

from ..command import CommandGroup

EXAMPLES = """\
moodlemlbackend tasks train
moodlemlbackend tasks predict --json
"""


@click.group("tasks", cls=CommandGroup, epilog=EXAMPLES, package=__name__, names=("train", "predict", "cleanup"))
def command() -> None:
    """Run the scheduled tasks; they may run at the same time.

    The exit code is 1 if a model failed. Having nothing to do is not a failure.
    """
