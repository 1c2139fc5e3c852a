"""What a third party brings: the documentation's indicator, registered by an entry point, and faulty ones."""

from __future__ import annotations

import sys

import pytest

from fixtures.packages import entry_points, example, install
from fixtures.small_site import DAY, END, NOW, START, WEEK, SmallSite
from moodlemlbackend.analytics.features import registry
from moodlemlbackend.errors import UsageError

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


# ---- what elements say of themselves ----

KINDS = """
import numpy as np

from moodlemlbackend.analytics.features.indicators import CourseIndicator, Kind
from moodlemlbackend.analytics.features.targets import CourseEnrolments
from moodlemlbackend.analytics.features.time_splitting import TimeSplitting


class Mine(BASE):
    id = r"\\local_mine\\mine"
    title = "Mine"
    SAID

    def of_course(self, course, users, ranges):
        return np.zeros((len(ranges), len(users)))

    def define(self, analysable, clock):
        raise NotImplementedError


class Same(Mine):
    pass
"""
SORTS = {
    "CourseEnrolments": ("moodlemlbackend.targets", registry.get_target, registry.list_targets),
    "CourseIndicator": ("moodlemlbackend.indicators", registry.get_indicator, registry.list_indicators),
    "TimeSplitting": ("moodlemlbackend.time_splittings", registry.get_time_splitting, registry.list_time_splittings),
}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a class of a base that says something, registered under some names; return what finds and lists it."""

    def install_here(base, said="", entries="x = own_kinds:Mine"):
        group, find, every = SORTS[base]
        code = KINDS.replace("BASE", base).replace("SAID", said)
        install(tmp_path, {"own_kinds.py": code}, f"[{group}]\n{entries}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "own_kinds", raising=False)
        registry._warn.cache_clear()
        return find, every

    yield install_here
    sys.modules.pop("own_kinds", None)


@pytest.mark.parametrize("base", SORTS)
def test_an_element_is_found_by_the_last_part_of_its_id(installed, base):
    find, every = installed(base)
    assert find("mine").id == find(r"\local_mine\mine").id == r"\local_mine\mine"
    assert r"\local_mine\mine" in [one.id for one in every()]
    with pytest.raises(UsageError, match=r"'mne'; did you mean mine\?"):
        find("mne")


def test_a_last_part_of_several_ids_is_not_enough():
    with pytest.raises(UsageError, match=r"is that of \d+ indicators, such as .*; give the whole id"):
        registry.get_indicator("cognitive_depth")


@pytest.mark.parametrize(
    ("base", "said", "sentence"),
    [
        ("CourseEnrolments", "title = None", "its title must be what people call it"),
        ("CourseEnrolments", "analyser = 'x'", "its analyser must be one of"),
        ("CourseEnrolments", "classes = ()", "its classes must be"),
        ("CourseEnrolments", "classes = (0, 0)", "its classes must be"),
        ("CourseEnrolments", "classes = [0, 1]", "its classes must be"),
        ("CourseEnrolments", "linear, minimum = True, 2", "its minimum must be a number below its maximum"),
        ("CourseEnrolments", "minimum_score = 'all'", "its minimum_score must be a number from 0 to 1"),
        ("CourseEnrolments", "ignored_classes = 0", "its ignored_classes must be"),
        ("CourseEnrolments", "family = 'past'", "its family must be a Family"),
        ("CourseEnrolments", "indicators = 'x'", "its indicators must be a tuple of ids"),
        ("CourseEnrolments", "actions = ('x',)", "its actions must be a tuple of Actions"),
        ("CourseIndicator", "kind = 'linear'", "its kind must be a Kind"),
        ("CourseIndicator", "kind = Kind.DISCRETE", "its classes must be"),
        ("CourseIndicator", "requires = ['user']", "its requires must be a set of some of context, course, user"),
        ("CourseIndicator", "requires = {'group'}", "its requires must be"),
        ("CourseIndicator", "events = 'x'", "its events must be"),
        ("CourseIndicator", r"id = r'\local_mine\mine,too'", "its id must not have a comma"),
        ("TimeSplitting", "range_columns = None", "its range_columns must be"),
        ("TimeSplitting", "family = None", "its family must be a Family"),
        ("TimeSplitting", "raise RuntimeError('no luck')", "cannot be loaded (no luck)"),
    ],
)
def test_what_an_element_says_is_checked_when_it_is_loaded(installed, caplog, base, said, sentence):
    find, every = installed(base, said)
    with pytest.raises(UsageError) as error:
        find(r"\local_mine\mine,too" if "too" in said else r"\local_mine\mine")
    assert sentence in str(error.value)
    assert "own_kinds:Mine" in str(error.value)
    # All others can be used, and the log says once what cannot.
    assert all(not one.id.startswith(r"\local_mine") for one in every())
    every()
    assert [record.getMessage() for record in caplog.records] == [str(error.value)]


def test_an_id_belongs_to_one_element(installed, caplog):
    find, every = installed("CourseEnrolments", entries="x = own_kinds:Mine\ny = own_kinds:Same")
    with pytest.raises(UsageError, match=r"by the entry point own_kinds:Mine and by the entry point own_kinds:Same"):
        find("mine")
    assert not caplog.records
    every()
    assert "give one of them another id" in caplog.text


def test_an_id_of_moodles_stays_moodles(installed, caplog):
    core = r"\core_course\analytics\target\course_dropout"
    find, every = installed("CourseEnrolments", f"id = r'{core}'")
    assert [type(one) for one in every() if one.id == core] == [type(find(core))]
    assert "is defined by Moodle and by the entry point own_kinds:Mine" in caplog.text
