"""The past of courses, read by the workers of a cluster: a course a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.cluster_analysis import analysis_described, describe
from moodlemlbackend.analytics.lifecycle.backtesting.course_past import CoursePast, Seen, read_course
from moodlemlbackend.analytics.site import CourseRow, Site

if TYPE_CHECKING:
    from moodlemlbackend.analytics.features.analysis import Analysis
    from moodlemlbackend.cluster import Arrays, Cluster, Files


def read_on_cluster(
    cluster: Cluster, site: Site, analysis: Analysis, rows: Sequence[CourseRow]
) -> Iterator[CoursePast]:
    """Read courses, in their order."""
    order = {"site": site.whereabouts(local=cluster.local), "analysis": describe(analysis), "rows": rows}
    name = cluster.files.write(order, {})
    for row, done in zip(rows, cluster.each(partial(_read_course, name), range(len(rows))), strict=True):
        yield _unpacked(row, *cluster.files.read(done, last=True))
    cluster.files.remove(name)


def _read_course(order: str, files: Files, number: int) -> str:
    """Read one course; returns the name of its file. On a worker."""
    facts = files.read(order)[0]
    row = CourseRow(*facts["rows"][number])
    with Site.reopen(facts["site"]) as site:
        past = read_course(site, analysis_described(facts["analysis"]), row._replace(path=tuple(row.path)))
    return files.write(*_packed(past))


def _packed(past: CoursePast) -> tuple[dict[str, Any], Arrays]:
    arrays: dict[str, Any] = {
        "samples": past.samples, "labels": past.labels, "last_visits": past.last_visits, "teachers": past.teachers,
    }  # fmt: skip
    for number, (features, labels) in enumerate(past.learned.values()):
        arrays |= {f"learned {number}": features, f"labels {number}": labels}
    predictions = [(interval, seen) for interval, parts in past.seen.items() for seen in parts]
    for number, (_, seen) in enumerate(predictions):
        arrays |= {f"seen {number}": seen.features, f"samples {number}": seen.samples}
    facts = {
        "learned": [*past.learned],
        "seen": [(interval, seen.moment, seen.range_index) for interval, seen in predictions],
    }
    return facts, arrays


def _unpacked(row: CourseRow, facts: Mapping[str, Any], arrays: Arrays) -> CoursePast:
    past = CoursePast(row, arrays["samples"], arrays["labels"], arrays["last_visits"], arrays["teachers"])
    for number, interval in enumerate(facts["learned"]):
        past.learned[interval] = arrays[f"learned {number}"], arrays[f"labels {number}"]
    for number, (interval, moment, index) in enumerate(facts["seen"]):
        seen = Seen(moment, index, arrays[f"seen {number}"], arrays[f"samples {number}"])
        past.seen.setdefault(interval, []).append(seen)
    return past
