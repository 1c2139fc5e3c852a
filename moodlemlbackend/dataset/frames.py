"""Data sets as frames of polars or pandas, and back."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.dataset.classes import class_1_second
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
    twice = next((name for position, name in enumerate(names) if name in names[:position]), None)
    if twice is not None:
        raise DataSetError(
            f"Two columns of {header.source} are named {twice!r}; rename one of them: in a frame every name must "
            "be different."
        )
    columns: dict[str, Any] = {} if data.sample_ids is None else {SAMPLE_ID: data.sample_ids}
    columns |= dict(zip(header.columns, np.ascontiguousarray(data.features.T), strict=True))
    if data.labels is not None:
        columns[str(header.target)] = _class_values(header.classes or ())[data.labels]
    return columns


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
    names = [str(name) for name in frame.columns]
    given = {name: frame[column].to_numpy() for name, column in zip(names, frame.columns, strict=True)}
    target = metadata.get("targetcolumn")
    labelled = target is not None and target in given
    sample_ids = None if SAMPLE_ID not in given else [str(sample_id) for sample_id in given.pop(SAMPLE_ID)]
    if labelled == (sample_ids is not None):
        raise DataSetError(
            f"{source} must have either the column {SAMPLE_ID!r} or the class column, {target!r}, named as "
            "targetcolumn in the "
            f"metadata; it has {'both' if labelled else 'neither'}."
        )
    for missing, text in ((frame.shape[0] == 0, "row"), (len(given) == labelled, "column of features")):
        if missing:
            raise DataSetError(f"{source} has no {text}; a data set needs one or more.")
    texts = [_text(value) for value in given.pop(str(target))] if labelled else None
    classes = _classes(metadata, texts)
    kept = {**metadata, "nfeatures": str(len(given)), "targettype": "discrete"}
    if classes:
        kept["targetclasses"] = json.dumps(_class_values(classes).tolist(), separators=(",", ":"))
        classes = class_1_second(classes)
    header = (kept, tuple(given), classes, target if labelled else None)
    features = np.stack([_cells(values, name, source) for name, values in given.items()], axis=1)
    labels = None if texts is None else _positions(texts, classes or (), source)
    return header, features, labels, sample_ids


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
