"""``moodlemlbackend evaluate``."""

from __future__ import annotations

import click

from moodlemlbackend.settings.backend import SETTINGS

from .command import ExampleCommand, run_operation
from .operation_results import show_evaluation
from .options import CLUSTER, JSON, MODELID, OUTPUTDIR, PROCESSOR, SEED

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
    help="A lower score adds 4 to the exit code.",
)
@click.option(
    "--accepted-deviation",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="A larger standard deviation of the score adds 8 to the exit code.",
)
@click.option(
    "--iterations", type=click.IntRange(1), default=10, show_default=True, help="How many times to train and test."
)
@click.option("--trained-model", metavar="DIR", help="Test the model in this directory instead of training one.")
@click.option("--evaluation-split", metavar="NAME", help=f"What to hold out: {SETTINGS['evaluation_split'].allowed}.")
@click.option("--rows-file", metavar="FILE", help="CSV file with the course and time of each row.")
@click.option("--score", metavar="NAME", help=f"What to use as the score: {SETTINGS['score'].allowed}.")
@PROCESSOR
@SEED
@CLUSTER
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
    cluster: str | None,
    as_json: bool,
) -> None:
    """Evaluate what a model can learn from labelled samples.

    Trains on 80% of the samples, tests the model on the rest, and repeats this with other splits. Whole courses are
    held out, because a model makes predictions for courses that it has never seen; the data set itself shows which
    rows belong to the same course. Figures and TensorBoard files go in DIR/logs; a model trained in DIR stays as it is.
    Several data sets, such as one for each analysis interval, are evaluated in turn, and the command names the best.
    """
    from moodlemlbackend.operations.evaluate import evaluate, evaluate_all

    run_operation(
        "evaluation",
        evaluate if len(datasets) == 1 else evaluate_all,
        modelid,
        outputdir,
        datasets[0] if len(datasets) == 1 else datasets,
        chosen={
            "score": score, "evaluation_split": evaluation_split, "processor": processor, "seed": seed,
            "cluster": cluster,
        },
        minscore=minimum_score,
        accepted_deviation=accepted_deviation,
        iterations=iterations,
        trained_model_dir=trained_model,
        rows_file=rows_file,
        as_json=as_json,
        show=show_evaluation,
    )  # fmt: skip
