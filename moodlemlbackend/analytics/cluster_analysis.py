"""An analysis whose analysables are calculated by the workers of a cluster, some courses a task.

A worker opens the site, and the store where calculations and used samples count, by the addresses that the order has:
both must be reached from every machine. It sends back what :class:`.Result` has, but for the analysables themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.features import registry
from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.analysis import (
    COURSES_A_TASK,
    Analysis,
    AnalysisStatus,
    Hooks,
    Result,
    analyse_rows,
)
from moodlemlbackend.analytics.features.analysis import analyse as analyse_here
from moodlemlbackend.analytics.features.feature_matrix import Features
from moodlemlbackend.analytics.features.indicators.indicator import events_of
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.features.targets import Refusal
from moodlemlbackend.analytics.site import CourseRow, Site
from moodlemlbackend.analytics.site.users import UserRow
from moodlemlbackend.cluster import current

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from moodlemlbackend.cluster import Cluster, Files

    Arrays = dict[str, npt.NDArray[np.generic]]

USERS_A_TASK = 1000


def analyse(site: Site, analysis: Analysis, hooks: Hooks | None = None, *, jobs: int | None = None) -> Iterator[Result]:
    """As :func:`.features.analysis.analyse`, with the same results, on the cluster in use if there is one.

    A rule-based target is judged here, where it needs the samples with all their facts.
    """
    cluster = current()
    if cluster is None or analysis.target.static:
        yield from analyse_here(site, analysis, hooks, jobs=jobs)
        return
    rows = (hooks or Hooks()).order(analysis.analyser.rows(site, analysis.contexts))
    if len(rows) < 2:
        yield from analyse_here(site, analysis, hooks, jobs=jobs)
        return
    yield from _on_cluster(cluster, site, analysis, rows, hooks or Hooks())


def _on_cluster(
    cluster: Cluster, site: Site, analysis: Analysis, rows: Sequence[Any], hooks: Hooks
) -> Iterator[Result]:
    size = USERS_A_TASK if isinstance(rows[0], UserRow) else COURSES_A_TASK
    starts = range(0, len(rows), size)
    order = {
        "site": site.whereabouts(local=cluster.local),
        "analysis": describe(analysis),
        "hooks": hooks.elsewhere(),
        "rows": rows,
        "size": size,
    }
    name = cluster.files.write(order, {})
    events = events_of(analysis.indicators)
    opener = hooks.opener_elsewhere
    for start, done in zip(starts, cluster.each(partial(_analyse_part, name, opener), starts), strict=True):
        facts, arrays = cluster.files.read(done, last=True)
        analysables = list(analysis.analyser.open(site, rows[start : start + size], analysis.now, events))
        for number, about in enumerate(facts["results"]):
            own = {key.partition(".")[2]: array for key, array in arrays.items() if key.startswith(f"{number}.")}
            yield _result(analysis, analysables[about["at"]], about, own, hooks)
    cluster.files.remove(name)


def describe(analysis: Analysis) -> dict[str, Any]:
    """An analysis as JSON has it."""
    return {
        "target": analysis.target.id,
        "indicators": [indicator.id for indicator in analysis.indicators],
        "methods": [method.id for method in analysis.methods],
        "now": analysis.now,
        "training": analysis.training,
        "contexts": [*analysis.contexts],
        "keeps": analysis.keeps,
    }


def analysis_described(facts: Mapping[str, Any]) -> Analysis:
    """The analysis that is described."""
    found = {
        "target": registry.get_target(facts["target"]),
        "indicators": [registry.get_indicator(name) for name in facts["indicators"]],
        "methods": [registry.get_time_splitting(name) for name in facts["methods"]],
    }
    return Analysis(**{**facts, **found})


# On a worker.


class _Recorder(Hooks):
    """The hooks of an analysis on a worker: ``kept`` is what its own hooks will have to keep."""

    def __init__(self, hooks: Hooks) -> None:
        self.first_analysis = hooks.first_analysis  # type: ignore[method-assign]
        self.select = hooks.select  # type: ignore[method-assign]
        self.recall = hooks.recall  # type: ignore[method-assign]
        self.kept: list[tuple[int, int, str, Any, Any]] = []

    def keep(self, samples: AnalysableSamples, start: int, end: int, indicator: str, chosen: Any, values: Any) -> None:  # noqa: ARG002
        """Remember it."""
        self.kept.append((start, end, indicator, chosen, values))


def _analyse_part(order: str, opener: Any, files: Files, start: int) -> str:
    """Analyse the analysables from a position on; returns the name of the file of the results."""
    facts, analysis, hooks = _order(order, opener, files.location)
    rows = [_row(values) for values in facts["rows"][start : start + facts["size"]]]
    position = {row.id: at for at, row in enumerate(rows)}
    results: list[dict[str, Any]] = []
    arrays: Arrays = {}
    recorder = _Recorder(hooks)
    try:
        with Site.reopen(facts["site"]) as site:
            for number, result in enumerate(analyse_rows(site, analysis, rows, recorder)):
                about, own = _packed(result, recorder.kept)
                recorder.kept.clear()
                results.append({"at": position[result.analysable.id], **about})
                arrays |= {f"{number}.{name}": array for name, array in own.items()}
    finally:
        hooks.let_go()
    return files.write({"results": results}, arrays)


@lru_cache(maxsize=1)
def _order(name: str, opener: Any, location: str) -> tuple[dict[str, Any], Analysis, Hooks]:
    """What the tasks of one analysis have in common; a worker reads it once."""
    from moodlemlbackend.cluster import Files

    facts = Files(location).read(name)[0]
    analysis = analysis_described(facts["analysis"])
    return facts, analysis, opener(facts["hooks"], analysis)


def _row(values: Sequence[Any]) -> CourseRow | UserRow:
    """A row of a list of analysables, from JSON."""
    if len(values) == len(UserRow._fields):
        return UserRow(*values)
    course = CourseRow(*values)
    return course._replace(path=tuple(course.path))


# A result, as a file has it.


def _packed(result: Result, kept: Sequence[tuple[int, int, str, Any, Any]]) -> tuple[dict[str, Any], Arrays]:
    about: dict[str, Any] = {
        "method": result.method.id if result.method else None,
        "status": int(result.status),
        "reason": result.reason,
        "values": [*result.values],
        "kept": [[start, end, indicator] for start, end, indicator, _, _ in kept],
    }
    arrays: dict[str, Any] = {f"value {number}": own for number, own in enumerate(result.values.values())}
    for number, (_, _, _, chosen, values) in enumerate(kept):
        arrays |= {f"chosen {number}": chosen, f"kept {number}": values}
    if result.samples is not None:
        arrays |= {"ids": result.samples.ids, "contexts": result.samples.contexts, "users": result.samples.users}
    if result.ranges is not None:
        ranges = result.ranges
        arrays |= {"starts": ranges.starts, "ends": ranges.ends, "times": ranges.times, "indexes": ranges.indexes}
    if result.features is not None:
        features = result.features
        arrays |= {"features": features.values, "samples": features.samples, "ranges": features.ranges}
        arrays |= {"stored": features.stored, "labels": result.labels}
    return about, {name: array for name, array in arrays.items() if array is not None}


def _result(
    analysis: Analysis, analysable: Any, about: Mapping[str, Any], arrays: Mapping[str, Any], hooks: Hooks
) -> Result:
    samples = ranges = features = None
    if "ids" in arrays:
        samples = AnalysableSamples(
            analysable, analysis.analyser.origin, arrays["ids"], arrays["contexts"], arrays.get("users")
        )
        for number, (start, end, indicator) in enumerate(about["kept"]):
            hooks.keep(samples, start, end, indicator, arrays[f"chosen {number}"], arrays[f"kept {number}"])
    if "starts" in arrays:
        ranges = Ranges(*(arrays[name] for name in ("starts", "ends", "times", "indexes")))
    if "features" in arrays:
        features = Features(arrays["features"], arrays["samples"], arrays["ranges"], arrays.get("stored"))
    method = next((method for method in analysis.methods if method.id == about["method"]), None)
    values = {name: arrays[f"value {number}"] for number, name in enumerate(about["values"])}
    return Result(
        analysable, method, AnalysisStatus(about["status"]), Refusal(*about["reason"]), samples, ranges, features,
        arrays.get("labels"), values,
    )  # fmt: skip
