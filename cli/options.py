"""The arguments and options of commands: one name, one spelling and one help text for each thing."""

from __future__ import annotations

from datetime import datetime, timezone

import click

MODELID = click.argument("modelid", metavar="MODELID")
OUTPUTDIR = click.argument("outputdir", metavar="DIR")
DATASET = click.argument("dataset", metavar="DATASET")
MODEL = click.argument("modelid", metavar="MODEL", type=click.IntRange(1))

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
PROCESSOR = click.option(
    "--processor", metavar="NAME", help="Processor that trains: neural_network, logistic_regression, or one installed."
)
SEED = click.option("--seed", metavar="NUMBER", help="Seed of every random choice, to repeat a run.")
USER = click.option("--user", metavar="ID", type=click.IntRange(0), help="Moodle's id of the user who acts.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")
INTERVAL = click.option("--interval", metavar="NAME", help="Analysis interval: its class in Moodle, or the last part.")
INDICATOR = click.option(
    "--indicator", "indicators", metavar="NAME", multiple=True,
    callback=lambda _ctx, _param, given: tuple(
        name.strip() for names in given for name in names.split(",") if name.strip()
    ),
    help="Indicator: its class in Moodle, or enough of its end; default: those of the core model. Repeatable, or "
    "several with commas between.",
)  # fmt: skip

TARGET = click.option("--target", metavar="NAME", required=True, help="Target: its class in Moodle, or the last part.")

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
        raise click.BadParameter(f"{text!r} is no time from 2001 to 2033; write 2026-03-01, or Unix seconds.")
    return when


def _parse_date(text: str) -> int:
    when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp())


NOW = click.option(
    "--now", metavar="TIME", callback=unix_time, help="When the site is looked at: a date or Unix seconds.  "
    "[default: now]",
)  # fmt: skip

SITE_OPTIONS = (
    click.option(
        "--site", metavar="URL",
        help="The Moodle site: a database's URL, an SQLite file, or a folder of tables.  [default: the setting]",
    ),
    PREFIX,
    click.option("--time-zone", metavar="NAME", help="Time zone instead of the site's own, such as Europe/Madrid."),
)  # fmt: skip
STORE_OPTIONS = (
    click.option("--store", metavar="URL", help="The store of models: a database's URL.  [default: the setting]"),
    click.option(
        "--directory", metavar="DIR", help="Where models and data sets are, and the store unless given.  "
        "[default: the setting]",
    ),
)  # fmt: skip
