"""Reasons in plain words: true, short, in the reader's language, and the same wherever they are read."""

from __future__ import annotations

import dataclasses
import re
import sys

import numpy as np
import pytest

from fixtures.oracle import NOW as ORACLE_NOW
from fixtures.oracle import ORACLE_COURSE, analysis, load_sqlite
from fixtures.packages import entry_points, example, install
from fixtures.small_site import DAY, END, NOW, START, WEEK, SmallSite
from moodlemlbackend.analytics.features.analysis import analyse
from moodlemlbackend.analytics.features.evidence import read_evidence
from moodlemlbackend.analytics.features.indicators import CORE
from moodlemlbackend.analytics.insights import sentences
from moodlemlbackend.analytics.insights.names import module_of
from moodlemlbackend.analytics.insights.reason_texts import ENGLISH
from moodlemlbackend.analytics.insights.reasons import Kept, Span, evidence_in, plain_reasons
from moodlemlbackend.analytics.insights.sentences import InsightReason
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.language import speaking

CORE_NAME = r"\core\analytics\indicator" + "\\"
COURSE_NAME = r"\core_course\analytics\indicator" + "\\"
READS, WRITES = f"{CORE_NAME}read_actions", f"{CORE_NAME}any_write_action_in_course"
AFTER_END = f"{CORE_NAME}any_access_after_end"
COMPLETION = f"{COURSE_NAME}completion_enabled"
INDICATORS = [one for one in CORE if one.requires <= {"user", "course", "context"} and "bigbluebutton" not in one.id]


def depth(module, name="cognitive_depth"):
    return rf"\mod_{module}\analytics\indicator\{name}"


def reason(indicator, contribution=0.5, value="a value"):
    return InsightReason(indicator, indicator.rpartition("\\")[2].replace("_", " "), value, contribution)


# ---- the course of the oracle: every indicator, every student ----


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    """Subjects of each range of the oracle's course, with the values that Moodle would have stored."""
    with open_site(load_sqlite(tmp_path_factory.mktemp("oracle") / "site.sqlite", ORACLE_COURSE)) as site:
        chosen = dataclasses.replace(analysis("course_dropout", "quarters"), indicators=INDICATORS)
        [result] = analyse(site, chosen)
        subjects = []
        for at in range(len(result.ranges)):
            start, end = int(result.ranges.starts[at]), int(result.ranges.ends[at])
            evidence = read_evidence(site, result.analysable.id, start, end, ORACLE_NOW)
            for sample, user in enumerate(result.samples.users.tolist()):
                stored = {}
                for indicator in INDICATORS:
                    values = result.values[indicator.id][at]
                    stored[indicator.id] = None if np.isnan(values[sample]) else round(float(values[sample]), 2)
                    if indicator.kind.value == "linear" and not np.isnan(values).all():
                        stored[f"{indicator.id}/mean"] = float(np.nanmean(values))
                subjects.append(sentences.Subject(user, stored, evidence))
    return subjects


def test_every_indicator_has_a_sentence_of_its_own_for_every_student(oracle):
    for subject in oracle:
        for indicator in INDICATORS:
            for contribution in (0.5, -0.5):
                text = sentences.of(reason(indicator.id, contribution), subject).text
                assert text[0].isupper()
                assert not text.endswith(".")
                assert "a value" not in text
                if module_of(indicator.id) not in subject.evidence.hidden:
                    assert not text.endswith("course average"), (indicator.id, text)


def test_the_numbers_in_sentences_are_the_counts(oracle):
    """And so agree with Moodle's values, as the counts do."""
    compared = 0
    for subject in oracle:
        for indicator in INDICATORS:
            module = module_of(indicator.id)
            text = sentences.of(reason(indicator.id), subject).text
            found = re.match(r"Opened (\d+) of (\d+) .*; most classmates opened (\d+)(?: to (\d+))?$", text)
            if not found or not module:
                continue
            did = subject.evidence.of_type(module, subject.userid)
            own, due, low, high = (None if part is None else int(part) for part in found.groups())
            assert (own, due) == (did.opened.own, did.due)
            assert (low, high or low) == (did.opened.low, did.opened.high)
            assert (subject.value(indicator.id) == -1) == (own == 0)
            compared += 1
    assert compared > 100


def test_what_was_not_due_and_what_is_of_the_course_is_said_of_the_course(oracle):
    for subject in oracle:
        for indicator in INDICATORS:
            sentence = sentences.of(reason(indicator.id), subject)
            about = sentence.text.startswith("About the course, not the student: ")
            assert sentence.of_course is about
            if subject.value(indicator.id) is None and module_of(indicator.id) != "label":
                assert "were due" in sentence.text
            if indicator.id.startswith(COURSE_NAME) and "activities_due" not in indicator.id:
                assert about


@pytest.mark.parametrize(
    ("code", "english"), [("de", "classmates|Opened|the |most "), ("es", "classmates|Opened|the ")]
)
def test_every_sentence_is_in_the_language_of_the_reader(oracle, code, english):
    with speaking(code):
        texts = {
            sentences.of(reason(one.id, size), who).text for who in oracle for one in INDICATORS for size in (1, -1)
        }
    assert len(texts) > 100
    assert not [text for text in texts if re.search(english, text)]


def test_dates_are_written_as_in_the_language(oracle):
    subject = oracle[0]
    [english] = {sentences.of(reason(AFTER_END), subject).text.partition(" on ")[2].partition(",")[0]}
    with speaking("de"):
        german = sentences.of(reason(AFTER_END), subject).text
    assert english == "30 October"
    assert "30. Oktober" in german


# ---- a small course, of which a test knows everything ----


@pytest.fixture
def small(tmp_path):
    return SmallSite(tmp_path / "site.sqlite")


def course_with(small, students, **values):
    course = small.course(**values)
    small.section(course, 1)
    return course, small.students(course, students)


def evidence_of(small, course, now=NOW, start=START, end=END, as_of=None, indicators=None):
    with small.open() as site:
        return read_evidence(site, course, start, end, now, as_of=as_of, indicators=indicators)


def text_of(evidence, user, indicator, contribution=0.5, **stored):
    return sentences.of(reason(indicator, contribution), sentences.Subject(user, stored, evidence)).text


def files(small, course, number):
    return [small.activity(course, "resource", section=1)[0] for _ in range(number)]


def test_files_as_in_the_example(small):
    course, users = course_with(small, 9)
    contexts = files(small, course, 6)
    for at, user in enumerate(users[1:]):
        for context in contexts[: 6 - at % 3]:
            small.log(course, user, START + DAY, context=context)
    evidence = evidence_of(small, course)
    expected = "Opened 0 of 6 files; most classmates opened 4 to 6"
    assert text_of(evidence, users[0], depth("resource")) == expected
    assert text_of(evidence, users[0], depth("resource", "social_breadth")) == expected


def test_assignments_as_in_the_example(small):
    course, (user, *others) = course_with(small, 8)
    contexts = [small.activity(course, "assign", section=1, duedate=START + week * WEEK)[0] for week in (3, 4, 5)]
    early, _ = small.activity(course, "assign", section=1, duedate=START + WEEK)
    small.log(course, user, START + 2 * DAY, context=early, crud="c")
    small.log(course, user, START + 2 * WEEK + DAY, context=contexts[0])
    for other in others:
        for context in contexts:
            small.log(course, other, START + 3 * WEEK - DAY, context=context, crud="c")
    quarter = {"start": START + 2 * WEEK, "end": START + 6 * WEEK}
    evidence = evidence_of(small, course, **quarter)
    assert text_of(evidence, user, depth("assign")) == "No submission since 16 November 2023; 3 were due"
    assert text_of(evidence, others[0], depth("assign"), -0.5).startswith("Opened 3 of 3 assignments; most classmates")
    never = evidence_of(small, course, start=START + 2 * WEEK, end=START + 6 * WEEK, now=START + 6 * WEEK)
    assert text_of(never, user, depth("assign")) == "No submission since 16 November; 3 were due"
    small.log(course, user, START + 7 * WEEK, context=contexts[1], crud="c")
    late = evidence_of(small, course, **quarter)
    text = text_of(late, user, depth("assign"))
    assert text == "Handed in 0 of 3 assignments (1 later); most classmates handed in 3"


def test_who_has_never_handed_in_anything(small):
    """Unless hardly anybody has: then the work is handed in elsewhere."""
    course, (user, *others) = course_with(small, 8)
    task, _ = small.activity(course, "assign", section=1, duedate=START + WEEK)
    for other in others:
        small.log(course, other, START + DAY, context=task)
    assert (
        text_of(evidence_of(small, course), user, depth("assign"))
        == "Opened 0 of 1 assignment, unlike 7 of 7 classmates"
    )
    for other in others[:4]:
        small.log(course, other, START + DAY, context=task, crud="c")
    assert text_of(evidence_of(small, course), user, depth("assign")) == "No submission so far; 1 was due"


def test_what_holds_for_the_range_names_its_days(small):
    """Since the student may have done it before, or since."""
    course, (user, *others) = course_with(small, 8)
    for other in others:
        small.log(course, other, START + 15 * DAY)
        small.log(course, other, START + 16 * DAY)
    small.log(course, user, START + DAY)
    evidence = evidence_of(small, course, start=START + 2 * WEEK, end=START + 4 * WEEK, now=START + 4 * WEEK)
    text = "Did not open the course page (28 November to 12 December); most classmates opened it 2 times"
    assert text_of(evidence, user, READS) == text
    once = evidence_of(small, course, start=START + 15 * DAY, end=START + 4 * WEEK, now=START + 4 * WEEK)
    assert text_of(once, user, READS).endswith("; most classmates opened it 1 time")
    assert text_of(evidence, user, WRITES).startswith(
        "Posted or submitted nothing in the course (28 November to 12 December), like 7 of 7"
    )


def test_one_activity_is_compared_by_who_did_it(small):
    course, (user, *others) = course_with(small, 7)
    quiz, _ = small.activity(course, "quiz", section=1, timeclose=START + WEEK)
    for other in others[:5]:
        small.log(course, other, START + DAY, context=quiz, crud="c")
    evidence = evidence_of(small, course)
    assert text_of(evidence, user, depth("quiz")) == "Opened 0 of 1 quiz, unlike 5 of 6 classmates"
    assert text_of(evidence, others[0], depth("quiz"), -0.5) == "Attempted 1 of 1 quiz, like 4 of 6 classmates"


def test_what_was_opened_before_or_after_is_not_denied(small):
    course, users = course_with(small, 7)
    first, second, third = files(small, course, 3)
    user = users[0]
    small.log(course, user, START + DAY, context=first)
    small.log(course, user, END - DAY, context=second)
    small.log(course, users[1], START + 6 * WEEK, context=third)
    small.set("UPDATE mdl_course_sections SET section = 1 WHERE section = 1")
    ranges = {"start": START + 2 * WEEK, "end": END - WEEK}
    small.set(f"UPDATE mdl_course SET enddate = {START + 6 * WEEK}")  # the section's activities are due at its end
    evidence = evidence_of(small, course, **ranges)
    text = text_of(evidence, user, depth("resource"))
    assert text.startswith("Opened 0 of 3 files (1 earlier, 1 later)")


@pytest.mark.parametrize(("students", "compared"), [(5, False), (6, True)])
def test_nobody_is_compared_with_fewer_than_five_classmates(small, students, compared):
    course, users = course_with(small, students)
    contexts = files(small, course, 2)
    for user in users[1:]:
        small.log(course, user, START + DAY, context=contexts[0])
        small.log(course, user, START + DAY)
    evidence = evidence_of(small, course)
    for indicator in (depth("resource"), READS, WRITES, f"{CORE_NAME}any_access_before_start"):
        text = text_of(evidence, users[0], indicator)
        assert ("classmates" in text) is compared, text
    assert evidence.tenths_below(READS, users[0]) == ((0, 10) if compared else None)


def test_who_has_left_is_no_classmate(small):
    course, users = course_with(small, 6)
    contexts = files(small, course, 2)
    for user in users[1:]:
        small.log(course, user, START + DAY, context=contexts[0])
    small.set(f"UPDATE mdl_user_enrolments SET status = 1 WHERE userid = {users[1]}")
    assert "classmates" not in text_of(evidence_of(small, course), users[0], depth("resource"))


def test_nothing_is_said_from_logs_that_are_not_there(small):
    course, users = course_with(small, 7)
    files(small, course, 3)
    evidence = evidence_of(small, course)
    assert not evidence.logged
    assert evidence.of_type("resource", users[0]) is None
    low = {depth("resource"): -1.0, f"{depth('resource')}/mean": 0.2}
    assert text_of(evidence, users[0], depth("resource"), **low) == "Work on files: below the course average"
    assert text_of(evidence, users[0], WRITES, **{WRITES: -1.0}).endswith(": no")


def test_nor_from_logs_of_which_the_site_has_deleted_some(small):
    course, users = course_with(small, 7)
    contexts = files(small, course, 3)
    for user in users:
        small.log(course, user, END - DAY, context=contexts[0])
    small.add("config_plugins", plugin="logstore_standard", name="loglifetime", value="60")
    assert not evidence_of(small, course).logged
    assert evidence_of(small, course, start=END - WEEK).logged


def test_a_value_that_no_longer_follows_from_the_logs_is_not_explained_by_them(small):
    course, users = course_with(small, 7)
    contexts = files(small, course, 2)
    for user in users[1:]:
        small.log(course, user, START + DAY, context=contexts[0])
    evidence = evidence_of(small, course)
    high = {depth("resource"): 0.5, f"{depth('resource')}/mean": 0.2}
    assert text_of(evidence, users[0], depth("resource"), **high) == "Work on files: above the course average"


def test_a_course_without_due_activities(small):
    course, users = course_with(small, 7)
    for user in users:
        small.log(course, user, START + DAY)
    evidence = evidence_of(small, course)
    text = text_of(evidence, users[0], depth("resource"), **{depth("resource"): None})
    assert text == "About the course, not the student: no files were due"


def test_what_is_not_due_yet_is_not_counted(small):
    """A range that was not over when it was predicted ends, for a sentence, at that time."""
    course, users = course_with(small, 7)
    for week in (1, 9):
        small.activity(course, "quiz", section=1, timeclose=START + week * WEEK)
    for user in users[1:]:
        small.log(course, user, START + DAY)
    middle = START + 5 * WEEK
    evidence = evidence_of(small, course, now=middle)
    assert evidence.as_of == middle
    assert text_of(evidence, users[0], depth("quiz"), **{depth("quiz"): -1.0}).startswith("Opened 0 of 1 quiz")
    assert not plain_reasons([reason(AFTER_END)], {}, users[0], evidence)


@pytest.mark.parametrize("code", ["en", "de", "es"])
def test_a_type_of_activities_that_has_no_name_here(small, code):
    course, (user, *others) = course_with(small, 7)
    contexts = [small.activity(course, "h5pactivity", section=1)[0] for _ in range(2)]
    for other in others:
        small.log(course, other, START + DAY, context=contexts[0])
    evidence = evidence_of(small, course)
    with speaking(code):
        text = text_of(evidence, user, depth("h5pactivity"))
    assert "0 " in text
    assert "h5pactivity" in text


def test_of_a_range_that_lies_ahead_nothing_is_said_that_students_do(small):
    course, (user, *others) = course_with(small, 7)
    small.activity(course, "quiz", section=1, timeclose=START + 5 * WEEK)
    for other in others:
        small.log(course, other, START + DAY)
    now = START + 5 * WEEK - DAY
    with small.open() as site:
        evidence = evidence_in(Span(course, now, now + WEEK, now), site, now, [one.id for one in CORE])
    tracks = r"\core_user\analytics\indicator\user_track_forums"
    made = [reason(indicator) for indicator in (depth("quiz"), READS, WRITES, tracks)]
    stored = {depth("quiz"): -1.0, READS: -1.0, WRITES: -1.0, tracks: -1.0}
    assert [one.indicator for one in plain_reasons(made, stored, user, evidence)] == [tracks]


def test_of_anonymous_activities_no_student_is_counted(small):
    course, users = course_with(small, 7)
    form, _ = small.activity(course, "feedback", section=1, timeclose=START + WEEK)
    for user in users[1:]:
        small.log(course, user, START + DAY, context=form, crud="c", anonymous=1)
    evidence = evidence_of(small, course)
    assert evidence.of_type("feedback", users[0]) is None
    stored = {depth("feedback"): -1.0, f"{depth('feedback')}/mean": 0.5}
    text = text_of(evidence, users[0], depth("feedback"), **stored)
    assert text == "Work on feedback forms: below the course average"


@pytest.mark.parametrize(("indicator", "value", "words"), [
    (COMPLETION, 1.0, "it tracks completion"),
    (f"{COURSE_NAME}no_teacher", -1.0, "it has no teacher"),
    (f"{COURSE_NAME}no_student", 1.0, "it has students"),
    (f"{COURSE_NAME}potential_social_breadth", 1.0, "work with others"),
    *((f"{COURSE_NAME}potential_cognitive_depth", -1 + 0.5 * level - 0.5, ENGLISH[
        f"level {level} {COURSE_NAME}potential_cognitive_depth"]) for level in range(1, 6)),
])  # fmt: skip
def test_the_course_needs_no_evidence(indicator, value, words):
    assert words in text_of(None, 1, indicator, **{indicator: value})


def test_the_part_of_the_course_is_about_the_time():
    stored = {"range/0": 0.0, "range/1": 1.0, "range/2": 0.0, "range/3": 0.0}
    text = text_of(None, 1, "range", **stored)
    assert text == "About the time, not the student: the prediction is about part 2 of 4 of the course"


# ---- indicators of others ----

OWN = r"\local_mine\analytics\indicator\reads_without_writing"
SILENT = example("my_indicators.py")
SENTENCE = example("my_sentence.py")
LINEAR = """
import numpy as np
from moodlemlbackend.analytics.features.indicators import CourseIndicator

class Actions(CourseIndicator):
    id = r"\\local_mine\\analytics\\indicator\\reads_without_writing"
    requires = frozenset({"course", "user"})

    def of_course(self, course, users, ranges):
        logs = course.logs(ranges.bounds)
        return np.clip(logs.count(np.ones(len(logs), bool), users, ranges) / 10 - 1, -1, 1)
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a function that installs a package with an indicator, for this test."""

    def install_package(name, **sources):
        folder = tmp_path / "package"
        folder.mkdir()
        entries = entry_points(example("pyproject.toml")).replace("my_indicators:ReadsWithoutWriting", name)
        install(folder, {f"{module}.py": source for module, source in sources.items()}, entries)
        monkeypatch.syspath_prepend(str(folder))
        sentences._installed.cache_clear()

    yield install_package
    for module in ("my_indicators", "my_sentence"):
        sys.modules.pop(module, None)
    sentences._installed.cache_clear()


@pytest.fixture
def forum(small):
    course, users = course_with(small, 8)
    context, _ = small.activity(course, "forum", section=1)
    for at, user in enumerate(users):
        for number in range(at):
            small.log(course, user, START + DAY + number, context=context)
    small.log(course, users[-1], START + DAY, context=context, crud="c")
    return course, users


def test_the_documented_sentence(small, forum, installed):
    installed("my_sentence:ReadsSilently", my_indicators=SILENT, my_sentence=SENTENCE)
    course, users = forum
    evidence = evidence_of(small, course, indicators=[OWN])
    text = "Read the forums 5 times without writing anything; most classmates read 1 to 6 times"
    assert text_of(evidence, users[5], OWN, **{OWN: 1.0}) == text
    # It has none for the others, so their reason is the name and how many are alike.
    words = "Reads without writing: no, unlike 6 of 7 classmates"
    assert text_of(evidence, users[-1], OWN, **{OWN: -1.0}).lower() == words.lower()


def test_without_a_sentence_the_name_has_a_percentile(small, forum, installed):
    installed("my_indicators:Actions", my_indicators=LINEAR)
    course, users = forum
    evidence = evidence_of(small, course, indicators=[OWN])
    texts = [text_of(evidence, user, OWN).partition(": ")[2] for user in users]
    assert texts[0] == "lower than for 10 of 10 classmates"
    assert texts[2] == "lower than for 7 of 10 classmates"
    assert texts[-1] == "higher than for 10 of 10 classmates"


@pytest.mark.parametrize("fault", ["reads = own.nothing", "reads = 1 / 0", "return own.counts"])
def test_a_fault_in_a_sentence_costs_only_the_sentence(small, forum, installed, fault):
    source = SENTENCE.replace('reads = own.counts["reads"]', fault)
    installed("my_sentence:ReadsSilently", my_indicators=SILENT, my_sentence=source)
    course, users = forum
    evidence = evidence_of(small, course, indicators=[OWN])
    assert text_of(evidence, users[5], OWN).endswith(": yes, like 5 of 7 classmates")


def test_a_fault_in_the_indicator_costs_only_its_evidence(small, forum, installed):
    faulty = SILENT.replace("np.isin(logs.contexts, forums)", "np.isin(logs.nothing, forums)")
    installed("my_indicators:ReadsWithoutWriting", my_indicators=faulty)
    course, users = forum
    evidence = evidence_of(small, course, indicators=[OWN, READS])
    assert text_of(evidence, users[5], OWN).endswith(": a value")
    assert text_of(evidence, users[5], READS).startswith("Did not open the course page")


def test_an_indicator_that_is_no_longer_installed_is_shown_by_its_value(small, forum):
    course, users = forum
    evidence = evidence_of(small, course, indicators=[OWN, READS])
    assert text_of(evidence, users[5], OWN, **{OWN: 1.0}).endswith(": yes")


# ---- which reasons are given ----


def chosen(*reasons, evidence=None, **stored):
    return [(one.text, one.raises) for one in plain_reasons(reasons, stored, 1, evidence)]


def test_three_at_most_those_that_raise_the_risk_first():
    made = [reason(rf"\local_mine\analytics\indicator\n{at}", size, str(at))
            for at, size in enumerate((-0.9, 0.2, 0.3, 0.09, -0.4, -0.05))]  # fmt: skip
    assert chosen(*made) == [("N2: 2", True), ("N1: 1", True), ("N0: 0", False)]


def test_depth_and_breadth_of_a_type_are_one_reason():
    """They add up; a reason that is undone by the other is none."""
    pair = [reason(depth("quiz"), 0.3, "−1"), reason(depth("quiz", "social_breadth"), 0.2, "−1")]
    assert chosen(*pair) == [("Work on quizzes: −1", True)]
    assert chosen(pair[0], reason(depth("quiz", "social_breadth"), -0.25)) == []


def test_the_course_only_fills_a_short_list():
    stored = {COMPLETION: 1.0, f"{COURSE_NAME}no_teacher": -1.0}
    of_course = [reason(COMPLETION, 2.0), reason(f"{COURSE_NAME}no_teacher", 1.5)]
    own = [reason(rf"\local_mine\analytics\indicator\n{at}", 0.2, str(at)) for at in range(2)]
    assert [text for text, _ in chosen(*of_course, *own, **stored)] == ["N0: 0", "N1: 1"]
    assert [text for text, _ in chosen(*of_course, own[0], **stored)] == [
        "N0: 0", "About the course, not the student: it tracks completion",
    ]  # fmt: skip


def test_evidence_is_read_once_for_a_course_and_a_range(small, monkeypatch):
    course, _ = course_with(small, 7)
    kept, read = Kept(), []
    with small.open() as site:
        rows = site.database.rows
        monkeypatch.setattr(site.database, "rows", lambda query, **given: (read.append(query), rows(query, **given))[1])
        for created in (END, END + DAY):
            evidence_in(Span(course, START, END, created), site, NOW, [READS], kept.get)
        evidence_in(Span(course, START, END - DAY, END), site, NOW, [READS], kept.get)
    assert len([query for query in read if "logstore_standard_log" in query]) == 2
