"""The page of a student: figures against the site's own tables, who sees it, and how it looks."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from test_course_access import courseid, opened, rows, settings
from test_request_context import ask, change

from fixtures.pages import HOSTILE, NOW, WWWROOT, add_like, axe, log_in, log_out, pages, reader, show, store, violations
from fixtures.paths import posix
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server.pages.site.responses import Page
from moodlemlbackend.server.pages.site.student import StudentQuery, student

pytestmark = posix

DAY = 86_400

_ = (courseid, settings)  # fixtures


def then(ctx):
    """The request as if it were the time of the predictions."""
    return replace(ctx, workspace=replace(ctx.workspace, clock=lambda: NOW))


def page(settings, courseid, userid, user="ana", **query):
    """The values of a student's page."""
    made = ask(settings, user, lambda ctx: student(then(ctx), StudentQuery(courseid, userid, **query)))
    assert isinstance(made, Page)
    return made.values


def text_of(settings, courseid, userid, user="ana", **query):
    """The page as its text, with spaces for tags."""

    def make(ctx):
        made = student(then(ctx), StudentQuery(courseid, userid, **query))
        return made.response(ctx, person_only=True, token="t").body.decode()

    return " ".join(unescape(re.sub(r"<[^>]*>", " ", ask(settings, user, make))).split())


def in_store(settings, *statements):
    with closing(sqlite3.connect(f"{settings.directory}/store.sqlite")) as database, database:
        return [database.execute(*statement).fetchall() for statement in statements]


def flagged(settings, prepared):
    """Users with an insight in the course, the highest probability first, and those without; each with a risk."""
    risks = "SELECT sampleid, probability FROM analytics_risks WHERE contextid = ? ORDER BY 2 DESC, 1"
    insights = "SELECT sampleid FROM analytics_insights WHERE contextid = ? AND modelid = ?"
    [every, listed] = in_store(
        settings, (risks, (prepared.course,)), (insights, (prepared.course, prepared.dropout))
    )  # fmt: skip
    users = dict(rows(settings, "SELECT id, userid FROM mdl_user_enrolments"))
    chosen = {sample for (sample,) in listed}
    return (
        [users[sample] for sample, _ in every if sample in chosen],
        [users[sample] for sample, _ in every if sample not in chosen],
    )


def refusal(settings, courseid, userid, user="ana", **query):
    with pytest.raises(RequestError) as caught:
        page(settings, courseid, userid, user, **query)
    return caught.value.code


def test_the_weeks_are_those_of_the_sites_log(settings, prepared, courseid):
    """In a zone far from UTC; the table has the figures of the picture."""
    zone = ZoneInfo("Pacific/Auckland")
    zoned = replace(settings, time_zone=str(zone))
    userid = flagged(settings, prepared)[0][0]
    shown = page(zoned, courseid, userid)
    [(start,)] = rows(settings, f"SELECT startdate FROM mdl_course WHERE id = {courseid}")
    first = datetime.fromtimestamp(start, zone).date()
    times = rows(
        settings,
        f"SELECT timecreated FROM mdl_logstore_standard_log WHERE courseid = {courseid} AND userid = {userid} "
        f"AND anonymous = 0 AND timecreated <= {NOW}",
    )
    counted = Counter((datetime.fromtimestamp(time, zone).date() - first).days // 7 + 1 for (time,) in times)
    weeks = [row.week for row in reversed(shown["rows"])]
    assert {week.number: week.actions for week in weeks if week.actions} == {n: c for n, c in counted.items() if n > 0}
    assert sum(counted.values()) > 10
    assert [point.week for point in shown["charts"][0].points] == [week for week in weeks if week.a_day is not None]
    assert {point.week.a_day for point in shown["charts"][1].points} == {week.a_day for week in weeks} - {None}


def test_what_was_handed_in_and_graded_is_what_moodle_has(settings, courseid):
    events = Counter()
    for userid in opened(settings, "ana", courseid).students:
        shown = page(settings, courseid, userid)
        submitted = rows(
            settings,
            "SELECT s.timemodified, a.name FROM mdl_assign_submission s JOIN mdl_assign a ON a.id = s.assignment "
            f"WHERE a.course = {courseid} AND s.userid = {userid} AND s.status = 'submitted'",
        )
        drawn = {mark.event for lane in shown["charts"][0].lanes for mark in lane.marks}
        listed = [text for row in shown["rows"] for text in row.events]
        for time, name in submitted:
            assert any(event.time == time and event.text.startswith(f"{name} handed in") for event in drawn)
            assert any(text.startswith(f"{name} handed in") for text in listed)
            events["handed in"] += 1
        grades = rows(
            settings,
            "SELECT i.itemname, g.finalgrade FROM mdl_grade_grades g JOIN mdl_grade_items i ON i.id = g.itemid "
            f"WHERE i.courseid = {courseid} AND g.userid = {userid} AND i.itemtype = 'mod' AND i.gradetype = 1 "
            "AND g.finalgrade IS NOT NULL AND i.outcomeid IS NULL",
        )
        assert sum(event.kind.value == "graded" for event in drawn) == len(grades)
        events["graded"] += len(grades)
        assert shown["figures"].due == shown["figures"].handed_in + shown["figures"].missing
        names = {one.work.name for one in shown["work"] if one.state.value in ("handed in", "late")}
        dated = {
            name for (name,) in rows(settings, f"SELECT name FROM mdl_assign WHERE course = {courseid} AND duedate > 0")
        }
        assert names >= {name for _, name in submitted if name in dated & {one.work.name for one in shown["work"]}}
    assert min(events["handed in"], events["graded"]) > 5


def test_risk_reasons_and_neighbours(settings, prepared, courseid):
    high, others = flagged(settings, prepared)
    assert len(high) > 2
    text = text_of(settings, courseid, high[1])
    shown = page(settings, courseid, high[1])
    risk = shown["risk"].now.risk
    assert f"High risk {100 * risk.probability:.0f}%" in text
    assert f"Counts as at risk from {100 * risk.threshold:.0f}%" in text
    assert "This is the first prediction." in text
    assert shown["neighbours"].before.userid == high[0]
    assert shown["neighbours"].after.userid == high[2]
    assert f"2 of {len(high)} at high risk" in text
    assert 0 < len(shown["risk"].reasons) <= 3
    assert all(reason.text in text for reason in shown["risk"].reasons)
    assert "Exactly how much each indicator counts" in text
    assert "What the model can't know" in text
    low = page(settings, courseid, others[-1])
    assert (low["risk"].insight, low["risk"].reasons, low["neighbours"].place) == (None, [], 0)
    assert low["neighbours"].after.userid == high[0]
    assert "The model gives reasons only for students whom it flags." in text_of(settings, courseid, others[-1])
    assert page(settings, courseid, high[0])["neighbours"].before is None
    assert page(settings, courseid, high[-1])["neighbours"].after is None


def test_who_is_suspended_and_enrolled_again_keeps_the_risk(settings, prepared, courseid):
    """The prediction is about the first enrolment, whatever its status; another one makes a student."""
    userid = flagged(settings, prepared)[0][0]
    before = page(settings, courseid, userid)["risk"].now
    with closing(sqlite3.connect(settings.site.removeprefix("sqlite:///"))) as site, site:
        site.execute("UPDATE mdl_user_enrolments SET status = 1 WHERE userid = ?", (userid,))
        method = add_like(site, "mdl_enrol", courseid=courseid, enrol="self", status=0)
        add_like(site, "mdl_user_enrolments", enrolid=method, userid=userid, status=0, timestart=0, timeend=0)
    assert before.band.value == "high"
    assert page(settings, courseid, userid)["risk"].now == before


def test_what_was_predicted_before(settings, prepared, courseid):
    """The reasons are those of the last prediction alone: one that flags nobody any more has none."""
    userid = flagged(settings, prepared)[0][0]
    [(sample, probability)] = in_store(
        settings,
        (
            "SELECT sampleid, probability FROM analytics_risks WHERE contextid = ? ORDER BY 2 DESC, 1 LIMIT 1",
            (prepared.course,),
        ),
    )[0]  # fmt: skip
    like = (
        "INSERT INTO analytics_risks (modelid, contextid, sampleid, rangeindex, probability, low, high, threshold, "
        "timestart, timeend, timecreated) SELECT modelid, contextid, sampleid, rangeindex + 1, 0.02, NULL, NULL, "
        "threshold, timeend, timeend + 86400, timecreated + 86400 FROM analytics_risks WHERE sampleid = ?"
    )
    in_store(settings, (like, (sample,)))
    shown = page(settings, courseid, userid)
    assert [one.band.value for one in shown["risk"].history] == ["low", "high"]
    assert [one.insight is not None for one in shown["risk"].history] == [False, True]
    assert (shown["risk"].insight, shown["risk"].reasons) == (None, [])
    text = text_of(settings, courseid, userid)
    assert f"Down {round(100 * (probability - 0.02))} percentage points since the prediction of" in text
    assert "the model has seen too few courses to give a range" in text
    assert "Low risk 2%" in text


def test_a_change_is_since_the_prediction_before_also_in_an_earlier_range(settings, prepared, courseid):
    """A course whose end is moved to a later date is in an earlier range than before."""
    userid = flagged(settings, prepared)[0][0]
    in_store(
        settings,
        (
            "INSERT INTO analytics_risks (modelid, contextid, sampleid, rangeindex, probability, threshold, timestart, "
            "timeend, timecreated) SELECT modelid, contextid, sampleid, rangeindex - 1, 0.02, threshold, timestart, "
            "timeend, timecreated + 86400 FROM analytics_risks WHERE contextid = ? AND probability = (SELECT "
            "MAX(probability) FROM analytics_risks WHERE contextid = ?)",
            (prepared.course, prepared.course),
        ),
    )
    assert [one.band.value for one in page(settings, courseid, userid)["risk"].history] == ["low", "high"]
    assert "Down " in text_of(settings, courseid, userid)


def follow(settings, courseid, userid, kind, time, text="", until=None, undone=None, by="ana"):
    [(teacher,)] = rows(settings, f"SELECT id FROM mdl_user WHERE username = '{by}'")
    in_store(
        settings,
        (
            "INSERT INTO analytics_follow_ups (courseid, studentid, userid, kind, text, until, batch, timecreated, "
            "timeundone) VALUES (?, ?, ?, ?, ?, ?, 'ab', ?, ?)",
            (courseid, userid, teacher, kind, text, until, time, undone),
        ),
    )  # fmt: skip


def test_what_teachers_did(settings, prepared, courseid):
    userid = flagged(settings, prepared)[1][-1]

    def standing():
        return page(settings, courseid, userid)["standing"]

    name = opened(settings, "ana", courseid).students[userid].first_name
    assert standing() == f"Nobody has contacted {name} about this yet."
    follow(settings, courseid, userid, "note", NOW - 5 * DAY, HOSTILE)
    assert standing().startswith("Ana ")
    assert "wrote a note 5 days ago. Nobody has contacted" in standing()
    follow(settings, courseid, userid, "message", NOW - 3 * DAY, "Hello")
    follow(settings, courseid, userid, "note", NOW - DAY, "She answered", by="manager")
    assert re.fullmatch(r"Contacted 3 days ago by Ana \w*: waiting for an answer\.", standing())
    follow(settings, courseid, userid, "resolved", NOW - 60, undone=NOW)
    assert "waiting for an answer" in standing()
    shown = page(settings, courseid, userid)
    assert [one.text for one in shown["history"]] == ["She answered", "Hello", HOSTILE]
    assert [len(lane.marks) for lane in shown["charts"][0].lanes if lane.kind.value == "teachers"] == [3]
    follow(settings, courseid, userid, "snoozed", NOW - 50, until=NOW + 7 * DAY)
    assert standing().startswith("Snoozed until ")
    assert page(settings, courseid, userid)["state"] == "snoozed"
    follow(settings, courseid, userid, "snoozed", NOW - 40, until=NOW - 30)
    assert standing().endswith("the time is up.")
    follow(settings, courseid, userid, "resolved", NOW - 20)
    follow(settings, courseid, userid, "note", NOW - 10, by="manager")
    assert re.fullmatch(r"Resolved today by Ana \w*\.", standing())
    follow(settings, courseid, userid, "reopened", NOW - 5)
    assert standing().startswith("Reopened today by Ana")


def test_who_is_flagged_after_it_was_settled_is_open_again(settings, prepared, courseid):
    userid = flagged(settings, prepared)[0][0]
    follow(settings, courseid, userid, "resolved", NOW - 30 * DAY)
    shown = page(settings, courseid, userid)
    assert shown["state"] == "open"
    assert shown["standing"].startswith("Flagged again after Ana ")


def test_grades_are_only_for_those_who_may_see_them(settings, courseid):
    users = opened(settings, "ana", courseid).students

    def graded():
        shown = [page(settings, courseid, userid) for userid in users]
        lanes = sum(lane.kind.value == "graded" for values in shown for lane in values["charts"][0].lanes)
        return lanes, sum(one.grade is not None for values in shown for one in values["work"])

    def missing():
        return [page(settings, courseid, userid)["figures"].missing for userid in users]

    assert min(graded()) > 0
    before = missing()
    assert "Grade" in text_of(settings, courseid, min(users))
    change(settings.site, "DELETE FROM mdl_role_capabilities WHERE capability = 'moodle/grade:viewall'")
    assert graded() == (0, 0)
    assert missing() == before  # what is graded is not missing for those who may not see the grade, either
    assert "rade" not in text_of(settings, courseid, min(users))


def test_who_may_not_see_a_student_finds_none(settings, prepared, courseid):
    high, others = flagged(settings, prepared)
    userid, suspended = high[0], others[0]
    assert refusal(settings, courseid, userid, "bert") == 404
    assert refusal(settings, courseid, userid, "sam") == 404
    assert refusal(settings, courseid + 1, userid) == 404
    assert refusal(settings, courseid, 10**9) == 404
    assert refusal(settings, courseid, userid, model=10**9) == 404
    [ana] = rows(settings, "SELECT id FROM mdl_user WHERE username = 'ana'")[0]
    assert refusal(settings, courseid, ana) == 404
    enrolments = f"SELECT id FROM mdl_user_enrolments WHERE userid = {suspended}"
    change(settings.site, f"UPDATE mdl_user_enrolments SET status = 1 WHERE id IN ({enrolments})")
    assert refusal(settings, courseid, suspended) == 404
    change(
        settings.site,
        f"UPDATE mdl_course SET groupmode = 1 WHERE id = {courseid}",
        "DELETE FROM mdl_role_capabilities WHERE capability = 'moodle/site:accessallgroups'",
    )
    assert refusal(settings, courseid, userid) == 404
    assert page(settings, courseid, userid, "admin")["student"].userid == userid


def test_without_logs_a_model_or_a_start(settings, courseid):
    userid = min(opened(settings, "ana", courseid).students)
    change(settings.site, f"DELETE FROM mdl_logstore_standard_log WHERE courseid = {courseid}")
    shown = page(settings, courseid, userid)
    assert shown["quiet"]
    assert {row.week.actions for row in shown["rows"]} <= {0, None}
    assert "Moodle logged no action by" in text_of(settings, courseid, userid)
    change(settings.site, "DELETE FROM mdl_config_plugins WHERE name = 'loglifetime'")
    plugin = "INSERT INTO mdl_config_plugins VALUES (99999, 'logstore_standard', 'loglifetime', 35)"
    change(settings.site, plugin)
    assert 2 <= len(page(settings, courseid, userid)["rows"]) <= 6
    assert "Earlier weeks are not shown" in text_of(settings, courseid, userid)
    in_store(settings, ("DELETE FROM analytics_risks",))
    text = text_of(settings, courseid, userid)
    assert "No prediction yet" in text
    assert "There has been no prediction about" in text
    change(settings.site, f"UPDATE mdl_course SET startdate = {NOW + DAY} WHERE id = {courseid}")
    assert page(settings, courseid, userid)["charts"] == []
    assert "The course has not begun" in text_of(settings, courseid, userid)


def test_what_is_read_of_the_course_is_read_once(settings, courseid, monkeypatch):
    read = []
    module = "moodlemlbackend.server.pages.site.student"
    for name in ("read_activity", "course_work", "read_last_access"):
        real = getattr(__import__(module, fromlist=[name]), name)
        monkeypatch.setattr(f"{module}.{name}", lambda *given, real=real, name=name: read.append(name) or real(*given))
    users = sorted(opened(settings, "ana", courseid).students)[:3]
    ask(settings, "ana", lambda ctx: [student(ctx, StudentQuery(courseid, user)) for user in users])
    assert sorted(read) == ["course_work", "read_activity", "read_last_access"]


# ---- in a browser ----


@pytest.fixture(scope="module")
def server(prepared, tmp_path_factory):
    """A server of its own, for what is done about a student is seen on other pages, too."""
    folder = tmp_path_factory.mktemp("student")
    with pages(prepared, folder) as started:
        started.folder, started.site = folder, folder / "site.sqlite"
        yield started


@pytest.fixture(scope="module")
def address(server, prepared):
    with closing(sqlite3.connect(server.site)) as site:
        [(course,)] = site.execute("SELECT instanceid FROM mdl_context WHERE id = ?", (prepared.course,))
        listed = store(
            server,
            "SELECT sampleid FROM analytics_insights WHERE modelid = ? AND contextid = ? ORDER BY probability DESC",
            prepared.dropout, prepared.course,
        )  # fmt: skip
        [(user,)] = site.execute("SELECT userid FROM mdl_user_enrolments WHERE id = ?", listed[0])
    return f"/courses/{course}/students/{user}"


def test_the_page_is_small_has_no_script_and_leads_to_moodle(server, address):
    answer = reader(server, "ana").get(address)
    assert answer.status_code == 200
    assert len(answer.content) < 100_000
    assert "<script" not in answer.text.lower()
    assert "style=" not in answer.text
    assert "<img" not in answer.text
    course, user = re.findall(r"\d+", address)
    for link in (
        f"{WWWROOT}/report/outline/user.php?id={user}&amp;course={course}&amp;mode=outline",
        f"{WWWROOT}/user/view.php?id={user}&amp;course={course}", f"{WWWROOT}/course/view.php?id={course}",
        f'action="/courses/{course}/act"', f"/courses/{course}/message?student={user}",
    ):  # fmt: skip
        assert link in answer.text, link
    assert f'name="back" value="{address}"' in answer.text


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (390, True)])
def test_the_page_fits_and_axe_finds_nothing(server, address, browser, width, dark, language):
    with closing(sqlite3.connect(server.site, timeout=30)) as site, site:
        site.execute("UPDATE mdl_user SET lang = ? WHERE username = 'ana'", (language,))
    try:
        show(browser, width, dark=dark)
        log_in(browser, "ana")
        browser.get(server.url + address)
        assert browser.find_element("tag name", "html").get_attribute("lang") == language
        assert HOSTILE in browser.find_element("tag name", "h1").text
        assert not browser.find_elements("css selector", "main script, main img")
        assert not violations(browser, axe())
        for details in browser.find_elements("css selector", "main details"):
            details.find_element("tag name", "summary").click()
        assert not violations(browser, axe())
        layout = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        assert layout["width"] <= width
        visible = [chart for chart in browser.find_elements("css selector", "svg.chart") if chart.is_displayed()]
        assert len(visible) == 1
    finally:
        log_out(browser)
        with closing(sqlite3.connect(server.site, timeout=30)) as site, site:
            site.execute("UPDATE mdl_user SET lang = 'en' WHERE username = 'ana'")


# ---- acting ----


def press(client, address, action, **fields):
    """Press a button of the page; returns the page after it."""
    text = client.get(address).text
    form = next(part for part in re.findall(r"<form.*?</form>", text, re.S) if f'value="{action}"' in part)
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))
    [path] = re.findall(r'action="([^"]+)"', form)
    answer = client.post(path, data={**hidden, "action": action, **fields}, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer


def test_what_is_done_on_the_page_is_said_there_and_undone(server, address):
    client = reader(server, "ana")
    assert "Nobody has contacted" in client.get(address).text
    answer = press(client, address, "contacted")
    assert answer.url.path == address
    assert "Marked as contacted." in answer.text
    assert re.search(r"Contacted today by Ana \w*: waiting for an answer\.", answer.text)
    again = str(answer.url)
    answer = press(client, again, "undo")
    assert "Undone." in answer.text
    assert "Nobody has contacted" in answer.text
    answer = press(client, address, "note", text=HOSTILE)
    assert "The note is saved." in answer.text
    assert HOSTILE not in answer.text
    press(client, str(answer.url), "undo")
    answer = press(client, address, "snooze", until="7")
    assert "Snoozed until" in answer.text
    assert "Reopen" in answer.text
    assert "Reopened today" in press(client, address, "reopened").text
    assert "Resolved today" in press(client, address, "resolved").text
