"""``moodlemlbackend doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from .command import Answer
from .command import command as make
from .exit_codes import FAILED, OK
from .output import print_line

EXAMPLES = """\
moodlemlbackend doctor
sudo -u www-data /opt/moodlemlbackend/bin/moodlemlbackend doctor /var/moodledata/models
"""

_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "problem": ("PROBLEM", "red")}


@make("doctor", click.argument("folder", metavar="[DIR]", required=False), examples=EXAMPLES)
def command(folder: str | None) -> Answer:
    """Check this installation and say what to do about each problem.

    Run it as the user of Moodle's web server and cron. DIR is where Moodle keeps its models: see its "Models
    output directory" setting; the default is models in Moodle's data directory. The exit code is 1 if the command finds
    a problem.
    """
    from moodlemlbackend.doctor.doctor import examine
    from moodlemlbackend.doctor.finding import Level

    findings = []
    silent = click.get_current_context().params["as_json"]
    for finding in examine(Path(folder) if folder else None):
        findings.append(finding)
        if not silent:
            mark, colour = _MARKS[finding.level.value]
            print_line(f" {finding.topic}: {finding.text}", mark=f"{mark:8}", colour=colour)
            if finding.advice:
                print_line(f"{'':8}   To do: {finding.advice}")
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    facts = [{**vars(finding), "level": finding.level.value} for finding in findings]
    return Answer(
        {"problems": problems, "warnings": warnings, "findings": facts},
        f"\nProblems: {problems}, warnings: {warnings}.",
        status=FAILED if problems else OK,
    )
