"""Zip archives from outside: limits hold while they are unpacked, and what is wrong is one sentence."""

from __future__ import annotations

import bz2
import io
import os
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.paths import posix
from moodlemlbackend.errors import ArchiveError, StorageError
from moodlemlbackend.storage.archives import MIB, pack, unpack


def zipped(*entries: tuple[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def refused(tmp_path: Path, content: bytes, **limits: int) -> ArchiveError:
    """Return the error of an archive that must be refused, for little memory."""
    (tmp_path / "a.zip").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ArchiveError, match=r"^[^\n]+\.$") as error:
        unpack(tmp_path / "a.zip", tmp_path / "out", **limits)
    assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    tracemalloc.stop()
    return error.value


def test_what_is_packed_is_unpacked(tmp_path):
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "a" / "zeros").write_bytes(bytes(3 * MIB))
    (tmp_path / "in" / "empty").touch()
    pack(tmp_path / "in", tmp_path / "a.zip")
    unpack(tmp_path / "a.zip", tmp_path / "out", entries=2, unpacked_bytes=3 * MIB)
    assert (tmp_path / "out" / "a" / "zeros").read_bytes() == bytes(3 * MIB)
    assert (tmp_path / "out" / "empty").read_bytes() == b""
    (tmp_path / "stored.zip").write_bytes(zipped(("a", b"1"), kind=zipfile.ZIP_STORED))
    unpack(tmp_path / "stored.zip", tmp_path / "stored")
    assert (tmp_path / "stored" / "a").read_bytes() == b"1"


def single(data: bytes, method: int, declared: int) -> bytes:
    """An archive of one entry with this compressed content, which declares a size of its own."""
    name = b"manifest.json"
    facts = (0, method, 0, 33, 0, len(data), declared, len(name))
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 46, *facts, 0) + name
    central = struct.pack("<4s6H3L5H2L", b"PK\1\2", 0x031E, 46, *facts, 0, 0, 0, 0, 0o100644 << 16, 0) + name
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local) + len(data), 0)
    return local + data + central + end


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 9, 93])
def test_only_stored_and_deflated_entries_are_taken(tmp_path, method):
    bomb = bz2.compress(bytes(30 * MIB))
    error = refused(tmp_path, single(bomb, method, 100), unpacked_bytes=MIB)
    assert "unusual compression" in str(error)
    assert not (tmp_path / "out").exists()


def test_an_entry_that_unpacks_to_more_than_it_declares(tmp_path):
    bomb = zipped(("manifest.json", bytes(100 * MIB)))
    lying = bomb.replace(struct.pack("<L", 100 * MIB), struct.pack("<L", 1000))
    assert "damaged" in str(refused(tmp_path, lying, unpacked_bytes=MIB))
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 1000


def test_more_bytes_than_admitted(tmp_path):
    error = refused(tmp_path, zipped(("a", bytes(MIB)), ("b", b"1")), unpacked_bytes=MIB)
    assert error.too_large
    assert not (tmp_path / "out").exists()


def zip64_entries(count: int) -> bytes:
    """An archive whose classic end record tells of one entry, its zip64 one of ``count``."""
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 0x031E, 20, *(0, 0, 0, 33, 0, 0, 0, 1), *(0, 0, 0, 0), 0o100644 << 16, 0
    )
    entries = (entry + b"a") * count
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(entries), 0)
    end += struct.pack("<4sLQL", b"PK\6\7", 0, len(entries), 1)
    return entries + end + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 47, 0, 0)


@pytest.mark.parametrize("count", [1001, 20_000, 200_000])
def test_the_number_of_entries_is_counted_whatever_an_end_record_says(tmp_path, count):
    error = refused(tmp_path, zip64_entries(count))
    assert error.too_large
    assert str(error) == "The archive has more than 1000 entries."


def test_a_name_too_long_for_a_file_system(tmp_path):
    assert "cannot be used" in str(refused(tmp_path, zipped(("ü" * 190, b"1"))))


WHOLE = zipped(("manifest.json", b'{"a": 1}' * 9), ("arrays.safetensors", bytes(range(99))), ("logs/1", b""))


@settings(max_examples=200, deadline=None)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(WHOLE)), st.binary(max_size=8), st.integers(0, 8)), min_size=1, max_size=3
    )
)
def test_a_damaged_archive_is_one_sentence_or_unpacked(tmp_path_factory, edits):
    content = WHOLE
    for position, junk, cut in edits:
        content = content[:position] + junk + content[position + cut :]
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "a.zip").write_bytes(content)
    with suppress(ArchiveError):
        unpack(folder / "a.zip", folder / "out")


@pytest.mark.parametrize("offset", [0x7FFFFFFF, 0xFFFFFFFE])
def test_an_entry_that_begins_outside_the_file(tmp_path, offset):
    central = WHOLE.index(b"PK\1\2")
    content = WHOLE[: central + 42] + struct.pack("<L", offset) + WHOLE[central + 46 :]
    assert "damaged" in str(refused(tmp_path, content))


@posix
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ArchiveError, match="is not a file"):
            unpack(path, tmp_path / "out")
    with pytest.raises(StorageError, match=r"nothing\.zip"):
        unpack(tmp_path / "nothing.zip", tmp_path / "out")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "a.zip").write_bytes(WHOLE)
    with pytest.raises(StorageError, match="Cannot use"):
        unpack(tmp_path / "a.zip", tmp_path / "missing" / "out")
