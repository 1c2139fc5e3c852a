"""Arrays in files in place of memory: equal in all they say, gone with the process, refused in one sentence."""

from __future__ import annotations

import errno
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from moodlemlbackend import mapped, scratch
from moodlemlbackend.errors import StorageError
from moodlemlbackend.model.codes import code, join


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Nearly every array is large; returns the folder of the files."""
    monkeypatch.setattr(mapped, "LARGE", 500)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def in_file(array: np.ndarray) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


@pytest.fixture
def features():
    """Columns of hundredths, and one that is not of these from its 400th row on."""
    features = np.random.default_rng(0).integers(-100, 101, (900, 4)).astype(np.float32) / 100
    features[400:, 2] = np.random.default_rng(1).normal(size=500)
    features[::7, 1] = np.nan
    return features


@pytest.mark.parametrize("size", [7, 100, 900])
def test_codes_in_a_file_are_those_in_memory(features, size, tiny, monkeypatch):
    batches = [features[start : start + size] for start in range(0, len(features), size)]
    in_files = code(batches, features.shape[1])
    rows = np.random.default_rng(2).permutation(len(features))
    taken, joined = in_files.take(rows), join(in_files, in_files)
    assert all(map(in_file, (in_files.codes, taken.codes, joined.codes)))
    assert not [*tiny.iterdir()], "the files have no names"
    monkeypatch.setattr(mapped, "LARGE", 1 << 30)
    expected = code(batches, features.shape[1])
    assert not in_file(expected.codes)
    for ours, theirs in ((in_files, expected), (taken, expected.take(rows)), (joined, join(expected, expected))):
        np.testing.assert_array_equal(ours.codes, theirs.codes)
        np.testing.assert_array_equal(ours.values, theirs.values)


def test_small_arrays_stay_in_memory(tiny):
    assert not in_file(mapped.empty((500,), np.uint8))
    assert in_file(mapped.empty((501,), np.uint8))


def test_parts_are_the_rows(features):
    coded = code([np.tile(features, (40, 1))], features.shape[1])
    rows = np.arange(0, coded.codes.shape[1], 2)
    for parts, codes in ((coded.parts(), coded.codes), (coded.parts(rows), coded.codes[:, rows])):
        np.testing.assert_array_equal(np.concatenate([part.codes for part in parts], axis=1), codes)


def test_a_full_disk_is_told_in_one_sentence(tiny, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StorageError, match=f"in {tiny}: No space left on device; free some space there, or set TMPDIR"):
        mapped.empty((1000,), np.uint8)
    assert not [*tiny.iterdir()]


def test_without_the_systems_help_the_file_is_written(tiny, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    array = mapped.empty((3, 1000), np.uint8)
    assert in_file(array)
    assert not array.any()


def test_without_TMPDIR_the_files_are_where_a_disk_is(monkeypatch):  # noqa: N802
    monkeypatch.delenv("TMPDIR", raising=False)
    assert Path(scratch.folder()).is_dir()
    monkeypatch.setenv("TMPDIR", "/nowhere")
    assert Path(scratch.folder()).is_dir()


def test_memory_does_not_grow_with_the_rows(monkeypatch, tmp_path):
    """A file's pages are not counted: the system takes them back when it needs them."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(mapped, "LARGE", 1 << 20)
    columns, batch = 200, np.random.default_rng(0).integers(-1, 2, (500, 200)).astype(np.float32)

    def peak(batches: int) -> int:
        tracemalloc.start()
        coded = code((batch for _ in range(batches)), columns)
        for part in coded.take(np.arange(0, coded.codes.shape[1], 2)).parts():
            part.decode()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(400) < 1.2 * peak(100)
