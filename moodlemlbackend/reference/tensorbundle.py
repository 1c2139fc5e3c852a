"""TensorFlow's tensor bundle (the ``variables`` of a SavedModel), read in NumPy.

``{prefix}.index`` is a LevelDB table: blocks of sorted, prefix-compressed keys, each block followed by a type byte and
its checksum; at the end a footer that points to the block that points to all others. The value under the empty key is
a BundleHeaderProto, the value under a tensor's name a BundleEntryProto that says where in ``{prefix}.data-…`` it lies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moodlemlbackend.reference.checksum import masked_crc32c
from moodlemlbackend.reference.files import naming, read_bounded

_INDEX_LIMIT = 2**20  # bytes; a real one has about 2,000
_DATA_LIMIT = 2**28  # bytes; a network of 5,000 columns has about 90 million
_KEY_LIMIT = 1_000  # bytes
_ENTRY_LIMIT = 10_000
_RANK_LIMIT = 8

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER_SIZE = 48
_TRAILER_SIZE = 5  # type and checksum of a block
_DT_FLOAT = 1


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies in the data file: offset and size in bytes, and its masked CRC-32C."""

    dtype: int
    shape: tuple[int, ...]
    offset: int
    size: int
    checksum: int


class TensorBundle:
    """The tensors under a prefix such as ``variables/variables``; ``entries`` are its tensors by name.

    Raises ModelError for files that are missing, damaged or of another kind, StorageError when they cannot be read.
    """

    def __init__(self, prefix: Path) -> None:
        self._data_path = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
        index_path = prefix.with_name(f"{prefix.name}.index")
        table = read_bounded(index_path, _INDEX_LIMIT)
        with naming(index_path):
            self.entries = _read_index(table)
        self._data = read_bounded(self._data_path, _DATA_LIMIT)
        with naming(self._data_path):
            if any(entry.offset + entry.size > len(self._data) for entry in self.entries.values()):
                raise ValueError("it is incomplete")

    def floats(self, name: str) -> NDArray[np.float32]:
        """Return the float tensor ``name``, float32 in the shape it was stored with."""
        entry = self.entries[name]
        with naming(self._data_path):
            raw = self._data[entry.offset : entry.offset + entry.size]
            if (
                entry.dtype != _DT_FLOAT
                or len(entry.shape) > _RANK_LIMIT
                or not raw
                or len(raw) != 4 * math.prod(entry.shape)
            ):
                raise ValueError(f"{name} is not a tensor of floats")
            if masked_crc32c(raw) != entry.checksum:
                raise ValueError(f"the checksum of {name} does not match")
            return np.frombuffer(raw, "<f4").reshape(entry.shape).astype(np.float32)


class _Reader:
    """Takes bytes and variable-length integers from the front; ValueError past the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise ValueError("a part of it is incomplete")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number in it is longer than 64 bits")


def _read_index(table: bytes) -> dict[str, TensorEntry]:
    """Return the tensors that the table lists, by name."""
    if len(table) < _FOOTER_SIZE or not table.endswith(_MAGIC):
        raise ValueError("it is incomplete or not an index of tensors")
    footer = _Reader(table[-_FOOTER_SIZE:])
    _read_handle(footer)  # of the meta-index, which is empty
    values = dict(_read_data_blocks(table, *_read_handle(footer)))
    _check_header(values.pop(b"", b""))
    return {key.decode(): _parse_entry(value) for key, value in values.items()}


def _read_handle(reader: _Reader) -> tuple[int, int]:
    return reader.varint(), reader.varint()


def _read_data_blocks(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of all data blocks that the block at ``offset`` points to."""
    count = end = 0
    for _, handle in _parse_block(_read_block(table, offset, size)):
        offset, size = _read_handle(_Reader(handle))
        if offset < end:
            raise ValueError("its blocks overlap")
        end = offset + size
        for key, value in _parse_block(_read_block(table, offset, size)):
            count += 1
            if count > _ENTRY_LIMIT:
                raise ValueError(f"it lists more than {_ENTRY_LIMIT:,} tensors")
            yield key, value


def _read_block(table: bytes, offset: int, size: int) -> bytes:
    """Return the block of ``size`` bytes at ``offset`` if its checksum fits."""
    end = offset + size
    trailer = table[end : end + _TRAILER_SIZE]
    if len(trailer) < _TRAILER_SIZE:
        raise ValueError("a block is incomplete")
    if masked_crc32c(table[offset : end + 1]) != int.from_bytes(trailer[1:], "little"):
        raise ValueError("the checksum of a block does not match")
    if trailer[0] != 0:
        raise ValueError("its blocks are compressed")
    return table[offset:end]


def _parse_block(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block, whose restart points and their number stand at its end."""
    end = len(block) - 4 * (int.from_bytes(block[-4:], "little") + 1)
    if end < 0:
        raise ValueError("a block is incomplete")
    reader = _Reader(block[:end])
    key = b""
    while reader:
        shared, unshared, size = reader.varint(), reader.varint(), reader.varint()
        if shared > len(key) or shared + unshared > _KEY_LIMIT:
            raise ValueError("the name of a tensor is damaged")
        key = key[:shared] + reader.take(unshared)
        yield key, reader.take(size)


def _parse_message(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protocol buffer: number and value, bytes for texts and inner messages."""
    reader = _Reader(message)
    while reader:
        number, wire_type = divmod(reader.varint(), 8)
        match wire_type:
            case 0:
                yield number, reader.varint()
            case 1:
                yield number, int.from_bytes(reader.take(8), "little")
            case 2:
                yield number, reader.take(reader.varint())
            case 5:
                yield number, int.from_bytes(reader.take(4), "little")
            case _:
                raise ValueError("a description in it is damaged")


def _parse_numbers(message: bytes) -> dict[int, int]:
    """Return the fields of a protocol buffer that are numbers."""
    return {number: value for number, value in _parse_message(message) if isinstance(value, int)}


def _check_header(header: bytes) -> None:
    """Refuse a bundle of several data files (field 1) or of big-endian numbers (field 2)."""
    numbers = _parse_numbers(header)
    if numbers.get(1) != 1 or numbers.get(2, 0) != 0:
        raise ValueError("it is for several data files, or for big-endian numbers")


def _parse_entry(message: bytes) -> TensorEntry:
    """Return a BundleEntryProto: dtype 1, shape 2, shard 3, offset 4, size 5, checksum 6."""
    numbers = _parse_numbers(message)
    shapes = [value for number, value in _parse_message(message) if number == 2 and isinstance(value, bytes)]
    shape = tuple(
        _parse_numbers(dimension).get(1, 0)
        for number, dimension in _parse_message(b"".join(shapes))
        if number == 2 and isinstance(dimension, bytes)
    )
    return TensorEntry(numbers.get(1, 0), shape, numbers.get(4, 0), numbers.get(5, 0), numbers.get(6, 0))
