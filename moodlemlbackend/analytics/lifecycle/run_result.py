"""What came of a run on a model."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.db import history
from moodlemlbackend.analytics.features.analysis import AnalysisStatus
from moodlemlbackend.errors import BackendError, Status
from moodlemlbackend.runtime.progress import reporter_of_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moodlemlbackend.analytics.features.analysis import Result
    from moodlemlbackend.analytics.workspace import Workspace


@dataclass(frozen=True)
class Analysed:
    """What came of one analysable: Moodle's name of the reason, and a sentence."""

    id: int
    name: str
    interval: str
    status: AnalysisStatus
    identifier: str
    reason: str
    samples: int
    rows: int

    @classmethod
    def of(cls, result: Result) -> Analysed:
        """From the result of an analysis."""
        return cls(
            result.analysable.id,
            result.analysable.name,
            result.method.id if result.method else "",
            result.status,
            result.reason.identifier,
            result.reason.text,
            len(result.samples) if result.samples else 0,
            len(result.features) if result.features else 0,
        )


@dataclass(frozen=True)
class Evaluated:
    """What came of one interval in an evaluation.

    ``logid`` is None when nothing was logged; ``past`` has the figures of a backtest (:func:`.figures.figures`) without
    those of single ranges and courses, and is empty where none was made.
    """

    interval: str
    status: Status
    score: float
    info: list[str]
    dir: str = ""
    rows: int = 0
    logid: int | None = None
    result: dict[str, Any] = field(default_factory=dict)
    past: dict[str, Any] = field(default_factory=dict)


@dataclass
class RunResult:
    """What came of a run.

    Attributes
    ----------
    status
        of the run, a sum of bits; what came of one analysable is an :class:`.analysis.AnalysisStatus`.
    info
        sentences for an administrator.
    figures
        what was counted, by name: ``samples``, ``rows``, ``predictions``, ``notifications`` ...
    seconds
        by stage.
    """

    task: str
    modelid: int
    name: str
    status: Status = Status.OK
    info: list[str] = field(default_factory=list)
    analysables: list[Analysed] = field(default_factory=list)
    evaluations: list[Evaluated] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def count(self, name: str, number: int = 1) -> None:
        """Add to a figure."""
        self.figures[name] = self.figures.get(name, 0) + number

    @contextmanager
    def stage(self, name: str, **about: Any) -> Iterator[None]:
        """Time a stage and report it; ``about`` says which of several."""
        reporter_of_process().stage(name.partition(" ")[0], **about)
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - begun, 3)

    @property
    def refused(self) -> list[Analysed]:
        """The analysables that gave nothing."""
        return [analysed for analysed in self.analysables if analysed.status is not AnalysisStatus.OK]

    def summary(self) -> dict[str, Any]:
        """As JSON can hold it, without single analysables: how many there are by reason."""
        reasons: dict[str, int] = {}
        for analysed in self.analysables:
            reasons[analysed.identifier] = reasons.get(analysed.identifier, 0) + 1
        return {
            "task": self.task,
            "model": self.modelid,
            "name": self.name,
            "status": self.status,
            "info": self.info,
            "figures": self.figures,
            "reasons": reasons,
            "seconds": self.seconds,
            "evaluations": [
                {key: value for key, value in vars(evaluated).items() if key != "result"}
                for evaluated in self.evaluations
            ],
        }


@contextmanager
def recorded(workspace: Workspace, run_result: RunResult) -> Iterator[None]:
    """Keep a run's result in the store, from its beginning on; an error is named in it and goes on.

    A result that cannot be kept says so, and stays what it is.
    """
    with workspace.store.write() as connection:
        runid = history.begin_run(connection, run_result.task, run_result.modelid, workspace.clock())
    try:
        yield
    except BaseException as error:
        run_result.status = error.status if isinstance(error, BackendError) else Status.GENERAL_ERROR
        run_result.info.append(str(error) or type(error).__name__)
        raise
    finally:
        try:
            with workspace.store.write() as connection:
                summary = run_result.summary()
                for evaluation in summary["evaluations"]:
                    evaluation["dir"] = workspace.relative(evaluation["dir"])
                history.end_run(connection, runid, int(run_result.status), summary, workspace.clock())
        except Exception as error:
            text = str(error) if isinstance(error, BackendError) else type(error).__name__
            run_result.info.append(f"The result of this run could not be saved in the store ({text}).")
