"""Files that are no data set: each is refused with one sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.paths import ROOT
from moodlemlbackend.dataset.data_set import read_batches, read_labelled, read_unlabelled
from moodlemlbackend.errors import DataSetError, NoDataSetError

LABELLED_HEAD = b'nfeatures,targetcolumn,targettype,targetclasses\n2,T,discrete,"[0,1]"\nf1,f2,T\n'
UNLABELLED_HEAD = b'nfeatures,targetcolumn,targettype,targetclasses\n2,T,discrete,"[0,1]"\nsampleid,f1,f2\n'
NOBODY = 65534


def refusal(path: Path | str, *, labelled: bool, kind: type[DataSetError] = DataSetError) -> str:
    """The sentence with which a file is refused, its path written FILE."""
    with pytest.raises(DataSetError) as caught:
        (read_labelled if labelled else read_unlabelled)(path)
    assert type(caught.value) is kind
    return str(caught.value).replace(str(path), "FILE")


def place(directory: Path, content: bytes) -> Path:
    path = directory / "dataset"
    path.write_bytes(content)
    return path


# Files.


def test_no_file(tmp_path: Path) -> None:
    expected = "There is no data set file FILE; check the path."
    assert refusal(tmp_path / "größe", labelled=True, kind=NoDataSetError) == expected
    place(tmp_path, b"")
    assert refusal(tmp_path / "dataset" / "in-a-file", labelled=True, kind=NoDataSetError) == expected


def test_nul_in_the_path() -> None:
    expected = "The data set file name 'a\\x00b' contains a NUL character; check the path."
    assert refusal("a\0b", labelled=True, kind=NoDataSetError) == expected


def test_directory(tmp_path: Path) -> None:
    assert refusal(tmp_path, labelled=True) == "FILE is a directory; give the path of a data set file."


@contextmanager
def without_privileges() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX accounts")
def test_file_of_another_account(tmp_path: Path) -> None:
    path = place(tmp_path, LABELLED_HEAD + b"0,0,1\n")
    path.chmod(0)
    with without_privileges():
        message = refusal(path, labelled=True)
    assert message == "FILE cannot be read: permission denied; give the user who runs this command access to it."


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens but cannot be read")
def test_file_that_cannot_be_read() -> None:
    message = refusal("/proc/self/mem", labelled=True)
    assert message == "FILE cannot be read (Input/output error); check the path and the disk."


def test_empty_file(tmp_path: Path) -> None:
    expected = "FILE is empty; a data set needs three header rows and one row per sample."
    assert refusal(place(tmp_path, b""), labelled=True, kind=NoDataSetError) == expected
    assert refusal(place(tmp_path, gzip.compress(b"")), labelled=False, kind=NoDataSetError) == expected


@pytest.mark.parametrize("standard_input", [b"", None])
def test_standard_input_empty_or_closed(standard_input: bytes | None) -> None:
    code = (
        "from moodlemlbackend.dataset.data_set import read_labelled\n"
        "try: read_labelled('-')\nexcept Exception as error: print(repr(error))"
    )
    close = "<&-" if standard_input is None else ""
    run = subprocess.run(
        ["/bin/sh", "-c", f'"$0" -c "$1" {close}', sys.executable, code],
        input=standard_input,
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    assert run.stdout.decode().strip() == (
        "NoDataSetError('Standard input is closed; pipe the data set into the command, or give the path of a file.')"
        if standard_input is None
        else "NoDataSetError('standard input is empty; a data set needs three header rows and one row per sample.')"
    )


@pytest.mark.parametrize("size", [2, 15, 60, -9, -1])
def test_truncated_gzip(tmp_path: Path, size: int) -> None:
    content = gzip.compress(LABELLED_HEAD + b"0.25,0.75,1\n" * 50)[:size]
    assert refusal(place(tmp_path, content), labelled=True) == (
        "FILE is a damaged or incomplete gzip file "
        "(Compressed file ended before the end-of-stream marker was reached); copy it again."
    )


@pytest.mark.parametrize("position", [2, 10, -6])
def test_corrupt_gzip(tmp_path: Path, position: int) -> None:
    content = bytearray(gzip.compress(LABELLED_HEAD + b"0.25,0.75,1\n" * 50))
    content[position] ^= 0xFF
    message = refusal(place(tmp_path, bytes(content)), labelled=True)
    assert message.startswith("FILE is a damaged or incomplete gzip file (")
    assert message.endswith("); copy it again.")


# Header rows.

HEADERS = [
    (b"nfeatures\n", "FILE ends after row 1; a data set needs three header rows and one row per sample."),
    (b"\n", "FILE ends after row 1; a data set needs three header rows and one row per sample."),
    (b"nfeatures\n2\n", "FILE ends after row 2; a data set needs three header rows and one row per sample."),
    (
        b"nfeatures,targetclasses\n2\nf1,f2,T\n0,0,1\n",
        "Rows 1 and 2 of FILE have 2 names but 1 values; give one value for each name.",
    ),
    (b"nfeatures,nfeatures\n2,2\nf1,f2,T\n0,0,1\n", "Row 1 of FILE has the same name twice; keep only one of them."),
    (
        b'targetclasses\n"[0,1]"\nf1,T\n0,1\n',
        "Row 1 of FILE has no nfeatures; add it with the number of features.",
    ),
    (b"nfeatures\n1\nf1,T\n0,1\n", "Row 1 of FILE has no targetclasses, which a labelled data set needs; add it."),
    (
        b'nfeatures,targetclasses\n3,"[0,1]"\nf1,f2,T\n0,0,1\n',
        "Row 3 of FILE names 3 columns, but nfeatures in row 2 is 3; it must name 3 features and the class column.",
    ),
    (
        b'nfeatures,targetclasses\n1,"[0,1]"\n\n0,1\n',
        "Row 3 of FILE names 0 columns, but nfeatures in row 2 is 1; it must name 1 features and the class column.",
    ),
    (
        b"nfeatures,targettype,targetmin\n1,linear,0\nf1,T\n0,1\n",
        "FILE has a linear target (targettype in row 2); "
        "this backend predicts classes, not numbers; use a discrete target.",
    ),
    (
        b'nfeatures,targetclasses\n1,"[0,1]\nf1,T\n0,1\n',
        "Row 2 of FILE has a quotation mark that is not closed or not doubled; correct it.",
    ),
    (b"nfeatures\n1\nf\xe9,T\n0,1\n", "Row 3 of FILE is not UTF-8 text; save the file as UTF-8."),
    (b"nfea\0tures\n1\nf,T\n0,1\n", "Row 1 of FILE has a NUL byte inside the line; write the file again."),
    (LABELLED_HEAD.decode().encode("utf-16"), "FILE is UTF-16 text; save it as UTF-8."),
    (b"\xfe\xff" + LABELLED_HEAD.decode().encode("utf-16-be"), "FILE is UTF-16 text; save it as UTF-8."),
    (
        LABELLED_HEAD.replace(b"\n", b"\r"),
        "Row 1 of FILE has a carriage return inside the line; write the file again.",
    ),
    (
        UNLABELLED_HEAD + b"1-0,0,0\n",
        "FILE is a prediction file (row 3 begins with sampleid); give a labelled data set.",
    ),
]


@pytest.mark.parametrize(("content", "expected"), HEADERS)
def test_bad_header(tmp_path: Path, content: bytes, expected: str) -> None:
    assert refusal(place(tmp_path, content), labelled=True) == expected


@pytest.mark.parametrize("count", ["0", "-1", "2.5", "", "two", "98|104", "9" * 5000])
def test_nfeatures_that_is_no_count(tmp_path: Path, count: str) -> None:
    content = f'nfeatures,targetclasses\n{count},"[0,1]"\nf1,f2,T\n0,0,1\n'.encode()
    shown = repr(count if len(count) <= 40 else count[:40] + "…")
    expected = f"nfeatures in row 2 of FILE is {shown}; use a positive whole number."
    assert refusal(place(tmp_path, content), labelled=True) == expected


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(
    "classes", ["", "0,1", "[0]", "[]", "[0,0]", "[1,1.0]", "[0,[1]]", '{"0":1}', "[0,1]|[0,1,2]", "[" * 100_000]
)
def test_targetclasses_that_are_no_classes(tmp_path: Path, classes: str, labelled: bool) -> None:
    head = LABELLED_HEAD if labelled else UNLABELLED_HEAD
    content = head.replace(b"[0,1]", classes.replace('"', '""').encode()) + b"0,0,1\n"
    shown = repr(classes if len(classes) <= 40 else classes[:40] + "…")
    assert refusal(place(tmp_path, content), labelled=labelled) == (
        f"targetclasses in row 2 of FILE is {shown}; use a JSON list of two or more different classes, such as [0,1]."
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (b"f1,f2,T", "FILE is a labelled data set (row 3 ends in the target); give a prediction file."),
        (
            b"sampleid,f1",
            "Row 3 of FILE names 2 columns, but nfeatures in row 2 is 2; "
            "it must name 2 features and the sample id column.",
        ),
        (
            b"f1",
            "Row 3 of FILE names 1 columns, but nfeatures in row 2 is 2; "
            "it must name 2 features and the sample id column.",
        ),
    ],
)
def test_bad_header_of_a_prediction_file(tmp_path: Path, names: bytes, expected: str) -> None:
    content = UNLABELLED_HEAD.replace(b"sampleid,f1,f2", names) + b"1-0,0,0\n"
    assert refusal(place(tmp_path, content), labelled=False) == expected


@pytest.mark.parametrize("end", [b"", b"\n\n"])
def test_no_rows(tmp_path: Path, end: bytes) -> None:
    path = place(tmp_path, LABELLED_HEAD + end)
    expected = "FILE has no samples after its three header rows; collect some data first."
    assert refusal(path, labelled=True, kind=NoDataSetError) == expected


# Rows. Each is row 5 of a file whose other rows are right.

CELLS = "which is not a finite number; correct it or leave the cell empty."
LABELLED_ROWS = [
    (b"0,1", "Row 5 of FILE has 2 cells but must have 3, according to row 2; correct the row."),
    (b"0,0,0,1", "Row 5 of FILE has 4 cells but must have 3, according to row 2; correct the row."),
    (b"", "Row 5 of FILE is blank; remove it."),
    (b"abc,0,1", f"Row 5 of FILE, column 1 (f1) holds 'abc', {CELLS}"),
    (b"0,nan,1", f"Row 5 of FILE, column 2 (f2) holds 'nan', {CELLS}"),
    (b"NaN,0,1", f"Row 5 of FILE, column 1 (f1) holds 'NaN', {CELLS}"),
    (b"0,-inf,1", f"Row 5 of FILE, column 2 (f2) holds '-inf', {CELLS}"),
    (b"Infinity,0,1", f"Row 5 of FILE, column 1 (f1) holds 'Infinity', {CELLS}"),
    (b"1e39,0,1", f"Row 5 of FILE, column 1 (f1) holds '1e39', {CELLS}"),
    (b"1_0,0,1", f"Row 5 of FILE, column 1 (f1) holds '1_0', {CELLS}"),
    (b" ,0,1", f"Row 5 of FILE, column 1 (f1) holds ' ', {CELLS}"),
    (b'"0,5",0,1', f"Row 5 of FILE, column 1 (f1) holds '0,5', {CELLS}"),
    ("١,0,1".encode(), f"Row 5 of FILE, column 1 (f1) holds '١', {CELLS}"),
    (b"x" * 50 + b",0,1", f"Row 5 of FILE, column 1 (f1) holds '{'x' * 40}…', {CELLS}"),
    (b"0,0,2", "Row 5 of FILE, column 3 (T) holds '2', which is not among the targetclasses (0, 1); correct it."),
    (b"0,0,yes", "Row 5 of FILE, column 3 (T) holds 'yes', which is not among the targetclasses (0, 1); correct it."),
    (b"0,0,nan", "Row 5 of FILE, column 3 (T) holds 'nan', which is not among the targetclasses (0, 1); correct it."),
    (b"0,0,", "Row 5 of FILE has no class in its last cell (T); add one or remove the row."),
    (b"0,\0,1", "Row 5 of FILE has a NUL byte inside the line; write the file again."),
    (b"0,0,1\r1,1,1", "Row 5 of FILE has a carriage return inside the line; write the file again."),
    (b"\xe9,0,1", "Row 5 of FILE is not UTF-8 text; save the file as UTF-8."),
    (b"0,0,\xe9", "Row 5 of FILE is not UTF-8 text; save the file as UTF-8."),
    (b'0,0,"1', "Row 5 of FILE has a quotation mark that is not closed or not doubled; correct it."),
]
UNLABELLED_ROWS = [
    (b'"2"-0,0,0', "Row 5 of FILE has a quotation mark that is not closed or not doubled; correct it."),
    (b'2"-0,0,0', "Row 5 of FILE has a quotation mark that is not closed or not doubled; correct it."),
    (b"1-0,0,0", "Rows 4 and 5 of FILE have the same sample id '1-0'; keep one of them."),
    (b",0,0", "Row 5 of FILE has no sample id in its first cell; add one."),
    (b'"",0,0', "Row 5 of FILE has no sample id in its first cell; add one."),
    (b"", "Row 5 of FILE is blank; remove it."),
    (b"2-0,0", "Row 5 of FILE has 2 cells but must have 3, according to row 2; correct the row."),
    (b"2-0,0,0,1", "Row 5 of FILE has 4 cells but must have 3, according to row 2; correct the row."),
    (b"2-0,0,x", f"Row 5 of FILE, column 3 (f2) holds 'x', {CELLS}"),
    (b"2-0,inf,0", f"Row 5 of FILE, column 2 (f1) holds 'inf', {CELLS}"),
    (b"\xe9,0,0", "Row 5 of FILE is not UTF-8 text; save the file as UTF-8."),
    (b'"2\n-0",0,0', "Row 5 of FILE has a quotation mark that is not closed or not doubled; correct it."),
    (b'"2-0,0,0', "Row 5 of FILE has a quotation mark that is not closed or not doubled; correct it."),
]
ROWS = [(True, *row) for row in LABELLED_ROWS] + [(False, *row) for row in UNLABELLED_ROWS]


@pytest.mark.parametrize("batch_bytes", [1, 1 << 20])
@pytest.mark.parametrize(("labelled", "row", "expected"), ROWS)
def test_bad_row(tmp_path: Path, labelled: bool, row: bytes, expected: str, batch_bytes: int) -> None:
    """The sentence does not depend on where the batches end."""
    before, after = (b"0,0,0\n", b"\n1,,1\n") if labelled else (b"1-0,0,0\n", b"\n3-0,1,\n")
    path = place(tmp_path, (LABELLED_HEAD if labelled else UNLABELLED_HEAD) + before + row + after)
    with pytest.raises(DataSetError) as caught:
        list(read_batches(path, labelled=labelled, batch_bytes=batch_bytes)[1])
    assert type(caught.value) is DataSetError
    assert str(caught.value).replace(str(path), "FILE") == expected


def test_cell_longer_than_csv_allows(tmp_path: Path) -> None:
    path = place(tmp_path, LABELLED_HEAD + b"x" * 200_000 + b",0,1\n")
    message = refusal(path, labelled=True)
    assert message == (
        "Row 4 of FILE has a field of more than 131,072 characters; shorten it, or close a quotation mark "
        "left open earlier."
    )


@pytest.mark.parametrize(("head", "row"), [(b"", 1), (b"nfeatures\n1\n", 3), (LABELLED_HEAD + b"0,0,1\n", 5)])
def test_endless_line(tmp_path: Path, head: bytes, row: int) -> None:
    """100 MB without a line end are refused without being held in memory."""
    path = tmp_path / "dataset"
    with gzip.open(path, "wb", 1) as file:
        file.write(head)
        for _ in range(100):
            file.write(b"0," * 500_000)
    tracemalloc.start()
    message = refusal(path, labelled=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message == f"Row {row} of FILE has no line break within 16 MiB; this is not a data set file."
    assert peak < 64 << 20


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    labelled=st.booleans(),
    edits=st.lists(
        st.tuples(
            st.integers(0, 200),
            st.integers(0, 3),
            st.sampled_from([*b'0,.-"\\\n\r \0\xe9aeN+', 0xEF, 0xC3]).map(lambda b: bytes([b])) | st.binary(max_size=3),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_any_damage_is_read_or_refused_in_a_sentence(tmp_path: Path, labelled: bool, edits) -> None:
    content = LABELLED_HEAD + b"0,1,0\n,0.25,1\n-1,,0\n" if labelled else UNLABELLED_HEAD + b"1-0,1,0\n2-0,,.5\n3-0,,\n"
    for position, removed, added in edits:
        content = content[:position] + added + content[position + removed :]
    path = place(tmp_path, content)
    outcomes = []
    for batch_bytes in (1, 1 << 20):
        try:
            batches = list(read_batches(path, labelled=labelled, batch_bytes=batch_bytes)[1])
        except DataSetError as error:
            message = str(error)
            assert str(path) in message
            assert message.endswith(".")
            assert "\n" not in message
            assert "A row of" not in message, "the cause was not found"
            outcomes.append(None)
        else:
            outcomes.append([cell for batch in batches for cell in batch.features.ravel().tolist()])
    np.testing.assert_equal(outcomes[0], outcomes[1])


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_other_signs_between_fields(tmp_path: Path, sign: str, name: str) -> None:
    path = tmp_path / "d.csv"
    path.write_text(f'nfeatures{sign}targetclasses\n1{sign}"[0,1]"\na{sign}t\n1{sign}0\n')
    with pytest.raises(DataSetError, match=f"separates its fields with {name}"):
        read_labelled(path)


def test_a_name_that_is_longer_than_csv_allows(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text('nfeatures,targetclasses\n1,"[0,1]"\n"' + "a" * 131_073 + '",t\n1,0\n')
    with pytest.raises(DataSetError, match=r"Row 3 of .* has a field of more than 131,072 characters"):
        read_labelled(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataSetError, match="is a named pipe"):
        read_labelled(tmp_path / "pipe")


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs descriptors as files")
def test_a_pipe_of_the_shell_is_read(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b'nfeatures,targetclasses\n1,"[0,1]"\na,t\n1,0\n0,1\n')
    os.close(writer)
    assert len(read_labelled(f"/dev/fd/{reader}").features) == 2
    os.close(reader)
