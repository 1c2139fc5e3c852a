"""Courses are told from the file alone, or from a file beside it."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from fixtures.paths import SHARED, needs_shared
from moodlemlbackend.dataset.courses import CourseFinder, courses_of_parts, find_courses, known_courses, read_rows_file
from moodlemlbackend.dataset.data_set import read_labelled
from moodlemlbackend.errors import DataSetError

QUARTERS = {"timesplitting": r"\core\analytics\time_splitting\quarters"}
COLUMNS = ("range/0", "range/1", "x", "x/mean", "y", "y/mean")


def rows_of(course: int, part: int, count: int) -> np.ndarray:
    """Rows of one course and part, whose means are theirs alone."""
    rng = np.random.default_rng((course, part))
    rows = rng.integers(-1, 2, (count, len(COLUMNS))).astype(np.float32)
    rows[:, :2] = [1 - part, part]
    rows[:, 3::2] = [round(0.01 * course + 0.3 * part, 2), np.nan if course == 2 else -0.5]
    return rows


def many(courses: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of courses in two parts of their time, and the course of each."""
    blocks = [(course, part, 3 + course % 4) for course in range(courses) for part in (0, 1)]
    return np.concatenate([rows_of(*block) for block in blocks]), np.repeat(
        [course for course, _, _ in blocks], [count for _, _, count in blocks]
    )


def test_a_course_begins_where_the_means_change_and_the_part_is_no_later_one():
    features, truth = many(7)
    courses = find_courses(COLUMNS, QUARTERS, features)
    assert (courses.number, courses.sure, courses.reason) == (7, 1.0, "")
    np.testing.assert_array_equal(courses.groups, truth)


@pytest.mark.parametrize("batch", [1, 5, 1000])
def test_batches_do_not_matter(batch):
    features, truth = many(6)
    finder = CourseFinder(COLUMNS, QUARTERS)
    for start in range(0, len(features), batch):
        finder.add(features[start : start + batch])
    np.testing.assert_array_equal(finder.finish().groups, truth)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda columns, rows: ([name.replace("/mean", "") for name in columns], rows), "the data set has no column"),
        (lambda columns, rows: (columns, np.random.default_rng(0).permutation(rows)), "are not together"),
        (lambda columns, rows: (columns, rows[:20]), "courses, and 5 are needed"),
    ],
)
def test_where_they_cannot_be_told_it_says_why(change, reason):
    columns, features = change(COLUMNS, many(8)[0])
    courses = find_courses(columns, QUARTERS, features)
    assert courses.groups is None
    assert reason in courses.reason


@pytest.mark.parametrize(("interval", "told"), [("past_week", False), ("upcoming_week", False), ("single_range", True)])
def test_where_periods_of_a_course_follow_each_other_without_a_part_courses_cannot_be_told(interval, told):
    """Each period has other means, as if it were of another course."""
    features = many(8)[0][:, 2:]
    courses = find_courses(COLUMNS[2:], {"timesplitting": rf"\core\analytics\time_splitting\{interval}"}, features)
    assert (courses.groups is not None) == told
    assert (interval in courses.reason) != told


def test_courses_of_parts_are_those_that_are_named():
    courses = courses_of_parts([(7, 2), (3, 1), (7, 1), (9, 2), (4, 1), (5, 1)])
    assert courses.groups is not None
    assert courses.groups.tolist() == [3, 3, 0, 3, 4, 4, 1, 2]
    assert courses_of_parts([(7, 2), (3, 1)]).reason == "the data set has 2 courses, and 5 are needed"


def test_a_simulated_site_has_its_courses(courses):
    data = read_labelled(courses.training)
    assert find_courses(data.header.columns, data.header.metadata, data.features).number == 8


@needs_shared
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("course_dropout--quarters", 21),
        ("course_dropout--deciles", 21),
        ("course_dropout--single_range", 21),
        ("course_completion--quarters_accum", 10),
        ("course_gradetopass--single_range", 14),
        ("course_competencies--quarters", 8),
    ],
)
def test_the_oracle_s_courses_are_exactly_moodle_s(name, number):
    folder = SHARED / "oracle" / "datasets" / "evaluation"
    data = read_labelled(folder / f"{name}.csv.gz")
    courses = find_courses(data.header.columns, data.header.metadata, data.features)
    assert courses.number == number
    beside = folder / f"{name}.with-ids.rows.csv.gz"
    if beside.is_file():  # the same analysis; the order of courses is the same, that of rows inside one is not
        with gzip.open(beside, "rt") as file:
            truth = np.unique([line.split(",")[0] for line in file][1:], return_counts=True)[1]
        np.testing.assert_array_equal(np.sort(np.bincount(courses.groups)), np.sort(truth))


def test_a_file_beside_names_courses_and_times(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("course,time\nb,20\nb,20\na,10\n")
    courses, times = read_rows_file(path, 3)
    assert (courses.groups.tolist(), courses.number, times.tolist()) == ([1, 1, 0], 2, [20, 20, 10])
    path.write_text("course\n1\n2\n2\n")
    assert read_rows_file(path, 3)[1] is None
    path.write_text("course,time\nb,20\na,\n", "utf-8-sig")
    courses, times = read_rows_file(path, 2)
    assert (courses.groups.tolist(), times[0], np.isnan(times[1])) == ([1, 0], 20, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kurs\n1\n", "no column 'course'"),
        ("course\n1\n2\n", "has 2 rows, but the data set has 1"),
        ("course,time\n\n\n1,monday\n", "line 4: the time 'monday' is not a number"),
        ("course,time\n ,1\n", "line 2: the course is empty; give the course of each row"),
        ("time,course\n1\n", "line 2: the course is empty"),
        ("course\n\xff\n", "has 1 rows"),
    ],
)
def test_a_bad_file_beside_is_one_sentence(tmp_path, text, message):
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataSetError, match=message if "\xff" not in text else "cannot be read as CSV"):
        read_rows_file(path, 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-20],
        lambda content: content[: len(content) // 2] + b"\xff\xff" + content[len(content) // 2 + 2 :],
        lambda content: content[:-8] + bytes(8),
        lambda _: b"course\n1\n",
    ],
)
def test_a_damaged_compressed_file_beside_is_one_sentence(tmp_path, damage):
    path = tmp_path / "rows.csv.gz"
    lines = "".join(f"{row * 7919 % 997}\n" for row in range(5000))
    path.write_bytes(damage(gzip.compress(f"course\n{lines}".encode())))
    with pytest.raises(DataSetError, match="cannot be read as CSV"):
        read_rows_file(path, 5000)


def test_names_of_courses_become_numbers():
    assert known_courses(["b", "a", "b"]).groups.tolist() == [1, 0, 1]
