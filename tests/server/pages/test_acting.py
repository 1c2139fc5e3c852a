"""What teachers do about students on pages: notes and marks with Undo, messages with a preview, and templates."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from html import unescape
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from fixtures.mail_server import Inbox, smtp_server
from fixtures.moodle_services import TOKEN, moodle_services
from fixtures.pages import (
    HOSTILE,
    axe,
    confirm,
    log_in,
    log_out,
    pages,
    post,
    reader,
    show,
    store,
    token,
    told,
    violations,
)
from fixtures.paths import posix
from moodlemlbackend.server import limits

pytestmark = posix


@pytest.fixture(scope="module")
def mail():
    inbox = Inbox()
    with smtp_server(inbox) as port:
        yield SimpleNamespace(inbox=inbox, port=port)


@pytest.fixture(scope="module")
def moodle():
    with moodle_services() as server:
        yield server


@pytest.fixture(scope="module")
def server(prepared, mail, moodle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("acting")
    chosen = {
        "MOODLEMLBACKEND_SMTP_HOST": "127.0.0.1",
        "MOODLEMLBACKEND_SMTP_PORT": str(mail.port),
        "MOODLEMLBACKEND_SMTP_SECURITY": "none",
        "MOODLEMLBACKEND_MAIL_FROM": "Moodle <moodle@site.example>",
        "MOODLEMLBACKEND_MOODLE_TOKEN": TOKEN,
        "MOODLEMLBACKEND_WWWROOT": moodle.url,
    }
    with pages(prepared, folder, **chosen) as started:
        started.folder = folder
        yield started


@pytest.fixture
def ana(server, mail, moodle):
    """A teacher of the course, with nothing done so far."""
    mail.inbox.messages.clear()
    mail.inbox.finally_ = mail.inbox.temporarily = ""
    moodle.sent.clear()
    moodle.blocked.clear()
    with closing(sqlite3.connect(server.folder / "work" / "store.sqlite", timeout=30)) as database, database:
        for table in ("follow_ups", "messages", "templates"):
            database.execute(f"DELETE FROM analytics_{table}")
    return reader(server, "ana")


@pytest.fixture(scope="module")
def course(server, prepared):
    """The course's id, its students, one of another course, and who teaches."""
    with closing(sqlite3.connect(server.folder / "site.sqlite")) as site:
        ids = [
            site.execute("SELECT instanceid FROM mdl_context WHERE id = ?", (context,)).fetchone()[0]
            for context in (prepared.course, prepared.other)
        ]
        of_course, of_other = (
            [
                row[0]
                for row in site.execute(
                    "SELECT DISTINCT r.userid FROM mdl_user_enrolments r JOIN mdl_enrol e ON e.id = r.enrolid "
                    "JOIN mdl_role_assignments a ON a.userid = r.userid AND a.contextid = ? "
                    "JOIN mdl_role o ON o.id = a.roleid AND o.archetype = 'student' "
                    "WHERE e.courseid = ? AND r.status = 0 AND e.status = 0 ORDER BY 1",
                    (context, courseid),
                )
            ]
            for context, courseid in zip((prepared.course, prepared.other), ids, strict=True)
        )
        emails = dict(site.execute("SELECT id, email FROM mdl_user").fetchall())
        [(teacher,)] = site.execute("SELECT id FROM mdl_user WHERE username = 'ana'").fetchall()
        samples = dict(
            site.execute(
                "SELECT r.userid, r.id FROM mdl_user_enrolments r JOIN mdl_enrol e ON e.id = r.enrolid "
                "WHERE e.courseid = ? AND r.status = 0 AND e.status = 0",
                (ids[0],),
            ).fetchall()
        )
    with closing(sqlite3.connect(server.folder / "work" / "store.sqlite")) as database:
        flagged = database.execute(
            "SELECT sampleid FROM analytics_insights WHERE contextid = ? AND modelid = ?",
            (prepared.course, prepared.dropout),
        ).fetchall()
    urgent = {sample for (sample,) in flagged}
    students = sorted((user for user in of_course if emails[user]), key=lambda user: samples[user] not in urgent)
    outsider = next(user for user in of_other if user not in of_course)
    return SimpleNamespace(
        id=ids[0], path=f"/courses/{ids[0]}", students=students, samples=[samples[user] for user in students],
        outsider=outsider, emails=emails, teacher=teacher,
        other=ids[1],
    )  # fmt: skip


def done(server, *columns):
    return store(server, f"SELECT {', '.join(columns)} FROM analytics_follow_ups WHERE timeundone IS NULL ORDER BY id")


def act(client, course, action, students, **fields):
    return post(client, f"{course.path}/act", f"{course.path}/templates", action=action, student=students, **fields)


def compose(client, course, students, step="preview", **fields):
    given = {"subject": "About {course}", "text": "Hello {name}!", "way": "email", **fields}
    return post(client, f"{course.path}/message", f"{course.path}/templates", step=step, student=students, **given)


def send(client, course, students, **fields):
    """Preview and press the button."""
    preview = compose(client, course, students, **fields)
    assert preview.status_code == 200, preview.text
    return press(client, course, preview, "send")


def press(client, course, page, step, **more):
    form = page.text[page.text.index('<form class="letter"') :]
    fields = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form):
        fields.setdefault(name, []).append(unescape(value))
    fields["text"] = unescape(re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", form, re.S)[1])
    return client.post(f"{course.path}/message", data={**fields, "step": step, **more})


# ---- marks and notes ----


def test_what_is_done_about_several_is_noted_with_the_insight_and_undone_at_once(server, ana, course, prepared):
    several = course.students[:3]
    answer = act(ana, course, "contacted", several, back=f"{course.path}?sort=name&done=note&batch={'a' * 32}")
    assert answer.status_code == 303
    place = urlsplit(answer.headers["location"])
    query = parse_qs(place.query)
    assert (place.path, query["sort"], query["done"]) == (course.path, ["name"], ["contacted"])
    rows = done(server, "studentid", "kind", "userid", "probability", "predictionid")
    assert [row[:3] for row in rows] == [(student, "contacted", course.teacher) for student in several]
    of_model = "WHERE contextid = ? AND modelid = ? ORDER BY rangeindex"
    here = prepared.course, prepared.dropout
    risks = dict(store(server, f"SELECT sampleid, probability FROM analytics_risks {of_model}", *here))
    insights = dict(store(server, f"SELECT sampleid, predictionid FROM analytics_insights {of_model}", *here))
    assert insights
    assert [row[3:] for row in rows] == [(risks.get(sample), insights.get(sample)) for sample in course.samples[:3]]
    act(ana, course, "resolved", several[:1])
    [batch] = query["batch"]
    assert all("Marked as contacted." in ana.get(page).text for page in _after(course, several[0], batch))
    for other in ("admin", "manager"):
        client = reader(server, other)
        assert "Marked as" not in "".join(client.get(page).text for page in _after(course, several[0], batch))
        refused = act(client, course, "undo", [], batch=batch)
        assert refused.headers["location"] == f"{course.path}?done=nothing"
        assert "There was nothing to undo." in client.get(refused.headers["location"]).text
    assert len(done(server, "id")) == 4
    undone = act(ana, course, "undo", [], batch=batch, back=f"{course.path}/students/{several[0]}")
    assert undone.headers["location"] == f"{course.path}/students/{several[0]}?done=undone"
    assert done(server, "studentid", "kind") == [(several[0], "resolved")]
    assert "Marked as" not in "".join(ana.get(page).text for page in _after(course, several[0], batch))
    again = act(ana, course, "undo", [], batch=batch, back=f"{course.path}/students/{several[0]}")
    assert "There was nothing to undo." in ana.get(again.headers["location"]).text


def _after(course, student, batch):
    """The pages to which a form may lead."""
    return [f"{place}?done=contacted&batch={batch}" for place in (course.path, f"{course.path}/students/{student}")]


def test_undo_on_the_page_of_a_student_who_has_left_leads_to_the_course(server, ana, course):
    student = course.students[0]
    place = act(ana, course, "contacted", [student], back=f"{course.path}/students/{student}").headers["location"]
    [batch] = parse_qs(urlsplit(place).query)["batch"]
    status = "UPDATE mdl_user_enrolments SET status = ? WHERE userid = ?"
    with closing(sqlite3.connect(server.folder / "site.sqlite")) as site, site:
        site.execute(status, (1, student))
    try:
        undone = act(ana, course, "undo", [], batch=batch, back=place)
        assert undone.headers["location"] == f"{course.path}?done=undone"
    finally:
        with closing(sqlite3.connect(server.folder / "site.sqlite")) as site, site:
            site.execute(status, (0, student))
    assert done(server, "id") == []


def test_notes_and_snoozes(server, ana, course):
    student = course.students[0]
    assert act(ana, course, "note", [student], text=" Called\r\n her. ").status_code == 303
    assert act(ana, course, "snooze", [student], until="7").status_code == 303
    assert act(ana, course, "snooze", [student], until="2026-12-24").status_code == 303
    rows = done(server, "kind", "text", "until")
    assert rows[0][:2] == ("note", "Called\n her.")
    assert [row[0] for row in rows[1:]] == ["snoozed", "snoozed"]
    assert all(row[2] for row in rows[1:])
    for until in ("0", "400", "", "-1", "2020-01-01", "9999-12-31", "1e3", "٣", "2026-13-01"):
        assert "from tomorrow on" in told(act(ana, course, "snooze", [student], until=until), 400)
    assert "Write a note" in told(act(ana, course, "note", [student], text=" \n"), 400)
    assert "5,000" in told(act(ana, course, "note", [student], text="a" * 5001), 400)
    assert len(done(server, "id")) == 3


def test_what_is_hostile_is_refused_and_nothing_is_noted(server, ana, course):
    one = course.students[:1]
    assert "not all" in told(act(ana, course, "contacted", [*one, course.outsider]), 404).lower()
    assert "not all" in told(act(ana, course, "contacted", [*one, 10**15]), 404).lower()
    assert act(ana, course, "contacted", ["1; DROP"]).status_code == 400
    assert act(ana, course, "contacted", []).status_code == 400
    assert act(ana, course, "delete", one).status_code == 400
    assert act(ana, course, "contacted", [*range(1, limits.STUDENTS_AT_ONCE + 2)]).status_code == 400
    assert act(ana, course, "contacted", [*range(1, 10_000)]).status_code == 400
    assert act(ana, course, "undo", one, batch="x' OR 1=1").status_code == 400
    for user in ("bert", "sam"):
        client = reader(server, user)
        fields = {"token": token(client, "/notifications"), "action": "contacted", "student": one}
        assert client.post(f"{course.path}/act", data=fields).status_code == 404
        assert client.post(f"{course.path}/message", data=fields).status_code == 404
        assert client.get(f"{course.path}/templates").status_code == 404
        assert client.get(f"{course.path}/messages").status_code == 404
    assert ana.post(f"{course.path}/act", data={"action": "contacted", "student": one}).status_code == 403
    assert compose(ana, course, [course.outsider], step="send", batch="a" * 32).status_code == 404
    assert done(server, "id") == []


@pytest.mark.parametrize(
    "back",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/courses/1/../../logout", "javascript:alert(1)",
     "/analytics", "/courses/{other}", "/courses/{id}@evil.example", "/courses/{id}?a=1\r\nSet-Cookie: x=1", "http://["],
)  # fmt: skip
def test_a_form_leads_only_to_pages_of_its_course(ana, course, back):
    back = back.format(id=course.id, other=course.other)
    answer = act(ana, course, "contacted", course.students[:1], back=back)
    assert re.fullmatch(rf"/courses/{course.id}\?done=contacted&batch=[0-9a-f]{{32}}", answer.headers["location"])
    assert "set-cookie" not in answer.headers or "x=1" not in answer.headers["set-cookie"]


# ---- messages ----


def test_an_email_to_several_is_previewed_sent_once_each_and_shown(server, ana, course, mail):
    several = course.students[:3]
    page = ana.get(f"{course.path}/message", params={"student": several})
    assert page.text.count('type="hidden" name="student"') >= 6
    preview = compose(ana, course, several, text="Hello {name}, from {teacher}.\nSee you in {course}")
    assert "Preview: 3 messages" in preview.text
    assert mail.inbox.messages == []
    assert done(server, "id") == []
    assert f"Answers go to {course.emails[course.teacher]}." in preview.text
    other = press(ana, course, preview, "", show=several[1])
    assert other.status_code == 200
    sent = press(ana, course, preview, "send")
    assert sent.status_code == 303
    result = ana.get(sent.headers["location"])
    assert "3 messages have been sent." in result.text
    again = press(ana, course, preview, "send")
    assert again.headers["location"] == sent.headers["location"]
    received = mail.inbox.by_address()
    assert sorted(received) == sorted(course.emails[student] for student in several)
    assert len(mail.inbox.messages) == 3
    text = received[course.emails[several[0]]].get_content()
    assert text.startswith(f"Hello {HOSTILE}, from Ana")
    assert received[course.emails[several[0]]]["Reply-To"] == course.emails[course.teacher]
    assert [row[:2] for row in done(server, "studentid", "kind")] == [(student, "message") for student in several]
    for page in (preview, other, result):
        assert "<script" not in page.text
        assert "<img" not in page.text
    assert "Messages to students" in ana.get(f"{course.path}/messages").text


def test_a_message_through_moodle_says_who_wrote_it_and_names_whom_it_did_not_reach(server, ana, course, moodle):
    several = course.students[:2]
    moodle.blocked = {several[1]}
    preview = compose(ana, course, several, way="moodle", text="Hello!")
    assert "wrote this to you as your teacher" in preview.text
    result = ana.get(press(ana, course, preview, "send").headers["location"])
    assert "The message has been sent." in result.text
    assert "One could not be delivered" in result.text
    assert "The user has blocked you" in result.text
    assert list(moodle.texts()) == [several[0]]
    assert f"{moodle.url}/message/index.php?id={course.teacher}" in moodle.texts()[several[0]]
    assert [row[0] for row in done(server, "studentid")] == [several[0]]
    log = "".join(path.read_text("utf-8", "replace") for path in server.folder.rglob("*.log"))
    for place in (preview.text, result.text, log):
        assert TOKEN not in place


def test_who_cannot_be_reached_is_named_and_the_others_go(server, ana, course, mail):
    several = course.students[:3]
    with closing(sqlite3.connect(server.folder / "site.sqlite")) as site, site:
        site.execute("ALTER TABLE mdl_user ADD COLUMN emailstop INTEGER NOT NULL DEFAULT 0")
        site.execute("UPDATE mdl_user SET emailstop = 1 WHERE id = ?", (several[0],))
        site.execute("UPDATE mdl_user SET email = '' WHERE id = ?", (several[1],))
    try:
        preview = compose(ana, course, several)
        assert "has turned off e-mail in Moodle" in preview.text
        assert "no e-mail address" in preview.text
        press(ana, course, preview, "send")
        assert list(mail.inbox.by_address()) == [course.emails[several[2]]]
        nobody = compose(ana, course, several[:2])
        assert 'value="send"' not in nobody.text
        told(press(ana, course, nobody, "send"), 400)
        assert len(done(server, "id")) == 1
    finally:
        with closing(sqlite3.connect(server.folder / "site.sqlite")) as site, site:
            site.execute("ALTER TABLE mdl_user DROP COLUMN emailstop")
            site.execute("UPDATE mdl_user SET email = ? WHERE id = ?", (course.emails[several[1]], several[1]))


def test_the_own_mail_program_is_opened_and_the_note_can_be_taken_back(server, ana, course, mail):
    several = course.students[:2]
    preview = compose(ana, course, several, way="own", subject="Hi & bye\r\nBcc: x@evil.example", text="A?\nB")
    page = press(ana, course, preview, "send")
    assert page.status_code == 200, page.text
    links = [unescape(link) for link in re.findall(r'href="(mailto:[^"]+)"', page.text)]
    assert len(links) == 3
    assert links[0].startswith("mailto:?bcc=")
    parts = urlsplit(links[1])
    assert unquote(parts.path) == course.emails[several[0]]
    assert parse_qs(parts.query) == {"subject": ["Hi & bye Bcc: x@evil.example"], "body": ["A?\r\nB"]}
    assert len(done(server, "id")) == 2
    [batch] = re.findall(r'name="batch" value="([^"]+)"', page.text)
    act(ana, course, "undo", [], batch=batch)
    assert done(server, "id") == []
    assert mail.inbox.messages == []
    assert press(ana, course, preview, "send").status_code == 200
    assert len(done(server, "id")) == 2, "sent again after it was taken back"


def test_what_waits_can_be_stopped(server, ana, course, mail):
    mail.inbox.temporarily = course.emails[course.students[0]]
    sent = send(ana, course, course.students[:1])
    place = sent.headers["location"]
    result = ana.get(place)
    assert "tried again within the hour" in result.text
    [batch] = parse_qs(urlsplit(place).query)["batch"]
    stopped = act(ana, course, "undo", [], batch=batch, back=f"{course.path}/messages")
    assert "will not be sent" in ana.get(stopped.headers["location"]).text
    assert store(server, "SELECT * FROM analytics_messages") == done(server, "id") == []
    again = act(ana, course, "undo", [], batch=batch, back=f"{course.path}/messages")
    assert "There was nothing to undo." in ana.get(again.headers["location"]).text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"text": "Hello {firstname}"}, "{firstname} can’t be filled in"), ({"text": " "}, "Write a subject"),
        ({"subject": "\n"}, "Write a subject"), ({"text": "a" * 5001}, "5,000"), ({"subject": "a" * 201}, "200"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_said_on_the_page_and_stays_there(server, ana, course, fields, sentence):
    for step in ("preview", "send"):
        page = compose(ana, course, course.students[:1], step=step, batch="b" * 32, **fields)
        assert page.status_code == 200
        text = unescape(re.search(r'role="alert"[^>]*>(.*?)</p>', page.text)[1])
        assert sentence.replace("’", "'") in text
    assert done(server, "id") == []


def test_ways_that_are_not_set_up_and_templates_of_others_are_refused(server, ana, course):
    assert compose(ana, course, course.students[:1], way="fax").status_code == 400
    too_many = {"student": [*range(1, limits.MESSAGES_AT_ONCE + 2)]}
    assert ana.get(f"{course.path}/message", params=too_many).status_code == 400
    assert ana.get(f"{course.path}/message").status_code == 400
    assert (
        ana.get(f"{course.path}/message", params={"student": course.students[0], "template": "99"}).status_code == 404
    )


def test_due_activities_are_filled_in_and_who_has_none_is_named(server, ana, course):
    page = compose(ana, course, course.students, text="These are open:\n\n{due}\n\nBye")
    listed = "Nothing is due for" in page.text
    text = unescape(re.search(r'<p class="text">(.*?)</p>', page.text, re.S)[1])
    assert text.startswith("These are open:\n\n")
    assert listed or "\n– " in text


# ---- templates ----


def save(client, course, **fields):
    given = {"action": "save", "owner": "own", "name": "Mine", "subject": "Hi {name}", "text": "Text {due}", **fields}
    return post(client, f"{course.path}/templates", f"{course.path}/templates", **given)


def test_a_template_is_saved_used_changed_and_deleted_after_a_question(server, ana, course):
    assert save(ana, course).status_code == 303
    [(key,)] = store(server, "SELECT id FROM analytics_templates")
    page = ana.get(f"{course.path}/message", params={"student": course.students[0], "template": key})
    assert "Text {due}" in page.text
    assert save(ana, course, id=key, text="Other").headers["location"].endswith("done=saved")
    assert store(server, "SELECT text, userid, courseid FROM analytics_templates") == [("Other", course.teacher, None)]
    asked = post(ana, f"{course.path}/templates", f"{course.path}/templates", id=key, action="delete")
    assert "Delete the template “Mine”?" in unescape(asked.text)
    assert confirm(ana, asked).status_code == 303
    assert store(server, "SELECT id FROM analytics_templates") == []


def test_what_somebody_else_has_saved_meanwhile_is_not_overwritten(server, ana, course):
    save(ana, course, owner="course")
    [(key,)] = store(server, "SELECT id FROM analytics_templates")
    opened = ana.get(f"{course.path}/templates", params={"template": key}).text
    seen = re.search(r'name="seen" value="(\w+)"', opened)[1]
    assert save(reader(server, "manager"), course, id=key, text="Theirs", seen=seen).status_code == 303
    refused = save(ana, course, id=key, text="Mine now", seen=seen)
    assert "Somebody has changed this template" in refused.text
    assert "Mine now" in refused.text
    assert store(server, "SELECT text FROM analytics_templates") == [("Theirs",)]
    again = re.search(r'name="seen" value="(\w+)"', refused.text)[1]
    assert save(ana, course, id=key, text="Mine now", seen=again).status_code == 303


def test_whose_templates_are_seen_and_changed(server, ana, course):
    manager = reader(server, "manager")
    assert save(ana, course, owner="site").status_code == 403
    assert save(manager, course, owner="site", name="Site's").status_code == 303
    assert save(manager, course, owner="course", name="Course's").status_code == 303
    assert save(manager, course, owner="own", name="Manager's own").status_code == 303
    keys = {name: key for key, name in store(server, "SELECT id, name FROM analytics_templates")}
    page = unescape(ana.get(f"{course.path}/templates").text)
    assert "Site's" in page
    assert "Course's" in page
    assert "Manager's own" not in page
    for name, code in (("Site's", 403), ("Manager's own", 404), ("Course's", 303)):
        assert save(ana, course, id=keys[name], text="changed").status_code == code
    changed = store(server, "SELECT name FROM analytics_templates WHERE text = 'changed'")
    assert changed == [("Mine",)]
    assert {name for (name,) in store(server, "SELECT name FROM analytics_templates")} == {
        "Site's", "Mine", "Manager's own",
    }  # fmt: skip
    elsewhere = reader(server, "bert").get(f"/courses/{course.other}/templates")
    assert "Course's" not in unescape(elsewhere.text)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"text": "{due} {dew}"}, "{dew} can't be filled in; use only {name}, {course}, {due}, {teacher}."),
        ({"name": " "}, "Give the template a name."), ({"subject": ""}, "Write a subject and a text."),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_filled_in_is_not_saved(server, ana, course, fields, sentence):
    page = save(ana, course, **fields)
    assert page.status_code == 200
    assert unescape(re.search(r'role="alert"[^>]*>(.*?)</p>', page.text)[1]) == sentence
    assert store(server, "SELECT id FROM analytics_templates") == []


def test_script_in_a_template_is_text(ana, course):
    save(ana, course, name=HOSTILE, subject=HOSTILE, text=HOSTILE)
    for path in (f"{course.path}/templates", f"{course.path}/message?student={course.students[0]}"):
        page = ana.get(path).text
        assert "<script" not in page
        assert "<img" not in page


def test_the_password_is_asked_for(server, course):
    client = reader(server, "nobody")
    for path in ("message?student=1", "messages", "templates"):
        assert client.get(f"{course.path}/{path}").status_code == 401


# ---- in a browser ----


@pytest.fixture
def window(browser):
    yield browser
    log_out(browser)


def until(condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(None, 20).until(lambda _: condition())


def press_button(window, selector, gone=True):
    button = window.find_element("css selector", selector)
    window.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    if gone:
        from selenium.webdriver.support.expected_conditions import staleness_of

        until(lambda: staleness_of(button)(window))


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (390, True)])
def test_every_page_fits_and_axe_finds_nothing(server, ana, window, course, moodle, width, dark):
    several = course.students[:4]
    moodle.blocked = {several[1]}
    save(ana, course)
    log_in(window, "ana")
    show(window, width, dark=dark)
    script = axe()

    def look(name):
        assert window.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["width"] <= width, name
        assert not violations(window, script), name

    chosen = "&".join(f"student={student}" for student in several)
    window.get(f"{server.url}{course.path}/message?{chosen}&template=missing")
    look("compose")
    press_button(window, "button[value=preview]")
    look("preview")
    press_button(window, "button[value=send]")
    look("result")
    assert "3 messages have been sent." in window.find_element("css selector", "[role=status]").text
    window.get(f"{server.url}{course.path}/message?{chosen}")
    window.find_element("css selector", "input[value=own]").click()
    press_button(window, "button[value=preview]")
    press_button(window, "button[value=send]")
    look("own")
    for page in ("messages", "templates", "templates?template=unseen"):
        window.get(f"{server.url}{course.path}/{page}")
        look(page)


def test_the_most_urgent_get_a_message_in_a_few_steps_without_a_script(server, ana, window, course, moodle):
    """Open the course, those at high risk whom nobody has contacted, three of them, message, preview, send."""
    show(window, 1280, dark=False)
    window.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    log_in(window, "ana")
    window.get(server.url + course.path)
    press_button(window, ".urgent a.button")
    boxes = window.find_elements("css selector", "input[name=student]")[:3]
    wanted = [int(box.get_attribute("value")) for box in boxes]
    for box in boxes:
        box.click()
    press_button(window, f"button[formaction='{course.path}/write']")
    press_button(window, "button[value=preview]")
    press_button(window, "button[value=send]")
    assert "3 messages have been sent." in window.find_element("css selector", "[role=status]").text
    assert sorted(moodle.texts()) == sorted(wanted)
    assert sorted(row[0] for row in done(server, "studentid")) == sorted(wanted)


def test_what_was_done_is_undone_from_the_notice(server, ana, window, course):
    show(window, 1280, dark=False)
    log_in(window, "ana")
    window.get(f"{server.url}{course.path}?sort=name")
    for box in window.find_elements("css selector", "input[name=student]")[:2]:
        box.click()
    press_button(window, "button[name=action][value=resolved]")
    assert "sort=name" in window.current_url
    assert len(done(server, "id")) == 2
    press_button(window, "[role=status] button[value=undo]")
    assert done(server, "id") == []
    assert "Undone." in window.find_element("css selector", "[role=status]").text
