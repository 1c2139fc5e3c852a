"""The ``moodlemlbackend`` command: one module a command, loaded when it is called."""

from __future__ import annotations

import sys
from typing import Any

import click

from moodlemlbackend import __version__

from .command import CommandGroup
from .errors import reporting_errors
from .output import prepare_streams, writing

COMMANDS = (
    "train", "predict", "evaluate", "export", "import", "explain", "report", "compare", "version", "doctor", "demo",
    "site", "models", "insights", "students", "tasks", "evaluate-model", "enable-model", "guess-course-start-and-end",
    "serve", "passwd",
)  # fmt: skip


class _Main(CommandGroup):
    """All commands; its help, too, may meet an output that takes nothing."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and end the process."""
        prepare_streams()
        try:
            with reporting_errors(as_json=False), writing("stdout"):
                return super().main(*args, **kwargs)
        except click.exceptions.Exit as end:
            sys.exit(end.exit_code)


@click.group(
    cls=_Main,
    package=__name__,
    names=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Machine-learning backend for Moodle's learning analytics.

    The first five commands are the ones that Moodle itself runs, for example as `python -m moodlemlbackend.training`.
    In a pipe, they print what Moodle reads: the last line of standard output is the result, and the exit code is its
    status.
    """
