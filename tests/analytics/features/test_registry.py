"""What a third party brings: the documentation's indicator, registered by an entry point, and faulty ones."""

from __future__ import annotations

import sys

import pytest

from fixtures.packages import entry_points, example, install
from fixtures.small_site import DAY, END, NOW, START, WEEK, SmallSite

OWN = r"\local_mine\analytics\indicator\reads_without_writing"


@pytest.fixture
def small(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    course = small.course()
    small.section(course, 1)
    forum, _ = small.activity(course, "forum", section=1)
    page, _ = small.activity(course, "page", section=1)
    reader, writer, _ = small.students(course, 3)
    for number in range(40):
        small.log(course, reader, START + 1 + number, context=page)
    small.log(course, reader, START + DAY, context=forum)
    small.log(course, writer, START + DAY, context=forum)
    small.log(course, writer, START + 6 * WEEK, context=forum, crud="c")
    small.log(course, writer, END, context=forum)
    return small


def dataset(command, small, env, *options):
    return command(
        "site", "dataset", "--site", small.commit(), "--target", "course_dropout", "--interval", "quarters",
        "--now", str(NOW), "-o", "-", *options, env=env,
    )  # fmt: skip


def test_the_documented_indicator_is_registered_and_calculated(small, command, tmp_path):
    env = install(tmp_path, {"my_indicators.py": example("my_indicators.py")}, entry_points(example("pyproject.toml")))
    done = dataset(command, small, env, "--indicator", OWN)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[2] == rf'range/0,range/1,range/2,range/3,"{OWN}","\core_course\analytics\target\course_dropout"'
    # The reader reads in the first quarter; the writer reads there, too, writes in the third and reads in the last.
    values = [line.split(",")[4] for line in lines[3:]]
    assert values == ["1", "1", "-1", "-1", "-1", "-1", "-1", "-1", "-1", "-1", "1", "-1"]


def test_without_the_package_there_is_no_such_indicator(small, command):
    done = dataset(command, small, {}, "--indicator", OWN)
    assert done.returncode == 2
    assert "There is no indicator" in done.stderr


METHOD = """
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.time_splitting import TimeSplitting


class Half(TimeSplitting):
    id = r"\\local_mine\\analytics\\time_splitting\\half"

    def define(self, analysable, clock):
        return Ranges.of([(analysable.start, (analysable.start + analysable.end) // 2, analysable.start)])
"""
TARGET = """
import numpy as np

from moodlemlbackend.analytics.features.targets import CourseEnrolments


class Quiet(CourseEnrolments):
    id = r"\\local_mine\\analytics\\target\\quiet"
    title = "Students without a trace"
    indicators = (r"\\core\\analytics\\indicator\\read_actions",)

    def of_course(self, course, samples, indicators):
        logs = course.logs()
        return np.where(logs.latest(np.ones(len(logs), bool), samples.users) == 0, 1.0, 0.0)
"""


def test_targets_and_time_splitting_methods_are_registered_likewise(small, command, tmp_path):
    entries = "[moodlemlbackend.targets]\nx = own:Quiet\n[moodlemlbackend.time_splittings]\nx = method:Half\n"
    env = install(tmp_path, {"own.py": TARGET, "method.py": METHOD}, entries)
    done = command(
        "site", "dataset", "--site", small.commit(), "--target", r"\local_mine\analytics\target\quiet", "--now",
        str(NOW), "--interval", r"\local_mine\analytics\time_splitting\half", "-o", "-", env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line.rpartition(",")[2] for line in done.stdout.splitlines()[3:]] == ["0", "0", "1"]


METHOD_OF_MINE = "{base}\n    def of_course(self, course, users, ranges):\n        "
BROKEN = {
    "cannot be imported": ("raise RuntimeError('no luck')", "cannot be loaded"),
    "is something else": ("Mine = 5", "does not name a valid indicator"),
    "is out of range": (METHOD_OF_MINE + "return np.full((len(ranges), len(users)), 2.0)", "no sample"),
    "has a wrong shape": (METHOD_OF_MINE + "return np.zeros((7, 7))", "no sample"),
    "asks for an unknown event": (
        METHOD_OF_MINE + "course.logs().of_events(['x'])",
        "list it in the indicator's events",
    ),
    "fails": (METHOD_OF_MINE + "return users / nothing", "NameError in line 11 of own.py"),
}
BASE = f"""
import numpy as np

from moodlemlbackend.analytics.features.indicators import CourseIndicator


class Mine(CourseIndicator):
    id = r"{OWN}"
"""


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_wrong_with_an_indicator_is_told_in_a_sentence(small, command, tmp_path, fault):
    code, said = BROKEN[fault]
    env = install(tmp_path, {"own.py": code.replace("{base}", BASE)}, "[moodlemlbackend.indicators]\nx = own:Mine\n")
    done = dataset(command, small, env, "--indicator", OWN)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert sys.executable not in done.stderr
