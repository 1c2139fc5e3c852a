"""Data sets as frames of polars or pandas, and back."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.dataset.classes import class_1_second
from moodlemlbackend.dataset.sample_ids import SampleIds
from moodlemlbackend.errors import DataSetError, UsageError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from moodlemlbackend.dataset.data_set import DataSet

HeaderFields = tuple[dict[str, str], tuple[str, ...], "tuple[str, ...] | None", "str | None"]

SAMPLE_ID = "sampleid"


def to_polars(data: DataSet) -> pl.DataFrame:
    """See :meth:`moodlemlbackend.dataset.data_set.DataSet.to_polars`."""
    try:
        import polars as pl
    except ImportError:
        raise UsageError(f"Polars is not installed; run {sys.executable} -m pip install polars.") from None
    columns = _columns(data)
    frame = pl.DataFrame({name: pl.Series(values) for name, values in columns.items()})
    return frame.with_columns(pl.col(pl.Float32).fill_nan(None))


def to_pandas(data: DataSet) -> pd.DataFrame:
    """See :meth:`moodlemlbackend.dataset.data_set.DataSet.to_pandas`."""
    try:
        import pandas as pd
    except ImportError:
        raise UsageError(f"Pandas is not installed; run {sys.executable} -m pip install pandas.") from None
    frame = pd.DataFrame(_columns(data))
    frame.attrs.update(data.header.metadata)
    return frame


def _columns(data: DataSet) -> dict[str, Any]:
    """The columns of a frame in the order of the file."""
    header = data.header
    names = [*([] if data.sample_ids is None else [SAMPLE_ID]), *header.columns]
    names += [] if data.labels is None else [str(header.target)]
    _refuse_twice(names, header.source)
    columns: dict[str, Any] = {} if data.sample_ids is None else {SAMPLE_ID: data.sample_ids}
    columns |= dict(zip(header.columns, np.ascontiguousarray(data.features.T), strict=True))
    if data.labels is not None:
        columns[str(header.target)] = _class_values(header.classes or ())[data.labels]
    return columns


def _refuse_twice(names: list[str], source: str) -> None:
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise DataSetError(
            f"Two columns of {source} are named {twice!r}; rename one of them: in a frame every name must be different."
        )


def _class_values(classes: tuple[str, ...]) -> npt.NDArray[Any]:
    """The classes as whole numbers where all of them are, else as text."""
    try:
        numbers = [int(name) for name in classes]
    except ValueError:
        return np.array(classes, object)
    return np.array(numbers, np.int64) if [*map(str, numbers)] == [*classes] else np.array(classes, object)


def from_frame(
    frame: Any, metadata: Mapping[str, str], source: str
) -> tuple[HeaderFields, npt.NDArray[np.float32], npt.NDArray[np.int64] | None, list[str] | None]:
    """See :meth:`moodlemlbackend.dataset.data_set.DataSet.from_frame`.

    Returns the header's fields after ``source``, and the data set's other fields.
    """
    if not (hasattr(frame, "to_numpy") and hasattr(frame, "columns")):
        raise DataSetError(f"{source} is a {type(frame).__name__}; give a DataFrame of polars or pandas.")
    names = [str(name) for name in frame.columns]
    _refuse_twice(names, source)
    column_of = dict(zip(names, frame.columns, strict=True))
    given = {name: frame[column].to_numpy() for name, column in column_of.items()}
    target = metadata.get("targetcolumn")
    labelled = target is not None and target in given
    if labelled == (SAMPLE_ID in given):
        raise DataSetError(
            f"{source} must have either the column {SAMPLE_ID!r} or the class column, {target!r}, named as "
            "targetcolumn in the "
            f"metadata; it has {'both' if labelled else 'neither'}."
        )
    for missing, text in ((frame.shape[0] == 0, "row"), (len(given) == 1, "column of features")):
        if missing:
            raise DataSetError(f"{source} has no {text}; a data set needs one or more.")
    named = str(target) if labelled else SAMPLE_ID
    given.pop(named)
    filled = _filled(frame[column_of[named]], named, source)
    texts, sample_ids = (filled, None) if labelled else (None, filled)
    if sample_ids and (twice := SampleIds().add(sample_ids, 1)):
        raise DataSetError(f"Rows {twice[0]} and {twice[1]} of {source} have the same sample id; keep one of them.")
    classes = _classes(metadata, texts)
    kept = {**metadata, "nfeatures": str(len(given)), "targettype": "discrete"}
    if classes:
        kept["targetclasses"] = json.dumps(_class_values(classes).tolist(), separators=(",", ":"))
        classes = class_1_second(classes)
    header = (kept, tuple(given), classes, target if labelled else None)
    features = np.stack([_cells(values, name, source) for name, values in given.items()], axis=1)
    labels = None if texts is None else _positions(texts, classes or (), source)
    return header, features, labels, sample_ids


def _filled(column: Any, name: str, source: str) -> list[str]:
    """The labels or ids of a column as texts; DataSetError where one is missing, or text stands beside numbers."""
    values = column.to_numpy()
    missing = np.asarray(column.isna() if hasattr(column, "isna") else column.is_null())
    if values.dtype.kind == "f":
        missing = missing | ~np.isfinite(values)
    missing = missing | (values == "")
    if missing.any():
        row = int(missing.argmax()) + 1
        raise DataSetError(f"Row {row} of {source} has nothing in the column {name!r}; fill it, or leave the row out.")
    if len({isinstance(value, str) for value in values}) > 1:
        raise DataSetError(f"The column {name!r} of {source} mixes text and numbers; make all of it text.")
    return [_text(value) for value in values]


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, (float, np.floating)) and value == np.floor(value) else str(value)


def _classes(metadata: Mapping[str, str], texts: list[str] | None) -> tuple[str, ...] | None:
    if "targetclasses" in metadata:
        return tuple(map(_text, json.loads(metadata["targetclasses"])))
    return None if texts is None else tuple(sorted(set(texts)))


def _positions(texts: list[str], classes: tuple[str, ...], source: str) -> npt.NDArray[np.int64]:
    position = {name: i for i, name in enumerate(classes)}
    unknown = next((text for text in texts if text not in position), None)
    if unknown is not None:
        raise DataSetError(
            f"The class {unknown!r} of {source} is not among the targetclasses in the metadata ({', '.join(classes)})."
        )
    return np.array([position[text] for text in texts], np.int64)


def _cells(values: npt.NDArray[Any], name: str, source: str) -> npt.NDArray[np.float32]:
    """A column as float32, NaN for what is missing; DataSetError for text and numbers that are not finite."""
    try:
        with np.errstate(over="ignore"):
            cells = np.array([np.nan if value is None else value for value in values], np.float32)
    except (TypeError, ValueError):
        cells = np.full(len(values), np.inf, np.float32)
    if np.isinf(cells).any():
        raise DataSetError(f"The column {name!r} of {source} has a value that is not a finite number; correct it.")
    return cells
