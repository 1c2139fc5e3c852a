"""Indicators, targets and time splitting methods by their ids: Moodle's, and those of installed packages."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from moodlemlbackend.analytics.features import answers, indicators, targets, time_splitting
from moodlemlbackend.analytics.features.analysers import ANALYSERS
from moodlemlbackend.analytics.features.contracts import broken_rule
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


class _Sort(NamedTuple):
    """A sort of elements: what messages call it, where packages register it, its class, and Moodle's of it by id."""

    word: str
    group: str
    kind: type[Any]
    core: Mapping[str, Any]


_INDICATORS = _Sort("indicator", INDICATORS, Indicator, {indicator.id: indicator for indicator in indicators.CORE})
_TARGETS = _Sort("target", TARGETS, Target, {target.id: target for target in targets.CORE})
_METHODS = _Sort("interval", TIME_SPLITTINGS, TimeSplitting, {method.id: method for method in time_splitting.CORE})


def get_indicator(id: str) -> Indicator:  # noqa: A002
    """Return the indicator of an id, or of its last part; raises :class:`UsageError` when there is none."""
    chosen: Indicator = _find(_INDICATORS, id)
    return chosen


def get_target(id: str) -> Target:  # noqa: A002
    """Return a new target of an id, or of its last part; raises :class:`UsageError`."""
    chosen: Target = _find(_TARGETS, id)
    return chosen


def get_time_splitting(id: str) -> TimeSplitting:  # noqa: A002
    """Return the time splitting method of an id, or of its last part; raises :class:`UsageError`."""
    chosen: TimeSplitting = _find(_METHODS, id)
    return chosen


def list_indicators() -> list[Indicator]:
    """Every indicator that can be used, Moodle's first."""
    return _every(_INDICATORS)


def list_targets() -> list[Target]:
    """Every target that can be used, Moodle's first."""
    return _every(_TARGETS)


def list_time_splittings() -> list[TimeSplitting]:
    """Every time splitting method that can be used, Moodle's first."""
    return _every(_METHODS)


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
    if not answers.accepts(target, method):
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


def _find(sort: _Sort, id: str) -> Any:  # noqa: A002
    if id in sort.core:
        return _made(sort.core[id])
    known, faults = _Installed(sort.core, {})
    if not (same := _named(id, known)):
        known, faults = _installed(sort)
        same = _named(id, known)
    if len(same) == 1:
        return _made(known[same[0]])
    if same:
        raise UsageError(f"The name {id!r} is that of {len(same)} {sort.word}s, such as {same[0]}; give the whole id.")
    own = _named(id, faults) or ("\\" in id and [entry for entry in faults if "\\" not in entry])
    if own:
        raise UsageError(faults[own[0]])
    ids = [*sort.core, *known]
    raise unknown(
        sort.word,
        id,
        ids if "\\" in id else map(_last_part, ids),
        f"moodlemlbackend models {sort.word}s lists them. "
        "If yours comes from another package, install that package first.",
    )


def _named(name: str, ids: Iterable[str]) -> list[str]:
    """Those ids that a name stands for: itself, or the last part of each."""
    return [id for id in ids if name in (id, _last_part(id))]  # noqa: A001


def _last_part(id: str) -> str:  # noqa: A002
    return id.rpartition("\\")[2]


def _every(sort: _Sort) -> list[Any]:
    """Moodle's, and those of packages that can be used; a line of the log says why others cannot."""
    installed, faults = _installed(sort)
    for fault in faults.values():
        _warn(fault)
    return [*map(_made, sort.core.values()), *installed.values()]


@cache
def _warn(fault: str) -> None:
    logging.getLogger("moodlemlbackend").warning(fault)


class _Installed(NamedTuple):
    """What packages register that can be used, by id, and why the rest cannot, by id or else by entry point."""

    usable: Mapping[str, Any]
    faults: Mapping[str, str]


def _installed(sort: _Sort) -> _Installed:
    from importlib.metadata import entry_points

    usable: dict[str, Any] = {}
    faults: dict[str, str] = {}
    owners = dict.fromkeys(sort.core, "Moodle")
    for entry in entry_points(group=sort.group):
        where = f"the entry point {entry.value}"
        try:
            made = _made(entry.load())
        except Exception as error:
            faults[entry.value] = f"The {sort.word} of {where} cannot be loaded ({error}); install its package again."
            continue
        name = str(getattr(made, "id", ""))
        if not isinstance(made, sort.kind) or not name.startswith("\\"):
            faults[entry.value] = (
                f"The entry point {entry.value} does not name a valid {sort.word}; its id must begin with a backslash."
            )
        elif name in owners:
            faults[name] = (
                f"The {sort.word} {name} is defined by {owners[name]} and by {where}; give one of them another id."
            )
            usable.pop(name, None)
        elif broken := broken_rule(sort.kind, made):
            faults[name] = f"The {sort.word} {name} of {where} cannot be used: {broken}."
        else:
            usable[name] = made
        owners.setdefault(name, where)
    return _Installed(usable, faults)


def _made(registered: Any) -> Any:
    return registered() if isinstance(registered, type) else registered
