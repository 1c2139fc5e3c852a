"""Separate groups and preferences of Moodle: who sees which students, and who is told through what."""

from __future__ import annotations

import csv
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from fixtures.small_site import SmallSite
from fixtures.trained_sites import NOW, TRAINED, new_workspace, rows, site_url, trained_folder
from moodlemlbackend.analytics import lifecycle
from moodlemlbackend.analytics.db.insights import open_insights
from moodlemlbackend.analytics.db.schema import NOTIFICATIONS, PREDICTIONS
from moodlemlbackend.analytics.insights import actions, listing
from moodlemlbackend.analytics.insights.capabilities import Capabilities
from moodlemlbackend.analytics.notifications.channels import allowed
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.analytics.site.groups import enrolments_in_own_groups, separate_courses
from moodlemlbackend.analytics.site.message_preferences import wanted_processors
from moodlemlbackend.analytics.site.people import named_users
from moodlemlbackend.analytics.site.schema import TABLES
from moodlemlbackend.cli import main
from moodlemlbackend.errors import SiteError

_ = (site_url, trained_folder)  # fixtures

IN_A, IN_B, IN_BOTH, IN_NONE, EDITING = 80_001, 80_002, 80_003, 80_004, 80_005
READERS = {IN_A: "A", IN_B: "B", IN_BOTH: "AB", IN_NONE: "", EDITING: ""}
A, B = 90_001, 90_002
GROUPING = 5
ENABLED = "message_provider_moodle_insights_enabled"
ONLINE = "message_provider_moodle_insights_loggedin"
OFFLINE = "message_provider_moodle_insights_loggedoff"


def copy_rows(database: sqlite3.Connection, table: str, where: str, **changes: object) -> None:
    """Add a row like one that there is, with some values of its own."""
    found = database.execute(f"SELECT * FROM {table} WHERE {where} LIMIT 1")
    row = dict(zip([column[0] for column in found.description], found.fetchone(), strict=True))
    [(last,)] = database.execute(f"SELECT MAX(id) FROM {table}").fetchall()
    row |= {"id": last + 1, **changes}
    database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()])


def role(database: sqlite3.Connection, archetype: str) -> int:
    return int(database.execute("SELECT id FROM mdl_role WHERE archetype = ?", (archetype,)).fetchone()[0])


@dataclass
class Divided:
    """A site one of whose courses has five readers and its students in two groups; what each group's enrolments are."""

    path: Path
    url: str
    context: int
    of_group: dict[str, set[int]]

    def change(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            for statement in statements:
                database.execute(statement)

    def visible(self, groups: str) -> set[int]:
        return set().union(*(self.of_group[group] for group in groups))


@pytest.fixture
def divided(site_url, trained_folder, tmp_path):
    path = tmp_path / "divided.sqlite"
    shutil.copy(site_url.removeprefix("sqlite:///"), path)
    shutil.copytree(trained_folder, tmp_path / "first")
    with new_workspace(tmp_path / "first") as workspace, open_site(site_url) as opened:
        lifecycle.predict(workspace, opened, TRAINED)
        predicted = rows(workspace, PREDICTIONS)
    contexts = [row["contextid"] for row in predicted]
    context = max(contexts, key=contexts.count)
    samples = sorted(row["sampleid"] for row in predicted if row["contextid"] == context)
    assert len(samples) >= 2
    of_group = {"A": set(samples[::2]), "B": set(samples[1::2])}
    with closing(sqlite3.connect(path)) as database, database:
        [(course,)] = database.execute("SELECT instanceid FROM mdl_context WHERE id = ?", (context,)).fetchall()
        for user, groups in READERS.items():
            copy_rows(database, "mdl_user", "deleted = 0 AND suspended = 0 AND username <> 'guest'",
                      id=user, username=f"reader{user}", email=f"r{user}@example.org")  # fmt: skip
            kind = role(database, "editingteacher" if user == EDITING else "teacher")
            copy_rows(database, "mdl_role_assignments", "1 = 1", roleid=kind, contextid=context, userid=user)
            [(method,)] = database.execute("SELECT MIN(id) FROM mdl_enrol WHERE courseid = ?", (course,)).fetchall()
            copy_rows(
                database, "mdl_user_enrolments", "status = 0", enrolid=method, userid=user, timestart=0, timeend=0
            )
            for group in groups:
                copy_rows(database, "mdl_groups_members", "1 = 1", groupid={"A": A, "B": B}[group], userid=user)
        for name, group in (("A", A), ("B", B)):
            copy_rows(database, "mdl_groups", "1 = 1", id=group, courseid=course, name=name)
            for enrolment in of_group[name]:
                [(user,)] = database.execute("SELECT userid FROM mdl_user_enrolments WHERE id = ?", (enrolment,))
                copy_rows(database, "mdl_groups_members", "1 = 1", groupid=group, userid=user)
        database.execute("UPDATE mdl_enrol SET status = 0 WHERE courseid = ?", (course,))
        database.execute("UPDATE mdl_course SET groupmode = 1 WHERE id = ?", (course,))
    return Divided(path, f"sqlite:///{path}", context, of_group)


@pytest.fixture
def predict(divided, trained_folder, tmp_path):
    """Return a function that has the divided site predicted; the workspace is closed afterwards."""
    shutil.copytree(trained_folder, tmp_path / "work")
    with new_workspace(tmp_path / "work", webhook_url="http://127.0.0.1:9/") as workspace:

        def run():
            with open_site(divided.url) as opened:
                lifecycle.predict(workspace, opened, TRAINED)
            return workspace

        yield run


def seen(divided, workspace, user):
    """The samples that a user sees in the course, by each way to the same list."""
    with open_site(divided.url) as opened:
        reader = Capabilities(opened, NOW)
        insights = listing.listed(workspace, opened, userid=user, reader=reader, contextids=[divided.context])
        [model] = {one.model.id: one.model for one in listing.listed(workspace, opened)}.values()
        section = listing.section(workspace, opened, model, divided.context, userid=user, reader=reader)
        limit = reader.group_limit(user, [divided.context])
    assert [one.id for one in section] == [one.id for one in insights]
    with workspace.store.read() as connection:
        waiting = open_insights(connection, user, [divided.context], actions.HIDING, limit)
    assert sum(one.number for one in waiting) == len(insights)
    return {one.sampleid for one in insights}


def test_readers_see_and_are_told_of_the_students_of_their_own_groups(divided, predict, monkeypatch):
    workspace = predict()
    assert {user: seen(divided, workspace, user) for user in READERS} == {
        IN_A: divided.visible("A"), IN_B: divided.visible("B"), IN_BOTH: divided.visible("AB"), IN_NONE: set(),
        EDITING: divided.visible("AB"),
    }  # fmt: skip
    written = {row["useridto"]: row for row in rows(workspace, NOTIFICATIONS, NOTIFICATIONS.c.useridto.in_(READERS))}
    assert set(written) == {IN_A, IN_B, IN_BOTH, EDITING}
    with open_site(divided.url) as opened:
        titles = {one.sampleid: one.title for one in listing.listed(workspace, opened, contextids=[divided.context])}
    for user in written:
        lines = written[user]["fullmessage"].count("\n- ")
        expected = divided.visible("AB" if user == EDITING else READERS[user])
        assert lines == len(expected)
        assert all(titles[sample] in written[user]["fullmessage"] for sample in expected)

    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(workspace.folder))
    monkeypatch.setenv("MOODLEMLBACKEND_SITE", divided.url)
    [of_b] = [row["id"] for row in rows(workspace, PREDICTIONS) if row["sampleid"] == min(divided.of_group["B"])]
    for arguments in (("show", str(of_b)), ("act", "fixed", str(of_b))):
        refused = CliRunner().invoke(main, ["insights", *arguments, "--user", str(IN_A)])
        assert refused.exit_code == 2
        assert f"There is no prediction {of_b}" in refused.output
        assert CliRunner().invoke(main, ["insights", *arguments, "--user", str(IN_B)]).exit_code == 0


def test_a_default_grouping_leaves_its_groups_only(divided, predict):
    workspace = predict()
    divided.change(
        f"UPDATE mdl_course SET defaultgroupingid = {GROUPING} WHERE groupmode = 1",
        "CREATE TABLE IF NOT EXISTS mdl_groupings_groups (id INTEGER, groupingid INTEGER, groupid INTEGER)",
        f"INSERT INTO mdl_groupings_groups (id, groupingid, groupid) VALUES (1, {GROUPING}, {A})",
    )
    assert seen(divided, workspace, IN_BOTH) == divided.visible("A")
    assert seen(divided, workspace, IN_B) == set()
    divided.change("UPDATE mdl_course SET groupmode = 2")  # visible groups
    assert seen(divided, workspace, IN_NONE) == divided.visible("AB")


def test_moodles_switches_hold(divided, predict):
    preference = "INSERT INTO mdl_user_preferences (id, userid, name, value) VALUES"
    divided.change(
        "UPDATE mdl_course SET groupmode = 0",
        f"UPDATE mdl_user SET auth = 'nologin' WHERE id = {IN_A}",
        f"UPDATE mdl_user SET suspended = 1 WHERE id = {IN_B}",
        f"{preference} (9000001, {IN_BOTH}, '{ENABLED}', 'none')",
        "ALTER TABLE mdl_user ADD COLUMN emailstop INTEGER DEFAULT 0",
        f"UPDATE mdl_user SET emailstop = 1 WHERE id = {IN_NONE}",
    )
    written = {row["useridto"] for row in rows(predict(), NOTIFICATIONS)} & set(READERS)
    assert written == {IN_NONE, EDITING}
    with open_site(divided.url) as opened:
        assert {user: named.email for user, named in named_users(opened, READERS).items()} == {
            IN_BOTH: f"r{IN_BOTH}@example.org", IN_NONE: "", EDITING: f"r{EDITING}@example.org",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "channels"),
    [
        ({}, ("kept", "email", "webhook")),
        ({ENABLED: "none"}, ()),
        ({ENABLED: "popup"}, ("kept", "webhook")),
        ({ENABLED: "email,airnotifier"}, ("email", "webhook")),
        ({ENABLED: "email", OFFLINE: "none"}, ("email", "webhook")),
        ({OFFLINE: "none", ONLINE: "popup,email"}, ()),
        ({ONLINE: "none"}, ("kept", "email", "webhook")),
    ],
)
def test_a_choice_in_moodle_is_one_of_channels(divided, values, channels):
    divided.change(
        f"UPDATE mdl_user SET lastaccess = {NOW - 3600} WHERE id = {IN_A}",
        *(f"INSERT INTO mdl_user_preferences (id, userid, name, value) VALUES ({9_000_000 + number}, {IN_A}, "
          f"'{name}', '{value}')" for number, (name, value) in enumerate(values.items())),
    )  # fmt: skip
    with open_site(divided.url) as opened:
        assert allowed(wanted_processors(opened, [IN_A], NOW).get(IN_A)) == channels
        if ONLINE in values:  # seconds after the last click the other choice counts
            online = allowed(wanted_processors(opened, [IN_A], NOW - 3600).get(IN_A))
            assert online == allowed(set(values[ONLINE].split(",")) - {"none"})


def test_a_folder_of_tables_has_groups_or_is_refused_where_they_count(tmp_path):
    """Tables of groups are missed only where a course separates them; then nobody's students are shown."""
    small = SmallSite(tmp_path / "site.sqlite")
    course, reader, student = small.course(groupmode=1), small.user(), small.user()
    enrolment = small.enrol(course, student)
    for user in (reader, student):
        small.add("groups_members", groupid=7, userid=user)
    folder = tmp_path / "tables"
    folder.mkdir()
    small.commit()
    with closing(sqlite3.connect(small.path)) as database, database:
        for name in TABLES.keys() - {"groups", "groupings_groups"}:
            found = database.execute(f"SELECT * FROM mdl_{name}")
            with (folder / f"mdl_{name}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([[column[0] for column in found.description], *found])
    with open_site(folder) as opened:
        readers = {one: [reader] for one in separate_courses(opened).values()}
        with pytest.raises(SiteError, match="no table mdl_groups;"):
            enrolments_in_own_groups(opened, readers)
    (folder / "mdl_groups.csv").write_text(f"id,courseid\n7,{course}\n")
    with open_site(folder) as opened:
        assert enrolments_in_own_groups(opened, readers) == {reader: {enrolment}}
