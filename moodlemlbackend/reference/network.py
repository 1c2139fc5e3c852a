"""The reference's classifier: dense layers with ReLU between them and softmax at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moodlemlbackend.errors import ModelError

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class ReferenceNetwork:
    """A trained network of the reference.

    Attributes
    ----------
    columns : (v,) int64, the feature columns of a data set that it uses, in the order of its inputs.
    n_features : number of feature columns of its data sets; None while unknown, as the reference does not keep it.
    layers : for each layer its kernel (in, out) and its bias (out,), float32.

    ValueError when the shapes do not fit together or a weight is not finite.
    """

    columns: NDArray[np.int64]
    n_features: int | None
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if self.columns.ndim != 1 or self.columns.size == 0 or self.columns.min() < 0 or not self.layers:
            raise ValueError("it uses no columns or has no layers")
        if self.n_features is not None and self.n_features <= self.columns.max():
            raise ValueError(f"it uses column {self.columns.max()} of {self.n_features}")
        width = self.columns.size
        for number, (kernel, bias) in enumerate(self.layers):
            if kernel.ndim != 2 or kernel.shape[0] != width or bias.shape != kernel.shape[1:]:
                raise ValueError(f"layer {number} has the shapes {kernel.shape}, {bias.shape} but gets {width} values")
            if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
                raise ValueError(f"layer {number} has weights that are not finite")
            width = bias.size
        if width < 2:
            raise ValueError("it has fewer than two classes")

    @property
    def n_classes(self) -> int:
        """Number of classes that it tells apart."""
        return self.layers[-1][1].size

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each class, (rows, n_classes).

        ``features`` is (rows, all columns of the data set); NaN, an empty cell, counts as 0, as for the reference.
        ModelError when the data set has other columns than the one the model was trained on.
        """
        width = features.shape[1]
        if width <= self.columns.max() or self.n_features not in (None, width):
            needed = self.n_features or f"at least {self.columns.max() + 1}"
            raise ModelError(
                f"The data set has {width} feature columns, but the stored model was trained on {needed}; "
                "check that both belong to the same model, or clear the model in Moodle and train it again."
            )
        inputs = features[:, self.columns].astype(np.float32)
        values = np.where(np.isnan(inputs), np.float32(0), inputs)
        for kernel, bias in self.layers[:-1]:
            values = np.maximum(values @ kernel + bias, 0)
        kernel, bias = self.layers[-1]
        logits = values @ kernel + bias
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float32] = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the network as named arrays, which a store keeps without pickling; see :meth:`from_arrays`."""
        arrays: dict[str, NDArray[Any]] = {"columns": self.columns}
        if self.n_features is not None:
            arrays["n_features"] = np.array(self.n_features, np.int64)
        for number, (kernel, bias) in enumerate(self.layers):
            arrays |= {f"kernel_{number}": kernel, f"bias_{number}": bias}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ReferenceNetwork:
        """Return the network that :meth:`arrays` took apart; ModelError when the arrays are not one."""
        try:
            n_layers = sum(name.startswith("kernel_") for name in arrays)
            layers = (
                (arrays[f"kernel_{number}"].astype(np.float32), arrays[f"bias_{number}"].astype(np.float32))
                for number in range(n_layers)
            )
            n_features = int(arrays["n_features"]) if "n_features" in arrays else None
            return cls(arrays["columns"].astype(np.int64), n_features, tuple(layers))
        except KeyError as error:
            raise ModelError(f"The stored network lacks the array {error}; train the model again.") from error
        except (ValueError, TypeError) as error:
            raise ModelError(f"The stored network cannot be used: {error}; train the model again.") from error
