"""The data sets that models have: one file an analysable and run, merged into one a run.

Rows in the store say what each file is and which merged file holds its rows. A file is written and made durable
first, its row with the registers of what it holds. So a run that is killed leaves at most a file that nobody knows,
which the cleanup task removes.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sqlalchemy import delete, select, update

from moodlemlbackend.analytics.db.schema import FILES, USED_FILES
from moodlemlbackend.dataset.csv_text import fields, quoted
from moodlemlbackend.errors import DataSetError
from moodlemlbackend.files import fsync, storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection, Row

    from moodlemlbackend.analytics.db.models import ModelRecord
    from moodlemlbackend.analytics.workspace import Workspace

LABELLED, UNLABELLED, EVALUATION = "labelled", "unlabelled", "evaluation"
TRAINED, PREDICTED = "trained", "predicted"

HEADER_ROWS = 3
_COPY_BYTES = 1 << 20
_FILES_AT_ONCE = 100


@dataclass(frozen=True)
class DatasetFile:
    """A data set as the store knows it; ``analysable`` is None for a merged one."""

    id: int
    path: Path
    interval: str
    analysable: int | None
    rows: int
    created: int
    details: dict[str, Any]


def short_name(interval: str) -> str:
    """An interval's id as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9_-]", "", interval.replace("\\", "-"))


def new_path(workspace: Workspace, model: ModelRecord, area: str, interval: str, analysable: int | None = None) -> Path:
    """Where a new file goes; its folder is made."""
    folder = workspace.datasetdir(model.id) / area / short_name(interval)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    name = "merged" if analysable is None else str(analysable)
    return folder / f"{name}-{secrets.token_hex(8)}.csv"


def add(
    connection: Connection,
    workspace: Workspace,
    model: ModelRecord,
    area: str,
    interval: str,
    path: Path,
    rows: int,
    analysable: int | None = None,
    details: dict[str, Any] | None = None,
) -> int:
    """Tell the store of a file that has been written; returns its id."""
    with storage_errors(path):
        fsync(path)
        fsync(path.parent)
    values = {
        "modelid": model.id,
        "area": area,
        "timesplitting": interval,
        "analysableid": analysable,
        "path": path.relative_to(workspace.folder).as_posix(),
        "numrows": rows,
        "details": json.dumps(details) if details else None,
        "timecreated": workspace.clock(),
    }
    key = connection.execute(FILES.insert().values(values)).inserted_primary_key
    return int(key[0]) if key else 0


def of_analysables(
    connection: Connection,
    workspace: Workspace,
    model: ModelRecord,
    area: str,
    interval: str,
    *,
    merged: bool | None = None,
) -> list[DatasetFile]:
    """The files of single analysables, oldest first; ``merged`` chooses those that are (not) in a merged file."""
    query = _query(model, area, interval).where(FILES.c.analysableid.is_not(None))
    if merged is not None:
        query = query.where(FILES.c.mergedinto.is_not(None) if merged else FILES.c.mergedinto.is_(None))
    return _files(connection, workspace, query)


def pending(
    connection: Connection, workspace: Workspace, model: ModelRecord, area: str, interval: str, action: str
) -> list[DatasetFile]:
    """Merged files that no run has used yet, oldest first."""
    used = select(USED_FILES.c.fileid).where(USED_FILES.c.modelid == model.id, USED_FILES.c.action == action)
    query = _query(model, area, interval).where(FILES.c.analysableid.is_(None), FILES.c.id.not_in(used))
    return _files(connection, workspace, query)


def merge(
    connection: Connection,
    workspace: Workspace,
    model: ModelRecord,
    area: str,
    new: Sequence[DatasetFile],
    waiting: Sequence[DatasetFile],
) -> DatasetFile:
    """Merge new files of analysables, and merged ones that wait, into one, which takes their place.

    The files that wait are to be removed (:func:`remove`) once the transaction is complete.
    """
    interval = (*new, *waiting)[-1].interval
    path = new_path(workspace, model, area, interval)
    join([file.path for file in (*new, *waiting)], path)
    rows = sum(file.rows for file in (*new, *waiting))
    fileid = add(connection, workspace, model, area, interval, path, rows)
    old = [file.id for file in waiting]
    parts = FILES.c.id.in_([file.id for file in new]) | FILES.c.mergedinto.in_(old)
    connection.execute(update(FILES).where(parts).values(mergedinto=fileid))
    connection.execute(delete(FILES).where(FILES.c.id.in_(old)))
    return DatasetFile(fileid, path, interval, None, rows, workspace.clock(), {})


def parts_of(connection: Connection, workspace: Workspace, file: DatasetFile) -> Iterator[DatasetFile]:
    """The files of single analysables whose rows a merged one holds, read while they are asked for."""
    query = select(FILES).where(FILES.c.mergedinto == file.id).order_by(FILES.c.id)
    rows = connection.execute(query.execution_options(yield_per=_FILES_AT_ONCE))
    return (_file(workspace, row) for row in rows)


def courses_of(files: Sequence[DatasetFile]) -> list[tuple[int, int]]:
    """What was analysed, with its rows, file by file; nothing where that is not known, or all is of one."""
    known = [(file.analysable, file.rows) for file in files if file.analysable is not None]
    return known if len(known) == len(files) > 1 else []


def forget(connection: Connection, files: Iterable[DatasetFile]) -> None:
    """Have the store know nothing of files, which can then be removed."""
    connection.execute(delete(FILES).where(FILES.c.id.in_([file.id for file in files])))


def remove(files: Iterable[DatasetFile]) -> None:
    """Remove files from the disk."""
    for file in files:
        with storage_errors(file.path):
            file.path.unlink(missing_ok=True)


def use(connection: Connection, workspace: Workspace, model: ModelRecord, fileid: int, action: str) -> None:
    """Register that a file has been trained with, or its samples predicted."""
    values = {"modelid": model.id, "fileid": fileid, "action": action, "time": workspace.clock()}
    connection.execute(USED_FILES.insert().values(values))


def join(sources: Sequence[Path], target: Path | BinaryIO, *, headers_of: Path | None = None) -> None:
    """Merge data sets: header rows of the last one, with each metadata value that occurs; rows byte by byte.

    ``target`` is a new file, or one that is open. ``headers_of`` gives the header rows when there are no sources.

    Raises StorageError if a file cannot be read or written, DataSetError if the sources have different metadata.
    """
    if isinstance(target, Path):
        with storage_errors(target), target.open("xb") as file:
            join(sources, file, headers_of=headers_of)
        return
    headers = [_header(source) for source in sources or ([headers_of] if headers_of else [])]
    values: list[dict[str, None]] = [{} for _ in headers[-1][1]]
    for _, row, _ in headers:
        if len(row) != len(values):
            raise DataSetError(f"The data sets in {sources[-1].parent} have different metadata; clear the model.")
        for seen, value in zip(values, row, strict=True):
            seen[value] = None
    for line in (headers[-1][0], ["|".join(seen) for seen in values], headers[-1][2]):
        target.write((",".join(map(quoted, line)) + "\n").encode())
    for source in sources:
        append_rows(source, target)


def append_rows(source: Path, file: BinaryIO) -> None:
    """Copy the rows of a data set, without its headers, to the end of an open file."""
    with source.open("rb") as rows:
        for _ in range(HEADER_ROWS):
            rows.readline()
        shutil.copyfileobj(rows, file, _COPY_BYTES)


def remove_unknown(workspace: Workspace, older_than: float) -> int:
    """Remove files that the store does not know and that no run can be about to tell it of; returns how many."""
    with workspace.store.read() as connection:
        known = set(connection.execute(select(FILES.c.path)).scalars())
    removed = 0
    root = workspace.folder / "datasets"
    with storage_errors(root):
        for folder, _, names in os.walk(root):
            for name in names:
                path = root.__class__(folder, name)
                if path.relative_to(workspace.folder).as_posix() in known or path.stat().st_mtime > older_than:
                    continue
                path.unlink(missing_ok=True)
                removed += 1
    return removed


def columns_of(path: Path) -> list[str]:
    """The names in the third header row."""
    return _header(path)[-1]


def _header(path: Path) -> list[list[str]]:
    with path.open("rb") as file:
        lines = [file.readline() for _ in range(HEADER_ROWS)]
    return [fields(line.rstrip(b"\r\n"), number, str(path)) for number, line in enumerate(lines, start=1)]


def _query(model: ModelRecord, area: str, interval: str) -> Any:
    return (
        select(FILES)
        .where(FILES.c.modelid == model.id, FILES.c.area == area, FILES.c.timesplitting == interval)
        .order_by(FILES.c.id)
    )


def _files(connection: Connection, workspace: Workspace, query: Any) -> list[DatasetFile]:
    return [_file(workspace, row) for row in connection.execute(query)]


def _file(workspace: Workspace, row: Row[Any]) -> DatasetFile:
    return DatasetFile(
        row.id, workspace.folder / row.path, row.timesplitting, row.analysableid, row.numrows, row.timecreated,
        json.loads(row.details) if row.details else {},
    )  # fmt: skip
