"""Dates of courses: what is proposed, and how it comes into Moodle."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from click.testing import CliRunner

from fixtures.small_site import END, START, TEACHER, WEEK, SmallSite
from fixtures.trained_sites import NOW, site, site_url
from fixtures.trickle import trickling_server
from fixtures.web_servers import Quiet, serving
from moodlemlbackend.analytics.features import course_dates
from moodlemlbackend.analytics.features.course_dates import Proposal
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.cli import main
from moodlemlbackend.errors import SiteError, UsageError

_ = (site, site_url)  # fixtures

DAY = 86_400
TOKEN = "0123456789abcdef"


@contextmanager
def moodle(answer):
    """A web service that keeps what it is asked."""
    asked = []

    class Service(Quiet, BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked.append((self.path, {key: values[0] for key, values in parse_qs(body).items()}))
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Service)) as url:
        yield url, asked


def by_name(found):
    return {one.name: one for one in found}


def test_finished_courses_get_dates_near_the_true_ones(site):
    found = by_name(course_dates.propose(site, NOW, everything=True))
    assert len(found) == len(site.courses)
    judged = 0
    for course in site.courses:
        one = found[course.shortname]
        if course.shortname.startswith("FINISHED") and one.new_start and one.new_end:
            assert abs(one.new_start - course.start) < 30 * DAY
            assert abs(one.new_end - course.end) < 30 * DAY
            judged += 1
    assert judged


def test_courses_with_dates_are_left_alone(site):
    assert {one.name for one in course_dates.propose(site, NOW)} <= {
        course.shortname for course in site.courses if not course.start and not course.end
    }
    without_end = {course.shortname for course in site.courses if not course.end}
    assert {one.name for one in course_dates.propose(site, NOW, start=False)} == without_end
    [only] = course_dates.propose(site, NOW, everything=True, only=[site.courses[0].id])
    assert only.courseid == site.courses[0].id


def test_an_ongoing_course_gets_no_end(site):
    found = by_name(course_dates.propose(site, NOW, everything=True))
    ongoing = [one for name, one in found.items() if name.startswith("ONGOING")]
    assert ongoing
    assert all(one.new_end is None or one.end_note == course_dates.BY_FORMAT for one in ongoing)


@pytest.mark.parametrize(
    ("years", "proposed"), [(0, True), (3, False)], ids=["a year and four weeks at most", "longer than that"]
)
def test_a_course_that_would_be_too_long_gets_no_end(site_url, tmp_path, years, proposed):
    import shutil

    path = tmp_path / "site.sqlite"
    shutil.copy(site_url.removeprefix("sqlite:///"), path)
    with closing(sqlite3.connect(path)) as database, database:
        [course] = database.execute("SELECT id FROM mdl_course WHERE shortname = 'FINISHED-2'").fetchone()
        for table, column in (("logstore_standard_log", "timecreated"), ("user_enrolments", "timecreated"),
                              ("user_enrolments", "timestart")):  # fmt: skip
            shift = years * 365 * DAY
            database.execute(f"UPDATE mdl_{table} SET {column} = {column} - {shift} WHERE {column} > 0")
        database.execute(f"UPDATE mdl_course SET startdate = 0, enddate = 0, format = 'topics' WHERE id = {course}")
    with open_site(f"sqlite:///{path}") as changed:
        [one] = course_dates.propose(changed, NOW)
    assert one.new_start
    assert (one.new_end is not None) == proposed
    assert one.end_note == ("" if proposed else course_dates.TOO_LONG)


def test_every_enrolment_in_force_counts_for_the_start(tmp_path):
    """The median of 10, 20, 30 days, of a teacher and of one who is enrolled twice, and not of those out of force."""
    small = SmallSite(tmp_path / "site.sqlite")
    course = small.course(startdate=0, enddate=0)
    student, teacher, gone = small.user(), small.user(), small.user()
    small.enrol(course, student, timestart=START + 10 * DAY)
    small.enrol(course, student, timestart=START + 30 * DAY)
    small.enrol(course, teacher, role=TEACHER, timecreated=START + 20 * DAY)
    small.enrol(course, gone, timestart=START, timeend=START + DAY)
    small.enrol(course, gone, timestart=START, status=1)
    small.log(course, student, START + 40 * DAY)
    small.log(course, teacher, START)
    with small.open() as site:
        [one] = course_dates.propose(site, END)
    assert one.new_start == START + 30 * DAY


@pytest.mark.parametrize(("version", "hour"), [("2023042403", 0), ("2024042200", 3600)])
def test_the_end_that_follows_from_weeks_is_of_the_sites_version(tmp_path, version, hour):
    """Twenty weeks from November on, over the change of the clock in March."""
    small = SmallSite(tmp_path / "site.sqlite", version=version)
    small.set("UPDATE mdl_config SET value = 'Europe/Madrid' WHERE name = 'timezone'")
    course = small.course(format="weeks", startdate=START, enddate=0)
    small.section(course, 20)
    with small.open() as site:
        [one] = course_dates.propose(site, END, start=False)
    assert (one.new_end, one.end_note) == (START + 20 * WEEK - hour, course_dates.BY_FORMAT)


def test_the_site_is_asked_once_for_many_courses_but_for_their_logs(tmp_path):
    """Each course may ask for its log; all else is asked once a batch."""
    small = SmallSite(tmp_path / "site.sqlite")
    for _ in range(20):
        course = small.course(startdate=0, enddate=0)
        [student] = small.students(course, 1)
        small.log(course, student, START + DAY)
        small.add("user_lastaccess", courseid=course, userid=student, timeaccess=START + WEEK)
    asked = []
    with small.open() as site:
        rows = site.database._execute
        site.database._execute = lambda sql, *given, **options: asked.append(sql) or rows(sql, *given, **options)
        found = list(course_dates.propose(site, END))
    assert all(one.new_start and one.new_end for one in found)
    assert len(asked) <= len(found) + 10


def test_statements():
    found = [Proposal(2, "A", 0, 0, 5, 9), Proposal(3, "B", 5, 0, None, 9), Proposal(4, "C", 5, 9, None, None)]
    assert course_dates.to_sql(found, "m_") == [
        "UPDATE m_course SET startdate = 5, enddate = 9 WHERE id = 2;",
        "UPDATE m_course SET enddate = 9 WHERE id = 3;",
    ]


def test_moodle_is_asked_to_set_them():
    found = [Proposal(2, "A", 0, 0, 5, 9), Proposal(4, "C", 5, 9, None, None), Proposal(3, "B", 5, 0, None, 9)]
    with moodle({"warnings": [{"message": "careful"}]}) as (url, asked):
        assert course_dates.update_by_web_service(url, TOKEN, found) == ["careful"]
        assert course_dates.update_by_web_service(url, TOKEN, found[1:2]) == []
    [(path, fields)] = asked
    assert path == "/webservice/rest/server.php"
    assert fields == {
        "wstoken": TOKEN, "wsfunction": "core_course_update_courses", "moodlewsrestformat": "json",
        "courses[0][id]": "2", "courses[0][startdate]": "5", "courses[0][enddate]": "9",
        "courses[1][id]": "3", "courses[1][enddate]": "9",
    }  # fmt: skip


@pytest.mark.parametrize("answer", [{"exception": "x", "message": "Invalid token"}, ["nonsense"]])
def test_a_web_service_that_refuses(answer):
    with moodle(answer) as (url, _), pytest.raises(SiteError, match="refused") as raised:
        course_dates.update_by_web_service(url, TOKEN, [Proposal(2, "A", 0, 0, 5, 9)])
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    ("greeting", "reason"), [(b"HTTP/1.1 200 ", "no answer within 1 seconds"), (b"SSH-2.0\r\n", "SSH-2.0")]
)
def test_a_web_service_that_never_ends_or_speaks_no_http(monkeypatch, greeting, reason):
    monkeypatch.setattr(course_dates, "TIMEOUT_SECONDS", 1.0)
    with trickling_server(greeting) as port, pytest.raises(SiteError) as raised:
        course_dates.update_by_web_service(f"http://127.0.0.1:{port}", TOKEN, [Proposal(2, "A", 0, 0, 5, 9)])
    url = f"http://127.0.0.1:{port}/webservice/rest/server.php"
    assert str(raised.value).startswith(f"Moodle's web service {url} cannot be used: {reason}")


def test_without_a_token_nobody_is_asked():
    with pytest.raises(UsageError, match="token"):
        course_dates.update_by_web_service("https://moodle.example", "", [])
    with pytest.raises(SiteError, match="cannot be used"):
        course_dates.update_by_web_service("http://127.0.0.1:1", TOKEN, [Proposal(2, "A", 0, 0, 5, 9)])


def test_the_command(site_url, tmp_path, monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_SITE", site_url)
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(tmp_path))

    def run(*arguments, code=0):
        done = CliRunner().invoke(main, ["guess-course-start-and-end", "--now", str(NOW), *arguments])
        assert done.exit_code == code, done.output
        return done.stdout

    assert "FINISHED-2" in run("--guessall")
    assert run("--guessall", "--sql").startswith("UPDATE mdl_course SET ")
    found = json.loads(run("--guessall", "--filter", "3", "--json"))
    assert [one["courseid"] for one in found["courses"]] == [3]
    run("--filter", "x", code=2)
    run("--guessall", "--update", code=2)
    monkeypatch.setenv("MOODLEMLBACKEND_MOODLE_TOKEN", TOKEN)
    with moodle({"warnings": []}) as (url, asked):
        monkeypatch.setenv("MOODLEMLBACKEND_WWWROOT", url)
        run("--guessall", "--update")
    assert len(asked) == 1
