"""TensorBoard event files, written without TensorFlow.

An event file is a sequence of framed protocol buffers; TensorBoard ships both, so the summaries are built from its
own plugins' messages and written with its own record writer.

The run as a whole has the mean of its splits' curves, the facts, the settings and the figures as images; each split is
a run of its own beside it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend import metrics
from moodlemlbackend.report.both_splits import both_splits
from moodlemlbackend.report.curves import figures_of
from moodlemlbackend.report.record import TRAINING, Held, Record

if TYPE_CHECKING:
    from moodlemlbackend.processor.processor import Classifier, Fitted
    from moodlemlbackend.report.both_splits import BothSplits

PR_THRESHOLDS = 127
BUCKETS = 30
IMAGES = ("roc-curve", "confusion-matrix")
"""Few: the checksum of an image is computed in Python, and costs as much as drawing it."""


def write_events(record: Record, fits: list[Fitted], folder: Path) -> None:
    """Write everything of a run but its images; ``fits`` are those of the splits, or none where nothing was trained."""
    means = _mean_history(record.histories)
    if record.kind != TRAINING:
        for number, held in enumerate(record.held):
            history = record.histories[number] if number < len(record.histories) else []
            classifier = fits[number].classifier if fits else None
            _write_split(folder / f"split-{number + 1}", held, history, classifier)
    figures = [figures_of(held) for held in record.held]
    with EventWriter(folder) as events:
        events.text("about", _about(record))
        both = both_splits(record.result)
        if both:
            events.text("what to expect", _expectation(both))
            seen = {name: value for name, value in record.result["seen"].items() if isinstance(value, (int, float))}
            events.scalars({f"in courses it has seen/{name}": value for name, value in seen.items()}, 0)
        for epoch, values in enumerate(means):
            events.scalars({f"training/{name}": value for name, value in values.items()}, epoch)
        if record.kind == TRAINING and fits:
            _weights(events, fits[0].classifier)
        if record.held:
            everything = [
                np.concatenate(parts)
                for parts in zip(*((h.probabilities[:, 1], h.labels == 1, h.weights) for h in record.held), strict=True)
            ]
            events.pr_curve("precision and recall", *everything)
            mean = {name: float(np.mean([row[name] for row in figures])) for name in figures[0]}
            events.scalars({f"held out/{name}": value for name, value in mean.items()}, 0)
            chosen = {name: mean[name] for name in ("mcc", "auc", "f1_score", "balanced accuracy")}
            events.hyperparameters(
                _settings(record),
                {**_score(record), **chosen, "threshold": float(np.mean([h.threshold for h in record.held]))},
            )
        else:
            events.hyperparameters(_settings(record), {})


def write_images(figures: Path, folder: Path) -> None:
    """Write the figures of :data:`IMAGES` that a run's folder has as images."""
    with EventWriter(folder, "images") as events:
        for name in IMAGES:
            path = figures / f"{name}.png"
            if path.is_file():
                events.image(name, path)


class EventWriter:
    """Writes one event file to a folder, which it makes; a run in TensorBoard's words.

    Two files of one folder differ in their ``suffix``.
    """

    def __init__(self, folder: Path, suffix: str = "moodlemlbackend") -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._event = Event
        self._file = (folder / f"events.out.tfevents.{int(time.time())}.{suffix}").open("wb")
        self._records = RecordWriter(self._file)
        self._records.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write a number of each of several curves."""
        metadata = _scalar_metadata()
        self._tensors({name: (np.float32(value), metadata) for name, value in values.items()}, step)

    def text(self, name: str, markdown: str) -> None:
        """Write a page of text."""
        from tensorboard.plugins.text.metadata import create_summary_metadata

        metadata = create_summary_metadata(display_name="", description="")
        self._tensors({name: (np.array(markdown.encode(), dtype=object), metadata)}, 0)

    def image(self, name: str, png: Path) -> None:
        """Write a PNG file as an image."""
        from tensorboard.plugins.image.metadata import create_summary_metadata

        content = png.read_bytes()
        width, height = (str(int.from_bytes(content[start : start + 4], "big")).encode() for start in (16, 20))
        metadata = create_summary_metadata(display_name="", description="", converted_to_tensor=True)
        self._tensors({name: (np.array([width, height, content], dtype=object), metadata)}, 0)

    def pr_curve(
        self,
        name: str,
        scores: npt.NDArray[np.floating],
        labels: npt.NDArray[np.bool_],
        weights: npt.NDArray[np.floating],
    ) -> None:
        """Write counts and rates at equally spaced thresholds on the (rows,) scores, for the PR curves plugin."""
        from tensorboard.plugins.pr_curve.metadata import create_summary_metadata

        place = np.minimum((scores * (PR_THRESHOLDS - 1)).astype(np.int64), PR_THRESHOLDS - 1)
        cumulated = [
            np.bincount(place[of], weights[of], PR_THRESHOLDS)[::-1].cumsum()[::-1] for of in (labels, ~labels)
        ]  # at least each threshold
        true_positives, false_positives = cumulated
        false_negatives, true_negatives = true_positives[0] - true_positives, false_positives[0] - false_positives
        precision = true_positives / np.maximum(true_positives + false_positives, 1e-9)
        recall = true_positives / max(true_positives[0], 1e-9)
        data = np.stack([true_positives, false_positives, true_negatives, false_negatives, precision, recall])
        metadata = create_summary_metadata(display_name="", description="", num_thresholds=PR_THRESHOLDS)
        self._tensors({name: (data.astype(np.float32), metadata)}, 0)

    def histograms(self, values: Mapping[str, npt.NDArray[np.floating]], step: int) -> None:
        """Write how the numbers of arrays are spread."""
        from tensorboard.plugins.histogram.metadata import create_summary_metadata

        metadata = create_summary_metadata(display_name="", description="")
        self._tensors({name: (_histogram(array), metadata) for name, array in values.items()}, step)

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
        self.scalars(figures, 0)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _tensors(self, values: Mapping[str, tuple[Any, Any]], step: int) -> None:
        """Write the values and their metadata by name, in one record: a checksum costs more than what it is of."""
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.util.tensor_util import make_tensor_proto

        summary = Summary()
        for name, (value, metadata) in values.items():
            summary.value.add(tag=name, tensor=make_tensor_proto(value), metadata=metadata)
        if values:
            self._records.write(self._event(wall_time=time.time(), step=step, summary=summary).SerializeToString())


def roc_points(
    scores: npt.NDArray[np.floating], labels: npt.NDArray[np.bool_], weights: npt.NDArray[np.floating] | None = None
) -> list[tuple[int, float]]:
    """The ROC curve as (percent of false positives, share of true positives), for a scalar chart."""
    curve = metrics.roc_curve(scores, labels, weights)
    percents = range(0, 101, 5)
    return list(zip(percents, np.interp(np.array(percents) / 100, curve[0], curve[1]).tolist(), strict=True))


def _write_split(folder: Path, held: Held, history: list[dict[str, float]], classifier: Classifier | None) -> None:
    """Write the course of one split's training, if there was one, and its figures on the rows held out."""
    positive = held.labels == 1
    with EventWriter(folder) as events:
        for epoch, values in enumerate(history):
            events.scalars({f"training/{name}": value for name, value in values.items()}, epoch)
        events.pr_curve("precision and recall", held.probabilities[:, 1], positive, held.weights)
        for percent, share in roc_points(held.probabilities[:, 1], positive, held.weights):
            events.scalars({"roc (by percent of false positives)": share}, percent)
        events.scalars({f"held out/{name}": value for name, value in figures_of(held).items()}, 0)
        if classifier is not None:
            _weights(events, classifier)


def _weights(events: EventWriter, classifier: Classifier) -> None:
    """Write histograms of the numbers that a classifier has learned."""
    arrays = {name: array for name, array in classifier.state()[1].items() if not name.startswith("encoder.")}
    floats = {name: array for name, array in arrays.items() if array.dtype.kind == "f" and array.size > 1}
    events.histograms({f"weights/{name.rpartition('.')[2]}": array for name, array in floats.items()}, 0)


def _histogram(array: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(buckets, 3) left edge, right edge and count of what is finite."""
    values = array[np.isfinite(array)]
    low, high = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
    if low >= high:
        return np.array([[low, high, len(values)]], np.float64) if len(values) else np.zeros((0, 3))
    scaled = (values - low) * (BUCKETS / (high - low))
    counts = np.bincount(np.clip(scaled, 0, BUCKETS - 1).astype(np.int64), minlength=BUCKETS)
    edges = np.linspace(low, high, BUCKETS + 1)
    return np.stack([edges[:-1], edges[1:], counts], axis=1)


def _mean_history(histories: list[list[dict[str, float]]]) -> list[dict[str, float]]:
    """Figures by epoch, their mean over the splits."""
    means = []
    for epoch in zip(*histories, strict=False):
        means.append({name: float(np.mean([figures[name] for figures in epoch])) for name in epoch[0]})
    return means


def _settings(record: Record) -> dict[str, Any]:
    about = record.about
    named = {
        name: about[name]
        for name in ("processor", "seed", "score", "time splitting", "target")
        if about.get(name) is not None
    }
    if "split" in record.result:
        named["split"] = record.result["split"]
    return {**named, "rows": int(record.facts.get("rows", 0)), "columns": int(record.facts.get("columns", 0))}


def _score(record: Record) -> dict[str, float]:
    return {"score": float(record.result["score"])} if "score" in record.result else {}


def _about(record: Record) -> str:
    """Facts of the data set and settings of the run, as a Markdown table."""
    facts, about = record.facts, record.about
    counts = ", ".join(f"{name}: {count}" for name, count in (facts.get("classes") or {}).items())
    rows = {
        **about,
        "splits": len(record.held),
        "samples": facts.get("rows"),
        "distinct samples": facts.get("distinct_rows"),
        "samples by class": counts,
        "columns": facts.get("columns"),
        "constant columns": facts.get("constant"),
        "empty cells": f"{facts.get('empty', 0):.1%}",
    }
    lines = (f"| {_cell(name)} | {_cell(value)} |" for name, value in rows.items())
    return "| fact | value |\n|---|---|\n" + "\n".join(lines)


def _expectation(both: BothSplits) -> str:
    """Figures in new and in seen courses as a Markdown table, with what the difference means."""
    lines = (f"| {name} | {new:.3f} | {seen:.3f} |" for name, new, seen in both.rows)
    head = f"| metric | {' | '.join(both.columns)} |\n|---|---|---|\n"
    return f"{both.sentence}\n\n{head}" + "\n".join(lines)


def _cell(value: Any) -> str:
    """Keep a value in its cell of a Markdown table."""
    return " ".join(str(value).replace("|", "\\|").split())


@lru_cache(maxsize=1)
def _scalar_metadata() -> Any:
    from tensorboard.plugins.scalar.metadata import create_summary_metadata

    return create_summary_metadata(display_name="", description="")


def _hyperparameter(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)
