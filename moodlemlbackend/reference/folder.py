"""The ``classifier`` folder of the reference: ``classifier.pkl`` and the SavedModel ``model.ckpt``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from moodlemlbackend.files import storage_errors
from moodlemlbackend.reference.files import naming
from moodlemlbackend.reference.network import Layer, ReferenceNetwork
from moodlemlbackend.reference.pickled import read_attributes
from moodlemlbackend.reference.tensorbundle import TensorBundle

_PICKLE = "classifier.pkl"
_NETWORK = "model.ckpt"
_VARIABLES = Path(_NETWORK, "variables", "variables")
_LAYER_LIMIT = 100
_WEIGHTS = re.compile(r"layer_with_weights-(\d+)/(?!.*OPTIMIZER_SLOT)(.+)/\.ATTRIBUTES/VARIABLE_VALUE")


def is_reference_model(folder: Path) -> bool:
    """Tell whether the reference left ``folder``, a model's ``classifier`` directory, or a part of it; StorageError."""
    with storage_errors(folder):
        return (folder / _PICKLE).is_file() or (folder / _NETWORK).is_dir()


def read_reference_model(folder: Path) -> ReferenceNetwork:
    """Return the network that the reference left in ``folder``, the ``classifier`` directory of a model.

    Raises ModelError for one that is damaged, incomplete or of another version, StorageError when it cannot be read.
    """
    attributes = read_attributes(folder / _PICKLE)
    with naming(folder / _PICKLE):
        match attributes:
            case {
                "variable_columns": np.ndarray() as columns,
                "n_features": int(n_inputs),
                "n_classes": int(n_classes),
            }:
                pass
            case _:
                raise ValueError("it lacks the columns used, their number, or the number of classes")
        if n_inputs != columns.size:
            raise ValueError(f"it lists {columns.size} columns but gives a different number of them")
    bundle = TensorBundle(folder / _VARIABLES)
    with naming(folder):
        network = ReferenceNetwork(columns, None, _read_layers(bundle))
        if network.n_classes != n_classes:
            raise ValueError(f"its network has {network.n_classes} classes, but its pickle says otherwise")
    return network


def _read_layers(bundle: TensorBundle) -> tuple[Layer, ...]:
    """Return the kernels and biases of the dense layers in their order; ValueError when there is more or less."""
    weights = {(int(match[1]), match[2]) for name in bundle.entries if (match := _WEIGHTS.fullmatch(name))}
    n_layers = len(weights) // 2
    if n_layers > _LAYER_LIMIT or weights != {
        (number, part) for number in range(n_layers) for part in ("kernel", "bias")
    }:
        raise ValueError("its variables are not those of a plain feed-forward network")
    return tuple(
        (bundle.floats(_variable(number, "kernel")), bundle.floats(_variable(number, "bias")))
        for number in range(n_layers)
    )


def _variable(number: int, part: str) -> str:
    return f"layer_with_weights-{number}/{part}/.ATTRIBUTES/VARIABLE_VALUE"
