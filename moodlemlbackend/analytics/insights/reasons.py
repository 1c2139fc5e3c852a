"""Reasons in plain words, from what a student really did: "Opened 0 of 6 files; most classmates opened 4 to 6".

Pages, mails and commands have them from here. Evidence is read once for a course and a range, and has all students::

    evidence = evidence_of(insight, site, now, ctx.cache.get)    # None for an insight that is not about a student
    for reason in reasons_of(insight, evidence):                 # two or three, those that raise the risk first
        print("+" if reason.raises else "-", reason.text)        # in the reader's language

A page about a student without an insight asks the evidence itself::

    evidence = read_evidence(site, courseid, course.start, now, now)
    files = evidence.of_type("resource", userid)                 # None where the logs don't tell
    files.due, files.opened.own, files.opened.low, files.opened.high          # 6, 0, 4, 6
    evidence.count("done", userid), evidence.due["done"], evidence.time("last submission", userid)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from moodlemlbackend.analytics.features.definitions import could_be_known
from moodlemlbackend.analytics.features.evidence import CourseEvidence, read_evidence
from moodlemlbackend.analytics.insights import sentences
from moodlemlbackend.analytics.insights.names import module_of
from moodlemlbackend.analytics.insights.sentences import InsightReason
from moodlemlbackend.analytics.site.people import ENROLMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Mapping

    from moodlemlbackend.analytics.insights.listing import Insight
    from moodlemlbackend.analytics.site import Site

    Keep = Callable[[Hashable, Callable[[], CourseEvidence | None]], CourseEvidence | None]

MOST_REASONS, ENOUGH_REASONS = 3, 2

LEAST_CONTRIBUTION = 0.1
"""In log-odds; what adds less does not count."""

SECONDS_AN_HOUR = 3600


@dataclass(frozen=True)
class PlainReason:
    """A reason as people read it, in one sentence without a full stop; ``raises`` whether it raises the risk."""

    indicator: str
    text: str
    raises: bool


def reasons_of(insight: Insight, evidence: CourseEvidence | None) -> list[PlainReason]:
    """The two or three reasons for an insight that count most, in the reader's language."""
    calculations = json.loads(insight.calculations)
    return plain_reasons(insight.reasons, calculations, insight.sample.userid if insight.sample else 0, evidence)


def plain_reasons(
    reasons: Iterable[InsightReason],
    calculations: Mapping[str, Any],
    userid: int,
    evidence: CourseEvidence | None,
    most: int = MOST_REASONS,
) -> list[PlainReason]:
    """Choose the reasons that count most, those that raise the risk first.

    ``calculations`` are the values by column from which the prediction was made. Cognitive depth and social breadth of
    a type of activities are one reason. What is about the course, and so the same for all, only fills a short list.
    """
    subject = sentences.Subject(userid, calculations, evidence)
    counting = [reason for reason in _joined(reasons, evidence) if abs(reason.contribution) >= LEAST_CONTRIBUTION]
    counting.sort(key=lambda reason: -abs(reason.contribution))
    said = [(reason, sentences.of(reason, subject)) for reason in counting]
    chosen: dict[str, PlainReason] = {}
    for raises in (True, False):
        for of_course in (False, True):
            for reason, sentence in said:
                if sentence.of_course is not of_course or (reason.contribution > 0) is not raises:
                    continue
                if len(chosen) < (ENOUGH_REASONS if of_course else most):
                    chosen.setdefault(sentence.text, PlainReason(reason.indicator, sentence.text, raises))
    return [*chosen.values()]


def every_text(insight: Insight, evidence: CourseEvidence | None) -> list[str]:
    """The sentence of each of an insight's reasons, in their order, however little it counts."""
    calculations = json.loads(insight.calculations)
    subject = sentences.Subject(insight.sample.userid if insight.sample else 0, calculations, evidence)
    return [sentences.of(reason, subject).text for reason in insight.reasons]


def _joined(reasons: Iterable[InsightReason], evidence: CourseEvidence | None) -> list[InsightReason]:
    """The reasons that could be known, those of one type of activities added up under that which counts most."""
    groups: dict[str, list[InsightReason]] = {}
    for reason in reasons:
        if evidence is None or _could_be_true(reason.indicator, evidence):
            groups.setdefault(module_of(reason.indicator) or reason.indicator, []).append(reason)
    return [
        replace(
            max(group, key=lambda reason: abs(reason.contribution)),
            contribution=sum(reason.contribution for reason in group),
        )
        for group in groups.values()
    ]


def _could_be_true(indicator: str, evidence: CourseEvidence) -> bool:
    """Whether an indicator could be known by then; what students do cannot while their range lies ahead."""
    ahead = evidence.as_of < evidence.end and evidence.as_of - evidence.start <= SECONDS_AN_HOUR
    if ahead and (module_of(indicator) or indicator in sentences.OF_THE_RANGE):
        return False
    return could_be_known(indicator, evidence.course_end, evidence.as_of)


def evidence_of(insight: Insight, site: Site, now: int, keep: Keep | None = None) -> CourseEvidence | None:
    """What the students of an insight's course did in its range; None for one that is not about a student, or unread.

    ``keep`` takes a key and a function that reads, and returns what was read for the key, now or earlier:
    :meth:`Kept.get`, or that of a cache of the server. ``now`` is a Unix time.
    """
    sample = insight.sample
    if sample is None or sample.origin != ENROLMENTS or insight.start is None or insight.end is None:
        return None
    if not insight.reasons:
        return None
    span = Span(sample.courseid, insight.start, insight.end, insight.created)
    return evidence_in(span, site, now, insight.model.indicators, keep)


def evidence_in(
    span: Span, site: Site, now: int, indicators: Collection[str], keep: Keep | None = None
) -> CourseEvidence | None:
    """What the students of a course did in a range, for some indicators; None when the course is gone."""
    as_of = span.as_of

    def read() -> CourseEvidence | None:
        return read_evidence(site, span.courseid, span.start, span.end, now, as_of=as_of, indicators=indicators)

    if keep is None:
        return read()
    return keep(("evidence", span.courseid, span.start, span.end, as_of, frozenset(indicators)), read)


class Span(NamedTuple):
    """A course, a range of it, and when was predicted about it; Unix times, 0 for an open start or end."""

    courseid: int
    start: int
    end: int
    created: int

    @property
    def as_of(self) -> int:
        """Until when the range is counted: its end, or the hour of a prediction that was made before."""
        if 0 < self.end <= self.created:
            return self.end
        return -(-self.created // SECONDS_AN_HOUR) * SECONDS_AN_HOUR


class Kept:
    """Evidence that has been read, for one command or run."""

    def __init__(self) -> None:
        self._read: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` returned for a key."""
        if key not in self._read:
            self._read[key] = make()
        return self._read[key]
