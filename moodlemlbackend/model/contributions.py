"""What each column contributes to a prediction: exact integrated gradients, in NumPy.

The logits are followed along the straight line from the average training row, which encodes to zeros, to the row that
is explained; a column gets what its inputs add on the way (integrated gradients; Sundararajan, Taly & Yan 2017). On
such a line a network of ReLUs is piecewise linear: the gradient is constant between the points where a unit goes on or
off. These points are computed instead of sampled (Sotoudeh & Thakur 2019), so that contributions and baseline add up to
the prediction but for rounding.

Logits are log-odds against class 0, so that two classes have one. **Shapes** are those of
:mod:`moodlemlbackend.model.network`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from moodlemlbackend.model.codes import Floats
from moodlemlbackend.model.encoding import Encoder
from moodlemlbackend.model.network import Network, Parameters, blend_logits

Real = TypeVar("Real", np.float32, np.float64)

_ROWS_AT_ONCE = 512
_SMALLEST = np.float32(1e-30)


@dataclass(frozen=True, eq=False)
class Contributions:
    """How columns move the log-odds of the classes 1 … K - 1 against class 0 away from those of a baseline.

    Attributes
    ----------
    baseline:
        (K - 1,) float64 log-odds of the average training row.
    of_columns:
        (rows, columns, K - 1) float32; with the baseline, they add up to a row's log-odds.
    """

    baseline: npt.NDArray[np.float64]
    of_columns: Floats


def network_contributions(network: Network, features: Floats) -> Contributions:
    """Explain the predictions of a network for (rows, all columns) float32 features; NaN is an empty cell."""
    encoder, parameters, blend = network.encoder, network.parameters, network.blend
    plain = encoder.plain_inputs
    deep, linear = parameters.logits(np.zeros((1, encoder.inputs), np.float32), np.zeros((1, len(plain)), np.float32))
    baseline = _against_first(blend_logits(blend, deep, linear).mean(axis=0)[0])
    output = _against_first(parameters.w3)
    of_units = parameters.w1.reshape(encoder.inputs, parameters.b1.size).T * np.float32(blend[0] / parameters.members)
    of_plain = _against_first(parameters.linear).mean(axis=1).T * np.float32(blend[1])  # (K - 1, P)
    codes, parts = encoder.codes_of(features), []
    for start in range(0, codes.shape[1], _ROWS_AT_ONCE):
        inputs = encoder.encode(codes[:, start : start + _ROWS_AT_ONCE])
        slopes: Floats = _mean_slopes(parameters, output, inputs) @ of_units  # (K - 1, rows, D)
        slopes[:, :, plain] += of_plain[:, None]
        parts.append(by_column(encoder, slopes * inputs, features.shape[1]))
    return Contributions(baseline, np.concatenate(parts))


def by_column(encoder: Encoder, of_inputs: npt.NDArray[np.floating], columns: int) -> Floats:
    """Add up the (K - 1, rows, D) contributions of inputs by their column: (rows, columns, K - 1)."""
    of_columns = np.zeros((of_inputs.shape[1], columns, len(of_inputs)), np.float32)
    starts = np.flatnonzero(np.diff(encoder.column_of_input, prepend=-1))
    if len(starts):
        of_columns[:, encoder.columns] = np.add.reduceat(of_inputs, starts, axis=2).transpose(1, 2, 0)
    return of_columns


def _against_first(logits: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """Take the logits (…, K) of class 0 from those of the others: (…, K - 1)."""
    return logits[..., 1:] - logits[..., :1]


def _mean_slopes(parameters: Parameters, output: Floats, inputs: Floats) -> Floats:
    """Mean gradient of the deep logits, on the way from zeros to (rows, D) inputs, by the units of the first layer.

    ``output`` is (M, H, K - 1); the result (K - 1, rows, M · H).
    """
    of_members = []
    for member in range(parameters.members):
        bias, w2, b2 = parameters.b1[member], parameters.w2[member], parameters.b2[member]
        reach = inputs @ parameters.w1[:, member]  # (rows, H), what the way adds to the bias
        points = _switches(bias, reach)  # (rows, T)
        first = points[:, :, None] * reach[:, None] + bias
        second = (np.maximum(first, 0).reshape(-1, len(w2)) @ w2 + b2).reshape(first.shape)
        # Between two points both layers' sums are linear: a unit of the second is on for a part of the way.
        begin, end = second[:, :-1], second[:, 1:]
        on = np.clip(np.maximum(begin, end) / np.maximum(np.abs(end - begin), _SMALLEST), 0, 1)
        on *= np.diff(points, axis=1)[:, :, None]
        is_on = first[:, :-1] + first[:, 1:] > 0
        of_member = []
        for weights in output[member].T:
            back = (on.reshape(-1, len(w2)) @ (w2 * weights).T).reshape(on.shape)
            of_member.append(np.sum(back, axis=1, where=is_on))
        of_members.append(np.stack(of_member))
    return np.concatenate(of_members, axis=2)


def _switches(bias: Floats, reach: Floats) -> Floats:
    """Where on the way from 0 to 1 first-layer units go on or off, (rows, T) ascending from 0 to 1; the last repeat."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        at = -bias / reach
    inside = (at > 0) & (at < 1)
    most = int(inside.sum(axis=1).max(initial=0))
    points = np.ones((len(reach), most + 2), np.float32)
    points[:, 0] = 0
    points[:, 1:-1] = np.sort(np.where(inside, at, 1), axis=1)[:, :most]
    return points
