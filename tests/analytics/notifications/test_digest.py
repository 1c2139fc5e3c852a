"""E-mails that gather what is new for a person: what they say, when they go, and that nothing is lost or sent twice."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from fixtures.small_site import STUDENT, TEACHER, SmallSite
from fixtures.trained_sites import (
    DAY,
    TRAINED,
    at,
    new_workspace,
    rows,
    site,
    site_url,
    trained,
    trained_folder,
)

pytest.importorskip("aiosmtpd", reason="needs aiosmtpd")

from fixtures.mail_server import Inbox, smtp_server
from moodlemlbackend.analytics import lifecycle
from moodlemlbackend.analytics.db import choices, follow_ups
from moodlemlbackend.analytics.db.schema import DELIVERIES, INSIGHTS, NOTIFICATIONS, PREDICTION_ACTIONS
from moodlemlbackend.analytics.lifecycle.sending import send_due
from moodlemlbackend.analytics.notifications import attempts, channels, mailing, outbox, switch
from moodlemlbackend.analytics.notifications.attempts import ATTEMPTS, FIRST_DELAY_SECONDS
from moodlemlbackend.analytics.notifications.digest import MOST_NAMED
from moodlemlbackend.analytics.notifications.message import Message, Recipient

_ = (site, site_url, trained, trained_folder)  # fixtures

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600
PAGES = "https://insights.example"


def moment(text: str, zone=BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


NIGHT = moment("2026-11-25 04:00")
MORNING = moment("2026-11-25 07:42")


def ana(**changes):
    return replace(Recipient(7, "Ana", "Ana García", "ana@example.org", "en", "Europe/Berlin"), **changes)


def prediction(number, student, text="at risk of dropping out, 80 %", probability=0.8):
    user = {"id": student, "name": f"Student {student}", "email": "s@b.org"}
    return {"id": number, "sample": 100 + student, "label": "at risk", "text": text, "probability": probability,
            "user": user, "course": {"id": 10, "name": "Algebra"}}  # fmt: skip


def of_course(*predictions, to=None, model=1, context=3, course="Algebra", courseid=10, **changes):
    """What a model writes to a teacher about a course."""
    url = f"{PAGES}/insights?context={context}"
    data = {"model": {"id": model, "name": "M", "target": "\\t"}, "predictions": [*predictions],
            "context": {"id": context, "name": course, "course": courseid, "url": url}}  # fmt: skip
    values = {"subject": f"Students at risk in {course}", "text": f"{course}: as written", "html": "<p>as written</p>",
              "url": f"{PAGES}/insights?model={model}&context={context}"}  # fmt: skip
    return Message(
        to=to or ana(), modelid=model, contextid=context, courseid=courseid, data=data, **{**values, **changes}
    )


def of_oneself(number, to, *lines, subject="You have activities due soon"):
    """What a model writes to a student about themselves."""
    own = {"id": number, "sample": to.id, "label": "due soon", "text": "due soon", "probability": None,
           "user": {"id": to.id, "name": to.full_name, "email": to.email}, "course": None}  # fmt: skip
    data = {"model": {"id": 5, "name": "M", "target": "\\u"}, "context": {"id": 50, "name": "", "course": 0, "url": ""},
            "body": f"{subject}.", "lines": [*lines], "predictions": [own],
            "links": [{"label": "Calendar", "url": "https://moodle.example/calendar"}]}  # fmt: skip
    return Message(
        to=to, modelid=5, contextid=50, courseid=0, subject=subject, text="as written to a student", html="<p>own</p>",
        url="https://moodle.example/calendar", predictionid=number, data=data,
    )  # fmt: skip


def put(workspace, *messages):
    switch.follow(workspace)
    with workspace.store.write() as connection:
        assert outbox.put(connection, workspace, messages) == len(messages)


def choose(workspace, **chosen):
    with workspace.store.write() as connection:
        for name, value in chosen.items():
            choices.write(connection, 7, name, value)


def sent(workspace, now, site=None):
    """How many e-mails go out at a time."""
    return outbox.deliver(at(workspace, now), site).sent.get("email", 0)


def text_of(inbox, number=-1):
    return inbox.messages[number][2].get_body(("plain",)).get_content().replace("\r\n", "\n")


def html_of(inbox, number=-1):
    return inbox.messages[number][2].get_body(("html",)).get_content()


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
def post_office(tmp_path, inbox):
    """Makes workspaces that send to the inbox, at night."""
    with smtp_server(inbox) as port:

        def make(**settings):
            server = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "pages_url": PAGES}
            return new_workspace(tmp_path / "w", now=NIGHT, **{**server, **settings})

        yield make


# ---- what it says ----


def test_all_that_is_new_is_one_email_by_course_with_each_student_named_once(post_office, inbox):
    not_seen = of_course(prediction(3, 21, "has not visited the course recently", None), model=2)
    not_seen.data["context"]["url"] = f"{PAGES}/alerts"  # the page of the model that learns has the alerts, too
    with post_office() as workspace:
        put(
            workspace,
            of_course(prediction(1, 21, probability=0.7), prediction(2, 22, probability=0.9)),
            not_seen,
            of_course(prediction(4, 23, "at risk <b>"), context=4, course="Botany & <Co>", courseid=11),
        )
        assert sent(workspace, NIGHT) == 0
        assert sent(workspace, MORNING - HOUR) == 0
        assert sent(workspace, MORNING) == 1
        assert sent(workspace, MORNING + DAY) == 0
    [(_, to, found, _)] = inbox.messages
    assert to == ["ana@example.org"]
    assert found["Subject"] == "New insights: Algebra, Botany & <Co>"
    assert text_of(inbox) == (
        "Hello Ana,\n\nHere is everything new for you, in one e-mail.\n\n"
        "Algebra\n-------\n\n"
        "- Student 22: at risk of dropping out, 80 %\n"
        "- Student 21: at risk of dropping out, 80 % · has not visited the course recently\n\n"
        f"See all insights: {PAGES}/insights?context=3\n\n"
        "Botany & <Co>\n-------------\n\n"
        "- Student 23: at risk <b>\n\n"
        f"See all insights: {PAGES}/insights?model=1&context=4\n\n"
        f"Choose how often you get these e-mails: {PAGES}/notifications\n"
    )
    html = html_of(inbox)
    assert '<html lang="en" dir="ltr">' in html
    assert "<h2>Botany &amp; &lt;Co&gt;</h2>" in html
    assert "<strong>Student 23</strong>: at risk &lt;b&gt;</li>" in html
    assert f'<a href="{PAGES}/insights?model=1&amp;context=4">See all insights</a>' in html
    assert "<b>" not in html


def test_a_single_message_is_sent_as_it_was_written(post_office, inbox):
    with post_office() as workspace:
        put(workspace, of_course(prediction(1, 21)))
        assert sent(workspace, MORNING) == 1
    assert inbox.messages[0][2]["Subject"] == "Students at risk in Algebra"
    assert text_of(inbox) == "Algebra: as written\n"


def test_an_alert_that_is_repeated_is_named_once_as_it_was_last(post_office, inbox):
    """Also a student who is enrolled twice; in a week three nights flag the same ones."""
    with post_office(digest="weekly") as workspace:
        for night in range(3):
            later = at(workspace, NIGHT + night * DAY)
            number = 10 * night
            twice = {**prediction(number + 1, 21), "sample": 999, "text": f"night {night}"}
            put(later, of_course(prediction(number, 21, f"first {night}"), twice, prediction(number + 2, 22)))
        assert [sent(workspace, NIGHT + day * DAY + 5 * HOUR) for day in range(8)] == [0, 0, 0, 0, 0, 1, 0, 0]
    assert text_of(inbox).count("Student 21") == text_of(inbox).count("Student 22") == 1
    assert "- Student 21: night 2\n" in text_of(inbox)


def test_a_course_names_twenty_and_counts_the_others(post_office, inbox):
    with post_office() as workspace:
        put(
            workspace,
            of_course(*(prediction(n, n) for n in range(1, 26))),
            *(of_course(*(prediction(50 * c + n, 50 * c + n) for n in range(20)), context=c, course=f"C{c:02}")
              for c in range(10, 20)),
        )  # fmt: skip
        assert sent(workspace, MORNING) == 1
    [(_, _, found, _)] = inbox.messages
    assert found["Subject"] == "New insights: Algebra, C10, C11 and 8 more"
    text = text_of(inbox)
    assert text.count("- Student") == 10 * MOST_NAMED
    assert "- and 5 more\n" in text
    assert text.count("- and 20 more\n") == 1
    assert all(f"insights?model=1&context={c}\n" in text for c in (3, *range(10, 20)))


def test_it_is_in_the_language_of_its_reader(post_office, inbox):
    reader = ana(language="de", first_name="Jörg")
    with post_office() as workspace:
        put(workspace, of_course(prediction(1, 21), to=reader), of_course(prediction(2, 22), to=reader, model=2))
        put(workspace, *(of_course(prediction(c, 22), to=reader, context=c, course=f"K{c}") for c in range(5, 9)))
        assert sent(workspace, MORNING) == 1
    text = text_of(inbox)
    assert inbox.messages[0][2]["Subject"] == "Neue Hinweise: Algebra, K5, K6 und 2 weitere"
    assert text.startswith("Guten Tag Jörg,\n\n")
    assert "Alle Hinweise" in text
    assert "See all" not in text
    assert "Here is" not in text
    assert '<html lang="de" dir="ltr">' in html_of(inbox)


def test_without_pages_it_leads_to_the_course_in_moodle(post_office, inbox):
    course = "https://moodle.example/course/view.php?id=10"
    with post_office(pages_url="") as workspace:
        messages = [of_course(prediction(1, 21), model=model, url=course) for model in (1, 2)]
        for message in messages:
            message.data["context"]["url"] = course
        put(workspace, *messages)
        assert sent(workspace, MORNING) == 1
    assert text_of(inbox).endswith(f"Open the course in Moodle: {course}\n")


def test_students_get_their_own_and_nothing_of_others(post_office, inbox):
    luz = Recipient(21, "Luz", "Luz Pérez", "luz@example.org", "en", "Europe/Berlin")
    with post_office(digest="weekly") as workspace:
        put(workspace, of_course(prediction(1, 21)), of_course(prediction(3, 22), model=2), of_oneself(2, luz, "Essay"))
        put(at(workspace, NIGHT + DAY), of_oneself(4, luz, "Essay, Monday: https://moodle.example/1", "Quiz, Tuesday"))
        put(at(workspace, NIGHT + DAY), of_oneself(5, replace(luz, id=22, email="o@example.org"), "Exam"))
        put(at(workspace, NIGHT + DAY), of_course(prediction(6, 30), to=luz, context=9, course="Tutoring"))
        assert sent(workspace, MORNING + 5 * DAY) == 3
    by_reader = {recipients[0]: number for number, (_, recipients, _, _) in enumerate(inbox.messages)}
    own = text_of(inbox, by_reader["luz@example.org"])
    assert own == (
        "Hello Luz,\n\nHere is everything new for you, in one e-mail.\n\n"
        "You have activities due soon\n----------------------------\n\n"
        "- Essay, Monday: https://moodle.example/1\n- Quiz, Tuesday\n\n"
        "Calendar: https://moodle.example/calendar\n\n"
        "Tutoring\n--------\n\n- Student 30: at risk of dropping out, 80 %\n\n"
        f"See all insights: {PAGES}/insights?model=1&context=9\n\n"
        f"Choose how often you get these e-mails: {PAGES}/notifications\n"
    )
    assert text_of(inbox, by_reader["o@example.org"]) == "as written to a student\n"


# ---- when it goes ----


def test_a_person_chooses_otherwise_also_while_messages_wait(post_office, inbox):
    with post_office() as workspace:
        put(workspace, of_course(prediction(1, 21)), of_course(prediction(2, 22), model=2))
        choose(workspace, digest="weekly")
        assert sent(workspace, MORNING) == 0
        choose(workspace, digest="off")
        assert sent(workspace, MORNING) == 2
        put(at(workspace, MORNING + DAY), of_course(prediction(3, 21)), of_course(prediction(4, 21), model=2))
        choose(workspace, quiet_hours="07:00-12:00")
        assert sent(workspace, MORNING + DAY) == 0
        choose(workspace, digest="daily")
        assert sent(workspace, MORNING + DAY + 5 * HOUR) == 0  # in the evening no more, but with the next digest
        assert sent(workspace, MORNING + 2 * DAY) == 0
        assert sent(workspace, MORNING + 2 * DAY + 5 * HOUR) == 1
    assert len(inbox.messages) == 3


def test_one_by_one_waits_for_the_end_of_quiet_hours(post_office, inbox):
    """Of the site's, in the reader's time zone, over midnight."""
    abroad = ana(id=8, zone="America/New_York", email="ny@example.org")
    with post_office(digest="off") as workspace:
        put(workspace, of_course(prediction(1, 21)), of_course(prediction(1, 21), to=abroad))
        assert sent(workspace, NIGHT) == 0  # 22:00 in New York
        assert sent(workspace, MORNING) == 1
        assert sent(workspace, MORNING + 5 * HOUR) == 0
        assert sent(workspace, MORNING + 6 * HOUR) == 1
    assert [recipients for _, recipients, _, _ in inbox.messages] == [["ana@example.org"], ["ny@example.org"]]


def test_the_zone_in_moodle_counts_where_there_is_a_site(post_office, tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    user = small.user(timezone="America/New_York")
    with post_office() as workspace, small.open() as opened:
        put(workspace, of_course(prediction(1, 21), to=ana(id=user)))
        assert sent(workspace, MORNING, opened) == 0
        assert sent(workspace, MORNING + 6 * HOUR, opened) == 1


def test_what_exceeds_the_maximum_of_a_week_joins_the_next_digest(post_office, inbox):
    with post_office(digest="off", mails_a_week=3) as workspace:
        put(workspace, of_course(prediction(1, 21)), of_course(prediction(2, 22), model=2))
        assert sent(workspace, MORNING) == 2
        later = at(workspace, NIGHT + DAY)
        put(later, *(of_course(prediction(10 + model, 21), model=model) for model in (1, 2, 3)))
        assert sent(workspace, MORNING + DAY) == 1  # three would be too many
        for day in (2, 3):
            put(at(workspace, NIGHT + day * DAY), of_course(prediction(10 * day + 10, 21, f"day {day}")))
        assert [sent(workspace, MORNING + day * DAY) for day in range(2, 7)] == [0] * 5
        assert outbox.deliver(at(workspace, MORNING + 6 * DAY), None).waiting == 2
        assert sent(workspace, MORNING + 7 * DAY) == 1
        assert outbox.deliver(at(workspace, MORNING + 8 * DAY), None).waiting == 0
    assert "day 3" in text_of(inbox)
    assert "day 2" not in text_of(inbox)
    assert text_of(inbox).count("Student 21") == 1


def test_the_digest_keeps_its_hour_over_a_change_of_the_clock(post_office):
    with post_office() as workspace:
        for day in ("2026-10-24", "2026-10-25", "2026-10-26"):
            put(at(workspace, moment(f"{day} 04:00")), of_course(prediction(1, 21)))
            assert sent(workspace, moment(f"{day} 06:59")) == 0
            assert sent(workspace, moment(f"{day} 07:00")) == 1


def test_what_waits_and_when_it_goes(post_office, tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    user, other = (small.user(timezone="Europe/Berlin") for _ in range(2))
    with post_office() as workspace, small.open() as opened:
        put(workspace, *(of_course(prediction(1, 21), to=ana(id=user), model=model) for model in (1, 2)))
        [mine] = mailing.upcoming(workspace, opened, userid=user)
        assert (mine.time, mine.mails, mine.messages) == (moment("2026-11-25 07:00"), 1, 2)
        assert mine.notificationids == {row["id"] for row in rows(workspace, NOTIFICATIONS)}
        assert mailing.upcoming(workspace, opened, userid=other) == []
        both = mailing.upcoming(workspace, opened, {user: 1, other: 1})
        assert [(one.userid, one.mails, one.messages) for one in both] == [(user, 1, 3), (other, 1, 1)]
        put(workspace, of_course(prediction(1, 21), to=ana(id=user)))
        late = at(workspace, moment("2026-11-25 23:00"))
        assert mailing.upcoming(late, opened, userid=user)[0].time == moment("2026-11-26 07:00")


# ---- once ----


class Killed(BaseException):
    """The end of a process."""


def die(*_, **__):
    raise Killed


def test_a_run_that_is_killed_after_sending_sends_the_same_again(post_office, inbox, monkeypatch):
    """Not what was written since, not what a changed choice would make of it; and later nothing any more."""
    with post_office() as workspace:
        put(workspace, of_course(prediction(1, 21)), of_course(prediction(2, 22), model=2))
        with monkeypatch.context() as patched:
            patched.setattr(attempts.notifications, "sent", die)
            with pytest.raises(Killed):
                sent(workspace, MORNING)
        assert len(inbox.messages) == 1
        choose(workspace, digest="off", quiet_hours="none")
        put(at(workspace, MORNING + 60), of_course(prediction(3, 23)))
        assert sent(workspace, MORNING + HOUR) == 2
        assert sent(workspace, MORNING + DAY) == 0
    [first, again, other] = [found for _, _, found, _ in inbox.messages]
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert first["Date"] == again["Date"]
    assert text_of(inbox, 0) == text_of(inbox, 1)
    assert "Student 21" not in text_of(inbox, 2)


def test_a_run_that_is_killed_before_sending_loses_nothing(post_office, inbox, monkeypatch):
    with post_office() as workspace:
        put(workspace, of_course(prediction(1, 21)), of_course(prediction(2, 22), model=2))
        with monkeypatch.context() as patched:
            patched.setattr(mailing, "attempt", die)
            with pytest.raises(Killed):
                sent(workspace, MORNING)
        assert inbox.messages == []
        assert sent(workspace, MORNING + HOUR) == 1
        assert sent(workspace, MORNING + DAY) == 0
    assert "Student 21" in text_of(inbox)
    assert "Student 22" in text_of(inbox)


def test_a_digest_that_is_refused_for_now_is_tried_again_and_given_up_at_last(post_office, inbox):
    inbox.temporarily = "ana@example.org"
    with post_office(quiet_hours="none") as workspace:
        put(workspace, of_course(prediction(1, 21)), of_course(prediction(2, 22), model=2))
        first = outbox.deliver(at(workspace, MORNING), None)
        assert (first.sent, first.waiting, first.given_up) == ({}, 2, 0)
        put(at(workspace, MORNING + 60), of_course(prediction(3, 23)))
        assert sent(workspace, MORNING + FIRST_DELAY_SECONDS - 1) == 0
        when, given_up = MORNING, 0
        for tried in range(ATTEMPTS):
            when += FIRST_DELAY_SECONDS * 2**tried
            given_up += outbox.deliver(at(workspace, when), None).given_up
        assert given_up == 1
        inbox.temporarily = ""
        assert sent(workspace, when + DAY) == 1
        assert [row["attempts"] for row in rows(workspace, DELIVERIES)] == [ATTEMPTS, ATTEMPTS, 1]
    assert "as written" in text_of(inbox)  # what came later is not lost with it


# ---- who no longer wants it, or should no longer get it ----


def test_what_was_switched_off_while_it_waited_is_not_sent(post_office, inbox, tmp_path):
    small = SmallSite(tmp_path / "site.sqlite")
    wanting, stopped, choosy, silent = (small.user(timezone="Europe/Berlin") for _ in range(4))
    with post_office() as workspace:
        for user in (wanting, stopped, choosy, silent):
            put(workspace, *(of_course(prediction(1, 21), to=ana(id=user), model=model) for model in (1, 2)))
        small.set(f"UPDATE mdl_user SET emailstop = 1 WHERE id = {stopped}")
        small.add(
            "user_preferences", userid=silent, name="message_provider_moodle_insights_enabled", value="popup"
        )  # fmt: skip
        with workspace.store.write() as connection:
            channels.choose(connection, choosy, {"email": False})
        with small.open() as opened:
            delivered = outbox.deliver(at(workspace, MORNING), opened)
        assert (delivered.sent, delivered.unwanted, delivered.waiting) == ({"email": 1}, 6, 0)
        assert len(inbox.messages) == 1
        reasons = Counter(row["error"] for row in rows(workspace, DELIVERIES))
    assert reasons == {
        None: 2,
        f"User {stopped} has turned off e-mail in Moodle.": 2,
        f"User {choosy} has switched off email.": 2,
        f"User {silent} has switched off insights by email in Moodle.": 2,
    }


def test_what_no_longer_concerns_its_reader_is_left_out(post_office, inbox, tmp_path):
    """Dealt with on the pages, replaced by a newer prediction, about a course that they teach no more, or settled.

    Students who were contacted before they were flagged, or whose snooze is over, are named.
    """
    small = SmallSite(tmp_path / "site.sqlite")
    listing = {"capability": "moodle/analytics:listinsights", "permission": 1}
    small.add("role_capabilities", contextid=1, roleid=TEACHER, **listing)
    courses = [small.course(fullname=name) for name in ("Algebra", "Botany")]
    teacher = small.user(timezone="Europe/Berlin", username="ana")
    for course in courses:
        small.enrol(course, teacher, TEACHER)
    enrolments = [small.enrol(courses[0], small.user(), STUDENT) for _ in range(9)]
    here, there = (small.context(50, course) for course in courses)
    to = ana(id=teacher)
    with post_office(digest="weekly") as workspace:
        with workspace.store.write() as connection:
            for number, sample in enumerate(enrolments, 1):
                if number != 3:
                    connection.execute(INSIGHTS.insert().values(
                        predictionid=number, modelid=1, contextid=here, sampleid=sample, rangeindex=0, prediction=1,
                        predictionscore=1,
                    ))  # fmt: skip
            done = {"predictionid": 2, "userid": teacher, "actionname": "fixed", "timecreated": NIGHT}
            connection.execute(PREDICTION_ACTIONS.insert().values(done))
            for student, kind, when, until in (
                (5, follow_ups.CONTACTED, NIGHT + DAY, None), (6, follow_ups.CONTACTED, NIGHT - DAY, None),
                (7, follow_ups.SNOOZED, NIGHT + DAY, NIGHT + 9 * DAY), (8, follow_ups.SNOOZED, NIGHT + 1, NIGHT + DAY),
                (9, follow_ups.NOTE, NIGHT + DAY, None),
            ):  # fmt: skip
                follow_ups.insert(
                    connection, courseid=10, studentid=student, userid=1, kind=kind, batch="b", now=when, until=until
                )
        put(workspace, of_course(*(prediction(n, n) for n in (1, 2, 3, 5, 6, 7, 8, 9)), to=to, context=here))
        put(workspace, of_course(prediction(2, 2), to=to, context=here, model=2))
        put(workspace, of_course(prediction(4, 4), to=to, context=there, course="Botany"))
        small.set(f"DELETE FROM mdl_role_assignments WHERE userid = {teacher} AND contextid = {there}")
        with small.open() as opened:
            delivered = send_due(at(workspace, MORNING + 5 * DAY), opened)
        assert (delivered.sent, delivered.unwanted, delivered.waiting) == ({"email": 1}, 2, 0)
        assert [row["error"] for row in rows(workspace, DELIVERIES)] == [None, mailing.PAST, mailing.PAST]
    assert re.findall(r"Student (\d)", text_of(inbox)) == ["1", "6", "8", "9"]
    assert inbox.messages[0][2]["Subject"] == "New insights: Algebra"


# ---- from predictions ----


def test_each_teacher_of_a_site_gets_one_email_with_all_of_the_night(trained_folder, site, tmp_path):
    """All enabled models predict, and what they wrote about their courses arrives with the same sentences."""
    shutil.copytree(trained_folder, tmp_path / "w")
    inbox = Inbox()
    with smtp_server(inbox) as port:
        server = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "pages_url": PAGES}
        with new_workspace(tmp_path / "w", **server) as workspace:
            lifecycle.predict(workspace, site, TRAINED)
            written = rows(workspace, NOTIFICATIONS)
            assert len(written) > len({row["useridto"] for row in written}) > 1
            assert send_due(workspace, site).sent == {}
            delivered = send_due(at(workspace, workspace.clock() + DAY), site)
    readers = {row["useridto"] for row in written}
    assert (delivered.sent, delivered.waiting, delivered.unwanted) == ({"email": len(readers)}, 0, 0)
    of_several = [found for _, _, found, _ in inbox.messages if "new for you, in one" in str(found)]
    text = of_several[0].get_body(("plain",)).get_content()
    lines = {line for row in written for line in row["fullmessage"].splitlines() if line.startswith("- ")}
    shown = [line for line in text.splitlines() if line.startswith("- ")]
    assert shown
    assert set(shown) <= lines
