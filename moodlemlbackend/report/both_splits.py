"""What an evaluation found in new courses beside what it found in courses that the model had seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

SEEN = "In courses it has seen"

_NEW = {"course": "In new courses", "time": "In later courses"}
_EXPECT = {
    "course": "Expect the figures for new courses: insights are about courses the model has never seen.",
    "time": "Expect the figures for later courses: a model learns from courses that came before the ones it makes "
    "predictions for.",
    "row": (
        "Expect lower figures in new courses: single rows were held out, so the model had seen other rows "
        "from the same courses."
    ),
}
_ROWS = {"score": "Score", "mcc": "Matthews correlation", "auc": "AUC of {name}"}


class BothSplits(NamedTuple):
    """A table of two columns, its rows (name, in new courses, in seen courses), and what the difference means."""

    columns: tuple[str, str]
    rows: tuple[tuple[str, float, float], ...]
    sentence: str


def both_splits(result: Mapping[str, Any], name: str = "class 1") -> BothSplits | None:
    """Make the table from the result of an evaluation; None where it has one kind of splits only.

    ``name`` is what class 1 is called.
    """
    seen, new = result.get("seen"), _NEW.get(str(result.get("split")))
    if new is None or not isinstance(seen, Mapping):
        return None
    pairs = [(title.format(name=name), result.get(key), seen.get(key)) for key, title in _ROWS.items()]
    rows = tuple(
        (title, float(unseen), float(other))
        for title, unseen, other in pairs
        if isinstance(unseen, (int, float)) and isinstance(other, (int, float))
    )
    return BothSplits((new, SEEN), rows, expectation(result)) if rows else None


def expectation(result: Mapping[str, Any]) -> str:
    """Say in one sentence what to expect of new courses; empty for what was not judged by splits."""
    return _EXPECT.get(str(result.get("split")), "")
