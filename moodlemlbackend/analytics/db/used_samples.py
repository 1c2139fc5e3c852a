"""What a model has used: which samples were trained with or predicted, which analysables were looked at, and when.

:class:`UsedSamples` are the hooks of an analysis. They read what is registered, and collect what is to be
registered; the run writes that in one transaction with what the analysis gave.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, select, update

from moodlemlbackend.analytics.db.database import insert_rows
from moodlemlbackend.analytics.db.schema import INDICATOR_CALC, PREDICT_SAMPLES, TRAIN_SAMPLES, USED_ANALYSABLES
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.features.analysis import NO_NEW_RANGES, NO_NEW_SAMPLES, AnalysisStatus, Hooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt
    from sqlalchemy import Connection

    from moodlemlbackend.analytics.db.models import AnalyticsModel
    from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
    from moodlemlbackend.analytics.features.analysis import Result, Stored, Values
    from moodlemlbackend.analytics.features.ranges import Ranges
    from moodlemlbackend.analytics.features.targets import Refusal, Target
    from moodlemlbackend.analytics.features.time_splitting import TimeSplitting
    from moodlemlbackend.analytics.workspace import Workspace

TRAINING, PREDICTION = "training", "prediction"


class Calculations(Hooks):
    """Stored calculations are used again, with their two decimals; none are added."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def recall(self, samples: AnalysableSamples, start: int, end: int) -> Stored:
        """The stored values of a range, by indicator; null ones are calculated again."""
        query = (
            select(INDICATOR_CALC.c.indicator, INDICATOR_CALC.c.sampleid, INDICATOR_CALC.c.value)
            .where(
                INDICATOR_CALC.c.starttime == start,
                INDICATOR_CALC.c.endtime == end,
                INDICATOR_CALC.c.contextid == samples.analysable.context,
                INDICATOR_CALC.c.sampleorigin == samples.origin,
                INDICATOR_CALC.c.value.is_not(None),
            )
            .order_by(INDICATOR_CALC.c.id)
        )
        found: dict[str, tuple[list[int], list[float]]] = {}
        with self._workspace.store.read() as connection:
            for indicator, sampleid, value in connection.execute(query):
                ids, values = found.setdefault(indicator, ([], []))
                ids.append(sampleid)
                values.append(value)
        return {
            indicator: (np.array(ids, np.int64), np.array(values, np.float64))
            for indicator, (ids, values) in found.items()
        }


class UsedSamples(Calculations):
    """The hooks of a model's training or prediction."""

    def __init__(self, workspace: Workspace, model: AnalyticsModel, target: Target, action: str) -> None:
        super().__init__(workspace)
        self._model, self._target, self._action = model, target, action
        self._analysed, self._first = self._read_analysables()
        self._many = definitions.analyser(target.id).one_sample_per_analysable
        self._known: dict[tuple[str, str, int | None], dict[int, list[int]]] = {}
        self._calculations: list[dict[str, Any]] = []
        self._times: dict[int, int] = {}

    # What the analysis asks.

    def order(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Those that were not analysed for longest come first."""
        return sorted(rows, key=lambda row: self._analysed.get(_id(row), 0))

    def first_analysis(self, analysable: int) -> int | None:
        """When the model first analysed it, for training or prediction."""
        return self._first.get(analysable)

    def select(
        self, samples: AnalysableSamples, ranges: Ranges, method: TimeSplitting
    ) -> tuple[AnalysableSamples, Ranges] | Refusal:
        """Leave out samples that were trained with, also in predictions, and those predicted in the range."""
        with self._workspace.store.read() as connection:
            if not self._target.static:
                trained = self._registered(connection, TRAIN_SAMPLES, samples, method)
                samples = samples.take(~np.isin(samples.ids, trained))
                if not len(samples):
                    return NO_NEW_SAMPLES
            if self._action == PREDICTION:
                predicted = self._registered(connection, PREDICT_SAMPLES, samples, method, int(ranges.indexes[0]))
                samples = samples.take(~np.isin(samples.ids, predicted))
                if not len(samples):
                    return NO_NEW_RANGES
        return samples, ranges

    def keep(
        self,
        samples: AnalysableSamples,
        start: int,
        end: int,
        indicator: str,
        chosen: npt.NDArray[np.int64],
        values: Values,
    ) -> None:
        """Collect new calculations; null ones need not be kept, for they are calculated again."""
        known = ~np.isnan(values)
        common = {
            "starttime": start,
            "endtime": end,
            "contextid": int(samples.analysable.context),
            "sampleorigin": samples.origin,
            "indicator": indicator,
            "timecreated": self._workspace.clock(),
        }
        ids = samples.ids[chosen[known]].tolist()
        self._calculations += [
            {**common, "sampleid": sample, "value": value}
            for sample, value in zip(ids, values[known].tolist(), strict=True)
        ]

    # What the run writes.

    def analysed(self, result: Result) -> None:
        """Collect that an analysable was looked at, if that is to be registered."""
        key = int(result.analysable.id)
        if key not in self._analysed or self._target.always_update_analysis_time or result.status is AnalysisStatus.OK:
            self._times[key] = self._workspace.clock()

    def write(self, connection: Connection, results: Iterable[Result] = ()) -> None:
        """Register what was collected, and the samples of results."""
        new = [row for result in results if (row := self._write_samples(connection, result))]
        insert_rows(connection, TRAIN_SAMPLES if self._action == TRAINING else PREDICT_SAMPLES, new)
        insert_rows(connection, INDICATOR_CALC, self._calculations)
        self._calculations = []
        self._write_times(connection)

    def _write_samples(self, connection: Connection, result: Result) -> dict[str, Any] | None:
        """Return the row that registers the samples of a result; None when they joined the row of earlier ones."""
        assert result.samples is not None
        assert result.method is not None
        assert result.ranges is not None
        now = self._workspace.clock()
        ids = {str(key): key for key in result.samples.ids.tolist()}
        values = {
            "modelid": self._model.id,
            "analysableid": int(result.analysable.id),
            "timesplitting": result.method.id,
            "timecreated": now,
        }
        values["sampleids"] = json.dumps(ids)
        if self._action == TRAINING:
            return values
        index = int(result.ranges.indexes[0])
        values |= {"rangeindex": index, "timemodified": now}
        known = self._known.get((PREDICT_SAMPLES.name, result.method.id, index))
        if known is not None and values["analysableid"] not in known:
            return values
        same = (
            PREDICT_SAMPLES.c.modelid == self._model.id,
            PREDICT_SAMPLES.c.analysableid == values["analysableid"],
            PREDICT_SAMPLES.c.timesplitting == result.method.id,
            PREDICT_SAMPLES.c.rangeindex == index,
        )
        row = connection.execute(select(PREDICT_SAMPLES).where(*same)).first()
        if row is None:
            return values
        more = {"sampleids": json.dumps({**json.loads(row.sampleids), **ids}), "timemodified": now}
        connection.execute(update(PREDICT_SAMPLES).where(PREDICT_SAMPLES.c.id == row.id).values(more))
        return None

    def _write_times(self, connection: Connection) -> None:
        new = [key for key in self._times if key not in self._analysed]
        common = {"modelid": self._model.id, "action": self._action}
        insert_rows(
            connection,
            USED_ANALYSABLES,
            [
                {**common, "analysableid": key, "firstanalysis": self._times[key], "timeanalysed": self._times[key]}
                for key in new
            ],
        )
        by_time: dict[int, list[int]] = {}
        for key in self._times.keys() - set(new):
            by_time.setdefault(self._times[key], []).append(key)
        for time, keys in by_time.items():
            for start in range(0, len(keys), 500):
                connection.execute(
                    update(USED_ANALYSABLES)
                    .where(
                        USED_ANALYSABLES.c.modelid == self._model.id,
                        USED_ANALYSABLES.c.action == self._action,
                        USED_ANALYSABLES.c.analysableid.in_(keys[start : start + 500]),
                    )
                    .values(timeanalysed=time)
                )
        self._analysed |= self._times
        self._times = {}

    # What is registered.

    def _registered(
        self,
        connection: Connection,
        table: Any,
        samples: AnalysableSamples,
        method: TimeSplitting,
        index: int | None = None,
    ) -> npt.NDArray[np.int64]:
        query = select(table.c.analysableid, table.c.sampleids).where(
            table.c.modelid == self._model.id, table.c.timesplitting == method.id
        )
        if index is not None:
            query = query.where(table.c.rangeindex == index)
        analysable = int(samples.analysable.id)
        if not self._many:
            query = query.where(table.c.analysableid == analysable)
            return np.array(_ids(connection.execute(query)).get(analysable, []), np.int64)
        key = table.name, method.id, index
        if key not in self._known:  # analysables are many and each has one sample: one question for all of them
            self._known[key] = _ids(connection.execute(query))
        return np.array(self._known[key].get(analysable, []), np.int64)

    def _read_analysables(self) -> tuple[dict[int, int], dict[int, int]]:
        """When each analysable was last analysed for this action, and first for any."""
        used = USED_ANALYSABLES.c
        with self._workspace.store.read() as connection:
            last = connection.execute(
                select(used.analysableid, used.timeanalysed).where(
                    used.modelid == self._model.id, used.action == self._action
                )
            )
            analysed = {row.analysableid: row.timeanalysed for row in last}
            first = connection.execute(
                select(used.analysableid, func.min(used.firstanalysis))
                .where(used.modelid == self._model.id)
                .group_by(used.analysableid)
            )
            return analysed, {row[0]: row[1] for row in first}


def _ids(rows: Iterable[Any]) -> dict[int, list[int]]:
    """Registered samples by analysable."""
    found: dict[int, list[int]] = {}
    for analysable, text in rows:
        found.setdefault(analysable, []).extend(map(int, json.loads(text)))
    return found


def _id(row: Any) -> int:
    """The id of an analysable as the analyser lists it; the site is one by itself."""
    return int(getattr(row, "id", 0))
