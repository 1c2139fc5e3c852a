"""``moodlemlbackend version``."""

from __future__ import annotations

import click

from moodlemlbackend.settings.backend import reported_version


@click.command("version")
def command() -> None:
    """Print the version that Moodle is told; --version is the package's own."""
    click.echo(reported_version())
