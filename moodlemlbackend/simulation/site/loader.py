"""Rows on their way into the tables of a new site, checked against these and loaded in batches."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from moodlemlbackend.simulation.site.tables import Column, known_columns, tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Table

Values = Union[NDArray[Any], "pa.Array", str, float, None]
"""What a column is filled with: an array, masked where it is NULL, or one value for all rows."""

BATCH_ROWS, BATCH_BLOCKS = 50_000, 500
"""Rows, and additions of rows, that wait for a table at most."""


class Loader:
    """Takes the rows of a new site, table by table. PostgreSQL gets them by COPY, other databases by inserts."""

    def __init__(self, connection: Connection, made: Mapping[str, Table], schema: str, *, commits: bool) -> None:
        self._connection = connection
        self._made = made
        self._columns = tables(schema)
        self._commits = commits  # after every batch
        self._next: defaultdict[str, int] = defaultdict(lambda: 1)
        self._waiting: defaultdict[str, list[pa.Table]] = defaultdict(list)
        self.rows: defaultdict[str, int] = defaultdict(int)

    def ids(self, table: str, number: int) -> NDArray[np.int64]:
        """Return the next ids of a table, (number,)."""
        first = self._next[table]
        self._next[table] = first + number
        return np.arange(first, first + number)

    def add(self, table: str, number: int, columns: Mapping[str, Values]) -> NDArray[np.int64]:
        """Add ``number`` rows and return their ids, new ones unless ``columns`` has them.

        A column that is not given is NULL, or else 0 or an empty text. Tables and columns that this version of Moodle
        does not have are left out.
        """
        unknown = set(columns) - known_columns(table)
        if unknown:
            raise KeyError(f"{table} has no {', '.join(sorted(unknown))}")
        ids = columns["id"] if "id" in columns else self.ids(table, number)
        if number and table in self._columns:
            arrays = [_to_arrow(column, {**columns, "id": ids}, number) for column in self._columns[table]]
            waiting = self._waiting[table]
            waiting.append(pa.Table.from_arrays(arrays, [column.name for column in self._columns[table]]))
            self.rows[table] += number
            if len(waiting) >= BATCH_BLOCKS or sum(map(len, waiting)) >= BATCH_ROWS:
                self._load(table)
        return np.asarray(ids)

    def flush(self) -> None:
        """Load what is still waiting."""
        for table in list(self._waiting):
            self._load(table)

    def _load(self, table: str) -> None:
        data = pa.concat_tables(self._waiting.pop(table))
        quote = self._connection.dialect.identifier_preparer
        into = f"{quote.format_table(self._made[table])} ({', '.join(map(quote.quote, data.column_names))})"
        if self._connection.dialect.driver == "psycopg":
            self._copy(into, data)
            return
        mark = "?" if self._connection.dialect.paramstyle == "qmark" else "%s"
        insert = f"INSERT INTO {into} VALUES ({', '.join([mark] * data.num_columns)})"  # noqa: S608 names are quoted
        for batch in data.to_batches(max_chunksize=BATCH_ROWS):
            rows = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
            self._connection.exec_driver_sql(insert, rows)
            if self._commits:
                self._connection.commit()

    def _copy(self, into: str, data: pa.Table) -> None:
        from pyarrow import csv

        driver: Any = self._connection.connection.driver_connection
        options = csv.WriteOptions(include_header=False)
        with driver.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN (FORMAT csv)") as copy:
            for batch in data.to_batches(max_chunksize=BATCH_ROWS):
                text = pa.BufferOutputStream()
                csv.write_csv(batch, text, options)  # NULL is an empty cell, an empty text is ""
                copy.write(text.getvalue().to_pybytes())


def _to_arrow(column: Column, columns: Mapping[str, Values], number: int) -> pa.Array:
    """Return (number,) values for a column: whole numbers, floats or text, with NULL only where it is admitted."""
    kind = pa.string() if column.is_text else pa.int64() if column.is_whole else pa.float64()
    values = columns.get(column.name, None if column.nullable else "" if column.is_text else 0)
    if isinstance(values, pa.Array):
        array = values.cast(kind)
    elif isinstance(values, np.ma.MaskedArray):
        array = pa.array(values.data, mask=np.ma.getmaskarray(values)).cast(kind)
    elif isinstance(values, np.ndarray):
        array = pa.array(values, None if values.dtype.kind in "iufb" else kind).cast(kind)
    else:
        array = pa.nulls(number, kind) if values is None else pa.repeat(pa.scalar(values, kind), number)
    if len(array) != number or (array.null_count and not column.nullable):
        raise ValueError(f"{column.name}: {len(array)} values, {array.null_count} of them NULL, for {number} rows")
    return array
