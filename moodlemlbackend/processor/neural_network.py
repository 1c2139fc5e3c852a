"""The default processor: the network of :mod:`moodlemlbackend.model`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.model.codes import CodedRows
from moodlemlbackend.model.contributions import Contributions, network_contributions
from moodlemlbackend.model.encoding import Indices
from moodlemlbackend.model.fitting import Fit, fit, fit_splits
from moodlemlbackend.model.network import Network
from moodlemlbackend.model.permutation import permuted_probabilities
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
from moodlemlbackend.reference import ReferenceNetwork

SPLITS_AT_ONCE = 20
"""Splits trained in one graph: those of an evaluation and of its learning curve; more would only take memory."""

MANY_ROWS, SPLITS_OF_MANY = 50_000, 5
"""With so many rows fewer splits go together: a step takes longer than its start, and a cluster has parts to share."""

ROWS_AT_ONCE = 10_000_000
"""Rows of all splits that are trained in one graph: each takes memory for every split."""

COLUMNS_AT_ONCE = 18_000
"""Columns of all splits that are trained in one graph: with thousands of columns fewer splits go side by side."""

_OURS, _REFERENCE = "network", "reference"


class NetworkClassifier(Classifier):
    """A trained network."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def probabilities(self, features: Floats) -> Probabilities:
        """Calibrated probabilities (rows, K)."""
        return self.network.probabilities(features)

    def probabilities_of_coded(self, coded: CodedRows) -> Probabilities:
        """Calibrated probabilities (rows, K)."""
        return self.network.probabilities_of_coded(coded)

    def permuted_probabilities(self, coded: CodedRows, groups: list[Indices], order: Indices) -> Probabilities:
        """Probabilities (groups, rows, K)."""
        return permuted_probabilities(self.network, coded, groups, order)

    def contributions(self, features: Floats) -> Contributions:
        """Exact contributions of columns."""
        return network_contributions(self.network, features)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Kind and arrays."""
        return {"kind": _OURS}, self.network.arrays()


class ReferenceClassifier(Classifier):
    """A network that the reference package trained, used as it is until new samples come."""

    def __init__(self, network: ReferenceNetwork) -> None:
        self.network = network

    def probabilities(self, features: Floats) -> Probabilities:
        """Probabilities (rows, K), as the reference gives them."""
        return self.network.probabilities(features).astype(np.float64)

    def least_columns(self) -> int:
        """As many as the reference's model knows of."""
        return self.network.n_features or int(self.network.columns.max()) + 1

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Kind and arrays."""
        arrays = self.network.arrays()
        return {"kind": _REFERENCE, "arrays": sorted(arrays)}, arrays


class NeuralNetwork(Processor):
    """A cross-fitted ensemble of small networks, trained in TensorFlow; predictions need NumPy alone."""

    name = "neural_network"
    libraries = ("tensorflow",)

    def fit(self, samples: TrainingRows, *, seed: int, progress: Progress = no_progress) -> Fitted:
        """Train on all samples."""
        return fitted_of(
            fit(samples.coded, samples.targets, seed=seed, groups=samples.courses.groups, progress=progress)
        )

    def splits_at_once(self, samples: TrainingRows) -> int:
        """As many as one graph holds."""
        most = SPLITS_AT_ONCE if len(samples) < MANY_ROWS else SPLITS_OF_MANY
        return max(1, min(most, ROWS_AT_ONCE // len(samples), COLUMNS_AT_ONCE // len(samples.columns)))

    def fit_part(
        self, samples: TrainingRows, splits: list[Indices], *, seed: int, progress: Progress = no_progress
    ) -> list[Fitted]:
        """Train the networks of several splits side by side."""
        fits = fit_splits(
            samples.coded, samples.targets, splits, seed=seed, groups=samples.courses.groups, progress=progress
        )
        return [fitted_of(split_fit) for split_fit in fits]

    def restore(self, settings: Mapping[str, Any], array: Callable[[str], npt.NDArray[Any]]) -> Classifier:
        """Read our own network, or one of the reference that was exported or imported."""
        if settings["kind"] == _REFERENCE:
            return ReferenceClassifier(ReferenceNetwork.from_arrays({name: array(name) for name in settings["arrays"]}))
        if settings["kind"] != _OURS:
            raise ValueError(f"the kind of network {settings['kind']!r} is unknown")
        return NetworkClassifier(Network.from_arrays(array))


def fitted_of(fit: Fit) -> Fitted:
    """A network fresh from training, as processors have it."""
    honest = fit.held_out
    return Fitted(NetworkClassifier(fit.network), honest.probabilities, honest.targets, fit.history, honest.positions)
