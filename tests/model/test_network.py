"""The model room: cells as codes, codes as inputs, folds, training in TensorFlow, prediction in NumPy."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from fixtures.backend import samples_of, simulated
from moodlemlbackend.metrics import expected_calibration_error, matthews_correlation, roc_auc
from moodlemlbackend.model.codes import EMPTY, CodedRows, code, encode_like, join
from moodlemlbackend.model.encoding import Encoder, count_kinds, distinct, fit_encoder, information_scales, varying
from moodlemlbackend.model.fitting import fit, fit_splits
from moodlemlbackend.model.folds import _PRIOR, DEFAULT_BLEND, deal, fit_blend, held_out
from moodlemlbackend.model.network import ROWS_AT_ONCE, Network, Parameters, log_softmax, softmax
from moodlemlbackend.model.training import Options, _by_split, _initial, _Step

NAN = np.nan
quick = settings(max_examples=60, deadline=None, database=None)

hundredths = st.integers(-127, 127).map(lambda number: np.float32(number / 100)) | st.just(np.float32(NAN))
numbers = st.floats(width=32, allow_infinity=False, allow_subnormal=False)
TOLERANCE = 2.1e-5  # a cell this near to a hundredth is one


def tables(cells, rows=30, columns=(1, 6)):
    shapes = st.tuples(st.integers(1, rows), st.integers(*columns))
    return shapes.flatmap(lambda shape: npst.arrays(np.float32, shape, elements=cells))


# ---- cells as codes ----


@quick
@given(tables(hundredths))
def test_hundredths_keep_their_value(features):
    coded = code([features], features.shape[1])
    assert coded.codes.dtype == np.uint8
    np.testing.assert_array_equal(coded.decode(), features)
    np.testing.assert_array_equal(coded.codes == EMPTY, np.isnan(features).T)


@quick
@given(tables(numbers), st.integers(1, 7))
def test_a_few_other_numbers_keep_their_value_too(features, size):
    """A column with a number that is no hundredth is laid on its own values, whichever batch they come in."""
    whole = code([features], features.shape[1])
    np.testing.assert_allclose(whole.decode(), features, rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(encode_like(features, whole.values), whole.codes)
    batches = [features[start : start + size] for start in range(0, len(features), size)]
    decoded = code(batches, features.shape[1]).decode()
    np.testing.assert_allclose(decoded, features, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
def test_the_order_of_rows_does_not_matter_for_other_numbers(order):
    """Of many values, each batch has others; the few of the second column come one by one, among hundredths."""
    rng = np.random.default_rng(0)
    rows = np.stack([np.sort(rng.normal(50, 20, 20_000)), np.repeat([0.5, 1, 7, 0.25, 1000], 4000)], axis=1)
    rows[::7, 0] = NAN
    rows = {"ascending": rows, "descending": rows[::-1], "shuffled": rng.permutation(rows)}[order].astype(np.float32)
    coded = code(np.array_split(rows, 40), 2)
    decoded = coded.decode()
    np.testing.assert_array_equal(decoded[:, 1], rows[:, 1])
    np.testing.assert_array_equal(np.isnan(decoded), np.isnan(rows))
    known = ~np.isnan(rows[:, 0])
    assert 200 < len(np.unique(decoded[known, 0])) <= 254
    ranks = np.searchsorted(np.sort(rows[known, 0]), [rows[known, 0], decoded[known, 0]]) / known.sum()
    assert np.abs(ranks[0] - ranks[1]).max() < 0.02
    np.testing.assert_array_equal(encode_like(decoded, coded.values), coded.codes)


def test_what_is_very_near_to_a_hundredth_is_not_taken_for_it():
    column = np.array([[0], [1e-5], [0.5], [0.50001], [0.3]], np.float32)
    np.testing.assert_array_equal(code([column], 1).decode(), column)


def test_hundreds_of_numbers_take_the_nearest_of_their_quantiles():
    column = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    column[::10] = NAN
    decoded = code([column[:, None]], 1).decode()[:, 0]
    known = ~np.isnan(column)
    np.testing.assert_array_equal(known, ~np.isnan(decoded))
    assert len(np.unique(decoded[known])) == 254
    order = np.argsort(column[known])
    assert (np.diff(decoded[known][order]) >= 0).all()
    assert np.median(np.abs(decoded - column)[known]) < 0.01


def test_unseen_cells_take_the_nearest_code():
    values = code([np.array([[0.5, 0.001], [-1, 0.3], [NAN, 7]], np.float32)], 2).values
    unseen = np.array([[0.25, 0.14], [0.254, 0.16], [9, -1e38], [NAN, 1e38]], np.float32)
    found = CodedRows(encode_like(unseen, values), values).decode()
    np.testing.assert_allclose(found, [[0.25, 0.001], [0.25, 0.3], [1.27, 0.001], [NAN, 7]], rtol=1e-6)


@quick
@given(tables(hundredths | numbers, columns=(3, 3)), tables(hundredths | numbers, columns=(3, 3)))
def test_joined_rows_keep_their_values(one, other):
    joined = join(code([one], 3), code([other], 3))
    np.testing.assert_allclose(joined.decode(), np.concatenate([one, other]), rtol=0, atol=TOLERANCE)


def test_columns_that_vary():
    features = np.array([[1, 1, NAN, 0, 1, NAN], [1, 2, NAN, NAN, 2, NAN], [1, 3, NAN, 0, 3, 1]], np.float32) / 10
    coded = code([features], 6)
    assert varying(coded.codes).tolist() == [1, 3, 5]
    assert coded.varies.tolist() == [False, True, False, True, True, True]


@quick
@given(tables(st.sampled_from([0, 1, NAN]), rows=40, columns=(1, 4)), st.randoms())
def test_equal_rows_are_one_kind_whatever_their_order(features, random):
    codes = code([features], features.shape[1]).codes
    columns = np.arange(len(codes))
    first, kind = distinct(codes, columns)
    np.testing.assert_array_equal(codes[:, first][:, kind], codes)
    assert len(first) == len(np.unique(codes, axis=1).T)
    order = np.array(random.sample(range(len(features)), len(features)))
    shuffled, _ = distinct(codes[:, order], columns)
    np.testing.assert_array_equal(codes[:, order][:, shuffled], codes[:, first])
    targets = np.eye(2, dtype=np.float32)[np.arange(len(features)) % 2]
    counts = count_kinds(kind, targets, len(first))
    assert counts.dtype == np.float32
    np.testing.assert_array_equal(counts.sum(axis=0), targets.sum(axis=0))


# ---- codes as inputs ----


@pytest.fixture(scope="module")
def samples():
    data = simulated()
    return samples_of(data.features, data.labels)


@pytest.fixture(scope="module")
def encoder(samples):
    columns = varying(samples.coded.codes)
    return fit_encoder(columns, samples.coded.codes[columns], samples.coded.values[columns], np.ones(len(samples)))


def encoded(encoder, samples):
    return encoder.encode(samples.coded.codes[encoder.columns])


def test_inputs_of_a_column():
    """Value, flag for empty cells, bins; only the value where there are two of them."""
    features = np.array([[-1, 0.1, NAN], [1, 0.2, NAN], [1, 0.3, 0.5], [1, 0.3, 1]], np.float32)
    coded = code([features], 3)
    fitted = fit_encoder(np.arange(3), coded.codes, coded.values, np.full(4, 20))
    assert fitted.column_of_input.tolist() == [0, 1, 1, 1, 1, 2, 2]
    assert fitted.plain_inputs.tolist() == [0, 1, 5, 6]
    inputs = fitted.encode(coded.codes)
    assert inputs.dtype == np.float32
    values = [[-1, 1 / 3, 1 / 3, 1 / 3], [-1.5075567, -0.30151135, 0.9045340, 0.9045340], [0, 0, -1, 1]]
    np.testing.assert_allclose(inputs[:, [0, 1, 5]].T / np.sqrt([[3], [1], [1]]), values, rtol=1e-5)
    flag, (low, _, high) = inputs[:, 6], inputs[:, 2:5].T
    assert flag[0] == flag[1] == -flag[2] == -flag[3] > 0
    assert low[0] > 0 > low[1] == low[2]
    assert high[2] == high[3] > 0 > high[0]


def test_inputs_have_mean_zero(samples, encoder):
    inputs = encoded(encoder, samples)
    assert inputs.shape == (len(samples), encoder.inputs)
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-4)


def test_a_weight_is_a_repetition(samples, encoder):
    weights = 1.0 + np.arange(len(samples)) % 3
    coded = samples.coded.take(np.repeat(np.arange(len(samples)), weights.astype(int)))
    values = samples.coded.values[encoder.columns]
    repeated = fit_encoder(encoder.columns, coded.codes[encoder.columns], values, np.ones(coded.codes.shape[1]))
    weighted = fit_encoder(encoder.columns, samples.coded.codes[encoder.columns], values, weights)
    for name, array in weighted.arrays().items():
        np.testing.assert_allclose(array, repeated.arrays()[name], rtol=1e-5, err_msg=name)


def test_many_values_share_bins():
    column = np.round(np.random.default_rng(1).normal(0, 0.3, size=3000), 2).clip(-1, 1).astype(np.float32)
    coded = code([column[:, None]], 1)
    fitted = fit_encoder(np.array([0]), coded.codes, coded.values, np.ones(3000))
    bins = fitted.bins[0][coded.codes[0]]
    assert 40 < len(np.unique(bins)) <= 64
    assert (np.diff(bins[np.argsort(column)]) >= 0).all()
    assert fitted.bins[0][EMPTY] == -1
    beyond = encode_like(np.array([[-1.2], [1.2]], np.float32), coded.values)[0]
    assert fitted.bins[0][beyond].tolist() == [bins.min(), bins.max()]


def test_rare_neighbours_share_a_bin():
    column = np.repeat(np.float32([-1, 0.1, 0.11, 0.12, 0.13, 0.14, 1]), [500, 8, 8, 8, 8, 8, 500])
    coded = code([column[:, None]], 1)
    bins = fit_encoder(np.array([0]), coded.codes, coded.values, np.ones(len(column))).bins[0][coded.codes[0]]
    sizes = np.bincount(bins)
    assert (np.diff(bins) >= 0).all()
    assert sizes[0] == sizes[-1] == 500
    assert 16 <= sizes[1:-1].min() <= sizes[1:-1].max() <= 32
    few = column[::100]
    alone = fit_encoder(np.array([0]), code([few[:, None]], 1).codes, coded.values, np.ones(len(few)))
    assert (alone.bins == -1).all(), "too few rows for two bins"


def test_rows_coded_by_another_table_are_coded_anew(samples, encoder):
    features = samples.coded.decode()
    other = code([features + np.float32(0.001), features], len(samples.columns))
    rows = np.arange(len(samples), 2 * len(samples))
    for coded in (samples.coded, other.take(rows)):
        np.testing.assert_array_equal(encoder.codes_of_coded(coded), encoder.codes_of(coded.decode()))
    assert not np.array_equal(other.values, samples.coded.values, equal_nan=True)


def test_the_scale_follows_what_a_column_tells():
    random = np.random.default_rng(2)
    labels = np.arange(400) % 2
    noise = random.integers(-100, 101, size=(400, 8)) / 100
    half = np.where(random.random(400) < 0.75, labels, 1 - labels)
    samples = samples_of(np.column_stack([noise[:, :4], labels, half, noise[:, 4:]]), labels)
    columns = varying(samples.coded.codes)
    fitted = fit_encoder(columns, samples.coded.codes, samples.coded.values, np.ones(400))
    scale = information_scales(fitted, samples.coded.codes, samples.targets[None])[0]
    by_column = np.array([scale[fitted.column_of_input == position] for position in range(10)], dtype=object)
    assert all(len(set(part)) == 1 for part in by_column)
    told = np.array([part[0] for part in by_column])
    assert np.mean(told.astype(float) ** 2) == pytest.approx(1, rel=1e-5)
    assert told[4] > told[5] > max(*told[:4], *told[6:])
    splits = np.stack([samples.targets, np.ones((400, 2), np.float32)])
    np.testing.assert_allclose(information_scales(fitted, samples.coded.codes, splits), [scale, np.ones(len(scale))])


def test_an_encoder_comes_back_from_its_arrays(samples, encoder):
    arrays = encoder.arrays()
    np.testing.assert_array_equal(encoded(Encoder.from_arrays(arrays.__getitem__), samples), encoded(encoder, samples))
    for name, array in arrays.items():
        with pytest.raises(ValueError, match=r"shape|inputs"):
            Encoder.from_arrays({**arrays, name: array[1:]}.__getitem__)


# ---- folds ----


@quick
@given(
    npst.arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(2, 4)), elements=st.integers(0, 30).map(float)),
    st.integers(2, 6),
    st.integers(0, 9),
)
def test_counts_are_dealt_evenly(targets, folds, seed):
    dealt = deal(targets, folds, np.random.default_rng(seed))
    assert dealt.shape == (folds, *targets.shape)
    assert (dealt >= 0).all()
    single = targets.sum(axis=0) <= 1
    np.testing.assert_array_equal(dealt.sum(axis=0)[:, ~single], targets[:, ~single])
    assert not dealt[:, :, single].any(), "every member has to see the only row of a class"
    assert np.ptp(dealt.sum(axis=1), axis=0).max() <= 1


def test_parts_of_counts_are_dealt_too():
    targets = np.array([[0.25, 3.5], [2.75, 0.5], [1.5, 1.0]], np.float32)
    dealt = deal(targets, 4, np.random.default_rng(0))
    np.testing.assert_allclose(dealt.sum(axis=0), targets, rtol=1e-6)


def test_held_out_rows_are_those_of_each_fold():
    targets = np.array([[3, 0], [0, 2], [1, 1]], np.float32)
    folds = deal(targets, 2, np.random.default_rng(0))
    logits = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    chosen, counts = held_out(logits, folds)
    assert len(chosen) == np.count_nonzero(folds.any(axis=2))
    np.testing.assert_array_equal(counts.sum(axis=0), targets.sum(axis=0))
    for row, count in zip(chosen, counts, strict=True):
        fold, kind = np.argwhere((logits == row).all(axis=2))[0]
        np.testing.assert_array_equal(folds[fold, kind], count)


def blend_loss(blend, deep, linear, targets):
    chances = log_softmax(blend[0] * deep + blend[1] * linear)
    return -(targets * chances).sum() + _PRIOR * ((np.array(blend) - DEFAULT_BLEND) ** 2).sum() / 2


@pytest.mark.parametrize(("deep_tells", "linear_tells"), [(1, 1), (2, 0), (0, 2), (-1, 1), (0, 0)])
def test_the_blend_is_the_best_of_all_weights(deep_tells, linear_tells):
    random = np.random.default_rng(3)
    labels = random.integers(3, size=300)
    targets = np.eye(3, dtype=np.float32)[labels] * random.integers(1, 4, size=(300, 1))
    deep, linear = (tells * np.eye(3)[labels] + random.normal(size=(300, 3)) for tells in (deep_tells, linear_tells))
    blend = fit_blend(deep.astype(np.float32), linear.astype(np.float32), targets)
    assert (blend >= 0).all()
    best = blend_loss(blend, deep, linear, targets)
    grid = np.linspace(0, 3, 61)
    assert best <= min(blend_loss(one, deep, linear, targets) for one in itertools.product(grid, grid)) + 1e-3


def test_few_held_out_rows_fit_no_blend():
    logits = np.ones((4, 2), np.float32)
    np.testing.assert_array_equal(fit_blend(logits, logits, np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]), DEFAULT_BLEND)
    np.testing.assert_array_equal(fit_blend(logits[:0], logits[:0], np.zeros((0, 2), np.float32)), DEFAULT_BLEND)


# ---- the network ----


@pytest.fixture(scope="module")
def fitted(samples):
    return fit(samples.coded, samples.targets, seed=3)


def test_numpy_and_tensorflow_agree(samples, encoder):
    """The same numbers, split by split, the input scales multiplied in."""
    import tensorflow as tf

    random = np.random.default_rng(4)
    splits, options = 3, Options()
    members = splits * options.members
    codes = samples.coded.codes[encoder.columns]
    scales = random.uniform(0.1, 2, (splits, encoder.inputs)).astype(np.float32)
    weights = random.random((len(samples), members, 2), np.float32)
    start = _initial(encoder, codes, scales, weights, options, random)
    for name in ("w3", "b2", "linear", "linear_bias"):
        start[name] = random.normal(0, 0.3, start[name].shape).astype(np.float32)
    step = _Step(start, scales, encoder.plain_inputs, np.zeros(members, np.float32))
    inputs = encoder.encode(codes)
    expected = [part.numpy() for part in step._forward(tf.constant(inputs))]
    networks = _by_split(step.values(), scales, encoder.plain_inputs)
    assert len(networks) == splits
    found = [np.concatenate(part) for part in zip(*(
        network.logits(inputs, inputs[:, encoder.plain_inputs]) for network in networks
    ), strict=True)]  # fmt: skip
    for logits, from_tensorflow in zip(found, expected, strict=True):
        assert logits.shape == (members, len(samples), 2)
        assert np.abs(from_tensorflow).max() > 0.5
        np.testing.assert_allclose(logits, from_tensorflow, atol=1e-5, rtol=1e-5)


def test_a_network_comes_back_from_its_arrays(samples, fitted):
    features = samples.coded.decode()
    arrays = fitted.network.arrays()
    again = Network.from_arrays(arrays.__getitem__)
    np.testing.assert_array_equal(again.probabilities(features), fitted.network.probabilities(features))
    for name, array in arrays.items():
        damaged = array[None, ..., :1]
        with pytest.raises(ValueError):
            Network.from_arrays({**arrays, name: damaged}.__getitem__)
    infinite = np.full_like(arrays["parameters.w2"], np.inf)
    with pytest.raises(ValueError, match="w2 has numbers that are not finite"):
        Network.from_arrays({**arrays, "parameters.w2": infinite}.__getitem__)


def test_many_rows_are_taken_in_parts(samples, fitted):
    features = np.resize(samples.coded.decode(), (ROWS_AT_ONCE + 50, len(samples.columns)))
    chances = fitted.network.probabilities(features)
    np.testing.assert_allclose(chances[-50:], fitted.network.probabilities(features[-50:]), rtol=1e-5)


def test_softmax_of_far_logits():
    np.testing.assert_allclose(softmax(np.array([[1e4, 0, -1e4], [3, 3, 3]])), [[1, 0, 0], [1 / 3] * 3])


# ---- training ----


def test_held_out_rows_teach_nothing(samples):
    """What becomes of the rows that a split holds out changes nothing in its network."""
    rows = np.arange(len(samples))
    splits = [rows[rows % 5 != 0], rows[rows % 5 != 1]]
    targets = samples.targets.copy()
    targets[rows % 5 == 0] = 1 - targets[rows % 5 == 0]
    features = samples.coded.decode()
    before, after = (fit_splits(samples.coded, given, splits, seed=1) for given in (samples.targets, targets))
    chances = [[one.network.probabilities(features) for one in fits] for fits in (before, after)]
    np.testing.assert_array_equal(chances[0][0], chances[1][0])
    assert np.abs(chances[0][1] - chances[1][1]).max() > 0.1


def test_most_rows_have_an_honest_prediction(samples, fitted):
    held, options = fitted.held_out, Options()
    share = options.members / options.folds
    np.testing.assert_allclose(held.targets.sum(axis=0), share * samples.targets.sum(axis=0), atol=options.members)
    np.testing.assert_allclose(held.probabilities.sum(axis=1), 1)


def test_the_course_of_a_training(fitted):
    history = fitted.history
    assert len(history) >= 6
    expected = {"loss", "mcc", "auc", "held_out_loss", "held_out_mcc", "held_out_auc", "learning_rate"}
    assert all(set(epoch) == expected for epoch in history)
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["held_out_auc"] > 0.7
    assert 0 <= history[-1]["learning_rate"] < max(epoch["learning_rate"] for epoch in history)


def test_progress_ends_with_all_steps(samples):
    steps = []
    fit(samples.coded, samples.targets, seed=0, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(done, len(steps)) for done in range(1, len(steps) + 1)]


def middle(cells):
    return abs(cells[:, 0]) < 0.4


def both_of_two(cells):
    return ((cells[:, 0] > 0) & (cells[:, 1] > 0)) | ((cells[:, 2] > 0) & (cells[:, 3] > 0))


def same_sign(cells):
    return cells[:, 0] * cells[:, 1] > 0


@pytest.mark.parametrize("rule", [middle, both_of_two, same_sign])
def test_it_learns_what_no_line_parts(rule):
    features = np.random.default_rng(5).integers(-100, 101, size=(2500, 6)) / 100
    labels = rule(features).astype(int)
    training = samples_of(features[:2000], labels[:2000])
    network = fit(training.coded, training.targets, seed=0).network
    predicted = network.probabilities(features[2000:].astype(np.float32)).argmax(axis=1)
    assert matthews_correlation(predicted, labels[2000:]) > 0.85


def numbers_of(fitted):
    """Everything that was learned, as bytes."""
    arrays = fitted.network.arrays()
    return {name: array.tobytes() for name, array in arrays.items() if not name.startswith("encoder.columns")}


def test_the_same_rows_make_the_same_network_bit_for_bit(samples, fitted):
    expected = numbers_of(fitted)
    features, labels = samples.coded.decode(), samples.labels
    assert numbers_of(fit(samples.coded, samples.targets, seed=3)) == expected
    shuffled = samples.take(np.random.default_rng(0).permutation(len(samples)))
    assert numbers_of(fit(shuffled.coded, shuffled.targets, seed=3)) == expected
    constant = np.full((len(features), 1), 0.5, np.float32)
    wider = samples_of(np.hstack([constant, features, features[:, 9:20], NAN * constant]), labels)
    assert numbers_of(fit(wider.coded, wider.targets, seed=3)) == expected
    assert numbers_of(fit(samples.coded, samples.targets, seed=4)) != expected
    twice = samples.take(np.tile(np.arange(len(samples)), 2))
    assert numbers_of(fit(twice.coded, twice.targets, seed=3)) == numbers_of(
        fit(samples.coded, 2 * samples.targets, seed=3)
    )


def test_probabilities_are_calibrated():
    data, unseen = simulated(courses=30, students=30), simulated(courses=30, students=30, seed=77)
    samples = samples_of(data.features, data.labels)
    chances = fit(samples.coded, samples.targets, seed=0).network.probabilities(unseen.features.astype(np.float32))
    assert roc_auc(chances[:, 1], unseen.labels) > 0.75
    assert expected_calibration_error(chances, unseen.labels) < 0.1


def test_parameters_that_do_not_fit():
    shapes = ((5, 2, 3), (2, 3), (2, 3, 3), (2, 3), (2, 3, 4), (2, 4), (1, 2, 4), (2, 4))
    arrays = [np.zeros(shape, np.float32) for shape in shapes]
    assert Parameters(*arrays).members == 2
    for position, field in enumerate(dataclasses.fields(Parameters)):
        if field.name not in ("w1", "linear"):
            with pytest.raises(ValueError, match="has shape"):
                Parameters(*arrays[:position], arrays[position][..., :1], *arrays[position + 1 :])
