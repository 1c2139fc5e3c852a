"""``moodlemlbackend evaluate``."""

from __future__ import annotations

import click

from moodlemlbackend.settings.backend import SETTINGS

from .command import ExampleCommand, run_operation
from .options import JSON, MODELID, OUTPUTDIR, PROCESSOR, SEED

EXAMPLES = """\
moodlemlbackend evaluate dropout model evaluation.csv
moodlemlbackend evaluate dropout model evaluation.csv --processor logistic_regression --seed 1
moodlemlbackend evaluate dropout report evaluation.csv --trained-model model
moodlemlbackend evaluate dropout model quarters.csv deciles.csv single_range.csv
"""


@click.command("evaluate", cls=ExampleCommand, epilog=EXAMPLES)
@MODELID
@OUTPUTDIR
@click.argument("datasets", metavar="DATASET...", nargs=-1, required=True)
@click.option(
    "--minimum-score",
    type=click.FloatRange(0, 1),
    default=0.7,
    show_default=True,
    help="Score under which the status has the bit 4.",
)
@click.option(
    "--accepted-deviation",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="Standard deviation of the score over which the status has the bit 8.",
)
@click.option(
    "--iterations", type=click.IntRange(1), default=10, show_default=True, help="How often to train and rate."
)
@click.option("--trained-model", metavar="DIR", help="Rate the model trained in this directory, and train none.")
@click.option("--evaluation-split", metavar="NAME", help=f"What is held out. {SETTINGS['evaluation_split'].allowed}.")
@click.option("--rows-file", metavar="FILE", help="CSV file that names the course of each row, and its time.")
@click.option("--score", metavar="NAME", help=f"What the score is. {SETTINGS['score'].allowed}.")
@PROCESSOR
@SEED
@JSON
def command(
    modelid: str,
    outputdir: str,
    datasets: tuple[str, ...],
    minimum_score: float,
    accepted_deviation: float,
    iterations: int,
    trained_model: str | None,
    evaluation_split: str | None,
    rows_file: str | None,
    score: str | None,
    processor: str | None,
    seed: str | None,
    as_json: bool,
) -> None:
    """Judge what can be learned from labelled samples.

    Trains on 80 % of the samples, rates the model on the rest and does so again with other splits. Whole courses are
    held out, told from the data set itself, since a model predicts for courses that it has never seen. DIR gets figures
    and TensorBoard files in logs/; a model trained there stays as it is. Several data sets, such as the analysis
    intervals of a model, are judged one after the other; the result then lists them and names the best.
    """
    from moodlemlbackend.operations.evaluate import evaluate, evaluate_all

    run_operation(
        "evaluation",
        evaluate if len(datasets) == 1 else evaluate_all,
        modelid,
        outputdir,
        datasets[0] if len(datasets) == 1 else datasets,
        chosen={"score": score, "evaluation_split": evaluation_split, "processor": processor, "seed": seed},
        minscore=minimum_score,
        accepted_deviation=accepted_deviation,
        iterations=iterations,
        trained_model_dir=trained_model,
        rows_file=rows_file,
        as_json=as_json,
    )
