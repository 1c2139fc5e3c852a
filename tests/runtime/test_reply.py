"""The line of a command: its beginning is in memory, the rest on the disk, and all of it is complete or refused."""

from __future__ import annotations

import errno
import json
import os

import pytest

from moodlemlbackend.errors import StorageError
from moodlemlbackend.runtime import reply
from moodlemlbackend.runtime.reply import Reply, encode

ITEMS = 100_000


def predictions(number: int = ITEMS):
    return ([f"{item}-0", "1", "0.75"] for item in range(number))


@pytest.fixture
def answer(monkeypatch, tmp_path):
    monkeypatch.setattr(reply, "BYTES_IN_MEMORY", 50_000)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    answer = Reply()
    yield answer
    answer.close()
    assert not [*tmp_path.iterdir()], "the file has no name"


def size(file) -> int:
    return os.fstat(file.fileno()).st_size


def test_a_long_line_goes_to_the_disk_while_it_is_being_made(answer):
    on_disk = []

    def watched():
        for item in predictions():
            on_disk.append(size(answer._rest))
            yield item

    code = answer.write({"status": 4, "predictions": watched()})
    expected = encode({"status": 4, "predictions": [*predictions()]})
    assert code == 4
    assert size(answer._line) < 150_000 < len(expected) / 10
    assert on_disk[0] == 0
    assert on_disk[-1] > 0.9 * len(expected), "the first bytes are there long before the last row"
    assert answer.line() == expected
    assert answer.result() == json.loads(expected)


def test_a_shorter_line_takes_the_place_of_a_long_one(answer):
    answer.write({"status": 0, "predictions": predictions()})
    answer.write({"status": 1, "info": ["no"]})
    assert answer.line() == b'{"status": 1, "info": ["no"]}'
    assert size(answer._rest) == 0


def test_the_line_is_copied_whole(answer, tmp_path):
    answer.write({"status": 0, "predictions": predictions()})
    with (tmp_path / "out").open("w+b") as file:
        answer.copy_line(file.fileno())
        file.seek(0)
        assert file.read() == answer.line() + b"\n"
    (tmp_path / "out").unlink()


def test_a_full_disk_is_told_and_leaves_room_for_the_failure(answer, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(reply, "write_all", full)
    with pytest.raises(StorageError, match=f"^Cannot use {tmp_path}: No space left on device; free some space there"):
        answer.write({"status": 0, "predictions": predictions()})
    answer.write({"status": 1, "info": ["full"]})
    assert answer.line() == b'{"status": 1, "info": ["full"]}'


def test_without_a_disk_the_line_is_in_memory(monkeypatch):
    monkeypatch.setattr(reply, "BYTES_IN_MEMORY", 50_000)
    monkeypatch.setattr(reply, "_file_on_disk", lambda: None)
    answer = Reply()
    answer.write({"status": 0, "predictions": predictions(10_000)})
    assert len(answer.result()["predictions"]) == 10_000
    answer.close()
