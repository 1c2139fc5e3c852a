"""The page of notifications: when a person gets e-mail, what waits for the next one, and what cannot be chosen."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from fixtures.pages import pages, post, reader, store, told
from fixtures.paths import posix

pytestmark = posix

PAGE = "/notifications"


@pytest.fixture(scope="module")
def server(prepared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("choices")
    mail = {"SMTP_HOST": "127.0.0.1", "DIGEST": "weekly", "DIGEST_WEEKDAY": "friday", "DIGEST_HOUR": "8",
            "QUIET_HOURS": "21:00-06:30", "MAILS_A_WEEK": "3"}  # fmt: skip
    with pages(prepared, folder, **{f"MOODLEMLBACKEND_{key}": value for key, value in mail.items()}) as running:
        yield running


@pytest.fixture
def teacher(server):
    store(server, "DELETE FROM analytics_choices")
    return reader(server, "ana")


def site(server, query, *values):
    with closing(sqlite3.connect(server.folder / "site.sqlite", timeout=30)) as database, database:
        return database.execute(query, values).fetchall()


def chosen(server):
    return dict(store(server, "SELECT name, value FROM analytics_choices"))


def choose(teacher, **fields):
    return post(teacher, PAGE, PAGE, action="channels", kept="yes", email="yes", **fields)


def selected(text):
    return re.findall(r'<option value="(\w*)" selected>', text)


def test_the_page_says_what_the_site_does(teacher):
    text = teacher.get(PAGE).text
    assert "as set for the site (once a week, on Friday from 08:00)" in text
    assert "as set for the site (21:00 to 06:30)" in text
    assert "You get at most 3 e-mails in 7 days." in text
    assert selected(text) == []
    assert 'type="time" name="start" value="21:00"' in text


def test_a_person_chooses_and_goes_back_to_what_the_site_does(server, teacher):
    choose(teacher, digest="daily", quiet_hours="own", start="18:00", end="8:00")
    assert chosen(server) == {"digest": "daily", "quiet_hours": "18:00-08:00"}
    text = teacher.get(PAGE).text
    assert selected(text) == ["daily", "own"]
    assert 'name="end" value="08:00"' in text
    assert selected(reader(server, "bert").get(PAGE).text) == []
    choose(teacher, digest="", quiet_hours="none", start="18:00", end="08:00")
    assert chosen(server) == {"quiet_hours": "none"}
    choose(teacher, quiet_hours="", start="18:00", end="09:00")  # the fields were changed, the choice above was not
    assert chosen(server) == {"quiet_hours": "18:00-09:00"}
    choose(teacher, quiet_hours="", start="18:00", end="09:00")
    assert chosen(server) == {}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"digest": "hourly"}, "Choose from the list how often you want e-mail."),
        ({"quiet_hours": "own"}, "Give two different times for the hours without e-mail, such as 20:00 and 07:00."),
        ({"quiet_hours": "own", "start": "20:00", "end": "20:00"}, "Give two different times"),
        ({"quiet_hours": "own", "start": "20:00-07:00", "end": "<b>"}, "Give two different times"),
    ],
)
def test_what_cannot_be_chosen_is_refused_and_nothing_is_changed(server, teacher, fields, sentence):
    assert told(choose(teacher, **fields), 400).startswith(sentence)
    assert chosen(server) == {}
    without = post(teacher, PAGE, PAGE, action="channels", kept="yes", **fields)
    assert without.status_code == 400
    assert store(server, "SELECT * FROM analytics_preferences WHERE channel = 'email' AND enabled = 0") == []


def test_what_waits_and_when_the_next_email_comes(server, teacher):
    """In the person's time zone in Moodle; a notification that is sent no longer waits."""
    [(ana,)] = site(server, "SELECT id FROM mdl_user WHERE username = 'ana'")
    site(server, "UPDATE mdl_user SET timezone = 'America/New_York' WHERE id = ?", ana)
    store(server, "UPDATE analytics_notifications SET useridto = ? WHERE id = (SELECT MAX(id) FROM "
          "analytics_notifications)", ana)  # fmt: skip
    [(mine,)] = store(server, "SELECT MAX(id) FROM analytics_notifications")
    now = int(time.time())
    store(server, "INSERT INTO analytics_deliveries (notificationid, channel, address, attempts, timenext) "
          "VALUES (?, 'email', 'a@b.org', 0, ?)", mine, now)  # fmt: skip
    text = teacher.get(PAGE).text
    [(day, clock)] = re.findall(r"Your next e-mail: (\d+ \w+ 20\d\d), (\d\d:\d\d), or up to an hour later", text)
    assert clock == "08:00"
    friday = datetime.strptime(day, "%d %b %Y").replace(tzinfo=ZoneInfo("America/New_York"), hour=8)
    assert (friday.weekday(), 0 <= friday.timestamp() - now <= 7 * 86_400 + 3600) == (4, True)
    assert "with one notification." in text
    assert "Times are in your time zone, America/New_York." in text
    assert text.count("in your next e-mail") == 1
    store(server, "UPDATE analytics_deliveries SET timesent = ?", now)
    assert "Your next e-mail" not in teacher.get(PAGE).text
