"""``python -m moodlemlbackend.server.jobs.run_worker``: a run that was started from a page, for :mod:`.page_runs`.

What to do is a line of JSON on standard input. When that input ends, so does the process, with all that it started.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from moodlemlbackend.errors import BackendError, InterruptedRunError, Status
from moodlemlbackend.runtime.progress import READING, WRITING, QuietReporter, report_to
from moodlemlbackend.server.logs import describe_fault

if TYPE_CHECKING:
    from moodlemlbackend.analytics.features.analysis import Result
    from moodlemlbackend.analytics.lifecycle import RunResult

PROGRESS_SECONDS = 0.2
PHASES = {READING: "reads", WRITING: "writes"}
"""What a processor does before and after it learns."""

SENDING = "sending"
"""The stage after a prediction."""

GRACE_SECONDS = 5.0


class RunEvents(QuietReporter):
    """Writes what happens: the stages of the run, and how far each has come."""

    def __init__(self) -> None:
        super().__init__()
        self._total = 0
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # what else is printed is not for the server
        self._seen: set[int] = set()
        self._last = 0.0

    def write(self, event: str, **facts: Any) -> None:
        """Write a line."""
        self._out.write(json.dumps({"event": event, **facts}) + "\n")
        self._out.flush()

    def stage(self, name: str, **about: Any) -> None:
        """Write that a stage begins."""
        self.write("stage", stage=name, **about)
        self._last = 0.0

    def progress(self, stage: str, done: int, total: int) -> None:
        """Write what the processor is at, and how far it has come."""
        if total:
            self.write_progress(done, total)
        elif stage in PHASES:
            self.write("phase", phase=PHASES[stage])

    def write_progress(self, done: int, total: int, name: str = "") -> None:
        """Write how far the stage has come, now and then and at its end; ``name`` is what was done last."""
        if done >= total or time.monotonic() - self._last >= PROGRESS_SECONDS:
            self._last = time.monotonic()
            self.write("progress", done=done, total=total, name=name)

    def expect(self, total: int) -> None:
        """Note how much there is to be analysed."""
        self._total = total

    def count_analysed(self, result: Result) -> None:
        """Count what has been analysed."""
        self._seen.add(int(result.analysable.id))
        self.write_progress(len(self._seen), self._total, result.analysable.name)

    def count_past(self, name: str, number: int, courses: int) -> None:
        """Write of how many courses the past has been read."""
        self.write_progress(number, courses, name)


def main() -> None:
    """Do what the line says."""
    events = RunEvents()
    report_to(events)
    order = json.loads(sys.stdin.buffer.readline())
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        result = _perform(events, **order)
    except BackendError as error:
        events.write("refused", sentence=str(error))
        sys.exit(1)
    except Exception as error:
        events.write("fault", fault=describe_fault(error))
        sys.exit(1)
    failed = bool(result.status & Status.GENERAL_ERROR)
    evaluations = [
        {"interval": evaluation.interval, "score": evaluation.score, "past": evaluation.past}
        for evaluation in result.evaluations
        if evaluation.logid is not None
    ]
    events.write("done", info=result.info, figures=result.figures, evaluations=evaluations, failed=failed)


def _perform(events: RunEvents, task: str, modelid: int, userid: int, **options: Any) -> RunResult:
    from moodlemlbackend.analytics import lifecycle, models
    from moodlemlbackend.analytics.features import definitions
    from moodlemlbackend.analytics.lifecycle.opening import open_workspace
    from moodlemlbackend.analytics.lifecycle.sending import send_due
    from moodlemlbackend.analytics.site import open_configured
    from moodlemlbackend.cluster import using
    from moodlemlbackend.settings.analytics import load_analytics_settings
    from moodlemlbackend.settings.backend import load_settings

    settings, where = load_analytics_settings(), load_settings()
    workspace = open_workspace(settings, userid=userid)
    with (
        using(where.cluster, where.cluster_files),
        open_configured(settings) as site,
    ):
        with workspace.store.read() as connection:
            model = models.get(connection, modelid)
        analysables = definitions.analyser(model.target).rows(site, model.contexts or ())
        events.expect(len(analysables))
        shown: dict[str, Any] = {"shown": events.count_past if task == "backtest" else events.count_analysed}
        if task == "evaluate":
            shown["shown_past"] = events.count_past
        result: RunResult = getattr(lifecycle, task)(workspace, site, modelid, **shown, **options)
        if task == "predict":
            events.stage(SENDING)
            delivered = send_due(workspace, site)
            result.info += [delivered.switch, *delivered.problems]
    return result


def _stop(_number: int, _frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise InterruptedRunError("The run was stopped.")


def _end_with_input() -> None:
    """End with the server: its end of our input closes."""
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(0, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
