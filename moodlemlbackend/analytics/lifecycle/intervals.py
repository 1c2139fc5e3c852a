"""Which analysis intervals are tried with a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodlemlbackend.analytics.features import definitions, registry
from moodlemlbackend.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.workspace import Workspace


def chosen_intervals(workspace: Workspace, model: AnalyticsModel, names: Iterable[str] = ()) -> list[str]:
    """Ids of the intervals that are named, or else of those that the settings enable for evaluation.

    Raises
    ------
    UsageError
        The model cannot be used with one of them, or with none of those that are enabled.
    """
    possible = definitions.intervals_for(model.target)
    named = list(dict.fromkeys(registry.get_time_splitting(name).id for name in names))
    for interval in named:
        if interval not in possible:
            raise UsageError(
                f"The interval {definitions.last_part(interval)} cannot be used with {model.name}; "
                f"choose one of {', '.join(map(definitions.last_part, possible))}."
            )
    if named:
        return named
    enabled = [interval for interval in workspace.settings.intervals if interval in possible]
    chosen = [name for name in enabled or possible if registry.get_time_splitting(name).valid_for_evaluation]
    if not chosen:
        raise UsageError(f'No interval is set for evaluating {model.name}; choose one in the "intervals" setting.')
    return chosen
