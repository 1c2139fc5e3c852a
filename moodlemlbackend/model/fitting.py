"""From coded rows to trained networks: the steps in order.

``fit`` trains one network on all rows, ``fit_splits`` one for each split of an evaluation. They are the same code:
a fit is a split that holds nothing out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moodlemlbackend.model.codes import CodedRows, Floats
from moodlemlbackend.model.encoding import Encoder, Indices, distinct, fit_encoder, information_scale, varying
from moodlemlbackend.model.folds import deal, fit_blend, held_out, held_out_probabilities
from moodlemlbackend.model.network import Network
from moodlemlbackend.model.training import Epoch, Options, Progress, train


@dataclass(frozen=True)
class HeldOut:
    """Honest predictions: of each row by members that never saw it.

    ``probabilities`` and ``targets``: (rows, K), the latter how often the row occurred with each class.
    """

    probabilities: npt.NDArray[np.float64]
    targets: Floats


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
    """
    options = options or Options()
    columns = varying(coded.codes)
    codes = coded.codes[columns]
    first, kind = distinct(codes)
    codes = np.ascontiguousarray(codes[:, first])
    by_split = np.stack([_count(kind[rows], targets[rows], len(first)) for rows in splits])
    encoder = fit_encoder(columns, codes, coded.values[columns], _count(kind, targets, len(first)).sum(axis=1))
    scales = np.stack([information_scale(encoder, codes, counts) for counts in by_split])
    rng = np.random.default_rng(seed)
    folds = np.stack([deal(counts, options.folds, rng) for counts in by_split])
    trained = train(encoder, codes, scales, by_split, folds, options=options, seed=seed, progress=progress)
    inputs = encoder.encode(codes)
    plain = inputs[:, encoder.plain_inputs]
    fits = []
    for split, parameters in enumerate(trained.parameters):
        deep, linear = parameters.logits(inputs, plain)
        deep_held, counts = held_out(deep, folds[split])
        linear_held, _ = held_out(linear, folds[split])
        blend = fit_blend(deep_held, linear_held, counts)
        honest = HeldOut(held_out_probabilities(blend, deep_held, linear_held), counts)
        members = slice(split * options.folds, (split + 1) * options.folds)
        history = [_summary(epoch, members) for epoch in trained.epochs]
        fits.append(Fit(Network(encoder, parameters, blend), honest, history))
    return fits


def fit(
    coded: CodedRows, targets: Floats, *, seed: int, options: Options | None = None, progress: Progress | None = None
) -> Fit:
    """Train a network on all rows; parameters as of :func:`fit_splits`."""
    everything = np.arange(coded.codes.shape[1])
    return fit_splits(coded, targets, [everything], seed=seed, options=options, progress=progress)[0]


def _count(kind: Indices, targets: Floats, kinds: int) -> Floats:
    """Add up targets by kind of row: (kinds, K)."""
    return np.stack([np.bincount(kind, column, minlength=kinds) for column in targets.T], axis=1).astype(np.float32)


def _summary(epoch: Epoch, members: slice) -> dict[str, float]:
    """Figures of one epoch over the members of one split."""
    return {
        "loss": float(epoch.loss[members].mean()),
        "held_out_loss": float(epoch.held_out_loss[members].mean()),
        "learning_rate": epoch.rate,
    }


def encoder_of(fits: list[Fit]) -> Encoder:
    """The encoder that the networks of one call share."""
    return fits[0].network.encoder
