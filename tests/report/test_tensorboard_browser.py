"""TensorBoard itself, running, on the runs of a model, looked at in a real browser."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

from fixtures.backend import Backend, simulated
from fixtures.paths import posix

pytestmark = posix

DEEP_TEXT = """
const texts = [];
const walk = (node) => {
  if (node.nodeType === Node.TEXT_NODE) { if (node.data.trim()) texts.push(node.data.trim()); return; }
  if (['STYLE', 'SCRIPT', 'TEMPLATE', 'DOM-MODULE'].includes(node.nodeName)) return;
  if (node.shadowRoot) walk(node.shadowRoot);
  for (const child of node.childNodes) walk(child);
};
walk(document.body);
return texts.join('\\n');
"""
"""All text of the page, also that of web components."""

OPEN_GROUP = """
const open = (root) => {
  for (const one of root.querySelectorAll('*')) {
    if (one.matches('button.heading') && one.innerText.includes(arguments[0])) one.click();
    if (one.shadowRoot) open(one.shadowRoot);
  }
};
open(document);
"""
"""Open a group of charts that is closed at first."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where TensorBoard shows two evaluations of one model with different processors."""
    folder = tmp_path_factory.mktemp("board")
    data = simulated()
    for processor in ("neural_network", "logistic_regression"):
        Backend(folder, processor).evaluate(data.features, data.labels, iterations=2)
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", folder, "--port", "0", "--host", "127.0.0.1"]
    with subprocess.Popen(
        [*command, "--load_fast", "false"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as board:
        try:
            assert board.stdout is not None
            lines = iter(board.stdout.readline, "")
            yield next(found[0] for line in lines if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))
        finally:
            board.terminate()


def wait_for_text(browser, *parts: str, seconds: float = 40) -> str:
    """Return the page's text once it has all these parts."""
    end = time.monotonic() + seconds
    while True:
        text = str(browser.execute_script(DEEP_TEXT))
        if all(part in text for part in parts):
            return text
        assert time.monotonic() < end, f"{[part for part in parts if part not in text]} are not in\n{text}"
        time.sleep(0.3)


def test_scalars(browser, address):
    browser.get(f"{address}#scalars")
    wait_for_text(browser, "training", "held out", "mcc", "split-1")
    browser.execute_script(OPEN_GROUP, "training")
    for name in ("loss", "mcc", "auc", "held_out_loss", "learning_rate"):
        wait_for_text(browser, f"training/{name}")


def test_hyperparameters(browser, address):
    browser.get(f"{address}#hparams")
    wait_for_text(browser, "neural_network", "logistic_regression", "processor", "seed", "time splitting", "f1_score")


def test_precision_recall_curves(browser, address):
    browser.get(f"{address}#pr_curves")
    text = wait_for_text(browser, "precision and recall", "split-1")
    assert "No precision–recall curve data was found" not in text
