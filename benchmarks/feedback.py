"""What marking predictions as not useful does: ``python benchmarks/feedback.py``.

A network learns 80 % of the rows of dropping out that Moodle trained with on the oracle's site. Of its positive
predictions of the ongoing courses the surest, the middle and the last one are marked, each on its own, with several
weights; the next training learns that, as :mod:`moodlemlbackend.analytics.db.feedback` has it. The other 20 % tell what
became of the rest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from moodlemlbackend import metrics
from moodlemlbackend.dataset import data_set
from moodlemlbackend.operations.train import train as train_model
from moodlemlbackend.operations.trained_models import trained_model
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.settings.backend import Settings
from moodlemlbackend.simulation.courses import write_demo
from moodlemlbackend.storage.model_store import ModelStore

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "oracle" / "datasets" / "execution"
WEIGHTS = (1, 5, 20)
REPEATS = 3
REPORTER = QuietReporter()


def read(quick: bool, scratch: Path) -> tuple[data_set.DataSet, data_set.DataSet]:
    """Rows to learn from, and rows to predict."""
    if quick:
        files = write_demo(scratch / "demo", courses=6, students=20)
        return data_set.read_labelled(files.training), data_set.read_unlabelled(files.prediction)
    training = next(FOLDER.glob("course_dropout--quarters--train-*.csv.gz"))
    prediction = next(FOLDER.glob("course_dropout--quarters--predict-*.csv.gz"))
    return data_set.read_labelled(training), data_set.read_unlabelled(prediction)


def train(folder: Path, data: data_set.DataSet, features: object, labels: object, settings: Settings) -> None:
    path = folder.with_suffix(".csv")
    data_set.write(path, data.header.metadata, data.header.columns, features, labels=labels)
    train_model(REPORTER, "feedback", str(folder), str(path), settings=settings)


def chances(folder: Path, features: np.ndarray) -> tuple[np.ndarray, float]:
    """Probability of class 1, and the threshold."""
    model, _ = trained_model(ModelStore(folder))
    return model.classifier.probabilities(features)[:, 1], model.threshold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few simulated rows, once, by logistic regression")
    quick = parser.parse_args().quick
    settings = Settings(seed=1, processor="logistic_regression" if quick else "neural_network")
    print(f"Load at the start {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n")
    print("| repeat | marked | weight | probability | after | threshold | MCC | after | AUC | after |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        data, ongoing = read(quick, scratch)
        for repeat in range(1 if quick else REPEATS):
            order = np.random.default_rng(repeat).permutation(len(data.labels))
            rest, learned = np.split(order, [len(order) // 5])

            def rated(folder: Path, rest: np.ndarray = rest) -> tuple[float, float]:
                probabilities, threshold = chances(folder, data.features[rest])
                predicted = (probabilities >= threshold).astype(int)
                labels = data.labels[rest]
                return metrics.matthews_correlation(predicted, labels), metrics.roc_auc(probabilities, labels)

            base = scratch / f"base{repeat}"
            train(base, data, data.features[learned], data.labels[learned], settings)
            before, threshold = chances(base, ongoing.features)
            positive = np.flatnonzero(before >= threshold)
            positive = positive[np.argsort(-before[positive])]
            mcc, auc = rated(base)
            for marked, row in (
                ("surest", positive[0]),
                ("middle", positive[len(positive) // 2]),
                ("last", positive[-1]),
            ):
                for weight in WEIGHTS:
                    folder = scratch / f"{repeat}{marked}{weight}"
                    shutil.copytree(base, folder)
                    train(folder, data, np.repeat(ongoing.features[[row]], weight, 0), np.zeros(weight, int), settings)
                    after, moved = chances(folder, ongoing.features[[row]])
                    mcc_after, auc_after = rated(folder)
                    print(
                        f"| {repeat + 1} | {marked} | {weight} | {before[row]:.3f} | {after[0]:.3f} | {moved:.3f} "
                        f"| {mcc:.3f} | {mcc_after:.3f} | {auc:.3f} | {auc_after:.3f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
