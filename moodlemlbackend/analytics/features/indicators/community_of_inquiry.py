"""Cognitive depth and social breadth: how deeply a student takes part in activities, and with how many others.

The Community of Inquiry is the framework of Garrison, Anderson and Archer, "Critical Inquiry in a Text-Based
Environment" (2000); the levels and the arithmetic are Moodle's. One pass over a course's aggregated logs gives the
level that every student reached in every activity and range; an indicator adds up those of its type.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moodlemlbackend.analytics.features.analysables import MAX_TIME, Course, facts
from moodlemlbackend.analytics.features.analysables.activities import Activities
from moodlemlbackend.analytics.features.analysables.due import due_activities
from moodlemlbackend.analytics.features.analysables.facts import GradeTimes
from moodlemlbackend.analytics.features.analysables.logs import Logs
from moodlemlbackend.analytics.features.indicators.indicator import MAXIMUM, MINIMUM, CourseIndicator, Values
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.logs import WRITE
from moodlemlbackend.analytics.site.modules import (
    CHOICE_AFTER_ANSWERING,
    CHOICE_WITHOUT_RESULTS,
    MODULES,
    Module,
    ModuleFeedback,
)
from moodlemlbackend.errors import IndicatorError

VIEWED, REPLIED, SUBMITTED = range(3)
"""Kinds of feedback of which a user takes notice."""

MOST_LESSON_ENDS = 2
"""Ends of a lesson up to which it counts as submitted."""

Flags = npt.NDArray[np.bool_]


class CommunityOfInquiry(CourseIndicator):
    """One of the two indicators of a type of activities."""

    requires = frozenset({"course"})

    def __init__(self, module: Module) -> None:
        self.module = MODULES.setdefault(module.name, module)
        self.id = rf"\mod_{module.name}\analytics\indicator\{self.short_name}"

    @property
    def events(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of every module: the activities of a course are looked at together."""
        return tuple(
            event
            for module in MODULES.values()
            for event in module.events(
                *sorted({*module.viewed, *module.replied, *module.submitted, *filter(None, (module.trigger,))})
            )
        )

    short_name: str
    cognitive: bool

    def of_course(self, course: Course, users: Integers | None, ranges: Ranges) -> Values:
        """-1 to 1; null where no activity of the type is due in the range."""
        where = course.activities.of(self.module.name)
        people = 1 if users is None else len(users)
        if not len(where):
            return np.full((len(ranges), people), np.nan)
        participation = _participation(course, users, ranges)
        levels, potentials = participation.cognitive if self.cognitive else participation.social
        due = participation.due[:, where]
        if self.cognitive and not self.module.lists_events and (participation.seen[:, where] & due[:, :, None]).any():
            raise IndicatorError(
                f"The indicator {self.id} cannot be calculated in the course {course.name}: Moodle has no rule for "
                "this activity once students have used it, and would fail too; leave the indicator out."
            )
        return _score(levels[:, where], potentials[where], due)


class CognitiveDepth(CommunityOfInquiry):
    """How deeply: looked at, contributed, took notice of feedback, answered it, submitted again."""

    short_name = "cognitive_depth"
    cognitive = True


class SocialBreadth(CommunityOfInquiry):
    """How broadly: alone, or with others."""

    short_name = "social_breadth"
    cognitive = False


def _score(levels: npt.NDArray[np.int8], potentials: Integers, due: Flags) -> Values:
    """Add up the levels of activities: (ranges, activities, samples) to (ranges, samples), in Moodle's order."""
    counts = due.sum(axis=1)
    per_activity = 2 / np.maximum(counts, 1)
    score = np.full((levels.shape[0], levels.shape[2]), MINIMUM)
    for at, potential in enumerate(potentials):
        step = per_activity / potential
        score = np.where(due[:, at, None], score + step[:, None] * levels[:, at], score)
    return np.where(counts[:, None] == 0, np.nan, np.clip(score, MINIMUM, MAXIMUM))


def potential_levels(activities: Activities) -> tuple[Integers, Integers]:
    """Cognitive and social level that each activity admits; 0 for types without these indicators."""
    cognitive, social = (np.zeros(len(activities), np.int64) for _ in range(2))
    for at, (name, option) in enumerate(zip(activities.modules, activities.options, strict=True)):
        if (module := MODULES.get(name)) is None:
            continue
        lowered = (module.feedback is ModuleFeedback.CHOICE and option in CHOICE_WITHOUT_RESULTS) or (
            module.feedback is ModuleFeedback.SURVEYED and not option
        )
        cognitive[at], social[at] = module.cognitive - lowered, module.social
    return cognitive, social


@dataclass(frozen=True, eq=False)
class _Participation:
    """What students reached in a course: ``due`` is (ranges, activities), the others (ranges, activities, samples).

    ``cognitive`` and ``social`` are levels with the potential level of each activity.
    """

    due: Flags
    seen: Flags
    cognitive: tuple[npt.NDArray[np.int8], Integers]
    social: tuple[npt.NDArray[np.int8], Integers]


def _participation(course: Course, users: Integers | None, ranges: Ranges) -> _Participation:
    key = (ranges.starts.tobytes(), ranges.ends.tobytes(), b"" if users is None else users.tobytes())
    return course.remember(("participation", *key), lambda: _take_part(course, users, ranges))


def _take_part(course: Course, users: Integers | None, ranges: Ranges) -> _Participation:
    activities = course.activities
    footprints = Footprints(course.logs(ranges.bounds), activities, ranges)
    seen, wrote = footprints.who(users)
    rules = _FeedbackRules(course, footprints)
    cognitive_potential, social_potential = potential_levels(activities)
    deep = cognitive_potential[None, :, None]
    cognitive = seen.astype(np.int8)
    cognitive[wrote & (deep >= 2)] = 2
    for level, kind in ((3, VIEWED), (4, REPLIED), (5, SUBMITTED)):
        cognitive[seen & rules.noticed(kind, "cognitive")[:, :, None] & (deep >= level)] = level
    social = seen.astype(np.int8)
    social[seen & rules.noticed(VIEWED, "social")[:, :, None] & (social_potential[None, :, None] >= 2)] = 2
    return _Participation(
        due_activities(course, ranges), seen, (cognitive, cognitive_potential), (social, social_potential)
    )


class Footprints:
    """The groups of a course's logs that lie in activities, and the ranges in which they lie.

    ``activity``, ``user`` (a position among the logs' users), ``last`` and the like are of shape (groups,);
    ``range_`` and ``group`` list the pairs of a range and a group inside it.
    """

    def __init__(self, logs: Logs, activities: Activities, ranges: Ranges) -> None:
        order = np.argsort(activities.contexts)
        contexts = activities.contexts[order]
        at = np.minimum(np.searchsorted(contexts, logs.contexts), max(len(contexts) - 1, 0))
        rows = np.flatnonzero(contexts[at] == logs.contexts) if len(contexts) else np.empty(0, np.int64)
        self.logs = logs
        self.shape = (len(ranges), len(activities))
        self.rows = rows
        self.activity: Integers = order[at[rows]]
        self.user: Integers = logs.user_index[rows]
        self.writes: Flags = logs.kinds[rows] == WRITE
        self.first, self.last, self.counts = logs.first[rows], logs.last[rows], logs.counts[rows]
        self.range_, self.group = np.nonzero(logs.within(ranges)[:, rows])

    def who(self, users: Integers | None) -> tuple[Flags, Flags]:
        """Who left any trace, and who wrote: (ranges, activities, users), or (…, 1) of everybody without users."""
        activity, user = self.activity[self.group], self.user[self.group]
        positions = None if users is None else self.logs.positions(users)

        def trace(chosen: Flags) -> Flags:
            traces = np.zeros((*self.shape, len(self.logs.user_ids) + 1), bool)
            traces[self.range_[chosen], activity[chosen], user[chosen]] = True
            return np.any(traces, axis=2, keepdims=True) if positions is None else traces[:, :, positions]

        return trace(np.ones(len(self.group), bool)), trace(self.writes[self.group])

    def of_events(self, events: tuple[str, ...]) -> Flags:
        """Which groups are of one of these events; those of activities that are not asked for are not told apart."""
        return self.logs.of_events(event for event in events if self.logs.distinguishes(event))[self.rows]

    def mark(self, chosen: Flags) -> Flags:
        """Where there is one of the chosen groups: (ranges, activities)."""
        marked = np.zeros(self.shape, bool)
        inside = chosen[self.group]
        marked[self.range_[inside], self.activity[self.group[inside]]] = True
        return marked

    def inside(self, chosen: Flags, at: int) -> list[Integers]:
        """The chosen groups of one activity, range by range."""
        wanted = (chosen & (self.activity == at))[self.group]
        ranges, groups = self.range_[wanted], self.group[wanted]
        return [groups[ranges == number] for number in range(self.shape[0])]


class _FeedbackRules:
    """Whether anybody took notice of feedback in an activity: if one did, Moodle grants it to all who were there."""

    def __init__(self, course: Course, footprints: Footprints) -> None:
        self._footprints = footprints
        self._activities = course.activities
        present = {name: MODULES[name] for name in set(self._activities.modules) if name in MODULES}
        self._modules = [present.get(name) for name in self._activities.modules]
        self._events = [
            tuple(event for module in present.values() for event in module.events(*getattr(module, kind)))
            for kind in ("viewed", "replied", "submitted")
        ]
        grades = course.fact(facts.grade_times, GradeTimes(frozenset(), {}))
        keys = list(zip(self._activities.modules, self._activities.instances.tolist(), strict=True))
        self._graded = np.array([key in grades.activities for key in keys], bool)
        self._since = self._thresholds(keys, grades)
        self._noticed: dict[int, Flags] = {}

    def noticed(self, kind: int, indicator: str) -> Flags:
        """Where feedback of a kind was noticed, for the cognitive or the social indicator: (ranges, activities)."""
        if kind not in self._noticed:
            self._noticed[kind] = self._notice(kind)
        asks_grades = [module is not None and getattr(module, f"{indicator}_grades") for module in self._modules]
        noticed: Flags = self._noticed[kind] & (self._graded | ~np.array(asks_grades, bool))
        return noticed

    def _notice(self, kind: int) -> Flags:
        footprints = self._footprints
        chosen = footprints.of_events(self._events[kind])
        noticed = footprints.mark(chosen & (footprints.last > self._since))
        if kind == VIEWED:
            by_writing = np.array([_noticed_by_writing(*pair) for pair in self._with_options()], bool)
            noticed[:, by_writing] = footprints.mark(footprints.writes)[:, by_writing]
        for at, module in enumerate(self._modules):
            if module is None:
                continue
            if module.feedback is ModuleFeedback.ANSWERED:
                noticed[:, at] = self._answered(at, chosen, footprints.of_events(module.events(module.trigger)))
            elif module.feedback is ModuleFeedback.LESSON and kind == SUBMITTED:
                noticed[:, at] = self._ended(at, chosen)
        return noticed

    def _with_options(self) -> list[tuple[Module | None, int]]:
        return list(zip(self._modules, self._activities.options.tolist(), strict=True))

    def _thresholds(self, keys: list[tuple[str, int]], grades: GradeTimes) -> Integers:
        """Time after which an event of a group counts: (groups,); the end of time where none does."""
        footprints = self._footprints
        since = np.full(len(footprints.rows), MAX_TIME, np.int64)
        user_ids = footprints.logs.user_ids[footprints.user]
        for at, module in enumerate(self._modules):
            if module is None or module.feedback is ModuleFeedback.ANSWERED:
                continue
            closes = self._activities.closes[at]
            if module.feedback is ModuleFeedback.CHOICE and closes:
                since[footprints.activity == at] = closes
            elif not module.cognitive_grades:
                since[footprints.activity == at] = -1
            elif keys[at] in grades.times:
                users, times = grades.times[keys[at]]
                groups = np.flatnonzero(footprints.activity == at)
                position = np.minimum(np.searchsorted(users, user_ids[groups]), len(users) - 1)
                since[groups] = np.where(users[position] == user_ids[groups], times[position], MAX_TIME)
        return since

    def _answered(self, at: int, chosen: Flags, triggers: Flags) -> list[bool]:
        """Range by range, whether a user with a trigger event did something after another one's first."""
        footprints = self._footprints
        answered = []
        for acts, begun in zip(footprints.inside(chosen, at), footprints.inside(triggers, at), strict=True):
            people, index = np.unique(footprints.user[begun], return_inverse=True)
            if len(people) < 2:
                answered.append(False)
                continue
            firsts = np.full(len(people), MAX_TIME, np.int64)
            np.minimum.at(firsts, index, footprints.first[begun])
            earliest, second = np.argsort(firsts, kind="stable")[:2]
            others_first = np.full(len(people), firsts[earliest])
            others_first[earliest] = firsts[second]
            position = np.minimum(np.searchsorted(people, footprints.user[acts]), len(people) - 1)
            takes_part = people[position] == footprints.user[acts]
            answered.append(bool((takes_part & (footprints.last[acts] > others_first[position])).any()))
        return answered

    def _ended(self, at: int, chosen: Flags) -> list[bool]:
        """Range by range, whether a user ended the lesson once or twice."""
        footprints = self._footprints
        ended = []
        for groups in footprints.inside(chosen, at):
            ends = np.bincount(footprints.user[groups], footprints.counts[groups])
            ended.append(bool(((ends >= 1) & (ends <= MOST_LESSON_ENDS)).any()))
        return ended


def _noticed_by_writing(module: Module | None, option: int) -> bool:
    if module is None:
        return False
    return (module.feedback is ModuleFeedback.CHOICE and option == CHOICE_AFTER_ANSWERING) or (
        module.feedback is ModuleFeedback.SURVEYED and bool(option)
    )
