"""The network, as it predicts: plain NumPy, so that a prediction never waits for TensorFlow.

A network is an ensemble of ``members`` small feed-forward classifiers that share the encoded inputs::

    inputs ──► W1 ► ReLU ► W2 ► ReLU ► W3 ──► deep logits     (members, rows, classes)
       └─ plain inputs ─────────────► L ──► linear logits     (members, rows, classes)

Each member trained without one part of the rows; on those the two logits were blended by a logistic regression of two
weights, which calibrates the ensemble and leans on the linear part where there is too little data for a deep one.

**Shapes.** D inputs, P plain inputs, M members, H hidden units of each of the two layers, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from moodlemlbackend.model.codes import Codes, Floats
from moodlemlbackend.model.encoding import Encoder

Logits = npt.NDArray[np.float32]

ROWS_AT_ONCE = 4096
_PARAMETERS = "parameters."
_ENCODER = "encoder."


@dataclass(frozen=True)
class Parameters:
    """Trained numbers, float32.

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
    """A trained network: encoder, parameters and the blend of deep and linear logits, (2,) float64."""

    encoder: Encoder
    parameters: Parameters
    blend: npt.NDArray[np.float64]

    def probabilities(self, features: Floats) -> npt.NDArray[np.float64]:
        """Calibrated probabilities (rows, K) of (rows, all columns) float32 features; NaN is an empty cell."""
        return self.probabilities_of_codes(self.encoder.codes_of(features))

    def probabilities_of_codes(self, codes: Codes) -> npt.NDArray[np.float64]:
        """Calibrated probabilities (rows, K) of (used, rows) codes."""
        parts = []
        plain = self.encoder.plain_inputs
        for start in range(0, codes.shape[1], ROWS_AT_ONCE):
            inputs = self.encoder.encode(codes[:, start : start + ROWS_AT_ONCE])
            deep, linear = self.parameters.logits(inputs, inputs[:, plain])
            parts.append(softmax(blend_logits(self.blend, deep, linear).mean(axis=0)))
        return np.concatenate(parts)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Everything that makes this network, by name."""
        named: dict[str, npt.NDArray[np.generic]] = {"blend": self.blend}
        for prefix, part in ((_ENCODER, self.encoder), (_PARAMETERS, self.parameters)):
            named |= {prefix + field.name: getattr(part, field.name) for field in fields(part)}
        return named

    @staticmethod
    def names() -> tuple[str, ...]:
        """Names of the arrays of :meth:`arrays`."""
        encoder = [_ENCODER + field.name for field in fields(Encoder)]
        return ("blend", *encoder, *[_PARAMETERS + field.name for field in fields(Parameters)])

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[np.generic]]) -> Network:
        """Rebuild a network from its arrays; ValueError when their shapes do not fit each other."""
        encoder = Encoder(**{field.name: arrays[_ENCODER + field.name] for field in fields(Encoder)})  # type: ignore[arg-type]
        parameters = Parameters(**{f.name: arrays[_PARAMETERS + f.name] for f in fields(Parameters)})  # type: ignore[arg-type]
        network = cls(encoder, parameters, np.asarray(arrays["blend"], np.float64))
        network._check_shapes()
        return network

    def _check_shapes(self) -> None:
        encoder, p = self.encoder, self.parameters
        used = len(encoder.columns)
        inputs, members, hidden = p.w1.shape
        classes = p.w3.shape[-1]
        expected = {
            "encoder.values": (encoder.values, (used, 256)),
            "encoder.standard": (encoder.standard, (used, 256)),
            "encoder.bins": (encoder.bins, (used, 256)),
            "encoder.has_empty": (encoder.has_empty, (used,)),
            "encoder.centre": (encoder.centre, (inputs,)),
            "encoder.scale": (encoder.scale, (inputs,)),
            "b1": (p.b1, (members, hidden)),
            "w2": (p.w2, (members, hidden, hidden)),
            "b2": (p.b2, (members, hidden)),
            "w3": (p.w3, (members, hidden, classes)),
            "b3": (p.b3, (members, classes)),
            "linear": (p.linear, (len(encoder.plain_inputs), members, classes)),
            "linear_bias": (p.linear_bias, (members, classes)),
            "blend": (self.blend, (2,)),
        }
        for name, (array, shape) in expected.items():
            if array.shape != shape:
                raise ValueError(f"array {name} has shape {array.shape}, not {shape}")
        if len(encoder.column_of_input) != inputs:
            raise ValueError(f"the encoder makes {len(encoder.column_of_input)} inputs, the network takes {inputs}")


def blend_logits(blend: npt.NDArray[np.float64], deep: Logits, linear: Logits) -> npt.NDArray[np.float64]:
    """Add deep and linear logits with their weights; shapes stay."""
    return np.asarray(blend[0] * deep + blend[1] * linear, np.float64)


def log_softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Logarithm of the softmax over the last axis, float64."""
    shifted = np.asarray(logits - logits.max(axis=-1, keepdims=True), np.float64)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Softmax over the last axis, float64."""
    return np.exp(log_softmax(logits))
