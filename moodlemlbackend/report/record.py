"""What a run leaves for its report: ``report.json`` and ``report.npz`` in its folder.

They hold all that figures and page are made of, and nothing that names a student, so that a report can be made again,
and runs be compared, without the data set, the model or TensorFlow.
"""

from __future__ import annotations

import errno
import json
import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from moodlemlbackend.errors import ModelError, UsageError
from moodlemlbackend.files import storage_errors

FORMAT = 1
JSON_NAME, ARRAYS_NAME = "report.json", "report.npz"

EVALUATION, RATING, TRAINING = "evaluation", "rating", "training"
"""Kinds of runs: a configuration is judged, a trained model is judged, a model is trained."""

_JSON_BYTES = 64 << 20
_MOST_CELLS = 1 << 28
_TEXT_CHARACTERS = 200

_DTYPES = (np.dtype("<i4"), np.dtype("<f4"))
"""Of labels; of probabilities and weights."""

Floats = npt.NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Held:
    """Rows that a classifier had not seen, and what it said of them.

    Attributes
    ----------
    labels:
        (rows,) the true classes.
    probabilities:
        (rows, K) float32, calibrated.
    weights:
        (rows,) float32: how many samples each row stands for.
    threshold:
        the decision threshold on the probability of class 1.
    rows:
        digest of which rows of the data set these are; empty where that is not known.
    """

    labels: npt.NDArray[np.int64]
    probabilities: Floats
    weights: Floats
    threshold: float
    rows: str = ""


@dataclass(frozen=True)
class Importance:
    """How much the AUC falls when an indicator is permuted: ``falls`` has a value a split."""

    name: str
    label: str
    falls: tuple[float, ...]


@dataclass(frozen=True)
class CurvePoint:
    """The figures of a training on ``rows`` samples, a part of those of split ``split``."""

    split: int
    rows: int
    figures: dict[str, float]


@dataclass(frozen=True, eq=False)
class Record:
    """Everything that the report of one run is made of.

    Attributes
    ----------
    kind:
        one of :data:`EVALUATION`, :data:`RATING` and :data:`TRAINING`.
    about:
        model, data set, settings, versions and the command that repeats the run, as text by name.
    facts:
        of the data set, see :class:`moodlemlbackend.report.facts.Facts`, as JSON has them.
    result:
        what Moodle was answered.
    classes:
        names of the K classes.
    held:
        the rows that were held out, of each split.
    histories:
        of each split, figures by epoch.
    importances, curve:
        may be empty.
    """

    kind: str
    about: dict[str, Any]
    facts: dict[str, Any]
    result: dict[str, Any]
    classes: tuple[str, ...]
    held: list[Held]
    histories: list[list[dict[str, float]]] = field(default_factory=list)
    importances: list[Importance] = field(default_factory=list)
    curve: list[CurvePoint] = field(default_factory=list)


def write_record(record: Record, folder: Path) -> None:
    """Write a record to a run's folder; OSError when that is not possible."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    for number, held in enumerate(record.held):
        arrays[f"labels-{number}"] = held.labels.astype(np.int32)
        arrays[f"probabilities-{number}"] = held.probabilities
        if not (held.weights == 1).all():
            arrays[f"weights-{number}"] = held.weights
    with (folder / ARRAYS_NAME).open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    write_facts(record, folder)


def write_facts(record: Record, folder: Path) -> None:
    """Write what is no array, in place of what may be there; OSError when that is not possible."""
    content = {
        "format": FORMAT,
        "kind": record.kind,
        "about": record.about,
        "facts": record.facts,
        "result": record.result,
        "classes": record.classes,
        "held": [{"threshold": held.threshold, "rows": held.rows} for held in record.held],
        "histories": record.histories,
        "importances": [asdict(item) for item in record.importances],
        "curve": [asdict(item) for item in record.curve],
    }
    scratch = folder / f".{JSON_NAME}"
    scratch.write_text(json.dumps(_plain(content), allow_nan=False), "ascii")
    scratch.replace(folder / JSON_NAME)


def read_record(folder: Path) -> Record:
    """Read the record of a run.

    Raises
    ------
    UsageError
        The folder has none.
    ModelError
        It is damaged, or of another version.
    """
    return _read(folder, lambda content: _record(content, _read_arrays(folder / ARRAYS_NAME)))


def read_result(folder: Path) -> dict[str, Any]:
    """Read only what Moodle was answered, as :func:`read_record`."""
    return _read(folder, lambda content: dict(content["result"]))


def _read(folder: Path, make: Callable[[Mapping[str, Any]], T]) -> T:
    """Make something of the facts of a run."""
    path = folder / JSON_NAME
    if not path.is_file():
        raise UsageError(
            f"There is no run to report on in {folder}: it has no {JSON_NAME}. Give the folder of a training "
            "run or evaluation, such as DIR/logs/1700000000000."
        )
    with storage_errors(path):
        try:
            if path.stat().st_size > _JSON_BYTES:
                raise ValueError(f"{JSON_NAME} is longer than {_JSON_BYTES >> 20} MiB")
            content = json.loads(path.read_bytes())
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {content['format']}, not {FORMAT}")
            return make(content)
        except OSError as error:
            if error.errno != errno.EINVAL:  # that is a place before the beginning of the file
                raise
            raise _damaged(folder, error) from error
        except Exception as error:
            raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> ModelError:
    text = " ".join(str(error).split())[:_TEXT_CHARACTERS] or type(error).__name__
    return ModelError(f"The files {JSON_NAME} and {ARRAYS_NAME} in {folder} cannot be used ({text}); repeat the run.")


def _record(content: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Record:
    if content["kind"] not in (EVALUATION, RATING, TRAINING):
        raise ValueError(f"the kind {content['kind']!r} is unknown")
    classes = tuple(map(str, content["classes"]))
    held = []
    for number, about in enumerate(content["held"]):
        labels = arrays[f"labels-{number}"].astype(np.int64)
        probabilities = arrays[f"probabilities-{number}"]
        weights = arrays.get(f"weights-{number}", np.ones(len(labels), np.float32))
        fits = probabilities.shape == (len(labels), len(classes)) and weights.shape == labels.shape == (len(labels),)
        if not fits or not len(labels) or labels.min() < 0 or labels.max() >= len(classes):
            raise ValueError(f"the arrays of split {number + 1} do not match")
        held.append(Held(labels, probabilities, weights, float(about["threshold"]), str(about["rows"])))
    histories = [[_numbers(figures) for figures in epochs] for epochs in content["histories"]]
    importances = [
        Importance(str(item["name"]), str(item["label"]), tuple(map(float, item["falls"])))
        for item in content["importances"]
    ]
    curve = [CurvePoint(int(item["split"]), int(item["rows"]), _numbers(item["figures"])) for item in content["curve"]]
    about, facts, result = (dict(content[name]) for name in ("about", "facts", "result"))
    return Record(content["kind"], about, facts, result, classes, held, histories, importances, curve)


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays as :func:`write_record` stores them, having seen by their headers that the file has all of them.

    So no more memory is taken than the file is long, whatever it claims.
    """
    if not path.is_file():
        raise ValueError(f"the file {path.name} is missing")
    arrays: dict[str, npt.NDArray[Any]] = {}
    left = min(path.stat().st_size, _MOST_CELLS * 4)
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{entry.filename[:80]!r} is compressed")
            with archive.open(entry) as file:
                if np.lib.format.read_magic(file) != (1, 0):
                    raise ValueError(f"{entry.filename[:80]!r} has an unknown format")
                shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
                size = math.prod(shape) * dtype.itemsize
                left -= size
                if dtype not in _DTYPES or left < 0 or min(shape, default=0) < 0:
                    raise ValueError(f"{entry.filename[:80]!r} has the type {dtype} and the shape {shape}")
                array = np.frombuffer(file.read(size), dtype).reshape(shape, order="F" if by_columns else "C")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{entry.filename[:80]!r} has numbers that are not finite")
            arrays[entry.filename.removesuffix(".npy")] = array
    return arrays


def _numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): math.nan if value is None else float(value) for name, value in figures.items()}


def _plain(value: Any) -> Any:
    """Turn a value into what JSON has; a number that is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
