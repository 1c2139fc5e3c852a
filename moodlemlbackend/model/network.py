"""The network, as it predicts: plain NumPy, so that a prediction never waits for TensorFlow.

A network is an ensemble of ``members`` small feed-forward classifiers that share the encoded inputs::

    inputs ──► W1 ► ReLU ► W2 ► ReLU ► W3 ──► deep logits     (members, rows, classes)
       └─ plain inputs ─────────────► L ──► linear logits     (members, rows, classes)

Each member trained without one part of the rows; on those the two logits were blended by a logistic regression of two
weights, which calibrates the ensemble and leans on the linear part where there is too little data for a deep one.

**Shapes.** D inputs, P plain inputs, M members, H hidden units of each of the two layers, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.model.codes import ROWS_OF_PART, CodedRows, Codes, Floats
from moodlemlbackend.model.encoding import Encoder, check_shapes

Logits = npt.NDArray[np.float32]

ROWS_AT_ONCE = 4096
_PREFIX = "parameters."


@dataclass(frozen=True)
class Parameters:
    """Trained numbers, float32; ValueError when they do not fit each other or one is not finite.

    ``w1`` (D, M, H) with the input scale multiplied in, ``b1`` (M, H), ``w2`` (M, H, H), ``b2`` (M, H), ``w3``
    (M, H, K), ``b3`` (M, K); ``linear`` (P, M, K), ``linear_bias`` (M, K).
    """

    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats
    w3: Floats
    b3: Floats
    linear: Floats
    linear_bias: Floats

    def __post_init__(self) -> None:
        inputs, members, hidden = self.w1.shape
        plain, classes = len(self.linear), self.w3.shape[-1]
        shapes = {
            "w1": (inputs, members, hidden),
            "b1": (members, hidden),
            "w2": (members, hidden, hidden),
            "b2": (members, hidden),
            "w3": (members, hidden, classes),
            "b3": (members, classes),
            "linear": (plain, members, classes),
            "linear_bias": (members, classes),
        }
        check_shapes(self, shapes)
        for name in shapes:
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"array {name} has numbers that are not finite")

    @property
    def members(self) -> int:
        """M, the number of members."""
        return int(self.w1.shape[1])

    def logits(self, inputs: Floats, plain: Floats) -> tuple[Logits, Logits]:
        """Deep and linear logits (M, rows, K) of (rows, D) inputs and their (rows, P) plain ones."""
        deep, linear = [], []
        for start in range(0, len(inputs), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            hidden = np.tensordot(inputs[part], self.w1, 1) + self.b1
            hidden = np.maximum(hidden, 0, out=hidden).transpose(1, 0, 2)
            hidden = hidden @ self.w2 + self.b2[:, None]
            hidden = np.maximum(hidden, 0, out=hidden)
            deep.append(hidden @ self.w3 + self.b3[:, None])
            linear.append((np.tensordot(plain[part], self.linear, 1) + self.linear_bias).transpose(1, 0, 2))
        return np.concatenate(deep, axis=1), np.concatenate(linear, axis=1)


@dataclass(frozen=True)
class Network:
    """A trained network: encoder, parameters and the blend of deep and linear logits, (2,) float64.

    ValueError when they do not fit each other.
    """

    encoder: Encoder
    parameters: Parameters
    blend: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        made = self.encoder.inputs, len(self.encoder.plain_inputs)
        taken = len(self.parameters.w1), len(self.parameters.linear)
        if made != taken:
            raise ValueError(f"the encoder makes {made} inputs, but the network takes {taken}")
        check_shapes(self, {"blend": (2,)})

    def probabilities(self, features: Floats) -> npt.NDArray[np.float64]:
        """Calibrated probabilities (rows, K) of (rows, all columns) float32 features; NaN is an empty cell."""
        parts = [slice(start, start + ROWS_OF_PART) for start in range(0, len(features), ROWS_OF_PART)]
        return np.concatenate([self._probabilities(self.encoder.codes_of(features[part])) for part in parts])

    def probabilities_of_coded(self, coded: CodedRows) -> npt.NDArray[np.float64]:
        """Calibrated probabilities (rows, K) of coded rows."""
        return np.concatenate([self._probabilities(self.encoder.codes_of_coded(part)) for part in coded.parts()])

    def _probabilities(self, codes: Codes) -> npt.NDArray[np.float64]:
        plain = self.encoder.plain_inputs
        parts = []
        for start in range(0, codes.shape[1], ROWS_AT_ONCE):
            inputs = self.encoder.encode(codes[:, start : start + ROWS_AT_ONCE])
            deep, linear = self.parameters.logits(inputs, inputs[:, plain])
            parts.append(softmax(blend_logits(self.blend, deep, linear).mean(axis=0)))
        return np.concatenate(parts)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything that makes this network, by name."""
        parameters = {_PREFIX + field.name: getattr(self.parameters, field.name) for field in fields(Parameters)}
        return {"blend": self.blend, **self.encoder.arrays(), **parameters}

    @classmethod
    def from_arrays(cls, array: Callable[[str], npt.NDArray[Any]]) -> Network:
        """Rebuild a network; ``array`` gives each of its :meth:`arrays` by name."""
        parameters = Parameters(**{field.name: array(_PREFIX + field.name) for field in fields(Parameters)})
        return cls(Encoder.from_arrays(array), parameters, array("blend"))


def blend_logits(blend: npt.NDArray[np.float64], deep: Logits, linear: Logits) -> npt.NDArray[np.float64]:
    """Add deep and linear logits with their weights; shapes stay."""
    return np.asarray(blend[0] * deep + blend[1] * linear, np.float64)


def log_softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Logarithm of the softmax over the last axis, float64."""
    shifted = np.asarray(logits - logits.max(axis=-1, keepdims=True), np.float64)
    total: npt.NDArray[np.float64] = np.exp(shifted).sum(axis=-1, keepdims=True)
    return shifted - np.log(total)


def softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Softmax over the last axis, float64."""
    return np.exp(log_softmax(logits))
