"""``moodlemlbackend students``: the students of courses, and what became of those whom teachers contacted."""

from __future__ import annotations

import click

from ..command import CommandGroup

EXAMPLES = """\
moodlemlbackend students list 29
moodlemlbackend students outcomes
"""


@click.group("students", cls=CommandGroup, epilog=EXAMPLES, package=__name__, names=("list", "outcomes"))
def command() -> None:
    """List a course's students by risk, and show what became of those whom teachers contacted."""
