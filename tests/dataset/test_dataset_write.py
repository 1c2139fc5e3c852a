"""Writing data set files: byte for byte as Moodle writes them, and whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from fixtures.paths import SHARED, needs_shared
from moodlemlbackend.dataset.data_set import DataSet, read_labelled, read_unlabelled, write
from moodlemlbackend.errors import DataSetError, StorageError

METADATA = {"nfeatures": "2", "targetcolumn": "\\core\\target", "targetclasses": "[0,1]"}
HEAD = b'nfeatures,targetcolumn,targetclasses\n2,"\\core\\target","[0,1]"\n'
COLUMNS = ["range/0", "\\core\\indicator/mean"]


def written(features: Any, columns: list[str] = COLUMNS, **keywords: Any) -> bytes:
    stream = io.BytesIO()
    write(stream, METADATA, columns, features, **keywords)
    return stream.getvalue()


def rewritten(dataset: DataSet) -> bytes:
    header, stream = dataset.header, io.BytesIO()
    labels = None if dataset.labels is None else np.array(header.classes)[dataset.labels]
    write(stream, header.metadata, header.columns, dataset.features, labels=labels, sample_ids=dataset.sample_ids)
    return stream.getvalue()


def test_labelled_file() -> None:
    features = np.array([[1, 0.33], [np.nan, -0.0]], np.float32)
    expected = HEAD + b'range/0,"\\core\\indicator/mean","\\core\\target"\n1,0.33,1\n,-0,0\n'
    assert written(features, labels=np.array([1, 0])) == expected
    assert written(features, labels=["1", "0"]) == expected
    assert written(np.asfortranarray(features), labels=[1.0, 0.0]) == expected
    assert written([[1, 0.33], [None, -0.0]], labels=[1, 0]) == expected


def test_unlabelled_file() -> None:
    expected = HEAD + b'sampleid,range/0,"\\core\\indicator/mean"\n12-0,0,1\n13-0,1,0\n'
    assert written(np.eye(2)[::-1], sample_ids=["12-0", "13-0"]) == expected
    assert written(np.eye(2, dtype=np.int64)[::-1], sample_ids=["12-0", "13-0"]) == expected
    assert written(np.eye(2, dtype=bool)[::-1], sample_ids=["12-0", "13-0"]) == expected


def test_name_of_the_class_column() -> None:
    assert written(np.zeros((1, 2)), labels=[1], target="T").splitlines()[2] == b'range/0,"\\core\\indicator/mean",T'


def test_cells_of_many_kinds_and_text_as_it_stands() -> None:
    cells = [[None, "1.00"], [-1, -0.0], [np.float32(0.1), np.float64(0.1)], [True, "-0.50"], [float("nan"), 7]]
    rows = written(np.array(cells, dtype=object), sample_ids=list("abcde")).splitlines()[3:]
    assert rows == [b"a,,1.00", b"b,-1,-0", b"c,0.1,0.1", b"d,1,-0.50", b"e,,7"]
    assert written([["1.00", ""]], sample_ids=["a"]).splitlines()[3:] == [b"a,1.00,"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "-0"),
        (0.1 + 0.2, "0.3"),
        (1 / 3, "0.33333333333333"),
        (-2 / 3, "-0.66666666666667"),
        (0.0001, "0.0001"),
        (0.00001, "1.0E-5"),
        (1.5e-7, "1.5E-7"),
        (123456.75, "123456.75"),
        (1e14, "1.0E+14"),
        (1.5e15, "1.5E+15"),
        (-1e100, "-1.0E+100"),
    ],
)
def test_floats_as_php_prints_them(value: float, text: str) -> None:
    for cells in (np.array([[value, 0]]), np.array([[value, 0]], dtype=object)):
        assert written(cells, sample_ids=["a"]).splitlines()[3].decode() == f"a,{text},0"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("range/0", "range/0"),
        ("", ""),
        ("a b", '"a b"'),
        ("a\tb", '"a\tb"'),
        ("a,b", '"a,b"'),
        ('a"b', '"a""b"'),
        ("\\a", '"\\a"'),
        ('a\\"b', '"a\\"b"'),
        ('a\\""b', '"a\\"""b"'),
        ("a\\", '"a\\"'),
        ("it's;größe|x", "it's;größe|x"),
    ],
)
def test_names_and_ids_as_php_quotes_them(name: str, field: str) -> None:
    lines = written(np.zeros((1, 2)), [name, "f"], sample_ids=[name]).decode().splitlines()
    assert lines[2:] == [f"sampleid,{field},f", f"{field},0,0"]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", 'a\\",b', "\ud800"])
def test_text_that_would_not_come_back(text: str) -> None:
    expected = (
        f"{text!r} cannot be written to a data set; remove line breaks, NUL characters and backslash-quote pairs."
    )
    for keywords in ({"columns": [text, "f"], "sample_ids": ["a"]}, {"sample_ids": [text]}, {"labels": [text]}):
        with pytest.raises(DataSetError) as caught:
            written(np.zeros((1, 2)), **keywords)
        assert str(caught.value) == expected


@pytest.mark.parametrize("kind", [np.float32, np.float64, object])
def test_infinite_value(kind: type) -> None:
    with pytest.raises(DataSetError) as caught:
        written(np.array([[0, 1], [0, -np.inf]], dtype=kind), sample_ids=["a", "b"])
    assert str(caught.value) == (
        "The column \\core\\indicator/mean has an infinite value, which is not allowed in a data set; leave "
        "the cell empty."
    )


@pytest.mark.parametrize(
    ("features", "keywords"),
    [
        (np.zeros((1, 3)), {"labels": [1]}),
        (np.zeros(2), {"labels": [1]}),
        (np.zeros((1, 2)), {}),
        (np.zeros((1, 2)), {"labels": [1], "sample_ids": ["a"]}),
        (np.zeros((1, 2)), {"labels": [1, 0]}),
    ],
)
def test_arguments_that_do_not_fit(features: np.ndarray, keywords: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"features|give either"):
        written(features, **keywords)


def test_file_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "größe"
    path.write_bytes(b"old")
    write(path, METADATA, COLUMNS, np.zeros((1, 2)), labels=[1])
    write(str(tmp_path / "other"), METADATA, COLUMNS, np.zeros((1, 2)), labels=[1])
    assert path.read_bytes() == (tmp_path / "other").read_bytes() == written(np.zeros((1, 2)), labels=[1])
    assert sorted(tmp_path.iterdir()) == sorted([path, tmp_path / "other"])


def test_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "dataset"
    path.write_bytes(b"old")
    features = np.zeros((10_000, 2))
    features[-1, 0] = np.inf
    with pytest.raises(DataSetError):
        write(path, METADATA, COLUMNS, features, labels=np.zeros(10_000))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("dataset")
    write(tmp_path / "link", METADATA, COLUMNS, np.zeros((1, 2)), labels=[1])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "dataset").read_bytes() == written(np.zeros((1, 2)), labels=[1])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_written_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()))
    reader.start()
    write(path, METADATA, COLUMNS, np.zeros((1, 2)), labels=[1])
    reader.join(timeout=10)
    assert received == [written(np.zeros((1, 2)), labels=[1])]
    assert path.is_fifo()


@pytest.mark.parametrize(
    ("name", "place", "reason"),
    [
        ("missing/dataset", "missing", "No such file or directory; check that it exists and that its disk is mounted"),
        ("", "", "Is a directory; there is a directory where a file is needed; give the name of a file"),
    ],
)
def test_path_that_cannot_be_written(tmp_path: Path, name: str, place: str, reason: str) -> None:
    with pytest.raises(StorageError) as caught:
        write(tmp_path / name, METADATA, COLUMNS, np.zeros((1, 2)), labels=[1])
    assert str(caught.value) == f"Cannot use {tmp_path / place}: {reason}."


texts = st.text(st.sampled_from('ab01/-\\"" ,\t;\'|é数\ufeff') | st.characters(exclude_categories=["Cs"]), max_size=8)
names = texts.filter(lambda text: not set(text) & set("\0\r\n") and '\\",' not in text)
finite = st.floats(-1, 1, width=32) | st.floats(width=32, allow_nan=True, allow_infinity=False)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    columns = data.draw(st.lists(names.filter(lambda name: name != "sampleid"), min_size=1, max_size=4))
    sample_ids = data.draw(st.lists(names.filter(bool), min_size=1, max_size=5, unique=True))
    features = data.draw(nps.arrays(np.float32, (len(sample_ids), len(columns)), elements=finite))
    labels = data.draw(st.lists(st.sampled_from([0, 1]), min_size=len(sample_ids), max_size=len(sample_ids)))
    value = data.draw(names)
    metadata = {"nfeatures": str(len(columns)), "targetclasses": "[0,1]", "note": value}
    path = tmp_path_factory.getbasetemp() / "dataset"

    write(path, metadata, columns, features, sample_ids=sample_ids)
    unlabelled = read_unlabelled(path)
    write(path, metadata, columns, features, labels=labels, target="T")
    labelled = read_labelled(path)

    assert unlabelled.header.metadata == labelled.header.metadata == metadata
    assert unlabelled.sample_ids == sample_ids
    assert labelled.labels is not None
    assert labelled.labels.tolist() == labels
    assert unlabelled.header.columns == tuple(columns)
    for dataset in (unlabelled, labelled):
        np.testing.assert_array_equal(dataset.features, features)
        filled = ~np.isnan(features)
        np.testing.assert_array_equal(np.signbit(dataset.features[filled]), np.signbit(features[filled]))


def moodle_files() -> list[Path]:
    """The data sets as Moodle wrote them, with their header rows."""
    return [path for path in sorted((SHARED / "oracle" / "datasets").glob("*/*.csv.gz")) if "with-ids" not in path.name]


STORED_TEXT = {  # cells taken from the store of calculations, such as 1.00, which are written as numbers here
    "course_completion--quarters_accum--predict-1795366503.csv.gz",
    "course_completion--quarters_accum--train-1795366478.csv.gz",
    "course_dropout--quarters--predict-1795366773.csv.gz",
    "course_dropout--quarters--train-1795366759.csv.gz",
}


@needs_shared
@pytest.mark.parametrize("path", moodle_files(), ids=lambda path: path.name.removesuffix(".csv.gz"))
def test_moodle_files_come_back_byte_for_byte(path: Path) -> None:
    with gzip.open(path) as file:
        content = file.read()
    dataset = read_unlabelled(path) if "--predict-" in path.name else read_labelled(path)
    if path.name in STORED_TEXT:
        head, rows = content.split(b"\n", 3)[:3], content.split(b"\n", 3)[3].replace(b".00", b"")
        content = b"\n".join([*head, rows])
    assert rewritten(dataset) == content
