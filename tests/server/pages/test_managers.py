"""The pages of managers: models, what can be done with them, and runs that go on while the page is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from datetime import timezone
from html import unescape
from pathlib import Path

import pytest

from fixtures.pages import (
    QUARTERS,
    axe,
    confirm,
    log_in,
    log_out,
    manager,
    post,
    reader,
    server,
    show,
    store,
    told,
    violations,
)
from fixtures.paths import posix
from fixtures.servers import wait_for
from moodlemlbackend.analytics.lifecycle.preview import Preview
from moodlemlbackend.analytics.notifications.switch import Switch
from moodlemlbackend.language.dates import Dates
from moodlemlbackend.server.pages.rendering import render

pytestmark = posix
_ = (server, manager)  # fixtures

SINGLE_RANGE = r"\core\analytics\time_splitting\single_range"


@pytest.fixture(scope="module")
def address(prepared):
    return f"/analytics/models/{prepared.dropout}"


def begin(manager, address, task, **fields):
    answer = post(manager, f"{address}/{task}", address, **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{address}/run"), answer.text


def ended(manager, address, seconds=180):
    """The page of the run once it has ended."""
    wait_for(lambda: "refresh" not in manager.get(f"{address}/run").headers, seconds)
    return manager.get(f"{address}/run").text


def children(server):
    found = subprocess.run(["pgrep", "-f", "moodlemlbackend.server.jobs.run_worker"], capture_output=True, text=True)
    return [pid for pid in map(int, found.stdout.split()) if f"PPid:\t{server.process.pid}\n" in about(pid)]


def about(pid):
    """What the system says of a process; nothing when it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return ""
    return "" if "State:\tZ" in text else text


def test_the_list_has_every_model_with_its_state(manager, address):
    text = manager.get("/analytics").text
    assert text.count('data-name="Model"') == 5
    for part in (f'href="{address}"', "enabled, trained", "enabled, rule-based", "quarters of the course", "never"):
        assert part in text
    assert "<script" not in text


def test_a_model_and_what_is_said_of_it(manager, address):
    text = manager.get(address).text
    for part in ("Students at risk of dropping out", "work on assignments", "Indicators (49)", "Evaluate", "Clear"):
        assert part in text
    static = manager.get("/analytics/models/2").text
    assert "rule-based model" in static
    assert "/evaluate" not in static
    told(manager.get("/analytics/models/99"), 404)


def test_who_would_be_notified(server, manager, address):
    text = manager.get("/analytics/notifications").text
    [(people, messages)] = store(server, "SELECT COUNT(DISTINCT useridto), COUNT(*) FROM analytics_notifications")
    counts = re.search(r"People: (\d+). Students among them: (\d+). Messages: (\d+).", text)
    assert (int(counts[1]), int(counts[3])) == (people, messages)
    assert 0 < int(counts[2]) < people
    for part in (
        "Notifications have been on since",
        "tasks predict --dry-run",
        "Students at risk of",
        "teacher",
        "about themselves",
    ):
        assert part in text, part
    assert "<script>" not in text
    assert 'href="/analytics/notifications"' in manager.get("/analytics").text
    assert "<dd>teachers</dd>" in manager.get(address).text
    assert reader(server, "ana").get("/analytics/notifications").status_code == 403
    assert 'rel="prev" href="?page=98"' in manager.get("/analytics/notifications?page=99").text
    assert len(store(server, "SELECT 1 FROM analytics_notifications")) == messages


def test_who_would_be_notified_while_notifications_are_off():
    common = {
        "user": None,
        "log_out": False,
        "links": [],
        "dates": Dates(timezone.utc),
        "page": 1,
        "more": False,
        "by_model": [],
    }
    text = bytes(
        render("site/recipients.html", notifications=Switch(False), preview=Preview(), warning="Both.", **common).body
    ).decode()
    for part in (
        "Notifications are off: nobody is notified.",
        "notifications = on",
        "Both.",
        "Nobody would get a message",
    ):
        assert part in text, part


@pytest.fixture
def withheld(server, prepared):
    """No one was notified about two courses, and about one that is gone."""
    found = {"flagged": 14, "predicted": 20, "reason": "its dates <b>are</b> wrong", "time": 1_795_000_000, "ends": 0}
    noted = [{**found, "context": context, "course": "A"} for context in (prepared.course, prepared.other, 999_999)]
    name = f"most flagged {prepared.dropout}"
    store(server, "REPLACE INTO analytics_facts VALUES (?, ?)", name, json.dumps(noted))
    yield
    store(server, "DELETE FROM analytics_facts WHERE name = ?", name)


def test_a_manager_sees_about_which_courses_no_one_was_notified(server, manager, address, prepared, withheld):
    text = manager.get(address).text
    flagged = '14 of 20 students were flagged on 18 Nov 2026. Likely reason: <span lang="en">its dates &lt;b&gt;are'
    assert text.count(flagged) == 2
    assert f'<a href="/insights?context={prepared.other}&amp;model={prepared.dropout}">' in text
    assert "notify_when_most_flagged" in text
    assert f'<a href="{address}#withheld">no one was notified about 3 courses</a>' in manager.get("/analytics").text
    assert manager.get(f"{address}/predictions").text.count("14 of 20 students flagged; no one was notified") == 2
    assert reader(server, "ana").get(address).status_code == 403


def test_no_such_course_is_named_without_one(manager, address):
    for page in ("/analytics", address, f"{address}/predictions"):
        assert "no one was notified" not in manager.get(page).text.lower()


def test_courses_no_one_was_notified_about_in_a_browser(server, address, browser, withheld):
    try:
        show(browser, 360, dark=True)
        log_in(browser, "manager")
        for page in ("/analytics", f"{address}/predictions", address):
            browser.get(f"{server.url}{page}")
            assert browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["width"] <= 360
            assert not violations(browser, axe())
    finally:
        log_out(browser)
        browser.get_log("browser")


def test_an_evaluation_with_progress_result_and_figures(server, manager, address):
    begin(manager, address, "evaluate", interval=SINGLE_RANGE)
    shown = manager.get(f"{address}/run")
    assert shown.headers["refresh"] == "3"
    assert "refresh" not in manager.get(f"{address}/run?refresh=off").headers
    assert "already in progress" in told(post(manager, f"{address}/train", address), 409)
    seen = []

    def looked_on():
        answer = manager.get(f"{address}/run")
        seen.append(re.search("<title>(.*?)(?: [0-9]+%)? · ", answer.text)[1])
        return "refresh" not in answer.headers

    wait_for(looked_on, 180)
    assert [*dict.fromkeys(seen)][-2:] == ["Evaluating: the whole course", "Done"]
    text = manager.get(f"{address}/run").text
    assert "the whole course: 0." in text
    [(logid, userid)] = store(server, "SELECT id, usermodified FROM analytics_models_log")
    assert userid == 3
    assert f"{address}/evaluations/{logid}" in manager.get(address).text
    text = manager.get(f"{address}/evaluations/{logid}").text
    assert re.search(r"<th[^>]*>In new courses</th><th[^>]*>In courses it has seen</th>", text)
    assert "courses the model has never seen" in text
    figures = re.findall(r'src="([^"]+\.png)"', text)
    assert len(figures) >= 2
    assert "<figcaption><strong>Confusion matrix.</strong> Share of each true class" in text
    found = manager.get(figures[0])
    assert (found.headers["content-type"], found.content[:4]) == ("image/png", b"\x89PNG")
    assert reader(server, "ana").get(figures[0]).status_code == 403
    assert str(server.folder) not in text + manager.get(f"{address}/log").text
    for name in ("x.png", "..%2Finfo.log", "info.log"):
        assert manager.get(f"{address}/evaluations/{logid}/{name}").status_code in (400, 404)


def test_the_last_evaluation_is_that_of_the_interval_in_use(server, manager, address):
    """The interval in use was never evaluated; then it was, before another one."""
    assert "never with this interval" in manager.get("/analytics").text
    assert "never with this interval" in manager.get(address).text
    columns = "modelid, version, evaluationmode, target, indicators, score, info, dir, timecreated, usermodified"
    log = "analytics_models_log"
    query = f"INSERT INTO {log} (id, timesplitting, {columns}) SELECT 0, ?, {columns} FROM {log}"
    store(server, query, QUARTERS)
    store(server, "UPDATE analytics_models_log SET score = 0.8125 WHERE id = 0")
    try:
        for page in ("/analytics", address):
            assert re.search(r"0\.81[23] on ", manager.get(page).text)
            assert "never with this interval" not in manager.get(page).text
    finally:
        store(server, "DELETE FROM analytics_models_log WHERE id = 0")


def test_an_evaluation_in_a_browser(server, address, browser):
    [(logid,)] = store(server, "SELECT id FROM analytics_models_log")
    try:
        show(browser, 360, dark=True)
        log_in(browser, "manager")
        browser.get(f"{server.url}{address}/evaluations/{logid}")
        browser.execute_script("document.querySelectorAll('img').forEach(one => { one.loading = 'eager' })")
        images = browser.find_elements("css selector", "figure img")
        wait_for(lambda: all(int(one.get_property("naturalWidth")) > 100 for one in images))
        assert browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["width"] <= 360
        assert not violations(browser, axe())
        browser.find_element("link text", "Full report").click()
        wait_for(lambda: browser.current_url.endswith("/report.html"))
        assert (
            browser.find_element("css selector", "h1").value_of_css_property("font-size") == "24px"
        )  # its own style is let in
    finally:
        log_out(browser)
        browser.get_log("browser")


def test_figures_come_from_the_folder_of_the_model_alone(server, manager, address):
    outside = server.folder / "outside"
    outside.mkdir()
    (outside / "roc-curve.png").write_bytes(b"secret")
    (outside / "report.html").write_bytes(b"secret")
    [(logid, folder)] = store(server, "SELECT id, dir FROM analytics_models_log")
    up = "../" * (len(Path(folder).parts) + 1)
    for place in (outside, f"{folder}/{up}outside", f"{up}outside", "/etc", "x", ""):
        store(server, "UPDATE analytics_models_log SET dir = ?", str(place))
        told(manager.get(f"{address}/evaluations/{logid}/roc-curve.png"), 404)
        assert "has no figures" in manager.get(f"{address}/evaluations/{logid}").text
    store(server, "UPDATE analytics_models_log SET dir = ?", folder)
    (server.folder / "work" / folder / "link.png").symlink_to(outside / "roc-curve.png")
    told(manager.get(f"{address}/evaluations/{logid}/link.png"), 404)


def test_a_report_is_shown_as_it_is_without_scripts(server, manager, address):
    [(logid, folder)] = store(server, "SELECT id, dir FROM analytics_models_log")
    report = (server.folder / "work" / folder / "report.html").read_text("utf-8")
    assert "Full report" in manager.get(f"{address}/evaluations/{logid}").text
    found = manager.get(f"{address}/evaluations/{logid}/report.html")
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert re.search(r"<h1>Evaluation: [^<]+ \(model \d+\)</h1>", found.text)
    assert re.search(
        r"<pre>MOODLEMLBACKEND_SEED=\d+ moodlemlbackend models evaluate \d+ --interval \w+</pre>", found.text
    )
    for part in (
        "Interval: the whole course. Run ", "<td>Students at risk of dropping out</td>",
        "not likely to drop out: ", '<th scope="row">at risk of dropping out</th>', "AUC of “at risk of dropping out”",
        "<strong>ROC curve.</strong> ",
    ):  # fmt: skip
        assert part in found.text, part
    assert "class 1" not in found.text
    assert "folder of the server" not in found.text
    assert found.text == report, "there is no path in it to be hidden"
    assert "sandbox" in found.headers["content-security-policy"]
    assert "script" not in found.headers["content-security-policy"]


def test_a_backtest_with_progress_and_figures(server, manager, address):
    assert "There is no backtest of this model yet" in manager.get(f"{address}/backtest").text
    begin(manager, address, "backtest", interval=QUARTERS)
    text = ended(manager, address)
    sentence = re.search(r"<p[^>]*>(If this model had run with quarters from [^<]+)</p>", text)[1]
    assert f'href="{address}/backtest"' in text
    text = manager.get(f"{address}/backtest").text
    assert text.index(sentence) < text.index("<table")
    assert "script" not in text
    [(fact,)] = store(server, "SELECT value FROM analytics_facts WHERE name LIKE 'backtest %'")
    found = json.loads(fact)["intervals"][QUARTERS]
    load = found["load"]
    for part in (
        f"{load['warnings_a_teacher_and_week']:.1f}</td>", f"In {load['courses_flagged_by_more_than_half']} of ",
        f"{found['in_time_f1']:.3f} <span", f"differ by a factor of {found['calibration_factor']:.3f}",
    ):  # fmt: skip
        assert part in text
    [chart] = re.findall(r'<svg class="chart square".*?</svg>', text, re.DOTALL)
    assert chart.count("<circle") == text.count('class="bar"') == found["courses"] == len(found["by_course"])
    assert all(f'<th scope="row">{one["name"]}</th>' in text for one in found["by_course"])
    ranges = re.search(r"<h3>By part of the course</h3>.*?</table>", text, re.DOTALL)[0]
    assert [int(one) for one in re.findall(r'<th scope="row">(\d+)</th>', ranges)] == [1, 2, 3]
    assert "has changed since" not in text
    store(server, "UPDATE analytics_models SET version = version + 1 WHERE id = ?", int(address.rpartition("/")[2]))
    assert "The model has changed since this test" in manager.get(f"{address}/backtest").text
    store(server, "UPDATE analytics_models SET version = version - 1 WHERE id = ?", int(address.rpartition("/")[2]))
    told(reader(server, "ana").get(f"{address}/backtest"), 403)
    assert 'data-name="Task">Backtest' in manager.get(f"{address}/log").text


def test_what_has_no_past_offers_no_backtest(manager, address):
    for modelid in (2, 3):
        text = manager.get(f"/analytics/models/{modelid}").text
        assert "/backtest" not in text
    begin(manager, "/analytics/models/2", "backtest")
    assert "cannot be backtested" in ended(manager, "/analytics/models/2")
    told(post(manager, f"{address}/backtest", address, interval=r"\evil\class"), 400)


def test_a_backtest_on_a_phone(server, address, browser):
    try:
        show(browser, 360, dark=True)
        log_in(browser, "manager")
        browser.get(f"{server.url}{address}/backtest")
        assert browser.find_elements("css selector", "svg.square circle")
        assert browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["width"] <= 360
        assert not violations(browser, axe())
    finally:
        log_out(browser)
        browser.get_log("browser")


def test_training_and_prediction_say_what_came_of_them(manager, address):
    begin(manager, address, "train")
    assert re.search(r"no new data to train on|samples", ended(manager, address))
    begin(manager, address, "predict")
    text = ended(manager, address)
    assert re.search(r"nothing new to predict|predictions", text)
    log = manager.get(f"{address}/log").text
    assert all(f'data-name="Task">{task}' in log for task in ("Evaluation", "Training", "Prediction"))


def test_what_fails_is_told_in_one_sentence(server, manager, prepared, address):
    store(server, "UPDATE analytics_models SET enabled = 0 WHERE id = ?", prepared.dropout)
    begin(manager, address, "train")
    assert f"Model {prepared.dropout} is disabled; enable it first." in ended(manager, address)
    store(server, "UPDATE analytics_models SET enabled = 1 WHERE id = ?", prepared.dropout)


def test_a_run_that_is_stopped_or_killed_leaves_the_model_as_it_was(server, manager, address):
    for how in ("stop", "kill"):
        begin(manager, address, "evaluate")
        wait_for(lambda: children(server))
        if how == "stop":
            wait_for(lambda: "<progress" in manager.get(f"{address}/run").text)
            assert post(manager, f"{address}/stop", f"{address}/run").status_code == 303
        else:
            os.kill(children(server)[0], signal.SIGKILL)
        text = ended(manager, address)
        assert ("The run was stopped. Completed parts are kept" if how == "stop" else "ended without a result") in text
        wait_for(lambda: not children(server))
    assert manager.get(address).status_code == 200


def test_disable_and_enable_with_another_interval(server, manager, prepared, address):
    assert "is disabled." in manager.get(post(manager, f"{address}/disable", address).headers["location"]).text
    text = manager.get(address).text
    assert "Enable the model first" in text
    assert reader(server, "ana").get(f"/insights?context={prepared.course}&model={prepared.dropout}").status_code == 404
    told(post(manager, f"{address}/enable", address, interval=r"\evil\class"), 400)
    answer = post(manager, f"{address}/enable", address, interval=QUARTERS)
    assert "The model is enabled." in manager.get(answer.headers["location"]).text
    assert reader(server, "ana").get(f"/insights?context={prepared.course}&model={prepared.dropout}").status_code == 200


def test_predictions_by_course_and_invalid_elements(manager, prepared, address):
    text = manager.get(f"{address}/predictions").text
    assert f'href="/insights?context={prepared.course}&model={prepared.dropout}"' in text
    text = manager.get(f"{address}/invalid").text
    assert "The course has no students." in text
    assert 'data-name="What to do in Moodle">Enrol the students in the course with a role' in text
    assert 'data-name="Not for training"' in text


def losses_of(server, modelid):
    """What goes, as the pages list it."""
    queries = {
        "predictions": "SELECT COUNT(*) FROM analytics_predictions WHERE modelid = ?",
        "notifications": "SELECT COUNT(*) FROM analytics_notifications WHERE modelid = ?",
        "rows of training data": "SELECT SUM(numrows) FROM analytics_files WHERE modelid = ? AND area = 'labelled' "
        "AND analysableid IS NOT NULL",
    }
    return [f"<li>{store(server, query, modelid)[0][0]} {what}</li>" for what, query in queries.items()]


def test_another_interval_is_asked_about_with_what_goes(server, manager, prepared, address):
    before = store(server, "SELECT * FROM analytics_models")
    answer = post(manager, f"{address}/enable", address, interval=SINGLE_RANGE)
    text = unescape(answer.text)
    assert "<h1>Enable “Students at risk of dropping out” with this interval?</h1>" in text
    assert "The interval single_range cannot help students in time" in text
    for part in (*losses_of(server, prepared.dropout), "<li>the trained model</li>", f'<a href="{address}">Cancel</a>'):
        assert part in text
    assert "<script" not in text
    told(manager.post(f"{address}/enable", data={"interval": SINGLE_RANGE, "confirmed": "yes"}), 403)
    again = post(manager, f"{address}/enable", address, interval=SINGLE_RANGE, confirmed="yes")
    assert "This permanently deletes:" in again.text
    assert store(server, "SELECT * FROM analytics_models") == before


def test_clearing_is_confirmed_for_what_was_shown(server, manager, prepared, address):
    counted = "SELECT COUNT(*) FROM analytics_predictions WHERE modelid = ?"
    asked = post(manager, f"{address}/clear", address)
    assert all(part in asked.text for part in losses_of(server, prepared.dropout))
    store(server, "UPDATE analytics_predictions SET modelid = ? WHERE id = (SELECT MIN(id) FROM analytics_predictions "
          "WHERE modelid = ?)", prepared.static, prepared.dropout)  # fmt: skip
    again = confirm(manager, asked)
    assert all(part in again.text for part in losses_of(server, prepared.dropout))
    assert store(server, counted, prepared.dropout) != [(0,)]
    assert "The model is cleared." in manager.get(confirm(manager, again).headers["location"]).text
    assert store(server, counted, prepared.dropout) == [(0,)]
    assert "has no insights yet" in manager.get(f"{address}/predictions").text
    answer = post(manager, f"{address}/enable", address, interval=SINGLE_RANGE)
    assert "This deletes" not in answer.text, "there is nothing left to go"
    assert confirm(manager, answer).status_code == 303
    assert post(manager, f"{address}/enable", address, interval=QUARTERS).status_code == 303


def test_a_model_is_deleted_once_that_was_confirmed(server, manager, prepared):
    address = f"/analytics/models/{prepared.static}"
    asked = post(manager, f"{address}/delete", address)
    assert "<li>the model “" in asked.text
    assert "the trained model" not in asked.text
    assert manager.get(address).status_code == 200
    assert "The model is deleted." in manager.get(confirm(manager, asked).headers["location"]).text
    told(manager.get(address), 404)


def test_nobody_else_changes_a_model(server, prepared, address):
    """Even with a token of their own: a teacher, a user the site does not know, and a page from elsewhere."""
    ana = reader(server, "ana")
    good = re.search(r'name="token" value="([^"]+)"', ana.get(f"/insights?context={prepared.course}").text)[1]
    before = store(server, "SELECT * FROM analytics_models")
    for action in ("enable", "disable", "clear", "delete", "evaluate", "backtest", "train", "predict", "stop"):
        told(ana.post(f"{address}/{action}", data={"token": good, "confirmed": "yes"}), 403)
        told(reader(server, "moodle").post(f"{address}/{action}", data={"token": good, "confirmed": "yes"}), 403)
        told(reader(server, "manager").post(f"{address}/{action}", data={"confirmed": "yes"}), 403)
        headers = {"Sec-Fetch-Site": "cross-site"}
        told(post(reader(server, "manager"), f"{address}/{action}", address, headers=headers, confirmed="yes"), 403)
    assert store(server, "SELECT * FROM analytics_models") == before
    assert not children(server)


def test_the_server_takes_its_runs_with_it(server, manager, address):
    """The last test of this server: when it is killed, what it started ends as well."""
    begin(manager, address, "evaluate")
    wait_for(lambda: children(server))
    [child] = children(server)
    server.stop(signal.SIGKILL)
    wait_for(lambda: not about(child))
