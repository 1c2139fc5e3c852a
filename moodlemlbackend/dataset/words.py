"""Values, shares and probabilities as people read them."""

from __future__ import annotations

from moodlemlbackend.language.numbers import number
from moodlemlbackend.language.texts import Texts

ENGLISH = {
    "yes": "yes",
    "no": "no",
    "not calculated": "not calculated",
    "value": "{value} (course mean {mean})",
    "part": "part {part} of {parts}",
    "part none": "no part",
    "time": "time in the course",
    "percent": "{number}%",
    "probability in range": "{probability} ({range})",
    "probability range": "{low} to {high} in 8 of 10 courses",
}

say = Texts(ENGLISH).say


def percent(share: float) -> str:
    """A share as whole percent."""
    return say("percent", number=number(100 * share))


def probability(share: float, ends: tuple[float, float] | None) -> str:
    """A probability, with its range in 8 of 10 courses where that is known."""
    if ends is None:
        return percent(share)
    return say("probability in range", probability=percent(share), range=probability_range(ends))


def probability_range(ends: tuple[float, float]) -> str:
    """The range of a probability."""
    return say("probability range", low=percent(ends[0]), high=percent(ends[1]))
