"""``moodlemlbackend version``."""

from __future__ import annotations

from moodlemlbackend.settings.backend import reported_version

from .command import Answer
from .command import command as make


@make("version")
def command() -> Answer:
    """Print the version reported to Moodle; --version prints the version of the package."""
    return Answer({"version": reported_version()}, reported_version())
