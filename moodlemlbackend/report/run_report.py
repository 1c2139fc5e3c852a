"""What a run leaves in its folder for people: figures, a report, and event files for TensorBoard.

::

    logs/{runid}/report.json, report.npz   what figures and page are made of
    logs/{runid}/roc-curve.png, …svg       figures
    logs/{runid}/report.html               the page
    logs/{runid}/tensor/                   the run as a whole, the mean of its splits
    logs/{runid}/tensor/split-1/           the first split, and so on

A report never changes what a run answers: what it has come to stands without it.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from moodlemlbackend import __version__
from moodlemlbackend.errors import InterruptedRunError
from moodlemlbackend.files import explain
from moodlemlbackend.report.curves import mean_and_deviation
from moodlemlbackend.report.facts import digest_of_rows, facts_of, kinds_of, repeated
from moodlemlbackend.report.record import (
    EVALUATION,
    RATING,
    TRAINING,
    CurvePoint,
    Held,
    Record,
    write_facts,
    write_record,
)
from moodlemlbackend.report.render_process import LIBRARIES, RenderProcess

LIBRARIES_OF_EVENTS = ("tensorboard.summary.writer.record_writer", "tensorboard.plugins.hparams.summary_v2")
LIBRARIES_OF_REPORTS = (*LIBRARIES, *LIBRARIES_OF_EVENTS)
"""Modules slow to import: what event files need, and what a process needs that draws for itself, too."""

_NOT_COMPLETE = "Some figures of this run are missing."

if TYPE_CHECKING:
    from moodlemlbackend.metrics import Rating
    from moodlemlbackend.model.encoding import Indices
    from moodlemlbackend.processor.evaluation import SplitRatings
    from moodlemlbackend.processor.processor import Classifier, Fitted, TrainedModel
    from moodlemlbackend.processor.training_rows import TrainingRows
    from moodlemlbackend.runtime.run import Run


class RunOrigin(NamedTuple):
    """What a run is part of, where it was not asked for by its own command: a title, and the command to repeat it.

    The other fields are in words: what is predicted, when, and what each class means.
    """

    title: str
    command: Sequence[str]
    target: str = ""
    interval: str = ""
    classes: Mapping[str, str] = MappingProxyType({})


class RunReport:
    """The report of one run, from its beginning on: libraries for drawing load while the run computes."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._rendering = RenderProcess()
        self._samples: TrainingRows | None = None
        self._about: dict[str, Any] = {}
        self._facts: dict[str, Any] = {}
        self._words: Mapping[str, str] = {}
        self._kinds: Indices | None = None

    def __enter__(self) -> RunReport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._dispensable():
            self._rendering.close()

    def begin(
        self,
        samples: TrainingRows,
        command: str,
        modelid: str,
        outputdir: str,
        dataset: str,
        *,
        afresh: bool = False,
        origin: RunOrigin | None = None,
        **settings: Any,
    ) -> None:
        """Look at the data set, best while something else is being loaded; the rest is the command's arguments.

        ``origin`` is for a run of another command than this one, whose files have no names for people.
        """
        with self._dispensable():
            self._kinds = kinds_of(samples)
            self._facts = facts_of(samples, self._kinds).as_dict()
            self._words = origin.classes if origin else {}
            self._facts["classes"] = {self._words.get(name, name): n for name, n in self._facts["classes"].items()}
            self._about = {
                "model": origin.title if origin else modelid,
                "data set": "" if origin else dataset,
                "run": self._run.runid,
                "time": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self._run.runid / 1000)),
                "target": samples.metadata.get("targetcolumn", ""),
                "time splitting": samples.metadata.get("timesplitting", ""),
                **({"target in words": origin.target, "interval in words": origin.interval} if origin else {}),
                **{name.replace("_", " "): value for name, value in settings.items()},
                "command": (
                    f"MOODLEMLBACKEND_SEED={settings['seed']} {shlex.join(origin.command)}"
                    if origin
                    else _command_line(command, modelid, outputdir, dataset, **settings, afresh=afresh)
                ),
            }
            self._samples = samples

    def training(self, fitted: Fitted) -> None:
        """Report a training."""
        with self._dispensable():
            probabilities, targets, held = fitted.held_out_probabilities, fitted.held_out_targets, []
            if probabilities is not None and targets is not None and targets.any():
                row, label = np.nonzero(targets > 0)
                weights = targets[row, label].astype(np.float32)
                held = [Held(label.astype(np.int64), probabilities[row].astype(np.float32), weights, fitted.threshold)]
            self._make(TRAINING, {}, held, [fitted])

    def rating(self, rating: Rating, model: TrainedModel, result: Mapping[str, Any]) -> None:
        """Report the rating of a trained model on all samples."""
        with self._dispensable():
            everything = np.arange(len(rating.labels))
            self._make(RATING, result, [_held(rating, everything)], [], [model.classifier], [everything])

    def evaluation(self, evaluation: SplitRatings, result: Mapping[str, Any]) -> None:
        """Report the evaluation of a configuration."""
        with self._dispensable():
            rows = [split.held_out for split in evaluation.splits]
            fits = [fitted for _, fitted in evaluation]
            self._facts["training_rows"] = len(evaluation.splits[0].training)
            self._facts["courses"] = self._samples.courses.number if self._samples else 0
            self._facts["held_out_repeats"] = self._repeated(evaluation)
            held = [_held(rating, held_out) for (rating, _), held_out in zip(evaluation, rows, strict=True)]
            curve = [CurvePoint(point.split, point.rows, point.rating.figures()) for point in evaluation.learning_curve]
            self._make(EVALUATION, result, held, fits, [fitted.classifier for fitted in fits], rows, curve)

    def _make(
        self,
        kind: str,
        result: Mapping[str, Any],
        held: list[Held],
        fits: list[Fitted],
        classifiers: list[Classifier] | None = None,
        held_out: list[Indices] | None = None,
        curve: list[CurvePoint] | None = None,
    ) -> None:
        from moodlemlbackend.report.importance import permutation_importances
        from moodlemlbackend.report.tensorboard import write_events, write_images

        if self._samples is None:
            return
        record = Record(
            kind,
            {**self._about, "versions": _versions()},
            self._facts,
            dict(result),
            tuple(self._words.get(name, name) for name in self._samples.classes),
            held,
            [fitted.history for fitted in fits],
            curve=curve or [],
        )
        write_record(record, self._run.dir)
        self._rendering.begin(self._run.dir)
        if classifiers and held_out:
            seed = int(self._about["seed"])
            record.importances.extend(permutation_importances(classifiers, held_out, self._samples, seed=seed))
            write_facts(record, self._run.dir)
        self._rendering.complete()
        write_events(record, fits, self._run.tensor_dir)
        trouble = self._rendering.finish()
        if trouble:
            self._run.add_info(f"{_NOT_COMPLETE} {trouble}")
        else:
            write_images(self._run.dir, self._run.tensor_dir)

    def _repeated(self, evaluation: SplitRatings) -> dict[str, float]:
        """How many held-out samples equal one of the training, and the AUC on the others."""
        from moodlemlbackend import metrics

        if self._kinds is None:
            return {}
        shares, areas = [], []
        for split, (rating, _) in zip(evaluation.splits, evaluation, strict=True):
            seen = repeated(self._kinds, split.training, split.held_out)
            shares.append(float(seen.mean()))
            areas.append(metrics.roc_auc(rating.probabilities[~seen, 1], rating.labels[~seen]))
        return {"share": float(np.mean(shares)), "auc of the others": mean_and_deviation(areas)[0]}

    @contextmanager
    def _dispensable(self) -> Iterator[None]:
        """Tell of a report that cannot be made; the run goes on, unless it was told to stop."""
        try:
            yield
        except InterruptedRunError:
            raise
        except OSError as error:
            self._run.add_info(f"{_NOT_COMPLETE} {explain(error, self._run.dir)}")
        except (Exception, SystemExit):
            self._run.log.exception("The report cannot be created")
            self._run.add_info(f"{_NOT_COMPLETE} The details are in {self._run.log_file}")


def _versions() -> str:
    """Name what this process has loaded, by what is installed: another thread may still be importing a module."""
    loaded = {"numpy": "NumPy", "tensorflow": "TensorFlow", "sklearn": "scikit-learn"}
    libraries = []
    for name, title in loaded.items():
        if name in sys.modules:
            with suppress(metadata.PackageNotFoundError):
                libraries.append(f"{title} {metadata.version(title)}")
    return ", ".join([f"moodlemlbackend {__version__}", f"Python {sys.version.split()[0]}", *libraries])


def _command_line(*words: Any, **options: Any) -> str:
    """The command that repeats a run; options that are None or False are left out, True is a flag."""
    given: list[str] = []
    for name, value in options.items():
        if value is not None and value is not False:
            given += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(["moodlemlbackend", *map(str, words), *given])


def _held(rating: Rating, rows: Indices) -> Held:
    weights = np.ones(len(rating.labels), np.float32) if rating.weights is None else rating.weights
    probabilities = rating.probabilities.astype(np.float32)
    return Held(rating.labels, probabilities, weights, rating.threshold, digest_of_rows(rows))
