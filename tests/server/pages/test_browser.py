"""The pages of a Moodle site in a real browser: wide and narrow, light and dark, without a script, with axe."""

from __future__ import annotations

import pytest

from fixtures.pages import PASSWORD, axe, ids, log_in, log_out, reader, show, violations
from fixtures.paths import posix

pytestmark = posix


@pytest.fixture(scope="module")
def server(pages_server):
    return pages_server


@pytest.fixture
def window(browser):
    yield browser
    log_out(browser)


def addresses(server, prepared):
    """Every page, with the user who looks at it."""
    course = f"/insights?context={prepared.course}"
    one = ids(reader(server, "ana").get(course).text)[0]
    model = f"/analytics/models/{prepared.dropout}"
    return {
        "insights": ("ana", "/insights"),
        "course": ("ana", course),
        "insight": ("ana", f"/insights/{one}"),
        "dealt-with": ("ana", f"{course}&show=done"),
        "notifications": ("manager", "/notifications"),
        "login": ("ana", "/login"),
        "none": ("sam", "/insights"),
        "refusal": ("sam", "/analytics"),
        "models": ("manager", "/analytics"),
        "recipients": ("manager", "/analytics/notifications"),
        "courses": ("manager", "/analytics/courses"),
        "model": ("manager", model),
        "static": ("manager", f"/analytics/models/{prepared.static}"),
        "log": ("manager", f"{model}/log"),
        "predictions": ("manager", f"{model}/predictions"),
        "invalid": ("manager", f"{model}/invalid"),
    }


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, False), (360, True)])
def test_every_page_fits_and_axe_finds_nothing(server, prepared, window, width, dark, tmp_path):
    script = axe()
    show(window, width, dark=dark)
    for name, (user, path) in addresses(server, prepared).items():
        log_in(window, user)
        window.get(server.url + path)
        page = window.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        assert page["width"] <= width, name
        assert window.find_element("tag name", "h1").text
        assert not violations(window, script), name
        picture = tmp_path / f"{name}.png"
        window.save_screenshot(str(picture))
        assert picture.stat().st_size > 5000
    said = [one["message"] for one in window.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]
    assert [one for one in said if "403 (Forbidden)" not in one] == []


def test_axe_would_find_something(server, window):
    log_in(window, "ana")
    window.get(f"{server.url}/insights")
    window.execute_script("document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"data:,\">')")
    assert any(one.startswith("image-alt") for one in violations(window, axe()))


def test_a_teacher_without_scripts_and_without_a_mouse(server, prepared, window):
    """Acknowledge one and undo it, again, look at what was dealt with, and take it back: with the keyboard alone."""
    from selenium.webdriver.common.keys import Keys

    show(window, 360, dark=False)
    window.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    log_in(window, "ana")
    window.get(f"{server.url}/insights?context={prepared.course}&model={prepared.dropout}")
    before = window.find_elements("css selector", "li.insight")
    body = window.find_element("tag name", "body")
    body.send_keys(Keys.TAB)
    assert window.switch_to.active_element.get_attribute("class") == "skip"
    window.find_element("css selector", ".insight .box input").send_keys(Keys.SPACE)
    button = window.find_element("css selector", ".bulk button")
    assert button.text == "Acknowledge"
    button.send_keys(Keys.ENTER)
    until(lambda: "no longer in your list" in status(window))
    assert len(window.find_elements("css selector", "li.insight")) == len(before) - 1
    window.find_element("css selector", "[role=status] button").send_keys(Keys.ENTER)
    until(lambda: "in your list again" in status(window))
    window.find_element("css selector", ".insight .actions button").send_keys(Keys.ENTER)
    until(lambda: "no longer in your list" in status(window))
    window.find_element("partial link text", "Dealt with (").send_keys(Keys.ENTER)
    until(lambda: "Dealt with" in window.title)
    window.find_element("css selector", "main button").send_keys(Keys.ENTER)
    until(lambda: "in your list again" in status(window))


def test_a_person_logs_in_and_out(server, prepared, window):
    """With the keyboard alone: a wrong password first, then the page that was asked for, and out by the button."""
    from selenium.webdriver.common.keys import Keys

    def send(password):
        window.switch_to.active_element.send_keys(password, Keys.ENTER)

    show(window, 360, dark=False)
    window.get(f"{server.url}/insights?context={prepared.course}")
    assert window.find_element("tag name", "h1").text == "Log in"
    window.switch_to.active_element.send_keys("ana", Keys.TAB)
    send("wrong")
    until(lambda: window.find_element("id", "trouble").text == "Wrong user name or password.")
    assert not violations(window, axe())
    assert window.find_element("id", "user").get_attribute("value") == "ana"
    assert window.switch_to.active_element.get_attribute("aria-describedby") == "trouble"
    send(PASSWORD)
    until(lambda: window.current_url.endswith(f"/insights?context={prepared.course}"))
    assert not violations(window, axe())
    window.find_element("css selector", "header button").send_keys(Keys.ENTER)
    until(lambda: status(window) == "You are logged out.")
    window.get(f"{server.url}/insights")
    assert window.find_element("tag name", "h1").text == "Log in"


def test_a_hostile_name_runs_nothing(server, prepared, window):
    show(window, 1280, dark=False)
    log_in(window, "ana")
    window.get(f"{server.url}/insights?context={prepared.course}")
    assert "<script>alert('x')</script>" in window.find_element("tag name", "h1").text
    assert not window.find_elements("css selector", "main script, main img")


def test_a_form_of_another_site_does_nothing(server, prepared, window, tmp_path):
    """A page of elsewhere has the browser send a form, with the login that it sends on its own."""
    ana = reader(server, "ana")
    course = f"/insights?context={prepared.course}&model={prepared.dropout}"
    before = ids(ana.get(course).text)
    evil = tmp_path / "evil.html"
    evil.write_text(
        f'<form method="post" action="{server.url}/insights/act"><input name="one" value="fixed-{before[0]}">'
        "<button>Win a prize</button></form>",
        "utf-8",
    )
    log_in(window, "ana")
    window.get(evil.as_uri())
    window.find_element("tag name", "button").click()
    until(lambda: "The form was not sent from a page of this server" in window.find_element("tag name", "main").text)
    assert ids(ana.get(course).text) == before


def test_a_manager_enables_and_looks_at_a_run(server, prepared, window):
    show(window, 1280, dark=False)
    window.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    log_in(window, "manager")
    window.get(f"{server.url}/analytics/models/{prepared.static}")
    window.find_element("css selector", "form[action$=disable] button").click()
    until(lambda: status(window) == "The model is disabled.")
    window.find_element("css selector", "form[action$=enable] button").click()
    until(lambda: status(window) == "The model is enabled.")
    window.find_element("css selector", "form[action$=predict] button").click()
    until(lambda: window.current_url.endswith(f"/analytics/models/{prepared.static}/run"))
    assert "Prediction: " in window.find_element("tag name", "h1").text
    until(lambda: "running" not in window.find_element("tag name", "main").text)
    assert "done" in window.find_element("css selector", "dl").text


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)])
def test_what_is_asked_before_something_is_deleted_or_learned(server, prepared, window, width, dark):
    """Cancel leaves all as it was; a notice offers to undo."""
    script, course = axe(), f"{server.url}/insights?context={prepared.course}&model={prepared.dropout}"
    show(window, width, dark=dark)
    log_in(window, "manager")
    for page, button, title in (
        (f"{server.url}/analytics/models/{prepared.dropout}", "form[action$=clear] button", "Clear “"),
        (f"{server.url}/analytics/models/{prepared.dropout}", "form[action$=delete] button", "Delete “"),
        (course, ".insight button[value^=incorrectlyflagged]", "Mark this insight as not useful?"),
    ):
        window.get(page)
        click(window, button)
        until(lambda: window.find_element("tag name", "h1").text.startswith(title))  # noqa: B023  it is waited for
        assert window.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["width"] <= width
        assert not violations(window, script)
        window.find_element("link text", "Cancel").click()
        until(lambda: window.current_url == page)  # noqa: B023  it is waited for
    click(window, ".insight button[value^=fixed]")
    until(lambda: "no longer in your list" in status(window))
    assert not violations(window, script)
    click(window, "[role=status] button")
    until(lambda: "in your list again" in status(window))


def click(window, css):
    """Click on something once it is there: an address changes before its page has come."""
    until(lambda: window.find_element("css selector", css).click() is None)


def status(window):
    """What the page says that it has done."""
    return window.find_element("css selector", "[role=status]").text


def until(true):
    """Wait for a page that is still to come."""
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
    from selenium.webdriver.support.wait import WebDriverWait

    ignored = (NoSuchElementException, StaleElementReferenceException)
    WebDriverWait(None, 90, ignored_exceptions=ignored).until(lambda _: true())
