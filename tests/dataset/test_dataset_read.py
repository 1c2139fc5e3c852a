"""Reading data set files: what Moodle writes, and the variations of it that must read the same."""

from __future__ import annotations

import gc
import gzip
import importlib.util
import io
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fixtures.paths import ROOT, SHARED, needs_shared
from moodlemlbackend.dataset.data_set import BATCH_BYTES, DataSet, read_batches, read_labelled, read_unlabelled

LABELLED = rb"""timesplitting,nfeatures,moodleversion,targetcolumn,targettype,targetclasses
"\core\analytics\time_splitting\quarters",3,2023042403,"\core_course\analytics\target\course_dropout",discrete,"[0,1]"
range/0,"\core\analytics\indicator\read_actions","\core\analytics\indicator\read_actions/mean","\core_course\analytics\target\course_dropout"
1,0.33,,1
0,-0,0,0
1,-1.00,0.5,1
"""
UNLABELLED = rb"""nfeatures,targetclasses
2,"[0,1]"
sampleid,range/0,"\core\analytics\indicator\read_actions"
1083-0,1,
1084-0,,-0.25
"""
LABELLED_FEATURES = np.array([[1, 0.33, np.nan], [0, 0, 0], [1, -1, 0.5]], np.float32)
UNLABELLED_FEATURES = np.array([[1, np.nan], [np.nan, -0.25]], np.float32)


def place(directory: Path, content: bytes, name: str = "dataset") -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


def same(one: DataSet, other: DataSet) -> bool:
    labels = (one.labels is None and other.labels is None) or np.array_equal(one.labels, other.labels)
    return (
        np.array_equal(one.features, other.features, equal_nan=True) and labels and one.sample_ids == other.sample_ids
    )


def test_labelled_file(tmp_path: Path) -> None:
    path = place(tmp_path, LABELLED)
    dataset = read_labelled(path)
    header = dataset.header
    assert header.source == str(path)
    assert list(header.metadata.items()) == [
        ("timesplitting", "\\core\\analytics\\time_splitting\\quarters"),
        ("nfeatures", "3"),
        ("moodleversion", "2023042403"),
        ("targetcolumn", "\\core_course\\analytics\\target\\course_dropout"),
        ("targettype", "discrete"),
        ("targetclasses", "[0,1]"),
    ]
    indicator = "\\core\\analytics\\indicator\\read_actions"
    assert header.columns == ("range/0", indicator, f"{indicator}/mean")
    assert header.classes == ("0", "1")
    assert header.target == "\\core_course\\analytics\\target\\course_dropout"
    assert dataset.features.dtype == np.float32
    np.testing.assert_array_equal(dataset.features, LABELLED_FEATURES)
    assert dataset.labels is not None
    assert dataset.labels.dtype == np.int64
    assert dataset.labels.tolist() == [1, 0, 1]
    assert dataset.sample_ids is None


def test_unlabelled_file(tmp_path: Path) -> None:
    dataset = read_unlabelled(place(tmp_path, UNLABELLED))
    assert dataset.header.columns == ("range/0", "\\core\\analytics\\indicator\\read_actions")
    assert dataset.header.target is None
    np.testing.assert_array_equal(dataset.features, UNLABELLED_FEATURES)
    assert dataset.labels is None
    assert dataset.sample_ids == ["1083-0", "1084-0"]


def test_minus_zero_keeps_its_sign(tmp_path: Path) -> None:
    assert np.signbit(read_labelled(place(tmp_path, LABELLED)).features[1]).tolist() == [False, True, False]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace(b"\n", b"\r\n"), id="crlf"),
        pytest.param(lambda text: text.replace(b"\n", b"\r\n")[:-1], id="crlf-cut"),
        pytest.param(lambda text: text.removesuffix(b"\n"), id="no-last-line-end"),
        pytest.param(lambda text: text + b"\n\n\n", id="blank-lines-at-the-end"),
        pytest.param(lambda text: text.replace(b"\n", b"\r\n") + b"\r\n\r\n", id="blank-crlf-lines-at-the-end"),
        pytest.param(lambda text: b"\xef\xbb\xbf" + text, id="utf-8-bom"),
        pytest.param(gzip.compress, id="gzip"),
        pytest.param(lambda text: gzip.compress(text[:40]) + gzip.compress(text[40:]), id="two-gzip-members"),
        pytest.param(lambda text: text.replace(b"0.5", b'"0.5"').replace(b",,", b',"",'), id="quoted-cells"),
        pytest.param(lambda text: text.replace(b"0.5", b" +5.0E-1 "), id="number-spelling"),
    ],
)
@pytest.mark.parametrize("batch_bytes", [1, 1 << 20])
def test_spellings_of_one_file(tmp_path: Path, change, batch_bytes: int) -> None:
    path = place(tmp_path, change(LABELLED))
    assert same(read_labelled(path), read_labelled(place(tmp_path, LABELLED, "plain")))
    header, batches = read_batches(path, labelled=True, batch_bytes=batch_bytes)
    assert "timesplitting" in header.metadata
    np.testing.assert_array_equal(np.concatenate([batch.features for batch in batches]), LABELLED_FEATURES)


def test_metadata_in_any_order_with_more_and_fewer_keys(tmp_path: Path) -> None:
    content = b'targetclasses,other,nfeatures\n"[0,1]",2023042402|2023042403,1\nf,t\n0.5,1\n'
    header = read_labelled(place(tmp_path, content)).header
    assert header.metadata == {"targetclasses": "[0,1]", "other": "2023042402|2023042403", "nfeatures": "1"}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (b'"\\core\\a"', "\\core\\a"),
        (b'"a ""b"""', 'a "b"'),
        (b'"a\\"b"', 'a\\"b'),
        (b'"a\\"""b"""', 'a\\""b"'),
        (b'"ends in \\"', "ends in \\"),
        (b'"a,b"', "a,b"),
        ("Größe".encode(), "Größe"),
    ],
)
def test_names_as_php_quotes_them(tmp_path: Path, written: bytes, name: str) -> None:
    content = b'nfeatures,targetclasses\n2,"[0,1]"\n' + written + b",f,t\n0,1,0\n"
    assert read_labelled(place(tmp_path, content)).header.columns == (name, "f")


@pytest.mark.parametrize(
    ("written", "sample_id"),
    [(b'"a ""b"""', 'a "b"'), (b'"a\\"b"', 'a\\"b'), (b'"ends in \\"', "ends in \\"), (b"\xef\xbb\xbfb", "\ufeffb")],
)
def test_sample_ids_as_php_quotes_them(tmp_path: Path, written: bytes, sample_id: str) -> None:
    content = b"nfeatures\n1\nsampleid,f\n" + written + b",0.5\n"
    assert read_unlabelled(place(tmp_path, content)).sample_ids == [sample_id]


@pytest.mark.parametrize(
    ("classes", "cells", "expected", "labels"),
    [
        (b'"[0,1]"', [b"1.00", b"0", b"-0", b"1"], ("0", "1"), [1, 0, 0, 1]),
        (b'"[0,1,2]"', [b"2", b"0.0"], ("0", "1", "2"), [2, 0]),
        (b'"[""no"",""yes""]"', [b"yes", b"no"], ("no", "yes"), [1, 0]),
        (b'"[false,true]"', [b"true"], ("false", "true"), [1]),
        (b'"[1.5,-1]"', [b"-1.00", b"1.50"], ("1.5", "-1"), [1, 0]),
        (b'"[1,0]"', [b"1", b"0"], ("0", "1"), [1, 0]),
        (b'"[2,0,1]"', [b"2", b"1.0", b"0"], ("2", "1", "0"), [0, 1, 2]),
    ],
)
def test_classes_by_text_or_number(tmp_path: Path, classes, cells, expected, labels) -> None:
    rows = b"".join(b"0.5," + cell + b"\n" for cell in cells)
    dataset = read_labelled(place(tmp_path, b"nfeatures,targetclasses\n1," + classes + b"\nf,t\n" + rows))
    assert dataset.header.classes == expected
    assert dataset.labels is not None
    assert dataset.labels.tolist() == labels


class ByteByByte(io.RawIOBase):
    """A pipe whose writer sends single bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._content.readinto(memoryview(buffer)[:1])


@pytest.mark.parametrize("change", [bytes, gzip.compress])
def test_standard_input_that_comes_byte_by_byte(tmp_path: Path, monkeypatch, change) -> None:
    stream = io.TextIOWrapper(io.BufferedReader(ByteByByte(change(UNLABELLED))))
    monkeypatch.setattr(sys, "stdin", stream)
    assert same(read_unlabelled("-"), read_unlabelled(place(tmp_path, UNLABELLED)))


@pytest.mark.parametrize("names", [b"input-0,input-1", b"input-0,input-1,input-2"])
def test_prediction_file_whose_third_row_lacks_sampleid(tmp_path: Path, names: bytes) -> None:
    dataset = read_unlabelled(place(tmp_path, b"nfeatures,targetcolumn\n2,T\n" + names + b"\ns-1,0,1\ns-2,,1\n"))
    assert dataset.header.columns == ("input-0", "input-1")
    assert dataset.sample_ids == ["s-1", "s-2"]
    assert dataset.features.shape == (2, 2)


@pytest.mark.parametrize("metadata", [b"nfeatures\n1", b"nfeatures,targettype,targetmin\n1,linear,0"])
def test_prediction_file_without_classes(tmp_path: Path, metadata: bytes) -> None:
    assert read_unlabelled(place(tmp_path, metadata + b"\nsampleid,f\n1-0,0.5\n")).header.classes is None


def test_target_without_a_name(tmp_path: Path) -> None:
    dataset = read_labelled(place(tmp_path, b'nfeatures,targetclasses\n1,"[0,1]"\nf,\n0.5,1\n'))
    assert dataset.header.target == ""
    assert dataset.labels is not None


def test_any_finite_value_and_repeated_column_names(tmp_path: Path) -> None:
    content = b'nfeatures,targetclasses\n3,"[0,1]"\nf,f,f\xc3\xa9,t\n-1e30,255,.5e-3,0\n'
    dataset = read_labelled(place(tmp_path, content))
    assert dataset.header.columns == ("f", "f", "fé")
    np.testing.assert_array_equal(dataset.features, np.array([[-1e30, 255, 0.0005]], np.float32))


def generated(rows: int, nfeatures: int, labelled: bool) -> tuple[bytes, np.ndarray]:
    """A file whose cells are of many widths, and its features."""
    cells = np.random.default_rng(7).integers(-100, 101, (rows, nfeatures)) / 100
    text = [[f"{cell:.14G}" if cell else "" for cell in row] for row in cells]
    if labelled:
        lines = [",".join([*row, str(i % 2)]) for i, row in enumerate(text)]
        names = [*(f"input-{i}" for i in range(nfeatures)), "TARGET"]
    else:
        lines = [",".join([f"{i}-0", *row]) for i, row in enumerate(text)]
        names = ["sampleid", *(f"input-{i}" for i in range(nfeatures))]
    head = f'nfeatures,targetclasses\n{nfeatures},"[0,1]"\n{",".join(names)}\n'
    return (head + "\n".join(lines)).encode(), np.where(cells == 0, np.nan, cells).astype(np.float32)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("batch_bytes", [1, 400, 4096, 1 << 20])
def test_batches_hold_what_the_whole_holds(tmp_path: Path, labelled: bool, batch_bytes: int) -> None:
    rows = 30 if batch_bytes == 1 else 200  # a batch of its own for each row
    content, features = generated(rows, 5, labelled)
    path = place(tmp_path, content)
    header, batches = read_batches(path, labelled=labelled, batch_bytes=batch_bytes)
    parts = list(batches)
    assert all(part.header is header for part in parts)
    assert (len(parts) > 1) == (batch_bytes < len(content))
    assert all(len(part.features) for part in parts)
    np.testing.assert_array_equal(np.concatenate([part.features for part in parts]), features)
    if labelled:
        assert [label for part in parts for label in part.labels] == [i % 2 for i in range(rows)]
    else:
        assert [sample_id for part in parts for sample_id in part.sample_ids] == [f"{i}-0" for i in range(rows)]


def test_a_batch_of_many_columns_has_many_rows(tmp_path: Path) -> None:
    """Each batch costs time for each column, so small ones would cost the square of the columns."""
    content, _ = generated(200, 5_000, labelled=False)
    assert len(content) > 2 * BATCH_BYTES
    _, batches = read_batches(place(tmp_path, content), labelled=False)
    assert [len(batch.features) for batch in batches] == [200]


@pytest.mark.parametrize("labelled", [True, False])
def test_whole_file_of_several_batches(tmp_path: Path, labelled: bool) -> None:
    content, features = generated(30_000, 20, labelled)
    path = place(tmp_path, gzip.compress(content, 1))
    assert len(list(read_batches(path, labelled=labelled)[1])) > 1
    dataset = read_labelled(path) if labelled else read_unlabelled(path)
    np.testing.assert_array_equal(dataset.features, features)
    assert (dataset.labels is None) != labelled
    assert (dataset.sample_ids is None) == labelled


def test_batches_take_bounded_memory(tmp_path: Path) -> None:
    """Batches of 1 MB of text out of 40 MB, whose features are 64 MB; pyarrow 17 keeps more than later versions."""
    path = tmp_path / "large.gz"
    line = b",".join([b"0.25", b""] * 200 + [b"1\n"])
    with gzip.open(path, "wb", 1) as file:
        file.write(b'nfeatures,targetclasses\n400,"[0,1]"\n' + b"f," * 400 + b"t\n" + line * 40_000)
    rows, arrow_bytes = 0, 0
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    for batch in read_batches(path, labelled=True, batch_bytes=1 << 20)[1]:
        rows += len(batch.features)
        arrow_bytes = max(arrow_bytes, pa.total_allocated_bytes() - before)
    python_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 40_000
    assert arrow_bytes < 32 << 20
    assert python_bytes < 8 << 20


def test_batches_left_unread_let_go_of_the_file(tmp_path: Path) -> None:
    path = place(tmp_path, generated(200, 5, True)[0])
    _, batches = read_batches(path, labelled=True, batch_bytes=100)
    del batches
    gc.collect()  # a file left open is a ResourceWarning, and pytest makes an error of it


@pytest.mark.parametrize("name", ["größe 数据.csv", "-dash", "a\nb"])
def test_any_file_name(tmp_path: Path, name: str) -> None:
    path = place(tmp_path, LABELLED, name)
    assert same(read_labelled(path), read_labelled(str(path)))


def test_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9"
    Path(os.fsdecode(path)).write_bytes(LABELLED)
    assert read_labelled(os.fsdecode(path)).header.source.endswith("caf\\xe9")


@pytest.mark.parametrize("change", [bytes, gzip.compress])
def test_standard_input(change) -> None:
    code = (
        "from moodlemlbackend.dataset.data_set import read_unlabelled\n"
        "data = read_unlabelled('-'); print(data.header.source, data.sample_ids)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], input=change(UNLABELLED), capture_output=True, check=True, cwd=ROOT
    )
    assert run.stdout.decode().split() == ["standard", "input", "['1083-0',", "'1084-0']"]


@pytest.mark.skipif(importlib.util.find_spec("pandas") is None, reason="pandas is not installed")
def test_reading_and_writing_leave_pandas_unloaded(tmp_path: Path) -> None:
    """pyarrow imports pandas behind some of its calls, which costs more than reading the file."""
    code = (
        "import sys, io; from moodlemlbackend.dataset import data_set as dataset;"
        "d = dataset.read_labelled(sys.argv[1]);"
        "dataset.write(io.BytesIO(), d.header.metadata, d.header.columns, d.features, labels=d.labels);"
        "sys.exit('pandas' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, place(tmp_path, LABELLED)], check=True, cwd=ROOT)


@needs_shared
@pytest.mark.parametrize(
    ("name", "shape", "share"),
    [
        ("split-evaluation-train.csv.gz", (14139, 422), 0.157),
        ("test-366-1904-training.csv.gz", (1904, 365), 0.143),
        ("tiny.csv", (2, 3), 0.5),
    ],
)
def test_real_labelled_files(name: str, shape: tuple[int, int], share: float) -> None:
    dataset = read_labelled(SHARED / "data" / name)
    assert dataset.features.shape == shape
    assert dataset.labels is not None
    assert dataset.labels.mean() == pytest.approx(share, abs=0.0005)


@needs_shared
@pytest.mark.parametrize(
    ("name", "shape", "first", "last"),
    [
        ("split-evaluation-predict.csv.gz", (1570, 422), "sample-0", "sample-1569"),
        ("test-366-252-prediction.csv.gz", (252, 365), "sample-1", None),
    ],
)
def test_real_prediction_files(name: str, shape: tuple[int, int], first: str, last: str | None) -> None:
    dataset = read_unlabelled(SHARED / "data" / name)
    assert dataset.features.shape == shape
    assert dataset.sample_ids is not None
    assert dataset.sample_ids[0] == first
    assert last in (None, dataset.sample_ids[-1])
    assert len(set(dataset.sample_ids)) == shape[0]


@needs_shared
def test_a_prediction_file_has_the_columns_of_its_training_file() -> None:
    training = read_labelled(SHARED / "data" / "test-366-1904-training.csv.gz").header
    assert read_unlabelled(SHARED / "data" / "test-366-252-prediction.csv.gz").header.columns == training.columns


@needs_shared
def test_real_cells_equal_those_numpy_reads() -> None:
    path = SHARED / "data" / "split-evaluation-predict.csv.gz"
    with gzip.open(path) as file:
        expected = np.genfromtxt(file, delimiter=",", skip_header=3, dtype=np.float32)[:, 1:]
    np.testing.assert_array_equal(read_unlabelled(path).features, expected)
