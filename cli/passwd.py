"""``moodlemlbackend passwd``."""

from __future__ import annotations

import sys

import click

from .options import ModelCommand

EXAMPLES = """\
moodlemlbackend passwd moodle
openssl rand -base64 24 | tee secret | moodlemlbackend passwd moodle
"""


@click.command("passwd", cls=ModelCommand, epilog=EXAMPLES)
@click.argument("user", metavar="USER")
def command(user: str) -> None:
    """Make a user's entry for the setting users of the server.

    Asks for the password twice, or reads it from standard input when that is no terminal. Only the entry is printed,
    which holds a key made of the password by scrypt.
    """
    from moodlemlbackend.errors import UsageError
    from moodlemlbackend.server.auth.passwords import make_entry

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        click.echo(make_entry(user, password))
    except UsageError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
