"""What came of a scheduled task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..command import Answer
from ..exit_codes import FAILED, OK
from ..models.shared import print_figures
from ..output import print_line, print_sentence

if TYPE_CHECKING:
    from moodlemlbackend.analytics.lifecycle.tasks import TaskSummary


def task_answer(summary: TaskSummary) -> Answer:
    """What people and programs are told of a task."""
    return Answer(summary.as_dict(), lambda: _show(summary), FAILED if summary.failed else OK, summary.info)


def _show(summary: TaskSummary) -> None:
    for sentence in summary.info:
        print_sentence(sentence)
    for result in summary.results:
        print_figures(result)
    if summary.removed:
        print_line("Removed: " + ", ".join(f"{number} {name}" for name, number in summary.removed.items()) + ".")
    if summary.delivered and summary.task == "predict":
        print_sentence(summary.delivered.switch)
    if summary.delivered:
        sent = ", ".join(f"{number} by {channel}" for channel, number in summary.delivered.sent.items()) or "nothing"
        unwanted = f"; no longer wanted: {summary.delivered.unwanted}" if summary.delivered.unwanted else ""
        print_line(f"Sent: {sent}; waiting: {summary.delivered.waiting}{unwanted}.")
        for problem in summary.delivered.problems:
            print_sentence(problem)
    if summary.messages and (summary.messages.sent or summary.messages.waiting or summary.messages.given_up):
        done, waiting, given_up = summary.messages.sent, summary.messages.waiting, summary.messages.given_up
        print_line(f"Teachers' messages to students: {done} sent, {waiting} waiting, {given_up} given up.")
        for problem in summary.messages.problems:
            print_sentence(problem)
    print_line(f"Done in {summary.seconds:.1f} s.")
