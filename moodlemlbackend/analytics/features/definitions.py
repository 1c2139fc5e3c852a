"""What models are made of, as models need to know it: what is installed, what it is called, and what goes together."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.features import answers, registry
from moodlemlbackend.analytics.features.analysers import ANALYSERS
from moodlemlbackend.analytics.site.people import ENROLMENTS
from moodlemlbackend.errors import UsageError
from moodlemlbackend.language import translate
from moodlemlbackend.language.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from moodlemlbackend.analytics.features.analysers import Analyser
    from moodlemlbackend.analytics.features.targets import Target

ENGLISH = {
    "too late": (
        "The interval {interval} cannot help students in time: it learns from whole courses and predicts only once, "
        "when a course has just started. Choose an interval that looks at parts of a course, such as quarters."
    ),
}

say = Texts(ENGLISH).say

_COMPONENT = re.compile(r"\\(\w+)\\.+", re.ASCII)


@cache
def targets() -> dict[str, Target]:
    """The installed targets by id."""
    return {target.id: target for target in registry.list_targets()}


def target(name: str) -> Target:
    """The target of this id; UsageError when it is not installed."""
    return targets().get(name) or registry.get_target(name)


def has_target(name: str) -> bool:
    """Whether a target is installed."""
    return name in targets()


def target_name(name: str) -> str:
    """What people call a target, in the reader's language: its id when it is not installed."""
    return translate(f"target {name}", targets()[name].title) if has_target(name) else name


def is_static(name: str) -> bool:
    """Whether a target follows from assumptions."""
    return has_target(name) and targets()[name].static


def classes(name: str) -> tuple[int, ...]:
    """The classes of a target; none of one whose values are numbers."""
    chosen = target(name)
    return () if chosen.linear else chosen.classes


def analyser(name: str) -> Analyser:
    """The analyser of a target."""
    return ANALYSERS[target(name).analyser]


def audience(name: str) -> str:
    """Who is notified about a target's predictions: teachers, students or managers; empty for nobody."""
    return analyser(name).audience if target(name).uses_insights else ""


def has_past(name: str) -> bool:
    """Whether a target can be tested on the past of a site: its models learn, and predict yes or no of students."""
    chosen = target(name)
    return not chosen.static and classes(name) == (0, 1) and analyser(name).origin == ENROLMENTS


def core_indicators(name: str, modules: Collection[str] | None = None) -> tuple[str, ...]:
    """Indicators of the core model of a target; for one without, those of students at risk of dropping out.

    Without those of activities that are not among ``modules``.
    """
    return registry.indicators_of(target(name), modules)


def intervals_for(name: str) -> list[str]:
    """Ids of the analysis intervals that a target accepts, by name."""
    chosen = target(name)
    accepted = [method.id for method in registry.list_time_splittings() if answers.accepts(chosen, method)]
    return sorted(accepted, key=lambda interval: last_part(interval).lower())


def cannot_help(target_id: str, interval: str | None) -> str:
    """Why an interval cannot help with a target about students at risk, in a sentence; empty when it can."""
    if not interval or not target(target_id).warns_in_time or not registry.get_time_splitting(interval).whole:
        return ""
    return say("too late", interval=last_part(interval))


def could_be_known(indicator: str, course_end: int, time: int) -> bool:
    """Whether an indicator could be known at a time in a course that ends at another, 0 for never; Unix times."""
    return indicator not in _known_after_the_end() or 0 < course_end <= time


@cache
def _known_after_the_end() -> frozenset[str]:
    return frozenset(indicator.id for indicator in registry.list_indicators() if not indicator.known_in_time)


def check_model(target_id: str, indicators: Sequence[str], interval: str | None) -> None:
    """Raise UsageError unless these are installed and make a model together."""
    chosen = target(target_id)
    known = [registry.get_indicator(indicator) for indicator in indicators]
    methods = [interval] if interval else intervals_for(target_id)
    if not methods:
        raise UsageError(f"No interval installed here works with the target {target_id}.")
    registry.check_fit(chosen, known, registry.get_time_splitting(methods[0]))


def missing(names: Iterable[str]) -> list[str]:
    """Which of these ids of targets, indicators and intervals are not installed."""
    known = {*targets()}
    known |= {indicator.id for indicator in registry.list_indicators()}
    known |= {method.id for method in registry.list_time_splittings()}
    return [name for name in names if name not in known]


def component(name: str) -> str:
    """The component of Moodle that a class belongs to: all of Moodle's core is ``core``."""
    match = _COMPONENT.fullmatch(name)
    first = match[1] if match else ""
    return "core" if first == "core" or first.startswith("core_") else first


def last_part(name: str) -> str:
    """The last part of an id, for people."""
    return name.rpartition("\\")[2]


def full_ids(target_id: str, names: Iterable[str]) -> list[str]:
    """Ids of indicators given by them, or by enough of their end; ``default`` stands for those of the core model."""
    chosen: list[str] = []
    every = [indicator.id for indicator in registry.list_indicators()]
    for name in names:
        if name == "default":
            chosen += core_indicators(target_id)
            continue
        ending = "\\" + name.lstrip("\\")
        same = [known for known in every if known == name or known.endswith(ending)]
        if len(same) > 1:
            raise UsageError(f"The name {name!r} matches several indicators: {', '.join(same)}; give more of the name.")
        chosen.append(same[0] if same else registry.get_indicator(name).id)
    return list(dict.fromkeys(chosen))
