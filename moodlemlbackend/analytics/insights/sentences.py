"""One sentence for one indicator: from what was counted of a student, else from the indicator's value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend.analytics.features import registry
from moodlemlbackend.analytics.features.evidence import LEAVES_NO_TRACE
from moodlemlbackend.analytics.features.indicators import Indicator, Kind
from moodlemlbackend.analytics.insights.names import indicator_name, module_name, module_of
from moodlemlbackend.analytics.insights.reason_texts import known, say
from moodlemlbackend.analytics.insights.values import value_in_words
from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.dataset import words
from moodlemlbackend.dataset.columns import AFTER_END, TIME
from moodlemlbackend.language import current
from moodlemlbackend.language.dates import Dates
from moodlemlbackend.language.numbers import number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from moodlemlbackend.analytics.features.evidence import CourseEvidence, OfType
    from moodlemlbackend.analytics.features.indicators.indicator import ComparedCount

_CORE = "\\core\\analytics\\indicator\\"
_COURSE = "\\core_course\\analytics\\indicator\\"
_USER = "\\core_user\\analytics\\indicator\\"

OF_THE_RANGE = frozenset(
    f"{_CORE}{name}" for name in ("any_course_access", "any_write_action", "any_write_action_in_course", "read_actions")
)
"""Indicators, besides those of types of activities, of what students do in the range."""

_WITHOUT_LOGS = (f"{_COURSE}activities_due", f"{_USER}user_profile_set", f"{_USER}user_track_forums")

HANDED_IN = "assign"
"""The type of activities whose work is handed in."""

SEVERAL = 2
"""Stands for any number that asks for the plural."""

SAME = 0.005
"""Values that differ by less are the same with two decimals."""


@dataclass(frozen=True)
class InsightReason:
    """What one indicator adds to a prediction, in log-odds of the predicted class."""

    indicator: str
    label: str
    value: str
    contribution: float


@dataclass(frozen=True)
class Sentence:
    """A sentence; ``of_course`` when it is about the course and not the student."""

    text: str
    of_course: bool = False


@dataclass(frozen=True)
class Subject:
    """Of whom is spoken: a student, with the values of the prediction by column, and what the course's students did."""

    userid: int
    calculations: Mapping[str, Any]
    evidence: CourseEvidence | None

    def value(self, indicator: str) -> float | None:
        """The value of an indicator; None for null, and for one with a column for each class."""
        cell = self.calculations.get(indicator)
        return None if cell is None or cell == "" or np.isnan(float(cell)) else float(cell)

    def counted(self, indicator: str) -> CourseEvidence | None:
        """The evidence, if the indicator's value follows from it."""
        evidence = self.evidence
        if evidence is None or self.userid not in evidence or not (evidence.logged or indicator in _WITHOUT_LOGS):
            return None
        if indicator in self.calculations and not evidence.agrees(indicator, self.userid, self.value(indicator)):
            return None
        return evidence


def of(reason: InsightReason, subject: Subject) -> Sentence:
    """The sentence of a reason, in the reader's language."""
    indicator = reason.indicator
    if indicator == TIME:
        part = value_in_words(subject.calculations, TIME, reason.value)
        return Sentence(say("time", part=part), of_course=True)
    if module := module_of(indicator):
        sentence = _of_module(module, reason, subject)
    elif about_course := _about_course(indicator, subject):
        sentence = Sentence(about_course, of_course=True)
    else:
        sentence = _of_student(reason, subject)
    return sentence or Sentence(_from_value(reason, subject))


# Activities of a type.


def _of_module(module: str, reason: InsightReason, subject: Subject) -> Sentence | None:
    if module == LEAVES_NO_TRACE:
        return Sentence(say("labels"), of_course=True)
    if reason.indicator in subject.calculations and subject.value(reason.indicator) is None:
        return Sentence(say("none due", module=module_name(module)), of_course=True)
    evidence = subject.counted(reason.indicator)
    did = evidence.of_type(module, subject.userid) if evidence else None
    if evidence is None or did is None or not did.due:
        return None
    if _says_more(did, raises=reason.contribution > 0):
        text = _submissions(did, evidence) or _done("wrote", did, did.wrote, evidence, subject.userid)
        return Sentence(text)
    return Sentence(_done("opened", did, did.opened, evidence, subject.userid))


def _says_more(did: OfType, *, raises: bool) -> bool:
    """Whether what a student wrote shows why the risk is higher, or lower, than that of others."""
    wrote, most = did.wrote, did.wrote.high
    if not (did.opened.own or did.module == HANDED_IN) or not (wrote.own or most is None or most > 0):
        return False
    if raises:
        return wrote.own < (did.due if most is None else most)
    return wrote.own > (wrote.low or 0)


def _submissions(did: OfType, evidence: CourseEvidence) -> str:
    """That assignments were due and nothing was handed in; empty if something was, also before or later."""
    if did.module != HANDED_IN or did.wrote.own or did.wrote_earlier or did.wrote_later or did.wrote_since:
        return ""
    if not evidence.complete:
        return ""
    if did.last_wrote:
        return say("no submission since", count=did.due, day=_day(evidence, did.last_wrote))
    return say("no submission", count=did.due)


def _done(name: str, did: OfType, done: ComparedCount, evidence: CourseEvidence, userid: int) -> str:
    variant = did.module if known(f"due {did.module}") else "other"
    things = say(f"due {variant}", count=did.due, module=did.module)
    fact = say(name, did.module, done=number(done.own), things=things)
    earlier, later = (
        (did.opened_earlier, did.opened_later) if name == "opened" else (did.wrote_earlier, did.wrote_later)
    )
    others = [say(when, count=count) for when, count in (("earlier", earlier), ("later", later)) if count]
    if others:
        fact = say("also", fact=fact, others=", ".join(others))
    if did.due == 1:
        return _shared(fact, f"{name} {did.module}", evidence, userid)
    return _compared(fact, f"{name} classmates", done, did.module)


def _compared(fact: str, name: str, count: ComparedCount, variant: str = "") -> str:
    """A fact with the course's middle half, where there is one."""
    if count.low is None or count.high is None:
        return fact
    ends = number(count.low), number(count.high)
    same = count.low == count.high
    between = ends[0] if same else say("between", low=ends[0], high=ends[1])
    comparison = say(name, variant, number=between, count=count.low if same else SEVERAL)
    return say("compared", fact=fact, comparison=comparison)


# What else a student did.


def _of_student(reason: InsightReason, subject: Subject) -> Sentence | None:
    indicator = reason.indicator
    evidence = subject.counted(indicator)
    if evidence is None or indicator not in evidence.values:
        return None
    value = evidence.value(indicator, subject.userid)
    if value is None:
        return None
    if make := _SENTENCES.get(indicator):
        text = make(evidence, subject.userid, value)
    else:
        text = _own(indicator, subject, evidence) or _with_percentile(reason, evidence, subject.userid, value)
    return Sentence(text) if text else None


def _yes_or_no(indicator: str, evidence: CourseEvidence, userid: int, value: float, **values: object) -> str:
    """A fact that is so or not, at any time, with how many classmates are like the student."""
    fact = say("yes" if value > 0 else "no", indicator, **values)
    return _shared(fact, indicator, evidence, userid)


def _yes_or_no_then(indicator: str, evidence: CourseEvidence, userid: int, value: float) -> str:
    """The same of a fact that is so or not in the range."""
    fact = _then(say("yes" if value > 0 else "no", indicator), evidence)
    return _shared(fact, indicator, evidence, userid)


def _then(fact: str, evidence: CourseEvidence) -> str:
    """A fact that holds for the range only, with its days."""
    if not evidence.start:
        return fact
    start, end = _day(evidence, evidence.start), _day(evidence, evidence.as_of)
    return say("then", fact=fact, start=start, end=end)


def _shared(fact: str, name: str, evidence: CourseEvidence, userid: int) -> str:
    """A fact that is so or not, with how many classmates are like the student, or unlike, whichever are more."""
    like = evidence.like(name, userid)
    if like is None:
        return fact
    same, classmates = like
    word, most = ("like", same) if 2 * same >= classmates else ("unlike", classmates - same)
    return say(word, fact=fact, number=number(most), classmates=number(classmates))


def _after_end(evidence: CourseEvidence, userid: int, value: float) -> str:
    if not evidence.course_end:
        return ""
    return _yes_or_no(AFTER_END, evidence, userid, value, day=_day(evidence, evidence.course_end))


def _before_start(evidence: CourseEvidence, userid: int, value: float) -> str:
    if not evidence.course_start:
        return ""
    day = _day(evidence, evidence.course_start)
    return _yes_or_no(f"{_CORE}any_access_before_start", evidence, userid, value, day=day)


def _access(evidence: CourseEvidence, userid: int, value: float) -> str:
    indicator, last = f"{_CORE}any_course_access", evidence.time("last access", userid)
    if value > 0 or last > evidence.as_of:
        return _yes_or_no_then(indicator, evidence, userid, value)
    fact = say("no visit since", day=_day(evidence, last)) if last else say("no visit")
    return _shared(fact, indicator, evidence, userid)


def _write(evidence: CourseEvidence, userid: int, value: float) -> str:
    return _yes_or_no_then(f"{_CORE}any_write_action", evidence, userid, value)


def _write_in_course(evidence: CourseEvidence, userid: int, value: float) -> str:
    indicator, written = f"{_CORE}any_write_action_in_course", evidence.count("written", userid)
    last = evidence.time("last wrote", userid)
    if value > 0 and written.own:
        return _compared(_then(say("written", count=written.own), evidence), "written classmates", written)
    if value < 0 and last and evidence.complete and last == evidence.time("latest wrote", userid):
        return _shared(say("nothing written since", day=_day(evidence, last)), indicator, evidence, userid)
    return _yes_or_no_then(indicator, evidence, userid, value)


def _reads(evidence: CourseEvidence, userid: int, _value: float) -> str:
    reads = evidence.count("reads", userid)
    fact = say("reads", count=reads.own) if reads.own else say("reads none")
    return _compared(_then(fact, evidence), "reads classmates", reads)


def _profile(evidence: CourseEvidence, userid: int, value: float) -> str:
    indicator = f"{_USER}user_profile_set"
    fact = say("no" if value <= -1 else "yes" if value >= 1 else "part", indicator)
    tenths = evidence.tenths_below(indicator, userid)
    if tenths is None or tenths == (0, 0):
        return fact
    less, more = tenths
    name = "profile more" if more >= less else "profile less"
    return say("compared", fact=fact, comparison=say(name, number=number(max(tenths))))


def _forums(evidence: CourseEvidence, userid: int, value: float) -> str:
    return _yes_or_no(f"{_USER}user_track_forums", evidence, userid, value)


def _events(evidence: CourseEvidence, userid: int, value: float) -> str:
    events = evidence.events.get(userid, ())
    if value < 0 or not events:
        return say("yes" if value > 0 else "no", f"{_COURSE}activities_due")
    first = events[0]
    past, day = first.time <= evidence.now, _day(evidence, first.time)
    if len(events) == 1:
        name = format_name(first.name, current().code)
        return say("event was due" if past else "event due", name=name, day=day)
    return say("events were due" if past else "events due", count=len(events), day=day)


_SENTENCES: dict[str, Callable[[CourseEvidence, int, float], str]] = {
    AFTER_END: _after_end,
    f"{_CORE}any_access_before_start": _before_start,
    f"{_CORE}any_course_access": _access,
    f"{_CORE}any_write_action": _write,
    f"{_CORE}any_write_action_in_course": _write_in_course,
    f"{_CORE}read_actions": _reads,
    f"{_COURSE}activities_due": _events,
    f"{_USER}user_profile_set": _profile,
    f"{_USER}user_track_forums": _forums,
}
"""Of Moodle's indicators of students, by id."""


# The course.


def _about_course(indicator: str, subject: Subject) -> str:
    """What Moodle's indicators of a course say; empty for others."""
    value = subject.value(indicator)
    if value is None and subject.evidence is not None:
        value = subject.evidence.value(indicator, subject.userid)
    if value is None:
        return ""
    name = indicator.removeprefix(_COURSE)
    if name in {"completion_enabled", "no_student", "no_teacher"}:
        return say("yes" if value > 0 else "no", indicator)
    if name == "potential_cognitive_depth":
        return say(f"level {round(2 * value + 3)}", indicator)
    if name == "potential_social_breadth":
        return say(f"level {round(value / 2 + 1.5)}", indicator)
    return ""


# Indicators of others, and values without evidence.


@cache
def _installed(indicator: str) -> Indicator | None:
    return next((known for known in registry.list_indicators() if known.id == indicator), None)


def _own(indicator: str, subject: Subject, evidence: CourseEvidence) -> str:
    """What an indicator says itself; empty when it says nothing, or fails."""
    installed, own = _installed(indicator), evidence.own_counts(indicator, subject.userid)
    if installed is None or own is None:
        return ""
    try:
        text = installed.sentence(own)
    except Exception:  # somebody else's code must not keep a page from being shown
        return ""
    return " ".join(text.split()) if isinstance(text, str) else ""


def _with_percentile(reason: InsightReason, evidence: CourseEvidence, userid: int, value: float) -> str:
    """An indicator's name with how it stands among classmates; empty with too few."""
    indicator, label = reason.indicator, _label(reason.indicator, reason.label)
    installed = _installed(indicator)
    if installed is not None and installed.kind is Kind.BINARY:
        fact = say("value", label=label, value=words.say("yes") if value > 0 else words.say("no"))
        return _shared(fact, indicator, evidence, userid)
    tenths = evidence.tenths_below(indicator, userid)
    if tenths is None:
        return ""
    less, more = tenths
    if less == more or max(tenths) == 0:
        return say("as others", label=label)
    return say("higher" if less > more else "lower", label=label, number=number(max(tenths)))


def _from_value(reason: InsightReason, subject: Subject) -> str:
    """An indicator's name with its value, by the mean of the course where there is one."""
    label = _label(reason.indicator, reason.label)
    value, mean = subject.value(reason.indicator), subject.value(f"{reason.indicator}/mean")
    if value is not None and mean is not None:
        side = "at" if abs(value - mean) < SAME else "above" if value > mean else "below"
        return say(f"{side} mean", label=label)
    return say("value", label=label, value=value_in_words(subject.calculations, reason.indicator, reason.value))


def _label(indicator: str, label: str) -> str:
    name = indicator_name(indicator, label)
    return name[:1].upper() + name[1:]


def _day(evidence: CourseEvidence, seconds: int) -> str:
    return Dates(evidence.zone).long_day(seconds, evidence.now)
