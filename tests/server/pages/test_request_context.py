"""What is behind the pages: who is let in, what is out of reach, and counting in each kind of store."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from fixtures.databases import KINDS, new_database
from fixtures.pages import WWWROOT, add_like
from fixtures.paths import posix
from moodlemlbackend.analytics.db import insights, open_store, predictions
from moodlemlbackend.analytics.db.schema import MODELS, PREDICTION_ACTIONS
from moodlemlbackend.analytics.insights import actions, listing
from moodlemlbackend.analytics.insights.actions import HIDING
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site import notifications, teachers
from moodlemlbackend.server.pages.site.forms import whole
from moodlemlbackend.server.pages.site.request_context import RequestContexts
from moodlemlbackend.settings.analytics import AnalyticsSettings
from moodlemlbackend.settings.server import ServerSettings

pytestmark = posix


@pytest.fixture
def settings(prepared, tmp_path):
    shutil.copytree(prepared.folder / "work", tmp_path / "work")
    shutil.copy(prepared.folder / "site.sqlite", tmp_path)
    return AnalyticsSettings(
        site=f"sqlite:///{tmp_path / 'site.sqlite'}", directory=str(tmp_path / "work"), wwwroot=WWWROOT
    )


def ask(settings, user, make=lambda ctx: ctx.person.name, people=("ana",), **server):
    async def once():
        request_contexts = RequestContexts(ServerSettings(**server), settings, lambda name: name in people)
        try:
            return await request_contexts.ask(user, make)
        finally:
            await request_contexts.close()

    return asyncio.run(once())


def change(site, *statements):
    with closing(sqlite3.connect(site.removeprefix("sqlite:///"))) as database, database:
        for statement in statements:
            database.execute(statement)


def refused(code, *arguments, **more):
    with pytest.raises(RequestError) as caught:
        ask(*arguments, **more)
    assert caught.value.code == code
    assert str(caught.value).endswith(".")
    assert "/" not in str(caught.value).replace("moodle/analytics", "")
    return str(caught.value)


def test_with_namespaces_users_are_sites_and_people_are_people(settings):
    assert ask(settings, "manager")
    assert ask(settings, "ana", namespaces=True).startswith("Ana")
    refused(403, settings, "manager", namespaces=True)


def test_guests_and_those_who_are_deleted_or_not_confirmed_stay_out(settings):
    refused(403, settings, "guest")
    refused(403, settings, "gone")
    for column, value in (("deleted", 1), ("confirmed", 0), ("suspended", 1)):
        with closing(sqlite3.connect(settings.site.removeprefix("sqlite:///"))) as site, site:
            site.execute(f"UPDATE mdl_user SET {column} = ? WHERE username = 'bert'", (value,))
        refused(403, settings, "bert")
        with closing(sqlite3.connect(settings.site.removeprefix("sqlite:///"))) as site, site:
            site.execute(f"UPDATE mdl_user SET {column} = ? WHERE username = 'bert'", (1 - value,))
    assert ask(settings, "bert").startswith("Bert")


@pytest.mark.parametrize("page", [teachers.index, notifications.index], ids=["insights", "notifications"])
def test_who_may_not_log_in_to_moodle_sees_no_page(settings, page):
    assert ask(settings, "ana", page)
    change(settings.site, "UPDATE mdl_user SET auth = 'nologin' WHERE username = 'ana'")
    refused(403, settings, "ana", page)


def test_separate_groups_hold_on_the_page_of_an_insight_and_of_what_was_dealt_with(settings, prepared):
    """Bert has dealt with two insights when the course's groups become separate, and he is in one of them only."""

    def deal(ctx):
        chosen = listing.listed(ctx.workspace, ctx.site, modelid=prepared.dropout, contextids=[prepared.other])[:2]
        actions.perform(ctx.workspace, "fixed", [one.id for one in chosen])
        return chosen

    def dealt_with(ctx):
        return {one.id for one in teachers.dealt_with(ctx, prepared.other).values["insights"]}

    mine, others = ask(settings, "bert", deal)
    assert ask(settings, "bert", dealt_with) == {mine.id, others.id}
    assert ask(settings, "bert", lambda ctx: teachers.insight(ctx, others.id))
    course = f"(SELECT instanceid FROM mdl_context WHERE id = {prepared.other})"
    with closing(sqlite3.connect(settings.site.removeprefix("sqlite:///"))) as site, site:
        group = add_like(site, "mdl_groups", name="A")
    change(
        settings.site,
        f"UPDATE mdl_course SET groupmode = 1, defaultgroupingid = 0 WHERE id = {course}",
        "DELETE FROM mdl_groups_members",
        f"UPDATE mdl_groups SET courseid = {course} WHERE id = {group}",
        "INSERT INTO mdl_groups_members (id, groupid, userid, timeadded, component, itemid) "
        f"SELECT id, {group}, id, 0, '', 0 FROM mdl_user "
        f"WHERE username = 'bert' OR id IN (SELECT userid FROM mdl_user_enrolments WHERE id = {mine.sampleid})",
    )
    assert ask(settings, "bert", dealt_with) == {mine.id}
    assert ask(settings, "bert", lambda ctx: teachers.insight(ctx, mine.id))
    refused(404, settings, "bert", lambda ctx: teachers.insight(ctx, others.id))


def test_a_site_or_a_store_out_of_reach_is_one_sentence(settings, tmp_path):
    assert "can't reach the Moodle site" in refused(503, replace(settings, site="sqlite:////nowhere/site.db"), "ana")
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"this is no database" * 100)
    refused(503, replace(settings, store=f"sqlite:///{damaged}"), "ana")
    refused(503, replace(settings, site=f"sqlite:///{damaged}"), "ana")


def test_too_many_at_a_time_are_refused(settings, monkeypatch):
    monkeypatch.setattr(limits, "PAGES_WAITING", 1)
    go_on = threading.Event()

    async def two():
        request_contexts = RequestContexts(ServerSettings(), settings, lambda name: True)
        first = asyncio.ensure_future(request_contexts.ask("ana", lambda ctx: go_on.wait(30)))
        await asyncio.sleep(0)
        with pytest.raises(RequestError) as caught:
            await request_contexts.ask("ana", lambda ctx: None)
        go_on.set()
        assert await first
        await request_contexts.close()
        return caught.value

    assert (asyncio.run(two()).code, go_on.is_set()) == (503, True)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.0", "1e3", "١", "1" * 19, "0x1", " 1", "1 "])
def test_an_id_is_a_number(text):
    with pytest.raises(RequestError):
        whole(text)


@pytest.mark.parametrize("kind", KINDS)
def test_what_waits_is_counted_the_same_in_each_kind_of_store(kind, tmp_path):
    """Model 1 has predicted samples 1 to 3 in two ranges; user 7 has dealt with sample 1; model 2 is disabled."""
    with new_database(kind, tmp_path) as url, closing(open_store(url)) as store:
        with store.write() as connection:
            model = {
                "trained": 1,
                "target": r"\x",
                "indicators": "[]",
                "version": 1,
                "timemodified": 1,
                "usermodified": 0,
            }
            for key, enabled in ((1, 1), (2, 0)):
                connection.execute(MODELS.insert().values(id=key, enabled=enabled, **model))
            row = {"prediction": 1, "predictionscore": 0.9, "calculations": "{}", "contextid": 5}
            for key, modelid, sample, part in (
                (1, 1, 1, 0), (2, 1, 1, 1), (3, 1, 2, 0), (4, 1, 3, 0), (5, 1, 3, 1), (6, 2, 1, 0),
            ):  # fmt: skip
                values = {
                    "id": key,
                    "modelid": modelid,
                    "sampleid": sample,
                    "rangeindex": part,
                    "timecreated": 10 + key,
                }
                predictions.insert(connection, {**row, **values}, key / 10, None, [])
            for action, time in (("viewcourse", 1), ("fixed", 2), ("notuseful", 3)):
                acted = {"predictionid": 2, "userid": 7, "actionname": action, "timecreated": time}
                connection.execute(PREDICTION_ACTIONS.insert().values(acted))
        with store.read() as connection:
            assert insights.open_insights(connection, 7, [5, 6], HIDING) == [insights.OpenInsights(1, 5, 2, 0.5)]
            assert insights.open_insights(connection, 8, [5], HIDING) == [insights.OpenInsights(1, 5, 3, 0.5)]
            assert insights.open_insights(connection, 7, [], HIDING) == []
            of_seven = insights.Chosen(1, [([r"\x"], [5])], 7, HIDING)
            assert insights.dealt_with(connection, of_seven, limit=9, offset=0) == [2]
            assert insights.dealt_with(connection, of_seven, limit=9, offset=1) == []
            assert insights.number_dealt_with(connection, of_seven) == 1
            assert insights.number_dealt_with(connection, replace(of_seven, userid=8)) == 0
            done = predictions.done_by(connection, 7, [2, 5], HIDING)
            assert {key: [*judged.items()] for key, judged in done.items()} == {2: [("notuseful", 3), ("fixed", 2)]}
            limit = insights.GroupLimit({5}, {1, 2}, set())
            assert insights.open_insights(connection, 8, [5], HIDING, limit) == [insights.OpenInsights(1, 5, 2, 0.3)]
            assert insights.open_insights(connection, 7, [5], HIDING, limit) == [insights.OpenInsights(1, 5, 1, 0.3)]
            assert insights.ranked(connection, of_seven, limit=9, offset=0) == [5, 3]
            assert insights.models_in(connection, 5) == [1]
            assert insights.context_ids(connection, 2) == {5}
            found = predictions.find(connection, 6)
            assert found is not None
            assert (found.modelid, found.contextid) == (2, 5)
            assert predictions.find(connection, 99) is None
            assert predictions.by_context(connection, 1) == {5: (5, 15)}
            assert predictions.by_model(connection) == {1: 5, 2: 1}
