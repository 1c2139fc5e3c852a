"""``moodlemlbackend train``."""

from __future__ import annotations

import click

from .options import DATASET, MODELID, OUTPUTDIR, PROCESSOR, SEED, ModelCommand, run

EXAMPLES = """\
moodlemlbackend train dropout model training.csv
gunzip -c training.csv.gz | moodlemlbackend train dropout model -
"""


@click.command("train", cls=ModelCommand, epilog=EXAMPLES)
@MODELID
@OUTPUTDIR
@DATASET
@click.option("--afresh", is_flag=True, help="Forget what the model has learned before.")
@PROCESSOR
@SEED
def command(modelid: str, outputdir: str, dataset: str, afresh: bool, processor: str | None, seed: str | None) -> None:
    """Train a model with labelled samples, or continue training one."""
    from moodlemlbackend.operations.train import train

    run(
        "training",
        train,
        modelid,
        outputdir,
        dataset,
        chosen={"processor": processor, "seed": seed},
        afresh=afresh,
    )
