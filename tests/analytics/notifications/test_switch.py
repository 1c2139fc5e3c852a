"""Notifications are off until an administrator switches them on; then people hear of what is new, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from click.testing import CliRunner

from fixtures.small_site import SmallSite
from fixtures.trained_sites import (
    DAY,
    NO_RECENT_ACCESSES,
    NO_TEACHING,
    NOW,
    TRAINED,
    at,
    model_of,
    new_workspace,
    rows,
    site,
    site_url,
    trained,
    trained_folder,
)
from moodlemlbackend.analytics import lifecycle
from moodlemlbackend.analytics.db.schema import DELIVERIES, INSIGHTS, METADATA, NOTIFICATIONS, PREDICTIONS
from moodlemlbackend.analytics.lifecycle import records, tasks
from moodlemlbackend.analytics.lifecycle.preview import PlannedMessage, Preview, newest, rehearse_model
from moodlemlbackend.analytics.notifications import channels, outbox, switch
from moodlemlbackend.analytics.notifications.message import Message, Recipient
from moodlemlbackend.analytics.site.moodle_models import PREDICTING_TASK, predicting_targets
from moodlemlbackend.cli import main
from moodlemlbackend.cli.output import moment
from moodlemlbackend.doctor.finding import Level
from moodlemlbackend.doctor.services import check_services
from moodlemlbackend.settings.analytics import load_analytics_settings

_ = (site, site_url, trained, trained_folder)  # fixtures

ACTIVITIES_DUE = r"\core_user\analytics\target\upcoming_activities_due"


def switched(workspace, on, now=NOW, **settings):
    """The same workspace with notifications on or off, at a time."""
    return replace(at(workspace, now), settings=replace(workspace.settings, notifications=on, **settings))


def state(workspace):
    with workspace.store.read() as connection:
        return switch.read(connection, workspace.settings)


def put(workspace):
    message = Message(
        to=Recipient(7, "Ana", "Ana", "ana@example.org"), modelid=1, contextid=3, courseid=10, subject="s", text="t",
        html="h", url="",
    )  # fmt: skip
    with workspace.store.write() as connection:
        assert outbox.put(connection, workspace, [message]) == 1


def test_they_are_off_unless_switched_on(monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_SETTINGS", "/dev/null")
    assert not load_analytics_settings().notifications
    monkeypatch.setenv("MOODLEMLBACKEND_NOTIFICATIONS", "on")
    assert load_analytics_settings().notifications


def test_only_what_is_predicted_after_the_first_run_with_it_on_is_written(trained, site):
    """The model of dropping out predicts while they are off; those without training do after that."""
    off, on = switched(trained, False), switched(trained, True, NOW + 60)
    result = lifecycle.predict(off, site, TRAINED)
    assert result.figures["predictions"] == len(rows(trained, INSIGHTS)) > 0
    assert "notifications" not in result.figures
    assert rows(trained, NOTIFICATIONS) == []
    summary = tasks.predict_models(on, site)
    assert state(on).since == NOW + 60
    written = rows(trained, NOTIFICATIONS)
    assert written
    assert TRAINED not in {row["modelid"] for row in written}
    assert {row["timecreated"] for row in written} == {NOW + 60}
    assert sum(one.figures.get("notifications", 0) for one in summary.results) == len(written)
    again = tasks.predict_models(switched(trained, False, NOW + 120), site)
    assert again.delivered.switch.startswith("Notifications are off: ")
    assert tasks.predict_models(switched(trained, True, NOW + 180), site).delivered.switch == (
        "Notifications have been on since 22 November 2026, 17:02 UTC: "
        "people are notified about predictions made since then."
    )
    assert len(rows(trained, NOTIFICATIONS)) == len(written)


def test_what_waits_is_withdrawn_when_they_are_switched(tmp_path):
    """Also of a store that sent messages before there was a switch."""
    server = {"smtp_host": "127.0.0.1", "smtp_port": 1, "smtp_security": "none", "digest": "off"}
    with new_workspace(tmp_path / "w", **server) as workspace:
        put(workspace)  # by an earlier version: nothing is noted
        assert state(workspace).since is None
        upgraded = outbox.deliver(workspace, None)
        assert (upgraded.sent, upgraded.waiting, upgraded.unwanted, upgraded.problems) == ({}, 0, 1, [])
        put(workspace)
        assert outbox.deliver(workspace, None).waiting == 1  # the server is away
        off = switched(workspace, False, NOW + DAY)
        left = outbox.deliver(off, None)
        assert (left.sent, left.waiting, left.unwanted, left.problems) == ({}, 0, 1, [])
        assert outbox.deliver(off, None).unwanted == 0
        on = switched(workspace, True, NOW + 2 * DAY)
        assert (outbox.deliver(on, None).unwanted, state(on).since) == (0, NOW + 2 * DAY)
        put(on)
        assert outbox.deliver(on, None).waiting == 1  # what is written now is sent as ever
        assert [row["error"] for row in rows(workspace, DELIVERIES)][:2] == [
            "It was written before notifications were switched on.", "Notifications were switched off.",
        ]  # fmt: skip


def test_a_run_says_what_it_withdraws(trained, site):
    mailing = {"smtp_host": "127.0.0.1", "smtp_port": 1, "smtp_security": "none", "digest": "off"}
    on = switched(trained, True, **mailing)
    outbox.deliver(on, None)
    put(on)
    result = lifecycle.predict(switched(trained, False, **mailing), site, TRAINED)
    assert "Because notifications were switched on or off, 1 waiting messages will not be sent." in result.info


def test_commands_say_whether_they_are_on_and_how_to_switch(trained, site_url, monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_SITE", site_url)
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(trained.folder))
    short = str(model_of(trained, NO_RECENT_ACCESSES))

    def run(*arguments):
        done = CliRunner().invoke(main, [*arguments, "--now", str(NOW)])
        assert done.exit_code == 0, done.output
        return done.output

    commands = [("models", "list"), ("models", "show", short), ("site", "check"), ("tasks", "predict")]
    off = switch.Switch(False).sentence
    assert "notifications = on" in off
    assert "MOODLEMLBACKEND_NOTIFICATIONS" in off
    for command in (*commands, ("insights", "send")):
        assert off in run(*command), command
    assert rows(trained, PREDICTIONS)
    assert rows(trained, NOTIFICATIONS) == []
    monkeypatch.setenv("MOODLEMLBACKEND_NOTIFICATIONS", "on")
    for command in commands:
        assert off not in run(*command), command
        assert "Notifications are on: " in run(*command) or "Notifications have been on since" in run(*command), command
    shown = json.loads(run("models", "show", short, "--json"))
    assert shown["notifications"] == {"on": True, "since": NOW}
    assert shown["model"]["notifies"] == "teachers"
    by_target = {one["target"]: one["notifies"] for one in json.loads(run("models", "list", "--json"))["models"]}
    assert (by_target[NO_TEACHING], by_target[ACTIVITIES_DUE]) == ("managers", "students")


# ---- dry runs ----


def everything(workspace):
    """All rows of the store, and all files beside it with their content."""
    tables = {table.name: rows(workspace, table) for table in METADATA.sorted_tables}
    store = {path for path in workspace.folder.iterdir() if path.name.startswith("store.sqlite")}
    paths = [
        path for path in sorted(workspace.folder.rglob("*")) if path.is_file() and not store & {path, *path.parents}
    ]
    return tables, [(str(path), path.stat().st_mtime_ns, path.read_bytes()) for path in paths]


def written(workspace):
    """Who was notified by which model, of which course and about how many predictions."""
    return Counter(
        (row["modelid"], row["courseid"], row["useridto"], len(json.loads(row["data"])["predictions"]))
        for row in rows(workspace, NOTIFICATIONS)
    )


def planned(preview):
    return Counter((one.modelid, one.courseid, one.userid, one.predictions) for one in preview.messages)


@pytest.mark.parametrize("killed", [False, True])
def test_a_dry_run_says_what_the_next_run_writes_and_changes_nothing(trained, site, monkeypatch, killed):
    """Also after a run that was killed between two of its steps, whose samples wait."""
    if killed:
        for step in ("merge", "keep"):
            with monkeypatch.context() as patched:
                patched.setattr(records.Records, step, explode)
                with pytest.raises(ZeroDivisionError):
                    lifecycle.predict(trained, site, TRAINED)
    before = everything(trained)
    rehearsed, preview = tasks.rehearse_models(trained, site)
    _, alone = rehearse_model(trained, site, TRAINED)
    assert everything(trained) == before
    summary = tasks.predict_models(trained, site)
    assert planned(preview) == written(trained)
    assert planned(alone) == Counter(key for key in planned(preview).elements() if key[0] == TRAINED) != Counter()
    made = [[one.figures.get(name, 0) for name in ("predictions", "samples")] for one in rehearsed.results]
    assert made == [[one.figures.get(name, 0) for name in ("predictions", "samples")] for one in summary.results]
    students = {row["useridto"] for row in rows(trained, NOTIFICATIONS) if row["predictionid"]}
    assert preview.students == len(students) > 0
    assert tasks.rehearse_models(trained, site)[1].messages == []
    assert planned(newest(trained, site)) == written(trained)
    assert newest(trained, site).people == preview.people


def explode(*_, **__):
    raise ZeroDivisionError


def test_a_dry_run_says_through_which_channels(trained, site):
    """Without those that a person has switched off."""
    mailing = switched(trained, True, smtp_host="127.0.0.1")
    _, preview = rehearse_model(mailing, site, TRAINED)
    first, other = preview.messages[0], preview.messages[-1]
    assert first.channels == ("kept", "email")
    assert (first.role, first.courseid != other.courseid) == ("teacher", True)
    with trained.store.write() as connection:
        channels.choose(connection, first.userid, {"kept": False})
        channels.choose(connection, other.userid, {"kept": False, "email": False})
    _, fewer = rehearse_model(mailing, site, TRAINED)
    assert {message.channels for message in fewer.messages if message.userid == first.userid} == {("email",)}
    assert other.userid not in {message.userid for message in fewer.messages}


def test_the_commands_print_a_table_of_recipients(trained, site_url, monkeypatch):
    monkeypatch.setenv("MOODLEMLBACKEND_SITE", site_url)
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(trained.folder))

    def run(*arguments):
        done = CliRunner().invoke(main, [*arguments, "--dry-run", "--now", str(NOW)])
        assert done.exit_code == 0, done.output
        return done.output

    found = json.loads(run("tasks", "predict", "--json"))
    people = {one["userid"] for one in found["messages"]}
    assert (found["dry_run"], found["people"]) == (True, len(people))
    counts = (
        f"{len(people)} people would get {len(found['messages'])} messages; {found['students']} of them are students."
    )
    text = run("tasks", "predict")
    assert text.splitlines()[:2] == [
        "Dry run: nothing is stored, marked as used or sent.", f"If notifications were on, {counts}",
    ]  # fmt: skip
    assert switch.Switch(False).sentence in text
    for part in ("Students at risk of dropping out (model 6)", "Channels", "teacher", "student", "Course ONGOING"):
        assert part in text, part
    monkeypatch.setenv("MOODLEMLBACKEND_NOTIFICATIONS", "on")
    assert run("tasks", "predict").splitlines()[1] == counts
    monkeypatch.setenv("MOODLEMLBACKEND_SMTP_HOST", "127.0.0.1")
    mails = json.loads(run("tasks", "predict", "--json"))["mails"]
    tomorrow = moment(NOW + DAY)[:10]
    assert {moment(mail["time"]) for mail in mails} == {f"{tomorrow} 07:00"}
    assert {mail["userid"] for mail in mails} == people
    assert sum(mail["messages"] for mail in mails) > sum(mail["mails"] for mail in mails) == len(people)
    [total] = [line for line in run("tasks", "predict").splitlines() if line.strip().startswith(f"{tomorrow} 07:00")]
    assert total.split()[2:] == [str(len(people)), str(len(people)), str(len(found["messages"]))]
    one = json.loads(run("models", "predict", str(TRAINED), "--json"))
    assert {message["modelid"] for message in one["messages"]} == {TRAINED}
    assert rows(trained, PREDICTIONS) == rows(trained, NOTIFICATIONS) == []
    refused = CliRunner().invoke(main, ["models", "predict", "1", "--dry-run"])
    assert (refused.exit_code, "is disabled" in refused.output) == (2, True)


def test_counts_are_in_plain_words():
    message = PlannedMessage(1, "M", 0, "", 7, "Ana", "student", 1, ("kept",))
    assert Preview([message]).sentence(on=True) == "1 person would get 1 message; 1 of them is a student."
    assert Preview().sentence(on=True) == "Nobody would get a message."
    many = Preview([replace(message, userid=user, name=f"P{user}") for user in range(6)])
    [group] = many.by_model()["M (model 1)"]
    assert group.people == "P0, P1, P2 and 3 more"


# ---- Moodle's own analytics ----

ENABLED = {"enabled": 1, "trained": 1, "target": NO_TEACHING}


@pytest.mark.parametrize(
    ("models", "disabled", "analytics", "targets"),
    [
        ([ENABLED], 0, "1", [NO_TEACHING]),
        ([ENABLED], None, "1", [NO_TEACHING]),
        ([ENABLED], 1, "1", []),
        ([ENABLED], 0, "0", []),
        ([{**ENABLED, "enabled": 0}, {**ENABLED, "trained": 0}], 0, "1", []),
    ],
)
def test_which_models_moodle_predicts_with(tmp_path, models, disabled, analytics, targets):
    small = SmallSite(tmp_path / "site.sqlite")
    for model in models:
        small.add("analytics_models", **model)
    if disabled is not None:
        small.add("task_scheduled", classname=PREDICTING_TASK, disabled=disabled)
    small.add("task_scheduled", classname=r"\core\task\other", disabled=1)
    small.add("config", name="enableanalytics", value=analytics)
    with small.open() as opened:
        assert predicting_targets(opened) == targets
        for on, begin in (
            (True, "So that nobody is notified twice"),
            (False, "Before you switch notifications on here"),
        ):
            warning = switch.also_by_moodle(opened, on=on)
            assert bool(warning) is bool(targets)
            assert not targets or f"(Courses at risk of not starting). {begin}, disable the task" in warning


def test_tables_that_are_not_there_say_nothing(tmp_path):
    small = SmallSite(tmp_path / "site.sqlite", without=("analytics_models", "task_scheduled"))
    with small.open() as opened:
        assert switch.also_by_moodle(opened, on=True) == ""


def test_who_would_be_notified_twice_is_warned(tmp_path, monkeypatch):
    """By the check of the site, the doctor and the task."""
    small = SmallSite(tmp_path / "site.sqlite")
    small.course()
    small.add("analytics_models", **ENABLED)
    with small.open() as opened:
        warning = switch.also_by_moodle(opened, on=True)
        with new_workspace(tmp_path / "w") as workspace:
            assert tasks.predict_models(workspace, opened).info == [warning]
            assert tasks.predict_models(switched(workspace, False), opened).info == []
    monkeypatch.setenv("MOODLEMLBACKEND_SETTINGS", "/dev/null")
    monkeypatch.setenv("MOODLEMLBACKEND_SITE", small.url)
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(tmp_path / "w"))
    [note] = [one for one in check_services() if one.topic == "Notifications by Moodle"]
    assert note.level is Level.OK
    monkeypatch.setenv("MOODLEMLBACKEND_NOTIFICATIONS", "on")
    findings = {finding.topic: finding for finding in check_services()}
    assert (findings["Notifications by Moodle"].level, findings["Notifications by Moodle"].text) == (
        Level.WARNING, warning,
    )  # fmt: skip
    assert findings["Notifications"].text.startswith("Notifications are on: ")
    assert warning in CliRunner().invoke(main, ["site", "check"]).output
