"""``moodlemlbackend import``."""

from __future__ import annotations

import click

from .command import ExampleCommand, run_operation
from .confirmation import confirm_replacing
from .operation_results import show_import
from .options import JSON, MODELID, OUTPUTDIR, YES

EXAMPLES = """\
moodlemlbackend import dropout othermodel exported
"""


@click.command("import", cls=ExampleCommand, epilog=EXAMPLES)
@MODELID
@OUTPUTDIR
@click.argument("importdir", metavar="IMPORTDIR")
@YES
@JSON
def command(modelid: str, outputdir: str, importdir: str, yes: bool, as_json: bool) -> None:
    """Import the exported model in IMPORTDIR; it replaces the model in DIR."""
    from moodlemlbackend.operations.transfer import import_model

    confirm_replacing(outputdir, yes=yes, as_json=as_json)
    run_operation(
        "import", import_model, modelid, outputdir, importdir, as_json=as_json, show=show_import(modelid, outputdir)
    )
