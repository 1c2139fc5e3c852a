"""What the commands do, as Python functions: ``from moodlemlbackend import fit, evaluate, explain`` and so on.

Arrays are NumPy's. A data set is a :class:`~moodlemlbackend.dataset.data_set.DataSet`, read from a file or made from a
frame of polars or pandas. Everything that can be wrong with what is given is a
:class:`~moodlemlbackend.errors.BackendError` with a sentence that says what to do.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.cluster import current
from moodlemlbackend.cluster import using as use_cluster
from moodlemlbackend.dataset import data_set
from moodlemlbackend.dataset.data_set import DataSet
from moodlemlbackend.errors import NotEnoughDataError, UsageError
from moodlemlbackend.metrics import Rating, decide
from moodlemlbackend.operations.trained_models import processor_of, trained_in
from moodlemlbackend.processor import get_processor
from moodlemlbackend.processor.evaluation import figures_by_name
from moodlemlbackend.processor.explanation import Explanation, Explanations
from moodlemlbackend.processor.explanation import explain as explain_rows
from moodlemlbackend.processor.memory import remember
from moodlemlbackend.processor.processor import Progress, TrainedModel, no_progress, require_every_class
from moodlemlbackend.processor.splits import COURSE, Split, draw_splits_or_rows
from moodlemlbackend.processor.training_rows import TrainingRows, samples_of
from moodlemlbackend.runtime.environment import import_quietly

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Evaluation",
    "Model",
    "evaluate",
    "explain",
    "explanation_figure",
    "fit",
    "load_model",
    "read_dataset",
    "splits",
    "use_cluster",
    "write_dataset",
]

Indices = npt.NDArray[np.int64]
Features = DataSet | npt.NDArray[np.floating]
Rows = Sequence[int] | Indices | npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model.

    Attributes
    ----------
    trained:
        classifier, columns, classes and threshold, as the processors use them.
    processor:
        name of the processor that trained it.
    """

    trained: TrainedModel
    processor: str
    _samples: TrainingRows | None = field(default=None, repr=False)

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the features; None for a model of the reference package, which kept none."""
        return self.trained.columns

    @property
    def classes(self) -> tuple[str, ...]:
        """The K classes, as text."""
        return self.trained.classes

    @property
    def threshold(self) -> float:
        """The probability of class 1 from which on it is predicted, with two classes."""
        return self.trained.threshold

    def predict_proba(self, data: Features) -> npt.NDArray[np.float64]:
        """Calibrated probabilities (rows, K) of a data set, or of (rows, columns) features with NaN for an empty cell.

        Features are an array, or a frame of polars or pandas with the columns of the model in their order. Raises
        :class:`ModelError` for a data set or frame of other columns or classes, and UsageError for such an array.
        """
        return self.trained.probabilities(self._features(data))

    def predict(self, data: Features) -> Indices:
        """Predicted classes (rows,) int64 as positions in ``classes``; parameters as of :meth:`predict_proba`."""
        return decide(self.predict_proba(data), self.threshold)[0]

    def predict_range(self, data: Features) -> npt.NDArray[np.float64] | None:
        """Low and high (rows, 2) of the probability of class 1 of two; parameters as of :meth:`predict_proba`.

        Of 8 of 10 courses that the model has not seen, the share of class 1 lies between the means of both over the
        course. None where the model was trained on fewer than five courses, or does not know them.
        """
        return self.trained.ranges(self.predict_proba(data))

    def decision_scores(self, data: Features) -> npt.NDArray[np.float64]:
        """The score (rows,) of the predicted class that Moodle gets; parameters as of :meth:`predict_proba`."""
        return decide(self.predict_proba(data), self.threshold)[1]

    def save(self, outputdir: str | os.PathLike[str]) -> None:
        """Put the model in force in a directory, where the commands and :func:`load_model` find it.

        A model that was fitted in this process keeps its distinct rows there, so that training can go on.
        """
        from moodlemlbackend.storage.model_store import ModelStore

        store = ModelStore(Path(outputdir))
        with store.lock():
            get_processor(self.processor).store(
                store, self.trained, {} if self._samples is None else remember(self._samples)
            )

    def _features(self, data: Features) -> npt.NDArray[np.float32]:
        if isinstance(data, DataSet):
            self.trained.check(data.header.source, data.header.columns, data.header.classes)
            return data.features
        if hasattr(data, "to_numpy") and hasattr(data, "columns"):
            self.trained.check("the frame", tuple(map(str, data.columns)), None)
        try:
            features = np.asarray(data, np.float32)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"The features cannot be read as numbers ({error}); give a data set, a frame or an array."
            ) from error
        if features.ndim != 2 or (self.columns is not None and features.shape[1] != len(self.columns)):
            wanted = "any number of" if self.columns is None else len(self.columns)
            raise UsageError(
                f"The features have shape {features.shape}, but the model needs rows with {wanted} columns."
            )
        return features


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well a configuration does on splits, or a model on a data set.

    Attributes
    ----------
    figures:
        (iterations,) float64 by name: ``mcc``, ``auc``, ``accuracy``, ``balanced accuracy``, ``precision``, ``recall``
        and ``f1_score``, as the command ``evaluate`` gives them.
    ratings:
        labels, probabilities and threshold for each split; of a trained model in the order of its ``classes``.
    splits:
        rows trained on and rows rated, for each split; empty for a trained model, which is rated on all rows.
    split:
        how they were parted: ``course``, ``row`` or ``time``; empty for a trained model.
    seen:
        the same figures in courses that were trained on, of splits by row, beside those by course or time; else empty.
    """

    figures: dict[str, npt.NDArray[np.float64]]
    ratings: list[Rating]
    splits: list[tuple[Indices, Indices]]
    split: str = ""
    seen: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    @property
    def mean(self) -> dict[str, float]:
        """The mean of each figure."""
        return {name: float(values.mean()) for name, values in self.figures.items()}

    @property
    def deviation(self) -> dict[str, float]:
        """The standard deviation of each figure over the splits."""
        return {name: float(values.std()) for name, values in self.figures.items()}

    @property
    def score(self) -> float:
        """What Moodle compares with its minimum: the mean Matthews correlation, scaled to 0 … 1."""
        return (self.mean["mcc"] + 1) / 2


def read_dataset(path: str | os.PathLike[str]) -> DataSet:
    """Read a data set file, labelled or not, plain or gzip; ``-`` is standard input. Raises :class:`DataSetError`."""
    return data_set.read(path)


def write_dataset(path: str | os.PathLike[str], data: DataSet) -> None:
    """Write a data set file as Moodle does, whole or not at all; errors as of :func:`.dataset.csv_writer.write`."""
    header = data.header
    labels = None if data.labels is None else np.array(header.classes, object)[data.labels]
    data_set.write(
        path,
        header.metadata,
        header.columns,
        data.features,
        labels=labels,
        sample_ids=data.sample_ids,
        target=header.target,
    )


def fit(
    data: DataSet,
    *,
    processor: str = "neural_network",
    seed: int = 0,
    groups: npt.ArrayLike | None = None,
    progress: Progress = no_progress,
) -> Model:
    """Train a model on a labelled data set.

    Parameters
    ----------
    groups:
        (rows,) the course of each row; told from a file that Moodle wrote unless given.
    processor:
        ``neural_network``, ``logistic_regression``, or one that is installed.
    seed:
        of every random choice: the same seed and data give the same model.
    progress:
        called with the steps done and the steps in all.

    Raises
    ------
    NotEnoughDataError
        A class has no sample, or no cell is filled.
    UsageError
        The data set is not labelled, or there is no such processor.
    """
    trainer = get_processor(str(processor))
    _check_numbers(seed)
    samples = _labelled(data, groups)
    require_every_class(samples)
    if current() is None:
        import_quietly(*trainer.libraries)
    fitted = trainer.fit_whole(samples, seed=seed, progress=progress)
    return Model(trainer.proven(fitted, samples, float(len(samples))), processor, samples)


def load_model(outputdir: str | os.PathLike[str]) -> Model:
    """Read the model trained in a directory, by the command ``train``, by Moodle, or by the reference package.

    Raises :class:`NotTrainedError` where there is none and :class:`ModelError` when it cannot be used.
    """
    trained, stored = trained_in(os.fspath(outputdir))
    return Model(trained, processor_of(stored).name)


def splits(
    data: DataSet,
    *,
    iterations: int = 10,
    seed: int = 0,
    split: str = COURSE,
    groups: npt.ArrayLike | None = None,
    times: npt.ArrayLike | None = None,
) -> list[tuple[Indices, Indices]]:
    """Draw the splits of :func:`evaluate`: rows to train on (about 80 %) and rows to rate.

    They can be given to scikit-learn as ``cv``. Parameters and errors as of :func:`evaluate`.
    """
    _check_numbers(seed, iterations)
    samples = _labelled(data, groups, times)
    return _pairs(_draw(samples, split, iterations, seed, named=groups is not None or times is not None))


def evaluate(
    data: DataSet,
    *,
    model: Model | None = None,
    processor: str = "neural_network",
    iterations: int = 10,
    seed: int = 0,
    split: str = COURSE,
    groups: npt.ArrayLike | None = None,
    times: npt.ArrayLike | None = None,
    progress: Progress = no_progress,
) -> Evaluation:
    """Judge what can be learned from a labelled data set, or rate a trained ``model`` on it.

    Without a model, trains on about 80 % of the rows and rates the others, ``iterations`` times.

    Parameters
    ----------
    split:
        what is held out: whole courses (``course``), single rows (``row``) or the later courses (``time``). Where the
        courses are not known, single rows.
    groups:
        (rows,) the course of each row; told from a file that Moodle wrote unless given.
    times:
        (rows,) when the course of each row began, for ``time``.

    Raises
    ------
    NotEnoughDataError
        A class has fewer than two rows, or the rows cannot be split by the ``groups`` or ``times`` given.
    UsageError
        As of :func:`fit`, or there is not one of ``groups`` or ``times`` for each row.
    """
    _check_numbers(seed, iterations)
    samples = _labelled(data, groups, times)
    if model is not None:
        chances = model.predict_proba(data)
        ratings = [Rating(samples.in_order(model.classes).labels, chances, model.threshold)]
        return Evaluation(figures_by_name(ratings), ratings, [])
    trainer = get_processor(str(processor))
    if current() is None:
        import_quietly(*trainer.libraries)
    if groups is not None or times is not None:
        _draw(samples, split, iterations, seed, named=True)
    rated = trainer.evaluate(samples, iterations=iterations, seed=seed, split=split, progress=progress)
    ratings = [rating for rating, _ in rated]
    seen = figures_by_name(rated.seen) if rated.seen else {}
    return Evaluation(figures_by_name(ratings), ratings, _pairs(rated.splits), rated.kind, seen)


def explain(model: Model, data: Features, rows: Rows | None = None) -> Explanations:
    """Say how much each indicator adds to the log-odds of predictions, for some rows or all.

    The contributions of the package's own processors are exact; other processors' are estimates that add up.

    Parameters
    ----------
    data:
        a data set, or (rows, columns) features.
    rows:
        positions, from 0, or a bool for each row.

    Raises
    ------
    UsageError
        There is no such row, or none is chosen.
    ModelError
        The data set has other columns or classes than the model, or contributions that do not add up.
    """
    features = model._features(data)
    chosen = _positions(rows, len(features))
    ids = data.sample_ids if isinstance(data, DataSet) else None
    names = [f"row {row}" for row in chosen.tolist()] if ids is None else [ids[row] for row in chosen]
    columns = data.header.columns if isinstance(data, DataSet) else model.columns
    columns = columns or tuple(f"column {column}" for column in range(features.shape[1]))
    return explain_rows(model.trained, columns, features[chosen], names)


def explanation_figure(explanation: Explanation, top: int = 10) -> Figure:
    """Draw an explanation with matplotlib: the ``top`` largest contributions, and the others together."""
    from moodlemlbackend.report.explanation import draw

    return draw(explanation, top=top)


def _positions(rows: Rows | None, count: int) -> Indices:
    """The positions of the rows chosen among ``count``; UsageError where there are none such."""
    chosen = np.arange(count) if rows is None else np.asarray(rows)
    if chosen.dtype == bool and chosen.shape == (count,):
        chosen = np.flatnonzero(chosen)
    if not chosen.size:
        raise UsageError("No row is chosen; choose one or more to explain.")
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or not ((chosen >= -count) & (chosen < count)).all():
        raise UsageError(f"Rows must be positions from 0 to {count - 1}, or a bool for each of {count} rows.")
    return np.arange(count)[chosen]


def _draw(samples: TrainingRows, split: str, iterations: int, seed: int, *, named: bool) -> list[Split]:
    """Draw splits; NotEnoughDataError where the caller ``named`` courses or times and they cannot be split by."""
    drawn, _, reason = draw_splits_or_rows(samples, split, iterations, seed)
    if reason and named:
        raise NotEnoughDataError(f"The rows cannot be split by {split} because {reason}.")
    return drawn


def _pairs(drawn: list[Split]) -> list[tuple[Indices, Indices]]:
    return [(drawn_split.training, drawn_split.held_out) for drawn_split in drawn]


def _check_numbers(seed: Any, iterations: Any = 1) -> None:
    for name, value, least in (("seed", seed, 0), ("iterations", iterations, 1)):
        if not isinstance(value, Integral) or value < least:
            raise UsageError(f"{name} is {value!r}; it must be a whole number of {least} or more.")


def _labelled(data: DataSet, groups: npt.ArrayLike | None = None, times: npt.ArrayLike | None = None) -> TrainingRows:
    if not isinstance(data, DataSet):
        raise UsageError(f"The data is a {type(data).__name__}; give a data set: read_dataset and from_frame make one.")
    if data.labels is None:
        raise UsageError(f"{data.header.source} has no labels; give a data set with the class of each sample.")
    return samples_of(data, groups, times)
