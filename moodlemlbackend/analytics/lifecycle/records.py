"""What a prediction keeps: registers of use, data sets, predictions and messages.

:class:`Records` keep it in the store, :class:`Rehearsal` in memory and a temporary folder, for a dry run.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.db import dataset_files, risks
from moodlemlbackend.analytics.db import predictions as stored_predictions
from moodlemlbackend.analytics.db.dataset_files import PREDICTED, UNLABELLED, DatasetFile
from moodlemlbackend.analytics.insights.messages import NewPrediction, read_evidence, write_messages
from moodlemlbackend.analytics.lifecycle import most_flagged
from moodlemlbackend.analytics.lifecycle.analysing import write_part
from moodlemlbackend.analytics.lifecycle.predicted_samples import Places
from moodlemlbackend.analytics.lifecycle.used_samples import PREDICTION, Used, UsedSamples
from moodlemlbackend.analytics.notifications import outbox

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from moodlemlbackend.analytics.features.analysis import Analysis, Result
    from moodlemlbackend.analytics.insights.messages import Evidence
    from moodlemlbackend.analytics.lifecycle.most_flagged import MostFlagged
    from moodlemlbackend.analytics.lifecycle.predicted_samples import Explained, News
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.notifications.message import Message
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace


@dataclass(frozen=True)
class Outcome:
    """What a run predicted.

    Attributes
    ----------
    news
        predictions that are kept.
    used
        samples that are registered with them.
    merged, contexts
        the data set that was predicted, and the contexts in it.
    withheld
        courses about which no one is notified, by context.
    risks
        the risk of every student who was predicted, news or not, by column.
    """

    news: News
    used: Sequence[Used] = ()
    merged: DatasetFile | None = None
    contexts: Collection[int] = ()
    withheld: Mapping[int, MostFlagged] = field(default_factory=dict)
    risks: Iterable[Mapping[str, Any]] = ()


class Records:
    """Keeps what comes of a prediction in the store."""

    explains = True

    def __init__(self, workspace: Workspace, site: Site, model: AnalyticsModel, analysis: Analysis) -> None:
        self.workspace, self.site, self.model, self.analysis = workspace, site, model, analysis
        self.used_samples = UsedSamples(workspace, model, analysis.target, PREDICTION)

    def keep_part(self, result: Result) -> None:
        """Keep one analysable's samples with what a prediction of them will need to know."""
        assert result.method is not None
        path = write_part(self.workspace, self.site, self.model, self.analysis, UNLABELLED, result)
        part = _part(result, path)
        with self.workspace.store.write() as connection:
            dataset_files.add(
                connection, self.workspace, self.model, UNLABELLED, part.interval, path, part.rows, part.analysable,
                part.details,
            )  # fmt: skip
            self.used_samples.write(connection, [Used.of(result)])

    def register(self) -> None:
        """Register what was looked at and gave nothing."""
        with self.workspace.store.write() as connection:
            self.used_samples.write(connection)

    def merge(self, interval: str) -> DatasetFile | None:
        """Merge all samples that wait for a prediction into one data set; None when there are none."""
        workspace, model = self.workspace, self.model
        with workspace.store.write() as connection:
            new = dataset_files.of_analysables(connection, workspace, model, UNLABELLED, interval, merged=False)
            waiting = dataset_files.pending(connection, workspace, model, UNLABELLED, interval, PREDICTED)
            if not new and len(waiting) < 2:
                return waiting[0] if waiting else None
            merged = dataset_files.merge(connection, workspace, model, UNLABELLED, new, waiting)
        dataset_files.remove(waiting)
        return merged

    def places(self, merged: DatasetFile) -> Places:
        """Where the samples of a merged data set come from."""
        with self.workspace.store.read() as connection:
            return Places(dataset_files.parts_of(connection, self.workspace, merged))

    def keep(self, outcome: Outcome) -> int | None:
        """Write predictions, explanations, messages and registers in one transaction; returns how many messages.

        With notifications off there are none.
        """
        workspace, modelid, evidence = self.workspace, self.model.id, self._evidence(outcome)
        with workspace.store.write() as connection:
            self.used_samples.write(connection, outcome.used)
            ids = array("q")
            for row, explained in outcome.news:
                ids.append(stored_predictions.insert(connection, row, **explained))
            written = None
            if workspace.settings.notifications:
                messages = _messages(workspace, self.site, self.model, outcome, ids, evidence)
                written = outbox.put(connection, workspace, messages)
            if outcome.merged:
                risks.insert(connection, outcome.risks)
                most_flagged.remember(connection, modelid, outcome.contexts, outcome.withheld, workspace.clock())
                dataset_files.use(connection, workspace, self.model, outcome.merged.id, PREDICTED)
        return written

    def _evidence(self, outcome: Outcome) -> Evidence:
        """What messages will say that students did, read before the store is kept from others."""
        if not self.workspace.settings.notifications:
            return {}
        waiting = (_new(0, *one) for one in outcome.news)
        return read_evidence(self.workspace, self.site, self.model, waiting, outcome.withheld)


class Rehearsal:
    """Keeps the messages that would be written, and nothing in the store; files go to a temporary folder."""

    explains = False

    def __init__(
        self, workspace: Workspace, site: Site, model: AnalyticsModel, analysis: Analysis, folder: Path
    ) -> None:
        self.workspace, self.site, self.model, self.analysis = workspace, site, model, analysis
        self.used_samples = UsedSamples(workspace, model, analysis.target, PREDICTION)
        self.messages: list[Message] = []
        self._aside = replace(workspace, folder=folder)
        self._parts: list[DatasetFile] = []

    def keep_part(self, result: Result) -> None:
        """Write one analysable's samples to the temporary folder."""
        path = write_part(self._aside, self.site, self.model, self.analysis, UNLABELLED, result)
        self._parts.append(_part(result, path))

    def register(self) -> None:
        """Register nothing."""

    def merge(self, interval: str) -> DatasetFile | None:
        """Merge what :class:`Records` would merge, in the temporary folder."""
        workspace, model = self.workspace, self.model
        with workspace.store.read() as connection:
            left = dataset_files.of_analysables(connection, workspace, model, UNLABELLED, interval, merged=False)
            waiting = dataset_files.pending(connection, workspace, model, UNLABELLED, interval, PREDICTED)
            before = [part for file in waiting for part in dataset_files.parts_of(connection, workspace, file)]
        files = [*left, *self._parts, *waiting]
        self._parts = [*left, *self._parts, *before]
        if not files:
            return None
        path = dataset_files.new_path(self._aside, model, UNLABELLED, interval)
        dataset_files.join([file.path for file in files], path)
        return DatasetFile(0, path, interval, None, sum(file.rows for file in files), workspace.clock(), {})

    def places(self, _merged: DatasetFile) -> Places:
        """Where the samples of the merged data set come from."""
        return Places(self._parts)

    def keep(self, outcome: Outcome) -> None:
        """Write the messages, and send none."""
        ids = range(1, len(outcome.news) + 1)
        self.messages = [*_messages(self.workspace, self.site, self.model, outcome, ids)]


def _part(result: Result, path: Path) -> DatasetFile:
    """The data set of one analysable, as the store will know it."""
    assert result.method is not None
    assert result.samples is not None
    assert result.ranges is not None
    assert result.features is not None
    bounds = zip(result.ranges.starts.tolist(), result.ranges.ends.tolist(), strict=True)
    details = {
        "ranges": dict(zip(map(str, result.ranges.indexes.tolist()), bounds, strict=True)),
        "contexts": dict(zip(map(str, result.samples.ids.tolist()), result.samples.contexts.tolist(), strict=True)),
    }
    return DatasetFile(0, path, result.method.id, int(result.analysable.id), len(result.features), 0, details)


def _new(predictionid: int, row: Mapping[str, Any], explained: Explained) -> NewPrediction:
    return NewPrediction(
        predictionid, row["contextid"], row["sampleid"], row["prediction"], row["predictionscore"],
        **explained, start=row["timestart"] or 0, end=row["timeend"] or 0, calculations=row["calculations"],
    )  # fmt: skip


def _messages(
    workspace: Workspace,
    site: Site,
    model: AnalyticsModel,
    outcome: Outcome,
    ids: Sequence[int],
    evidence: Evidence | None = None,
) -> Iterator[Message]:
    """The messages about what is news, with these ids; none about contexts that are withheld."""
    for positions in outcome.news.by_context(outcome.withheld):
        predictions = [_new(ids[at], *outcome.news[at]) for at in positions]
        yield from write_messages(workspace, site, model, predictions, evidence)
