"""From samples to features: means, labels, hooks of a lifecycle, static targets, and who counts in them."""

from __future__ import annotations

import io
from contextlib import contextmanager

import numpy as np
import pytest

from fixtures.small_site import DAY, END, NOW, START, STUDENT, TEACHER, WEEK, SmallSite, one_course
from moodlemlbackend.analytics.features import registry
from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.analysis import Analysis, AnalysisStatus, Hooks, analyse
from moodlemlbackend.analytics.features.datasets import write_dataset
from moodlemlbackend.analytics.features.feature_matrix import Features, assemble, headers
from moodlemlbackend.analytics.features.indicators import Indicator, Kind
from moodlemlbackend.analytics.features.indicators.calendar import due_times
from moodlemlbackend.analytics.features.static_predictions import predict_static
from moodlemlbackend.analytics.features.targets import Window
from moodlemlbackend.analytics.features.targets.enrolments import active_enrolments
from moodlemlbackend.errors import UsageError

READS = r"\core\analytics\indicator\read_actions"
WRITES = r"\core\analytics\indicator\any_write_action_in_course"
INDEXES = np.arange(1)


class Given(Indicator):
    """Gives what it was given."""

    def __init__(self, kind=Kind.LINEAR, classes=(), average=True):
        self.id, self.kind, self.classes, self.average = r"\local_test\given", kind, classes, average

    def calculate(self, samples, ranges):
        raise NotImplementedError


@pytest.fixture
def small(tmp_path):
    return SmallSite(tmp_path / "site.sqlite")


def plan(target="course_dropout", method="quarters", indicators=(READS, WRITES), training=True, now=NOW, keeps=False):
    made = registry.get_target(target)
    chosen = [registry.get_indicator(one) for one in indicators]
    return Analysis(made, chosen, [registry.get_time_splitting(method)], now, training, keeps=keeps)


def busy(small, students=2, **values):
    course = small.course(**values)
    users = small.students(course, students)
    for user in users:
        for number in range(12):
            small.log(course, user, START + 1 + number * DAY)
    return course, users


# ---- columns ----


def test_the_mean_counts_empty_values_and_is_of_the_unrounded():
    given = Given()
    features = assemble([given], {given.id: np.array([[-1, np.nan, 0.33]])}, INDEXES, 0)
    assert features.values.tolist() == [[-1, -0.22], [0.33, -0.22]]  # the row without any value is left out
    values = {given.id: np.array([[0.004, 0.004, 0.007]])}
    assert assemble([given], values, INDEXES, 0).values.tolist() == [[0, 0.01], [0, 0.01], [0.01, 0.01]]
    assert headers([given], 0) == [given.id, f"{given.id}/mean"]
    plain = Given(average=False)
    assert headers([plain], 2) == ["range/0", "range/1", plain.id]
    assert assemble([plain], values, INDEXES, 0).values.tolist() == [[0], [0], [0.01]]


def test_a_discrete_indicator_has_a_column_a_class():
    given = Given(Kind.DISCRETE, classes=(0, 5, 9))
    found = assemble([given], {given.id: np.array([[5, 0, 7]])}, INDEXES, 0)
    assert headers([given], 0) == [f"{given.id}/0", f"{given.id}/5", f"{given.id}/9"]
    assert found.values.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_ranges_come_one_after_the_other_with_a_column_each():
    given = Given(Kind.BINARY)
    found = assemble([given], {given.id: np.array([[1.0, -1], [np.nan, 1]])}, np.array([1, 3]), 4)
    assert found.values.tolist() == [[0, 1, 0, 0, 1], [0, 1, 0, 0, -1], [0, 0, 0, 1, 1]]
    assert (found.samples.tolist(), found.ranges.tolist()) == ([0, 1, 1], [0, 0, 1])


def test_a_stored_binary_value_keeps_its_text():
    given, other = Given(Kind.BINARY), Given()
    other.id += "2"
    values = {given.id: np.array([[1.0, -1]]), other.id: np.array([[0.5, 0.25]])}
    marks = {given.id: np.array([[True, False]]), other.id: np.array([[True, True]])}
    found = assemble([given, other], values, INDEXES, 0, marks)
    assert found.cells().tolist() == [["1.00", 0.5, 0.38], [-1, 0.25, 0.38]]
    assert Features(np.zeros((1, 1)), INDEXES, INDEXES).cells().dtype == float


def test_the_golden_data_set(small):
    """Two students; the second is null in a range where the mean is, too."""
    target, method = registry.get_target("course_dropout"), registry.get_time_splitting("quarters")
    from moodlemlbackend.analytics.features.datasets import metadata
    from moodlemlbackend.dataset import data_set

    reads = registry.get_indicator(READS)
    file = io.BytesIO()
    with small.open() as site:
        header = metadata(site, target, [reads], method)
    with data_set.writing(file, header, headers([reads], 4), labelled=True) as add:
        add(np.array([[1, 0, 0, 0, -0.33, -0.5]]), [1])
        add(np.array([[0, 1, 0, 0, np.nan, np.nan]]), [0])
    assert file.getvalue().decode() == (
        "timesplitting,nfeatures,moodleversion,targetcolumn,targettype,targetclasses\n"
        r'"\core\analytics\time_splitting\quarters",6,2023042403,"\core_course\analytics\target\course_dropout",'
        'discrete,"[0,1]"\n'
        r'range/0,range/1,range/2,range/3,"\core\analytics\indicator\read_actions",'
        r'"\core\analytics\indicator\read_actions/mean","\core_course\analytics\target\course_dropout"'
        "\n1,0,0,0,-0.33,-0.5,1\n0,1,0,0,,,0\n"
    )


# ---- labels ----


def labels(small, target, training=True):
    with small.open() as site:
        [result] = analyse(site, plan(target, training=training))
        return result.reason.identifier if result.labels is None else result.labels[: len(result.samples)].tolist()


def test_dropping_out_without_completion_is_silence_after_the_third_quarter(small):
    course, (silent, loud) = busy(small)
    limit = int(END - (END - START) / 4)
    small.log(course, silent, limit)
    small.log(course, loud, limit + 1)
    assert labels(small, "course_dropout") == [1, 0]


def test_dropping_out_with_completion_is_not_completing(small):
    course, (silent, completed) = busy(small, enablecompletion=1)
    small.log(course, silent, END)
    small.add("course_completion_criteria", course=course)
    small.add("course_completions", course=course, userid=completed, timecompleted=END)
    small.add("course_completions", course=course, userid=silent, timecompleted=None)
    assert labels(small, "course_dropout") == [1, 0]
    assert labels(small, "course_completion") == [1, 0]


def test_grades_to_pass(small):
    course, (below, above) = busy(small)
    assert labels(small, "course_gradetopass") == "gradetopassnotset"
    item = small.add("grade_items", courseid=course, itemtype="course", gradepass=50.0)
    small.add("grade_grades", itemid=item, userid=above, finalgrade=50.0)
    small.add("grade_grades", itemid=item, userid=below, finalgrade=49.99999)
    assert labels(small, "course_gradetopass") == [1, 0]
    small.set("UPDATE mdl_grade_items SET gradetype = 2")
    assert labels(small, "course_gradetopass") == "gradetopassnotset"


def test_competencies(small):
    course, (half, whole) = busy(small)
    assert labels(small, "course_competencies") == "nocompetenciesincourse"
    for competency in (7, 8):
        small.add("competency_coursecomp", courseid=course, competencyid=competency)
        small.add("competency_usercompcourse", courseid=course, userid=whole, competencyid=competency, proficiency=1)
    small.add("competency_usercompcourse", courseid=course, userid=half, competencyid=7, proficiency=1)
    small.add("competency_usercompcourse", courseid=course, userid=half, competencyid=8, proficiency=0)
    small.add("competency_usercompcourse", courseid=course, userid=half, competencyid=9, proficiency=1)
    assert labels(small, "course_competencies") == [1, 0]


@pytest.mark.parametrize(
    ("begins", "stops", "active"),
    [
        (0, 0, True),  # around
        (30, 100, True),  # 70 of 100 seconds, from within
        (31, 100, False),
        (-50, 70, True),  # from before until within
        (-50, 69, False),
        (30, 500, True),  # from within until after
        (31, 500, False),
        (0, 69, False),
        (101, 200, False),
        (-50, -1, False),
    ],
)
def test_enrolments_must_be_active_for_most_of_a_range(small, begins, stops, active):
    course = small.course()
    small.enrol(course, small.user(), timestart=START + begins, timeend=START + stops if stops else 0)
    with small.open() as site:
        samples = plan().analyser.samples(one_course(site))
        assert active_enrolments(samples, START, START + 100).tolist() == [active]
        assert active_enrolments(samples, 0, 0).tolist() == [True]


# ---- what does not fit together ----


@pytest.mark.parametrize(
    ("target", "method", "indicators", "said"),
    [
        ("no_teaching", "quarters", [READS], "does not work with"),
        ("no_recent_accesses", "quarters", [READS], "does not work with"),
        ("no_access_since_course_start", "past_week", [READS], "does not work with"),
        ("upcoming_activities_due", "single_range", [READS], "does not work with"),
        ("course_dropout", "no_splitting", [READS], "does not work with"),
        ("course_dropout", "quarters", [], "at least one indicator"),
        ("course_dropout", "quarters", [READS, READS], "listed twice"),
        ("upcoming_activities_due", "upcoming_week", [WRITES], "needs course"),
    ],
)
def test_what_does_not_fit_together(target, method, indicators, said):
    analysis = plan(target, method, indicators)
    with pytest.raises(UsageError, match=said):
        registry.check_fit(analysis.target, analysis.indicators, analysis.methods[0])


def test_core_models_fit():
    for target in registry.list_targets():
        method = registry.get_time_splitting(target.time_splitting or "quarters")
        registry.check_fit(target, [registry.get_indicator(one) for one in registry.indicators_of(target)], method)


# ---- hooks ----


class Lifecycle(Hooks):
    def __init__(self, *, used=(), busy=(), stored=None):
        self.used, self.busy, self.stored = set(used), set(busy), stored or {}
        self.locked, self.kept, self.asked = [], [], []

    def order(self, rows):
        return list(reversed(rows))

    @contextmanager
    def lock(self, analysable, method):
        self.locked.append(analysable.id)
        yield analysable.id not in self.busy
        self.locked.append(-analysable.id)

    def select(self, samples, ranges, method):
        from moodlemlbackend.analytics.features.analysis import NO_NEW_SAMPLES

        left = samples.take(np.array([sample not in self.used for sample in samples.ids.tolist()], bool))
        return (left, ranges) if len(left) else NO_NEW_SAMPLES

    def recall(self, samples, start, end):
        self.asked.append((start, end))
        return self.stored

    def keep(self, samples, start, end, indicator, chosen, values):
        self.kept.append((indicator, start, samples.ids[chosen].tolist(), values.tolist()))


def test_hooks_order_choose_and_lock(small):
    for _ in range(3):
        busy(small)
    hooks = Lifecycle(used=[1, 2, 3], busy=[3])
    with small.open() as site:
        results = analyse(site, plan(), hooks)
        first = next(results)
        assert (first.analysable.id, first.status, first.reason.identifier) == (
            3,
            AnalysisStatus.NO_DATASET,
            "analysisinprogress",
        )
        second = next(results)
        assert (second.analysable.id, second.samples.ids.tolist()) == (2, [4])
        assert hooks.locked == [3, -3, 2]  # until the next result is asked for
        third = next(results)
        assert (third.analysable.id, third.reason.identifier) == (1, "nonewdata")
        assert list(results) == []
        assert hooks.locked == [3, -3, 2, -2]


def test_stored_calculations_replace_new_ones_and_new_ones_are_kept(small):
    busy(small)
    stored = {READS: (np.array([2, 1, 9]), np.array([0.33, np.nan, 1.0])), WRITES: (np.array([1]), np.array([1.0]))}
    hooks = Lifecycle(stored=stored)
    with small.open() as site:
        [result] = analyse(site, plan(method="single_range", keeps=True), hooks)
    assert result.features.cells().tolist() == [[-0.33, 0.0, "1.00"], [0.33, 0.0, -1]]
    assert hooks.asked == [(START, END)]
    assert hooks.kept == [(READS, START, [1], [-0.33]), (WRITES, START, [2], [-1.0])]


def test_an_evaluation_keeps_nothing_and_some_methods_never_do(small):
    busy(small)
    hooks = Lifecycle()
    with small.open() as site:
        list(analyse(site, plan(), hooks))
        assert (hooks.kept, len(hooks.asked)) == ([], 4)
        list(analyse(site, plan(method="ten_percent_after_start", keeps=True), hooks))
    assert (hooks.kept, len(hooks.asked)) == ([], 4)


def test_a_run_of_several_methods_gives_a_result_for_each(small):
    busy(small)
    methods = [registry.get_time_splitting(name) for name in ("quarters", "single_range", "deciles")]
    base = plan()
    with small.open() as site:
        several = [
            (result.method.id, result.features.values.tolist())
            for result in analyse(site, Analysis(base.target, base.indicators, methods, NOW, training=True))
        ]
        for method, (id_, values) in zip(methods, several, strict=True):
            [alone] = analyse(site, Analysis(base.target, base.indicators, [method], NOW, training=True))
            assert (id_, values) == (method.id, alone.features.values.tolist())


def test_only_courses_below_the_contexts(small):
    courses = [busy(small)[0] for _ in range(2)]
    with small.open() as site:
        context = site.courses[1].context
        restricted = Analysis(plan().target, plan().indicators, plan().methods, NOW, training=True, contexts=[context])
        assert [result.analysable.id for result in analyse(site, restricted)] == courses[1:]
        everywhere = Analysis(plan().target, plan().indicators, plan().methods, NOW, training=True, contexts=[1])
        assert [result.analysable.id for result in analyse(site, everywhere)] == courses


# ---- static targets ----


def test_static_predictions_are_made_over_the_first_course_of_the_run(small):
    """The enrolments of the second course are judged against the dates of the first."""
    early = small.course(startdate=NOW - 60 * DAY, enddate=0)
    late = small.course(startdate=NOW - 31 * DAY, enddate=0)
    small.enrol(early, small.user(), timecreated=NOW - 60 * DAY)
    always, lately = small.user(), small.user()
    small.enrol(late, always, timecreated=NOW - 60 * DAY)
    small.enrol(late, lately, timecreated=NOW - 31 * DAY)  # in time for its own course, too late for the first
    target = "no_access_since_course_start"
    method = registry.get_target(target).time_splitting
    access = r"\core\analytics\indicator\any_course_access"
    with small.open() as site:
        results = list(analyse(site, plan(target, method, [access], training=False)))
        found = [
            (one.result.samples.ids[one.result.features.samples[one.rows]].tolist(), one.classes.tolist())
            for one in predict_static(registry.get_target(target), results)
        ]
    assert found == [([1], [1]), ([2], [1])]


def test_courses_without_a_teacher_or_a_student_around_their_start(small):
    names = {"no teacher": [STUDENT], "no student": [TEACHER], "both": [STUDENT, TEACHER]}
    for name, roles in names.items():
        course = small.course(shortname=name, startdate=NOW + WEEK, enddate=0)
        for role in roles:
            small.enrol(course, small.user(), role)
    small.course(shortname="far", startdate=NOW + WEEK + 1)
    small.course(shortname="past", startdate=NOW - WEEK - 1, enddate=0)
    small.course(shortname="over", startdate=NOW - WEEK, enddate=NOW - 1)
    target = registry.get_target("no_teaching")
    with small.open() as site:
        results = list(analyse(site, plan("no_teaching", "single_range", target.indicators, training=False)))
        [found] = predict_static(target, results)
    assert dict(zip(results[0].samples.ids.tolist(), found.classes.tolist(), strict=True)) == {1: 1, 2: 1, 3: 0}


def test_activities_due_are_those_still_to_do(small):
    course = small.course(enddate=0)
    hidden = small.course(visible=0, enddate=0)
    users = small.students(course, 6)
    to_do, handed_in, completed, elsewhere, suspended, in_group = users
    small.enrol(hidden, elsewhere)
    small.set(f"UPDATE mdl_user_enrolments SET status = 1 WHERE userid IN ({suspended}, {elsewhere})")
    _, instance = small.activity(course, "assign")
    event = {"modulename": "assign", "instance": instance, "type": 1, "visible": 1, "groupid": 0, "userid": 2}
    small.add("event", courseid=course, timesort=NOW, **event)
    small.add("event", courseid=hidden, timesort=NOW, **event)
    small.add("event", courseid=course, timesort=NOW + 30 * DAY, eventtype="gradingdue", **{**event, "groupid": 4})
    small.add("groups_members", groupid=4, userid=in_group)
    small.add("assign_submission", assignment=instance, userid=handed_in, status="submitted")
    small.add("assign_submission", assignment=instance, userid=to_do, status="draft")
    small.add("course_modules_completion", coursemoduleid=1, userid=completed, completionstate=1)
    small.user(suspended=1), small.user(deleted=1), small.user(confirmed=0)
    target = registry.get_target("upcoming_activities_due")

    def due(now):
        analysis = plan("upcoming_activities_due", "upcoming_week", target.indicators, training=False, now=now)
        with small.open() as site:
            predicted = [*predict_static(target, list(analyse(site, analysis)))]
        return {one.result.analysable.id for one in predicted if 1 in one.classes}, len(predicted)

    administrator_and_guest = 2  # the first two users made here have their ids
    assert due(NOW) == ({to_do, in_group} - {1, 2}, 6 - administrator_and_guest)
    assert due(NOW - 7 * DAY)[0] == {in_group} - {1, 2}
    assert due(NOW + 25 * DAY)[0] == {in_group}


def test_of_the_dates_of_one_piece_of_work_the_users_own_counts(small):
    course = small.course(enddate=0)
    as_all, in_groups, own = small.students(course, 3)
    _, instance = small.activity(course, "quiz")
    for group, user in ((4, in_groups), (5, in_groups), (5, own)):
        small.add("groups_members", groupid=group, userid=user)
    event = {"modulename": "quiz", "instance": instance, "type": 1, "visible": 1}
    places = [(course, 0, 99, 10), (course, 4, 99, 7), (course, 5, 99, 6), (course, 6, 99, 40), (0, 0, own, 3)]
    for where, group, user, day in places:
        when = {"eventtype": "close", "timesort": NOW + day * DAY}
        small.add("event", courseid=where, groupid=group, userid=user, **when, **event)
    small.add("event", courseid=course, eventtype="open", timesort=NOW, **event)
    with small.open() as site:
        due = due_times(site, [as_all, in_groups, own], NOW)
    days = {user: ((times - NOW) // DAY).tolist() for user, times in due.items()}
    assert days == {as_all: [0, 10], in_groups: [0, 7], own: [0, 3]}


def test_a_window_holds_the_values_of_indicators():
    target = registry.get_target("upcoming_activities_due")
    samples = AnalysableSamples(None, "user", np.arange(2), np.arange(2), np.arange(2))
    due = {target.indicators[0]: np.array([1.0, -1.0])}
    assert target.calculate(samples, Window(0, 9, due)).tolist() == [1, 0]
    assert target.calculate(samples).tolist() == [0, 0]


def test_a_file_is_written_course_by_course(small, tmp_path):
    for _ in range(3):
        busy(small)
    seen = []
    with small.open() as site:
        written = write_dataset(tmp_path / "x.csv", site, plan(), progress=seen.append)
    assert (written.rows, written.columns, written.analysables, written.refused) == (24, 7, 3, [])
    assert len(seen) == 3
