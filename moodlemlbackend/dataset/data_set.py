"""Data set files: what Moodle hands to a predictions processor, read whole or in batches of bounded memory.

A file has three header rows (names of the metadata, their values, names of the columns) and then a row a sample: its
features and its class in a labelled file, its id and its features in an unlabelled one. An empty cell is a value that
was not calculated. :func:`write` and :func:`writing`, its mirror, are at home in
:mod:`moodlemlbackend.dataset.csv_writer`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from moodlemlbackend import mapped
from moodlemlbackend.dataset import frames
from moodlemlbackend.dataset.classes import class_1_second
from moodlemlbackend.dataset.csv_text import Block, Text, Watch, fields, opened
from moodlemlbackend.dataset.csv_writer import write, writing
from moodlemlbackend.dataset.sample_ids import SampleIds
from moodlemlbackend.errors import DataSetError, NoDataSetError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["DataSet", "Header", "read", "read_batches", "read_labelled", "read_unlabelled", "write", "writing"]

HEADER_ROWS = 3
"""Rows before the first sample."""

BATCH_BYTES = 2 << 20
"""Text read at a time. A cell takes at least one byte of text and four of memory."""

BATCH_BYTES_A_COLUMN = 2 << 10
"""At least so much, for each batch costs time for each column, however few rows it has."""

SHOWN_CHARACTERS = 40
"""Length at which a cell is cut when a message shows it."""

_FEATURE_COUNT = re.compile(r"0*[1-9][0-9]{0,8}")
_NUMBER = re.compile(r"[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t]*")
_UTF8_BOM = "\ufeff".encode()


@dataclass(frozen=True)
class Header:
    """The three header rows of a data set.

    ``source`` is the file as messages name it; ``metadata`` rows 1 and 2 in the file's order; ``columns`` the names of
    the features; ``classes`` the texts of ``targetclasses``, class ``1``, if there is one, in second place, None when
    the target is linear or an unlabelled file does not name them; ``target`` the name of the class column of a labelled
    file, else None.
    """

    source: str
    metadata: dict[str, str]
    columns: tuple[str, ...]
    classes: tuple[str, ...] | None
    target: str | None


@dataclass(frozen=True, eq=False)
class DataSet:
    """Samples of a file.

    ``features`` has shape (rows, features) and may lie in memory by column, or in a file where they are many
    (:mod:`moodlemlbackend.mapped`); NaN is an empty cell, no cell is infinite.
    ``labels`` has shape (rows,) and points into ``header.classes``; None when unlabelled, as ``sample_ids`` is when
    labelled.
    """

    header: Header
    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64] | None
    sample_ids: list[str] | None

    def to_polars(self) -> pl.DataFrame:
        """As a polars frame: ``sampleid`` (unlabelled), Float32 features with null for an empty cell, class (labelled).

        Classes are Int64 where all of them are whole numbers, else text. Raises DataSetError when two columns have one
        name, UsageError without polars.
        """
        return frames.to_polars(self)

    def to_pandas(self) -> pd.DataFrame:
        """As a pandas frame, with NaN for an empty cell and the metadata in ``attrs``; else as :meth:`to_polars`."""
        return frames.to_pandas(self)

    @classmethod
    def from_frame(
        cls, frame: pl.DataFrame | pd.DataFrame, metadata: Mapping[str, str], source: str = "the frame"
    ) -> DataSet:
        """Make a data set from a frame, as :meth:`to_polars` or :meth:`to_pandas` gives one.

        A column ``sampleid`` makes it unlabelled, the column that ``metadata["targetcolumn"]`` names labelled; all
        others are features. Classes are those of ``metadata["targetclasses"]``, else those that occur, sorted, in the
        order of :class:`Header`; ``nfeatures`` is counted. ``source`` is what messages call it. Raises
        :class:`DataSetError`.
        """
        header, features, labels, sample_ids = frames.from_frame(frame, metadata, source)
        return cls(Header(source, *header), features, labels, sample_ids)


def read(path: str | os.PathLike[str]) -> DataSet:
    """Read a file of either kind, plain or gzip; ``-`` is standard input. Raises :class:`DataSetError`."""
    return _whole(*read_batches(path, labelled=None))


def read_labelled(path: str | os.PathLike[str]) -> DataSet:
    """Read a file for training or evaluation, plain or gzip; ``-`` is standard input. Raises :class:`DataSetError`."""
    return _whole(*read_batches(path, labelled=True))


def read_unlabelled(path: str | os.PathLike[str]) -> DataSet:
    """Read a file for prediction, plain or gzip; ``-`` is standard input. Raises :class:`DataSetError`."""
    return _whole(*read_batches(path, labelled=False))


def read_batches(
    path: str | os.PathLike[str],
    *,
    labelled: bool | None,
    batch_bytes: int | None = None,
    watch: Watch | None = None,
) -> tuple[Header, Iterator[DataSet]]:
    """Read a file in batches of about ``batch_bytes`` of text, 2 MB or more unless given, in the file's order.

    ``labelled`` says what the file must be; None takes either, and the header's ``target`` tells which it is.
    The header and the first batch are read at once, the others as they are asked for; either may raise
    :class:`DataSetError`. An id may occur only once in a file: 16 bytes a row stay in memory to tell. ``watch``
    hears the text as it is read.
    """
    batches = _batches(path, labelled, batch_bytes, watch)
    first = next(batches)
    return first.header, chain([first], batches)


def _whole(header: Header, batches: Iterator[DataSet]) -> DataSet:
    rows = mapped.JoinedRows(len(header.columns), np.float32)
    labels: list[npt.NDArray[np.int64]] = []
    sample_ids: list[str] = []
    for batch in batches:
        rows.add(batch.features.T)
        labels += [] if batch.labels is None else [batch.labels]
        sample_ids += batch.sample_ids or ()
    features = rows.finish().T
    if header.target is None:
        return DataSet(header, features, None, sample_ids)
    return DataSet(header, features, np.concatenate(labels), None)


def _batches(
    path: str | os.PathLike[str], labelled: bool | None, batch_bytes: int | None, watch: Watch | None
) -> Iterator[DataSet]:
    with opened(path, watch) as (source, stream):
        text = Text(source, stream)
        header = _read_header(text, labelled)
        options = _convert_options(len(header.columns), header.target is not None)
        seen = SampleIds()
        block = None
        for block in text.blocks(batch_bytes or max(BATCH_BYTES, BATCH_BYTES_A_COLUMN * len(header.columns))):
            batch = _parse(block, header, options)
            if batch.sample_ids and (twice := seen.add(batch.sample_ids, block.first_row)):
                raise DataSetError(
                    f"Rows {twice[0]} and {twice[1]} of {source} have the same sample id "
                    f"{_shown(batch.sample_ids[twice[1] - block.first_row])}; keep one of them."
                )
            yield batch
        if block is None:
            raise NoDataSetError(f"{source} has no samples after its three header rows; collect some data first.")


# The header rows.


def _read_header(text: Text, labelled: bool | None) -> Header:
    rows = [row for row in (text.header_row(), text.header_row(), text.header_row()) if row is not None]
    source = text.source
    if not rows:
        raise NoDataSetError(f"{source} is empty; a data set needs three header rows and one row per sample.")
    if len(rows) < 3:
        raise DataSetError(
            f"{source} ends after row {len(rows)}; a data set needs three header rows and one row per sample."
        )
    keys, values, names = rows
    if len(keys) != len(values):
        raise DataSetError(
            f"Rows 1 and 2 of {source} have {len(keys)} names but {len(values)} values; give one value for each name."
        )
    metadata = dict(zip(keys, values, strict=True))
    if len(metadata) != len(keys):
        raise DataSetError(f"Row 1 of {source} has the same name twice; keep only one of them.")
    nfeatures = _feature_count(metadata, source)
    if labelled is None:
        labelled = _ends_in_target(names, nfeatures, metadata)
    linear = metadata.get("targettype") == "linear"
    if labelled and linear:
        raise DataSetError(
            f"{source} has a linear target (targettype in row 2); "
            "this backend predicts classes, not numbers; use a discrete target."
        )
    classes = None if linear else _classes(metadata, source)
    if labelled and classes is None:
        raise DataSetError(f"Row 1 of {source} has no targetclasses, which a labelled data set needs; add it.")
    columns = _feature_names(names, nfeatures, labelled, metadata, source)
    return Header(source, metadata, columns, classes, names[-1] if labelled else None)


def _feature_count(metadata: dict[str, str], source: str) -> int:
    if "nfeatures" not in metadata:
        raise DataSetError(f"Row 1 of {source} has no nfeatures; add it with the number of features.")
    text = metadata["nfeatures"].strip()
    if not _FEATURE_COUNT.fullmatch(text):
        raise DataSetError(f"nfeatures in row 2 of {source} is {_shown(text)}; use a positive whole number.")
    return int(text)


def _classes(metadata: dict[str, str], source: str) -> tuple[str, ...] | None:
    if "targetclasses" not in metadata:
        return None
    text = metadata["targetclasses"]
    try:
        values = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        values = None
    if isinstance(values, list) and not any(isinstance(value, (list, dict)) for value in values):
        classes = tuple(value if isinstance(value, str) else json.dumps(value) for value in values)
        if len({_class_key(name) for name in classes}) == len(classes) >= 2:
            return class_1_second(classes)
    raise DataSetError(
        f"targetclasses in row 2 of {source} is {_shown(text)}; "
        "use a JSON list of two or more different classes, such as [0,1]."
    )


def _ends_in_target(names: list[str], nfeatures: int, metadata: dict[str, str]) -> bool:
    """Whether row 3 is that of a labelled file."""
    targets = metadata.get("targetcolumn", "").split("|")
    return names[:1] != ["sampleid"] and len(names) == nfeatures + 1 and names[-1] in targets


def _feature_names(
    names: list[str], nfeatures: int, labelled: bool, metadata: dict[str, str], source: str
) -> tuple[str, ...]:
    has_ids = names[:1] == ["sampleid"]
    if labelled and has_ids:
        raise DataSetError(f"{source} is a prediction file (row 3 begins with sampleid); give a labelled data set.")
    if not labelled and _ends_in_target(names, nfeatures, metadata):
        raise DataSetError(f"{source} is a labelled data set (row 3 ends in the target); give a prediction file.")
    # Row 3 of a prediction file may lack sampleid: the features come first then.
    fits = (nfeatures + 1,) if labelled or has_ids else (nfeatures, nfeatures + 1)
    if len(names) not in fits:
        column = "class" if labelled else "sample id"
        raise DataSetError(
            f"Row 3 of {source} names {len(names)} columns, but nfeatures in row 2 is {nfeatures}; "
            f"it must name {nfeatures} features and the {column} column."
        )
    return tuple(names[1:] if has_ids else names[:nfeatures])


def _class_key(text: str) -> str | float:
    """Equal for texts of one class: ``1.00`` is class ``1``."""
    return float(text) if _NUMBER.fullmatch(text) else text


# The rows of samples.


def _convert_options(nfeatures: int, labelled: bool) -> csv.ConvertOptions:
    types = [pa.float32()] * nfeatures
    if labelled:
        types.append(pa.dictionary(pa.int32(), pa.string()))
    else:
        types.insert(0, pa.string())
    return csv.ConvertOptions(
        column_types=dict(zip(_column_names(len(types)), types, strict=True)),
        null_values=[""],
        strings_can_be_null=False,
    )


def _column_names(count: int) -> list[str]:
    """Names for pyarrow, which needs each once; those of the file may repeat."""
    return [str(position) for position in range(count)]


def _parse(block: Block, header: Header, options: csv.ConvertOptions) -> DataSet:
    """The samples of a block. What pyarrow refuses, and what only it accepts, is named by :func:`_fault`."""
    labelled = header.target is not None
    text = _UTF8_BOM + block.text if block.text.startswith(_UTF8_BOM) else block.text  # pyarrow drops one
    try:
        table = csv.read_csv(
            pa.BufferReader(text),
            read_options=csv.ReadOptions(column_names=_column_names(len(header.columns) + 1), block_size=len(text) + 1),
            parse_options=csv.ParseOptions(ignore_empty_lines=False),
            convert_options=options,
        )
    except pa.ArrowInvalid as error:
        raise _fault(block, header, str(error)) from None
    first = 0 if labelled else 1
    [cells] = table.select(range(first, first + len(header.columns))).combine_chunks().to_batches()
    features = cells.to_tensor(null_to_nan=True, row_major=False).to_numpy()
    empty = sum(column.null_count for column in cells.columns)
    if np.count_nonzero(np.isfinite(features)) != features.size - empty:
        raise _fault(block, header, "a number that is not finite")
    if not labelled:
        sample_ids = table.column(0).to_pylist()
        if "" in sample_ids:
            raise _fault(block, header, "an empty sample id")
        return DataSet(header, features, None, sample_ids)
    texts = table.column(table.num_columns - 1).combine_chunks()
    labels = _positions(header.classes, texts.dictionary.to_pylist())[np.from_dlpack(texts.indices)]
    if (labels < 0).any():
        raise _fault(block, header, "an unknown class")
    return DataSet(header, features, labels, None)


def _positions(classes: tuple[str, ...] | None, texts: list[str]) -> npt.NDArray[np.int64]:
    """Where each text stands in ``classes``, -1 where it is none of them."""
    position = {_class_key(name): i for i, name in enumerate(classes or ())}
    return np.array([position.get(_class_key(text), -1) for text in texts], np.int64)


def _fault(block: Block, header: Header, reason: str) -> DataSetError:
    """The first thing wrong in a block, searched line by line."""
    for row, line in enumerate(block.text.split(b"\n"), block.first_row):
        where = f"Row {row} of {header.source}"
        if not line:
            return DataSetError(f"{where} is blank; remove it.")
        fault = _cell_fault(fields(line, row, header.source), header)
        if fault:
            return DataSetError(f"{where}{fault}")
    return DataSetError(
        f"A row of {header.source} after row {block.first_row - 1} cannot be read: {reason}; correct it."
    )


def _cell_fault(cells: list[str], header: Header) -> str | None:
    """The rest of a sentence that begins with the row."""
    width = len(header.columns) + 1
    if len(cells) != width:
        return f" has {len(cells)} cells but must have {width}, according to row 2; correct the row."
    labelled = header.target is not None
    if not labelled and not cells[0]:
        return " has no sample id in its first cell; add one."
    for position, name in enumerate(header.columns, 0 if labelled else 1):
        cell = cells[position]
        if cell and not _is_finite_number(cell):
            return (
                f", column {position + 1} ({name}) holds {_shown(cell)}, which is not a finite number; "
                "correct it or leave the cell empty."
            )
    if labelled and not cells[-1]:
        return f" has no class in its last cell ({header.target}); add one or remove the row."
    if labelled and _positions(header.classes, cells[-1:])[0] < 0:
        classes = ", ".join(header.classes or ())
        return (
            f", column {width} ({header.target}) holds {_shown(cells[-1])}, which is not among the "
            f"targetclasses ({classes}); correct it."
        )
    return None


def _is_finite_number(text: str) -> bool:
    """Whether a cell's text is one that pyarrow reads as a finite 32-bit float."""
    with np.errstate(over="ignore"):
        return _NUMBER.fullmatch(text) is not None and bool(np.isfinite(np.float32(float(text))))


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…")
