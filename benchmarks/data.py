"""Data sets that the benchmarks measure on: real ones where ``../shared`` is beside this checkout, else simulated."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from moodlemlbackend.dataset import data_set
from moodlemlbackend.model.codes import code
from moodlemlbackend.processor.training_rows import TrainingRows, read_samples
from moodlemlbackend.simulation.courses import SimulatedDataSet, simulate

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
TEST_366 = SHARED / "test-366-1904-training.csv.gz"
SPLIT_EVALUATION = SHARED / "split-evaluation-train.csv.gz"
SPLIT_EVALUATION_ASKED = SHARED / "split-evaluation-predict.csv.gz"

SWAPPED = 0.02
"""Share of the cells of a repeated row that take the value of another row."""

ROWS_AT_ONCE = 20_000


# ---- to be judged on ----


def data_sets(paths: Sequence[Path], *, quick: bool = False) -> dict[str, TrainingRows]:
    """Read data sets, by name: those given, or else the real ones, or else one of simulated courses."""
    real = [path for path in (TEST_366, SPLIT_EVALUATION) if path.is_file() and not quick]
    if paths or real:
        return {path.name.split(".")[0]: read_samples(path) for path in paths or real}
    return {"simulated": simulated(2, quick=quick)}


def simulated(classes: int, *, quick: bool = False) -> TrainingRows:
    """Simulated courses: their 2 or 3 outcomes, or 10 classes of what a student does in the quarter that follows."""
    size = (8, 20) if quick else (30, 40)
    if classes == 10:
        return _next_quarter(simulate(*size))
    if classes not in (2, 3):
        raise SystemExit(f"there are simulated data sets of 2, 3 and 10 classes, none of {classes}")
    data = simulate(*size, classes=classes)
    return _samples(data, data.features, data.labels, classes)


def _next_quarter(data: SimulatedDataSet) -> TrainingRows:
    """Rows of all quarters but the last, by the mean cognitive depth of the next one.

    Class 0 does nothing there; classes 1 to 9 are ninths of the others.
    """
    columns = [number for number, name in enumerate(data.columns) if name.endswith(r"indicator\cognitive_depth")]
    depths = data.features[:, columns]
    known = ~np.isnan(depths)
    scores = np.where(known, depths, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    row_of = {sample_id: row for row, sample_id in enumerate(data.sample_ids) if known[row].any()}
    rows, following = [], []
    for row, sample_id in enumerate(data.sample_ids):
        enrolment, _, quarter = sample_id.partition("-")
        after = row_of.get(f"{enrolment}-{int(quarter) + 1}")
        if after is not None:
            rows.append(row)
            following.append(after)
    score = scores[following]
    edges = np.quantile(score[score > -1], np.arange(1, 9) / 9)
    labels = np.where(score > -1, 1 + np.searchsorted(edges, score, side="right"), 0)
    return _samples(data, data.features[rows], labels, 10)


def _samples(data: SimulatedDataSet, features: npt.NDArray[np.float64], labels: Labels, classes: int) -> TrainingRows:
    """Code (rows, columns) features; ``labels`` (rows,) are positions among the classes."""
    coded = code([features.astype(np.float32)], len(data.columns))
    return TrainingRows(data.columns, tuple(map(str, range(classes))), coded, np.eye(classes, dtype=np.float32)[labels])


# ---- to be timed on: plain files, as Moodle hands them over ----


def write_plain(path: Path, source: Path) -> None:
    """Unpack a data set file."""
    path.write_bytes(gzip.decompress(source.read_bytes()))


def write_repeated(path: Path, rows: int, columns: int, *, labelled: bool, seed: int = 0) -> None:
    """Write a data set of ``rows`` × ``columns``: rows of a site drawn over and over, with some cells swapped.

    The rows are real where the shared data is at hand, else simulated with their columns repeated. Either way hardly
    any two rows are equal then: more work than as many rows of a site, where many repeat.
    """
    features, labels = _rows_of_a_site(columns)
    rng = np.random.default_rng(seed)
    metadata = {"nfeatures": str(columns), "targetcolumn": "TARGET", "targettype": "discrete"}
    names = [f"input-{number}" for number in range(columns)]
    with path.open("wb") as file:
        for start in range(0, rows, ROWS_AT_ONCE):
            drawn = rng.integers(len(labels), size=min(ROWS_AT_ONCE, rows - start))
            cells = features[drawn]
            row, column = np.nonzero(rng.random(cells.shape, np.float32) < SWAPPED)
            cells[row, column] = features[rng.integers(len(features), size=len(row)), column]
            edge = (
                {"labels": labels[drawn]}
                if labelled
                else {"sample_ids": [f"{start + number}-0" for number in range(len(drawn))]}
            )
            part = io.BytesIO()
            data_set.write(part, {**metadata, "targetclasses": json.dumps([0, 1])}, names, cells, **edge)
            part.seek(0)
            if start:
                for _ in range(3):
                    part.readline()
            file.write(part.read())


def _rows_of_a_site(columns: int) -> tuple[Floats, Labels]:
    """Features (rows, columns) and labels (rows,)."""
    if SPLIT_EVALUATION.is_file():
        data = data_set.read_labelled(SPLIT_EVALUATION)
        if data.labels is not None and data.features.shape[1] >= columns:
            return np.ascontiguousarray(data.features[:, :columns]), data.labels
    site = simulate(60, 60)
    features = np.tile(site.features.astype(np.float32), (1, -(-columns // len(site.columns))))
    return np.ascontiguousarray(features[:, :columns]), site.labels
