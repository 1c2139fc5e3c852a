"""The pages for people: what they show, without scripts, on a wide and on a narrow window of a real browser."""

from __future__ import annotations

import re

import pytest

from fixtures.backend import MODELID, course_rows, simulated, write_labelled
from fixtures.paths import posix
from fixtures.servers import EVALUATION, HASH, LOGIN, evaluate, httpx, sentence, served, train

pytestmark = posix


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with a trained model that was evaluated three times."""
    folder = tmp_path_factory.mktemp("server")
    with served(folder) as server, server.client() as client:
        for seed in range(3):
            features, labels = course_rows(40, seed=seed, separable=seed > 0)
            data = write_labelled(folder / f"data{seed}", features, labels)
            assert evaluate(client, data).status_code == 200
        assert train(client, data).json()["status"] == 0
        yield server


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


def test_the_list_of_models(client):
    found = client.get("/")
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    for part in (
        f"/models/{MODELID}/{HASH}",
        f"/models/{MODELID}/{EVALUATION}",
        "40 rows",
        "logistic_regression",
        "Queue",
    ):
        assert part in found.text
    assert "1 of 1 workers are running" in found.text
    assert found.headers["refresh"] == "30"
    assert "refresh" not in client.get("/?refresh=off").headers, "whoever reads slowly can stop it"


def test_a_model_its_runs_scores_and_figures(client):
    text = client.get(f"/models/{MODELID}/{EVALUATION}").text
    assert text.count("<circle") == 3
    assert text.count('data-name="Kind">evaluation') == 3
    figures = re.findall(r'src="(/models/[^"]+\.png)"', text)
    assert len(figures) == 3 * 7
    shown = client.get(figures[0])
    assert (shown.headers["content-type"], shown.content[:4]) == ("image/png", b"\x89PNG")
    (address, *_) = re.findall(r'href="(/models/[^"]+/report\.html)"', text)
    report = client.get(address)
    assert "predicts well enough" in report.text
    assert report.headers["content-type"].startswith("text/html")
    policy = report.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "both-splits" not in text, "of single rows there is one figure"
    trained = client.get(f"/models/{MODELID}/{HASH}").text
    assert 'data-name="Kind">training' in trained
    assert "<circle" not in trained


def test_a_run_of_whole_courses_shows_new_and_seen_ones(client, tmp_path):
    data = simulated(courses=10)
    path = write_labelled(tmp_path / "data", data.features, data.labels, columns=list(data.columns))
    result = evaluate(client, path, uniqueid="courses").json()
    text = client.get(f"/models/courses/{EVALUATION}").text
    assert re.search(r"<th[^>]*>In new courses</th><th[^>]*>In courses it has seen</th>", text)
    assert f'data-name="In courses it has seen" class="number">{result["seen"]["score"]:.3f}<' in text


def test_pages_that_are_not_there(client):
    sentence(client.get(f"/models/none/{HASH}"), 404)
    sentence(client.get(f"/models/{MODELID}/{EVALUATION}/runs/1/roc-curve.png"), 404)
    sentence(client.get(f"/models/{MODELID}/{EVALUATION}/runs/1/report.html"), 404)
    sentence(client.get("/nowhere"), 404)


def test_no_page_has_a_script_or_anything_from_elsewhere(client):
    for path in ("/", "/docs", f"/models/{MODELID}/{EVALUATION}"):
        found = client.get(path)
        assert "<script" not in found.text
        assert not re.search(r'(?:src|href)="(?:https?:)?//', found.text)
        assert "default-src 'none'" in found.headers["content-security-policy"]


def test_the_interface_is_described(server):
    document = httpx.get(f"{server.url}/openapi.json").json()
    paths = {
        "/version",
        "/training",
        "/prediction",
        "/evaluation",
        "/evaluationlog",
        "/export",
        "/import",
        "/deletemodel",
    }
    assert paths | {"/health/live", "/health/ready", "/metrics"} == set(document["paths"])
    page = httpx.get(f"{server.url}/docs").text
    assert all(path in page for path in paths)
    assert "trainedmodeldirhash" in page


@pytest.mark.parametrize("width", [1280, 360])
def test_in_a_browser(server, browser, tmp_path, width):
    waits = pytest.importorskip("selenium.webdriver.support.ui", reason="needs selenium").WebDriverWait
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.delete_all_cookies()
    browser.get(server.url)
    for name, text in zip(("user", "password"), LOGIN, strict=True):
        browser.find_element("id", name).send_keys(text)
    browser.find_element("css selector", "main button").click()
    waits(browser, 20).until(lambda _: "Models" in browser.title)
    look(browser, width, tmp_path / f"index-{width}.png")
    browser.get(f"{server.url}/models/{MODELID}/{EVALUATION}")
    assert len(browser.find_elements("css selector", "svg circle")) == 3
    images = browser.find_elements("css selector", "figure img")
    assert len(images) == 3 * 7
    assert int(images[0].get_property("naturalWidth")) > 100
    look(browser, width, tmp_path / f"model-{width}.png")
    browser.get(f"{server.url}/docs")
    look(browser, width, tmp_path / f"docs-{width}.png")
    complaints = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not complaints, complaints


def look(browser, width: int, picture) -> None:
    """Nothing is wider than the window, and there is something to see."""
    page = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    assert page["width"] <= width
    browser.save_screenshot(str(picture))
    assert picture.stat().st_size > 5000
