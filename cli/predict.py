"""``moodlemlbackend predict``."""

from __future__ import annotations

import click

from .options import DATASET, MODELID, OUTPUTDIR, ModelCommand, run

EXAMPLES = """\
moodlemlbackend predict dropout model prediction.csv
moodlemlbackend predict dropout model - < prediction.csv.gz
"""


@click.command("predict", cls=ModelCommand, epilog=EXAMPLES)
@MODELID
@OUTPUTDIR
@DATASET
def command(modelid: str, outputdir: str, dataset: str) -> None:
    """Predict the class of unlabelled samples: sample id, class, probability."""
    from moodlemlbackend.operations.predict import predict

    run("prediction", predict, modelid, outputdir, dataset)
