"""``moodlemlbackend report``."""

from __future__ import annotations

from pathlib import Path

import click

from .options import ModelCommand

EXAMPLES = """\
moodlemlbackend report model/logs/1700000000000
moodlemlbackend report model/logs/*
"""


@click.command("report", cls=ModelCommand, epilog=EXAMPLES)
@click.argument("folders", metavar="RUNDIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(folders: tuple[Path, ...]) -> None:
    """Draw the figures of a run and write its page again.

    RUNDIR is the folder of an evaluation or training. Its files report.json and report.npz hold all that is needed:
    neither the data set nor the model has to be there. Prints where the page is.
    """
    from moodlemlbackend.report.page import PAGE_NAME
    from moodlemlbackend.report.render_process import make
    from moodlemlbackend.runtime.environment import set_library_defaults

    set_library_defaults()
    for folder in folders:
        trouble = make(folder)
        if trouble:
            raise click.ClickException(trouble)
        click.echo(folder / PAGE_NAME)
