"""``moodlemlbackend site``: look a Moodle site over, and make data sets of it."""

from __future__ import annotations

import click

from ..command import CommandGroup

EXAMPLES = """\
moodlemlbackend site check
moodlemlbackend site dataset --target course_dropout --interval quarters -o dropout.csv
"""


@click.group("site", cls=CommandGroup, epilog=EXAMPLES, package=__name__, names=("check", "dataset"))
def command() -> None:
    """Read a Moodle site; nothing is ever written to it."""
