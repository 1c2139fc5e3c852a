"""``moodlemlbackend serve``."""

from __future__ import annotations

import click

from .command import ExampleCommand
from .errors import reporting_errors
from .output import prepare_streams

EXAMPLES = """\
moodlemlbackend serve --directory /var/lib/moodlemlbackend
MOODLEMLBACKEND_SERVER_USERS="$(moodlemlbackend passwd moodle)" moodlemlbackend serve --directory models --port 8000
"""


@click.command("serve", cls=ExampleCommand, epilog=EXAMPLES)
@click.option(
    "--directory", metavar="PLACE", help="Where to keep models: a directory, or a URL such as s3://bucket/models."
)
@click.option("--host", metavar="ADDRESS", help="Address to listen on.  [default: only this machine can connect]")
@click.option("--port", metavar="NUMBER", help="Port to listen on; 0 picks a free port, which the log shows.")
def command(directory: str | None, host: str | None, port: str | None) -> None:
    """Run the server for Moodle's server mode and the pages, until it is stopped.

    Users and limits are settings; see docs/server.md. The log goes to standard error, one JSON object per line.
    """
    prepare_streams()
    with reporting_errors(as_json=False):
        from moodlemlbackend.server.main import run_server
        from moodlemlbackend.settings.server import load_server_settings

        run_server(load_server_settings(directory=directory, host=host, port=port))
