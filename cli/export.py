"""``moodlemlbackend export``."""

from __future__ import annotations

import click

from .command import ExampleCommand, run_operation
from .operation_results import show_export
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
    """Export a trained model to EXPORTDIR, for another site.

    The export holds what is needed to predict, and none of the samples that the model was trained on.
    """
    from moodlemlbackend.operations.transfer import export_model

    run_operation("export", export_model, modelid, outputdir, exportdir, as_json=as_json, show=show_export)
