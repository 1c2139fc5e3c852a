"""What a model learns from predictions that people marked as not useful."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moodlemlbackend.errors import DataSetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from moodlemlbackend.analytics.db.feedback import Feedback


def append(marks: Sequence[Feedback], columns: Sequence[str], file: BinaryIO) -> int:
    """Write marks to the end of a labelled data set with these columns; returns the rows written."""
    rows = 0
    for mark in marks:
        if set(mark.calculations) != set(columns):
            raise DataSetError(
                f"Prediction {mark.predictionid}, marked as not useful, has different columns from the "
                "model's; clear the model."
            )
        cells = [_cell(mark.calculations[column]) for column in columns]
        line = ",".join([*cells, _cell(mark.label)]) + "\n"
        file.write(line.encode() * mark.weight)
        rows += mark.weight
    return rows


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.14G}"
