"""``moodlemlbackend export``."""

from __future__ import annotations

import click

from .command import ExampleCommand, run_operation
from .options import JSON, MODELID, OUTPUTDIR

EXAMPLES = """\
moodlemlbackend export dropout model exported
"""


@click.command("export", cls=ExampleCommand, epilog=EXAMPLES)
@MODELID
@OUTPUTDIR
@click.argument("exportdir", metavar="EXPORTDIR")
@JSON
def command(modelid: str, outputdir: str, exportdir: str, as_json: bool) -> None:
    """Write a trained model to EXPORTDIR, for another site; prints that directory.

    The export holds what prediction needs and no sample that the model was trained with.
    """
    from moodlemlbackend.operations.transfer import export_model

    run_operation("export", export_model, modelid, outputdir, exportdir, as_json=as_json)
