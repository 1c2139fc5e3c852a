"""What training and prediction have in common: an analysis whose results are kept one by one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.cluster_analysis import analyse
from moodlemlbackend.analytics.db import dataset_files
from moodlemlbackend.analytics.features import registry
from moodlemlbackend.analytics.features.analysis import Analysis, AnalysisStatus, Result
from moodlemlbackend.analytics.features.datasets import metadata
from moodlemlbackend.analytics.features.feature_matrix import headers
from moodlemlbackend.analytics.features.refusal import NOT_MEASURED
from moodlemlbackend.analytics.lifecycle.run_result import Analysed
from moodlemlbackend.dataset import data_set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from moodlemlbackend.analytics.features.analysis import Hooks
    from moodlemlbackend.analytics.lifecycle.run_result import RunResult
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

    Shown = Callable[[Result], None]


def analysis_of(
    workspace: Workspace, model: AnalyticsModel, intervals: Sequence[str], *, training: bool, keeps: bool
) -> Analysis:
    """The analysis that a model asks for."""
    return Analysis(
        target=registry.get_target(model.target),
        indicators=[registry.get_indicator(name) for name in model.indicators],
        methods=[registry.get_time_splitting(name) for name in intervals],
        now=workspace.clock(),
        training=training,
        contexts=model.contexts or (),
        keeps=keeps,
    )


def masked_columns(workspace: Workspace, model: AnalyticsModel) -> list[str]:
    """The columns that a model does not learn from: those of indicators known only after the end of a course."""
    if workspace.settings.learn_after_end:
        return []
    indicators = [registry.get_indicator(indicator) for indicator in model.indicators]
    return headers([indicator for indicator in indicators if not indicator.known_in_time], 0)


def run_analysis(
    site: Site,
    analysis: Analysis,
    hooks: Hooks,
    run_result: RunResult,
    *,
    time_limit: float | None = None,
    shown: Shown | None = None,
) -> Iterator[Result]:
    """Yield the results, each noted in that of the run; begins no other analysable after ``time_limit`` seconds."""
    begun = time.monotonic()
    last = None
    for result in analyse(site, analysis, hooks):
        if (
            time_limit is not None
            and last not in (None, result.analysable.id)
            and time.monotonic() - begun >= time_limit
        ):
            run_result.info.append(
                f"The time limit of {time_limit:g} seconds was reached after {len(run_result.analysables)} "
                "site elements; the next run continues from there."
            )
            return
        last = result.analysable.id
        run_result.analysables.append(Analysed.of(result))
        if result.reason == NOT_MEASURED:
            run_result.info.append(f"{result.analysable.name} is not used. {result.reason.text}")
        if shown:
            shown(result)
        yield result


def write_part(
    workspace: Workspace, site: Site, model: AnalyticsModel, analysis: Analysis, area: str, result: Result
) -> Path:
    """Write the data set of one analysable."""
    assert result.method is not None
    assert result.features is not None
    path = dataset_files.new_path(workspace, model, area, result.method.id, int(result.analysable.id))
    columns = headers(analysis.indicators, result.method.range_columns)
    about = metadata(site, analysis.target, analysis.indicators, result.method)
    rows: dict[str, Any] = {"sample_ids": result.unique_ids}
    if result.labels is not None:
        rows = {"labels": result.labels if analysis.target.linear else result.labels.astype(int)}
    data_set.write(path, about, columns, result.features.cells(), **rows)
    return path


def is_data(result: Result) -> bool:
    """Whether a result has rows."""
    return result.status is AnalysisStatus.OK and result.features is not None
