"""The courses of the site, for managers: students at risk, and whether somebody acts."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from html import unescape

import pytest

from fixtures.pages import HOSTILE, add_like, manager, reader, server, store
from fixtures.paths import posix
from moodlemlbackend.analytics.db.risks import Risk
from moodlemlbackend.analytics.models import most_flagged_fact
from moodlemlbackend.analytics.students.bands import Band, band_of

pytestmark = posix
_ = (server, manager)  # fixtures

PATH = "/analytics/courses"


def rows(client, path=PATH):
    """The cells of the table, by course id."""
    text = client.get(path).text
    found = {}
    for part in re.findall(r"<tr>\s*<td.*?</tr>", text, re.S):
        cells = [unescape(re.sub(r"<[^>]+>", " ", cell)).split() for cell in re.findall(r"<td.*?</td>", part, re.S)]
        found[int(re.search(r"/courses/(\d+)", part)[1])] = [" ".join(cell) for cell in cells]
    return found


def risks(server, prepared):
    """The last risk of each student, by context, and its band."""
    last = {}
    for context, sample, index, probability, threshold in store(
        server,
        "SELECT contextid, sampleid, rangeindex, probability, threshold FROM analytics_risks WHERE modelid = ? "
        "ORDER BY id",
        prepared.dropout,
    ):
        last[context, sample] = band_of(Risk(1, sample, index, probability, None, None, threshold, 0, 0, 0))
    by_context = {}
    for (context, sample), band in last.items():
        by_context.setdefault(context, {})[sample] = band
    return by_context


def site(server, query, *values):
    with closing(sqlite3.connect(server.folder / "site.sqlite")) as database, database:
        return database.execute(query, values).fetchall()


def test_every_course_in_progress_with_its_students_at_risk(server, prepared, manager):
    shown = rows(manager)
    courses = dict(site(server, "SELECT instanceid, id FROM mdl_context WHERE contextlevel = 50"))
    expected = risks(server, prepared)
    assert {courses[course] for course in shown} == set(expected)
    highs = []
    for course, cells in shown.items():
        bands = [*expected[courses[course]].values()]
        highs.append(bands.count(Band.HIGH))
        assert cells[1] == f"{highs[-1]} of {len(bands)}"
        assert cells[2] == f"{100 * highs[-1] / len(bands):.0f}%"
    assert highs == sorted(highs, reverse=True)
    assert highs[0] > 0
    assert any(HOSTILE in cells[0] for cells in shown.values())


def test_what_was_done_is_counted_and_what_is_left(server, prepared, manager):
    [(course, context)] = site(server, "SELECT instanceid, id FROM mdl_context WHERE id = ?", prepared.course)
    high = [sample for sample, band in risks(server, prepared)[context].items() if band is Band.HIGH]
    users = [site(server, "SELECT userid FROM mdl_user_enrolments WHERE id = ?", sample)[0][0] for sample in high]
    before = rows(manager)[course]
    assert (before[3], before[4]) == ("0", str(len(high)))
    done = [
        (users[0], "message"), (users[0], "note"), (users[1], "resolved"), (users[2], "message"),
        (users[2], "reopened"), (10**9, "message"),
    ]  # fmt: skip
    with closing(sqlite3.connect(server.folder / "work" / "store.sqlite", timeout=30)) as database, database:
        database.executemany(
            "INSERT INTO analytics_follow_ups (courseid, studentid, userid, kind, batch, timecreated) "
            "VALUES (?, ?, 3, ?, 'b', 2000000000)",
            [(course, student, kind) for student, kind in done],
        )
    after = rows(manager)[course]
    assert (after[3], after[4]) == ("2", str(len(high) - 3))
    teachers, per_teacher = int(after[5].split()[0]), after[5].split()[1]
    assert float(per_teacher) == pytest.approx((len(high) - 3) / teachers, abs=0.05)


def test_those_who_have_left_or_cannot_log_in_do_not_count(server, prepared, manager):
    course = prepared.course_of(prepared.course)
    high = [sample for sample, band in risks(server, prepared)[prepared.course].items() if band is Band.HIGH]

    def counted():
        cells = rows(manager)[course]
        at_risk, _, students = cells[1].split()
        return int(at_risk), int(students), int(cells[4])

    before = counted()
    left = before[0] - 1, before[1] - 1, before[2] - 1
    site(server, "UPDATE mdl_user_enrolments SET status = 1 WHERE id = ?", high[-1])
    assert counted() == left
    with closing(sqlite3.connect(server.folder / "site.sqlite")) as database, database:
        method = add_like(database, "mdl_enrol", courseid=course, enrol="self", status=0)
        user = database.execute("SELECT userid FROM mdl_user_enrolments WHERE id = ?", (high[-1],)).fetchone()[0]
        again = add_like(database, "mdl_user_enrolments", enrolid=method, userid=user, status=0, timestart=0, timeend=0)
    assert counted() == before
    site(server, "UPDATE mdl_user_enrolments SET timeend = 9 WHERE id = ?", again)
    assert counted() == left
    user = "(SELECT userid FROM mdl_user_enrolments WHERE id = ?)"
    site(server, f"UPDATE mdl_user SET suspended = 1 WHERE id = {user}", high[-2])
    assert counted() == tuple(number - 2 for number in before)
    site(server, f"DELETE FROM mdl_role_assignments WHERE userid = {user}", high[-3])
    assert counted() == tuple(number - 3 for number in before)
    here = "(SELECT id FROM mdl_enrol WHERE courseid = ?)"
    site(server, f"DELETE FROM mdl_user_enrolments WHERE enrolid IN {here}", course)
    assert counted() == (0, 0, 0)
    assert "including those who have left since." in manager.get(PATH).text


def test_sorting_searching_and_what_is_over(server, prepared, manager):
    shares = [int(cells[2][:-1]) for cells in rows(manager, f"{PATH}?sort=share").values()]
    assert shares == sorted(shares, reverse=True)
    names = [cells[0].casefold() for cells in rows(manager, f"{PATH}?sort=name").values()]
    assert names == sorted(names)
    wanted = names[-1][:12]
    assert {cells[0].casefold() for cells in rows(manager, f"{PATH}?q={wanted}").values()} == {
        name for name in names if wanted in name
    }
    assert rows(manager, f"{PATH}?show=over") == {}
    assert "There are no such courses." in manager.get(f"{PATH}?q=nowhere").text


def test_a_course_that_the_model_does_not_fit_is_named_with_the_reason(server, prepared, manager):
    assert rows(manager, f"{PATH}?show=withheld") == {}
    noted = {"context": prepared.other, "course": "x", "flagged": 12, "predicted": 16, "reason": "of the dates",
             "time": 5, "ends": 0}  # fmt: skip
    with closing(sqlite3.connect(server.folder / "work" / "store.sqlite", timeout=30)) as database, database:
        values = (most_flagged_fact(prepared.dropout), json.dumps([noted]))
        database.execute("INSERT OR REPLACE INTO analytics_facts (name, value) VALUES (?, ?)", values)
    [cells] = rows(manager, f"{PATH}?show=withheld").values()
    assert "because of the dates" in cells[0]


def test_only_models_in_force_are_offered_as_their_courses_have_no_other_pages(server, prepared, manager):
    change = "UPDATE analytics_models SET enabled = ? WHERE id = ?"
    store(server, change, 0, prepared.dropout)
    try:
        assert f"model={prepared.dropout}" not in manager.get(PATH).text
        assert manager.get(f"{PATH}?model={prepared.dropout}").status_code == 404
    finally:
        store(server, change, 1, prepared.dropout)
    [address, *_] = re.findall(r'"(/courses/\d+\?model=\d+)"', manager.get(PATH).text)
    assert manager.get(address).status_code == 200


def test_only_managers_see_it_and_bad_questions_are_refused(server, prepared):
    for person in ("ana", "sam"):
        assert reader(server, person).get(PATH).status_code == 403
    manager = reader(server, "manager")
    assert manager.get(f"{PATH}?model=999999").status_code == 404
    assert manager.get(f"{PATH}?model={prepared.static}").status_code == 404
    assert manager.get(f"{PATH}?page=0").status_code == 400
    assert manager.get(f"{PATH}?sort=nothing").status_code == 200
    assert rows(manager, f"{PATH}?page=99") == {}
