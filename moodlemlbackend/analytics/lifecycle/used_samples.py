"""What a model has used, and so is not to use again.

:class:`UsedSamples` are the hooks of an analysis. They read what is registered, and collect what is to be
registered; the run writes that in one transaction with what the analysis gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from moodlemlbackend.analytics.db import calculations, join_store, used_samples
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.features.analysis import NO_NEW_RANGES, NO_NEW_SAMPLES, AnalysisStatus, Hooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from moodlemlbackend.analytics.db import Connection, Store
    from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
    from moodlemlbackend.analytics.features.analysis import Analysis, Result, Stored, Values
    from moodlemlbackend.analytics.features.ranges import Ranges
    from moodlemlbackend.analytics.features.targets import Refusal, Target
    from moodlemlbackend.analytics.features.time_splitting import TimeSplitting
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.workspace import Workspace

TRAINING, PREDICTION = "training", "prediction"


class Used(NamedTuple):
    """The samples of an analysable that are used, by their ids, in a range of an interval."""

    interval: str
    analysable: int
    rangeindex: int
    samples: npt.NDArray[np.int64]

    @classmethod
    def of(cls, result: Result) -> Used:
        """All samples of a result."""
        assert result.samples is not None
        assert result.method is not None
        assert result.ranges is not None
        return cls(result.method.id, int(result.analysable.id), int(result.ranges.indexes[0]), result.samples.ids)


class Calculations(Hooks):
    """Stored calculations are used again, with their two decimals; none are added."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def recall(self, samples: AnalysableSamples, start: int, end: int) -> Stored:
        """The stored values of a range, by indicator; null ones are calculated again."""
        with self._store.read() as connection:
            stored = calculations.recall(
                connection, contextid=samples.analysable.context, origin=samples.origin, start=start, end=end
            )
        return {
            indicator: (np.array(ids, np.int64), np.array(values, np.float64))
            for indicator, (ids, values) in stored.items()
        }

    def elsewhere(self) -> dict[str, Any]:
        """The store's address, with its password."""
        return {"store": self._store.engine.url.render_as_string(hide_password=False)}

    def let_go(self) -> None:
        """Close the connections to the store."""
        self._store.close()


class Unused(Calculations):
    """Samples that a model has used are left out; ``first`` has when it first analysed each analysable."""

    def __init__(self, store: Store, modelid: int, target: Target, action: str, first: Mapping[int, int]) -> None:
        super().__init__(store)
        self._modelid, self._target, self._action, self._first = modelid, target, action, first
        self._many = definitions.analyser(target.id).one_sample_per_analysable
        self._known: dict[tuple[str, int | None], dict[int, list[int]]] = {}

    def first_analysis(self, analysable: int) -> int | None:
        """When the model first analysed it, for training or prediction."""
        return self._first.get(analysable)

    def select(
        self, samples: AnalysableSamples, ranges: Ranges, method: TimeSplitting
    ) -> tuple[AnalysableSamples, Ranges] | Refusal:
        """Leave out samples that were trained with, also in predictions, and those predicted in the range."""
        with self._store.read() as connection:
            if not self._target.static:
                trained = self._registered(connection, samples, method)
                samples = samples.take(~np.isin(samples.ids, trained))
                if not len(samples):
                    return NO_NEW_SAMPLES
            if self._action == PREDICTION:
                predicted = self._registered(connection, samples, method, int(ranges.indexes[0]))
                samples = samples.take(~np.isin(samples.ids, predicted))
                if not len(samples):
                    return NO_NEW_RANGES
        return samples, ranges

    def elsewhere(self) -> dict[str, Any]:
        """The store, the model and what is known of it."""
        return {**super().elsewhere(), "model": self._modelid, "action": self._action, "first": [*self._first.items()]}

    @staticmethod
    def opener_elsewhere(facts: Any, analysis: Analysis) -> Hooks:
        """Read the registers of the same store."""
        store = join_store(facts["store"])
        return Unused(store, facts["model"], analysis.target, facts["action"], dict(facts["first"]))

    def _registered(
        self, connection: Connection, samples: AnalysableSamples, method: TimeSplitting, index: int | None = None
    ) -> npt.NDArray[np.int64]:
        """Samples that were trained with or, where a range is given, predicted in it."""
        analysable, key = int(samples.analysable.id), (method.id, index)
        registered = self._known.get(key)
        if registered is None:
            only = None if self._many else analysable
            registered = (
                used_samples.trained(connection, self._modelid, method.id, only)
                if index is None
                else used_samples.predicted(connection, self._modelid, method.id, index, only)
            )
            if self._many:  # analysables are many and each has one sample: one question for all of them
                self._known[key] = registered
        return np.array(registered.get(analysable, []), np.int64)


class UsedSamples(Unused):
    """The hooks of a model's training or prediction."""

    def __init__(self, workspace: Workspace, model: AnalyticsModel, target: Target, action: str) -> None:
        with workspace.store.read() as connection:
            self._analysed = used_samples.last_analysed(connection, model.id, action)
            first = used_samples.first_analysed(connection, model.id)
        super().__init__(workspace.store, model.id, target, action, first)
        self._clock = workspace.clock
        self._calculations: list[tuple[dict[str, Any], npt.NDArray[np.int64], Values]] = []
        self._times: dict[int, int] = {}

    # What the analysis asks.

    def order(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Those that were not analysed for longest come first."""
        return sorted(rows, key=lambda row: self._analysed.get(_id(row), 0))

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
            "timecreated": self._clock(),
        }
        self._calculations.append((common, samples.ids[chosen[known]], values[known]))

    # What the run writes.

    def analysed(self, result: Result) -> None:
        """Collect that an analysable was looked at, if that is to be registered."""
        key = int(result.analysable.id)
        if key not in self._analysed or self._target.always_update_analysis_time or result.status is AnalysisStatus.OK:
            self._times[key] = self._clock()

    def write(self, connection: Connection, used: Iterable[Used] = ()) -> None:
        """Register what was collected, and samples that are used."""
        by_interval: dict[str, list[Used]] = {}
        for one in used:
            by_interval.setdefault(one.interval, []).append(one)
        for interval, of_interval in by_interval.items():
            self._write_samples(connection, interval, of_interval)
        calculations.keep(
            connection,
            (
                {**common, "sampleid": sample, "value": value}
                for common, ids, values in self._calculations
                for sample, value in zip(ids.tolist(), values.tolist(), strict=True)
            ),
        )
        new = {key: time for key, time in self._times.items() if key not in self._analysed}
        again = {key: time for key, time in self._times.items() if key in self._analysed}
        used_samples.register_analysed(connection, self._modelid, self._action, new=new, again=again)
        self._analysed |= self._times
        self._calculations, self._times = [], {}

    def _write_samples(self, connection: Connection, interval: str, used: Sequence[Used]) -> None:
        now = self._clock()
        if self._action == TRAINING:
            samples = [(one.analysable, one.samples.tolist()) for one in used]
            used_samples.register_trained(connection, self._modelid, interval, samples, now)
            return

        def known_new(analysable: int, index: int) -> bool:
            known = self._known.get((interval, index))
            return known is not None and analysable not in known

        rows = [(one.analysable, one.rangeindex, one.samples.tolist()) for one in used]
        used_samples.register_predicted(connection, self._modelid, interval, rows, now, known_new=known_new)


def _id(row: Any) -> int:
    """The id of an analysable as the analyser lists it; the site is one by itself."""
    return int(getattr(row, "id", 0))
