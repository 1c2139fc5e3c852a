"""Indicators, targets and time splitting methods by their ids: Moodle's, and those of installed packages."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from moodlemlbackend.analytics.features import indicators, targets, time_splitting
from moodlemlbackend.analytics.features.analysers import ANALYSERS
from moodlemlbackend.analytics.features.indicators import Indicator
from moodlemlbackend.analytics.features.targets import Target
from moodlemlbackend.analytics.features.time_splitting import TimeSplitting
from moodlemlbackend.analytics.site.modules import MODULES
from moodlemlbackend.errors import UsageError, unknown

INDICATORS = "moodlemlbackend.indicators"
TARGETS = "moodlemlbackend.targets"
TIME_SPLITTINGS = "moodlemlbackend.time_splittings"
"""Entry point groups; an entry is a subclass, or an indicator itself."""

STUDENTS_AT_RISK: tuple[str, ...] = (
    r"\core\analytics\indicator\any_access_after_end",
    r"\core\analytics\indicator\any_access_before_start",
    r"\core\analytics\indicator\any_write_action_in_course",
    r"\core\analytics\indicator\read_actions",
    r"\core_course\analytics\indicator\completion_enabled",
    r"\core_course\analytics\indicator\potential_cognitive_depth",
    r"\core_course\analytics\indicator\potential_social_breadth",
    *(
        rf"\mod_{module}\analytics\indicator\{name}"
        for module in MODULES
        if module != "bigbluebuttonbn"
        for name in ("cognitive_depth", "social_breadth")
    ),
)
"""Indicators of the core model of students at risk of dropping out, in their order."""


_OF_MODULE = re.compile(r"\\mod_(\w+)\\", re.ASCII)


def get_indicator(id: str) -> Indicator:  # noqa: A002
    """Return the indicator of an id; raises :class:`UsageError` when there is none."""
    chosen: Indicator = _find(
        id, {indicator.id: indicator for indicator in indicators.CORE}, INDICATORS, Indicator, "indicator"
    )
    return chosen


def get_target(id: str) -> Target:  # noqa: A002
    """Return a new target of an id, or of the last part of one of Moodle's; raises :class:`UsageError`."""
    chosen: Target = _find(id, {target.id: target for target in targets.CORE}, TARGETS, Target, "target")
    return chosen


def get_time_splitting(id: str) -> TimeSplitting:  # noqa: A002
    """Return the time splitting method of an id, or of the last part of one of Moodle's; raises :class:`UsageError`."""
    core = {method.id: method for method in time_splitting.CORE}
    chosen: TimeSplitting = _find(id, core, TIME_SPLITTINGS, TimeSplitting, "interval")
    return chosen


def list_indicators() -> list[Indicator]:
    """Every indicator, Moodle's first."""
    return [*indicators.CORE, *_installed(INDICATORS, Indicator, "indicator")]


def list_targets() -> list[Target]:
    """Every target, Moodle's first."""
    return [*(target() for target in targets.CORE), *_installed(TARGETS, Target, "target")]


def list_time_splittings() -> list[TimeSplitting]:
    """Every time splitting method, Moodle's first."""
    core = [method() for method in time_splitting.CORE]
    return [*core, *_installed(TIME_SPLITTINGS, TimeSplitting, "interval")]


def indicators_of(target: Target, modules: Collection[str] | None = None) -> tuple[str, ...]:
    """Ids of the indicators of a target's core model; those of students at risk for targets without one.

    Without those of activities that are not among ``modules``, those that a site has, as Moodle leaves them out.
    """
    indicators = target.indicators or STUDENTS_AT_RISK
    return indicators if modules is None else tuple(name for name in indicators if not absent_modules([name], modules))


def absent_modules(indicators: Iterable[str], modules: Collection[str]) -> list[str]:
    """Names of the activities that some indicators, by their ids, are of and that are not among ``modules``."""
    named = {match[1] for name in indicators if (match := _OF_MODULE.match(name))}
    return sorted(named - set(modules))


def check_fit(target: Target, chosen: Sequence[Indicator], method: TimeSplitting) -> None:
    """Raise :class:`UsageError` when these cannot make a model together."""
    if not target.accepts(method):
        raise UsageError(f"The target {target.id} does not work with the interval {method.id}; choose another one.")
    if not chosen:
        raise UsageError("A data set needs at least one indicator.")
    provided = ANALYSERS[target.analyser].provides
    for indicator in chosen:
        if missing := indicator.requires - provided:
            raise UsageError(
                f"The indicator {indicator.id} needs {' and '.join(sorted(missing))}, "
                f"which the samples of {target.id} do not have; leave it out."
            )
    if len({indicator.id for indicator in chosen}) != len(chosen):
        raise UsageError("An indicator is listed twice; list each only once.")


def _find(id: str, core: dict[str, Any], group: str, kind: type[Any], word: str) -> Any:  # noqa: A002
    if id not in core and "\\" not in id:
        named = [known for known in core if known.rpartition("\\")[2] == id]
        id = named[0] if len(named) == 1 else id  # noqa: A001
    if id in core:
        return _made(core[id])
    installed = {made.id: made for made in _installed(group, kind, word)}
    if id in installed:
        return installed[id]
    ids = [*core, *installed]
    raise unknown(
        word,
        id,
        ids if "\\" in id else [known.rpartition("\\")[2] for known in ids],
        f"moodlemlbackend models {word}s lists them. If yours comes from another package, install that package first.",
    )


def _installed(group: str, kind: type[Any], word: str) -> list[Any]:
    """What installed packages register."""
    from importlib.metadata import entry_points

    elements = []
    for entry in entry_points(group=group):
        try:
            made = _made(entry.load())
        except Exception as error:
            raise UsageError(
                f"The {word} of the entry point {entry.value} cannot be loaded ({error}); install its package again."
            ) from error
        if not isinstance(made, kind) or not str(getattr(made, "id", "")).startswith("\\"):
            raise UsageError(
                f"The entry point {entry.value} does not name a valid {word}; its id must begin with a backslash."
            )
        elements.append(made)
    return elements


def _made(registered: Any) -> Any:
    return registered() if isinstance(registered, type) else registered
