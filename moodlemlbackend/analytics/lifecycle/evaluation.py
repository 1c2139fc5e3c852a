"""Evaluation: how well a model can be learned with each interval, or how well it has been."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import dataset_files, history, join_store
from moodlemlbackend.analytics.db.dataset_files import EVALUATION
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.features.analysis import Result
from moodlemlbackend.analytics.features.targets import Refusal
from moodlemlbackend.analytics.lifecycle import backend
from moodlemlbackend.analytics.lifecycle.analysing import analysis_of, is_data, run_analysis, write_part
from moodlemlbackend.analytics.lifecycle.backtesting.figures import overloads, rank
from moodlemlbackend.analytics.lifecycle.backtesting.run import Backtest, go_through_past
from moodlemlbackend.analytics.lifecycle.core_models import fit_core_model
from moodlemlbackend.analytics.lifecycle.intervals import chosen_intervals
from moodlemlbackend.analytics.lifecycle.packages import remember_components
from moodlemlbackend.analytics.lifecycle.run_result import Evaluated, RunResult, recorded
from moodlemlbackend.analytics.lifecycle.used_samples import Calculations
from moodlemlbackend.cluster import current
from moodlemlbackend.errors import BusyError, NotTrainedError, Status, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from moodlemlbackend.analytics.db import Store
    from moodlemlbackend.analytics.db.dataset_files import DatasetFile
    from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
    from moodlemlbackend.analytics.features.analysis import Analysis, Hooks
    from moodlemlbackend.analytics.features.ranges import Ranges
    from moodlemlbackend.analytics.features.time_splitting import TimeSplitting
    from moodlemlbackend.analytics.lifecycle.analysing import Shown
    from moodlemlbackend.analytics.lifecycle.backtesting.run import ShownPast
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

CONFIGURATION, TRAINED_MODEL = "configuration", "trainedmodel"
MODES = (CONFIGURATION, TRAINED_MODEL)

REUSE_SECONDS = 7 * 86_400
"""Age up to which the data set of an analysable is used again."""

TOO_FEW_COURSES = "too few courses have finished to test the model on past courses."

REUSED = Refusal("reused", "analytics", "Analysed in the last week; those results are used again.")


def evaluate(
    workspace: Workspace,
    site: Site,
    modelid: int,
    *,
    interval: str | None = None,
    mode: str = CONFIGURATION,
    reuse: bool = True,
    shown: Shown | None = None,
    shown_past: ShownPast | None = None,
) -> RunResult:
    """Evaluate a model's configuration with one interval or all that are enabled for it, or the trained model.

    ``reuse`` uses the data sets of courses again that were analysed in the last week. Several intervals for students at
    risk are tested on the site's past as well, and ranked by what they would have given in time
    (:func:`.figures.rank`); the score decides where that cannot be done. The result has the best first, and its status.

    Raises
    ------
    UsageError
        The mode is unknown or does not go with an interval, or no interval can be used.
    NotTrainedError
        A trained model is to be rated, and there is none.
    BusyError
        Another process evaluates the model.
    """
    with workspace.store.lock(f"evaluation:{modelid}", 10) as held:
        if not held:
            raise BusyError(f"Another process is evaluating model {modelid}, so this run skips it.")
        fit_core_model(workspace, site, modelid)
        with workspace.store.read() as connection:
            model = models.get(connection, modelid)
        run_result = RunResult("evaluate", modelid, model.name)
        if model.static:
            run_result.status = Status.NO_DATASET
            run_result.info.append("This is a rule-based model: there is nothing to evaluate.")
            return run_result
        if not model.indicators:
            raise UsageError(f"Model {modelid} has no indicators; add some with models edit.")
        intervals = _intervals(workspace, model, interval, mode)
        with recorded(workspace, run_result):
            remember_components(workspace, site)
            _Evaluation(workspace, site, model, intervals, mode, reuse, run_result).run(shown, shown_past)
        return run_result


def _intervals(workspace: Workspace, model: AnalyticsModel, interval: str | None, mode: str) -> list[str]:
    if mode not in MODES:
        raise UsageError(f"There is no mode {mode!r}; choose one of {', '.join(MODES)}.")
    if mode == CONFIGURATION:
        return chosen_intervals(workspace, model, [interval] if interval else [])
    if interval:
        raise UsageError("A trained model is evaluated with its own interval; leave out the interval.")
    if not model.trained or not model.interval:
        raise NotTrainedError(f"Model {model.id} has not been trained yet; train it, or evaluate its configuration.")
    return [model.interval]


class _Hooks(Calculations):
    """Has analysables left out whose data set of the last week is used again."""

    def __init__(self, store: Store, known: Collection[tuple[int, str]]) -> None:
        super().__init__(store)
        self._known = known

    def select(
        self, samples: AnalysableSamples, ranges: Ranges, method: TimeSplitting
    ) -> tuple[AnalysableSamples, Ranges] | Refusal:
        """What is known need not be calculated."""
        if (int(samples.analysable.id), method.id) in self._known:
            return REUSED
        return samples, ranges

    def elsewhere(self) -> dict[str, Any]:
        """The store and what is known."""
        return {**super().elsewhere(), "known": [*self._known]}

    @staticmethod
    def opener_elsewhere(facts: Any, analysis: Analysis) -> Hooks:  # noqa: ARG004
        """The same with the same store."""
        return _Hooks(join_store(facts["store"]), {(analysable, interval) for analysable, interval in facts["known"]})


class _Evaluation:
    """One evaluation of a model."""

    def __init__(
        self,
        workspace: Workspace,
        site: Site,
        model: AnalyticsModel,
        intervals: Sequence[str],
        mode: str,
        reuse: bool,
        run_result: RunResult,
    ) -> None:
        self._workspace, self._site, self._model = workspace, site, model
        self._intervals, self._mode, self._run_result = intervals, mode, run_result
        self._analysis = analysis_of(workspace, model, intervals, training=True, keeps=False)
        self._known = self._recent() if reuse else {}

    def run(self, shown: Shown | None, shown_past: ShownPast | None) -> None:
        """Analyse once for all intervals, judge each, and rank them."""
        files: dict[str, list[DatasetFile]] = {interval: [] for interval in self._intervals}
        hooks = _Hooks(self._workspace.store, self._known.keys())
        with self._run_result.stage("analysis"):
            for result in run_analysis(self._site, self._analysis, hooks, self._run_result, shown=shown):
                if result.method is None:
                    continue
                if result.reason == REUSED:
                    self._run_result.count("reused")
                    files[result.method.id].append(self._known[int(result.analysable.id), result.method.id])
                elif is_data(result):
                    files[result.method.id].append(self._keep(result))
        judged = self._run_result.evaluations
        past = self._go_through_past([interval for interval, parts in files.items() if parts], shown_past)
        for (interval, parts), verdict in zip(files.items(), self._verdicts(files), strict=True):
            judged.append(self._log(interval, parts, past.get(interval, {}), verdict))
        judged.sort(key=self._rank, reverse=True)
        best = judged[0]
        self._run_result.status, self._run_result.info = best.status, [*self._run_result.info, *best.info]
        if len(judged) > 1:
            self._run_result.info += self._recommendation(best)

    def _go_through_past(self, intervals: Sequence[str], shown: ShownPast | None) -> dict[str, dict[str, Any]]:
        """What each interval would have given in the site's past; nothing where that does not rank them."""
        target = self._analysis.target
        if len(intervals) < 2 or not target.warns_in_time or not definitions.has_past(target.id):
            return {}
        result = Backtest("backtest", self._model.id, self._model.name)
        go_through_past(self._workspace, self._site, self._model, intervals, result, shown)
        self._run_result.seconds |= result.seconds
        if result.status == Status.OK:
            return result.intervals
        why = TOO_FEW_COURSES if result.status == Status.NOT_ENOUGH_DATA else " ".join(result.info)
        self._run_result.info.append(f"The intervals are ranked by score, not by how early they flag students: {why}")
        return {}

    def _rank(self, result: Evaluated) -> tuple[bool | float, ...]:
        return (
            result.logid is not None,
            self._may_be_enabled(result),
            self._helps(result),
            *rank(result.past),
            result.score,
        )

    def _helps(self, result: Evaluated) -> bool:
        return not definitions.cannot_help(self._model.target, result.interval)

    def _may_be_enabled(self, result: Evaluated) -> bool:
        return result.status == Status.OK and self._helps(result) and not overloads(result.past)

    def _recommendation(self, best: Evaluated) -> list[str]:
        """Which interval to choose and why, in a sentence, if any."""
        name = definitions.last_part(best.interval)
        if self._may_be_enabled(best):
            return [f"Of these intervals {name} is recommended: {self._reason(best.past)}."]
        if self._helps(best) and overloads(best.past):
            return [
                "No interval is recommended: those that can help in time would flag more than half of the "
                "students in most courses."
            ]
        return []

    def _reason(self, past: dict[str, Any]) -> str:
        if past.get("in_time_f1") is None:
            those = "of those that can help in time, " if self._analysis.target.warns_in_time else ""
            return f"{those}it has the best score"
        figure, bounds = f"F1 score {past['in_time_f1']:.2f}", past["bounds"].get("in_time_f1")
        if bounds:
            figure += "; with other courses {:.2f} to {:.2f}".format(*bounds)
        return f"of those that score well enough, it would have flagged students best in time ({figure})"

    def _recent(self) -> dict[tuple[int, str], DatasetFile]:
        """The data sets that can be used again, by analysable and interval."""
        since = self._workspace.clock() - REUSE_SECONDS
        recent = {}
        with self._workspace.store.read() as connection:
            for interval in self._intervals:
                for file in dataset_files.of_analysables(
                    connection, self._workspace, self._model, EVALUATION, interval
                ):
                    if file.created > since and file.analysable is not None and file.path.is_file():
                        recent[file.analysable, interval] = file
        return recent

    def _keep(self, result: Result) -> DatasetFile:
        """Write the data set of an analysable in the place of its former one."""
        assert result.method is not None
        assert result.features is not None
        workspace, model, interval = self._workspace, self._model, result.method.id
        analysable, rows = int(result.analysable.id), len(result.features)
        path = write_part(workspace, self._site, model, self._analysis, EVALUATION, result)
        with workspace.store.write() as connection:
            former = [
                file
                for file in dataset_files.of_analysables(connection, workspace, model, EVALUATION, interval)
                if file.analysable == analysable
            ]
            dataset_files.forget(connection, former)
            fileid = dataset_files.add(
                connection, workspace, model, EVALUATION, interval, path, rows, analysable
            )  # fmt: skip
        dataset_files.remove(former)
        return dataset_files.DatasetFile(fileid, path, interval, analysable, rows, workspace.clock(), {})

    def _verdicts(self, files: Mapping[str, Sequence[DatasetFile]]) -> Iterable[backend.Verdict | None]:
        """What the processor says of each interval, None of one without data; together where a cluster trains."""
        numbered = [(interval, parts, number) for number, (interval, parts) in enumerate(files.items(), start=1)]
        if current() is None:
            return itertools.starmap(self._judge, numbered)
        from joblib import Parallel, delayed

        verdicts: list[backend.Verdict | None] = Parallel(n_jobs=len(numbered), backend="threading")(
            itertools.starmap(delayed(self._judge), numbered)
        )
        return verdicts

    def _judge(self, interval: str, parts: Sequence[DatasetFile], number: int) -> backend.Verdict | None:
        """Have the processor judge one interval; None when it has no data."""
        if not parts:
            return None
        path = dataset_files.new_path(self._workspace, self._model, EVALUATION, interval)
        dataset_files.join([part.path for part in parts], path)
        try:
            which = {"interval": interval, "number": number, "of": len(self._intervals)}
            with self._run_result.stage(f"evaluation {definitions.last_part(interval)}", **which):
                return backend.evaluate(
                    self._workspace, self._model, interval, path, parts=dataset_files.courses_of(parts),
                    trained=self._mode == TRAINED_MODEL,
                )  # fmt: skip
        finally:
            path.unlink(missing_ok=True)

    def _log(
        self, interval: str, parts: Sequence[DatasetFile], past: dict[str, Any], verdict: backend.Verdict | None
    ) -> Evaluated:
        """Log what came of one interval."""
        if verdict is None:
            refused = [analysed for analysed in self._run_result.refused if analysed.interval in ("", interval)]
            reasons = sorted({analysed.reason for analysed in refused})
            info = ["There is no data to evaluate: " + " ".join(reasons[:3])]
            return Evaluated(interval, Status.NO_DATASET, 0.0, info)
        folder = self._workspace.relative(verdict.dir)
        why_not = definitions.cannot_help(self._model.target, interval)
        info = [*verdict.info, *filter(None, [past.get("sentence"), why_not])]
        overall = {name: value for name, value in past.items() if name not in ("by_range", "by_course")}
        with self._workspace.store.write() as connection:
            logid = history.log_evaluation(
                connection, self._model, interval=interval, mode=self._mode, score=verdict.score, info=info,
                folder=folder, userid=self._workspace.userid, now=self._workspace.clock(),
            )  # fmt: skip
        return Evaluated(
            interval, verdict.status, verdict.score, info, verdict.dir,
            sum(part.rows for part in parts), logid, verdict.result, overall,
        )  # fmt: skip
