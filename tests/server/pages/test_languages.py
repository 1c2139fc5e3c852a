"""Pages are in the reader's language, and nothing on them bypasses the catalogues."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from itertools import chain
from zoneinfo import ZoneInfo

import pytest

pytest.importorskip("babel", reason="needs the extra server or analytics")

from sqlalchemy import select, update

from fixtures.catalogues import PSEUDO, catalogue, left_in_english, pseudo_messages
from fixtures.pages import WWWROOT, add_like, reader, told
from fixtures.paths import posix
from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import facts, follow_ups, templates
from moodlemlbackend.analytics.db import messages as stored_messages
from moodlemlbackend.analytics.db.history import begin_run, end_run, log_evaluation
from moodlemlbackend.analytics.db.notifications import Delivery
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, MESSAGES, PREDICTIONS
from moodlemlbackend.analytics.insights.messages import NewPrediction, write_messages
from moodlemlbackend.analytics.models import backtest_fact, most_flagged_fact
from moodlemlbackend.analytics.notifications import mailing, outbox
from moodlemlbackend.analytics.notifications.digest import compose
from moodlemlbackend.analytics.notifications.message import Message, Recipient
from moodlemlbackend.analytics.students.follow_up import Known, record
from moodlemlbackend.analytics.students.roster import RosterQuery
from moodlemlbackend.errors import RequestError
from moodlemlbackend.language import preferred, speaking
from moodlemlbackend.language.dates import Dates
from moodlemlbackend.server.jobs.page_runs import PageRun, Step
from moodlemlbackend.server.pages.login import launch_page
from moodlemlbackend.server.pages.rendering import TEMPLATES
from moodlemlbackend.server.pages.site import (
    course,
    courses,
    managers,
    message_templates,
    messages,
    model_forms,
    notifications,
    packages,
    recipients,
    responses,
    student,
    teachers,
)
from moodlemlbackend.server.pages.site.course_access import open_course
from moodlemlbackend.server.pages.site.forms import PageForm
from moodlemlbackend.server.pages.site.request_context import RequestContexts
from moodlemlbackend.server.pages.site.responses import Page
from moodlemlbackend.server.texts import say
from moodlemlbackend.settings.analytics import AnalyticsSettings
from moodlemlbackend.settings.server import ServerSettings

pytestmark = posix

_ = catalogue  # a fixture

DROPOUT = r"\core_course\analytics\target\course_dropout"
QUARTERS = r"\core\analytics\time_splitting\quarters"
SINGLE_RANGE = r"\core\analytics\time_splitting\single_range"
PARTS = {"course-rows.html", "course-reasons.html", "course-activity.html"}
"""Of a page that follow by themselves."""
ATTRIBUTES = {"aria-label", "alt", "title", "placeholder", "data-name"}
RATINGS = {"precision": 0.5, "in_time": 0.5, "mcc": 0.5, "auc": 0.5, "brier": 0.1, "promised": 1.5, "real": 2}
BACKTEST = {
    **RATINGS, "sentence": "A sentence.", "bounds": {"precision": [0.4, 0.6], "mcc": [0.1, 0.9]}, "in_time_f1": 0.5,
    "load": {"warnings_a_teacher_and_week": 1.25, "flagged": 0.5, "courses_flagged_by_more_than_half": 1},
    "recall": 0.5, "days_median": 3, "days_lower_quartile": 2, "days_upper_quartile": 4, "courses": 2,
    "calibration_factor": 1.2,
    "by_range": [{**RATINGS, "range": 0, "predictions": 12, "warnings": 3}],
    "by_course": [{**RATINGS, "name": "Курс", "predictions": 12, "warnings": 3, "flagged": 0.2}],
}  # fmt: skip


class Visible(HTMLParser):
    """What people see or hear of a page, but for what is marked as English."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.html, self._english = [], {}, []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.texts += [value for name, value in given.items() if name in ATTRIBUTES]
        if tag == "html":
            self.html = given
        if self._english or given.get("lang") == "en":
            self._english.append(tag)

    def handle_endtag(self, tag):
        if self._english and self._english[-1] == tag:
            self._english.pop()

    def handle_data(self, data):
        if not self._english:
            self.texts.append(data)


@pytest.fixture
def settings(prepared, tmp_path):
    """A site on which every name is in Cyrillic, and everybody reads the pseudo-language."""
    shutil.copytree(prepared.folder / "work", tmp_path / "work")
    shutil.copy(prepared.folder / "site.sqlite", tmp_path)
    with closing(sqlite3.connect(tmp_path / "site.sqlite")) as site, site:
        site.execute(f"UPDATE mdl_user SET firstname = 'Ада', lastname = 'Л', lang = '{PSEUDO}', email = 'я@я.рф'")
        site.execute("UPDATE mdl_course SET fullname = 'Курс ' || id, shortname = 'К' || id")
        for module in ("assign", "quiz", "choice", "feedback", "lesson", "workshop"):
            site.execute(f"UPDATE mdl_{module} SET name = 'Дело ' || id")
        site.execute("UPDATE mdl_groups SET name = 'Группа ' || id")
        site.execute("UPDATE mdl_grade_items SET itemname = 'Дело ' || id")
        site.execute("UPDATE mdl_groups SET name = 'Группа ' || id")
        roles = dict(site.execute("SELECT archetype, id FROM mdl_role").fetchall())
        place, user = prepared.course, 3
        add_like(site, "mdl_role_assignments", roleid=roles["editingteacher"], contextid=place, userid=user)
    with closing(sqlite3.connect(tmp_path / "work" / "store.sqlite")) as store, store:
        store.execute("UPDATE analytics_notifications SET subject = 'Тема', fullmessage = 'Текст'")
    return AnalyticsSettings(
        site=f"sqlite:///{tmp_path / 'site.sqlite'}", directory=str(tmp_path / "work"), wwwroot=WWWROOT,
        notifications=True, smtp_host="mail.example",
    )  # fmt: skip


def fill(ctx, prepared):
    """What pages show once everything has happened: an evaluation, a backtest, runs, courses nobody heard of."""
    store, model, now = ctx.workspace.store, prepared.dropout, ctx.workspace.clock()
    flagged = {"flagged": 14, "predicted": 20, "reason": "—", "time": now, "ends": 0, "course": "—"}
    with store.write() as connection:
        facts.write(connection, backtest_fact(model), {"intervals": {QUARTERS: BACKTEST}, "time": now, "version": 0})
        facts.write(connection, most_flagged_fact(model), [{**flagged, "context": prepared.course}])
        for score in (0.6, 0.8):
            logid = log_evaluation(
                connection, models.get(connection, model), interval=QUARTERS, mode="configuration", score=score,
                info=["Sentence."], folder="", userid=ctx.person.id, now=now,
            )  # fmt: skip
        end_run(connection, begin_run(connection, "train", model, now), 0, {"figures": {"samples": 2000}}, now)
    return logid


def pages_of(ctx, prepared):
    """Every page of the site, with all that it can show."""
    logid, model = fill(ctx, prepared), prepared.dropout
    yield teachers.index(ctx)
    yield (first := teachers.context(ctx, teachers.InsightsQuery(prepared.course)))
    ids = [one.id for section in first.values["sections"] for one in section.insights]
    mail = PageForm({"action": ["studentmessage"], "id": [str(one) for one in ids[:2]]})
    yield teachers.act(ctx, mail)
    for predictionid in ids:
        yield teachers.insight(ctx, predictionid)
    yield teachers.act(ctx, PageForm({"one": [f"incorrectlyflagged-{ids[0]}"]}))
    teachers.act(ctx, PageForm({"one": [f"notapplicable-{ids[0]}"]}))
    yield teachers.context(ctx, teachers.InsightsQuery(prepared.course, done="notapplicable", about=ids))
    yield teachers.dealt_with(ctx, prepared.course)
    yield teachers.insight(ctx, ids[0], "takeback")
    with ctx.workspace.store.write() as connection:
        to = Recipient(ctx.person.id, "Ада", "Ада", "a@b.org")
        outbox.put(connection, ctx.workspace, [Message(to, model, prepared.course, 1, "Тема", "Текст", "", "")])
        mailing.choose(connection, ctx.person.id, digest="weekly", quiet_hours="18:00-08:00")
    yield (page := notifications.index(ctx, "read"))
    assert page.values["mails"].coming
    yield managers.index(ctx)
    yield model_forms.new(ctx, "")
    yield model_forms.new(ctx, DROPOUT)
    yield model_forms.create(ctx, PageForm({"target": [DROPOUT], "find": ["yes"], "search": ["Курс"]}))
    yield model_forms.edit(ctx, prepared.static)
    yield packages.upload(ctx)
    archive = ctx.workspace.folder / "uploaded.zip"
    archive.write_bytes(packages.export(ctx, model, weights=False).body)
    yield packages.receive(ctx, archive)
    yield recipients.index(ctx, 1)
    for query in (courses.CoursesQuery(), courses.CoursesQuery(text="?", show="over")):
        yield courses.index(ctx, query)
    yield from student_pages(ctx, prepared)
    yield from course_pages(ctx, prepared)
    yield from acting_pages(ctx, prepared)
    for modelid in (model, prepared.static):
        yield managers.model(ctx, modelid, "stop")
        yield managers.invalid(ctx, modelid, 1)
        yield managers.predictions(ctx, modelid)
        yield managers.log(ctx, modelid)
    for action, fields in {"enable": {"interval": [SINGLE_RANGE]}, "clear": {}, "delete": {}}.items():
        yield managers.change(ctx, model, action, PageForm(fields))
    yield managers.backtest(ctx, model)
    yield managers.evaluation(ctx, model, logid)
    for run in (
        PageRun("evaluate", model, 3, steps=[Step("site", ended=2e9), Step("evaluation", QUARTERS, of=2)]),
        PageRun("train", model, 3, state="running", steps=[Step("training", total=4, done=1, element="Курс")]),
        PageRun("train", model, 3, state="failed", ended=2e9, cause=lambda: managers.say("run fault")),
        PageRun("evaluate", model, 3, ended=2e9, figures={"samples": 2, "rows": 1},
                evaluations=[{"interval": QUARTERS, "score": 0.7, "past": BACKTEST}]),
    ):  # fmt: skip
        ctx.runs._latest[model] = run
        yield managers.progress(ctx, model, refresh=True)


def student_pages(ctx, prepared):
    """The pages of the students of a course, of one of whom everything was done, and of a course that has not begun."""
    row = next(row for row in ctx.site.courses if row.context == prepared.course)
    users = sorted(open_course(ctx, row.id).students)
    for at, kind in enumerate(follow_ups.KINDS):
        with ctx.workspace.store.write() as connection:
            follow_ups.insert(
                connection, courseid=row.id, studentid=users[0], userid=ctx.person.id, kind=kind, batch="ab",
                now=row.start + at, text="Текст", until=2_000_000_000 if kind == follow_ups.SNOOZED else None,
            )  # fmt: skip
        yield student.student(ctx, student.StudentQuery(row.id, users[0], done=kind, batch="ab"))
    for userid in users[1:]:
        yield student.student(ctx, student.StudentQuery(row.id, userid))
    early = replace(ctx, workspace=replace(ctx.workspace, clock=lambda: row.start + 60))
    yield student.student(early, student.StudentQuery(row.id, users[0]))


def course_pages(ctx, prepared):
    """The pages of all courses and their parts; of one of them after everything was done, and in every order."""
    for row in ctx.site.courses:
        yield course.index(ctx, course.CourseQuery(row.id))
    [row] = [row for row in ctx.site.courses if row.context == prepared.course]
    for kind in (*follow_ups.KINDS, "undone", "nothing"):
        yield course.index(ctx, course.CourseQuery(row.id, done=kind, batch="ab"))
    for order in (*course.ORDERS, *(f"-{name}" for name in course.ORDERS)):
        yield course.index(ctx, course.CourseQuery(row.id, roster=RosterQuery(order, "?")))
    yield course.index(ctx, course.CourseQuery(row.id, roster=RosterQuery(band="high", contact="todo")))
    for part in (course.ROWS, course.REASONS, course.ACTIVITY, course.WEEKS):
        yield course.index(ctx, course.CourseQuery(row.id, part=part))


def acting_pages(ctx, prepared):
    """The pages of messages to students and of their templates."""
    row = next(row for row in ctx.site.courses if row.context == prepared.course)
    course, users = row.id, sorted(open_course(ctx, row.id).students)[:3]
    settings = replace(ctx.workspace.settings, smtp_host="127.0.0.1", smtp_port=1, moodle_token="x")
    early = replace(ctx.workspace, settings=settings, clock=lambda: row.start + 1)  # nothing is due
    ctx = replace(ctx, workspace=early)
    for chosen in (users, users[:1]):
        yield messages.compose(ctx, course, chosen, "missing")
        for way, step in (("moodle", ""), ("email", ""), ("own", ""), ("own", "send"), ("email", "edit")):
            fields = {
                "subject": "Курс",
                "text": "{name} {due}",
                "way": way,
                "step": step,
                "batch": f"{len(chosen):032x}",
            }
            form = {name: [value] for name, value in fields.items()}
            yield messages.take(ctx, PageForm({**form, "student": [*map(str, chosen)]}), course)
    for text in ("{nam}", "", "я" * 5001):
        wrong = {"student": [str(users[0])], "subject": ["Курс"], "text": [text], "way": ["email"]}
        yield messages.take(ctx, PageForm(wrong), course)
    yield messages.index(ctx, course, "", 1, "")
    known = {user: Known() for user in users}
    for number, states in enumerate((["sent"], ["sending"], ["waits"], ["failed"], ["sent", "waits", "failed"] * 2)):
        batch = f"{number:031x}a"
        with ctx.workspace.store.write() as connection:
            for state in states:
                noted = record(connection, ctx.workspace, course, known, "message", batch=batch)
                for key in noted.values() if len(states) > 1 else [noted[users[0]]]:
                    what = {"channel": "email", "address": "a", "replyto": "", "subject": "Курс", "text": "Текст"}
                    stored_messages.insert(connection, key, now=ctx.workspace.clock(), **what)
                    changed = {
                        "sent": {"timesent": 1}, "sending": {}, "waits": {"error": "English."},
                        "failed": {"attempts": 9, "error": "English."},
                    }[state]  # fmt: skip
                    if changed:
                        chosen = update(MESSAGES).where(MESSAGES.c.followupid == key).values(**changed)
                        connection.execute(chosen)
        yield messages.index(ctx, course, batch, 1, "undone")
    yield messages.index(ctx, course, "", 1, "")
    yield messages.index(ctx, course, "", 2, "")
    for owner in ("own", "course", "site"):
        form = {"action": ["save"], "owner": [owner], "name": ["Имя"], "subject": ["Курс"], "text": ["Текст"]}
        message_templates.take(ctx, PageForm(form), course)
        yield message_templates.take(ctx, PageForm({**form, "name": [""]}), course)
        yield message_templates.take(ctx, PageForm({**form, "text": ["{nam}"]}), course)
    with ctx.workspace.store.read() as connection:
        [first, *_] = templates.listed(connection, course, ctx.person.id)
    for done in message_templates.NOTICES:
        yield message_templates.index(ctx, course, str(first.id), done)
    yield message_templates.take(ctx, PageForm({"action": ["delete"], "id": [str(first.id)]}), course)


def test_nothing_that_people_see_bypasses_the_catalogues(settings, prepared, catalogue):
    catalogue(PSEUDO, pseudo_messages())
    shown, problems = set(), set()

    def look(ctx):
        for page in pages_of(ctx, prepared):
            assert isinstance(page, Page), page
            shown.add(page.template)
            seen = Visible(page.response(ctx, person_only=False).body.decode())
            if page.template not in PARTS:
                assert (seen.html["lang"], seen.html["dir"]) == (PSEUDO, "rtl")
            problems.update((page.template, text) for text in map(left_in_english, seen.texts) if text)

    ask(settings, "manager", look)
    assert shown == {path.name for path in (TEMPLATES / "site").glob("*.html")} - {
        "page.html", "macros.html", "evaluations.html", "refusal.html",
    }  # fmt: skip
    assert not problems


def ask(settings, user, make):
    async def once():
        request_contexts = RequestContexts(ServerSettings(), settings, lambda name: True)
        try:
            return await request_contexts.ask(user, make)
        finally:
            await request_contexts.close()

    return asyncio.run(once())


def refused(settings, user):
    """The page that says why a user may not manage models."""

    async def once():
        request_contexts = RequestContexts(ServerSettings(), settings, lambda name: True)
        try:
            return await request_contexts.ask(user, managers.index)
        except RequestError as error:
            return responses.refusal(str(error), error.code, {}, person_only=True)
        finally:
            await request_contexts.close()

    return Visible(asyncio.run(once()).body.decode())


def test_a_refusal_is_in_the_language_of_the_person_or_of_the_browser(settings, catalogue):
    catalogue(PSEUDO, pseudo_messages())
    for user in ("ana", "nobody there"):
        with speaking("en") if user == "ana" else speaking(PSEUDO):
            seen = refused(settings, user)
        assert seen.html["lang"] == PSEUDO
        assert not list(filter(None, map(left_in_english, seen.texts)))


def test_a_page_about_a_launch_is_in_the_language_of_the_browser(catalogue):
    catalogue(PSEUDO, pseudo_messages())
    with speaking(PSEUDO):
        page = launch_page(say("window title"), say("window why"), link="/lti/login")
    seen = Visible(page.body.decode())
    assert (seen.html["lang"], seen.html["dir"]) == (PSEUDO, "rtl")
    assert not list(filter(None, map(left_in_english, seen.texts)))


def test_a_browser_is_answered_in_its_language_until_the_person_is_known(pages_server, prepared):
    headers = {"Accept-Language": "de-AT,de;q=0.8"}
    client = reader(pages_server, "moodle")
    text = client.get("/insights", headers=headers).text
    assert '<html lang="de-AT" dir="ltr">' in text
    with speaking("de"):
        assert told(client.get("/insights", headers=headers), 403) == responses.say("nobody")
    assert '<html lang="en" dir="ltr">' in reader(pages_server, "ana").get("/insights", headers=headers).text
    assert '<html lang="en" dir="ltr">' in client.get("/", headers=headers).text
    assert preferred("de-AT").tag == "de-AT"


def as_new(row, why):
    """A stored prediction as it was when it was made."""
    made = NewPrediction(row["id"], row["contextid"], row["sampleid"], row["prediction"], row["predictionscore"], None)
    made = replace(made, start=row["timestart"], end=row["timeend"], calculations=row["calculations"])
    if why is None:
        return made
    between = (why["low"], why["high"])
    return replace(
        made, probability=why["probability"], probability_range=between, reasons=json.loads(why["reasons"])
    )  # fmt: skip


def mails(settings, prepared, code, zone="99"):
    """What each recipient would be sent about all predictions, if everybody had this language and time zone."""
    with closing(sqlite3.connect(settings.site.removeprefix("sqlite:///"))) as site, site:
        site.execute("UPDATE mdl_user SET lang = ?, timezone = ?", (code, zone))
        site.execute("UPDATE mdl_event SET name = 'Задача'")

    def write(ctx):
        with ctx.workspace.store.read() as connection:
            explained = {row["predictionid"]: row for row in connection.execute(select(EXPLANATIONS)).mappings()}
            found = connection.execute(select(PREDICTIONS)).mappings().all()
            return {
                model.target.rpartition("\\")[2]: write_messages(
                    ctx.workspace, ctx.site, model,
                    [as_new(row, explained.get(row["id"])) for row in found if row["modelid"] == model.id],
                )
                for model in models.listed(connection)
            }  # fmt: skip

    return ask(settings, "manager", write)


def test_nothing_in_a_mail_bypasses_the_catalogues(settings, prepared, catalogue):
    catalogue(PSEUDO, pseudo_messages())
    sent = mails(settings, prepared, PSEUDO)
    assert {"course_dropout", "upcoming_activities_due"} <= {target for target, found in sent.items() if found}
    written = [*chain.from_iterable(sent.values())]
    by_reader = {message.to.id: [other for other in written if other.to == message.to] for message in written}
    for mail in (*written, *(gathered(settings, several) for several in by_reader.values())):
        assert f'<html lang="{PSEUDO}" dir="rtl"><body>' in mail.html
        for text in (mail.subject, *mail.text.splitlines()):
            assert not left_in_english(re.sub(r"https?://\S+|mailto:\S+", "", text))


def gathered(settings, messages):
    """The digest of messages to one person."""
    deliveries = [
        Delivery(number, "email", "a@b.org", 0, message.to.id, number, message.subject, message.text, message.html,
                 message.url, json.dumps({**message.data, "recipient": vars(message.to)}), 0, message.predictionid)
        for number, message in enumerate(messages)
    ]  # fmt: skip
    return compose(replace(settings, pages_url="https://insights.example"), deliveries, {})


@pytest.mark.parametrize(
    ("code", "greeting", "due", "share", "date"),
    [
        ("de", "Guten Tag Ада,", "fällig", r"\d+\xa0% \(\d+\xa0% bis", r"\d\d\.\d\d\.20\d\d, \d\d:\d\d"),
        ("es_mx", "Hola, Ада:", "venc", r"\d+\xa0% \(entre \d+\xa0%", r"\d{1,2} [a-z]{3,4} 20\d\d,? \d{1,2}:\d\d"),
    ],
)
def test_a_mail_is_in_the_language_of_its_recipient(settings, prepared, code, greeting, due, share, date):
    sent = mails(settings, prepared, code)
    risk, upcoming = sent["course_dropout"][0].text, sent["upcoming_activities_due"][0]
    assert greeting in risk
    assert re.search(share, risk)
    assert due in upcoming.subject
    assert re.search(date, upcoming.text)
    assert not re.search(r"Hello|at risk|course mean|: yes|\d%", risk + upcoming.text)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_what_is_due_is_told_at_the_recipients_own_time(settings, prepared, zone):
    upcoming = mails(settings, prepared, "en", zone)["upcoming_activities_due"][0]
    with closing(sqlite3.connect(settings.site.removeprefix("sqlite:///"))) as site, speaking("en"):
        times = [Dates(ZoneInfo(zone)).minute(time) for (time,) in site.execute("SELECT timesort FROM mdl_event")]
    lines = [line for line in upcoming.text.splitlines() if line.startswith("- ")]
    assert lines
    assert all(any(time in line for time in times) for line in lines)


@pytest.mark.parametrize(("code", "decimal"), [("de", ","), ("es", ",")])
def test_a_teacher_reads_the_language_of_the_profile(settings, prepared, code, decimal):
    path = settings.site.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as site, site:
        site.execute("UPDATE mdl_user SET lang = ? WHERE username = 'ana'", (f"{code}_xx",))

    def look(ctx):
        page = teachers.context(ctx, teachers.InsightsQuery(prepared.course))
        insight = page.values["sections"][0].insights[0]
        return page.response(ctx, person_only=True).body.decode(), insight

    text, insight = ask(settings, "ana", look)
    assert f'<html lang="{code}" dir="ltr">' in text
    assert any(re.search(rf"\d{decimal}\d", reason.value) for reason in insight.reasons)
    assert not any("course mean" in reason.value for reason in insight.reasons)
    with closing(sqlite3.connect(settings.directory + "/store.sqlite")) as store:
        stored = store.execute("SELECT reasons FROM analytics_explanations WHERE predictionid = ?", (insight.id,))
        assert any("course mean" in reason["value"] for reason in json.loads(stored.fetchone()[0]))
