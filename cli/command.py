"""What every command is: help with arguments and examples, one way to print what came of it, one way to fail."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, cast

import click
from click.exceptions import Exit

from moodlemlbackend.errors import UsageError, unknown

from .errors import reporting_errors
from .options import CLUSTER, CSV, JSON, MODEL_NAME, NOW, SITE_OPTIONS, STORE_OPTIONS
from .output import prepare_streams, print_json, print_line, print_sentence
from .tables import print_csv, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from moodlemlbackend.runtime.progress import Reporter
    from moodlemlbackend.runtime.reply import Result

    from .tables import Table

_ABOUT_ARGUMENTS = {
    "MODEL": "The model: its id, its name, or its target, such as course_dropout.",
    "MODELID": "Name of the model: letters, digits, - and _.",
    "[SAMPLEID]": "Id of a sample in an unlabelled data set.",
    "DIR": "Directory of the model; use the same one in every command.",
    "RUNDIR...": "Folder of a run, such as DIR/logs/1700000000000; an evaluation prints its path.",
    "DATASET...": "Data set files as Moodle writes them, plain or gzip; - is standard input.",
    "[DIR]": "Directory where Moodle keeps its models.",
    "DEMODIR": "Directory for the demo; it is created if needed.",
    "EXPORTDIR": "Directory to export to.",
    "IMPORTDIR": "Directory that holds an exported model.",
    "FILE": "The file to read or write.",
    "COURSE": "Id of a course in Moodle.",
    "USER": "The user's name or, for insights, Moodle's user id.",
    "ACTION": "acknowledge, useful, not-useful, not-applicable, take-back, or one of Moodle's own.",
    "ID": "Id of a prediction; moodlemlbackend insights list shows it.",
    "ID...": "Ids of predictions; moodlemlbackend insights list shows them.",
    "DATASET": "Data set file as Moodle writes it, plain or gzip; - is standard input.",
}

_OF_SESSION = ("site", "prefix", "time_zone", "log_store", "store", "directory")


class ExampleCommand(click.Command):
    """A command whose help explains the arguments and ends with examples, its epilog's lines."""

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
        if not self.epilog:
            return
        with formatter.section("Examples"):
            for line in self.epilog.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class CommandGroup(click.Group):
    """Commands that are imported when they are called: each is ``command`` in the module of its name."""

    format_epilog = ExampleCommand.format_epilog

    def __init__(self, *args: Any, package: str = "", names: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._package, self._names = package, names

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The commands in their order."""
        return [*self._names]

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in self._names:
            return None
        command: click.Command = import_module(f".{name.replace('-', '_')}", self._package).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant, or suggest the nearest."""
        name = str(args[0])
        if name not in self._names and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(str(unknown("command", name, self._names, f"{ctx.command_path} --help lists them.")))
        return super().resolve_command(ctx, args)


@dataclass
class Answer:
    """What came of a command.

    Attributes
    ----------
    facts
        what ``--json`` prints beside ``status`` and ``info``.
    show
        what people read: a text of one or more lines, or a function that prints it; None for the tables.
    tables
        what ``--csv`` prints.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    show: str | Callable[[], object] | None = None
    status: int = 0
    info: Sequence[str] = ()
    tables: Sequence[Table] = ()

    def present(self, how: str) -> None:
        """Print it as ``json``, as ``csv`` or, with neither, for people."""
        if how == "json":
            print_json({"info": [*self.info], **self.facts, "status": self.status})
        elif how == "csv":
            print_csv(self.tables)
        elif self.show is None:
            for table in self.tables:
                print_table(table)
        elif callable(self.show):
            self.show()
        else:
            for line in self.show.splitlines():
                print_line(line)


def command(
    name: str,
    *options: Callable[[Any], Any],
    site: bool = False,
    store: bool = False,
    tables: bool = False,
    cluster: bool = False,
    examples: str = "",
    cls: type[ExampleCommand] = ExampleCommand,
) -> Callable[[Callable[..., Answer]], click.Command]:
    """Make a command of a function, which returns an :class:`Answer`.

    ``options`` are its own. One that needs a site or a store gets a :class:`.session.Session` first, and the options
    for it. ``--json`` is every command's, ``--csv`` that of commands whose answer has tables. With ``cluster`` it runs
    on the cluster that the option or the setting names.
    """
    common = (*(SITE_OPTIONS if site else ()), *(STORE_OPTIONS if store else ()), *((NOW,) if site or store else ()))
    if cluster:
        common = (CLUSTER, *common)

    def decorate(function: Callable[..., Answer]) -> click.Command:
        @wraps(function)
        def run(as_json: bool, as_csv: bool = False, **given: Any) -> None:
            prepare_streams()
            with reporting_errors(as_json=as_json):
                if as_json and as_csv:
                    raise UsageError("Choose either --json or --csv.")
                with _cluster(given) if cluster else nullcontext():
                    answer = _answer(function, given, session=site or store)
                answer.present("json" if as_json else "csv" if as_csv else "")
            raise Exit(answer.status)

        decorated: Any = run
        for option in reversed((*options, *common, *((CSV,) if tables else ()), JSON)):
            decorated = option(decorated)
        made: click.Command = click.command(name, cls=cls, epilog=examples)(decorated)
        return made

    return decorate


def _cluster(given: dict[str, Any]) -> AbstractContextManager[object]:
    """The cluster that the option or the setting names, for the time of a command."""
    from moodlemlbackend.cluster import using
    from moodlemlbackend.settings.backend import load_settings

    settings = load_settings(cluster=given.pop("cluster"))
    return using(settings.cluster, settings.cluster_files)


def _answer(function: Callable[..., Answer], given: dict[str, Any], *, session: bool) -> Answer:
    if not session:
        return function(**given)
    from moodlemlbackend.runtime.progress import reporter_of_process

    from .session import Session

    chosen = {key: given.pop(key, None) for key in _OF_SESSION}
    opened = Session(given.pop("now"), given.get("user"), **chosen)
    try:
        for parameter in click.get_current_context().command.params:
            if parameter.type is MODEL_NAME and parameter.name and given[parameter.name] is not None:
                given[parameter.name] = opened.modelid(given[parameter.name])
        return function(opened, **given)
    finally:
        reporter_of_process().close()
        opened.close()


def run_operation(
    name: str,
    call: Callable[..., Result],
    *arguments: str | tuple[str, ...],
    as_json: bool,
    show: Callable[[Any], None],
    shorten: Callable[[Any], Any] = lambda result: result,
    chosen: Mapping[str, str | None] | None = None,
    **limits: Any,
) -> NoReturn:
    """Run one of the :mod:`moodlemlbackend.operations` as Moodle would, and end the process.

    ``show`` prints a result for people at a terminal, of which ``shorten`` keeps what it shows; programs and pipes get
    what Moodle gets. ``chosen`` are the settings that have an option, None where it was not given. What Moodle gets as
    a text is an object with ``as_json``.
    """
    from moodlemlbackend.runtime.supervisor import run_command
    from moodlemlbackend.settings.backend import load_settings

    for_people = not as_json and sys.stdout is not None and sys.stdout.isatty()

    def perform(reporter: Reporter) -> Result:
        result = call(reporter, *arguments, settings=load_settings(**(chosen or {})), **limits)
        if for_people:
            return cast("Result", shorten(result))
        return {"status": 0, "info": [result]} if as_json and isinstance(result, str) else result

    def present(result: Result) -> None:
        prepare_streams()
        if isinstance(result, str) or "errors" not in result:
            show(result)
        else:
            for sentence in result["errors"]:
                print_sentence(sentence, err=True)

    sys.exit(run_command(name, perform, present=present if for_people else None))
