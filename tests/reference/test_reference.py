"""Models left by the reference package: read right, and read without trusting them."""

import dataclasses
import io
import itertools
import json
import struct
import subprocess
import sys
import time
import types
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.paths import SHARED, needs_shared
from moodlemlbackend.dataset.data_set import read_unlabelled
from moodlemlbackend.errors import ModelError
from moodlemlbackend.reference import ReferenceNetwork, is_reference_model, read_reference_model
from moodlemlbackend.reference.checksum import masked_crc32c
from moodlemlbackend.reference.pickled import read_attributes
from moodlemlbackend.reference.tensorbundle import TensorBundle

REFERENCE = SHARED / "data" / "reference-model"

VARIABLES = Path("model.ckpt", "variables", "variables")
COLUMNS = np.array([0, 2, 3, 7, 11])
WIDTHS = (COLUMNS.size, 4, 6, 3)
RESTARTS = struct.pack("<II", 0, 1)  # how a block of one restart point, its start, ends
SECONDS = 2  # of the processor; no input may keep the reader busy for longer

fuzzed = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)


@contextmanager
def in_time():
    start = time.process_time()
    yield
    assert time.process_time() - start < SECONDS


# Generated models


def variable(number, part):
    return f"layer_with_weights-{number}/{part}/.ATTRIBUTES/VARIABLE_VALUE"


def network_variables(widths=WIDTHS):
    """The variables of a network as Keras names them, with an optimizer's slots, a metric and a counter among them."""
    rng = np.random.default_rng(5)
    variables = {"optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE": np.int64(7)}
    for number, shape in enumerate(itertools.pairwise(widths)):
        for part, size in (("kernel", shape), ("bias", shape[1:])):
            variables[variable(number, part)] = rng.normal(size=size).astype(np.float32)
            slot = f"layer_with_weights-{number}/{part}/.OPTIMIZER_SLOT/optimizer/rms/.ATTRIBUTES/VARIABLE_VALUE"
            variables[slot] = np.zeros(size, np.float32)
    variables["keras_api/metrics/0/total/.ATTRIBUTES/VARIABLE_VALUE"] = np.float32(1)
    return variables


def write_bundle(prefix, variables):
    """Write variables with TensorFlow itself."""
    import tensorflow as tf

    prefix.parent.mkdir(parents=True)
    names = sorted(variables)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(variables[name]) for name in names],
    )


def joblib_pickle(monkeypatch, protocol=3, compress=0, aligned=True, **attributes):
    """The bytes that joblib writes for an object of the reference's class with these attributes."""
    import joblib
    from joblib import numpy_pickle

    class TF:
        pass

    module = types.ModuleType("moodlemlbackend.model.tensor")
    TF.__module__, TF.__qualname__, module.TF = module.__name__, "TF", TF
    network = TF()
    network.__dict__ |= {
        "n_epoch": 146,
        "batch_size": 1414,
        "n_features": COLUMNS.size,
        "n_hidden": 4,
        "n_hidden_layers": 2,
        "n_classes": WIDTHS[-1],
        "variable_columns": COLUMNS,
    } | attributes
    wrap = numpy_pickle.NumpyPickler._create_array_wrapper

    def wrap_unaligned(pickler, array):
        wrapper = wrap(pickler, array)
        del wrapper.numpy_array_alignment_bytes
        return wrapper

    file = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        if not aligned:
            patch.setattr(numpy_pickle.NumpyPickler, "_create_array_wrapper", wrap_unaligned)
        joblib.dump(network, file, protocol=protocol, compress=compress)
    return file.getvalue()


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A `classifier` folder as the reference leaves it."""
    folder = tmp_path_factory.mktemp("generated") / "classifier"
    write_bundle(folder / VARIABLES, network_variables())
    with pytest.MonkeyPatch.context() as monkeypatch:
        (folder / "classifier.pkl").write_bytes(joblib_pickle(monkeypatch, aligned=False))
    return folder


@pytest.fixture
def model(generated, tmp_path):
    """A copy of the generated folder to damage."""
    folder = tmp_path / "classifier"
    (folder / VARIABLES).parent.mkdir(parents=True)
    for source in generated.rglob("*.*"):
        if source.is_file():
            (folder / source.relative_to(generated)).write_bytes(source.read_bytes())
    return folder


def index_of(folder):
    return (folder / VARIABLES).with_suffix(".index")


def data_of(folder):
    return (folder / VARIABLES).with_suffix(".data-00000-of-00001")


# Reading


@needs_shared
def test_the_probabilities_are_those_the_reference_gave():
    network = read_reference_model(REFERENCE / "classifier")
    data = read_unlabelled(SHARED / "data" / "split-evaluation-predict.csv.gz")
    predictions = json.loads((REFERENCE / "predictions.json").read_text())["predictions"]

    probabilities = network.probabilities(data.features)

    assert np.isnan(data.features[:, network.columns]).any()
    assert [row[0] for row in predictions] == list(data.sample_ids)
    assert [int(row[1]) for row in predictions] == probabilities.argmax(axis=1).tolist()
    np.testing.assert_allclose(probabilities.max(axis=1), [float(row[2]) for row in predictions], rtol=0, atol=1e-6)


@needs_shared
def test_the_left_model_says_what_it_was_trained_on():
    network = read_reference_model(REFERENCE / "classifier")

    assert is_reference_model(REFERENCE / "classifier")
    assert (network.columns.size, network.n_features, network.n_classes) == (176, None, 2)
    assert [kernel.shape for kernel, _ in network.layers] == [(176, 58), (58, 58), (58, 2)]


@needs_shared
def test_reading_the_left_model_is_quick():
    start = time.process_time()
    read_reference_model(REFERENCE / "classifier")
    assert time.process_time() - start < 0.5


def test_a_generated_model_predicts_as_tensorflow_does(generated):
    import tensorflow as tf

    features = np.random.default_rng(1).uniform(-1, 1, (50, 12)).astype(np.float32)
    features[::3, 2] = np.nan
    variables = network_variables()
    values = tf.constant(np.nan_to_num(features)[:, COLUMNS])
    for number in range(len(WIDTHS) - 1):
        values = values @ variables[variable(number, "kernel")] + variables[variable(number, "bias")]
        values = tf.nn.softmax(values) if number == len(WIDTHS) - 2 else tf.nn.relu(values)

    probabilities = read_reference_model(generated).probabilities(features)

    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, values, atol=1e-6)


@pytest.mark.parametrize("source", ["generated", pytest.param("left", marks=needs_shared)])
def test_variables_are_those_that_tensorflow_reads(source, generated):
    import tensorflow as tf

    prefix = (generated if source == "generated" else REFERENCE / "classifier") / VARIABLES
    theirs = tf.train.load_checkpoint(str(prefix))
    ours = TensorBundle(prefix)
    shapes = theirs.get_variable_to_shape_map()

    assert {name: list(entry.shape) for name, entry in ours.entries.items()} == shapes
    for name, dtype in theirs.get_variable_to_dtype_map().items():
        if dtype == tf.float32:
            np.testing.assert_array_equal(ours.floats(name), theirs.get_tensor(name))


def test_an_index_of_many_blocks_is_read(tmp_path):
    variables = {f"tensor-{number:04}/{'x' * 150}": np.float32(number) for number in range(2000)}
    write_bundle(tmp_path / VARIABLES, variables)
    bundle = TensorBundle(tmp_path / VARIABLES)

    assert all(bundle.floats(name) == value for name, value in variables.items())


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3)])
@pytest.mark.parametrize("aligned", [False, True])
def test_the_pickle_is_read_in_every_form_of_joblib(tmp_path, monkeypatch, protocol, compress, aligned):
    extra = {"note": "é", "rate": 0.5, "seed": None, "large": 2**40, "keep": True, "sizes": [4, (6,)], "last": [1]}
    content = joblib_pickle(monkeypatch, protocol, compress, aligned, **extra)
    (tmp_path / "classifier.pkl").write_bytes(content)

    attributes = read_attributes(tmp_path / "classifier.pkl")

    np.testing.assert_array_equal(attributes.pop("variable_columns"), COLUMNS)
    assert {name: attributes[name] for name in extra} == extra
    assert (attributes["n_epoch"], attributes["n_classes"]) == (146, 3)


@pytest.mark.parametrize("dtype", ["<i4", ">i4", "<i8", ">i8"])
def test_columns_of_every_integer_type_are_read(tmp_path, monkeypatch, dtype):
    content = joblib_pickle(monkeypatch, variable_columns=COLUMNS.astype(dtype))
    (tmp_path / "classifier.pkl").write_bytes(content)
    columns = read_attributes(tmp_path / "classifier.pkl")["variable_columns"]

    assert columns.dtype == np.int64
    np.testing.assert_array_equal(columns, COLUMNS)


def test_reading_needs_no_tensorflow_and_unpickles_nothing(generated):
    script = f"""if True:
        import io, pickle, sys
        from pathlib import Path
        import numpy as np
        class Forbidden:
            def __init__(self, *arguments, **options): raise AssertionError("unpickled")
        pickle.Unpickler = pickle._Unpickler = pickle.load = pickle.loads = Forbidden
        from moodlemlbackend.reference import read_reference_model
        read_reference_model(Path({str(generated)!r})).probabilities(np.zeros((2, 12), np.float32))
        print([name for name in sys.modules if name in ("tensorflow", "joblib", "moodlemlbackend.model.tensor")])
    """
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# The network


def test_arrays_bring_the_same_network_back(generated):
    network = read_reference_model(generated)
    features = np.random.default_rng(2).uniform(-1, 1, (20, 12)).astype(np.float32)
    for left in (network, dataclasses.replace(network, n_features=12)):
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **left.arrays())
        file.seek(0)
        back = ReferenceNetwork.from_arrays(dict(np.load(file, allow_pickle=False)))

        assert back.n_features == left.n_features
        np.testing.assert_array_equal(back.probabilities(features), left.probabilities(features))


@pytest.mark.parametrize("name", ["columns", "kernel_1", "bias_2"])
def test_arrays_with_one_missing_or_changed_are_refused(generated, name):
    arrays = read_reference_model(generated).arrays()
    for changed in ({name: arrays[name][:-1]}, {name: np.array(["x"])}):
        with pytest.raises(ModelError):
            ReferenceNetwork.from_arrays(arrays | changed)
    del arrays[name]
    with pytest.raises(ModelError):
        ReferenceNetwork.from_arrays(arrays)


def test_a_data_set_of_other_columns_is_refused(generated):
    network = read_reference_model(generated)
    with pytest.raises(ModelError, match=r"has 11 feature columns, but .* trained on at least 12"):
        network.probabilities(np.zeros((1, 11), np.float32))
    with pytest.raises(ModelError, match=r"has 13 feature columns, .* trained on 12"):
        dataclasses.replace(network, n_features=12).probabilities(np.zeros((1, 13), np.float32))


def test_no_rows_have_no_probabilities(generated):
    assert read_reference_model(generated).probabilities(np.zeros((0, 12), np.float32)).shape == (0, 3)


# Folders that are not whole


def test_a_folder_without_a_pickle_is_no_model_of_the_reference(tmp_path):
    assert not is_reference_model(tmp_path)
    assert not is_reference_model(tmp_path / "nothing")


@pytest.mark.parametrize("part", [lambda folder: folder / "classifier.pkl", index_of, data_of])
def test_a_missing_cut_or_oversized_file_is_named(model, part):
    file = part(model)
    content = file.read_bytes()
    for size in (0, 1, 7, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:size])
        with pytest.raises(ModelError, match=file.name):
            read_reference_model(model)
    with file.open("r+b") as sparse:
        sparse.truncate(2**28 + 1)
    with pytest.raises(ModelError, match=rf"{file.name} is larger than"):
        read_reference_model(model)
    file.unlink()
    with pytest.raises(ModelError, match=rf"{file.name}.* is missing"):
        read_reference_model(model)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"n_features": 4}, "gives a different number"),
        ({"n_features": "5"}, "lacks"),
        ({"n_classes": 2}, "has 3 classes, but"),
        ({"n_classes": 2**2000}, "has 3 classes, but"),
        ({"variable_columns": COLUMNS[:4], "n_features": 4}, "layer 0 has the shapes"),
        ({"variable_columns": COLUMNS - 1}, "uses no columns"),
        ({"variable_columns": COLUMNS[:0], "n_features": 0}, "uses no columns"),
        ({"variable_columns": [1, 2]}, "lacks"),
        ({"variable_columns": COLUMNS / 2}, "something other than integers"),
        ({"variable_columns": COLUMNS[None]}, "not a row of integers"),
        ({"variable_columns": COLUMNS.astype(object)}, "something other than integers"),
        ({"variable_columns": COLUMNS.astype([("a", "i8")])}, "something other than integers"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(model, monkeypatch, attributes, reason):
    (model / "classifier.pkl").write_bytes(joblib_pickle(monkeypatch, **attributes))
    with pytest.raises(ModelError, match=reason):
        read_reference_model(model)


def changed_variables():
    normal, kernel, bias = network_variables(), variable(1, "kernel"), variable(1, "bias")
    yield "plain feed-forward", {name: value for name, value in normal.items() if name != bias}
    yield "plain feed-forward", normal | {variable(1, "gamma"): np.zeros(6, np.float32)}
    yield "plain feed-forward", normal | {variable(4, "kernel"): np.zeros((3, 3), np.float32)}
    yield "no layers", {"epoch": np.float32(1)}
    yield "layer 1 has the shapes", normal | {bias: np.zeros(5, np.float32)}
    yield "layer 1 has the shapes", normal | {kernel: np.zeros((4, 6, 1), np.float32)}
    yield "not a tensor of floats", normal | {kernel: np.zeros((4, 6), np.float64)}
    yield "not finite", normal | {kernel: np.full((4, 6), np.nan, np.float32)}
    yield "3 classes, but|2 classes, but", network_variables((5, 4, 2))


def test_variables_that_do_not_fit_are_refused(generated, tmp_path):
    for number, (reason, variables) in enumerate(changed_variables()):
        folder = tmp_path / str(number)
        write_bundle(folder / VARIABLES, variables)
        (folder / "classifier.pkl").write_bytes((generated / "classifier.pkl").read_bytes())
        with pytest.raises(ModelError, match=reason):
            read_reference_model(folder)


def test_a_changed_weight_is_noticed(model):
    content = bytearray(data_of(model).read_bytes())
    content[TensorBundle(model / VARIABLES).entries[variable(1, "kernel")].offset + 5] ^= 1
    data_of(model).write_bytes(content)
    with pytest.raises(ModelError, match=r"data-00000-of-00001 .* checksum of layer_with_weights-1/kernel"):
        read_reference_model(model)


# Hostile files


def flip(content, flips):
    changed = bytearray(content)
    for position, value in flips:
        changed[int(position * len(changed))] = value
    return bytes(changed)


flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6)


@fuzzed
@given(flips=flips)
def test_a_flipped_pickle_is_read_or_refused(tmp_path, generated, flips):
    file = tmp_path / "classifier.pkl"
    file.write_bytes(flip((generated / "classifier.pkl").read_bytes(), flips))
    try:
        with in_time():
            read_attributes(file)
    except ModelError as error:
        assert "classifier.pkl" in str(error)  # noqa: PT017 - it may also be read


@fuzzed
@given(flips=flips)
def test_a_flipped_index_is_read_or_refused(model, generated, flips):
    index_of(model).write_bytes(flip(index_of(generated).read_bytes(), flips))
    try:
        with in_time():
            network = read_reference_model(model)
    except ModelError as error:
        assert str(model) in str(error)  # noqa: PT017 - it may also be read
    else:
        np.testing.assert_array_equal(network.layers[0][0], network_variables()[variable(0, "kernel")])


def varint(value):
    head = bytearray()
    while value >= 0x80:
        head.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*head, value))


def block(entries):
    """A block of keys and values without shared prefixes."""
    parts = [b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in entries]
    return b"".join(parts) + RESTARTS


def table(data, handles=None, kind=b"\0"):
    """An index of one data block, right in its checksums and its footer."""

    def close(content, kind=b"\0"):
        return content + kind + masked_crc32c(content + kind).to_bytes(4, "little")

    pointers = block((b"z", handle) for handle in handles or [b"\0" + varint(len(data))])
    closed = close(data, kind)
    footer = b"\0\0" + varint(len(closed)) + varint(len(pointers))
    return closed + close(pointers) + footer.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def data_block(folder):
    """The data block of a folder's index, written anew."""
    entries = [(b"", b"\x08\x01")]
    for name, entry in sorted(TensorBundle(folder / VARIABLES).entries.items()):
        shape = b"".join(b"\x12" + varint(len(size)) + size for size in (b"\x08" + varint(n) for n in entry.shape))
        message = b"\x08" + varint(entry.dtype) + b"\x12" + varint(len(shape)) + shape
        message += b"\x20" + varint(entry.offset) + b"\x28" + varint(entry.size)
        entries.append((name.encode(), message + b"\x35" + entry.checksum.to_bytes(4, "little")))
    return block(entries)


@fuzzed
@given(flips=flips)
def test_a_flipped_index_with_right_checksums_is_read_or_refused(model, generated, flips):
    index_of(model).write_bytes(table(flip(data_block(generated), flips)))
    try:
        with in_time():
            read_reference_model(model)
    except ModelError as error:
        assert str(model) in str(error)  # noqa: PT017 - it may also be read


DIMENSION = b"\x08" + varint(2**63)
SHAPE = (b"\x12" + varint(len(DIMENSION)) + DIMENSION) * 30_000
SHAPELESS = b"\x08\x01\x12" + varint(len(SHAPE)) + SHAPE + b"\x28\x04"  # four bytes, shaped in 30,000 dimensions

HOSTILE_TABLES = {
    "its blocks overlap": table(RESTARTS, handles=[b"\0\x08", b"\0\x08"]),
    "its blocks are compressed": table(RESTARTS, kind=b"\1"),
    "a block is incomplete": table(b"\xff\xff\xff\xff"),
    "longer than 64 bits": table(RESTARTS, handles=[b"\xff" * 12]),
    "a part of it is incomplete": table(b"\0\5\5key" + RESTARTS),
    "name of a tensor is damaged": table(b"\5\1\0z" + RESTARTS),
    "several data files": table(block([(b"", b"\x08\x02")])),
    "big-endian": table(block([(b"", b"\x08\x01\x10\x01")])),
    "description in it is damaged": table(block([(b"", b"\x08\x01"), (b"a", b"\x0b")])),
    "more than 10,000 tensors": table(b"\0\0\0" * 10_001 + RESTARTS),
    "not a tensor of floats": table(
        block([(b"", b"\x08\x01"), *((variable(0, part).encode(), SHAPELESS) for part in ("bias", "kernel"))])
    ),
}


def test_a_table_written_anew_is_admitted(model):
    """The frame of the hostile tables is right: only what each changes is refused."""
    before = read_reference_model(model).arrays()
    index_of(model).write_bytes(table(data_block(model)))
    np.testing.assert_equal(read_reference_model(model).arrays(), before)


@pytest.mark.parametrize("reason", HOSTILE_TABLES)
def test_hostile_tables_are_refused(model, reason):
    index_of(model).write_bytes(HOSTILE_TABLES[reason])
    with in_time(), pytest.raises(ModelError, match=reason):
        read_reference_model(model)
