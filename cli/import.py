"""``moodlemlbackend import``."""

from __future__ import annotations

import click

from .options import MODELID, OUTPUTDIR, ModelCommand, run

EXAMPLES = """\
moodlemlbackend import dropout othermodel exported
"""


@click.command("import", cls=ModelCommand, epilog=EXAMPLES)
@MODELID
@OUTPUTDIR
@click.argument("importdir", metavar="IMPORTDIR")
def command(modelid: str, outputdir: str, importdir: str) -> None:
    """Put the exported model in IMPORTDIR in force; prints Ok."""
    from moodlemlbackend.operations.transfer import import_model

    run("import", import_model, modelid, outputdir, importdir)
