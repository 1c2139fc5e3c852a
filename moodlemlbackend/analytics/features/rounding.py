"""Rounding as PHP does it."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import numpy.typing as npt

_CENT = Decimal("0.01")
_NEAR_A_TIE = 1e-6


def php_round(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Round to two decimals, halves away from zero, as ``round($value, 2)`` of PHP 8.0 to 8.3.

    PHP first takes a number of 0.01 or more to 15 significant digits, so that 1.005 becomes 1.01. NaN stays NaN, and
    a negative number that rounds to zero becomes -0.
    """
    given = np.asarray(values, np.float64)
    cents = np.abs(given) * 100
    rounded = np.floor(cents + 0.5) / 100
    unsure = np.abs(cents - np.floor(cents) - 0.5) < _NEAR_A_TIE
    unsure &= cents >= 1
    if unsure.any():
        exact = [float(Decimal(f"{value:.15g}").quantize(_CENT, ROUND_HALF_UP)) for value in np.abs(given[unsure])]
        rounded[unsure] = exact
    return np.copysign(rounded, given)
