"""``moodlemlbackend report``."""

from __future__ import annotations

from pathlib import Path

import click

from .command import Answer
from .command import command as make
from .output import working

EXAMPLES = """\
moodlemlbackend report model/logs/1700000000000
moodlemlbackend report model/logs/*
"""


@make(
    "report",
    click.argument("folders", metavar="RUNDIR...", nargs=-1, required=True, type=click.Path(path_type=Path)),
    examples=EXAMPLES,
)
def command(folders: tuple[Path, ...]) -> Answer:
    """Draw the figures of a run again and rewrite its page.

    RUNDIR is the folder of an evaluation or training run. Its files report.json and report.npz are enough; the data set
    and the model are not needed. Prints the path of the page.
    """
    from moodlemlbackend.errors import StorageError
    from moodlemlbackend.report.page import PAGE_NAME
    from moodlemlbackend.report.render_process import make as make_report
    from moodlemlbackend.runtime.environment import set_library_defaults

    set_library_defaults()
    for folder in folders:
        with working(f"Drawing the figures of {folder}"):
            trouble = make_report(folder)
        if trouble:
            raise StorageError(trouble)
    pages = [str(folder / PAGE_NAME) for folder in folders]
    return Answer({"pages": pages}, "\n".join(pages))
