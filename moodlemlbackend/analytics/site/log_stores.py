"""Where the log of a site is: in its own table, in the database that Moodle's settings name, or where an admin says.

Moodle's plugin ``logstore_database`` writes the log to a table of another database, whose address and password are in
Moodle's settings. They are followed when Moodle itself would read the log from there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from moodlemlbackend.analytics.site.connection import names_database
from moodlemlbackend.analytics.site.database import Database
from moodlemlbackend.analytics.site.schema import LOG
from moodlemlbackend.errors import SiteError, UsageError

STANDARD, EXTERNAL = "logstore_standard", "logstore_database"

_KINDS = {
    "native/pgsql": "postgresql", "native/mysqli": "mysql", "native/mariadb": "mysql", "native/auroramysql": "mysql",
}  # fmt: skip
"""Kinds of databases by Moodle's names for its drivers."""

_PLUGIN_SETTINGS = (
    "SELECT plugin, name, value FROM {config_plugins} WHERE plugin IN ('logstore_database', 'tool_log') "
    "OR (plugin = 'analytics' AND name = 'logstore')"
)
_TABLE = re.compile(r"[A-Za-z_]\w{0,62}", re.ASCII)
_WHAT = "The log store"


def open_moodles(site: Database) -> Database | None:
    """Open the log's database that Moodle's settings name; None where the log is in the site's own table."""
    settings = {(plugin, name): str(value or "").strip() for plugin, name, value in site.rows(_PLUGIN_SETTINGS)}
    enabled = [name.strip() for name in settings.get(("tool_log", "enabled_stores"), "").split(",")]
    readable = [name for name in enabled if name in (STANDARD, EXTERNAL)]
    chosen = settings.get(("analytics", "logstore"))
    if (chosen if chosen in readable else next(iter(readable), STANDARD)) == STANDARD:
        return None
    own = {name: value for (plugin, name), value in settings.items() if plugin == EXTERNAL}
    return _opened(Database(_url(own), site.prefix, log_table=_checked(own.get("dbtable", "")), what=_WHAT))


def open_chosen(location: str, prefix: str) -> Database:
    """Open the log at a location that an admin gave: a database's URL, with ``#table`` if that has another name; files.

    Raises :class:`SiteError` when it cannot be reached or has no such table, :class:`UsageError` for a bad location.
    """
    if not names_database(location):
        from moodlemlbackend.analytics.site.folder import FolderDatabase

        return _opened(FolderDatabase.of_log(location, prefix))
    url, mark, table = location.partition("#")
    return _opened(Database(url, prefix, log_table=_checked(table) if mark else "", what=_WHAT))


def _opened(database: Database) -> Database:
    try:
        database.inspect([LOG])
        if not database.schema.has(LOG):
            raise SiteError(
                f"The log store {database.shown} has no table {database.schema.named(LOG)} that its user may read; "
                "check the name of the table, or grant the user SELECT on it."
            )
        database.schema.fill(f"{{{LOG}}}")
    except BaseException:
        database.close()
        raise
    return database


def _checked(table: str) -> str:
    if not _TABLE.fullmatch(table):
        raise UsageError(f"The log store's table {table[:40]!r} is not the name of a table; correct it.")
    return table


def _url(settings: Mapping[str, str]) -> str:
    """The URL of the database that the settings of ``logstore_database`` name."""
    driver = settings.get("dbdriver", "")
    if driver not in _KINDS:
        raise SiteError(
            f"Moodle keeps the log with the database driver {driver[:40]!r} (logstore_database), which cannot be read; "
            "set log_store to a copy of the log."
        )
    kind = _KINDS[driver]
    host, socket, schema = settings.get("dbhost", ""), settings.get("dbsocket", ""), settings.get("dbschema", "")
    query = {}
    if socket.startswith("/") and host in ("", "localhost"):
        query["host" if kind == "postgresql" else "unix_socket"], host = socket, ""
    if schema and kind == "postgresql":
        query["options"] = f"-csearch_path={schema}"
    account = ":".join(quote(settings.get(name, ""), safe="") for name in ("dbuser", "dbpass")).rstrip(":")
    port = settings.get("dbport", "")
    server = (f"[{host}]" if ":" in host else quote(host, safe="")) + (
        f":{port}" if port.isdigit() and int(port) else ""
    )
    name = quote(settings.get("dbname", ""), safe="")
    return f"{kind}://{account}{'@' if account else ''}{server}/{name}" + (
        f"?{urlencode(query, quote_via=quote)}" if query else ""
    )
