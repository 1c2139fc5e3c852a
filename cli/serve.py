"""``moodlemlbackend serve``."""

from __future__ import annotations

import click

from .command import ExampleCommand
from .errors import errors_told
from .output import prepare_streams

EXAMPLES = """\
moodlemlbackend serve --directory /var/lib/moodlemlbackend
MOODLEMLBACKEND_SERVER_USERS="$(moodlemlbackend passwd moodle)" moodlemlbackend serve --directory models --port 8000
"""


@click.command("serve", cls=ExampleCommand, epilog=EXAMPLES)
@click.option(
    "--directory", metavar="PLACE", help="Where models are: a directory, or a URL such as s3://bucket/models."
)
@click.option("--host", metavar="ADDRESS", help="Address to listen at; this machine alone can reach the default.")
@click.option("--port", metavar="NUMBER", help="Port to listen at; 0 takes a free one, which the log names.")
def command(directory: str | None, host: str | None, port: str | None) -> None:
    """Serve Moodle's server mode until a signal comes.

    Users and limits are settings; see docs/server.md. The log goes to standard error, a line of JSON each.
    """
    prepare_streams()
    with errors_told(as_json=False):
        from moodlemlbackend.server.main import run_server
        from moodlemlbackend.settings.server import load_server_settings

        run_server(load_server_settings(directory=directory, host=host, port=port))
