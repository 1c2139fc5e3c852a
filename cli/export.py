"""``moodlemlbackend export``."""

from __future__ import annotations

import click

from .options import MODELID, OUTPUTDIR, ModelCommand, run

EXAMPLES = """\
moodlemlbackend export dropout model exported
"""


@click.command("export", cls=ModelCommand, epilog=EXAMPLES)
@MODELID
@OUTPUTDIR
@click.argument("exportdir", metavar="EXPORTDIR")
def command(modelid: str, outputdir: str, exportdir: str) -> None:
    """Write a trained model to EXPORTDIR, for another site; prints that directory.

    The export holds what prediction needs and no sample that the model was trained with.
    """
    from moodlemlbackend.operations.transfer import export_model

    run("export", export_model, modelid, outputdir, exportdir)
