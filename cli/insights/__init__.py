"""``moodlemlbackend insights``: what people are told, and what they do about it."""

from __future__ import annotations

import click

from ..command import CommandGroup

EXAMPLES = """\
moodlemlbackend insights list --user 453
moodlemlbackend insights act not-useful 12
"""

NAMES = ("list", "show", "act", "notifications", "preferences", "send")


@click.group("insights", cls=CommandGroup, epilog=EXAMPLES, package=__name__, names=NAMES)
def command() -> None:
    """List and explain insights, and act on them."""
