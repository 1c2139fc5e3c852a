"""What a network says when some of its columns are taken from other rows: what permutation importance is made of.

The first layer is linear in the inputs, so only the part of it that changes is computed again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moodlemlbackend.model.codes import CodedRows, Floats
from moodlemlbackend.model.encoding import Indices
from moodlemlbackend.model.network import Network, softmax

_ROWS_AT_ONCE = 4096


def permuted_probabilities(
    network: Network, coded: CodedRows, groups: list[Indices], order: Indices
) -> npt.NDArray[np.float64]:
    """Probabilities (groups, rows, K) of coded rows, a group of columns at a time taken from the rows ``order``."""
    encoder, parameters, blend = network.encoder, network.parameters, network.blend
    inputs = encoder.encode(encoder.codes_of_coded(coded))
    changes = inputs[order] - inputs
    rows, width = len(inputs), parameters.b1.size
    w1, w2, b2 = parameters.w1.reshape(encoder.inputs, width), _blocks(parameters.w2), parameters.b2.reshape(width)
    w3 = (np.float32(blend[0] / parameters.members) * parameters.w3).reshape(width, -1)
    linear = np.zeros((encoder.inputs, w3.shape[1]), np.float32)
    linear[encoder.plain_inputs] = np.float32(blend[1]) * parameters.linear.mean(axis=1)
    bias = blend[0] * parameters.b3.mean(axis=0) + blend[1] * parameters.linear_bias.mean(axis=0)
    hidden, logits = inputs @ w1 + parameters.b1.reshape(width), inputs @ linear + bias.astype(np.float32)
    columns = encoder.columns[encoder.column_of_input]
    permuted = np.empty((len(groups), rows, w3.shape[1]), np.float32)
    at_once = max(1, _ROWS_AT_ONCE // max(1, rows))
    for start in range(0, len(groups), at_once):
        part = groups[start : start + at_once]
        first = np.tile(hidden, (len(part), 1))
        changed = permuted[start : start + at_once]
        changed[:] = logits
        for number, group in enumerate(part):
            chosen = np.flatnonzero(np.isin(columns, group))
            change = changes[:, chosen]
            first[number * rows : (number + 1) * rows] += change @ w1[chosen]
            changed[number] += change @ linear[chosen]
        second = np.maximum(first, 0, out=first) @ w2
        second += b2
        changed += (np.maximum(second, 0, out=second) @ w3).reshape(changed.shape)
    return softmax(permuted)


def _blocks(weights: Floats) -> Floats:
    """(M, H, H) weights of members as those of one layer, (M · H, M · H): one product is quicker than M small ones."""
    members, hidden = weights.shape[:2]
    whole = np.zeros((members, hidden, members, hidden), np.float32)
    whole[np.arange(members), :, np.arange(members)] = weights
    return whole.reshape(members * hidden, -1)
