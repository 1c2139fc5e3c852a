"""The ``moodlemlbackend`` command: one module a command, loaded when it is called."""

from __future__ import annotations

from importlib import import_module

import click

from moodlemlbackend import __version__

COMMANDS = (
    "train", "predict", "evaluate", "export", "import", "explain", "report", "compare", "version", "doctor", "demo",
    "site", "models", "insights", "tasks", "evaluate-model", "enable-model", "guess-course-start-and-end", "serve",
    "passwd",
)  # fmt: skip


class _Commands(click.Group):
    """Commands that are imported by name."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f".{name.replace('-', '_')}", __name__).command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Machine-learning backend for Moodle's learning analytics.

    The first five commands do what Moodle asks of `python -m moodlemlbackend.training` and its like: the last line of
    standard output is the result and the exit code its status.
    """
