"""The contract of a predictions processor.

A processor answers five calls: train, predict, evaluate, export and import. What they have in common is here;
an implementation only says how a classifier is fitted and how a stored one is read again:

* :meth:`Processor.fit`, a classifier from samples (and :meth:`Processor.fit_part`, several at once where that is
  quicker);
* :meth:`Processor.restore`, a classifier from the arrays that :meth:`Classifier.state` gave.

A third party registers a subclass of :class:`Processor` under the entry point group ``moodlemlbackend.processors``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from moodlemlbackend.cluster import current
from moodlemlbackend.dataset.courses import LEAST_COURSES
from moodlemlbackend.dataset.data_set import DataSet
from moodlemlbackend.errors import BackendError, ModelError, NotEnoughDataError
from moodlemlbackend.metrics import Rating, decide
from moodlemlbackend.model.codes import CodedRows
from moodlemlbackend.model.encoding import Indices
from moodlemlbackend.processor import OWN
from moodlemlbackend.processor.cluster_fits import fit_on_cluster
from moodlemlbackend.processor.course_spread import course_spread, probability_ranges
from moodlemlbackend.processor.decision import decision_threshold
from moodlemlbackend.processor.evaluation import Smaller, SplitRatings
from moodlemlbackend.processor.memory import MEMORY, recall, remember, taught
from moodlemlbackend.processor.splits import COURSE, ROW, Split, draw_splits_or_rows, row_splits, smaller_splits
from moodlemlbackend.processor.training_rows import TrainingRows, join_samples, masked_positions

if TYPE_CHECKING:
    from moodlemlbackend.model.contributions import Contributions
    from moodlemlbackend.runtime.run import Run
    from moodlemlbackend.storage.model_store import ModelStore
    from moodlemlbackend.storage.stored_model import StoredModel

Floats = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]
Progress = Callable[[int, int], None]
Prediction = tuple[str, str, str]

_ROWS_AT_ONCE = 16_384
_SUM_TOLERANCE = 1e-4
_MOST_COLUMNS = 1_000_000
"""Columns that a model may have which comes from elsewhere."""

_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError)
"""What a classifier may raise that is read from arrays or settings that do not fit."""

_HELD_OUT = ("held_out_probabilities", "held_out_targets", "held_out_positions")
"""What :class:`Fitted` has of rows that were held out."""


@contextmanager
def code_of(processor: str, purpose: str, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Run code of a processor; what it raises of its own, but for ``passing``, becomes a ModelError that names it.

    Of the package's own ones only what :func:`checked` refuses: behind the rest may be a limit of the process.
    """
    try:
        yield
    except Exception as error:  # anything can go wrong in what a third party wrote
        if isinstance(error, (BackendError, MemoryError, OSError, *passing)):
            raise
        if processor in OWN and not isinstance(error, ValueError):
            raise
        raise ModelError(
            f"The processor {processor} failed in {purpose} ({' '.join(str(error).split())[:200]}); correct it or use "
            "another processor."
        ) from error


def checked(probabilities: Any, rows: int, classes: int) -> Probabilities:
    """What a classifier gave as (rows, classes) float64; ValueError unless they are probabilities."""
    found = np.asarray(probabilities, np.float64)
    if found.shape != (rows, classes):
        raise ValueError(f"for {rows} rows of {classes} classes its output is {found.shape}")
    sums = found.sum(axis=1)
    if not np.isfinite(sums).all():
        raise ValueError("its predictions are not numbers")
    if found.min(initial=0) < 0 or np.abs(sums - 1).max(initial=0) > _SUM_TOLERANCE:
        raise ValueError("its predictions are not probabilities")
    return found


def no_progress(_done: int, _total: int) -> None:
    """Show nothing."""


class Classifier(ABC):
    """Turns features into probabilities; immutable."""

    @abstractmethod
    def probabilities(self, features: Floats) -> Probabilities:
        """Calibrated probabilities (rows, K) of (rows, columns) float32 features, where NaN is an empty cell."""

    def probabilities_of_coded(self, coded: CodedRows) -> Probabilities:
        """As :meth:`probabilities`, of coded rows; to be overridden where they need not be decoded for it."""
        return np.concatenate([self.probabilities(part.decode()) for part in coded.parts()])

    def permuted_probabilities(self, coded: CodedRows, groups: list[Indices], order: Indices) -> Probabilities:
        """Probabilities (groups, rows, K) of coded rows, a group of columns at a time taken from the rows ``order``.

        To be overridden where not everything needs to be computed again.
        """
        rows = coded.codes.shape[1]
        at_once = max(1, _ROWS_AT_ONCE // max(1, rows))
        parts = []
        for start in range(0, len(groups), at_once):
            part = groups[start : start + at_once]
            codes = np.tile(coded.codes, (1, len(part)))
            for number, group in enumerate(part):
                codes[group, number * rows : (number + 1) * rows] = coded.codes[np.ix_(group, order)]
            chances = self.probabilities_of_coded(CodedRows(codes, coded.values))
            parts.append(chances.reshape(len(part), rows, -1))
        return np.concatenate(parts)

    def contributions(self, features: Floats) -> Contributions | None:  # noqa: ARG002
        """How much each column adds to the log-odds of (rows, columns) features; None when only estimates are possible.

        To be overridden where contributions are known exactly; they must add up to :meth:`probabilities`.
        """
        return None

    def least_columns(self) -> int:
        """How many columns features must have, where the model keeps no names of them."""
        return 0

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Settings (JSON) and arrays from which :meth:`Processor.restore` makes an equal classifier."""


@dataclass(frozen=True)
class Fitted:
    """A classifier fresh from training.

    Attributes
    ----------
    held_out_probabilities, held_out_targets:
        (rows, K) predictions for training rows by classifiers that had not seen them, and how often each row occurred
        with each class; None where the processor makes none: the decision threshold is then .5.
    history:
        figures by epoch, for TensorBoard; empty where there are no epochs.
    held_out_positions:
        (training rows,) where each training row is among those held out, -1 where it is not; with these, and rows dealt
        by course, a model knows how far courses differ from what is promised for them.
    known_threshold:
        the decision threshold, where the rows that it was found from are not kept.
    """

    classifier: Classifier
    held_out_probabilities: Probabilities | None = None
    held_out_targets: Floats | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    held_out_positions: npt.NDArray[np.int32] | None = None
    known_threshold: float | None = None

    @cached_property
    def threshold(self) -> float:
        """The probability of class 1 from which on class 1 is predicted."""
        if self.known_threshold is not None:
            return self.known_threshold
        return decision_threshold(self.held_out_probabilities, self.held_out_targets)

    def without_rows(self) -> Fitted:
        """The same, its threshold known, without the rows that were held out: those of many splits take memory."""
        return Fitted(self.classifier, history=self.history, known_threshold=self.threshold)

    def spread(self, samples: TrainingRows, happened: int | None = None) -> float | None:
        """How far unseen courses differ from what is promised for them, in log-odds, for two classes.

        ``samples`` are those that were trained on; the last ``happened`` of them, unless all, are real ones. None where
        fewer than five courses are known.
        """
        groups, positions, chances = samples.courses.groups, self.held_out_positions, self.held_out_probabilities
        if groups is None or positions is None or chances is None or chances.shape[1] != 2:
            return None
        first = 0 if happened is None else len(samples) - happened
        rows = first + np.flatnonzero(positions[first:] >= 0)
        if np.count_nonzero(np.bincount(groups[first:])) < LEAST_COURSES or not len(rows):
            return None
        targets = samples.targets[rows]
        return course_spread(chances[positions[rows], 1], targets[:, 1], targets.sum(axis=1), groups[rows])

    def model(self, samples: TrainingRows, rows: float, happened: int | None = None) -> TrainedModel:
        """The model that comes of it, which has learned from ``rows``; the others as of :meth:`spread`."""
        return TrainedModel(
            self.classifier,
            samples.columns,
            samples.classes,
            self.threshold,
            rows,
            samples.masked,
            self.spread(samples, happened),
        )


@dataclass(frozen=True)
class TrainedModel:
    """A classifier and what it was trained for.

    ``columns`` is None for a model of the reference package, which kept no names. ``rows`` is how many samples the
    classifier has learned from, 0 if unknown. It has not learned from the columns ``masked``, whose cells it takes for
    empty. ``spread`` is how far unseen courses differ from what is promised for them (:mod:`.course_spread`), None if
    unknown. Errors name the ``processor``.
    """

    classifier: Classifier
    columns: tuple[str, ...] | None
    classes: tuple[str, ...]
    threshold: float
    rows: float
    masked: tuple[str, ...] = ()
    spread: float | None = None
    processor: str = ""

    def ranges(self, probabilities: Probabilities) -> Probabilities | None:
        """The range (rows, 2) of class 1's probability in 8 of 10 courses, of (rows, K) ``probabilities``."""
        return None if self.spread is None else probability_ranges(probabilities[:, 1], self.spread)

    def check(self, source: str, columns: tuple[str, ...], classes: tuple[str, ...] | None) -> None:
        """Raise ModelError when the data set ``source`` has other columns or classes, None if unknown, than this."""
        if self.columns is not None and self.columns != columns:
            raise ModelError(_differing_columns(self.columns, columns, source))
        if classes is not None and set(self.classes) != set(classes):
            raise ModelError(
                f"The model was trained for the classes {', '.join(self.classes)}, but targetclasses of "
                f"{source} are {', '.join(classes)}; clear the model and train it again."
            )

    def seen(self, features: Floats) -> Floats:
        """What the classifier is to see of (rows, columns) features: they themselves, or a copy with empty cells."""
        hidden = masked_positions(self.columns or (), self.masked)
        if not hidden:
            return features
        features = features.copy()
        features[:, hidden] = np.nan
        return features

    def probabilities(self, features: Floats) -> Probabilities:
        """Calibrated probabilities (rows, K) of features; ModelError where the processor gives something else."""
        if not len(features):
            return np.zeros((0, len(self.classes)))
        with code_of(self.processor, "prediction"):
            return checked(self.classifier.probabilities(self.seen(features)), len(features), len(self.classes))

    def probabilities_of_coded(self, coded: CodedRows) -> Probabilities:
        """As :meth:`probabilities`, of coded rows."""
        with code_of(self.processor, "prediction"):
            found = self.classifier.probabilities_of_coded(coded)
            return checked(found, coded.codes.shape[1], len(self.classes))

    def predict(self, batch: DataSet) -> Iterator[Prediction]:
        """Yield (sample id, class, decision score) of each row of an unlabelled batch."""
        probabilities = self.probabilities(batch.features)
        labels, scores = decide(probabilities, self.threshold)
        for sample_id, label, score in zip(batch.sample_ids or (), labels.tolist(), scores.tolist(), strict=True):
            yield sample_id, self.classes[label], f"{score:.8g}"

    def prove(self) -> None:
        """Raise ValueError unless this model predicts made-up rows, empty cells and extremes among them."""
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"its threshold is {self.threshold}, not a number from 0 to 1")
        if not 0 <= self.rows < math.inf:
            raise ValueError(f"it has learned from {self.rows} rows")
        if self.spread is not None and not 0 <= self.spread < math.inf:
            raise ValueError(f"its spread of courses is {self.spread}")
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ValueError("it has fewer than two classes, or two with the same name")
        columns = self.classifier.least_columns() if self.columns is None else len(self.columns)
        if columns > _MOST_COLUMNS:
            raise ValueError(f"it needs {columns} columns")
        drawn = np.random.default_rng(0).uniform(-1, 1, (4, columns)).round(2)
        rows = np.concatenate([np.full((1, columns), value) for value in (np.nan, 0, 1, -1, 1e30)] + [drawn])
        with np.errstate(all="ignore"):
            found = self.classifier.probabilities(rows.astype(np.float32))
            _, scores = decide(checked(found, len(rows), len(self.classes)), self.threshold)
        if not np.isfinite(scores).all():
            raise ValueError("its predictions are not numbers")


class Processor(ABC):
    """A predictions processor: how models are trained, used, judged and moved."""

    name: ClassVar[str]
    """Name in settings and stored models: lower-case letters, digits and underscores."""

    libraries: ClassVar[tuple[str, ...]] = ()
    """Modules slow to import that training needs: they are loaded while the data set is read."""

    # What an implementation says.

    @abstractmethod
    def fit(self, samples: TrainingRows, *, seed: int, progress: Progress = no_progress) -> Fitted:
        """Train on all samples; every class has at least one."""

    @abstractmethod
    def restore(self, settings: Mapping[str, Any], array: Callable[[str], npt.NDArray[Any]]) -> Classifier:
        """Rebuild a classifier; ``array`` reads one array by name. ValueError or KeyError when they do not fit."""

    def splits_at_once(self, samples: TrainingRows) -> int:  # noqa: ARG002
        """How many splits :meth:`fit_part` trains in one go; it depends on the samples alone."""
        return 1

    def fit_part(
        self, samples: TrainingRows, splits: list[Indices], *, seed: int, progress: Progress = no_progress
    ) -> list[Fitted]:
        """Train on the rows of each split; to be overridden with :meth:`splits_at_once` where several go together."""
        return [self.fit(samples.take(rows), seed=seed, progress=progress) for rows in splits]

    # What follows for every implementation.

    def fit_whole(self, samples: TrainingRows, *, seed: int, progress: Progress = no_progress) -> Fitted:
        """Train on all samples, here or on the cluster in use."""
        if (cluster := current()) is None:
            with code_of(self.name, "training"):
                return self.fit(samples, seed=seed, progress=progress)
        [fitted] = fit_on_cluster(cluster, self, samples, [None], [seed], progress)
        return fitted

    def fit_splits(
        self, samples: TrainingRows, splits: list[Indices], *, seed: int, progress: Progress = no_progress
    ) -> Iterator[Fitted]:
        """Train on the rows of each split, here or on the cluster in use; the same training as :meth:`fit`."""
        at_once = self.splits_at_once(samples)
        parts = [splits[start : start + at_once] for start in range(0, len(splits), at_once)]
        seeds = [seed + start if at_once > 1 else seed for start in range(0, len(splits), at_once)]
        if (cluster := current()) is not None:
            yield from fit_on_cluster(cluster, self, samples, parts, seeds, progress)
            return
        for number, (part, own_seed) in enumerate(zip(parts, seeds, strict=True)):

            def show(done: int, total: int, before: int = number * at_once, size: int = len(part)) -> None:
                progress(before * total + done * size, len(splits) * total)

            yield from self.fit_part(samples, part, seed=own_seed, progress=show)

    def load(self, stored: StoredModel) -> TrainedModel:
        """Read a model that this processor stored; ModelError when it is damaged."""
        try:
            settings = stored.settings
            with code_of(self.name, f"reading {stored.folder}", passing=_DAMAGE):
                classifier = self.restore(settings["classifier"], stored.array)
            return TrainedModel(
                classifier,
                tuple(map(str, settings["columns"])) if settings["columns"] is not None else None,
                tuple(map(str, settings["classes"])),
                float(settings["threshold"]),
                float(settings["rows"]),
                tuple(map(str, settings.get("masked", ()))),
                None if settings.get("spread") is None else float(settings["spread"]),
                self.name,
            )
        except _DAMAGE as error:
            raise ModelError(
                f"The trained model in {stored.folder} cannot be used ({error}); clear it and train again."
            ) from error

    def pack(self, fitted: Fitted) -> tuple[dict[str, Any], Arrays]:
        """Facts (JSON) and arrays of what was fitted; :meth:`unpack` makes it of them."""
        settings, arrays = fitted.classifier.state()
        honest = {name: value for name in _HELD_OUT if (value := getattr(fitted, name)) is not None}
        packed = {f"classifier.{name}": array for name, array in arrays.items()}
        return {"classifier": settings, "history": fitted.history}, {**packed, **honest}

    def unpack(self, facts: Mapping[str, Any], arrays: Arrays) -> Fitted:
        """What was fitted elsewhere."""
        classifier = self.restore(facts["classifier"], lambda name: arrays[f"classifier.{name}"])
        honest: dict[str, Any] = {name: arrays.get(name) for name in _HELD_OUT}
        return Fitted(classifier, history=facts["history"], **honest)

    def prove(self, model: TrainedModel, folder: Path) -> None:
        """Raise ModelError unless a model that came in ``folder`` can predict."""
        try:
            model.prove()
        except Exception as error:  # whatever a processor meets in arrays that somebody else made
            raise ModelError(
                f"The model in {folder} cannot be used here ({' '.join(str(error).split())[:200]}); the "
                "previous model stays in use: export the new one again."
            ) from error

    def describe(self, model: TrainedModel) -> tuple[dict[str, Any], Arrays]:
        """Settings and arrays to store a model with; :meth:`load` reads them."""
        settings, arrays = model.classifier.state()
        about = {
            "columns": model.columns,
            "classes": model.classes,
            "threshold": model.threshold,
            "rows": model.rows,
            "masked": model.masked,
            "spread": model.spread,
            "classifier": settings,
        }
        return about, arrays

    def proven(self, fitted: Fitted, samples: TrainingRows, rows: float, happened: int | None = None) -> TrainedModel:
        """As :meth:`Fitted.model`, once the model has proved that it can predict; ModelError if it cannot."""
        with code_of(self.name, "training"):
            model = replace(fitted.model(samples, rows, happened), processor=self.name)
            model.prove()
        return model

    def store(self, store: ModelStore, model: TrainedModel, memory: Arrays) -> StoredModel:
        """Publish a model with its memory; the caller holds the store's lock."""
        with code_of(self.name, "storing"):
            about, arrays = self.describe(model)
            return store.publish(self.name, about, {**arrays, **memory})

    def train(
        self,
        store: ModelStore,
        samples: TrainingRows,
        run: Run,
        *,
        former: tuple[TrainedModel, StoredModel | None] | None = None,
        seed: int,
        progress: Progress = no_progress,
    ) -> Fitted:
        """Train on the samples and on what the former model remembers, and publish the result.

        Raises
        ------
        NotEnoughDataError
            A class has no sample, neither here nor in the former model.
        """
        known, happened = samples, len(samples)
        if former is not None:
            model, stored = former
            known, happened = self._with_former(model, stored, samples, run)
        require_every_class(known)
        warn_of_constant_columns(known, run)
        fitted = self.fit_whole(known, seed=seed, progress=progress)
        rows = float(samples.targets.sum()) + (former[0].rows if former else 0.0)
        self.store(store, self.proven(fitted, known, rows, happened), remember(known))
        run.log.info("Trained on %d rows; decision threshold %.4f", len(known), fitted.threshold)
        return fitted

    def _with_former(
        self, model: TrainedModel, stored: StoredModel | None, samples: TrainingRows, run: Run
    ) -> tuple[TrainingRows, int]:
        """The samples after what the former model knows, and how many of the last of these really happened."""
        old = recall(stored, samples) if stored is not None else None
        if old is not None:
            run.log.info("The previous model remembers %d distinct rows", len(old))
            known = join_samples(old, samples)
            return known, len(known)
        run.log.info("The previous model remembers no rows: the new one learns from its predictions for the new rows")
        return join_samples(taught(model, model.classes, model.rows, samples), samples), len(samples)

    def predict(self, model: TrainedModel, batches: Iterable[DataSet]) -> Iterator[Prediction]:
        """Yield (sample id, class, decision score) of every row of unlabelled batches."""
        for batch in batches:
            yield from model.predict(batch)

    def evaluate(
        self,
        samples: TrainingRows,
        *,
        iterations: int,
        seed: int,
        split: str = COURSE,
        learning_curve: bool = False,
        progress: Progress = no_progress,
    ) -> SplitRatings:
        """Train on about 80 % of the samples and rate the rest, ``iterations`` times.

        ``split`` is one of :data:`~.splits.SPLITS`; rows are dealt one by one where the samples cannot be parted so.
        Beside splits by course or time, half as many by row are rated, to compare. For a learning curve, some
        trainings on parts of the rows are added; they are no part of the verdict. ``progress`` counts trainings.

        Raises
        ------
        NotEnoughDataError
            A class has fewer than two samples.
        """
        require_every_class(samples)
        splits, split, reason = draw_splits_or_rows(samples, split, iterations, seed)
        seen = [] if split == ROW else row_splits(samples, (iterations + 1) // 2, seed)
        smaller = smaller_splits(samples, split, splits, seed) if learning_curve else []
        trainings = [*(split.training for split in (*splits, *seen)), *(rows for _, rows in smaller)]

        def show(done: int, total: int) -> None:
            progress(done * len(trainings) // total, len(trainings))

        with code_of(self.name, "training"):
            fits = [fitted.without_rows() for fitted in self.fit_splits(samples, trainings, seed=seed, progress=show)]

        def rate(split: Split, fitted: Fitted) -> Rating:
            with code_of(self.name, "evaluation"):
                parts = [fitted.classifier.probabilities_of_coded(part) for part in samples.coded.parts(split.held_out)]
                probabilities = checked(np.concatenate(parts), len(split.held_out), len(samples.classes))
            return Rating(samples.labels[split.held_out], probabilities, fitted.threshold)

        rated = [(rate(split, fitted), fitted) for split, fitted in zip(splits, fits, strict=False)]
        in_seen = [rate(split, fitted) for split, fitted in zip(seen, fits[len(splits) :], strict=False)]
        curve = [
            Smaller(number, len(rows), rate(splits[number], fitted))
            for (number, rows), fitted in zip(smaller, fits[len(splits) + len(seen) :], strict=True)
        ]
        return SplitRatings(splits, rated, curve, split, reason, in_seen)

    def export(self, stored: StoredModel, folder: Path) -> None:
        """Write a stored model to a folder, without the rows it remembers: they stay on the site."""
        stored.copy_to(folder, without=[name for name in stored.specs if name in MEMORY])

    def import_model(self, store: ModelStore, exported: StoredModel) -> None:
        """Publish an exported model, once it has proved to be usable; the caller holds the store's lock."""
        self.prove(self.load(exported), exported.folder)
        kept = [name for name in exported.specs if name not in MEMORY]
        store.publish(self.name, exported.settings, exported.arrays(*kept))


def require_every_class(samples: TrainingRows) -> None:
    """Raise NotEnoughDataError unless two classes or more all have a sample and some cell is not empty."""
    missing = [name for name, count in zip(samples.classes, samples.class_counts, strict=True) if count <= 0]
    if missing:
        raise NotEnoughDataError(
            f"There is no sample of class {', '.join(missing)} among {len(samples)} samples; "
            "a model needs samples of every class, so wait for more courses to finish."
        )
    if not samples.coded.codes.any():
        raise NotEnoughDataError(
            f"All cells of the {len(samples)} samples are empty: no indicator could be calculated; check the "
            "model's indicators and the courses' dates."
        )


def warn_of_constant_columns(samples: TrainingRows, run: Run) -> None:
    """Warn when no column varies: only the classes' shares can be learned then."""
    if not samples.coded.varies.any():
        run.add_info(
            f"None of the {len(samples.columns)} indicator columns varies between the samples, so the model "
            "only knows how frequent each class is."
        )


def _differing_columns(columns: tuple[str, ...], given: tuple[str, ...], source: str) -> str:
    """Say in one sentence how the columns found in a file differ from the model's."""
    advice = "use data with the same indicators and interval, or clear the model and train it again"
    if len(columns) != len(given):
        return f"The model was trained on {len(columns)} columns but {source} has {len(given)}; {advice}."
    position = next(i for i, (column, other) in enumerate(zip(columns, given, strict=True)) if column != other)
    return (
        f"The model was trained on columns that differ from those of {source}: column {position + 1} was "
        f"{columns[position]!r} and is {given[position]!r}; {advice}."
    )
