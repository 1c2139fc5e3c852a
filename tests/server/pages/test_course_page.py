"""The course page: one table of all students, with an overview; by HTTP and in a browser."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from contextlib import closing
from html import unescape

import pytest

from fixtures.pages import HOSTILE, NOW, axe, log_in, log_out, pages, post, reader, show, store, told, violations
from fixtures.paths import posix

pytestmark = posix


def change(folder, *statements):
    with closing(sqlite3.connect(folder / "site.sqlite", timeout=30)) as site, site:
        for statement in statements:
            site.execute(statement)


def ask_site(folder, query):
    with closing(sqlite3.connect(folder / "site.sqlite")) as site:
        return site.execute(query).fetchall()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("course")


@pytest.fixture(scope="module")
def courseid(prepared):
    return prepared.course_of(prepared.course)


@pytest.fixture(scope="module")
def server(prepared, folder, courseid):
    """Students get names of their own, two groups, and something that is due tomorrow; one has a hostile name."""
    with pages(prepared, folder) as server:
        students = enrolled(folder, courseid)
        groups = [key for (key,) in ask_site(folder, "SELECT id FROM mdl_groups ORDER BY id LIMIT 2")]
        names = ["Zoë Ábalos", "=1+1 Formula", *(f"Kim {letter * 3}" for letter in "BCDEFGHIJKLMNOPQRSTUVWXY")]
        statements = [
            "UPDATE mdl_user SET firstname = '{}', lastname = '{}' WHERE id = {}".format(*name.split(), user)
            for name, user in zip(names, students[1:], strict=False)
        ]
        members = ", ".join(f"({at}, {groups[at % 2]}, {user}, 0, '', 0)" for at, user in enumerate(students[:8], 1))
        change(
            folder,
            *statements,
            "DELETE FROM mdl_groups_members",
            f"UPDATE mdl_groups SET courseid = {courseid}, name = 'Group ' || id WHERE id <= {groups[1]}",
            f"INSERT INTO mdl_groups_members (id, groupid, userid, timeadded, component, itemid) VALUES {members}",
        )
        yield server


def enrolled(folder, courseid):
    rows = ask_site(
        folder,
        "SELECT DISTINCT r.userid FROM mdl_user_enrolments r JOIN mdl_enrol e ON e.id = r.enrolid "
        "JOIN mdl_role_assignments a ON a.userid = r.userid JOIN mdl_context x ON x.id = a.contextid "
        f"AND x.contextlevel = 50 AND x.instanceid = {courseid} JOIN mdl_role o ON o.id = a.roleid "
        f"WHERE e.courseid = {courseid} AND r.status = 0 AND o.archetype = 'student' AND e.status = 0 "
        f"AND (r.timeend = 0 OR r.timeend > {NOW}) AND r.timestart <= {NOW} ORDER BY r.userid",
    )
    return [user for (user,) in rows]


@pytest.fixture
def ana(server):
    return reader(server, "ana")


@pytest.fixture
def page(courseid):
    return f"/courses/{courseid}"


def shown(text):
    """Ids of the students in the table, in their order."""
    return [int(user) for user in re.findall(r'name="student" value="(\d+)"', text)]


def names(text):
    return [unescape(name) for name in re.findall(r'/students/\d+">(.*?)</a>', text)]


def percents(text):
    return [int(number) for number in re.findall(r'class="percent">(\d+)%', text)]


def cells(text, kind):
    return re.findall(rf'<td class="{kind}"[^>]*>(.*?)</td>', text, re.S)


def download(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    return [*csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))]


def test_all_students_are_there_those_at_risk_first(server, ana, page, folder, courseid):
    text = ana.get(page).text
    assert sorted(shown(text)) == enrolled(folder, courseid)
    numbers = percents(text)
    assert numbers == sorted(numbers, reverse=True)
    bands = re.findall(r'class="pill pill-(\w+)"', text)
    predicted = [band for band in bands if band != "none"]
    assert predicted == sorted(predicted, key=["high", "medium", "low"].index)
    assert bands.index("none") == bands.index("low") - bands.count("none"), "with an alert, before those at low risk"
    assert len(set(bands)) > 2
    for band in ("high", "medium", "low"):
        [number] = re.findall(rf'band={band}">.*?<b>(\d+)</b>', text)
        assert int(number) == bands.count(band)
    [urgent] = re.findall(r'class="urgent">(\d+) students at high risk have not been contacted', text)
    assert int(urgent) == bands.count("high")
    assert re.search(r"Probability \d+% \(\d+% to \d+% in 8 of 10 courses\), threshold \d+%", text)


def test_hostile_names_are_text(ana, page):
    text = ana.get(page).text
    assert HOSTILE not in text
    assert "<script>alert" not in text
    assert any(name.startswith(HOSTILE) for name in names(text))


def test_every_order_and_the_other_way_round(ana, page):
    by_name = names(ana.get(f"{page}?sort=name").text)
    assert by_name[0].startswith("Zoë Ábalos"), "accents do not count"
    assert names(ana.get(f"{page}?sort=-name").text) == by_name[::-1]
    everyone = sorted(shown(ana.get(page).text))
    for order in ("risk", "trend", "access", "work", "grade", "contact"):
        one = ana.get(f"{page}?sort={order}").text
        other = ana.get(f"{page}?sort=-{order}").text
        assert sorted(shown(one)) == sorted(shown(other)) == everyone
        assert one.count("aria-sort") == other.count("aria-sort") == 1
    work = [
        tuple(map(int, cell.split(" of ")))
        for cell in cells(ana.get(f"{page}?sort=work").text, "number")
        if " of " in cell
    ]
    missing = [done - due for done, due in work]
    assert missing == sorted(missing)
    assert len(set(missing)) > 2
    access = cells(ana.get(f"{page}?sort=access").text, "when")
    days = [int(cell.split()[0]) for cell in access if cell.endswith("days ago")]
    assert days == sorted(days, reverse=True)
    never = [at for at, cell in enumerate(access) if cell == "never"]
    assert never == [*range(len(never))]
    again = cells(ana.get(f"{page}?sort=-access").text, "when")
    assert [at for at, cell in enumerate(again) if cell == "never"] == never, "who never came stays first"


def test_search_and_filters(ana, page, folder):
    assert [name.split()[0] for name in names(ana.get(f"{page}?q=abalos").text)] == ["Zoë"]
    assert len(shown(ana.get(f"{page}?q=KIM").text)) > 5
    assert "No student matches your search." in ana.get(f"{page}?q=nobodyhasthisname").text
    every = shown(ana.get(page).text)
    by_band = [shown(ana.get(f"{page}?band={band}").text) for band in ("high", "medium", "low", "none")]
    assert sorted(user for band in by_band for user in band) == sorted(every)
    assert all(by_band[:3])
    alerted, calm = (shown(ana.get(f"{page}?alert={alert}").text) for alert in ("any", "none"))
    assert sorted(alerted + calm) == sorted(every)
    assert alerted
    for kind, words in (("never", "Never opened the course"), ("absent", "Not seen for")):
        text = ana.get(f"{page}?alert={kind}").text
        assert text.count(f'alert-{kind}"') == len(shown(text)) == text.count(words)
    groups = re.findall(r'<option value="(\d+)">Group', ana.get(page).text)
    assert len(groups) == 2
    grouped = [shown(ana.get(f"{page}?group={group}").text) for group in groups]
    assert [len(group) for group in grouped] == [4, 4]
    alone = shown(ana.get(f"{page}?group=none").text)
    assert sorted([*grouped[0], *grouped[1], *alone]) == sorted(every)
    assert "of " in re.search(r'class="count">(.*?)·', ana.get(f"{page}?group=none").text)[1]


@pytest.mark.parametrize(
    "hostile",
    [
        "sort=%3Cscript%3E", "sort=--name", "page=0", "page=99999", "model=0", "model=1%20OR%201", "group=1;DROP",
        "band=%27", "alert=<b>", "q=" + "x" * 101, "batch=zz", "done=%22", "part=../x", "contact=" + "a" * 30,
    ],
)  # fmt: skip
def test_hostile_parameters_are_refused(ana, page, hostile):
    answer = ana.get(f"{page}?{hostile}")
    assert answer.status_code in (400, 404, 422)
    assert "Traceback" not in answer.text


def test_parameters_that_mean_nothing_leave_the_default(ana, page):
    default = shown(ana.get(page).text)
    assert shown(ana.get(f"{page}?sort=nonsense&part=nonsense&done=nonsense").text) == default
    assert shown(ana.get(f"{page}?band=nonsense").text) == []
    assert shown(ana.get(f"{page}?page=2").text) == []
    assert told(ana.get(f"{page}?model=99999"), 404) == "There are no insights for you here."


def test_text_that_is_searched_is_text(ana, page):
    text = ana.get(page, params={"q": HOSTILE}).text
    assert HOSTILE not in text
    assert len(shown(text)) >= 1


def test_others_see_nothing(server, page):
    for user in ("bert", "sam"):
        client = reader(server, user)
        for path in (page, f"{page}?part=rows", f"{page}?part=activity", f"{page}/students.csv"):
            assert "There is no such course" in told(client.get(path), 404)
        assert client.post(f"{page}/columns", data={"column": "trend"}).status_code == 403
    assert shown(reader(server, "manager").get(page).text)


def test_pages_follow_one_another(prepared, folder, tmp_path, courseid, monkeypatch):
    from moodlemlbackend.server import limits

    assert limits.PAGE_STUDENTS == 50
    course = f"/courses/{courseid}"
    with pages(prepared, tmp_path) as server:
        first_names = [f"Student{at:03}" for at in range(60)]
        add_students(tmp_path, courseid, first_names)
        client = reader(server, "ana")
        text = client.get(f"{course}?sort=name").text
        assert len(shown(text)) == 50
        [following] = re.findall(r'<a rel="next" href="([^"]+)" hx-get="([^"]+)"', text)
        assert [unescape(path) for path in following] == [
            f"{course}?sort=name&page=2",
            f"{course}?sort=name&page=2&part=rows",
        ]
        rest = client.get(unescape(following[1])).text
        assert "<html" not in rest
        assert shown(rest) == shown(client.get(unescape(following[0])).text)
        everyone = shown(text) + shown(rest)
        assert len(set(everyone)) == len(everyone) == int(re.search(r'class="count">(\d+) students', text)[1])
        assert len(download(client, f"{course}/students.csv?sort=name")) == len(everyone), "all rows"
        assert len(text.encode()) < 100_000


def add_students(folder, courseid, first_names):
    with closing(sqlite3.connect(folder / "site.sqlite")) as site, site:
        enrol = site.execute("SELECT id FROM mdl_enrol WHERE courseid = ? AND status = 0", (courseid,)).fetchone()[0]
        context = site.execute(
            "SELECT id FROM mdl_context WHERE contextlevel = 50 AND instanceid = ?", (courseid,)
        ).fetchone()[0]
        role = site.execute("SELECT id FROM mdl_role WHERE archetype = 'student'").fetchone()[0]
        from fixtures.pages import add_like

        for name in first_names:
            user = add_like(
                site, "mdl_user", username=name.lower(), firstname=name, lastname="Added", suspended=0, deleted=0,
                auth="manual",
            )  # fmt: skip
            add_like(site, "mdl_user_enrolments", enrolid=enrol, userid=user, status=0, timestart=0, timeend=0)
            add_like(site, "mdl_role_assignments", roleid=role, contextid=context, userid=user)


def test_the_csv_has_what_is_filtered_and_no_formulas(ana, page):
    rows = download(ana, f"{page}/students.csv?band=high&sort=name")
    text = ana.get(f"{page}?band=high&sort=name").text
    assert [row["Student"].lstrip("'") for row in rows] == names(text)
    assert {row["Risk"] for row in rows} == {"High"}
    assert all(0 < float(row["Probability"]) <= 1 for row in rows)
    every = download(ana, f"{page}/students.csv")
    assert "'=1+1 Formula" in {row["Student"] for row in every}
    assert {row["Groups"] for row in every} > {""}
    for row in every:
        assert not any(re.match(r"[=+@\t\r]|-(?![\d.]+$)", value) for value in row.values())
        assert int(row["Done"]) <= int(row["Due so far"])


def test_a_wrong_time_in_moodle_spoils_a_date_and_no_page(server, ana, page, folder):
    student = shown(ana.get(page).text)[0]
    place = f"FROM mdl_user_lastaccess WHERE userid = {student}"
    kept = ask_site(folder, f"SELECT id, timeaccess {place}")
    for wrong in (10**15, -(10**15)):
        change(folder, f"UPDATE mdl_user_lastaccess SET timeaccess = {wrong} WHERE userid = {student}")
        for path in (page, f"{page}/students.csv", f"{page}/students/{student}"):
            assert ana.get(path).status_code == 200, (path, wrong)
    change(folder, *(f"UPDATE mdl_user_lastaccess SET timeaccess = {time} WHERE id = {row}" for row, time in kept))


def test_columns_are_chosen_and_remembered(server, page):
    bert, course = reader(server, "manager"), page
    assert 'class="trend"' in bert.get(course).text
    answer = post(bert, f"{course}/columns", course, column=["access", "groups"], back=f"{course}?sort=name")
    assert answer.headers["location"] == f"{course}?sort=name"
    text = bert.get(course).text
    assert 'class="trend"' not in text
    assert 'data-name="Grade"' not in text
    assert 'data-name="Groups"' in text
    assert 'class="when"' in text
    for evil in ("https://evil.example/", "//evil.example", "/courses/1/students/2", f"{course}x"):
        assert post(bert, f"{course}/columns", course, column=["trend"], back=evil).headers["location"] == course
    assert 'class="when"' in reader(server, "ana").get(course).text, "of this person alone"


def test_grades_need_their_capability(prepared, tmp_path, courseid):
    course = f"/courses/{courseid}"
    with pages(prepared, tmp_path) as server:
        client = reader(server, "ana")
        assert any(cell.endswith("%") for cell in cells(client.get(course).text, "number"))
        change(tmp_path, "DELETE FROM mdl_role_capabilities WHERE capability = 'moodle/grade:viewall'")
        text = client.get(course).text
        assert 'data-name="Grade"' not in text
        assert not any(cell.endswith("%") for cell in cells(text, "number"))
        assert 'value="grade"' not in text
        in_order = shown(client.get(f"{course}?sort=grade").text)
        assert in_order == shown(client.get(f"{course}?sort=name").text), "the order tells nothing"
        assert "Grade" not in download(client, f"{course}/students.csv")[0]


def test_the_file_has_addresses_for_those_who_may_see_them(prepared, tmp_path, courseid):
    file = f"/courses/{courseid}/students.csv"
    with pages(prepared, tmp_path) as server:
        client = reader(server, "ana")
        before = download(client, file)
        change(tmp_path, "DELETE FROM mdl_role_capabilities WHERE capability = 'moodle/site:viewuseridentity'")
        after = download(client, file)
    assert all("@" in row["E-mail"] for row in before)
    assert after == [{name: cell for name, cell in row.items() if name != "E-mail"} for row in before]


def test_separate_groups_limit_table_overview_and_csv(prepared, tmp_path, courseid):
    course = f"/courses/{courseid}"
    mine = enrolled(tmp_path_of(prepared), courseid)[:3]
    with pages(prepared, tmp_path) as server:
        [group, other] = [key for (key,) in ask_site(tmp_path, "SELECT id FROM mdl_groups ORDER BY id LIMIT 2")]
        [(ana,)] = ask_site(tmp_path, "SELECT id FROM mdl_user WHERE username = 'ana'")
        pairs = [(group, user) for user in [ana, *mine]] + [(other, mine[0])]
        members = ", ".join(f"({at}, {key}, {user}, 0, '', 0)" for at, (key, user) in enumerate(pairs, 1))
        change(
            tmp_path,
            "DELETE FROM mdl_groups_members",
            f"UPDATE mdl_groups SET courseid = {courseid}, name = 'Group ' || id WHERE id IN ({group}, {other})",
            f"INSERT INTO mdl_groups_members (id, groupid, userid, timeadded, component, itemid) VALUES {members}",
            f"UPDATE mdl_course SET groupmode = 1 WHERE id = {courseid}",
            "DELETE FROM mdl_role_capabilities WHERE capability = 'moodle/site:accessallgroups'",
            "UPDATE mdl_role_assignments SET roleid = (SELECT id FROM mdl_role WHERE archetype = 'teacher') "
            f"WHERE userid = {ana}",
        )
        client = reader(server, "ana")
        text = client.get(course).text
        assert sorted(shown(text)) == mine
        assert "You see the students of your own groups." in text
        assert sum(map(int, re.findall(r"band=\w+\">.*?<b>(\d+)</b>", text))) == 3
        assert re.findall(r'<option value="(\d+)">Group', text) == [str(group)], "not the other group's name"
        assert len(download(client, f"{course}/students.csv")) == 3
        manager = reader(server, "admin")
        assert len(shown(manager.get(course).text)) > 3, "what one reader caused to be kept limits nobody else"
        assert sorted(shown(client.get(course).text)) == mine


def tmp_path_of(prepared):
    return prepared.folder


def test_what_was_done_is_shown_and_filtered(prepared, tmp_path, courseid):
    course = f"/courses/{courseid}"
    with pages(prepared, tmp_path) as server:
        client = reader(server, "ana")
        first, second, third, *_ = shown(client.get(course).text)
        [(ana,)] = ask_site(tmp_path, "SELECT id FROM mdl_user WHERE username = 'ana'")
        with closing(sqlite3.connect(tmp_path / "work" / "store.sqlite")) as database, database:
            for at, (user, kind, until) in enumerate(  # after the last prediction
                [(first, "message", None), (second, "resolved", None), (third, "snoozed", 2_000_000_000)]
            ):
                database.execute(
                    "INSERT INTO analytics_follow_ups (courseid, studentid, userid, kind, until, batch, timecreated) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)", (courseid, user, ana, kind, until, f"{at:032x}", NOW + 60),
                )  # fmt: skip
        assert store(server, "SELECT COUNT(*) FROM analytics_follow_ups")[0][0] == 3
        text = client.get(course).text
        assert shown(text)[0] == first
        assert set(shown(text)[-2:]) == {second, third}, "what is settled comes last"
        assert re.search(r'class="contact"[^>]*>Message <span class="note">[^<]*, Ana ', text)
        assert "Snoozed until 18 May 2033" in text
        for state, user in (("waiting", first), ("resolved", second), ("snoozed", third)):
            assert shown(client.get(f"{course}?contact={state}").text) == [user]
        todo = shown(client.get(f"{course}?contact=todo").text)
        assert sorted(todo) == sorted(set(shown(text)) - {first, second, third})
        assert shown(client.get(f"{course}?sort=-contact").text)[-1] == first
        assert "not been contacted yet" in text
        notice = client.get(f"{course}?done=resolved&batch={1:032x}").text
        assert "Marked as resolved." in notice
        assert f'name="batch" value="{1:032x}"' in notice


def test_single_insights_are_offered_where_there_are_some(server, ana, page, prepared):
    link = f"/insights?context={prepared.course}"
    assert f'"{link}"' in ana.get(page).text
    assert ana.get(link).status_code == 200
    move = "UPDATE analytics_insights SET contextid = ? WHERE contextid = ?"
    store(server, move, 10**9, prepared.course)
    try:
        assert f'"{link}"' not in ana.get(page).text
    finally:
        store(server, move, prepared.course, 10**9)


def test_selected_students_are_written_to(server, ana, page, courseid):
    some = shown(ana.get(page).text)[:2]
    answer = post(ana, f"{page}/write", page, student=[str(user) for user in [*some, some[0], 2**40]])
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{page}/message?student={some[0]}&student={some[1]}"
    assert "Select at least one student" in told(post(ana, f"{page}/write", page), 400)
    assert ana.post(f"{page}/write", data={"student": str(some[0])}).status_code == 403, "without the token"


def test_a_course_without_predictions_shows_the_rest_and_says_when_the_first_comes(prepared, tmp_path, courseid):
    course = f"/courses/{courseid}"
    with pages(prepared, tmp_path) as server:
        client = reader(server, "ana")
        with closing(sqlite3.connect(tmp_path / "work" / "store.sqlite")) as database, database:
            database.execute("DELETE FROM analytics_risks")
        text = client.get(course).text
        assert "makes its first prediction for this course" in text
        assert "No prediction" in text
        assert "Not seen for" in text
        assert " of " in "".join(cells(text, "number"))
        assert not percents(text)
        for contexts, expected in ((prepared.other, False), (prepared.course, True)):
            with closing(sqlite3.connect(tmp_path / "work" / "store.sqlite")) as database, database:
                database.execute("UPDATE analytics_models SET contextids = ?", (f"[{contexts}]",))
            assert ("makes its first prediction" in client.get(course).text) is expected
        kinds = re.findall(r'<td class="why"[^>]*>(?:<span class="tag alert-(\w+)">)?', text)
        urgency = [["never", "absent", "due", ""].index(kind) for kind in kinds]
        assert urgency == sorted(urgency), "by alerts"
        change(tmp_path, f"UPDATE mdl_course SET enddate = 0 WHERE id = {courseid}")
        assert "can't predict here" in unescape(client.get(course).text)
        with closing(sqlite3.connect(tmp_path / "work" / "store.sqlite")) as database, database:
            database.execute("UPDATE analytics_models SET enabled = 0")
        assert "no trained model that finds students at risk is enabled" in client.get(course).text


@pytest.mark.parametrize("visible", [True, False])
def test_activity_by_week_stands_beside_earlier_courses_of_the_same_kind(prepared, tmp_path, courseid, visible):
    course = f"/courses/{courseid}"
    with pages(prepared, tmp_path) as server:
        client = reader(server, "ana")
        text = client.get(course).text
        assert 'hx-trigger="load"' in text
        part = client.get(f"{course}?part=activity").text
        assert re.search(r"Week \d+: \d+% of the students were active\.", part)
        assert "Dashed" not in part
        assert "Week " in client.get(course).text, "what is known is there at once"
    (tmp_path / "same").mkdir()
    with pages(prepared, tmp_path / "same") as server:
        [(category, start)] = ask_site(
            tmp_path / "same",
            f"SELECT x.path, c.startdate FROM mdl_course c JOIN mdl_context x ON x.instanceid = c.id "
            f"AND x.contextlevel = 50 WHERE c.id = {courseid}",
        )
        [(earlier, context), *_] = ask_site(
            tmp_path / "same",
            "SELECT c.id, x.id FROM mdl_course c JOIN mdl_context x ON x.instanceid = c.id AND x.contextlevel = 50 "
            f"WHERE c.startdate < {start} AND c.enddate BETWEEN c.startdate AND {NOW} AND (SELECT COUNT(*) FROM "
            "mdl_user_enrolments r JOIN mdl_enrol e ON e.id = r.enrolid WHERE e.courseid = c.id) > 8 ORDER BY c.id",
        )
        change(
            tmp_path / "same",
            f"UPDATE mdl_course SET shortname = 'BIO-101-WS25', visible = {visible:d} WHERE id = {earlier}",
            f"UPDATE mdl_course SET shortname = 'BIO-101-WS26' WHERE id = {courseid}",
            f"UPDATE mdl_context SET path = '{category.rpartition('/')[0]}/{context}' WHERE id = {context}",
        )
        for person in ("manager", "ana"):
            text = reader(server, person).get(f"{course}?part=weeks").text
            assert ("BIO-101-WS25 (same category" in text) == (visible or person == "manager")
        assert re.search(r"were active; in earlier courses: \d+%\.", text)
        assert 'class="earlier"' in text


def test_reasons_of_those_at_high_risk(ana, page):
    cold = ana.get(f"{page}?sort=-name").text
    part = ana.get(f"{page}?part=reasons").text
    assert "<html" not in part
    known = re.findall(r'id="r(\d+)" hx-swap-oob="true">([^<]+)<', part)
    high = shown(ana.get(f"{page}?band=high").text)
    assert {int(user) for user, _ in known} <= set(high)
    assert known
    warm = ana.get(page).text
    for user, reason in known:
        assert f'id="r{user}">{reason}<' in warm
    assert "part=reasons" not in warm
    assert cold.count('class="reason"') == len(high)


def test_a_reason_is_that_of_the_current_prediction_whatever_is_listed_as_the_insight(server, ana, page):
    """An insight of a later part stays listed where the course's end was moved."""
    before = ana.get(f"{page}?part=reasons").text
    other = "UPDATE analytics_insights SET predictionid = -predictionid"
    store(server, other)
    after = ana.get(f"{page}?part=reasons").text
    store(server, other)
    assert 'hx-swap-oob="true">' in before
    assert after == before


def test_policy_and_files_for_good(server, ana, page):
    answer = ana.get(page)
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'; connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert " style=" not in answer.text
    assert not re.search(r"<script(?![^>]* src=)", answer.text)
    assert "script-src" not in ana.get("/insights").headers["content-security-policy"]
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text)
    assert {address.rpartition("/")[2] for address in addresses} == {"style.css", "htmx.min.js", "students.js"}
    for address in addresses:
        for encoding in ("gzip", "identity"):
            got = ana.get(address, headers={"Accept-Encoding": encoding})
            assert got.status_code == 200
            assert got.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert got.headers.get("content-encoding", "identity") == encoding
    for wrong in (
        "/static/000000000000/style.css",
        f"{addresses[0].rpartition('/')[0]}/evil.js",
        "/static/x/..%2F..%2Fassets.py",
    ):
        assert ana.get(wrong).status_code == 404


# ---- in a browser ----


@pytest.fixture
def window(browser):
    yield browser
    log_out(browser)


def until(condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(None, 20).until(lambda _: condition())


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (390, True)])
def test_the_page_fits_and_axe_finds_nothing(server, window, page, width, dark):
    show(window, width, dark=dark)
    log_in(window, "ana")
    window.get(server.url + page)
    until(lambda: "Week " in window.execute_script("return document.getElementById('activity').textContent"))
    layout = window.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    assert layout["width"] <= width
    assert not violations(window, axe())
    row = window.find_elements("css selector", "tr.student")[0]
    if width < 600:
        assert row.size["height"] < 60, "one line a student"
        row.find_element("css selector", ".opener summary").click()
        until(lambda: row.find_element("css selector", "td.when").is_displayed())
        assert not violations(window, axe())
    window.execute_script("document.getElementById('keys-button').click()")
    until(lambda: window.find_element("id", "keys").is_displayed())
    assert not violations(window, axe())
    assert [entry["message"] for entry in window.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_the_keyboard(server, window, page):
    from selenium.webdriver.common.keys import Keys

    def press(*keys):
        window.switch_to.active_element.send_keys(*keys)

    def current():
        return window.execute_script("return document.querySelector('tr.current')?.id")

    show(window, 1280, dark=False)
    log_in(window, "ana")
    window.get(server.url + page)
    window.execute_script("localStorage.clear()")
    rows = [row.get_attribute("id") for row in window.find_elements("css selector", "tr.student")]
    press("j")
    assert current() == rows[0]
    press("j", "j", "k")
    assert current() == rows[1]
    press("x")
    checked = window.find_elements("css selector", "input[name=student]:checked")
    assert [box.get_attribute("value") for box in checked] == [rows[1][1:]]
    press("x")
    assert not window.find_elements("css selector", "input[name=student]:checked")
    press("/")
    assert window.switch_to.active_element.get_attribute("id") == "q"
    press("abalos")
    until(lambda: len(window.find_elements("css selector", "tr.student")) == 1)
    assert "q=abalos" in window.current_url
    assert not window.find_elements("css selector", "input[name=student]:checked"), "keys in the box are text"
    window.execute_script("document.activeElement.blur()")
    press("?")
    until(lambda: window.find_element("id", "keys").is_displayed())
    window.find_element("id", "keys-on").click()
    press(Keys.ESCAPE)
    until(lambda: not window.find_element("id", "keys").is_displayed())
    press("j")
    assert current() is None, "switched off"
    window.execute_script("localStorage.clear()")
    press("j")
    press(Keys.ENTER)
    until(lambda: "/students/" in window.current_url)


def test_e_resolves_the_current_student_and_undo_takes_it_back(server, window, page):
    def notice():
        return window.execute_script("return document.querySelector('[role=status] p')?.textContent")

    show(window, 1280, dark=False)
    log_in(window, "ana")
    window.get(server.url + page)
    rows = [row.get_attribute("id") for row in window.find_elements("css selector", "tr.student")]
    for key in "jje":
        window.switch_to.active_element.send_keys(key)
    until(lambda: notice() == "Marked as resolved.")
    after = [row.get_attribute("id") for row in window.find_elements("css selector", "tr.student")]
    assert after == [*rows[:1], *rows[2:], rows[1]], "it is the last one now"
    window.find_element("css selector", "[role=status] button").click()
    until(lambda: notice() == "Undone.")
    assert [row.get_attribute("id") for row in window.find_elements("css selector", "tr.student")] == rows


def test_filters_and_order_work_without_a_script(server, window, page):
    show(window, 390, dark=False)
    window.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    log_in(window, "ana")
    window.get(server.url + page)
    before = len(window.find_elements("css selector", "tr.student"))
    window.find_element("css selector", "#filter select[name=band] option[value=high]").click()
    window.find_element("css selector", "#filter button").click()
    until(lambda: "band=high" in window.current_url)
    assert 0 < len(window.find_elements("css selector", "tr.student")) < before
    window.find_element("partial link text", "Show all students").click()
    until(lambda: "band=high" not in window.current_url)
    window.get(f"{server.url}{page}?part=weeks")
    until(lambda: "Week " in window.execute_script("return document.getElementById('activity').textContent"))
    row = window.find_elements("css selector", "tr.student")[0]
    assert not row.find_element("css selector", "td.when").is_displayed()
    row.find_element("css selector", ".opener summary").click()
    until(lambda: row.find_element("css selector", "td.when").is_displayed())
