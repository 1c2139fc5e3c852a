"""A teacher's task in a browser: write to the three students most at risk whom nobody has contacted yet.

Steps and seconds from opening the course to the message that says what was sent, without a script that hurries: every
step is a click, as a person would make it, and waits for the page that it asks for. The seconds are those of the
machine, not of a reader. Site and store are those of ``pages.py``; the mails go to a mail server of this process.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from pages import simulate
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from fixtures.mail_server import Inbox, smtp_server
from fixtures.pages import log_in
from fixtures.servers import served

STUDENTS = 3
PATIENCE = 60


class Task:
    """Steps in a browser, each with the seconds until the page was there."""

    def __init__(self, browser: Any) -> None:
        self.browser, self.steps, self._began = browser, [], time.perf_counter()

    def open(self, what: str, address: str) -> None:
        """Go to an address."""
        self.browser.get(address)
        self._took(what)

    def click(self, what: str, css: str, *, leaves: bool) -> None:
        """Click on something, and wait for the next page if it ``leaves`` this one."""
        element = self.browser.find_element(By.CSS_SELECTOR, css)
        element.click()
        if leaves:
            WebDriverWait(self.browser, PATIENCE).until(staleness_of(element))
        self._took(what)

    def _took(self, what: str) -> None:
        now = time.perf_counter()
        self.steps.append((what, now - self._began))
        self._began = now


def write_to_three(browser: Any, url: str, course: int) -> Task:
    """From the course's page to what became of the messages."""
    task = Task(browser)
    task.open("open the course", f"{url}/courses/{course}")
    task.click("show those at high risk who were not contacted", "a[href*='contact=todo']", leaves=True)
    for number in range(1, STUDENTS + 1):
        task.click(
            f"select student {number}", f"#students tbody tr:nth-of-type({number}) input[type=checkbox]", leaves=False
        )
    task.click("write to them", "button[formaction$='/write']", leaves=True)
    task.click("preview", "button[value=preview]", leaves=True)
    task.click("send", "button[value=send]", leaves=True)
    return task


def main() -> None:
    """Print the steps."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = simulate(folder)
        inbox = Inbox()
        with smtp_server(inbox) as port:
            env = {
                "MOODLEMLBACKEND_SITE": f"sqlite:///{folder / 'site.sqlite'}",
                "MOODLEMLBACKEND_DIRECTORY": str(folder / "work"),
                "MOODLEMLBACKEND_SMTP_HOST": "127.0.0.1", "MOODLEMLBACKEND_SMTP_PORT": str(port),
                "MOODLEMLBACKEND_SMTP_SECURITY": "none", "MOODLEMLBACKEND_MAIL_FROM": "moodle@example.org",
                "PEOPLE": "ana:correct horse",
            }  # fmt: skip
            options = webdriver.ChromeOptions()
            options.binary_location = shutil.which("chromium") or ""
            for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
                options.add_argument(argument)
            browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
            try:
                with served(folder / "server", **env) as server:
                    log_in(browser, "ana")
                    task = write_to_three(browser, server.url, made["course"])
                    result = browser.find_element(By.TAG_NAME, "main").text
            finally:
                browser.quit()
        for what, seconds in task.steps:
            print(f"{what:<50}{seconds:>7.2f} s")
        print(
            f"{len(task.steps)} steps, {sum(seconds for _, seconds in task.steps):.2f} s; {len(inbox.messages)} mails"
        )
        print(result.splitlines()[1:4])


if __name__ == "__main__":
    main()
