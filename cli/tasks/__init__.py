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
    """Scheduled tasks; each may run while another one does.

    The exit code is 1 when a model met an error, else 0: also when there was nothing to do.
    """
