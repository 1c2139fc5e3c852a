"""TensorBoard event files, written without TensorFlow.

An event file is a sequence of framed protocol buffers; TensorBoard ships both, so the summaries are built from its
own plugins' messages and written with its own record writer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend import metrics

PR_THRESHOLDS = 127


class EventWriter:
    """Writes one event file to a folder, which it makes and has for itself; a run in TensorBoard's words."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._event = Event
        self._file = (folder / f"events.out.tfevents.{int(time.time())}.moodlemlbackend").open("wb")
        self._records = RecordWriter(self._file)
        self._records.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())

    def scalar(self, name: str, value: float, step: int) -> None:
        """Write one number of a curve."""
        self._tensor(name, np.float32(value), step, _scalar_metadata())

    def text(self, name: str, markdown: str) -> None:
        """Write a page of text."""
        from tensorboard.plugins.text.metadata import create_summary_metadata

        metadata = create_summary_metadata(display_name="", description="")
        self._tensor(name, np.array(markdown.encode(), dtype=object), 0, metadata)

    def image(self, name: str, png: Path) -> None:
        """Write a PNG file as an image."""
        from tensorboard.plugins.image.metadata import create_summary_metadata

        content = png.read_bytes()
        width, height = (str(int.from_bytes(content[start : start + 4], "big")).encode() for start in (16, 20))
        metadata = create_summary_metadata(display_name="", description="", converted_to_tensor=True)
        self._tensor(name, np.array([width, height, content], dtype=object), 0, metadata)

    def pr_curve(self, name: str, scores: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]) -> None:
        """Write counts and rates at equally spaced thresholds on the (rows,) scores, for the PR curves plugin."""
        from tensorboard.plugins.pr_curve.metadata import create_summary_metadata

        thresholds = np.linspace(0, 1, PR_THRESHOLDS)
        true_positives = np.array([np.count_nonzero(labels & (scores >= t)) for t in thresholds])
        false_positives = np.array([np.count_nonzero(~labels & (scores >= t)) for t in thresholds])
        false_negatives = np.count_nonzero(labels) - true_positives
        true_negatives = np.count_nonzero(~labels) - false_positives
        precision = true_positives / np.maximum(true_positives + false_positives, 1)
        recall = true_positives / max(np.count_nonzero(labels), 1)
        data = np.stack([true_positives, false_positives, true_negatives, false_negatives, precision, recall])
        metadata = create_summary_metadata(display_name="", description="", num_thresholds=PR_THRESHOLDS)
        self._tensor(name, data.astype(np.float32), 0, metadata)

    def hyperparameters(self, settings: Mapping[str, Any], figures: Mapping[str, float]) -> None:
        """Write the settings of the run and its figures for the HParams plugin."""
        from tensorboard.plugins.hparams import summary_v2 as hparams

        for summary in (
            hparams.hparams_config_pb(
                [hparams.HParam(name) for name in settings], [hparams.Metric(name) for name in figures]
            ),
            hparams.hparams_pb({name: _hyperparameter(value) for name, value in settings.items()}),
        ):
            self._records.write(self._event(wall_time=time.time(), step=0, summary=summary).SerializeToString())
        for name, value in figures.items():
            self.scalar(name, value, 0)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _tensor(self, name: str, value: Any, step: int, metadata: Any) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.util.tensor_util import make_tensor_proto

        summary = Summary()
        summary.value.add(tag=name, tensor=make_tensor_proto(value), metadata=metadata)
        self._records.write(self._event(wall_time=time.time(), step=step, summary=summary).SerializeToString())


def roc_points(scores: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]) -> list[tuple[int, float]]:
    """The ROC curve as (percent of false positives, share of true positives), for a scalar chart."""
    curve = metrics.roc_curve(scores, labels)
    percents = range(0, 101, 2)
    return list(zip(percents, np.interp(np.array(percents) / 100, curve[0], curve[1]).tolist(), strict=True))


@lru_cache(maxsize=1)
def _scalar_metadata() -> Any:
    from tensorboard.plugins.scalar.metadata import create_summary_metadata

    return create_summary_metadata(display_name="", description="")


def _hyperparameter(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)
