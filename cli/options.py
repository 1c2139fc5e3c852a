"""What several commands have in common: their arguments and options, their examples, and how they are run."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from moodlemlbackend.runtime.progress import Reporter
    from moodlemlbackend.runtime.reply import Result

MODELID = click.argument("modelid", metavar="MODELID")
OUTPUTDIR = click.argument("outputdir", metavar="DIR")
DATASET = click.argument("dataset", metavar="DATASET")

PROCESSOR = click.option(
    "--processor", metavar="NAME", help="Processor that trains: neural_network, logistic_regression, or one installed."
)
SEED = click.option("--seed", metavar="NUMBER", help="Seed of every random choice, to repeat a run.")

_ABOUT_ARGUMENTS = {
    "MODELID": "Name of the model: letters, digits, - and _.",
    "[SAMPLEID]": "Id of a sample of an unlabelled data set.",
    "DIR": "Directory of the model; the same one for every command on it.",
    "RUNDIR...": "Folder of a run, as an evaluation names it: DIR/logs/ and a number.",
    "DATASET...": "Data set files as Moodle writes them, plain or gzip; - is standard input.",
    "DATASET": "Data set file as Moodle writes it, plain or gzip; - is standard input.",
}


class ModelCommand(click.Command):
    """A command on a model: its help explains the arguments and ends with examples, its epilog's lines."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments before the options."""
        names = [argument.make_metavar(ctx) for argument in self.params if isinstance(argument, click.Argument)]
        explained = [(name, _ABOUT_ARGUMENTS[name]) for name in names if name in _ABOUT_ARGUMENTS]
        if explained:
            with formatter.section("Arguments"):
                formatter.write_dl(explained)
        super().format_options(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the examples as they stand."""
        with formatter.section("Examples"):
            for line in (self.epilog or "").splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def unix_time(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int | None:
    """Read an ISO date, with a time of day if need be, in UTC unless it says otherwise; or Unix seconds."""
    if text is None:
        return None
    try:
        when = int(text) if text.isdecimal() else _parse_date(text)
    except ValueError:
        when = 0
    if not 10**9 <= when < 2 * 10**9:
        raise click.BadParameter(f"{text!r} is no time from 2001 to 2033; write 2026-03-01, or Unix seconds.")
    return when


def _parse_date(text: str) -> int:
    when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp())


def run(
    name: str,
    call: Callable[..., Result],
    *arguments: str | tuple[str, ...],
    chosen: Mapping[str, str | None] | None = None,
    **limits: Any,
) -> NoReturn:
    """Run one of the :mod:`moodlemlbackend.operations` as Moodle would, and end the process.

    ``chosen`` are the settings that have an option, None where it was not given.
    """
    from moodlemlbackend.runtime.supervisor import run_command
    from moodlemlbackend.settings.backend import load_settings

    def perform(reporter: Reporter) -> Result:
        return call(reporter, *arguments, settings=load_settings(**(chosen or {})), **limits)

    sys.exit(run_command(name, perform))
