"""Prediction: the samples that have not been predicted yet in the range that is ready, and whom to tell of it.

Of a model that learns, each step is complete in the store before the next begins, as in :mod:`.training`: predictions,
their explanations, the messages and the registers of use are one transaction. Of a static model everything is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import dataset_files
from moodlemlbackend.analytics.db import predictions as stored_predictions
from moodlemlbackend.analytics.db.dataset_files import PREDICTED, UNLABELLED
from moodlemlbackend.analytics.features.definitions import could_be_known
from moodlemlbackend.analytics.features.feature_matrix import headers
from moodlemlbackend.analytics.features.static_predictions import predict_static
from moodlemlbackend.analytics.insights.messages import NewPrediction, write_messages
from moodlemlbackend.analytics.lifecycle import backend, most_flagged
from moodlemlbackend.analytics.lifecycle.analysing import analysis_of, is_data, run_analysis, write_part
from moodlemlbackend.analytics.lifecycle.packages import remember_components
from moodlemlbackend.analytics.lifecycle.php_json import to_json
from moodlemlbackend.analytics.lifecycle.run_result import RunResult, recorded
from moodlemlbackend.analytics.lifecycle.used_samples import PREDICTION, UsedSamples
from moodlemlbackend.analytics.notifications import outbox, switch
from moodlemlbackend.errors import ModelError, NotTrainedError, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.db.dataset_files import DatasetFile
    from moodlemlbackend.analytics.features.analysis import Analysis, Result
    from moodlemlbackend.analytics.features.targets import Target
    from moodlemlbackend.analytics.lifecycle.analysing import Shown
    from moodlemlbackend.analytics.lifecycle.most_flagged import Moment, MostFlagged
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace
    from moodlemlbackend.operations.predict import PredictedSamples

REASONS_KEPT = 10


def predict(workspace: Workspace, site: Site, modelid: int, *, shown: Shown | None = None) -> RunResult:
    """Have a model predict, keep the predictions that are news, and write to those who are to be told.

    The messages are written to the store; :func:`moodlemlbackend.analytics.notifications.outbox.deliver` sends them.

    Raises
    ------
    UsageError
        The model is disabled, or has no interval or indicators.
    NotTrainedError
        The model has learned nothing yet.
    BusyError
        Another run works on the model.
    """
    with workspace.lock(modelid):
        with workspace.store.read() as connection:
            model = models.get(connection, modelid)
        interval = model.require()
        if not model.trained:
            raise NotTrainedError(f"Model {modelid} has not been trained yet; train it first.")
        run_result = RunResult("predict", modelid, model.name)
        with recorded(workspace, run_result):
            if withdrawn := switch.follow(workspace):
                run_result.info.append(f"Notifications were switched: {withdrawn} waiting messages will not be sent.")
            remember_components(workspace, site)
            analysis = analysis_of(workspace, model, [interval], training=False, keeps=True)
            run = _Prediction(workspace, site, model, analysis, run_result)
            run.by_assumption(shown) if model.static else run.by_processor(interval, shown)
        return run_result


class _Prediction:
    """One prediction of a model."""

    def __init__(
        self, workspace: Workspace, site: Site, model: AnalyticsModel, analysis: Analysis, run_result: RunResult
    ) -> None:
        self._workspace, self._site, self._model, self._analysis = workspace, site, model, analysis
        self._target: Target = analysis.target
        self._run_result = run_result
        self._used_samples = UsedSamples(workspace, model, analysis.target, PREDICTION)

    # Static models.

    def by_assumption(self, shown: Shown | None) -> None:
        """Compute the predictions of all analysables of this run from the indicators."""
        results: list[Result] = []
        with self._run_result.stage("analysis"):
            for result in self._results(shown):
                self._used_samples.analysed(result)
                if is_data(result):
                    results.append(result)
                    self._count(result)
        with self._run_result.stage("prediction"):
            rows = [row for found in predict_static(self._target, results) for row in self._assumed(found)]
        with self._run_result.stage("insights"), self._workspace.store.write() as connection:
            self._used_samples.write(connection, results)
            self._store(connection, rows, {})
        if not results:
            self._nothing()

    def _assumed(self, found: Any) -> list[dict[str, Any]]:
        """Rows of predictions of one result."""
        result: Result = found.result
        assert result.features is not None
        assert result.samples is not None
        assert result.ranges is not None
        assert result.method is not None
        columns = headers(self._analysis.indicators, result.method.range_columns)
        cells = result.features.cells()
        rows = []
        for row, prediction in zip(found.rows.tolist(), found.classes.tolist(), strict=True):
            if not self._is_news(prediction, 1.0):
                continue
            sample, number = int(result.features.samples[row]), int(result.features.ranges[row])
            rows.append(
                self._row(
                    int(result.samples.ids[sample]), int(result.ranges.indexes[number]), prediction, 1.0,
                    contextid=int(result.samples.contexts[sample]),
                    bounds=(int(result.ranges.starts[number]), int(result.ranges.ends[number])),
                    calculations=dict(zip(columns, map(_plain, cells[row]), strict=True)),
                )
            )  # fmt: skip
        return rows

    # Models that have learned.

    def by_processor(self, interval: str, shown: Shown | None) -> None:
        """Write the new samples, then have all that wait predicted."""
        with self._run_result.stage("analysis"):
            for result in self._results(shown):
                self._used_samples.analysed(result)
                if is_data(result):
                    self._keep(result, interval)
                    self._count(result)
            with self._workspace.store.write() as connection:
                self._used_samples.write(connection)
        merged = self._merge(interval)
        if merged is None:
            self._nothing()
            return
        with self._run_result.stage("prediction"):
            predicted = backend.predict(self._workspace, self._model, merged.path)
            rows, positions, moments = self._predicted(merged, predicted)
            withheld = self._withheld(predicted, moments, positions)
        with self._run_result.stage("explanation"):
            explanations = self._explain(rows, predicted, positions)
        with self._run_result.stage("insights"), self._workspace.store.write() as connection:
            self._store(connection, rows, explanations, withheld)
            contexts = {context for context, _ in moments}
            most_flagged.remember(connection, self._model.id, contexts, withheld, self._workspace.clock())
            dataset_files.use(connection, self._workspace, self._model, merged.id, PREDICTED)

    def _keep(self, result: Result, interval: str) -> None:
        """Write one analysable's samples with what a prediction of them will need to know."""
        assert result.samples is not None
        assert result.ranges is not None
        assert result.features is not None
        path = write_part(self._workspace, self._site, self._model, self._analysis, UNLABELLED, result)
        bounds = zip(result.ranges.starts.tolist(), result.ranges.ends.tolist(), strict=True)
        details = {
            "ranges": dict(zip(map(str, result.ranges.indexes.tolist()), bounds, strict=True)),
            "contexts": dict(zip(map(str, result.samples.ids.tolist()), result.samples.contexts.tolist(), strict=True)),
        }
        with self._workspace.store.write() as connection:
            dataset_files.add(
                connection, self._workspace, self._model, UNLABELLED, interval, path, len(result.features),
                int(result.analysable.id), details,
            )  # fmt: skip
            self._used_samples.write(connection, [result])

    def _merge(self, interval: str) -> DatasetFile | None:
        workspace, model = self._workspace, self._model
        with self._run_result.stage("merge"):
            with workspace.store.write() as connection:
                new = dataset_files.of_analysables(connection, workspace, model, UNLABELLED, interval, merged=False)
                waiting = dataset_files.pending(connection, workspace, model, UNLABELLED, interval, PREDICTED)
                if not new and len(waiting) < 2:
                    return waiting[0] if waiting else None
                merged = dataset_files.merge(connection, workspace, model, UNLABELLED, new, waiting)
            dataset_files.remove(waiting)
            return merged

    def _predicted(
        self, merged: DatasetFile, predicted: PredictedSamples
    ) -> tuple[list[dict[str, Any]], list[int], list[Moment]]:
        """Rows of the predictions that are news, which of those predicted they are, and context and range of each."""
        contexts: dict[int, int] = {}
        ranges: dict[str, tuple[int, int]] = {}
        with self._workspace.store.read() as connection:
            for part in dataset_files.parts_of(connection, self._workspace, merged):
                for sample, context in part.details["contexts"].items():
                    contexts[int(sample)] = context
                    for index, bounds in part.details["ranges"].items():
                        ranges[f"{sample}-{index}"] = bounds
        rows, positions, moments = [], [], []
        for position, (unique, label, decision_score) in enumerate(predicted.predictions):
            prediction, score = float(label), float(decision_score)
            sample, _, index = unique.rpartition("-")
            moments.append((contexts[int(sample)], int(index)))
            if not self._is_news(prediction, score):
                continue
            cells = map(_shortest, predicted.features[position])
            rows.append(
                self._row(
                    int(sample), int(index), prediction, score,
                    contextid=moments[-1][0], bounds=ranges[unique],
                    calculations=dict(zip(predicted.columns, cells, strict=True)),
                )
            )  # fmt: skip
            positions.append(position)
        return rows, positions, moments

    def _withheld(
        self, predicted: PredictedSamples, moments: Sequence[Moment], flagged: Sequence[int]
    ) -> dict[int, MostFlagged]:
        """The courses about which no one is notified, because most of their students are flagged; by context."""
        if self._workspace.settings.notify_when_most_flagged or not self._target.flags_some:
            return {}
        found = most_flagged.find(self._workspace, self._site, self._model, predicted, moments, flagged)
        self._run_result.info += [course.sentence for course in found.values()]
        return found

    def _explain(
        self, rows: Sequence[dict[str, Any]], predicted: PredictedSamples, positions: Sequence[int]
    ) -> dict[int, dict[str, Any]]:
        """Why each row is predicted as it is, by its position; nothing where the processor cannot say.

        What could not be known yet is no reason.
        """
        if not rows:
            return {}
        try:
            found = predicted.explain(positions)
        except ModelError as error:
            self._run_result.info.append(str(error))
            return {}
        ends = {course.context: course.end for course in self._site.courses}
        now = self._workspace.clock()
        kept = {}
        for position, one in enumerate(found):
            probability, likely = one.probability, one.probability_range
            sign = 1 if float(one.explained) == rows[position]["prediction"] else -1
            if sign < 0:
                probability, likely = 1 - probability, likely and (1 - likely[1], 1 - likely[0])
            end = ends.get(rows[position]["contextid"], 0)
            reasons = [reason for reason in one.reasons if could_be_known(reason.indicator, end, now)]
            kept[position] = {
                "probability": round(probability, 5),
                "probability_range": likely and (round(likely[0], 5), round(likely[1], 5)),
                "reasons": [
                    {"indicator": reason.indicator, "label": reason.label, "value": reason.value,
                     "contribution": round(sign * reason.contribution, 4)}
                    for reason in reasons[:REASONS_KEPT]
                ],
            }  # fmt: skip
        return kept

    # What both have in common.

    def _results(self, shown: Shown | None) -> Any:
        limit = self._workspace.settings.model_time_limit
        return run_analysis(
            self._site, self._analysis, self._used_samples, self._run_result, time_limit=limit, shown=shown
        )

    def _count(self, result: Result) -> None:
        assert result.samples is not None
        assert result.features is not None
        self._run_result.count("analysables")
        self._run_result.count("samples", len(result.samples))
        self._run_result.count("rows", len(result.features))

    def _nothing(self) -> None:
        self._run_result.status = Status.NO_DATASET
        self._run_result.info.append("There is nothing new to predict.")

    def _is_news(self, prediction: float, score: float) -> bool:
        """Whether a prediction is kept: sure enough, and of a class that is not ignored."""
        if self._target.minimum_score and score < self._target.minimum_score:
            return False
        return self._target.linear or prediction not in self._target.ignored_classes

    def _row(
        self,
        sampleid: int,
        rangeindex: int,
        prediction: float,
        score: float,
        *,
        contextid: int,
        bounds: tuple[int, int],
        calculations: dict[str, Any],
    ) -> dict[str, Any]:
        return {
            "modelid": self._model.id,
            "contextid": contextid,
            "sampleid": sampleid,
            "rangeindex": rangeindex,
            "prediction": round(prediction, 2),
            "predictionscore": round(score, 5),
            "calculations": to_json(calculations),
            "timecreated": self._workspace.clock(),
            "timestart": bounds[0],
            "timeend": bounds[1],
        }

    def _store(
        self,
        connection: Connection,
        rows: Sequence[dict[str, Any]],
        explanations: dict[int, dict[str, Any]],
        withheld: Collection[int] = (),
    ) -> None:
        """Write predictions, their explanations, and the messages to those who are to be told.

        Of the contexts ``withheld`` nobody is told.
        """
        stored = []
        for position, row in enumerate(rows):
            explanation = explanations.get(position, {"probability": None, "probability_range": None, "reasons": []})
            predictionid = stored_predictions.insert(connection, row, **explanation)
            stored.append(
                NewPrediction(
                    predictionid, row["contextid"], row["sampleid"], row["prediction"], row["predictionscore"],
                    **explanation, start=row["timestart"] or 0, end=row["timeend"] or 0,
                    calculations=row["calculations"],
                )
            )  # fmt: skip
        self._run_result.count("predictions", len(stored))
        if self._workspace.settings.notifications:
            told = [one for one in stored if one.contextid not in withheld]
            messages = write_messages(self._workspace, self._site, self._model, told)
            self._run_result.count("notifications", outbox.put(connection, self._workspace, messages))


def _plain(cell: Any) -> Any:
    """A cell as the data set holds it: None for an empty one, text of a stored calculation as it is."""
    if isinstance(cell, str):
        return cell
    return None if np.isnan(cell) else float(cell)


def _shortest(cell: Any) -> Any:
    """A float32 that was read from a file as the number that the file has."""
    return None if np.isnan(cell) else float(str(cell))
