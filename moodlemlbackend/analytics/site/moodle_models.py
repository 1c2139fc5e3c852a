"""The models that Moodle itself predicts with, beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moodlemlbackend.analytics.site.site import Site

PREDICTING_TASK = r"\tool_analytics\task\predict_models"


def predicting_targets(site: Site) -> list[str]:
    """Targets of Moodle's own models that predict on schedule: those enabled and trained, unless its task is disabled.

    None where the site's tables do not say; without the table of tasks the task counts as enabled.
    """
    schema = site.database.schema
    if not site.analytics_enabled or not schema.has("analytics_models"):
        return []
    if schema.has("task_scheduled"):
        sql = "SELECT disabled FROM {task_scheduled} WHERE classname = :task"
        if any(disabled for (disabled,) in site.database.rows(sql, task=PREDICTING_TASK)):
            return []
    models = site.database.rows("SELECT target FROM {analytics_models} WHERE enabled = 1 AND trained = 1 ORDER BY id")
    return [str(target) for (target,) in models]
