"""CRC-32C (Castagnoli) in NumPy, as LevelDB tables and TensorFlow checkpoints use it."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78
_ONES = 0xFFFFFFFF
_LEVELS = 16
_CHUNK = 2**_LEVELS - 1  # with the remainder carried in front, a full chunk folds in exactly _LEVELS steps

# NOTE: the remainder of a string is linear in its bytes: remainder(a + b) = shift(remainder(a), len(b)) ^ remainder(b),
# where shift(r, n) feeds n zero bytes. So the bytes' own remainders are folded in pairs, in halves, and so on.


def masked_crc32c(data: bytes) -> int:
    """Return the checksum of ``data`` as these formats store it: rotated, and a constant added."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & _ONES


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of ``data``; ``crc32c(b"123456789") == 0xE3069283``."""
    remainders = np.array([_ONES], np.uint32)
    for start in range(0, len(data), _CHUNK):
        chunk = np.frombuffer(data[start : start + _CHUNK], np.uint8)
        remainders = np.concatenate((remainders, _byte_remainders()[chunk]))
        for shift in _shifts():
            if remainders.size == 1:
                break
            if remainders.size % 2:
                remainders = np.concatenate((np.zeros(1, np.uint32), remainders))
            remainders = _apply(shift, remainders[::2]) ^ remainders[1::2]
    return int(remainders[0]) ^ _ONES


def _apply(shift: NDArray[np.uint32], remainders: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the remainders (any shape) after as many zero bytes as ``shift`` (4, 256) stands for."""
    low: NDArray[np.uint32] = shift[0][remainders & 0xFF] ^ shift[1][remainders >> 8 & 0xFF]
    high: NDArray[np.uint32] = shift[2][remainders >> 16 & 0xFF] ^ shift[3][remainders >> 24]
    return low ^ high


@cache
def _byte_remainders() -> NDArray[np.uint32]:
    """Return the remainder of each byte, (256,)."""
    remainders = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        remainders = np.where(remainders & 1, remainders >> 1 ^ _POLYNOMIAL, remainders >> 1).astype(np.uint32)
    return remainders


@cache
def _shifts() -> tuple[NDArray[np.uint32], ...]:
    """Return the shifts by 1, 2, 4, … zero bytes; row j of each, (4, 256), is the effect on byte j of a remainder."""
    places = np.arange(256, dtype=np.uint32) << (8 * np.arange(4, dtype=np.uint32))[:, None]
    shifts = [places >> 8 ^ _byte_remainders()[places & 0xFF]]
    while len(shifts) < _LEVELS:
        shifts.append(_apply(shifts[-1], shifts[-1]))
    return tuple(shifts)
