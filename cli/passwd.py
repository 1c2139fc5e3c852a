"""``moodlemlbackend passwd``."""

from __future__ import annotations

import sys

import click

from .command import Answer
from .command import command as make

EXAMPLES = """\
moodlemlbackend passwd moodle
openssl rand -base64 24 | tee secret | moodlemlbackend passwd moodle
"""


@make("passwd", click.argument("user", metavar="USER"), examples=EXAMPLES)
def command(user: str) -> Answer:
    """Make an entry for the server's users setting.

    Asks for the password twice, or reads it from standard input if that is not a terminal. Prints the entry, which
    contains a key derived from the password by scrypt, never the password itself.
    """
    from moodlemlbackend.server.auth.passwords import make_entry

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    entry = make_entry(user, password)
    return Answer({"entry": entry}, entry)
