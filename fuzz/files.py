"""Files that a site gives: data sets, tables, settings."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import numpy as np

from fuzz.target import target


@target
def data_set(data: bytes, folder: Path) -> None:
    """In small batches as in one; written and read again the same; each cell as Python's own reader has it."""
    from moodlemlbackend.dataset import data_set as reader
    from moodlemlbackend.dataset.courses import CourseFinder
    from moodlemlbackend.errors import DataSetError

    path, copy = folder / "dataset.csv", folder / "copy.csv"
    path.write_bytes(data)
    whole = reader.read(path)
    header, batches = reader.read_batches(path, labelled=None, batch_bytes=64)
    parts, finder = list(batches), CourseFinder(header.columns, header.metadata)
    for part in parts:
        finder.add(part.features)
    finder.finish()
    _same(np.concatenate([part.features for part in parts]), whole.features)
    rows = [] if {b"\\", b"\x1f", b"\r"} & {data[i : i + 1] for i in range(len(data))} else _plain_rows(data)
    if rows:
        cells = [row[1:] if whole.labels is None else row[:-1] for row in rows[3:]]
        expected = np.array([[float(cell) if cell else np.nan for cell in row] for row in cells])
        np.testing.assert_allclose(whole.features, expected.astype(np.float32), rtol=1e-6)
        assert whole.sample_ids in (None, [row[0] for row in rows[3:]])
    try:
        labels = None if whole.labels is None else np.array(header.classes, object)[whole.labels]
        given = {"sample_ids": whole.sample_ids} if labels is None else {"labels": labels, "target": header.target}
        reader.write(copy, header.metadata, header.columns, whole.features, **given)
    except DataSetError:
        return
    again = reader.read(copy)
    _same(again.features, whole.features)
    assert (again.header.columns, again.sample_ids) == (whole.header.columns, whole.sample_ids)
    assert whole.labels is None or np.array_equal(whole.labels, again.labels)


def _plain_rows(data: bytes) -> list[list[str]]:
    text = data.decode("utf-8-sig").rstrip("\n")
    return list(csv.reader(io.StringIO(text, newline="")))


def _same(left: np.ndarray, right: np.ndarray) -> None:
    assert left.shape == right.shape
    assert np.array_equal(left, right, equal_nan=True)


@target
def sample_ids(data: bytes, _folder: Path) -> None:
    """The first id that occurs twice is found, in whatever batches."""
    from moodlemlbackend.dataset.sample_ids import SampleIds

    ids = data[1:].decode("utf-8", "surrogateescape").split("\n")
    size = 1 + (data[0] if data else 0) % 16
    first: dict[str, int] = {}
    twice = next(((first[name], row) for row, name in enumerate(ids) if first.setdefault(name, row) != row), None)
    seen = SampleIds()
    found = (seen.add(ids[row : row + size], row) for row in range(0, len(ids), size))
    assert next(filter(None, found), None) == twice


@target
def columns(data: bytes, _folder: Path) -> None:
    """Each column belongs to one indicator, and every value can be shown."""
    from moodlemlbackend.dataset.columns import indicators_of

    names = tuple(data.decode("utf-8", "replace").split("\n"))
    indicators = indicators_of(names)
    assert sorted(column for one in indicators for column in one.columns) == list(range(len(names)))
    for indicator in indicators:
        for number in (np.nan, -1.0, 0.0, 1.0, 1e30):
            assert indicator.value(np.full(len(names), number, np.float32))
        for column, part in zip(indicator.columns, indicator.parts, strict=True):
            assert names[column].partition("/")[::2] == (indicator.name, part)


@target
def tables(data: bytes, folder: Path) -> None:
    """The first line is ``table?options`` as after a folder; without quotes, rows are those of Python's own reader."""
    from moodlemlbackend.analytics.site.csv_tables import CsvDialect
    from moodlemlbackend.analytics.site.folder import FolderDatabase
    from moodlemlbackend.analytics.site.schema import TABLES

    first, _, content = data.partition(b"\n")
    name, _, query = first.decode("latin-1").partition("?")
    table = name if name in TABLES else "course"
    path = folder / f"{table}.csv{'.gz' if content.startswith(bytes([31, 139])) else ''}"
    path.write_bytes(content)
    database = FolderDatabase.of_site(f"{folder}?{query}", "mdl_")
    try:
        rows = database.rows(f"SELECT * FROM {{{table}}}")
    finally:
        database.close()
    dialect = CsvDialect.parse(query)
    if path.suffix == ".csv" and not {'"', "\r", "\0"} & set(text := content.decode(dialect.encoding)):
        parsed = list(csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter))[1:]
        assert len(rows) == sum(map(bool, parsed)), (rows, parsed)


@target
def parquet(data: bytes, folder: Path) -> None:
    """A table in Parquet."""
    from moodlemlbackend.analytics.site.folder import FolderDatabase

    (folder / "course.parquet").write_bytes(data)
    database = FolderDatabase.of_site(str(folder), "mdl_")
    try:
        database.rows("SELECT * FROM {course}")
    finally:
        database.close()


@target
def settings(data: bytes, folder: Path) -> None:
    """The settings file, with what stands in single settings."""
    from moodlemlbackend.server.auth.authenticator import Authenticator
    from moodlemlbackend.settings.analytics import load_analytics_settings
    from moodlemlbackend.settings.backend import load_settings
    from moodlemlbackend.settings.loading import FILE_VARIABLE
    from moodlemlbackend.settings.server import load_server_settings

    path = folder / "settings.ini"
    path.write_bytes(data)
    os.environ[FILE_VARIABLE] = str(path)
    chosen = load_settings()
    server = load_server_settings(directory="/nowhere")
    analytics = load_analytics_settings()
    assert chosen == load_settings()
    assert analytics.store_url
    Authenticator(server.users, server.people, registrations=server.lti)
