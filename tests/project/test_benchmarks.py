"""The benchmarks run, and measure what they say: on generated data, without peers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fixtures.paths import ROOT, posix

sys.path.insert(0, str(ROOT / "benchmarks"))

import growing
import growth_results
from measuring import Measured


def benchmark(script: str, *arguments: str, **variables: str) -> str:
    """Run a script; returns what it prints."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), "--quick", *arguments],
        env={**os.environ, "PYTHONPATH": path, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tables(text: str) -> list[tuple[str, dict[str, list[str]]]]:
    """Title and lines of every table; the cells of a line by the first one."""
    found = []
    for title, body in re.findall(r"^([^|\n]+)\n\n((?:\|.*\n)+)", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in body.splitlines()]
        found.append((title, {first: cells for first, *cells in (rows[0], *rows[2:])}))
    return found


def check_figures(table: dict[str, list[str]]) -> None:
    """Both processors have learned, and none of their figures is impossible."""
    assert table[""] == ["MCC", "AUC", "balanced accuracy", "Brier", "ECE", "seconds a split"]
    assert set(table) == {"", "network", "logistic regression"}
    for name in ("network", "logistic regression"):
        mcc, auc, balanced, brier, ece, seconds = map(float, table[name])
        assert 0.1 < mcc < 0.95
        assert 0.4 < balanced < 0.95
        assert 0.6 < auc < 0.99
        assert 0.02 < brier < 0.25
        assert 0 < ece < 0.2
        assert seconds > 0


def test_three_classes():
    [(title, table)] = tables(benchmark("accuracy.py", "--classes", "3"))
    assert title.startswith("simulated, 3 classes: ")
    assert "mean of 2 splits" in title
    check_figures(table)


def test_few_rows_and_training_that_goes_on():
    (few, table), (_, course) = tables(benchmark("accuracy.py", "--rows", "100", "--continue"))
    assert few.startswith("simulated, 100 rows to train on: ")
    check_figures(table)
    mcc = {name: float(value) for name, [value] in course.items() if name != "trained on"}
    assert len(mcc) == 4
    assert all(value > 0.1 for value in mcc.values())
    assert abs(mcc["then the other half"] - mcc["both at once"]) <= 0.02


def test_what_new_courses_keep():
    [(promises, table), (peers, _)] = tables(benchmark("courses.py"))
    assert (promises, peers) == ("MCC of the network, promised and kept", "In new courses")
    _, _, by_row, by_course, kept, factor, error = table["simulated site 1"]
    assert all(0.1 < float(mcc) < 0.95 for mcc in (by_row, by_course, kept))
    assert 1 < float(factor) < 3
    assert 0 < float(error) < 0.2


def test_explaining():
    [(title, table)] = tables(benchmark("explaining.py"))
    assert title.startswith("simulated: 200 rows of ")
    assert set(table) == {"processor", "neural_network", "logistic_regression"}
    for explained, predicted, gap in (table[name] for name in table if name != "processor"):
        assert float(explained.replace(",", "")) > 0
        assert float(predicted.replace(",", "")) > 0
        assert float(gap) < 1e-4


@posix
def test_speed():
    [(_, table)] = tables(benchmark("speed.py", MOODLEMLBACKEND_PROCESSOR="logistic_regression"))
    assert table["work"][:3] == ["seconds", "core seconds", "peak MB"]
    measured = {name.split(",")[0]: [*map(float, cells[:3])] for name, cells in table.items() if name != "work"}
    assert set(measured) == {"version", "prediction", "training", "evaluation"}
    for seconds, core_seconds, megabytes in measured.values():
        assert 0 < seconds < 120
        assert 0 < core_seconds < seconds * (os.cpu_count() or 1) + 1
        assert 5 < megabytes < 2000
    assert measured["version"][2] < measured["prediction"][2] < measured["training"][2]


@posix
def test_analytics():
    [(_, table)] = tables(benchmark("analytics.py"))
    seconds, core_seconds, megabytes, *_ = table["course_dropout, quarters"]
    assert 0 < float(seconds) < 60
    assert 0 < float(core_seconds) < 60
    assert 20 < float(megabytes) < 500


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
def test_server():
    for package in ("httpx", "uvicorn", "fastapi"):
        pytest.importorskip(package)
    found = dict(tables(benchmark("server.py", "--minutes", "0.05", MOODLEMLBACKEND_PROCESSOR="logistic_regression")))
    predictions = found["20 simultaneous predictions of 1,000 rows"]
    assert predictions["lost"] == ["0"]
    assert float(predictions["requests a second"][0]) > 1
    assert all(name.endswith(": 200") or not name for name in found["Requests by status"])
    assert len(found["Memory under mixed load"]) >= 3


def test_what_marks_of_not_useful_do():
    lines = [line.strip("|").split("|") for line in benchmark("feedback.py").splitlines() if line.startswith("| 1 ")]
    assert len(lines) == 9
    for line in lines:
        _, _, _, before, after, *_ = (cell.strip() for cell in line)
        assert float(after) < float(before)


@posix
def test_cluster():
    pytest.importorskip("distributed", reason="needs the extra cluster")
    [(_, table)] = tables(benchmark("cluster.py", "dataset"))
    _, alone, two = table.values()
    assert alone[3] == two[3] != ""
    assert 0 < float(alone[1]) < float(two[1])


@posix
def test_growth():
    [(_, table)] = tables(benchmark("growth.py", "splits", "students", MOODLEMLBACKEND_PROCESSOR="logistic_regression"))
    assert table.pop("what grows: work")[-3:] == ["slope of time", "without the start", "of memory"]
    assert {"splits: evaluation", "students: students list", "students: page of a course"} <= set(table)
    for size, core_seconds, _, megabytes, *_ in table.values():
        assert 3 <= int(size) <= 20
        assert 0 < float(core_seconds) < 60
        assert 30 < float(megabytes) < 2000


def test_slopes():
    """Of the last decade; a start that does not grow hides a part of a square until it is taken off."""
    results = [
        growth_results.Result("rows", "training", size, Measured(1, 2 + size**2 / 5e8, size / 1000), 0)
        for size in (1, 1_000, 30_000, 100_000)
    ]
    [series] = growth_results.series(results)
    assert series.time_slope == pytest.approx(np.log(22 / 3.8) / np.log(10 / 3))
    assert series.growth_slope == pytest.approx(2, abs=1e-3)
    assert series.memory_slope == pytest.approx(1)
    assert "| rows: training | 100,000 | 22.00 | 0.00 | 100 | 1.46 ! | 2.00 ! | 1.00 |" in growth_results.table(results)


def test_the_page_about_scaling_shows_what_was_measured():
    results = growth_results.read(ROOT / "benchmarks" / "growth.csv")
    assert growth_results.table(results) in (ROOT / "docs" / "scaling.md").read_text("utf-8")


def test_copies_of_courses_are_like_the_courses(tmp_path):
    """A data set of a site with copies has every row as often as there are copies."""
    pytest.importorskip("psycopg", reason="needs the extra postgresql")
    url = growing.new_database()
    if not url:
        pytest.skip("needs a PostgreSQL server")
    try:
        growing.site_of_courses(url, 36, simulated=12)
        call = ["site", "dataset", "--site", url, "--target", "course_dropout", "--interval", "quarters"]
        file = tmp_path / "data.csv"
        command = [sys.executable, "-m", "moodlemlbackend", *call, "--now", str(growing.NOW), "-o", str(file)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    finally:
        growing.drop_database(url)
    rows = Counter(file.read_text().splitlines()[3:])
    assert len(rows) > 5
    assert all(number % 3 == 0 for number in rows.values())
