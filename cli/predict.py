"""``moodlemlbackend predict``."""

from __future__ import annotations

import click

from .command import ExampleCommand, run_operation
from .operation_results import first_predictions, show_predictions
from .options import DATASET, JSON, MODELID, OUTPUTDIR

EXAMPLES = """\
moodlemlbackend predict dropout model prediction.csv
moodlemlbackend predict dropout model - < prediction.csv.gz
"""


@click.command("predict", cls=ExampleCommand, epilog=EXAMPLES)
@MODELID
@OUTPUTDIR
@DATASET
@JSON
def command(modelid: str, outputdir: str, dataset: str, as_json: bool) -> None:
    """Predict the class of each unlabelled sample, with its probability."""
    from moodlemlbackend.operations.predict import predict

    run_operation(
        "prediction", predict, modelid, outputdir, dataset,
        as_json=as_json, show=show_predictions, shorten=first_predictions,
    )  # fmt: skip
