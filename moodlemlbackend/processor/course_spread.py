"""How far whole courses differ from what is promised for them, and the range of a probability that follows.

A model predicts for courses that it has never seen, and in a whole course there may be more cases, or fewer, than the
probabilities of its students add up to. Training holds out whole courses, so it sees by how much: the shift of a course
is what has to be added to the log-odds of all its students for their probabilities to add up to its real number of
cases, to within half a case. The spread is the width that the shifts of 8 of 10 courses do not exceed, found as in
conformal prediction (Vovk, Gammerman & Shafer 2005; Lei et al. 2018), with whole courses as what is exchangeable
(Dunn, Wasserman & Ramdas 2022). Every probability, moved by it down and up, has a range, and of 8 of 10 courses the
real number of cases lies between the sums of the lows and of the highs. Chance in courses of such sizes is in it, and
students who have several rows; no distribution is assumed.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]
LogOdds: TypeAlias = npt.NDArray[np.float64]
Range: TypeAlias = tuple[float, float]

SHARE = 0.8
"""Of unseen courses, those whose real share of cases lies in the range."""

MOST_ROWS = 200_000
"""Held-out rows that shifts are found from; of more, every second, third … is taken."""

_HALF = 0.5  # a case
_TINY = 1e-12
_FARTHEST = 12.0
_STEPS = 16  # halvings of the log-odds in which a shift may lie


def course_spread(probabilities: Floats, cases: Floats, weights: Floats, courses: Numbers) -> float:
    """Return the spread of courses, in log-odds.

    All are (rows,), of held-out rows: the probability of class 1, how often the row occurred with it, how often in all,
    and the number of its course.
    """
    some = slice(None, None, len(courses) // MOST_ROWS + 1)
    shifts = np.sort(np.abs(course_shifts(probabilities[some], cases[some], weights[some], courses[some])))
    rank = math.ceil(round(SHARE * (len(shifts) + 1), 9))
    return float(shifts[min(rank, len(shifts)) - 1])


def course_shifts(probabilities: Floats, cases: Floats, weights: Floats, courses: Numbers) -> LogOdds:
    """Return the shift of each course that has rows, (courses,) log-odds; parameters as of :func:`course_spread`."""
    present, course = np.unique(courses, return_inverse=True)
    log_odds = _log_odds(probabilities)
    happened, promised = np.bincount(course, cases), np.bincount(course, weights * probabilities)
    aim = happened - np.clip(happened - promised, -_HALF, _HALF)
    low, high = np.full(len(present), -_FARTHEST), np.full(len(present), _FARTHEST)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        too_far = np.bincount(course, weights * _sigmoid(log_odds + middle[course])) > aim
        low, high = np.where(too_far, low, middle), np.where(too_far, middle, high)
    shifts: LogOdds = (low + high) / 2
    return shifts


def probability_ranges(probabilities: Floats, spread: float) -> npt.NDArray[np.float64]:
    """Return the range (rows, 2), low and high, of each probability (rows,) of class 1."""
    return _sigmoid(_log_odds(probabilities)[:, None] + np.array([-spread, spread]))


def _log_odds(probabilities: Floats) -> LogOdds:
    some = np.clip(np.asarray(probabilities, np.float64), _TINY, 1 - _TINY)
    logits: LogOdds = np.log(some) - np.log1p(-some)
    return logits


def _sigmoid(log_odds: LogOdds) -> npt.NDArray[np.float64]:
    return 0.5 + 0.5 * np.tanh(log_odds / 2)
