"""What a site holds, and what keeps its courses from being analysed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from moodlemlbackend.analytics.features.analysables import Course, Courses
from moodlemlbackend.analytics.features.analysers import ANALYSERS, StudentEnrolments
from moodlemlbackend.analytics.features.answers import log_bounds, refusal, refusal_of
from moodlemlbackend.analytics.features.indicators import Indicator
from moodlemlbackend.analytics.features.refusal import Refusal, decisive
from moodlemlbackend.analytics.features.registry import get_indicator, indicators_of
from moodlemlbackend.analytics.features.targets import Target
from moodlemlbackend.analytics.site.logs import log_lifetime, log_span
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.errors import UsageError

SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class CourseFinding:
    """A course with the reasons why it cannot be trained on or predicted; None when it can."""

    id: int
    name: str
    start: int
    end: int
    students: int
    training: Refusal | None
    prediction: Refusal | None

    @property
    def verdict(self) -> str:
        """What the course serves for, or why it does not."""
        if self.training is None:
            return "Can be used for training."
        if self.prediction is None:
            return "Can be predicted."
        return " ".join(dict.fromkeys((self.training.text, self.prediction.text)))

    @property
    def invalid(self) -> bool:
        """Whether the course serves for neither: one of Moodle's "invalid site elements"."""
        return self.training is not None and self.prediction is not None


@dataclass(frozen=True)
class SiteFindings:
    """What a site holds; times are Unix times, 0 where there is none."""

    name: str
    version: str
    release: str
    time_zone: str
    target: str
    now: int
    log_rows: int
    log_first: int
    log_last: int
    log_kept_days: int
    """Days after which the site deletes log rows; 0: never."""
    students: int
    """Different users with a student's role in some course."""
    courses: list[CourseFinding]
    warnings: list[str] = field(default_factory=list)

    def count(self, *, start: bool | None = None, end: bool | None = None) -> int:
        """Number of courses with, or without, a start or an end date."""
        return sum(
            (start is None or bool(course.start) is start) and (end is None or bool(course.end) is end)
            for course in self.courses
        )

    def reasons(self) -> list[tuple[Refusal, int]]:
        """Why courses serve for neither training nor prediction, the commonest reason first."""
        pairs = ((course.training, course.prediction) for course in self.courses)
        counts = Counter(decisive(training, prediction) for training, prediction in pairs if training and prediction)
        return counts.most_common()


def check_site(site: Site, target: Target, now: int) -> SiteFindings:
    """Look a site over for a target of students or courses; raises :class:`UsageError` for other targets."""
    analyser = ANALYSERS[target.analyser]
    if not isinstance(analyser, StudentEnrolments):
        raise UsageError(f"The target {target.id} does not look at individual courses; choose another one to check.")
    indicators = [get_indicator(indicator) for indicator in indicators_of(target, site.modules)]
    courses: list[CourseFinding] = []
    students: set[int] = set()
    for part in analyser.batches(analyser.rows(site)):
        for course in Courses(site, part, now):
            courses.append(_examine(course, target, indicators))
            students.update(course.students.tolist())
            course.forget()
    log = log_span(site)
    findings = SiteFindings(
        site.name, site.version, site.release, str(site.zone), target.id, now, *log, log_lifetime(site),
        len(students), courses,
    )  # fmt: skip
    findings.warnings.extend(_warnings(site, findings))
    return findings


def _examine(course: Course, target: Target, indicators: Sequence[Indicator]) -> CourseFinding:
    course.plan_logs(log_bounds(target, course))
    reason = refusal_of(indicators, course)
    return CourseFinding(
        course.id, course.name, course.start, course.end, len(course.students),
        refusal(target, course, training=True) or reason, refusal(target, course, training=False) or reason,
    )  # fmt: skip


def _warnings(site: Site, findings: SiteFindings) -> Iterable[str]:
    if findings.version == "0":
        yield "The site's version is not in its settings; 4.2 is assumed."
    if lost := site.courses_without_context:
        yield (
            f"{len(lost)} courses have no row in the context table and are left out ({', '.join(lost[:5])}); "
            "open each of them in Moodle, which creates the row, or copy the whole table."
        )
    if not len(site.roles("student")):
        yield "No role has the archetype student, so everyone with a role counts as a student; set the archetype."
    if not findings.log_rows:
        yield "The log is empty; enable the standard log store in Moodle."
    longest = max((course.end - course.start for course in findings.courses if course.start and course.end), default=0)
    if findings.log_kept_days and findings.log_kept_days * SECONDS_A_DAY < longest:
        yield (
            f"The site deletes its log after {findings.log_kept_days} days, but courses last longer; keep the "
            "log for longer than your courses last."
        )
    early = sum(0 < course.start < findings.log_first for course in findings.courses)
    if early:
        yield f"The log begins after the start of {early} courses; what happened in them before that is unknown."
    if not any(course.training is None for course in findings.courses):
        yield "No course can be used for training yet."
