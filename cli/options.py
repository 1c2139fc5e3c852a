"""The arguments and options of commands: one name, one spelling and one help text for each thing."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.types import FuncParamType

if TYPE_CHECKING:
    from collections.abc import Callable

MODELID = click.argument("modelid", metavar="MODELID")
OUTPUTDIR = click.argument("outputdir", metavar="DIR")
DATASET = click.argument("dataset", metavar="DATASET")

MODEL_NAME = FuncParamType(str)
"""What names a model: :meth:`.session.Session.modelid` finds its id before the command sees it."""

MODEL = click.argument("modelid", metavar="MODEL", type=MODEL_NAME)

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def named(kind: str, *endings: str) -> Callable[[click.Context, click.Parameter, str], str]:
    """A callback for a file to write: it refuses a name whose ending promises another format."""

    def check(_ctx: click.Context, _param: click.Parameter, path: str) -> str:
        if Path(path).suffix.lower() in ("", *endings):
            return path
        raise click.BadParameter(f"{path!r}: {kind} is written as {endings[0]}; use that ending.")

    return check


CSV = click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets.")
PROCESSOR = click.option(
    "--processor", metavar="NAME", help="Processor to train with; moodlemlbackend models processors lists them."
)
SEED = click.option(
    "--seed", metavar="NUMBER", help="Seed for all random choices; the same seed gives the same result."
)

CLUSTER = click.option(
    "--cluster", metavar="ADDRESS",
    help="Calculate on a Dask cluster: the scheduler's address, such as tcp://host:8786, or local:N for N processes of "
    "this machine.  [default: the setting]",
)  # fmt: skip


def user_option(meaning: str) -> Callable[[Any], Any]:
    """The option that names a user, with what it means for the command."""
    return click.option("--user", metavar="ID", type=click.IntRange(0), help=f"{meaning} ID is Moodle's user id.")


YES = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
INTERVAL = click.option(
    "--interval",
    metavar="NAME",
    help="Analysis interval, such as quarters; moodlemlbackend models intervals lists them.",
)
INDICATOR = click.option(
    "--indicator", "indicators", metavar="NAME", multiple=True,
    callback=lambda _ctx, _param, given: tuple(
        name.strip() for names in given for name in names.split(",") if name.strip()
    ),
    help="Indicator; moodlemlbackend models indicators lists them, and default means those of the target's core "
    "model. Repeat the option, or give several separated by commas.",
)  # fmt: skip


def target_option(meaning: str) -> Callable[[Any], Any]:
    """An option that names a target, with what it means for the command."""
    return click.option("--target", metavar="NAME", help=meaning)


TARGET = click.option(
    "--target",
    metavar="NAME",
    required=True,
    help="What to predict, such as course_dropout; moodlemlbackend models targets lists them.",
)

PREFIX = click.option("--prefix", metavar="TEXT", help="Prefix of the site's tables.  [default: the setting, or mdl_]")


def unix_time(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int | None:
    """Read an ISO date, with a time of day if need be, in UTC unless it says otherwise; or Unix seconds."""
    if text is None:
        return None
    try:
        when = int(text) if text.isdecimal() else _parse_date(text)
    except ValueError:
        when = 0
    if not 10**9 <= when < 2 * 10**9:
        raise click.BadParameter(f"{text!r} is not a time from 2001 to 2033; write 2026-03-01, or Unix seconds.")
    return when


def _parse_date(text: str) -> int:
    when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp())


NOW = click.option(
    "--now", metavar="TIME", callback=unix_time,
    help="Work as if it were this time: a date or Unix seconds.  [default: now]",
)  # fmt: skip

SITE_OPTIONS = (
    click.option(
        "--site", metavar="URL",
        help="The Moodle site: a database URL, an SQLite file, or a folder of tables.  [default: the setting]",
    ),
    PREFIX,
    click.option("--time-zone", metavar="NAME", help="Time zone, such as Europe/Madrid.  [default: the site's own]"),
    click.option(
        "--log-store", metavar="URL",
        help="Where the site's log is, or a replica of it: a database URL, or Parquet or CSV files.  "
        "[default: where Moodle has it]",
    ),
)  # fmt: skip
STORE_OPTIONS = (
    click.option("--store", metavar="URL", help="The store of models: a database URL.  [default: the setting]"),
    click.option(
        "--directory", metavar="DIR", help="Directory for models and data sets, and for the store unless --store is "
        "given.  [default: the setting]",
    ),
)  # fmt: skip
