"""Tables in files, as researchers and lakes have them: a whole site or its log, in a folder or an object store.

A table is one file, ``mdl_course.parquet``, ``course.csv`` or ``course.csv.gz``, or a folder of such files, which may
be partitioned (``mdl_logstore_standard_log/year=2026/1.parquet``). The prefix may be there or not.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from moodlemlbackend.analytics.site.connection import no_kind
from moodlemlbackend.analytics.site.csv_tables import CsvDialect
from moodlemlbackend.analytics.site.database import Database
from moodlemlbackend.analytics.site.lake import build, errors_in_sentences
from moodlemlbackend.analytics.site.schema import LOG, TABLES
from moodlemlbackend.errors import SiteError
from moodlemlbackend.files import exists, is_folder
from moodlemlbackend.storage.object_store import is_object_store, open_objects

SUFFIXES = (".parquet", ".csv", ".csv.gz")
"""Endings of the files that are read, in the order of preference."""

_NO_DATA = re.compile(r"(^|/)[._]")
"""What other programs leave in a lake beside data."""

Files = dict[str, str]
"""The names by which files are opened, by their path in the location."""


class FolderDatabase(Database):
    """Tables in files, as a database; what it needs itself is in a temporary folder, which goes when it is closed."""

    def __init__(
        self, base: str, tables: Mapping[str, Files], prefix: str, dialect: CsvDialect, what: str = "The site's folder"
    ) -> None:
        self._holder = tempfile.TemporaryDirectory(prefix="moodle-site-")
        folder = Path(self._holder.name)
        try:
            fetched = _fetched(base, tables, folder / "fetched")
            local = {name: _read_as(files, fetched, dialect, folder / name) for name, files in tables.items()}
            path = folder / "site.duckdb"
            build(path, base, local, prefix, dialect)
            super().__init__(f"duckdb:///{path}?{urlencode({'base': base})}", prefix, what=what)
        except BaseException:
            self._holder.cleanup()
            raise

    @classmethod
    def of_site(cls, location: str, prefix: str) -> FolderDatabase:
        """Open the tables of a site; raises :class:`SiteError` for a folder without any."""
        base, _, query = (location, "", "") if is_folder(location) else location.partition("?")
        _refuse_others(base, "The site's database")
        dialect = CsvDialect.parse(query)
        found: dict[str, dict[str, Files]] = {}
        for path, opened_as in _listed(base, prefix).items():
            entry = path.partition("/")[0]
            if table := _table(entry, prefix):
                found.setdefault(table, {}).setdefault(entry, {})[path] = opened_as
        if not found:
            raise SiteError(
                f"The folder {base} has none of Moodle's tables; each table must be a file such as "
                f"{prefix}course.csv.gz or {prefix}course.parquet, or a folder of such files."
            )
        chosen = {table: entries[min(entries, key=lambda one: _rank(one, prefix))] for table, entries in found.items()}
        return cls(base, chosen, prefix, dialect)

    @classmethod
    def of_log(cls, location: str, prefix: str) -> FolderDatabase:
        """Open the log: one file, all files below a folder, or those that match a pattern with ``*``."""
        text, _, query = location.partition("?")
        _refuse_others(text, "The log store")
        parts = text.rstrip("/").split("/")
        last = len(parts) - 1 if text.endswith(SUFFIXES) else len(parts)
        literal = not is_object_store(text) and exists(text)
        cut = next((at for at, part in enumerate(parts) if "*" in part and not literal), last)
        base, pattern = "/".join(parts[:cut]) or "/" * text.startswith("/") or ".", "/".join(parts[cut:]) or "*"
        matching = re.compile(".*".join(map(re.escape, pattern.split("*"))))
        files = {path: opened_as for path, opened_as in _listed(base).items() if matching.fullmatch(path)}
        if not files:
            raise SiteError(
                f"The log store {text} has no Parquet or CSV files; name a file, a folder of files or a pattern such "
                "as /srv/lake/log/*.parquet."
            )
        return cls(base, {LOG: files}, prefix, CsvDialect.parse(query), "The log store")

    def close(self) -> None:
        """Remove the temporary folder, too."""
        super().close()
        self._holder.cleanup()


def _refuse_others(base: str, what: str) -> None:
    if "://" in base and not is_object_store(base):
        raise no_kind(what, base.partition("://")[0])


def _listed(base: str, prefix: str | None = None) -> Files:
    """The files of tables below a location; with a prefix only those whose file or folder is that of a table."""
    if is_object_store(base):
        objects = open_objects(base)
        found = {path: objects.url(path) for path in objects.files("")}
    else:
        folder = Path(base)
        entries = [one for one in folder.iterdir() if _table(one.name, prefix)] if prefix is not None else [folder]
        inside = (file for one in entries for file in ([one] if one.is_file() else one.rglob("*")))
        found = {file.relative_to(folder).as_posix(): str(file.absolute()) for file in inside if file.is_file()}
    return {path: found[path] for path in sorted(found) if path.endswith(SUFFIXES) and not _NO_DATA.search(path)}


def _table(entry: str, prefix: str) -> str:
    """The table whose file or folder has this name; an empty text for none."""
    stem = entry.removesuffix(next(filter(entry.endswith, SUFFIXES), ""))
    return next((name for name in (stem.removeprefix(prefix), stem) if name in TABLES), "")


def _rank(entry: str, prefix: str) -> tuple[bool, int]:
    suffix = next((at for at, suffix in enumerate(SUFFIXES) if entry.endswith(suffix)), len(SUFFIXES))
    return not entry.startswith(prefix), suffix


def _fetched(base: str, tables: Mapping[str, Files], folder: Path) -> dict[str, Path]:
    """The CSV files of all tables on this machine, by their path in the location; objects are fetched together."""
    files = {path: name for of_table in tables.values() for path, name in of_table.items() if not _is_parquet(path)}
    if not is_object_store(base):
        return {path: Path(name) for path, name in files.items()}
    local = {path: folder / path for path in files}
    for path in local.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    if local:
        open_objects(base).download(list(local.items()))
    return local


def _read_as(files: Files, fetched: Mapping[str, Path], dialect: CsvDialect, folder: Path) -> list[str]:
    """The files of a table as they can be read: Parquet as they are, CSV on this machine and in UTF-8."""
    kinds = set(map(_is_parquet, files))
    if len(kinds) > 1:
        raise SiteError(f"There are Parquet and CSV files of one table, such as {min(files.values())}; keep one kind.")
    if kinds == {True}:
        return list(files.values())
    with errors_in_sentences(list(files.values())):
        return [str(dialect.in_utf8(fetched[path], folder / path)) for path in files]


def _is_parquet(path: str) -> bool:
    return path.endswith(".parquet")
