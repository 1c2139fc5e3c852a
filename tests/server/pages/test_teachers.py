"""The pages of teachers: who may see what, what can be said of an insight, and forms that come from elsewhere."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import pytest

from fixtures.pages import HOSTILE, PASSWORD, WWWROOT, add_like, confirm, ids, post, reader, token, told, undo
from fixtures.paths import posix
from fixtures.servers import httpx, sentence

pytestmark = posix

TITLE = "Students at risk of dropping out"


@pytest.fixture(scope="module")
def server(pages_server):
    return pages_server


@pytest.fixture(scope="module")
def teacher(server, prepared):
    return reader(server, "ana")


def rows(path, query, *values):
    with closing(sqlite3.connect(path)) as database, database:
        found = database.execute(query, values).fetchall()
        database.commit()
    return found


def change(path, table, **values):
    with closing(sqlite3.connect(path)) as database, database:
        add_like(database, table, **values)


def predictions(server, modelid, contextid):
    query = "SELECT id FROM analytics_predictions WHERE modelid = ? AND contextid = ? ORDER BY id"
    return [row[0] for row in rows(server.store, query, modelid, contextid)]


def place(prepared, contextid):
    return f"/insights?context={contextid}&model={prepared.dropout}"


# ---- who may see what ----


def test_everyone_sees_what_the_roles_allow(server, prepared):
    """The matrix: people × pages."""
    of_course = predictions(server, prepared.dropout, prepared.course)[0]
    of_other = predictions(server, prepared.dropout, prepared.other)[0]
    addresses = [
        "/insights", f"/insights?context={prepared.course}", f"/insights?context={prepared.other}",
        f"/insights/{of_course}", f"/insights/{of_other}", f"/insights?context={prepared.other}&show=done",
        "/analytics", f"/analytics/models/{prepared.dropout}", f"/analytics/models/{prepared.dropout}/log", "/metrics",
    ]  # fmt: skip
    expected = {
        "admin": [200, 200, 200, 200, 200, 200, 200, 200, 200, 200],
        "manager": [200, 200, 200, 200, 200, 200, 200, 200, 200, 200],
        "ana": [200, 200, 404, 200, 404, 404, 403, 403, 403, 403],
        "bert": [200, 404, 200, 404, 200, 200, 403, 403, 403, 403],
        "sam": [200, 404, 404, 404, 404, 404, 403, 403, 403, 403],
        "gone": [403, 403, 403, 403, 403, 403, 403, 403, 403, 403],
        "moodle": [403, 403, 403, 403, 403, 403, 403, 403, 403, 200],
    }
    for user, codes in expected.items():
        client = reader(server, user)
        assert {one: client.get(one).status_code for one in addresses} == dict(zip(addresses, codes, strict=True)), user
    assert httpx.get(f"{server.url}/insights").headers["location"] == "/login?next=%2Finsights"


def test_people_may_not_call_the_server_as_moodle_does(server, teacher, prepared):
    assert teacher.get("/").headers["location"] == "/insights"
    for path in ("training", "prediction", "evaluation", "import", "deletemodel"):
        assert teacher.post(f"/{path}", files={"uniqueid": (None, "x")}).status_code == 403
    assert teacher.get("/export?uniqueid=x&dirhash=" + "0" * 32).status_code == 403
    assert reader(server, "manager").get("/").status_code == 200


def test_a_user_whom_the_site_does_not_know_sees_one_sentence_and_the_models(server):
    client = reader(server, "moodle")
    assert "No active Moodle user has this user name" in told(client.get("/insights"), 403)
    assert "<h1>Models</h1>" in client.get("/").text


def test_a_list_has_the_courses_of_the_teacher_alone(server, teacher, prepared):
    own, other = (str(prepared.course_of(context)) for context in (prepared.course, prepared.other))
    listed = re.findall(r"/courses/(\d+)", teacher.get("/insights").text)
    assert own in listed
    assert other not in listed
    text = reader(server, "manager").get("/insights").text
    assert {own, other} <= set(re.findall(r"/courses/(\d+)", text))
    assert "/insights?context=" in text, "where no model is about students"


def test_who_has_no_insights_is_told_how_they_come(server, prepared):
    rows(server.site, "UPDATE mdl_user SET suspended = 0 WHERE username = 'gone'")
    text = reader(server, "gone").get("/insights").text
    rows(server.site, "UPDATE mdl_user SET suspended = 1 WHERE username = 'gone'")
    assert "There are no insights for you yet." in text
    assert "moodle/analytics:listinsights" in text


def test_a_prohibition_counts_at_once(server, prepared, teacher):
    [(role,)] = rows(server.site, "SELECT id FROM mdl_role WHERE archetype = 'editingteacher'")
    assert teacher.get(place(prepared, prepared.course)).status_code == 200
    listing = {"contextid": prepared.course, "roleid": role, "capability": "moodle/analytics:listinsights"}
    change(server.site, "mdl_role_capabilities", permission=-1000, **listing)
    refused = teacher.get(place(prepared, prepared.course))
    rows(server.site, "DELETE FROM mdl_role_capabilities WHERE permission = -1000")
    assert "no insights for you" in told(refused, 404)
    assert teacher.get(place(prepared, prepared.course)).status_code == 200


def test_a_name_is_that_of_one_user_to_the_letter(server, prepared):
    """Another user of that name in other letters, or of another host, opens nothing."""
    change(server.site, "mdl_user", auth="new", username="BERT", suspended=0)
    assert reader(server, "bert").get("/insights").status_code == 200
    change(server.site, "mdl_user", auth="new", username="bert", mnethostid=2)
    told(reader(server, "bert").get("/insights"), 403)
    rows(server.site, "DELETE FROM mdl_user WHERE auth = 'new'")


def test_a_form_of_a_session_that_has_ended_does_nothing(server, prepared):
    """Nor does one of a former session, or of a program's login."""
    page = place(prepared, prepared.course)
    with httpx.Client(base_url=server.url) as client:

        def log_in():
            sent = client.post("/login", data={"user": "ana", "password": PASSWORD, "next": page})
            assert (sent.status_code, sent.headers["location"]) == (303, page)

        log_in()
        shown = client.get(page).text
        assert "Log out" in shown
        form = {"token": token(client, page), "one": f"fixed-{ids(shown)[0]}"}
        assert client.post("/logout", data=form).headers["location"] == "/login?done=out"
        lost = client.post("/insights/act", data=form, headers={"Referer": f"{server.url}{page}"})
        assert lost.headers["location"] == f"/login?{urlencode({'next': page, 'done': 'lost'})}"
        form_shown = client.get(lost.headers["location"]).text
        assert "You were logged out, so your changes were not saved." in form_shown
        assert f'name="next" value="{page.replace("&", "&amp;")}"' in form_shown
        for referer in ("https://evil.example/insights", "//", ""):
            lost = client.post("/insights/act", data=form, headers={"Referer": referer})
            assert lost.headers["location"] == "/login?next=%2F&done=lost"
        for path, back in (("/insights/act", "%2Finsights"), ("/notifications", "%2Fnotifications")):
            lost = client.post(path, data=form, headers={"Referer": f"{server.url}{path}"})
            assert lost.headers["location"] == f"/login?next={back}&done=lost"
        log_in()
        assert "has expired" in told(client.post("/insights/act", data=form), 403)
        form["token"] = token(reader(server, "ana"), page)
        assert "has expired" in told(client.post("/insights/act", data=form), 403)
        assert ids(client.get(page).text) == ids(shown)
        del form["token"]
        assert post(client, "/insights/act", page, **form).status_code == 303
        assert post(client, "/insights/act", page, one=f"takeback-{ids(shown)[0]}").status_code == 303
    assert (server.base / ".logins" / "key").stat().st_mode & 0o077 == 0


def test_hostile_ids_are_refused(teacher, prepared):
    for path in (
        "/insights?context=1%20OR%201", "/insights?context=-1", "/insights?context=" + "9" * 40, "/insights/0",
        "/insights/1;DROP", "/insights?context=1&page=0", "/insights?context=1&done=%3Cb%3E",
        f"/insights?context={prepared.course}&model=x", "/analytics/models/..%2F..%2Fetc", "/analytics/models/1/evil",
    ):  # fmt: skip
        assert teacher.get(path).status_code in (400, 403, 404), path


# ---- what a page of a course has ----


def test_students_are_sorted_by_risk_with_reasons_and_links(teacher, prepared, server):
    text = teacher.get(place(prepared, prepared.course)).text
    chances = [int(one) for one in re.findall(r"Probability (\d+)%", text)]
    assert chances == sorted(chances, reverse=True)
    assert len(chances) == len(ids(text)) >= 2
    assert sorted(ids(text)) == predictions(server, prepared.dropout, prepared.course)
    for part in (TITLE, "at risk of dropping out", "raises the risk", "Not useful", "Acknowledge", "Not applicable"):
        assert part in text
    links = [one.replace("&amp;", "&") for one in re.findall(r'href="([^"]+)"', text)]
    assert any(one.startswith(f"{WWWROOT}/course/view.php?id=") for one in links)
    assert any(one.startswith(f"{WWWROOT}/report/outline/user.php?") for one in links)
    assert sum(one.startswith("mailto:") for one in links) == len(chances)
    assert text.count('<ul class="plain-reasons">') == len(chances)
    facts = re.findall(r"<li>([^<]+) <span class=\"effect (for|against)\">", text)
    assert len(chances) <= len(facts) <= 3 * len(chances)
    assert {"for"} <= {effect for _, effect in facts}
    assert any(re.fullmatch(r"(Opened|Did not open) .*; most classmates .*\d.*", fact) for fact, _ in facts)


def test_an_insight_gives_plain_reasons_and_the_exact_ones_behind_a_click(teacher, prepared, server):
    one = predictions(server, prepared.dropout, prepared.course)[0]
    text = teacher.get(f"/insights/{one}").text
    plain, details = text.index('<ul class="plain-reasons">'), text.index("Exactly how much each indicator counts")
    assert text.index("<h2>Why</h2>") < plain < details < text.index('<ul class="reasons">') < text.index("</details>")
    shown = re.findall(r"<li>([^<]+) <span class=\"effect", text)
    in_list = teacher.get(place(prepared, prepared.course)).text
    assert 1 <= len(shown) <= 3
    assert all(fact in in_list for fact in shown)


def test_a_probability_has_its_range_and_what_that_means(teacher, prepared, server):
    words = r"(\d+)% <span class=\"note\">\((\d+)% to (\d+)% in 8 of 10 courses\)</span>"
    one = predictions(server, prepared.dropout, prepared.course)[0]
    for path in (place(prepared, prepared.course), f"/insights/{one}"):
        text = teacher.get(path).text
        found = re.findall(words, text)
        assert found
        assert all(int(low) <= int(chance) <= int(high) for chance, low, high in found)
        assert text.count('<rect class="between"') == len(found)
        assert "is within the range in brackets" in text


def test_hostile_names_are_text(teacher, prepared):
    for path in ("/insights", place(prepared, prepared.course)):
        text = teacher.get(path).text
        assert "&lt;script&gt;" in text
        assert "<script" not in text
        assert "<img" not in text
        assert HOSTILE not in text


def test_one_insight_in_full(server, teacher, prepared):
    one = predictions(server, prepared.dropout, prepared.course)[0]
    text = teacher.get(f"/insights/{one}").text
    assert "All indicators" in text
    assert text.count('class="effect ') >= 4
    assert "<script" not in text


def test_pages_allow_forms_to_this_server_and_nothing_else(teacher, prepared):
    found = teacher.get(place(prepared, prepared.course))
    policy = found.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert policy.endswith("form-action 'self'")
    assert found.headers["referrer-policy"] == "same-origin"
    assert found.headers["cache-control"] == "no-store"
    assert teacher.get("/docs").headers["content-security-policy"].endswith("form-action 'none'")


def test_many_students_are_shown_page_by_page(server, teacher, prepared):
    """A hundred and twenty more, of whom every one is on one page."""
    enrolments = [row[0] for row in rows(server.site, "SELECT id FROM mdl_user_enrolments ORDER BY id LIMIT 160")]
    page = place(prepared, prepared.course)
    before = ids(teacher.get(page).text)
    with closing(sqlite3.connect(server.store)) as store, store:
        [(last,)] = store.execute("SELECT MAX(id) FROM analytics_predictions").fetchall()
        about = {"modelid": prepared.dropout, "contextid": prepared.course, "predictionscore": 0.7}
        there = "SELECT sampleid FROM analytics_insights WHERE modelid = ? AND contextid = ?"
        found = {sample for (sample,) in store.execute(there, (prepared.dropout, prepared.course))}
        insight = dict.fromkeys(("rangeindex", "prediction"), 1) | {"probability": 0.7} | about
        for sample in [sample for sample in enrolments if sample not in found][:120]:
            key = add_like(store, "analytics_predictions", sampleid=sample, **about)
            listed = {"predictionid": key, "sampleid": sample, **insight}
            columns, marks = ", ".join(listed), ", ".join("?" * len(listed))
            store.execute(f"INSERT INTO analytics_insights ({columns}) VALUES ({marks})", [*listed.values()])
    numbers = [ids(teacher.get(f"{page}&page={number}").text) for number in (1, 2, 3, 4)]
    assert [len(one) for one in numbers[:2]] == [50, 50]
    assert len(numbers[2]) >= 20
    assert not numbers[3]
    every = [one for part in numbers for one in part]
    assert len(every) == len(set(every)) >= 120
    assert set(before) <= set(every)
    assert "Page 2 of 3" in teacher.get(f"{page}&page=2").text
    rows(server.store, "DELETE FROM analytics_predictions WHERE id > ?", last)
    rows(server.store, "DELETE FROM analytics_insights WHERE predictionid > ?", last)


def test_notifications_are_kept_marked_and_chosen(server, teacher, prepared):
    [(ana,)] = rows(server.site, "SELECT id FROM mdl_user WHERE username = 'ana'")
    assert "You have no notifications." in teacher.get("/notifications").text
    for url in ("javascript:alert(1)", "https://moodle.example/x"):
        change(server.store, "analytics_notifications", useridto=ana, subject=HOSTILE, contexturl=url, timeread=None)
    text = teacher.get("/notifications").text
    assert text.count("<strong>new</strong>") == 2
    assert "javascript:" not in text
    assert "<img" not in text
    assert 'href="https://moodle.example/x"' in text
    mine = re.findall(r'name="id" value="(\d+)"', text)
    [(others,)] = rows(server.store, "SELECT MIN(id) FROM analytics_notifications WHERE useridto <> ?", ana)
    answer = post(teacher, "/notifications", "/notifications", action="read", id=[*mine, others])
    assert "<strong>new</strong>" not in teacher.get(answer.headers["location"]).text
    assert rows(server.store, "SELECT timeread FROM analytics_notifications WHERE id = ?", others) == [(None,)]
    answer = post(teacher, "/notifications", "/notifications", action="channels")
    assert "Your choice is saved." in teacher.get(answer.headers["location"]).text
    assert rows(server.store, "SELECT userid, channel, enabled FROM analytics_preferences") == [(ana, "kept", 0)]
    told(teacher.post("/notifications", data={"action": "read", "id": mine}), 403)


# ---- what teachers say ----


def test_the_number_is_that_of_the_insights_that_are_shown(server, teacher, prepared):
    page = place(prepared, prepared.course)
    before = ids(teacher.get(page).text)
    [(sample,)] = rows(server.store, "SELECT sampleid FROM analytics_insights WHERE predictionid = ?", before[0])
    unenrolled = "UPDATE mdl_user_enrolments SET enrolid = -enrolid WHERE id = ?"
    rows(server.site, unenrolled, sample)
    text = teacher.get(page).text
    rows(server.site, unenrolled, sample)
    assert ids(text) == before[1:]
    assert f"{len(before) - 1} insights" in text
    assert f"{len(before)} insights" in teacher.get(page).text


def test_what_is_dealt_with_is_hidden_from_one_and_can_be_taken_back(server, teacher, prepared):
    page = place(prepared, prepared.course)
    before = ids(teacher.get(page).text)
    answer = post(teacher, "/insights/act", page, one=f"fixed-{before[0]}", model=str(prepared.dropout))
    assert answer.status_code == 303
    text = teacher.get(answer.headers["location"]).text
    assert "Saved. The insight is no longer in your list" in text
    assert ids(text) == before[1:]
    assert ids(reader(server, "manager").get(page).text) == before
    assert before[0] not in ids(teacher.get(page).text)
    done = f"/insights?context={prepared.course}&show=done"
    assert re.search(r"Acknowledge, \d{1,2} \w+ 20\d\d, \d\d:\d\d", teacher.get(done).text)
    answer = post(teacher, "/insights/act", done, one=f"takeback-{before[0]}")
    assert "in your list again" in teacher.get(answer.headers["location"]).text
    assert ids(teacher.get(page).text) == before


def test_everything_that_was_said_of_an_insight_is_named_until_it_is_taken_back(teacher, prepared):
    page, done = place(prepared, prepared.course), f"/insights?context={prepared.course}&show=done"
    chosen = ids(teacher.get(page).text)[0]
    for action in ("notapplicable", "fixed"):  # the second from a page that was open before
        post(teacher, "/insights/act", page, one=f"{action}-{chosen}")
    for text in (teacher.get(done).text, teacher.get(f"/insights/{chosen}").text):
        assert re.search(r"Acknowledge, \d.*Not applicable, \d", text, re.DOTALL)
    post(teacher, "/insights/act", done, one=f"takeback-{chosen}")
    assert f"takeback-{chosen}" not in teacher.get(done).text


def test_the_notice_undoes_this_action_on_these_insights(server, teacher, prepared):
    page, manager = place(prepared, prepared.course), reader(server, "manager")
    before = ids(teacher.get(page).text)
    chosen = before[:2]
    post(manager, "/insights/act", page, action="fixed", id=chosen)
    post(teacher, "/insights/act", page, one=f"notapplicable-{chosen[0]}")
    answer = post(teacher, "/insights/act", page, action="fixed", id=chosen, model=str(prepared.dropout))
    text = teacher.get(answer.headers["location"]).text
    assert "Saved. 2 insights are no longer in your list" in text
    assert text.count(">Undo</button>") == 1
    told(teacher.post("/insights/act", data={"action": "takeback", "of": "fixed", "id": chosen}), 403)
    answer = undo(teacher, text)
    back = teacher.get(answer.headers["location"]).text
    assert "Undone. The insight is in your list again." in back
    assert ">Undo<" not in back
    assert answer.headers["location"].startswith(page)
    said = "SELECT predictionid, actionname FROM analytics_prediction_actions WHERE predictionid IN (?, ?) ORDER BY id"
    assert [*map(tuple, rows(server.store, said, *chosen))] == [
        (chosen[0], "fixed"), (chosen[1], "fixed"), (chosen[0], "notapplicable"),
    ], "what others, and the person before, have said stays"  # fmt: skip
    undone = "".join(f"&id={one}" for one in chosen)
    assert ">Undo<" not in teacher.get(f"{page}&done=fixed{undone}").text, "what is undone is not offered again"
    assert teacher.get(f"{page}&done=fixed&id={'9' * 40}").status_code in (400, 404)
    post(teacher, "/insights/act", page, one=f"takeback-{chosen[0]}")
    post(manager, "/insights/act", page, action="takeback", id=chosen)
    assert ids(teacher.get(page).text) == before


def test_the_notice_counts_only_insights_that_are_in_the_list(server, teacher, prepared):
    page = place(prepared, prepared.course)
    chosen = ids(teacher.get(page).text)[:2]
    undone = f"{page}&done=takeback" + "".join(f"&id={one}" for one in chosen)
    assert "Undone. 2 insights are in your list again." in teacher.get(undone).text
    newer = "UPDATE analytics_insights SET predictionid = ? WHERE predictionid = ?"
    for number, words in ((0, "Undone. The insight is in your list again."), (1, "Undone.")):
        rows(server.store, newer, 10**9 + number, chosen[number])
        assert f"<p>{words}</p>" in teacher.get(undone).text
    for number in (0, 1):
        rows(server.store, newer, chosen[number], 10**9 + number)


def test_several_at_once_and_not_useful_is_asked_once_learned_and_unlearned(server, teacher, prepared):
    page = place(prepared, prepared.course)
    chosen = ids(teacher.get(page).text)[:2]
    marks = "SELECT predictionid, timereverted IS NULL FROM analytics_feedback ORDER BY predictionid"
    asked = post(teacher, "/insights/act", page, action="incorrectlyflagged", id=chosen, model=str(prepared.dropout))
    assert "<h1>Mark 2 insights as not useful?</h1>" in asked.text
    assert "This changes the model for everyone: the next training learns from your answer" in asked.text
    assert f'href="{page.replace("&", "&amp;")}">Cancel</a>' in asked.text
    assert rows(server.store, marks) == []
    answer = confirm(teacher, asked)
    assert rows(server.store, marks) == [(one, 1) for one in sorted(chosen)]
    users = rows(server.store, "SELECT DISTINCT userid FROM analytics_feedback")
    assert users == rows(server.site, "SELECT id FROM mdl_user WHERE username = ?", "ana")
    log = reader(server, "manager").get(f"/analytics/models/{prepared.dropout}/log").text
    assert all(f'data-name="Prediction">{one}<' in log for one in chosen)
    assert undo(teacher, teacher.get(answer.headers["location"]).text).status_code == 303
    assert rows(server.store, marks) == [(one, 0) for one in sorted(chosen)]
    done = f"/insights?context={prepared.course}&show=done"
    for one in chosen:
        assert post(teacher, "/insights/act", page, one=f"incorrectlyflagged-{one}").status_code == 303, "asked once"
        post(teacher, "/insights/act", done, one=f"takeback-{one}")
    assert rows(server.store, f"{marks}, id") == [(one, 0) for one in sorted([*chosen, *chosen])]


def test_not_useful_promises_nothing_of_a_rule(server, prepared):
    """Of a rule-based model it is not asked about, and nothing is said of training."""
    manager = reader(server, "manager")
    of_rule = "SELECT p.id FROM analytics_predictions p, analytics_models m WHERE m.id = p.modelid AND m.target LIKE ?"
    [(one,), *_] = rows(server.store, of_rule, "%no_recent_accesses")
    text = manager.get(f"/insights/{one}").text
    assert "The insight is wrong. The model does not change." in text
    assert "training" not in text
    answer = post(manager, "/insights/act", f"/insights/{one}", one=f"incorrectlyflagged-{one}", back="one")
    text = manager.get(answer.headers["location"]).text
    assert "Saved. The insight is no longer in your list" in text
    assert "in your list again" in manager.get(undo(manager, text).headers["location"]).text
    of_dropout = predictions(server, prepared.dropout, prepared.course)[0]
    assert (
        "The insight is wrong. The next training makes predictions like this one less likely, for everyone."
        in manager.get(f"/insights/{of_dropout}").text
    )


def test_details_have_the_same_buttons(teacher, prepared):
    one = ids(teacher.get(place(prepared, prepared.course)).text)[0]
    answer = post(teacher, "/insights/act", f"/insights/{one}", one=f"notapplicable-{one}", back="one")
    text = teacher.get(answer.headers["location"]).text
    assert ">Undo<" in text
    answer = post(teacher, "/insights/act", f"/insights/{one}", one=f"takeback-{one}", back="one")
    assert "Not applicable" in teacher.get(answer.headers["location"]).text


def test_all_boxes_can_be_checked_without_a_script(teacher, prepared):
    text = teacher.get(f"{place(prepared, prepared.course)}&select=all").text
    assert text.count(" checked") == len(ids(text))


def test_a_message_goes_to_those_who_were_chosen(server, teacher, prepared):
    page = place(prepared, prepared.course)
    chosen = ids(teacher.get(page).text)[:2]
    text = post(teacher, "/insights/act", page, action="studentmessage", id=chosen).text
    [link] = re.findall(r'href="(mailto:[^"]+)"', text)
    found = urlsplit(link.replace("&amp;", "&"))
    addresses = parse_qs(found.query)["bcc"][0].split(",")
    assert len(addresses) == 2
    assert all("@example.org" in unquote(one) for one in addresses)
    query = "SELECT COUNT(*) FROM analytics_prediction_actions WHERE actionname = 'studentmessage'"
    assert rows(server.store, query) == [(2,)]


def test_forms_that_make_no_sense_change_nothing(server, teacher, prepared):
    page = place(prepared, prepared.course)
    mine, others = (
        predictions(server, prepared.dropout, prepared.course),
        predictions(server, prepared.dropout, prepared.other),
    )
    counted = "SELECT COUNT(*) FROM analytics_prediction_actions"
    before = rows(server.store, counted)
    sent = [
        ({"action": "fixed"}, 400), ({"action": "fixed", "id": "0"}, 400), ({"action": "fixed", "id": "1 OR 1"}, 400),
        ({"action": "fixed", "id": [*mine[:1], *others[:1]]}, 404), ({"one": f"fixed-{others[0]}"}, 404),
        ({"action": "fixed", "id": "999999"}, 404), ({"one": "fixed-"}, 400), ({"one": f"evil-{mine[0]}"}, 400),
        ({"action": "fixed", "id": [str(one) for one in range(1, 90)]}, 400),
        ({"action": "fixed", "id": "٣"}, 400), ({"x" * 300_000: ""}, 413),
    ]  # fmt: skip
    for fields, code in sent:
        told(post(teacher, "/insights/act", page, **fields), code)
    assert rows(server.store, counted) == before


# ---- forms that come from elsewhere ----


def test_a_form_needs_a_token_of_its_user(server, teacher, prepared):
    page = place(prepared, prepared.course)
    one = predictions(server, prepared.dropout, prepared.course)[0]
    good, foreign = token(teacher, page), token(reader(server, "manager"), page)
    content, _, digest = good.rpartition(".")
    for bad in (
        "", foreign, good[:-1], good + "0", f"{content}0.{digest}", f".{digest}", "x", f"1.{digest}", "١.é",
    ):  # fmt: skip
        answer = teacher.post("/insights/act", data={"token": bad, "one": f"fixed-{one}"})
        assert "has expired" in told(answer, 403), bad
    assert teacher.post("/insights/act", data={"token": good, "one": f"fixed-{one}"}).status_code == 303
    post(teacher, "/insights/act", page, one=f"takeback-{one}")


def test_a_form_from_another_site_is_refused_even_with_a_token(server, teacher, prepared):
    page = place(prepared, prepared.course)
    one = predictions(server, prepared.dropout, prepared.course)[0]
    fields = {"token": token(teacher, page), "one": f"fixed-{one}"}
    host = server.url.removeprefix("http://")
    for headers in (
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": f"http://{host}.evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": f"http://{host}"},
    ):  # fmt: skip
        assert "not sent from a page" in told(teacher.post("/insights/act", data=fields, headers=headers), 403), headers
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": f"http://{host}"}):
        assert teacher.post("/insights/act", data=fields, headers=headers).status_code == 303
    post(teacher, "/insights/act", page, one=f"takeback-{one}")


def test_no_page_of_another_site_calls_the_server_as_moodle_does(server):
    manager = reader(server, "manager")
    fields = {"uniqueid": (None, "0" * 40)}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        for path in ("deletemodel", "training", "import"):
            assert "not sent from a page" in sentence(manager.post(f"/{path}", files=fields, headers=headers), 403)
    assert manager.post("/deletemodel", files=fields).status_code == 200


def test_what_is_no_form_is_refused(teacher):
    told(teacher.post("/insights/act", json={"token": "x"}), 415)
    told(teacher.post("/insights/act", files={"token": (None, "x")}), 415)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    told(teacher.post("/insights/act", content=b"a=1&" * 5000, headers=form), 400)
    told(teacher.post("/insights/act", content=b"\xff=1", headers=form), 400)
    assert teacher.get("/insights/act").status_code in (400, 405)


def test_tokens_hold_on_another_server_of_the_same_directory(tmp_path):
    from moodlemlbackend.server.auth.csrf import FormTokens
    from moodlemlbackend.server.auth.shared import SharedLogins
    from moodlemlbackend.storage.object_store import open_shared

    one, two, other = (FormTokens(SharedLogins(open_shared(tmp_path / name))) for name in ("a", "a", "b"))
    assert two.hold("a", "session", one.make("a", "session"))
    assert not two.hold("b", "session", one.make("a", "session"))
    assert not two.hold("a", "another", one.make("a", "session"))
    assert not other.hold("a", "session", one.make("a", "session"))
