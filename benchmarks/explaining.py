"""Rows a second that predictions are explained for, beside those predicted: ``python benchmarks/explaining.py``."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from data import data_sets

from moodlemlbackend.processor import get_processor
from moodlemlbackend.processor.explanation import explain

REPEATS = 5
ROWS = 4096


def rate(work: Callable[[], object], rows: int) -> float:
    """Rows a second of the quickest of several times."""
    seconds = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return rows / min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few simulated rows")
    quick = parser.parse_args().quick
    print(f"Load at the start {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n")
    for name, samples in data_sets([], quick=quick).items():
        features = samples.coded.decode()[: 200 if quick else ROWS]
        rows = [str(row) for row in range(len(features))]
        print(f"{name}: {len(rows)} rows of {len(samples.columns)} columns\n")
        print(
            "| processor | explained per second | predicted per second | largest gap to the log-odds |\n"
            "|---|---|---|---|"
        )
        for processor in ("neural_network", "logistic_regression"):
            fitted = get_processor(processor).fit(samples, seed=1)
            classifier = fitted.classifier
            model = fitted.model(samples, len(samples))
            explanations = explain(model, samples.columns, features, rows)
            chance = classifier.probabilities(features)
            gap = np.abs(explanations.logit - np.log(chance[:, 1] / chance[:, 0])).max()
            explained = rate(partial(explain, model, samples.columns, features, rows), len(rows))
            predicted = rate(partial(classifier.probabilities, features), len(rows))
            print(f"| {processor} | {explained:,.0f} | {predicted:,.0f} | {gap:.0e} |")
        print()


if __name__ == "__main__":
    main()
