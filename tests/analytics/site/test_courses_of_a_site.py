"""Which courses and students count, and what the commands say of them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from fixtures.busy_courses import busy_course, plan, reasons, small
from fixtures.small_site import DAY, END, MODULE_IDS, NOW, START, WEEK, one_course
from moodlemlbackend.analytics.features import refusal
from moodlemlbackend.analytics.features.analysis import AnalysisStatus, analyse
from moodlemlbackend.analytics.features.refusal import (
    FINISHED,
    HIDDEN,
    NO_END,
    NOT_MEASURED,
    NOT_YET_FINISHED,
    Refusal,
    decisive,
)
from moodlemlbackend.analytics.features.registry import get_target, indicators_of
from moodlemlbackend.analytics.features.site_check import check_site
from moodlemlbackend.errors import UsageError

_ = small  # a fixture


# ---- courses that are not as they should be ----


def test_why_courses_are_refused(small):
    busy_course(small, shortname="good")
    busy_course(small, shortname="idle", logs=9)
    busy_course(small, shortname="no end", enddate=0)
    busy_course(small, shortname="backwards", enddate=START - 1)
    busy_course(small, shortname="no start", startdate=0)
    busy_course(small, shortname="endless", enddate=START + 33_955_201)
    busy_course(small, shortname="long", startdate=END - 33_955_200)
    busy_course(small, shortname="social", format="social")
    busy_course(small, shortname="ongoing", enddate=NOW + 1)
    busy_course(small, shortname="to come", startdate=NOW + 1, enddate=NOW + 2)
    busy_course(small, shortname="hidden", visible=0, enddate=NOW + 1)
    busy_course(small, shortname="empty", students=0)
    late = START + 33_955_202
    assert reasons(small, now=late) == {
        "good": "successfullyanalysed", "idle": "nocourseactivity", "no end": "nocourseendtime",
        "backwards": "errorendbeforestart", "no start": "coursenotyetstarted", "endless": "coursetoolong",
        "long": "successfullyanalysed", "social": "nocoursesections", "ongoing": "successfullyanalysed",
        "to come": "nocourseactivity", "hidden": "successfullyanalysed", "empty": "nocoursestudents",
    }  # fmt: skip
    found = reasons(small, training=False)
    assert (found["ongoing"], found["hidden"], found["good"]) == (
        "successfullyanalysed", "hiddenfromstudents", "coursealreadyfinished",
    )  # fmt: skip


def test_a_student_enrolled_twice_is_one_sample_with_the_lowest_enrolment(small):
    course = small.course()
    other, twice = small.user(), small.user()
    first = small.enrol(course, twice)
    small.enrol(course, other)
    small.enrol(course, twice)
    analyser = plan().analyser
    with small.open() as site:
        samples = analyser.samples(one_course(site))
        assert (samples.ids.tolist(), samples.users.tolist()) == ([first, first + 1], [twice, other])
    small.set("UPDATE mdl_config SET value = '2019052002' WHERE name = 'version'")
    with small.open() as site:
        assert analyser.samples(one_course(site)).ids.tolist() == [first, first + 1, first + 2]


def test_who_counts_as_a_student(small):
    course = small.course()
    enrolled_only, deleted, suspended, above = (small.user(deleted=number == 1) for number in range(4))
    small.enrol(course, enrolled_only, role=3)
    small.enrol(course, deleted)
    small.enrol(course, suspended, status=1, timeend=START + 1)
    small.enrol(course, above, role=3)
    small.add("role_assignments", roleid=5, contextid=1, userid=above)
    with small.open() as site:
        assert plan().analyser.samples(one_course(site)).users.tolist() == [deleted, suspended, above]
    small.set("UPDATE mdl_role SET archetype = '' WHERE id = 5")
    with small.open() as site:  # without the archetype everybody with a role is a student
        assert len(plan().analyser.samples(one_course(site))) == 4


@pytest.mark.parametrize(
    ("enrolment", "valid"),
    [
        ({}, True),
        ({"timeend": START - 1}, False),
        ({"timeend": START}, True),
        ({"timecreated": START - 33_955_201}, False),
        ({"timestart": START - 33_955_200}, True),
        ({"timecreated": END + 1}, False),
        ({"timestart": END + 1}, False),
        ({"timestart": NOW + 1}, False),
    ],
)
def test_which_enrolments_are_judged(small, enrolment, valid):
    course = small.course()
    small.enrol(course, small.user(), **enrolment)
    with small.open() as site:
        made = one_course(site)
        samples = plan().analyser.samples(made)
        assert get_target("course_dropout").valid_samples(samples, training=True).tolist() == [valid]


def test_an_unknown_module_and_a_module_without_indicators(small):
    course, _ = busy_course(small)
    MODULE_IDS["thirdparty"] = small.add("modules", name="thirdparty")
    small.activity(course, "thirdparty", section=1)
    small.activity(course, "h5pactivity", section=1)
    assert reasons(small) == {"C1": "successfullyanalysed"}
    del MODULE_IDS["thirdparty"]


@pytest.mark.parametrize("training", [True, False])
def test_a_course_of_nothing_but_such_modules_is_left_out_everywhere_with_one_reason(small, training):
    from moodlemlbackend.analytics.features.invalid import invalid_elements

    course = small.course(enddate=END if training else NOW + DAY)
    small.section(course, 1)
    context, _ = small.activity(course, "h5pactivity", section=1)
    for user in small.students(course, 2):
        for number in range(12):
            small.log(course, user, START + 1 + number, context=context)
    target = get_target("course_dropout")
    model = SimpleNamespace(target=target.id, contexts=None, indicators=indicators_of(target))
    other = SimpleNamespace(target=target.id, contexts=None, indicators=[r"\core\analytics\indicator\read_actions"])
    with small.open() as site:
        [result] = analyse(site, plan(training=training))
        [checked] = check_site(site, target, NOW).courses
        [listed] = invalid_elements(site, model, NOW)
        assert list(invalid_elements(site, other, NOW)) == []
        [used] = analyse(site, plan(training=training, indicators=other.indicators))
    assert (result.status, result.reason) == (AnalysisStatus.INVALID_FOR_TARGET, NOT_MEASURED)
    reasons = (checked.training, checked.prediction)
    assert reasons[0 if training else 1] == NOT_MEASURED
    assert checked.invalid
    assert (listed.training, listed.prediction) == reasons
    assert listed.advice == NOT_MEASURED.advice
    assert used.status is AnalysisStatus.OK


def test_every_reason_against_a_course_says_what_to_do():
    found = [value for value in vars(refusal).values() if isinstance(value, Refusal)]
    assert len(found) == 14
    assert all(one.advice.endswith(".") for one in found)


def test_what_to_do_about_a_course_is_what_keeps_it_from_being_learned_from_unless_only_time_does():
    assert decisive(NO_END, FINISHED) is NO_END
    assert decisive(NOT_YET_FINISHED, HIDDEN) is HIDDEN
    assert decisive(None, HIDDEN) is HIDDEN


def test_availability_that_is_not_json_is_no_restriction(small):
    course, _ = busy_course(small)
    small.activity(course, "url", section=1, availability='{"op": "date"')
    small.activity(course, "url", section=1, availability='{"op":"&","c":[{"type":"date","d":"?","t":"x"}, 7]}')
    assert reasons(small) == {"C1": "successfullyanalysed"}


# ---- the commands ----


def test_site_check_says_what_it_found(small, command):
    busy_course(small, shortname="good")
    busy_course(small, shortname="no end", enddate=0)
    busy_course(small, shortname="ongoing", enddate=NOW + 1)
    env = {"MOODLEMLBACKEND_SITE": small.commit()}
    shown = command("site", "check", "--now", str(NOW), env=env)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "3: 2 with both dates, 1 without an end, 0 without a start" in shown.stdout
    assert "1 courses can be used for training, 1 for prediction now" in shown.stdout
    assert "Set an end date in the" in shown.stdout
    assert "ongoing" not in shown.stdout
    assert "ongoing" in command("site", "check", "--now", str(NOW), "--all", env=env).stdout
    found = json.loads(command("site", "check", "--now", str(NOW), "--json", env=env).stdout)
    assert found["invalid"] == [
        {
            "identifier": "nocourseendtime",
            "component": "course",
            "text": "The course has no end date.",
            "advice": "Set an end date in the course settings.",
            "courses": 1,
        }
    ]
    verdicts = [
        (course["name"], course["training"] is None, course["prediction"] is None) for course in found["courses"]
    ]
    assert verdicts == [
        ("good", True, False), ("no end", False, False), ("ongoing", False, True),
    ]  # fmt: skip
    assert (found["students"], found["log_rows"], found["log_first"]) == (9, 108, START + 1)


def test_site_check_warns(small):
    busy_course(small)
    small.add("config_plugins", plugin="logstore_standard", name="loglifetime", value="35")
    small.set("UPDATE mdl_role SET archetype = '' WHERE id = 5")
    small.set("UPDATE mdl_config SET value = '' WHERE name = 'version'")
    with small.open() as site:
        warnings = " ".join(check_site(site, get_target("course_dropout"), NOW).warnings)
    for said in (
        "version is not in its settings",
        "archetype student",
        "after 35 days",
        "begins after the start of 1 courses",
    ):
        assert said in warnings
    with small.open() as site, pytest.raises(UsageError, match="does not look at individual courses"):
        check_site(site, get_target("no_teaching"), NOW)


def test_a_course_without_its_context_is_named(small):
    busy_course(small, shortname="kept")
    course, _ = busy_course(small, shortname="lost")
    small.set(f"DELETE FROM mdl_context WHERE contextlevel = 50 AND instanceid = {course}")
    with small.open() as site:
        found = check_site(site, get_target("course_dropout"), NOW)
    assert [made.name for made in found.courses] == ["kept"]
    assert "1 courses have no row in the context table and are left out (lost)" in " ".join(found.warnings)


def test_site_dataset_writes_what_moodle_would(small, command, tmp_path):
    busy_course(small)
    indicator = r"\core\analytics\indicator\any_write_action_in_course"
    output = tmp_path / "dropout.csv"
    options = [
        "--site",
        small.commit(),
        "--target",
        "course_dropout",
        "--interval",
        "quarters",
        "--now",
        str(NOW),
    ]
    done = command("site", "dataset", *options, "--indicator", indicator, "-o", output)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Wrote 12 rows with 5 features to {output}; analysed: 1, left out: 0.\n"
    lines = output.read_text().splitlines()
    assert lines[0] == "timesplitting,nfeatures,moodleversion,targetcolumn,targettype,targetclasses"
    assert lines[1] == (
        r'"\core\analytics\time_splitting\quarters",5,2023042403,'
        r'"\core_course\analytics\target\course_dropout",discrete,"[0,1]"'
    )
    assert lines[2] == (
        rf'range/0,range/1,range/2,range/3,"{indicator}","\core_course\analytics\target\course_dropout"'
    )
    assert lines[3] == "1,0,0,0,-1,1"
    assert len(lines) == 15
    small.set(f"UPDATE mdl_course SET enddate = {NOW + WEEK}")
    small.commit()
    done = command("site", "dataset", *options, "--unlabelled", "-o", "-")
    assert done.stdout.splitlines()[3].startswith("1-2,0,0,1,0,")
    assert done.stderr.startswith("Wrote 3 rows with 98 features")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--target", "nothing", "--interval", "quarters"], 2, "There is no target 'nothing'"),
        (["--target", "course_dropout", "--interval", "half"], 2, "There is no interval 'half'"),
        (["--target", "course_dropout", "--interval", "upcoming_week"], 2, "does not work with"),
        (["--target", "no_teaching", "--interval", "single_range", "--indicator",
          r"\core\analytics\indicator\any_course_access"], 2, "needs user"),
        (["--target", "course_dropout", "--interval", "quarters", "--now", "soon"], 2, "is not a time"),
        (["--target", "course_dropout", "--interval", "quarters", "--now", "2002-01-01"], 2, "has no samples"),
    ],
)  # fmt: skip
def test_site_dataset_that_cannot_be_made(small, command, tmp_path, options, code, said):
    busy_course(small)
    output = tmp_path / "out.csv"
    done = command("site", "dataset", "--site", small.commit(), *options, "-o", output)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not output.exists()
