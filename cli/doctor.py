"""``moodlemlbackend doctor``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from .options import ModelCommand

EXAMPLES = """\
moodlemlbackend doctor
sudo -u www-data /opt/moodlemlbackend/bin/moodlemlbackend doctor /var/moodledata/models
"""

_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "problem": ("PROBLEM", "red")}


@click.command("doctor", cls=ModelCommand, epilog=EXAMPLES)
@click.argument("folder", metavar="[DIR]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(folder: str | None, as_json: bool) -> None:
    """Check this installation and say what to do about each finding.

    Best run as the user of Moodle's web server and cron. DIR is where Moodle keeps its models: the setting "Models
    output directory", or models in Moodle's data directory. Exit code 1 when there is a problem.
    """
    from moodlemlbackend.doctor.doctor import Level, examine

    findings = []
    for finding in examine(Path(folder) if folder else None):
        findings.append(finding)
        if not as_json:
            mark, colour = _MARKS[finding.level.value]
            click.echo(f"{click.style(f'{mark:8}', fg=colour)} {finding.topic}: {finding.text}")
            if finding.advice:
                click.echo(f"{'':8}   To do: {finding.advice}")
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    if as_json:
        facts = [{**vars(finding), "level": finding.level.value} for finding in findings]
        click.echo(json.dumps({"problems": problems, "warnings": warnings, "findings": facts}, indent=2))
    else:
        click.echo(f"\nProblems: {problems}, warnings: {warnings}.")
    sys.exit(1 if problems else 0)
