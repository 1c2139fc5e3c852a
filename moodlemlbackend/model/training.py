"""Training in plain TensorFlow: the members of several networks side by side, in one graph.

The splits of an evaluation and the folds of a network differ only in which rows count. So one batch of encoded rows
serves all of them: the first layers of all members are one wide matrix product, and a row that a member must not see
has weight 0 in its loss. Training a network is the same with one split.

Adam (Kingma & Ba 2015), a cosine rate after a short rise, the last layer starting at the log-odds of the classes. The
graph is not compiled further: TensorFlow's own kernels, its fused Adam above all, start a second earlier and are as
quick. **Shapes.** S splits of F members each make M = S·F in all; n distinct rows, D inputs, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend import mapped
from moodlemlbackend.model.codes import Codes, Floats
from moodlemlbackend.model.encoding import Encoder, Indices
from moodlemlbackend.model.network import Parameters

Progress = Callable[[int, int], None]
"""Called with the steps done and the steps in all."""


@dataclass(frozen=True)
class Options:
    """How a network is trained; one set of values for every data set.

    Attributes
    ----------
    folds, members, hidden:
        parts of the rows, networks that train without one of them each, and units of each of their two hidden layers.
    epochs, least_steps, most_visits:
        passes over the rows; more where they would be fewer steps, fewer where they would be more visits to rows.
    batch, largest_batch:
        rows of a step; the larger where an epoch would have more than 400 steps, the smaller where fewer than 8.
    rate, warm_up:
        the highest learning rate, and the share of the steps in which it is reached.
    shrinkage:
        precision of the Gaussian prior of the linear part's weights (the C of others is one over it).
    most_at_once:
        weight of a row, in those of the average row, that one visit stands for at the most.
    cells_at_once:
        inputs held in memory at a time.
    """

    folds: int = 5
    members: int = 4
    hidden: int = 32
    epochs: int = 6
    least_steps: int = 100
    batch: int = 256
    largest_batch: int = 1024
    rate: float = 6e-3
    warm_up: float = 0.1
    shrinkage: float = 10.0
    most_at_once: float = 4.0
    most_visits: int = 600_000
    cells_at_once: int = 24_000_000


@dataclass
class Epoch:
    """What one epoch showed, from the forward passes of its own steps.

    ``loss`` and ``held_out_loss`` (M,) are mean cross-entropies; ``logits`` (M, n, K) those of the deep part, each
    row as it was last seen; ``rate`` the learning rate at the end.
    """

    loss: Floats
    held_out_loss: Floats
    logits: Floats
    rate: float


def train(
    encoder: Encoder,
    codes: Codes,
    input_scales: Floats,
    targets: Floats,
    folds: Floats,
    *,
    options: Options,
    seed: int,
    observe: Callable[[Epoch], None],
    progress: Progress | None = None,
) -> list[Parameters]:
    """Train S networks and return their parameters.

    Parameters
    ----------
    codes:
        (used, n) uint8, distinct rows.
    input_scales:
        (S, D) float32, :func:`~moodlemlbackend.model.encoding.information_scales`.
    targets:
        (S, n, K) float32: how often each row occurs with each class in each split.
    folds:
        (S, F, n, K) float32: the part of ``targets`` that each member does not see.
    observe:
        called with what each epoch showed.
    """
    splits, of_each, n, classes = folds.shape
    members = splits * of_each
    rng = np.random.default_rng(seed)
    weights, held = _weights(targets, folds)
    order = _visits(targets, options.most_at_once)
    a_visit = (len(order) / np.maximum(np.bincount(order, minlength=n), 1)).astype(np.float32)
    weights *= a_visit[:, None, None]
    held *= a_visit[:, None, None]

    batch = min(max(options.batch, len(order) // 400), options.largest_batch, max(16, len(order) // 8))
    steps_an_epoch = max(1, len(order) // batch)
    epochs = max(1, min(options.epochs, options.most_visits // len(order)), -(-options.least_steps // steps_an_epoch))
    total = epochs * steps_an_epoch

    encoded = encoder.encode(codes) if encoder.inputs * n <= options.cells_at_once else None
    at_once = max(1, options.cells_at_once // max(1, encoder.inputs * batch))
    start = _initial(encoder, codes[:, order[: 4 * batch]], input_scales, weights, options, rng)
    plain = encoder.plain_inputs
    if not encoder.inputs:  # the classes' shares, at which a network starts, are all there is to learn
        return _by_split(start, input_scales, plain)
    rows_seen = (targets.sum(axis=(1, 2))[:, None] - folds.sum(axis=(2, 3))).reshape(members)
    step = _Step(start, input_scales, plain, (0.5 * options.shrinkage / np.maximum(rows_seen, 1)).astype(np.float32))
    done = 0
    for _ in range(epochs):
        logits = np.zeros((n, members, classes), np.float32)
        losses = np.zeros((2, members))
        visits = rng.permutation(order)
        encode = _encoder_of_visits(encoder, codes, encoded, visits)
        for rows, inputs in _batches(encode, visits, batch, steps_an_epoch, at_once):
            rate = _rate(done / total, options)
            done += 1
            loss, held_loss, seen = step(inputs, weights[rows], held[rows], rate, done)
            losses += loss, held_loss
            logits[rows] = seen
            if progress is not None:
                progress(done, total)
        loss, held_loss = (losses / steps_an_epoch).astype(np.float32)
        observe(Epoch(loss, held_loss, logits.transpose(1, 0, 2), rate))
    return _by_split(step.values(), input_scales, plain)


def _weights(targets: Floats, folds: Floats) -> tuple[Floats, Floats]:
    """Weight of each row for each member, seen and held out: two (n, M, K), each adding up to 1 over a member."""
    splits, of_each, n, classes = folds.shape

    def shares(part: Floats) -> Floats:
        share = part / np.maximum(part.sum(axis=(2, 3), keepdims=True), 1e-9)
        return np.ascontiguousarray(share.transpose(2, 0, 1, 3).reshape(n, splits * of_each, classes))

    return shares(np.maximum(targets[:, None] - folds, 0)), shares(folds)


def _visits(targets: Floats, most_at_once: float) -> Indices:
    """Rows of an epoch: a row of great weight comes several times with a part of it."""
    weight = targets.sum(axis=(0, 2))
    used = np.flatnonzero(weight)
    share = weight[used] / weight[used].mean()
    return np.repeat(used, np.clip(np.ceil(share / most_at_once), 1, 64).astype(np.int64))


def _rate(done: float, options: Options) -> float:
    """Learning rate after a share of the steps: a linear rise, then a cosine."""
    if done < options.warm_up:
        return options.rate * (done / options.warm_up + 0.02)
    return options.rate * 0.5 * (1 + float(np.cos(np.pi * (done - options.warm_up) / (1 - options.warm_up))))


def _initial(
    encoder: Encoder, sample: Codes, input_scales: Floats, weights: Floats, options: Options, rng: np.random.Generator
) -> dict[str, Floats]:
    """Draw the parameters to start from."""
    members, classes = weights.shape[1:]
    inputs, hidden = encoder.inputs, options.hidden
    sizes = np.mean((encoder.encode(sample) ** 2) @ (input_scales**2).T, axis=0)  # by split
    deviation = np.repeat(1 / np.sqrt(np.maximum(sizes, 1e-6)), members // len(sizes) * hidden)
    share = weights.sum(axis=0) + 1e-3
    log_odds = np.log(share / share.sum(axis=1, keepdims=True)).astype(np.float32)

    def normal(shape: tuple[int, ...], deviation: npt.ArrayLike) -> Floats:
        return rng.standard_normal(shape, np.float32) * np.asarray(deviation, np.float32)

    return {
        "w1": normal((inputs, members * hidden), deviation),
        "b1": normal((members * hidden,), 0.1),
        "w2": normal((members, hidden, hidden), np.sqrt(2 / hidden)),
        "b2": np.zeros((members, 1, hidden), np.float32),
        "w3": np.zeros((members, hidden, classes), np.float32),
        "b3": log_odds[:, None],
        "linear": np.zeros((len(encoder.plain_inputs), members * classes), np.float32),
        "linear_bias": log_odds.reshape(1, -1),
    }


def _batches(
    encode: Callable[[slice], Floats], visits: Indices, batch: int, steps: int, at_once: int
) -> Iterator[tuple[Indices, Floats]]:
    """Yield (rows, inputs) of each step; ``encode`` is asked for the inputs of ``at_once`` steps together."""
    for first in range(0, steps, at_once):
        part = slice(first * batch, min(first + at_once, steps) * batch)
        rows, inputs = visits[part], encode(part)
        for start in range(0, len(rows), batch):
            yield rows[start : start + batch], inputs[start : start + batch]


def _encoder_of_visits(
    encoder: Encoder, codes: Codes, encoded: Floats | None, visits: Indices
) -> Callable[[slice], Floats]:
    """Return what encodes a part of an epoch's visits; rows may be encoded beforehand, where memory allows."""
    if encoded is not None:
        return lambda part: encoded[visits[part]]
    if mapped.is_large(codes):  # from a file, in the order of the visits: every page of it is read once
        in_order = mapped.take(codes, visits)
        return lambda part: encoder.encode(in_order[:, part])
    return lambda part: encoder.encode(codes[:, visits[part]])


def _by_split(values: dict[str, Floats], input_scales: Floats, plain: Indices) -> list[Parameters]:
    """Part the values of all members by split, and multiply each split's input scale into its weights."""
    splits = len(input_scales)
    members, hidden, classes = values["w3"].shape
    shapes = {
        "w1": (input_scales.shape[1], splits, members // splits, hidden),
        "b1": (splits, members // splits, hidden),
        "w2": (splits, members // splits, hidden, hidden),
        "b2": (splits, members // splits, hidden),
        "w3": (splits, members // splits, hidden, classes),
        "b3": (splits, members // splits, classes),
        "linear": (len(plain), splits, members // splits, classes),
        "linear_bias": (splits, members // splits, classes),
    }
    parted = {name: values[name].reshape(shape) for name, shape in shapes.items()}
    parameters_of_splits = []
    for split, scale in enumerate(input_scales):
        own = {
            **{name: array[split] for name, array in parted.items() if name not in ("w1", "linear")},
            "w1": parted["w1"][:, split] * scale[:, None, None],
            "linear": parted["linear"][:, split] * scale[plain][:, None, None],
        }
        parameters_of_splits.append(Parameters(**{name: np.ascontiguousarray(array) for name, array in own.items()}))
    return parameters_of_splits


class _Step:
    """One step of Adam on all members, as a TensorFlow graph."""

    def __init__(self, start: dict[str, Floats], input_scales: Floats, plain: Indices, decay: Floats) -> None:
        import tensorflow as tf

        self._tf = tf
        self._members, self._hidden, self._classes = start["w3"].shape
        self._plain = plain
        self._names = list(start)
        self._variables = {name: tf.Variable(value) for name, value in start.items()}
        self._means = {name: tf.Variable(np.zeros_like(value)) for name, value in start.items()}
        self._squares = {name: tf.Variable(np.zeros_like(value)) for name, value in start.items()}
        # (M,): how much the linear part's squared weights cost.
        self._decay = tf.constant(decay)
        # (D, S, 1) and (P, S, 1): a split's scale, multiplied into the weights of its members.
        self._scale = tf.constant(input_scales.T[:, :, None])
        self._plain_scale = tf.constant(input_scales.T[plain][:, :, None])
        self._graph = tf.function(self._run, autograph=False)

    def __call__(
        self, inputs: Floats, weights: Floats, held: Floats, rate: float, step: int
    ) -> tuple[Floats, Floats, Floats]:
        """Take one step on (rows, D) inputs; returns losses (M,), held-out losses (M,) and logits (rows, M, K)."""
        constant = self._tf.constant
        results = self._graph(
            constant(inputs), constant(weights), constant(held), constant(np.float32(rate)), constant(np.float32(step))
        )
        loss, held_loss, logits = (result.numpy() for result in results)
        return loss, held_loss, logits

    def values(self) -> dict[str, Floats]:
        """The parameters as they are now, by name, in the shapes of :func:`_initial`."""
        return {name: variable.numpy() for name, variable in self._variables.items()}

    def _scaled(self, weights: Any, scale: Any) -> Any:
        """Multiply each split's scale into its members' (inputs, M · width) weights."""
        tf = self._tf
        return tf.reshape(tf.reshape(weights, (scale.shape[0], scale.shape[1], -1)) * scale, weights.shape)

    def _forward(self, inputs: Any) -> tuple[Any, Any]:
        """Deep and linear logits, (M, rows, K)."""
        tf, value, members = self._tf, self._variables, self._members
        hidden = tf.nn.relu(tf.matmul(inputs, self._scaled(value["w1"], self._scale)) + value["b1"])
        hidden = tf.transpose(tf.reshape(hidden, (-1, members, self._hidden)), (1, 0, 2))
        hidden = tf.nn.relu(tf.matmul(hidden, value["w2"]) + value["b2"])
        deep = tf.matmul(hidden, value["w3"]) + value["b3"]
        plain = tf.gather(inputs, self._plain, axis=1)
        linear = tf.matmul(plain, self._scaled(value["linear"], self._plain_scale)) + value["linear_bias"]
        return deep, tf.transpose(tf.reshape(linear, (-1, members, self._classes)), (1, 0, 2))

    def _run(self, inputs: Any, weights: Any, held: Any, rate: Any, step: Any) -> tuple[Any, Any, Any]:
        tf = self._tf
        variables = [self._variables[name] for name in self._names]
        with tf.GradientTape() as tape:
            deep, linear = self._forward(inputs)
            weights, held = tf.transpose(weights, (1, 0, 2)), tf.transpose(held, (1, 0, 2))
            chances = tf.nn.log_softmax(deep)
            loss = -tf.reduce_mean(tf.reduce_sum(weights * chances, axis=2), axis=1)
            linear_loss = -tf.reduce_mean(tf.reduce_sum(weights * tf.nn.log_softmax(linear), axis=2), axis=1)
            squares = tf.reshape(self._variables["linear"] ** 2, (-1, self._members, self._classes))
            whole = tf.reduce_sum(loss + linear_loss + self._decay * tf.reduce_sum(squares, (0, 2)))
        held_loss = -tf.reduce_mean(tf.reduce_sum(held * chances, axis=2), axis=1)
        for name, variable, gradient in zip(self._names, variables, tape.gradient(whole, variables), strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=self._means[name].handle,
                v=self._squares[name].handle,
                beta1_power=0.9**step,
                beta2_power=0.99**step,
                lr=rate,
                beta1=0.9,
                beta2=0.99,
                epsilon=1e-8,
                grad=gradient,
            )
        return loss, held_loss, tf.transpose(deep, (1, 0, 2))
