"""Managers make, change, import and export models in the pages, by the rules of the commands."""

from __future__ import annotations

import io
import json
import re
import zipfile
from html import unescape

import pytest

from fixtures.pages import (
    DROPOUT,
    QUARTERS,
    axe,
    log_in,
    log_out,
    manager,
    post,
    reader,
    server,
    show,
    store,
    token,
    told,
    violations,
)
from fixtures.paths import posix

pytestmark = posix
_ = (server, manager)  # fixtures

NEW, IMPORT = "/analytics/models/new", "/analytics/import"
FORM = f"{NEW}?target={DROPOUT}"
READ = r"\core\analytics\indicator\read_actions"
WROTE = r"\core\analytics\indicator\any_write_action_in_course"


@pytest.fixture(scope="module")
def address(prepared):
    return f"/analytics/models/{prepared.dropout}"


def model(server, modelid):
    query = (
        "SELECT name, timesplitting, predictionsprocessor, indicators, contextids FROM analytics_models WHERE id = ?"
    )
    [(name, interval, processor, indicators, contexts)] = store(server, query, modelid)
    return name, interval, processor, json.loads(indicators), json.loads(contexts or "[]")


def checked(text, name):
    """The values of the boxes of a name that are checked."""
    found = re.findall(rf'<input type="checkbox" name="{name}" value="([^"]+)" checked', text)
    return [unescape(one) for one in found]


def made(answer):
    assert answer.status_code == 303, unescape(answer.text)
    return int(re.fullmatch(r"/analytics/models/(\d+)\?done=\w+", answer.headers["location"])[1])


def send_package(manager, content, name="package"):
    data = {"token": token(manager, IMPORT)}
    return manager.post(IMPORT, data=data, files={name: ("x.zip", content, "application/zip")})


def test_the_form_begins_with_what_the_core_model_has(manager):
    text = unescape(manager.get(NEW).text)
    assert f'value="{DROPOUT}"' in text
    text = manager.get(FORM).text
    chosen = checked(text, "indicator")
    assert READ in chosen
    assert len(chosen) == 49
    assert r"\core\analytics\indicator\any_course_access" not in chosen
    assert "too late to help a student" in text
    assert "<legend>Work on activities</legend>" in text
    told(manager.get(f"{NEW}?target=x"), 404)


def test_courses_are_found_by_name_and_what_was_typed_stays(server, manager, prepared):
    """A search, another one, and the model with the courses that were chosen."""
    typed = {"target": DROPOUT, "name": "My <pilot>", "interval": QUARTERS, "indicator": [READ, WROTE]}
    text = post(manager, NEW, FORM, **typed, search="alert('x')", find="yes").text
    assert 'value="My &lt;pilot&gt;"' in text
    assert sorted(checked(text, "indicator")) == [WROTE, READ]
    [course] = re.findall(r'name="context" value="(\d+)">', text)
    assert int(course) == prepared.course
    assert '<p role="status">One more found.</p>' in text
    text = post(manager, NEW, FORM, **typed, context=[course], search="category", find="yes").text
    assert checked(text, "context") == [course]
    category, name = re.search(r'name="context" value="(\d+)">(Category [^<]+)</label>', text).groups()
    typed |= {"context": [course, category], "processor": "logistic_regression"}
    modelid = made(post(manager, NEW, FORM, **typed))
    contexts = sorted([int(course), int(category)])
    assert model(server, modelid) == ("My <pilot>", QUARTERS, "logistic_regression", [READ, WROTE], contexts)
    text = manager.get(f"/analytics/models/{modelid}?done=create").text
    assert "The model is created." in text
    assert name in text
    assert store(server, "SELECT enabled, trained FROM analytics_models WHERE id = ?", modelid) == [(0, 0)]


def test_errors_name_the_field_and_keep_what_was_typed(server, manager):
    before = store(server, "SELECT * FROM analytics_models")
    wrong = {"name": "x" * 2000, "interval": r"\evil", "processor": "evil", "context": ["999999"]}
    answer = post(manager, NEW, FORM, target=DROPOUT, **wrong)
    text = unescape(answer.text)
    assert "<title>Error: Create a model" in text
    for name in ("name", "interval", "processor", "contexts", "indicators"):
        sentence = re.search(rf'<p class="trouble" id="{name}-error">([^<]+)</p>', text)[1]
        assert f'<a href="#{name}">' in text
        assert text.count(sentence) == 2
    assert 'value="' + "x" * 2000 in text
    text = unescape(post(manager, NEW, FORM, target=DROPOUT, indicator=[r"\evil\x"]).text)
    assert re.search(r'id="indicators-error">[^<]*evil', text)
    told(post(manager, NEW, FORM, target=r"\evil"), 404)
    told(post(manager, NEW, FORM, target=DROPOUT, context=["-1"]), 400)
    assert store(server, "SELECT * FROM analytics_models") == before


def test_a_trained_model_goes_out_and_comes_in_with_what_it_has_learned(server, manager, address):
    content = manager.get(f"{address}/package?weights=yes").content
    text = send_package(manager, content).text
    assert 'name="weights" value="yes" checked' in text
    fields = {"digest": re.search(r'name="digest" value="(\w+)"', text)[1], "token": token(manager, IMPORT)}
    modelid = made(manager.post(f"{IMPORT}/take", data={**fields, "weights": "yes"}))
    assert store(server, "SELECT enabled, trained FROM analytics_models WHERE id = ?", modelid) == [(0, 1)]


def test_another_name_is_no_new_version_and_other_indicators_are_asked_about(server, manager, prepared, address):
    page = f"{address}/edit"
    before = store(server, "SELECT version FROM analytics_models WHERE id = ?", prepared.dropout)
    text = manager.get(page).text
    same = {"interval": QUARTERS, "processor": "logistic_regression", "indicator": checked(text, "indicator")}
    assert made(post(manager, page, page, **same, name="Pilot")) == prepared.dropout
    assert store(server, "SELECT version FROM analytics_models WHERE id = ?", prepared.dropout) == before
    fewer = {**same, "name": "Fewer", "indicator": [READ, WROTE]}
    text = post(manager, page, page, **fewer).text
    assert "Change “Pilot”?" in text
    assert re.search(r"<li>\d+ predictions</li>", text)
    assert model(server, prepared.dropout)[0] == "Pilot"
    key = re.search(r'name="confirmed" value="(\w+)"', text)[1]
    fields = re.findall(r'<input type="hidden" name="(indicator)" value="([^"]+)">', text)
    assert len(fields) == 2
    assert made(post(manager, page, page, **fewer, confirmed=key)) == prepared.dropout
    assert model(server, prepared.dropout)[0] == "Fewer"
    assert set(model(server, prepared.dropout)[3]) == {READ, WROTE}
    assert "choose an interval" in unescape(post(manager, page, page, **{**fewer, "interval": ""}).text).lower()


def test_a_rule_based_model_keeps_its_indicators(server, manager, prepared):
    page = f"/analytics/models/{prepared.static}/edit"
    text = manager.get(page).text
    assert "rule-based" in text
    assert 'type="checkbox" name="indicator"' not in text
    before = model(server, prepared.static)
    made(post(manager, page, page, name="Rules", interval=before[1], indicator=[READ]))
    assert model(server, prepared.static) == ("Rules", *before[1:])


@pytest.fixture(scope="module")
def package(server, manager):
    """The package of a model without weights."""
    modelid = made(post(manager, NEW, FORM, target=DROPOUT, name="Out", interval=QUARTERS, indicator=[READ]))
    answer = manager.get(f"/analytics/models/{modelid}/package")
    assert answer.headers["content-type"] == "application/zip"
    name = f"course_dropout-{modelid}-configuration.zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    told(manager.get(f"/analytics/models/{modelid}/package?weights=yes"), 409)
    return answer.content


def test_a_package_is_shown_before_it_is_imported(server, manager, package):
    before = store(server, "SELECT COUNT(*) FROM analytics_models")
    text = unescape(send_package(manager, package).text)
    for part in ("Import: Students at risk of dropping out", "quarters of the course", "not in the package",
                 "There is already a model like this one.", ">Out</a>"):  # fmt: skip
        assert part in text
    assert store(server, "SELECT COUNT(*) FROM analytics_models") == before
    fields = {"digest": re.search(r'name="digest" value="(\w+)"', text)[1], "token": token(manager, IMPORT)}
    take = f"{IMPORT}/take"
    text = unescape(manager.post(take, data={**fields, "name": "x" * 2000}).text)
    assert 'role="alert" lang="en">The name is too long; a model\'s name may have at most 1333 characters.</p>' in text
    assert "no longer there" in manager.post(take, data={**fields, "digest": "0"}).text
    modelid = made(manager.post(take, data={**fields, "name": "In"}))
    assert model(server, modelid)[:2] == ("In", QUARTERS)
    assert "no longer there" in manager.post(take, data=fields).text
    assert not [*(server.folder / "work" / "uploads").iterdir()]


def with_configuration(package, **changes):
    """The package with another configuration."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        configuration = json.loads(archive.read("model-config.json"))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("model-config.json", json.dumps({**configuration, **changes}))
    return content.getvalue()


def test_what_is_no_package_is_refused_in_a_sentence_at_the_field(server, manager, package):
    outside = io.BytesIO()
    with zipfile.ZipFile(outside, "w") as archive:
        archive.writestr("../../evil", "x")
    before = store(server, "SELECT COUNT(*) FROM analytics_models")
    for content in (b"", b"no zip", outside.getvalue(), with_configuration(package, target=r"\evil\target\x"),
                    with_configuration(package, dependencies={"mod_evil": 1})):  # fmt: skip
        text = unescape(send_package(manager, content).text)
        sentence = re.search(r'id="package-error">([^<]+)</p>', text)[1]
        assert sentence.endswith(".")
        assert str(server.folder) not in text
        assert "<title>Error: Import a model" in text
    assert not [*(server.folder / "work" / "uploads").iterdir()]
    text = send_package(manager, with_configuration(package, dependencies={"core": 1})).text
    assert 'name="versions" value="yes" required' in text
    told(send_package(manager, package, name="other"), 400)
    assert store(server, "SELECT COUNT(*) FROM analytics_models") == before


def test_only_managers_and_only_from_these_pages(server, manager, prepared, address, package):
    ana = reader(server, "ana")
    good = re.search(r'name="token" value="([^"]+)"', ana.get(f"/insights?context={prepared.course}").text)[1]
    before = store(server, "SELECT * FROM analytics_models")
    for path in (NEW, FORM, IMPORT, f"{address}/edit", f"{address}/package"):
        told(ana.get(path), 403)
    files = {"package": ("x.zip", package, "application/zip")}
    for path in (NEW, f"{address}/edit", f"{IMPORT}/take"):
        told(ana.post(path, data={"token": good, "target": DROPOUT}), 403)
        told(manager.post(path, data={"target": DROPOUT}), 403)
        told(post(manager, path, IMPORT, headers={"Sec-Fetch-Site": "cross-site"}, target=DROPOUT), 403)
    told(ana.post(IMPORT, data={"token": good}, files=files), 403)
    told(manager.post(IMPORT, data={"token": good}, files=files), 403)
    headers = {"Sec-Fetch-Site": "cross-site"}
    told(manager.post(IMPORT, data={"token": token(manager, IMPORT)}, files=files, headers=headers), 403)
    assert store(server, "SELECT * FROM analytics_models") == before


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_forms_fit_and_axe_finds_nothing(server, manager, address, browser, package, tmp_path, width, dark):
    from selenium.webdriver.support.expected_conditions import staleness_of
    from selenium.webdriver.support.wait import WebDriverWait

    script = axe()
    archive = tmp_path / "package.zip"
    archive.write_bytes(with_configuration(package, dependencies={"core": 1}))

    def look(name):
        assert browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["width"] <= width, name
        assert not violations(browser, script), name

    def wait_for(by, value):
        WebDriverWait(browser, 60).until(lambda page: page.find_element(by, value))

    try:
        show(browser, width, dark=dark)
        log_in(browser, "manager")
        for path in ("/analytics", NEW, FORM, f"{address}/edit", address, IMPORT):
            browser.get(f"{server.url}{path}")
            look(path)
        browser.get(f"{server.url}{IMPORT}")
        browser.find_element("name", "package").send_keys(str(archive))
        browser.find_element("css selector", "main form button").click()
        wait_for("name", "digest")
        look("package")
        cancel = browser.find_element("css selector", "button[value=cancel]")
        cancel.click()
        WebDriverWait(browser, 60).until(staleness_of(cancel))
        browser.get(f"{server.url}{FORM}")
        browser.execute_script("document.querySelectorAll('[name=indicator]').forEach(one => { one.checked = false })")
        browser.find_element("name", "search").send_keys("category")
        browser.find_element("name", "find").click()
        wait_for("css selector", "#contexts [role=status]")
        look("search")
        browser.find_element("css selector", ".actions button").click()
        wait_for("id", "indicators-error")
        look("errors")
    finally:
        log_out(browser)
        browser.get_log("browser")
