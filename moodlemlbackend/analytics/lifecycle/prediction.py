"""Prediction: the samples that have not been predicted yet in the range that is ready, and whom to tell of it.

Of a model that learns, each step is complete in the store before the next begins, as in :mod:`.training`: predictions,
their explanations, the messages and the registers of use are one transaction. Of a static model everything is one.
"""

from __future__ import annotations

import tempfile
from functools import cached_property
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.features.definitions import could_be_known
from moodlemlbackend.analytics.features.feature_matrix import headers
from moodlemlbackend.analytics.features.static_predictions import predict_static
from moodlemlbackend.analytics.lifecycle import backend, most_flagged
from moodlemlbackend.analytics.lifecycle.analysing import analysis_of, is_data, run_analysis
from moodlemlbackend.analytics.lifecycle.packages import remember_components
from moodlemlbackend.analytics.lifecycle.php_json import to_json
from moodlemlbackend.analytics.lifecycle.predicted_samples import NOT_EXPLAINED, SAMPLE, News
from moodlemlbackend.analytics.lifecycle.records import Outcome, Records, Rehearsal
from moodlemlbackend.analytics.lifecycle.run_result import RunResult, recorded
from moodlemlbackend.analytics.lifecycle.used_samples import Used
from moodlemlbackend.analytics.notifications import switch
from moodlemlbackend.errors import ModelError, NotTrainedError, Status
from moodlemlbackend.spooled import ROWS_AT_ONCE, SpooledRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from moodlemlbackend.analytics.db.dataset_files import DatasetFile
    from moodlemlbackend.analytics.features.analysis import Result
    from moodlemlbackend.analytics.features.static_predictions import StaticPredictions
    from moodlemlbackend.analytics.features.targets import Target
    from moodlemlbackend.analytics.lifecycle.analysing import Shown
    from moodlemlbackend.analytics.lifecycle.most_flagged import MostFlagged
    from moodlemlbackend.analytics.lifecycle.predicted_samples import Explained
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.notifications.message import Message
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace
    from moodlemlbackend.operations.predict import PredictedSamples
    from moodlemlbackend.processor.explanation import Explanation

REASONS_KEPT = 10


def predict(workspace: Workspace, site: Site, modelid: int, *, shown: Shown | None = None) -> RunResult:
    """Have a model predict, keep the predictions that are news, and write to people if notifications are on.

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
        model, interval = _required(workspace, modelid)
        run_result = RunResult("predict", modelid, model.name)
        with recorded(workspace, run_result):
            if withdrawn := switch.follow(workspace):
                run_result.info.append(
                    f"Because notifications were switched on or off, {withdrawn} waiting messages will not be sent."
                )
            remember_components(workspace, site)
            analysis = analysis_of(workspace, model, [interval], training=False, keeps=True)
            Prediction(Records(workspace, site, model, analysis), run_result).run(shown)
        return run_result


def rehearse(
    workspace: Workspace, site: Site, modelid: int, *, shown: Shown | None = None
) -> tuple[RunResult, list[Message]]:
    """What :func:`predict` would give now, and the messages that it would write; nothing is kept or marked as used.

    Calculations that the run of another model would have stored by then are made anew. Raises as :func:`predict`.
    """
    with workspace.lock(modelid), tempfile.TemporaryDirectory(prefix="moodlemlbackend-") as folder:
        model, interval = _required(workspace, modelid)
        run_result = RunResult("predict", modelid, model.name)
        analysis = analysis_of(workspace, model, [interval], training=False, keeps=False)
        records = Rehearsal(workspace, site, model, analysis, Path(folder))
        Prediction(records, run_result).run(shown)
        return run_result, records.messages


def _required(workspace: Workspace, modelid: int) -> tuple[AnalyticsModel, str]:
    """A model that can predict, and its interval."""
    with workspace.store.read() as connection:
        model = models.get(connection, modelid)
    interval = model.require()
    if not model.trained:
        raise NotTrainedError(f"Model {modelid} has not been trained yet; train it first.")
    return model, interval


class Prediction:
    """One prediction of a model; its records keep what comes of it, or only look at it."""

    def __init__(self, records: Records | Rehearsal, run_result: RunResult) -> None:
        self._records, self._run_result = records, run_result
        self._workspace, self._site, self._model = records.workspace, records.site, records.model
        self._analysis = records.analysis
        self._target: Target = records.analysis.target

    def run(self, shown: Shown | None) -> None:
        """Predict what is new."""
        self.by_assumption(shown) if self._model.static else self.by_processor(self._model.require(), shown)

    # Static models.

    def by_assumption(self, shown: Shown | None) -> None:
        """Compute the predictions of all analysables of this run from the indicators."""
        used: list[Used] = []
        news = News()

        def data() -> Iterator[Result]:
            for result in self._results(shown):
                if is_data(result):
                    used.append(Used.of(result))
                    self._count(result)
                    yield result

        with self._run_result.stage("analysis"):
            for assumed in predict_static(self._target, data()):
                for row in self._assumed(assumed):
                    news.add(row)
        with self._run_result.stage("insights"):
            self._keep(Outcome(news, used))
        if not used:
            self._nothing()

    def _assumed(self, assumed: StaticPredictions) -> Iterator[dict[str, Any]]:
        """Rows of predictions of one result."""
        result = assumed.result
        assert result.features is not None
        assert result.samples is not None
        assert result.ranges is not None
        assert result.method is not None
        columns = headers(self._analysis.indicators, result.method.range_columns)
        cells = result.features.cells()
        for row, prediction in zip(assumed.rows.tolist(), assumed.classes.tolist(), strict=True):
            if not self._is_news(prediction, 1.0):
                continue
            sample, number = int(result.features.samples[row]), int(result.features.ranges[row])
            yield self._row(
                int(result.samples.ids[sample]), int(result.ranges.indexes[number]), prediction, 1.0,
                contextid=int(result.samples.contexts[sample]),
                bounds=(int(result.ranges.starts[number]), int(result.ranges.ends[number])),
                calculations=dict(zip(columns, map(_plain, cells[row]), strict=True)),
            )  # fmt: skip

    # Models that have learned.

    def by_processor(self, interval: str, shown: Shown | None) -> None:
        """Write the new samples, then have all that wait predicted."""
        with self._run_result.stage("analysis"):
            for result in self._results(shown):
                if is_data(result):
                    self._records.keep_part(result)
                    self._count(result)
            self._records.register()
        with self._run_result.stage("merge"):
            merged = self._records.merge(interval)
        if merged is None:
            self._nothing()
            return
        with self._run_result.stage("prediction"):
            predicted = backend.predict(self._workspace, self._model, merged.path)
            samples = self._samples(merged, predicted)
            risks = self._risks(predicted, samples)
            withheld = self._withheld(predicted, samples)
        with self._run_result.stage("explanation" if self._records.explains else "prediction"):
            news = self._news(predicted, samples)
        with self._run_result.stage("insights"):
            contexts = {int(context) for piece in samples.pieces() for context in np.unique(piece["context"])}
            self._keep(Outcome(news, merged=merged, contexts=contexts, withheld=withheld, risks=risks))

    def _samples(self, merged: DatasetFile, predicted: PredictedSamples) -> SpooledRows:
        """What is known of every sample that is predicted, as :data:`SAMPLE`."""
        places, samples = self._records.places(merged), SpooledRows(SAMPLE)
        left = iter(predicted.predictions)
        while part := [*islice(left, ROWS_AT_ONCE)]:
            rows = np.empty(len(part), SAMPLE)
            names = [unique.rpartition("-") for unique, _, _ in part]
            rows["sample"], rows["range"] = [int(name[0]) for name in names], [int(name[2]) for name in names]
            places.fill(rows)
            rows["prediction"], rows["score"] = [float(one[1]) for one in part], [float(one[2]) for one in part]
            rows["news"] = [
                self._is_news(*one) for one in zip(rows["prediction"].tolist(), rows["score"].tolist(), strict=True)
            ]
            samples.add(rows)
        return samples

    def _risks(self, predicted: PredictedSamples, samples: SpooledRows) -> Iterable[dict[str, Any]]:
        """The risk of every student who was predicted, by column; nothing of a target that is not about risk."""
        if not definitions.has_past(self._target.id) or not self._records.explains:
            return ()
        risks = SpooledRows(np.float64, 3)
        for probabilities, likely in predicted.risks():
            ends = np.full((len(probabilities), 2), np.nan) if likely is None else likely
            of_risk = self._target.of_risk
            risks.add(np.column_stack([of_risk(probabilities), np.sort(of_risk(ends), axis=1)]))
        return self._rows_of_risks(risks, samples, self._target.of_risk(float(predicted.model.threshold)))

    def _rows_of_risks(self, risks: SpooledRows, samples: SpooledRows, threshold: float) -> Iterator[dict[str, Any]]:
        """One range after the other: of a sample that waited and is predicted in two, the later one comes last."""
        now = self._workspace.clock()
        ranges = sorted({index for piece in samples.pieces() for index in np.unique(piece["range"]).tolist()})
        pieces = ((index, *pair) for index in ranges for pair in zip(samples.pieces(), risks.pieces(), strict=True))
        for index, piece, of_piece in pieces:
            chosen = piece["range"] == index
            for sample, (probability, low, high) in zip(piece[chosen].tolist(), of_piece[chosen].tolist(), strict=True):
                sampleid, _, contextid, start, end, *_ = sample
                yield {
                    "modelid": self._model.id,
                    "contextid": contextid,
                    "sampleid": sampleid,
                    "rangeindex": index,
                    "probability": probability,
                    "low": None if np.isnan(low) else low,
                    "high": None if np.isnan(high) else high,
                    "threshold": threshold,
                    "timestart": start,
                    "timeend": end,
                    "timecreated": now,
                }

    def _withheld(self, predicted: PredictedSamples, samples: SpooledRows) -> dict[int, MostFlagged]:
        """The courses about which no one is notified, because most of their students are flagged; by context."""
        if self._workspace.settings.notify_when_most_flagged or not self._target.flags_some:
            return {}
        withheld = most_flagged.find(self._workspace, self._site, self._model, predicted, samples)
        self._run_result.info += [course.sentence for course in withheld.values()]
        return withheld

    def _news(self, predicted: PredictedSamples, samples: SpooledRows) -> News:
        """What is kept, and why it is as it is; nothing of that where the processor cannot say."""
        try:
            return self._rows_of_news(predicted, samples, explained=self._records.explains)
        except ModelError as error:
            self._run_result.info.append(str(error))
            return self._rows_of_news(predicted, samples, explained=False)

    def _rows_of_news(self, predicted: PredictedSamples, samples: SpooledRows, *, explained: bool) -> News:
        news = News()
        every = chain.from_iterable(
            (start * ROWS_AT_ONCE + np.flatnonzero(piece["news"])).tolist()
            for start, piece in enumerate(samples.pieces())
        )
        while positions := [*islice(every, ROWS_AT_ONCE)]:
            chosen, features = samples.take(positions).tolist(), predicted.features.take(positions)
            why: Iterable[Explanation | None] = repeat(None)
            if explained:
                why = predicted.explain(features, [f"{sample}-{index}" for sample, index, *_ in chosen])
            for known, cells, explanation in zip(chosen, features, why, strict=False):
                sample, index, contextid, start, end, prediction, score, _ = known
                row = self._row(
                    sample, index, prediction, score, contextid=contextid, bounds=(start, end),
                    calculations=dict(zip(predicted.columns, map(_shortest, cells), strict=True)),
                )  # fmt: skip
                news.add(row, NOT_EXPLAINED if explanation is None else self._explained(row, explanation))
        return news

    def _explained(self, row: Mapping[str, Any], explanation: Explanation) -> Explained:
        """Why a row is predicted as it is; what could not be known yet is no reason."""
        probability, likely = explanation.probability, explanation.probability_range
        sign = 1 if float(explanation.explained) == row["prediction"] else -1
        if sign < 0:
            probability, likely = 1 - probability, likely and (1 - likely[1], 1 - likely[0])
        end, now = self._ends.get(row["contextid"], 0), self._workspace.clock()
        reasons = [reason for reason in explanation.reasons if could_be_known(reason.indicator, end, now)]
        return {
            "probability": round(probability, 5),
            "probability_range": likely and (round(likely[0], 5), round(likely[1], 5)),
            "reasons": [
                {"indicator": reason.indicator, "label": reason.label, "value": reason.value,
                 "contribution": round(sign * reason.contribution, 4)}
                for reason in reasons[:REASONS_KEPT]
            ],
        }  # fmt: skip

    @cached_property
    def _ends(self) -> dict[int, int]:
        """When courses end, by context."""
        return {course.context: course.end for course in self._site.courses}

    # What both have in common.

    def _results(self, shown: Shown | None) -> Iterator[Result]:
        limit, hooks = self._workspace.settings.model_time_limit, self._records.used_samples
        for result in run_analysis(self._site, self._analysis, hooks, self._run_result, time_limit=limit, shown=shown):
            hooks.analysed(result)
            yield result

    def _keep(self, outcome: Outcome) -> None:
        self._run_result.count("predictions", len(outcome.news))
        notifications = self._records.keep(outcome)
        if notifications is not None:
            self._run_result.count("notifications", notifications)

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


def _plain(cell: Any) -> Any:
    """A cell as the data set holds it: None for an empty one, text of a stored calculation as it is."""
    if isinstance(cell, str):
        return cell
    return None if np.isnan(cell) else float(cell)


def _shortest(cell: Any) -> Any:
    """A float32 that was read from a file as the number that the file has."""
    return None if np.isnan(cell) else float(str(cell))
