"""What elements must say of themselves before they are used: third parties write them, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from moodlemlbackend.analytics.features.analysers import ANALYSERS
from moodlemlbackend.analytics.features.indicators import Indicator, Kind
from moodlemlbackend.analytics.features.targets import Target
from moodlemlbackend.analytics.features.targets.target import Action
from moodlemlbackend.analytics.features.time_splitting import Family, TimeSplitting

_PROVIDED = frozenset[str]().union(*(analyser.provides for analyser in ANALYSERS.values()))


class _Rule(NamedTuple):
    """What an attribute must be, and whether that of an element is."""

    attribute: str
    must: str
    kept: Callable[[Any, Any], bool]
    """Of the value and its element."""


def _all_are(kind: type[Any]) -> Callable[[Any, Any], bool]:
    return lambda value, _: isinstance(value, tuple) and all(isinstance(one, kind) for one in value)


def _classes(value: Any, needed: bool) -> bool:
    return _all_are(int)(value, None) and len(set(value)) == len(value) and (bool(value) or not needed)


_ID = _Rule("id", "must not have a comma in it", lambda value, _: "," not in value)
_FAMILY = _Rule("family", "must be a Family, such as Family.BEFORE_NOW", lambda value, _: isinstance(value, Family))

_RULES: dict[type[Any], tuple[_Rule, ...]] = {
    Indicator: (
        _ID,
        _Rule("kind", "must be a Kind, such as Kind.LINEAR", lambda value, _: isinstance(value, Kind)),
        _Rule(
            "requires", f"must be a set of some of {', '.join(sorted(_PROVIDED))}",
            lambda value, _: isinstance(value, set | frozenset) and value <= _PROVIDED,
        ),
        _Rule(
            "classes", "must be a tuple of different whole numbers, of a discrete indicator at least one",
            lambda value, one: _classes(value, one.kind is Kind.DISCRETE),
        ),
        _Rule("events", "must be a tuple of names of events", _all_are(str)),
    ),
    Target: (
        _ID,
        _Rule("title", "must be what people call it", lambda value, _: isinstance(value, str) and bool(value.strip())),
        _Rule(
            "analyser", f"must be one of {', '.join(ANALYSERS)}",
            lambda value, _: isinstance(value, str) and value in ANALYSERS,
        ),
        _Rule(
            "classes", "must be a tuple of different whole numbers, at least one unless it is linear",
            lambda value, one: _classes(value, not one.linear),
        ),
        _Rule("ignored_classes", "must be a tuple of whole numbers", _all_are(int)),
        _Rule("minimum", "must be a number below its maximum", lambda value, one: value < one.maximum),
        _Rule("minimum_score", "must be a number from 0 to 1", lambda value, _: 0 <= value <= 1),
        _FAMILY,
        _Rule("indicators", "must be a tuple of ids", _all_are(str)),
        _Rule("actions", "must be a tuple of Actions", _all_are(Action)),
        _Rule("bulk_actions", "must be a tuple of Actions", _all_are(Action)),
    ),
    TimeSplitting: (
        _ID,
        _FAMILY,
        _Rule("range_columns", "must be a whole number from 0", lambda value, _: isinstance(value, int) and value >= 0),
    ),
}  # fmt: skip


def broken_rule(kind: type[Any], element: Any) -> str:
    """What an element must say otherwise, as the end of a sentence: empty when it can be used."""
    for rule in _RULES[kind]:
        try:
            kept = rule.kept(getattr(element, rule.attribute), element)
        except Exception:
            kept = False
        if not kept:
            return f"its {rule.attribute} {rule.must}"
    return ""
