"""``moodlemlbackend site check``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..command import Answer
from ..command import command as make
from ..output import date, print_facts, print_line, print_sentence, working
from ..session import Session
from ..tables import Table, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moodlemlbackend.analytics.features.site_check import SiteFindings

EXAMPLES = """\
moodlemlbackend site check --site postgresql://reader:secret@localhost/moodle
moodlemlbackend site check --site tables/ --prefix mdl_ --json
"""


@make(
    "check",
    click.option(
        "--target", default="course_dropout", show_default=True, metavar="NAME", help="Target to check courses for."
    ),
    click.option("--all", "everything", is_flag=True, help="List every course, not only those that cannot be used."),
    site=True, tables=True, examples=EXAMPLES,
)  # fmt: skip
def command(session: Session, target: str, everything: bool) -> Answer:
    """Show what a site holds and what keeps its courses from being analysed.

    Moodle calls a course that can be neither trained on nor predicted an "invalid site element".
    """
    from moodlemlbackend.analytics.features.registry import get_target
    from moodlemlbackend.analytics.features.site_check import check_site
    from moodlemlbackend.analytics.notifications.switch import Switch, also_by_moodle

    judge = get_target(target)
    with working("Reading the site"):
        findings = check_site(session.site, judge, session.now)
    on = session.settings.notifications
    if warning := also_by_moodle(session.site, on=on):
        findings.warnings.append(warning)
    tables = [*_tables(findings, everything)]

    def show() -> None:
        print_facts([*_facts(findings)])
        for warning in findings.warnings:
            print_line(f" {warning}", mark="Warning", colour="yellow")
        print_sentence(Switch(on).sentence)
        for table in tables:
            print_line()
            print_table(table)

    return Answer({**_as_json(findings), "notifications": on}, show, info=findings.warnings, tables=tables)


def _as_json(findings: SiteFindings) -> dict[str, Any]:
    """The findings with reasons as objects."""
    facts = {name: value for name, value in vars(findings).items() if name != "courses"}
    facts["invalid"] = [{**reason._asdict(), "courses": number} for reason, number in findings.reasons()]
    facts["courses"] = [
        {
            **vars(course),
            "training": course.training and course.training._asdict(),
            "prediction": course.prediction and course.prediction._asdict(),
        }
        for course in findings.courses
    ]
    return facts


def _tables(findings: SiteFindings, everything: bool) -> Iterator[Table]:
    if reasons := findings.reasons():
        rows = [(number, reason.text, reason.advice) for reason, number in reasons]
        yield Table(
            ("Courses", "Reason", "What to do"), rows, "Reasons why courses cannot be analysed", right=("Courses",)
        )
    listed = [course for course in findings.courses if everything or course.invalid]
    if listed:
        courses = [
            (course.id, course.name, date(course.start), date(course.end), course.students, course.verdict)
            for course in listed
        ]
        title = "Courses" if everything else "Courses that cannot be analysed"
        numbers = ("ID", "Students")
        yield Table(("ID", "Course", "Start", "End", "Students", "Verdict"), courses, title, right=numbers)


def _facts(findings: SiteFindings) -> Iterator[tuple[str, str]]:
    yield "Site", findings.name
    yield "Moodle", f"{findings.release or 'version'} ({findings.version}), time zone {findings.time_zone}"
    yield (
        "Courses",
        (
            f"{len(findings.courses)}: {findings.count(start=True, end=True)} with both dates, "
            f"{findings.count(end=False)} without an end, {findings.count(start=False)} without a start"
        ),
    )
    yield "Students", str(findings.students)
    span = f", {date(findings.log_first)} to {date(findings.log_last)}" if findings.log_rows else ""
    yield "Log", f"{findings.log_rows:,} rows{span}"
    yield "Target", findings.target
    trained = sum(course.training is None for course in findings.courses)
    predicted = sum(course.prediction is None for course in findings.courses)
    yield "Analysed", f"{trained} courses can be used for training, {predicted} for prediction now"
