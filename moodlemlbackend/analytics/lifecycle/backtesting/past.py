"""The past of all courses that are over, read side by side: in threads, or by the workers of a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.lifecycle.backtesting.cluster_past import read_on_cluster
from moodlemlbackend.analytics.lifecycle.backtesting.course_past import read_course
from moodlemlbackend.cluster import current

if TYPE_CHECKING:
    from moodlemlbackend.analytics.features.analysis import Analysis
    from moodlemlbackend.analytics.lifecycle.backtesting.course_past import CoursePast
    from moodlemlbackend.analytics.site import CourseRow, Site


def read_past(site: Site, analysis: Analysis, rows: Sequence[CourseRow]) -> Iterator[CoursePast]:
    """Read courses side by side, in their order; ``analysis.now`` is today."""
    if len(rows) > 1 and (cluster := current()) is not None:
        return read_on_cluster(cluster, site, analysis, rows)
    workers = min(os.cpu_count() or 1, len(rows))
    if workers < 2:
        return (read_course(site, analysis, row) for row in rows)
    return site.side_by_side(lambda joined, row: read_course(joined, analysis, row), rows, workers)
