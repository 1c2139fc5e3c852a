"""What helped: what became of students at high risk who were contacted, beside those who were not.

A case is a student at high risk in a range of a model. It counts as contacted when a teacher wrote to the student, or
marked the student as contacted, after this prediction and before the next one; what was undone or not delivered does
not count. This is no experiment: see :data:`CAUTION`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import follow_ups, risks
from moodlemlbackend.analytics.db.follow_ups import CONTACTED, MESSAGE
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.site.logs import action_times
from moodlemlbackend.analytics.site.people import ENROLMENTS, describe
from moodlemlbackend.analytics.students.bands import Band, band_of, minimum_score

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from moodlemlbackend.analytics.db.follow_ups import FollowUp
    from moodlemlbackend.analytics.db.risks import Risk
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.site import CourseRow
    from moodlemlbackend.analytics.workspace import Workspace

DAYS = 7
SECONDS = DAYS * 86_400

CAUTION = (
    "This is not an experiment: teachers choose whom they contact, so the two groups differ in more than the contact. "
    "The figures show what happened, not what contact caused."
)


@dataclass(frozen=True)
class Case:
    """A student at high risk in a range.

    Attributes
    ----------
    contact
        when the student was contacted first, a Unix time; None for one who was not.
    before, after
        the probability then, and at the next prediction; the latter None while there is none.
    active
        whether the student did anything in the course within :data:`DAYS` days of the contact, or of the prediction
        without one; None while these days are not over.
    """

    modelid: int
    courseid: int
    studentid: int
    contact: int | None
    before: float
    after: float | None
    active: bool | None


@dataclass(frozen=True)
class ContactOutcome:
    """What became of a group of cases.

    Attributes
    ----------
    cases
        how many there are.
    predicted_again, before, after
        how many were predicted again; the mean probability of these at the two times; None without any.
    lower
        the share of these whose probability fell.
    observed, active
        how many have had their days, and the share of these who did anything; None without any.
    """

    contacted: bool
    cases: int
    predicted_again: int
    before: float | None
    after: float | None
    lower: float | None
    observed: int
    active: float | None


def outcomes(workspace: Workspace, site: Site, courseid: int | None = None) -> list[ContactOutcome]:
    """The outcome of those who were contacted, and of those who were not, in all courses or in one."""
    cases = [*_cases(workspace, site, courseid)]
    return [
        _outcome(contacted, [case for case in cases if (case.contact is not None) is contacted])
        for contacted in (True, False)
    ]


def _outcome(contacted: bool, cases: Sequence[Case]) -> ContactOutcome:
    again = [(case.before, case.after) for case in cases if case.after is not None]
    active = [case.active for case in cases if case.active is not None]
    return ContactOutcome(
        contacted=contacted,
        cases=len(cases),
        predicted_again=len(again),
        before=_mean([before for before, _ in again]),
        after=_mean([after for _, after in again]),
        lower=_mean([float(after < before) for before, after in again]),
        observed=len(active),
        active=_mean([float(value) for value in active]),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _cases(workspace: Workspace, site: Site, courseid: int | None) -> Iterator[Case]:
    by_context = {course.context: course for course in site.courses if courseid in (None, course.id)}
    with workspace.store.read() as connection:
        chosen = [
            model
            for model in models.listed(connection)
            if definitions.has_target(model.target) and definitions.analyser(model.target).origin == ENROLMENTS
        ]
        contexts = sorted(risks.contexts(connection) & by_context.keys())
    for context in contexts:
        with workspace.store.read() as connection:
            predicted = {model.id: risks.in_context(connection, context, model.id) for model in chosen}
            done = follow_ups.listed(connection, by_context[context].id)
        for model in chosen:
            if predicted[model.id]:
                yield from _of_course(workspace, site, model, by_context[context], predicted[model.id], done)


def _of_course(
    workspace: Workspace,
    site: Site,
    model: AnalyticsModel,
    course: CourseRow,
    predicted: Mapping[int, Sequence[Risk]],
    done: Mapping[int, Sequence[FollowUp]],
) -> Iterator[Case]:
    minimum, now = minimum_score(model), workspace.clock()
    users = {sample: info.userid for sample, info in describe(site, ENROLMENTS, predicted).items()}
    found: list[tuple[int, int, Risk, Risk | None, int | None]] = []
    for sample, ranges in predicted.items():
        for at, risk in enumerate(ranges):
            if sample in users and band_of(risk, minimum) is Band.HIGH:
                later = ranges[at + 1] if at + 1 < len(ranges) else None
                contact = _contact(done.get(users[sample], ()), risk.created, later.created if later else now + 1)
                found.append((users[sample], contact or risk.created, risk, later, contact))
    if not found:
        return
    begins = [begin for _, begin, *_ in found]
    times = action_times(site, course.id, sorted({user for user, *_ in found}), min(begins), max(begins) + SECONDS)
    for user, begin, risk, later, contact in found:
        active = None if begin + SECONDS > now else any(begin < time <= begin + SECONDS for time in times.get(user, ()))
        after = later.probability if later else None
        yield Case(model.id, course.id, user, contact, risk.probability, after, active)


def _contact(done: Sequence[FollowUp], since: int, until: int) -> int | None:
    kinds = (MESSAGE, CONTACTED)
    times = (one.timecreated for one in done if one.kind in kinds and since <= one.timecreated < until)
    return next(times, None)
