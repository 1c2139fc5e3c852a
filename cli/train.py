"""``moodlemlbackend train``."""

from __future__ import annotations

import click

from .command import ExampleCommand, run_operation
from .confirmation import confirm_replacing
from .operation_results import show_training
from .options import DATASET, JSON, MODELID, OUTPUTDIR, PROCESSOR, SEED, YES

EXAMPLES = """\
moodlemlbackend train dropout model training.csv
gunzip -c training.csv.gz | moodlemlbackend train dropout model -
"""


@click.command("train", cls=ExampleCommand, epilog=EXAMPLES)
@MODELID
@OUTPUTDIR
@DATASET
@click.option("--afresh", is_flag=True, help="Train from scratch: forget what the model has learned.")
@PROCESSOR
@SEED
@YES
@JSON
def command(
    modelid: str,
    outputdir: str,
    dataset: str,
    afresh: bool,
    processor: str | None,
    seed: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Train a model on labelled samples, or continue training it."""
    from moodlemlbackend.operations.train import train

    confirm_replacing(outputdir, yes=yes or not afresh, as_json=as_json)
    run_operation(
        "training",
        train,
        modelid,
        outputdir,
        dataset,
        chosen={"processor": processor, "seed": seed},
        afresh=afresh,
        as_json=as_json,
        show=show_training(modelid, outputdir),
    )
