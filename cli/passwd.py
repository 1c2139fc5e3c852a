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
    """Make a user's entry for the setting users of the server.

    Asks for the password twice, or reads it from standard input when that is no terminal. Only the entry is printed,
    which holds a key made of the password by scrypt.
    """
    from moodlemlbackend.server.auth.passwords import make_entry

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    entry = make_entry(user, password)
    return Answer({"entry": entry}, entry)
