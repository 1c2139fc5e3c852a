"""Logistic regression of scikit-learn: for sites without TensorFlow, and as a yardstick for the network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend import mapped
from moodlemlbackend.model.contributions import Contributions, by_column
from moodlemlbackend.model.encoding import Encoder, count_kinds, distinct, fit_encoder, varying
from moodlemlbackend.model.folds import deal, held_out_positions
from moodlemlbackend.model.network import softmax
from moodlemlbackend.processor.processor import (
    Arrays,
    Classifier,
    Fitted,
    Floats,
    Probabilities,
    Processor,
    Progress,
    no_progress,
)
from moodlemlbackend.processor.training_rows import TrainingRows

FOLDS = 5
INVERSE_REGULARISATION = 0.1
ITERATIONS = 500
MEAN_SCALE = 0.5
"""Inputs of a mean over the course are multiplied by this: a few courses say little about what it means in others."""
_NEVER = -30.0  # bias of a class without a row


class LogisticClassifier(Classifier):
    """Linear logits of standardised values and empty flags; predicts with NumPy alone."""

    def __init__(self, encoder: Encoder, weights: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]) -> None:
        if weights.shape != (encoder.inputs, len(bias)):
            raise ValueError(f"weights of shape {weights.shape} do not match {encoder.inputs} inputs")
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise ValueError("weights or bias have numbers that are not finite")
        self.encoder, self.weights, self.bias = encoder, weights, bias

    def probabilities(self, features: Floats) -> Probabilities:
        """Probabilities (rows, K)."""
        return softmax(self.encoder.encode(self.encoder.codes_of(features)) @ self.weights + self.bias)

    def contributions(self, features: Floats) -> Contributions:
        """Exact contributions of columns: what is linear needs no path."""
        weights = self.weights[:, 1:] - self.weights[:, :1]
        inputs = self.encoder.encode(self.encoder.codes_of(features))
        of_inputs = inputs * weights.T[:, None]
        return Contributions(self.bias[1:] - self.bias[0], by_column(self.encoder, of_inputs, features.shape[1]))

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Encoder, weights (inputs, K) and bias (K,)."""
        return {}, {**self.encoder.arrays(), "weights": self.weights, "bias": self.bias}


class LogisticRegression(Processor):
    """L2-regularised multinomial logistic regression; neither needs nor imports TensorFlow."""

    name = "logistic_regression"
    libraries = ("sklearn.linear_model",)

    def fit(self, samples: TrainingRows, *, seed: int, progress: Progress = no_progress) -> Fitted:
        """Train on all samples, and on all but a fifth of them five times for the decision threshold.

        BLAS uses one thread, with which these narrow products are quicker, and the same on every machine.
        """
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1, user_api="blas"):
            return self._fit(samples, seed, progress)

    def _fit(self, samples: TrainingRows, seed: int, progress: Progress) -> Fitted:
        columns = varying(samples.coded.codes)
        first, kind = distinct(samples.coded.codes, columns)
        codes = mapped.take(samples.coded.codes, first, columns)
        targets = count_kinds(kind, samples.targets, len(first))
        encoder = fit_encoder(columns, codes, samples.coded.values[columns], targets.sum(axis=1), with_bins=False)
        encoder = _shrink_means(encoder, samples.columns)
        inputs = encoder.encode(codes)
        groups = samples.courses.groups
        folds = deal(targets, FOLDS, np.random.default_rng(seed), None if groups is None else groups[first])
        probabilities, counts = [], []
        for number, fold in enumerate(folds):
            rows = np.flatnonzero(fold.any(axis=1))
            weights, bias = _solve(inputs, np.maximum(targets - fold, 0))
            probabilities.append(softmax(inputs[rows] @ weights + bias))
            counts.append(fold[rows])
            progress(number + 1, FOLDS + 1)
        weights, bias = _solve(inputs, targets)
        progress(FOLDS + 1, FOLDS + 1)
        return Fitted(
            LogisticClassifier(encoder, weights, bias),
            np.concatenate(probabilities),
            np.concatenate(counts),
            held_out_positions=held_out_positions(folds, kind),
        )

    def restore(self, settings: Mapping[str, Any], array: Callable[[str], npt.NDArray[Any]]) -> Classifier:  # noqa: ARG002
        """Read encoder, weights and bias."""
        return LogisticClassifier(Encoder.from_arrays(array), array("weights"), array("bias"))


def _shrink_means(encoder: Encoder, columns: Sequence[str]) -> Encoder:
    """Have the same penalty weigh more on the columns ``X/mean``."""
    is_mean = np.array([columns[column].endswith("/mean") for column in encoder.columns], bool)
    factors = np.where(is_mean, MEAN_SCALE, 1)[encoder.column_of_input]
    return replace(encoder, scale=(encoder.scale * factors).astype(np.float32))


def _solve(inputs: Floats, targets: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Fit (rows, inputs) to (rows, K) counts; returns weights (inputs, K) and bias (K,)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression as ScikitLogisticRegression

    rows, labels = np.nonzero(targets > 0)
    count = targets.shape[1]
    weights, bias = np.zeros((inputs.shape[1], count)), np.full(count, _NEVER)
    present = np.unique(labels)
    if len(present) < 2 or not inputs.shape[1]:
        total = targets.sum(axis=0)
        bias[present] = np.log(total[present] / total.sum())
        return weights, bias
    model = ScikitLogisticRegression(C=INVERSE_REGULARISATION, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs[rows], labels, sample_weight=targets[rows, labels])
    if len(present) == 2:
        weights[:, present[1]], bias[present] = model.coef_[0], (0, model.intercept_[0])
    else:
        weights[:, present], bias[present] = model.coef_.T, model.intercept_
    return weights, bias
