"""Rows and items in files without a name: read as they were written, gone with their holder, refused in a sentence."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

from moodlemlbackend import scratch, spooled
from moodlemlbackend.errors import StorageError
from moodlemlbackend.spooled import SpooledItems, SpooledRows


@pytest.mark.parametrize("shape", [(), (3,)])
def test_rows_are_read_as_they_were_written(shape, monkeypatch):
    monkeypatch.setattr(spooled, "ROWS_AT_ONCE", 4)
    every = np.random.default_rng(0).normal(size=(10, *shape)).astype(np.float32)
    rows = SpooledRows(np.float32, *shape)
    for part in (every[:3], every[3:3], every[3:].T.copy().T):
        rows.add(part)
    assert len(rows) == 10
    assert [len(piece) for piece in rows.pieces()] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([*rows.pieces()]), every)
    np.testing.assert_array_equal(rows.read(2, 5), every[2:5])
    np.testing.assert_array_equal(rows.take([9, 0, 4]), every[[9, 0, 4]])


def test_items_are_read_as_they_were_written():
    items = SpooledItems()
    every = [{"text": "Übung\n", "number": 0.1 + 0.2}, None, [1, "2"]]
    for item in every:
        items.add(item)
    assert len(items) == 3
    assert [*items] == every
    assert items[1] is None
    assert items[2] == [1, "2"]


def test_no_file_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    items = SpooledItems()
    items.add("text")
    assert not [*tmp_path.iterdir()], "the file has no name"
    file = items._spool._file
    assert os.fstat(file.fileno()).st_size == 6
    del items
    gc.collect()
    assert file.closed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(scratch, "nameless_file", lambda: os.open("/dev/full", os.O_RDWR))
    rows = SpooledRows(np.float64)
    sentence = f"A temporary file cannot be written in {tmp_path}: No space left on device; free some space there"
    with pytest.raises(StorageError, match=sentence):
        rows.add(np.zeros(3))
