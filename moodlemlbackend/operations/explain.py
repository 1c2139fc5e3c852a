"""Say why a trained model predicts a sample as it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodlemlbackend.errors import DataSetError, UsageError
from moodlemlbackend.operations.trained_models import trained_in

if TYPE_CHECKING:
    from moodlemlbackend.dataset.data_set import DataSet
    from moodlemlbackend.processor.explanation import Explanation


def explain(outputdir: str, dataset: str, sample_id: str | None, row: int | None) -> Explanation:
    """Say why the trained model predicts one sample as it does.

    The sample is named by its id in an unlabelled data set, or by its row in the file, where the first sample is in
    row 4.
    """
    if (sample_id is None) == (row is None):
        raise UsageError("Specify one sample: its id, or its row in the file (--row).")
    model, _ = trained_in(outputdir)
    from moodlemlbackend.dataset.data_set import HEADER_ROWS, read_batches
    from moodlemlbackend.processor.explanation import explain as explain_rows

    header, batches = read_batches(dataset, labelled=None)
    model.check(header.source, header.columns, header.classes)
    if sample_id is not None and header.target is not None:
        raise DataSetError(
            f"{header.source} is a labelled data set, so its samples have no ids; "
            "specify a sample by its row with --row."
        )
    first = HEADER_ROWS + 1
    for batch in batches:
        here = _position(batch, sample_id, None if row is None else row - first)
        if here is not None:
            name = f"row {row}" if batch.sample_ids is None else batch.sample_ids[here]
            return explain_rows(model, header.columns, batch.features[here : here + 1], [name])[0]
        first += len(batch.features)
    if sample_id is not None:
        raise DataSetError(
            f"{header.source} has no sample with the id {sample_id[:80]!r}; choose one from its first column."
        )
    raise DataSetError(
        f"{header.source} has no sample in row {row}; its samples are in rows {HEADER_ROWS + 1} to {first - 1}."
    )


def _position(batch: DataSet, sample_id: str | None, row: int | None) -> int | None:
    """Where in a batch a sample is, None when it is not there."""
    if row is not None:
        return row if 0 <= row < len(batch.features) else None
    ids = batch.sample_ids or []
    return ids.index(sample_id) if sample_id in ids else None
