"""From coded rows to trained networks: the steps in order.

``fit`` trains one network on all rows, ``fit_splits`` one for each split of an evaluation. They are the same code:
a fit is a split that holds nothing out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend import mapped
from moodlemlbackend.metrics import matthews_correlation, roc_auc
from moodlemlbackend.model.codes import CodedRows, Codes, Floats
from moodlemlbackend.model.encoding import (
    Encoder,
    Indices,
    count_kinds,
    distinct,
    fit_encoder,
    information_scales,
    varying,
)
from moodlemlbackend.model.folds import deal, fit_blend, held_out, held_out_positions, held_out_probabilities
from moodlemlbackend.model.network import ROWS_AT_ONCE, Logits, Network, Parameters
from moodlemlbackend.model.training import Epoch, Options, Progress, train

_ROWS_OF_SUMMARY = 4096


@dataclass(frozen=True)
class HeldOut:
    """Honest predictions: of each row by members that never saw it.

    ``probabilities`` and ``targets``: (rows, K), the latter how often the row occurred with each class. ``positions``:
    where each training row is among them, -1 for one that no member held out.
    """

    probabilities: npt.NDArray[np.float64]
    targets: Floats
    positions: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Fit:
    """A trained network, its honest predictions for its own training rows, and how training went."""

    network: Network
    held_out: HeldOut
    history: list[dict[str, float]]


def fit_splits(
    coded: CodedRows,
    targets: Floats,
    splits: list[Indices],
    *,
    seed: int,
    groups: Indices | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> list[Fit]:
    """Train a network for each split.

    Parameters
    ----------
    coded:
        n rows as codes.
    targets:
        (n, K) float32: how often each row counts for each class.
    splits:
        for each split the indices of its training rows.
    groups:
        (n,) the number of each row's course, whose rows members see or do not see together; None where it is not
        known. Equal rows of several courses count for the first of them.
    """
    options = options or Options()
    columns = varying(coded.codes)
    first, kind = distinct(coded.codes, columns)
    codes = mapped.take(coded.codes, first, columns)
    by_split = np.stack([count_kinds(kind[rows], targets[rows], len(first)) for rows in splits])
    everything = count_kinds(kind, targets, len(first)).sum(axis=1)
    encoder = fit_encoder(columns, codes, coded.values[columns], everything)
    scales = information_scales(encoder, codes, by_split)
    rng = np.random.default_rng(seed)
    group_of = None if groups is None else groups[first]
    folds = np.stack([deal(counts, options.folds, rng, group_of)[: options.members] for counts in by_split])
    of_split = [slice(number * options.members, (number + 1) * options.members) for number in range(len(splits))]
    histories: list[list[dict[str, float]]] = [[] for _ in splits]

    def observe(epoch: Epoch) -> None:
        for members, dealt, counts, history in zip(of_split, folds, by_split, histories, strict=True):
            history.append(_summary(epoch, members, dealt, counts))

    trained = train(
        encoder, codes, scales, by_split, folds, options=options, seed=seed, observe=observe, progress=progress
    )
    fits = []
    for rows, parameters, logits, dealt, history in zip(
        splits, trained, _all_logits(encoder, codes, trained), folds, histories, strict=True
    ):
        (deep, counts), (linear, _) = (held_out(part, dealt) for part in logits)
        blend = fit_blend(deep, linear, counts)
        chances, positions = held_out_probabilities(blend, deep, linear), held_out_positions(dealt, kind[rows])
        honest = HeldOut(chances, counts, positions)
        fits.append(Fit(Network(encoder, parameters, blend), honest, history))
    return fits


def fit(coded: CodedRows, targets: Floats, **options: Any) -> Fit:
    """Train a network on all rows; parameters as of :func:`fit_splits`."""
    return fit_splits(coded, targets, [np.arange(coded.codes.shape[1])], **options)[0]


def _all_logits(encoder: Encoder, codes: Codes, networks: list[Parameters]) -> list[tuple[Logits, Logits]]:
    """Deep and linear logits (members, n, K) of each network for (used, n) codes, encoded once for all of them."""
    rows, plain = codes.shape[1], encoder.plain_inputs
    shapes = [(parameters.members, rows, parameters.b3.shape[1]) for parameters in networks]
    logits = [(np.empty(shape, np.float32), np.empty(shape, np.float32)) for shape in shapes]
    for start in range(0, rows, ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        inputs = encoder.encode(codes[:, part])
        for parameters, (deep, linear) in zip(networks, logits, strict=True):
            deep[:, part], linear[:, part] = parameters.logits(inputs, inputs[:, plain])
    return logits


def _summary(epoch: Epoch, members: slice, folds: Floats, targets: Floats) -> dict[str, float]:
    """Figures of one epoch over the members of one split; those held out are of rows that a member does not see.

    Those of the training rows are of the first member, on some thousand rows.
    """
    some = slice(None, None, len(targets) // _ROWS_OF_SUMMARY + 1)
    seen = epoch.logits[members][0, some], np.maximum(targets[some] - folds[0, some], 0)
    of = {"": seen, "held_out_": held_out(epoch.logits[members], folds)}
    figures = {"loss": float(epoch.loss[members].mean()), "held_out_loss": float(epoch.held_out_loss[members].mean())}
    for name, (logits, counts) in of.items():
        labels = np.tile(np.arange(counts.shape[1]), len(counts))
        weights = counts.reshape(-1)
        classes = np.repeat(logits.argmax(axis=1), counts.shape[1])
        scores = np.repeat(logits[:, 1] - np.delete(logits, 1, axis=1).max(axis=1), counts.shape[1])
        figures[f"{name}mcc"] = matthews_correlation(classes, labels, weights)
        figures[f"{name}auc"] = roc_auc(scores, labels, weights)
    return {**figures, "learning_rate": epoch.rate}
