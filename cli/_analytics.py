"""What the commands on models, insights and tasks have in common: options, site and store, tables, errors."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import click

from .options import ModelCommand, unix_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from moodlemlbackend.analytics.db.models import AnalyticsModel
    from moodlemlbackend.analytics.features.analysis import Result
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

SITE = click.option("--site", metavar="URL", help="The Moodle site: a database's URL, or a folder of its tables.")
PREFIX = click.option("--prefix", metavar="TEXT", help="Prefix of the site's tables; mdl_ unless given.")
TIME_ZONE = click.option("--time-zone", metavar="NAME", help="Time zone instead of the site's own.")
STORE = click.option("--store", metavar="URL", help="The store of models: a database's URL.")
DIRECTORY = click.option(
    "--directory", metavar="DIR", help="Where models and data sets are, and the store unless given."
)
NOW = click.option("--now", metavar="TIME", callback=unix_time, help="When the site is looked at.  [default: now]")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
USER = click.option("--user", metavar="ID", type=click.IntRange(0), help="Moodle's id of the user who acts.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")
MODEL = click.argument("modelid", metavar="MODEL", type=click.IntRange(1))

_LONE_WIDTH = 160
"""Of tables where there is no terminal."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; ``lazy`` is a module's name by command."""

    format_epilog = ModelCommand.format_epilog

    def __init__(self, *args: Any, lazy: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The commands in their order."""
        return [*self._lazy]

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in self._lazy:
            return None
        module = import_module(f".{self._lazy[name]}", __package__)
        attribute = name.replace("-", "_")
        found: click.Command = getattr(module, f"{attribute}_" if iskeyword(attribute) else attribute)
        return found


class Session:
    """The store, and the site once it is asked for, of one command."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        from moodlemlbackend.settings.analytics import load_analytics_settings

        chosen = {key: options.get(key) for key in ("site", "prefix", "time_zone", "store", "directory")}
        self.settings = load_analytics_settings(**chosen)
        self._now, self._user = options.get("now"), options.get("user")
        self._workspace: Workspace | None = None
        self._site: Site | None = None

    @property
    def workspace(self) -> Workspace:
        """The store and its folder."""
        if self._workspace is None:
            from moodlemlbackend.analytics.workspace import COMMAND_LINE, open_workspace

            userid = COMMAND_LINE if self._user is None else self._user
            self._workspace = open_workspace(self.settings, now=self._now, userid=userid)
        return self._workspace

    @property
    def site(self) -> Site:
        """The Moodle site; UsageError when none is named."""
        if self._site is None:
            from moodlemlbackend.analytics.site import open_site
            from moodlemlbackend.errors import UsageError

            if not self.settings.site:
                raise UsageError(
                    "Name the Moodle site with --site or MOODLEMLBACKEND_SITE: a database's URL, or a folder."
                )
            self._site = open_site(
                self.settings.site, prefix=self.settings.prefix, time_zone=self.settings.time_zone or None
            )
        return self._site

    @property
    def now(self) -> int:
        """The present."""
        return int(time.time()) if self._now is None else self._now

    def close(self) -> None:
        """Let go of both."""
        if self._site is not None:
            self._site.close()
        if self._workspace is not None:
            self._workspace.store.close()


def command(
    *options: Callable[[Any], Any], site: bool = False, examples: str = ""
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command that gets a :class:`Session` first; it may return an exit code.

    ``options`` are its own; those of the store, of the site if it needs one, and ``--json`` follow.
    """

    def decorate(function: Callable[..., Any]) -> click.Command:
        common = (*((SITE, PREFIX, TIME_ZONE) if site else ()), STORE, DIRECTORY, NOW, JSON)

        @wraps(function)
        def run(**given: Any) -> None:
            shared = {key: given.pop(key) for key in list(given) if key in _SHARED}
            with told():
                session = Session({**shared, "user": given.get("user")})
                try:
                    code = function(session, **given)
                finally:
                    session.close()
            sys.exit(code or 0)

        decorated: Any = run
        for option in reversed((*options, *common)):
            decorated = option(decorated)
        name = function.__name__.rstrip("_").replace("_", "-")
        made: click.Command = click.command(name, cls=ModelCommand, epilog=examples)(decorated)
        return made

    return decorate


_SHARED = frozenset({"site", "prefix", "time_zone", "store", "directory", "now"})


@contextmanager
def told() -> Iterator[None]:
    """Tell what goes wrong in one sentence and end: with 2 for what was asked wrongly, else 1."""
    from moodlemlbackend.errors import BackendError, UsageError

    try:
        yield
    except UsageError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except BackendError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in ("sqlalchemy", "alembic", "joblib"):
            click.echo(f"This needs the package {error.name}: install moodlemlbackend[analytics].", err=True)
            sys.exit(1)
        raise


def print_json(value: Any) -> None:
    """Print a value for programs."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table for people."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _LONE_WIDTH).print(table)


def print_facts(facts: Sequence[tuple[str, Any]]) -> None:
    """Print names with their values, a line each."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        click.echo(f"{name:{width}}  {value}")


def moment(seconds: int | None) -> str:
    """A Unix time as people read it, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds)) if seconds else ""


def last(name: str | None) -> str:
    """The last part of a class name."""
    return (name or "").rpartition("\\")[2]


def progress(model: AnalyticsModel) -> Callable[[Result], None] | None:
    """Show a line an analysable on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        return None
    click.echo(f"{model.name} (model {model.id})", err=True)

    def show(result: Result) -> None:
        click.echo(f"  {result.analysable.name}: {result.reason.text}", err=True)

    return show


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is deleted; ends the command unless the answer is yes."""
    if not yes:
        click.confirm(question, abort=True, err=True)
