"""From a site to a data set file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from moodlemlbackend.analytics.features.analysis import Analysis, AnalysisStatus, Result, analyse
from moodlemlbackend.analytics.features.feature_matrix import headers
from moodlemlbackend.analytics.features.indicators import Indicator
from moodlemlbackend.analytics.features.targets import Refusal, Target
from moodlemlbackend.analytics.features.time_splitting import TimeSplitting
from moodlemlbackend.analytics.site import Site
from moodlemlbackend.dataset.csv_writer import writing
from moodlemlbackend.errors import NoDataSetError


@dataclass(frozen=True)
class Written:
    """What a data set holds, and which analysables it does not hold: each by its name, with the reason."""

    rows: int
    columns: int
    analysables: int
    refused: list[tuple[str, Refusal]]


def metadata(site: Site, target: Target, indicators: Sequence[Indicator], method: TimeSplitting) -> dict[str, str]:
    """The first two header rows."""
    if target.linear:
        values = {"targetmin": f"{target.minimum:g}", "targetmax": f"{target.maximum:g}"}
    else:
        values = {"targetclasses": f"[{','.join(map(str, target.classes))}]"}
    return {
        "timesplitting": method.id,
        "nfeatures": str(len(headers(indicators, method.range_columns))),
        "moodleversion": site.version,
        "targetcolumn": target.id,
        "targettype": "linear" if target.linear else "discrete",
        **values,
    }


def write_dataset(
    file: str | os.PathLike[str] | BinaryIO,
    site: Site,
    analysis: Analysis,
    *,
    jobs: int | None = None,
    progress: Callable[[Result], None] | None = None,
    analyse: Callable[..., Iterator[Result]] = analyse,
) -> Written:
    """Analyse a site with one time splitting method and write the data set, labelled when ``analysis`` trains.

    Rows are written as they come: memory is bounded by the largest course. A file given by its path appears whole or
    not at all. ``analyse`` may be another function that gives the same results, such as that of a cluster. Raises
    :class:`NoDataSetError`, naming the commonest reasons, when there is no row.
    """
    [method] = analysis.methods
    refused: list[tuple[str, Refusal]] = []
    rows = analysables = 0
    columns = headers(analysis.indicators, method.range_columns)
    header = metadata(site, analysis.target, analysis.indicators, method)
    with writing(file, header, columns, labelled=analysis.training) as add:
        for result in analyse(site, analysis, jobs=jobs):
            if progress:
                progress(result)
            if result.status is not AnalysisStatus.OK:
                refused.append((result.analysable.name, result.reason))
                continue
            assert result.features is not None
            if analysis.training:
                add(result.features.cells(), _labels(result, linear=analysis.target.linear))
            else:
                add(result.features.cells(), result.unique_ids)
            rows += len(result.features)
            analysables += 1
        if not rows:
            raise NoDataSetError(f"{site.name} has no samples for {analysis.target.id}: {_reasons(refused)}.")
    return Written(rows, len(columns), analysables, refused)


def _labels(result: Result, *, linear: bool) -> Any:
    assert result.labels is not None
    return result.labels if linear else result.labels.astype(int)


def _reasons(refused: list[tuple[str, Refusal]]) -> str:
    """The commonest reasons, as part of a sentence."""
    from collections import Counter

    counts = Counter(reason.text.rstrip(".") for _, reason in refused).most_common(3)
    sentence = "; ".join(f"{text} ({number} of {len(refused)})" for text, number in counts)
    return sentence[:1].lower() + sentence[1:] if sentence else "there is nothing to analyse"
