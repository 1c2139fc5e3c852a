"""The text of a data set file: bytes in, rows of fields and blocks of whole lines out, and PHP's way of quoting.

This module knows compression, line ends, encodings and quotes; :mod:`moodlemlbackend.dataset.data_set` knows what the
fields mean. A line is a row: a field never holds a line end, so that row numbers in messages are line numbers.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from moodlemlbackend.errors import DataSetError, NoDataSetError
from moodlemlbackend.files import is_named_pipe

MAX_LINE_BYTES = 16 << 20
"""Reading gives up when it meets no line end in this many bytes."""

STANDARD_INPUT = "-"

Watch = Callable[[bytes], None]
"""Hears each piece of a file's decompressed text as it is read, and may refuse it by an error of its own."""

_GZIP_FIRST = b"\x1f"
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")

# PHP writes a quote that follows a backslash as it is, where CSV doubles every quote. Before a comma or at the end of
# the line it is taken for the closing quote of a field that ends in a backslash.
_PHP_QUOTE = re.compile(rb'\\"(?![,\r\n]|\Z)')
_CSV_QUOTE = rb'\\""'
# A whole field between quotes, as CSV has it; any other quote is a mistake, which pyarrow would let pass.
_QUOTED_FIELD = re.compile(rb'(?<![^,\n])"(?:[^"\n]|"")*"(?![^,\n])')
_NEEDS_QUOTES = re.compile(r'[,"\\ \t]')
_UNDOUBLED_QUOTE = re.compile(r'(?<!\\)"')
_UNWRITABLE = re.compile(r'[\0\r\n\ud800-\udfff]|\\",')


@contextmanager
def opened(path: str | os.PathLike[str], watch: Watch | None = None) -> Iterator[tuple[str, BinaryIO]]:
    """Open a plain or gzip file, or standard input for ``-``; gives its name for messages and its decompressed bytes.

    ``watch`` is called with each piece as it is read. Errors of opening and of reading inside the ``with`` block leave
    as :class:`DataSetError`.
    """
    standard_input = os.fspath(path) == STANDARD_INPUT
    source = "standard input" if standard_input else os.fsencode(path).decode("utf-8", "backslashreplace")
    if is_named_pipe(path):
        raise DataSetError(
            f"{source} is a named pipe, which may never end; give a regular file, or - and pipe the data into "
            "the command."
        )
    if "\0" in source:
        raise NoDataSetError(f"The data set file name {source!r} contains a NUL character; check the path.")
    try:
        if standard_input:
            if sys.stdin is None or sys.stdin.closed:
                raise NoDataSetError(
                    "Standard input is closed; pipe the data set into the command, or give the path of a file."
                )
            yield source, _decompressed(sys.stdin.buffer, watch)
        else:
            with open(path, "rb") as file:  # noqa: PTH123 - a str or any other path
                yield source, _decompressed(file, watch)
    except (FileNotFoundError, NotADirectoryError):
        raise NoDataSetError(f"There is no data set file {source}; check the path.") from None
    except IsADirectoryError:
        raise DataSetError(f"{source} is a directory; give the path of a data set file.") from None
    except PermissionError:
        raise DataSetError(
            f"{source} cannot be read: permission denied; give the user who runs this command access to it."
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataSetError(f"{source} is a damaged or incomplete gzip file ({error}); copy it again.") from None
    except OSError as error:
        reason = error.strerror or error
        raise DataSetError(f"{source} cannot be read ({reason}); check the path and the disk.") from None


def _decompressed(stream: BinaryIO, watch: Watch | None) -> BinaryIO:
    # A pipe may have brought one byte only, and no text begins with this one.
    head = cast("bytes", stream.peek(1))  # type: ignore[attr-defined]
    if head.startswith(_GZIP_FIRST):
        stream = cast("BinaryIO", gzip.GzipFile(fileobj=stream))
    return stream if watch is None else cast("BinaryIO", _WatchedStream(stream, watch))


class _WatchedStream:
    """A stream whose pieces are shown to somebody as they are read."""

    def __init__(self, stream: BinaryIO, watch: Watch) -> None:
        self._stream = stream
        self._watch = watch

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._watch(piece)
        return piece

    def readline(self, size: int) -> bytes:
        piece = self._stream.readline(size)
        self._watch(piece)
        return piece


@dataclass(frozen=True)
class Block:
    """Whole lines of a file: plain CSV, ``\\n`` between them and none at the end, at least one."""

    first_row: int
    text: bytes


class Text:
    """The rows of a file, read once from top to bottom: first :meth:`header_row` by row, then :meth:`blocks`.

    Every method raises :class:`DataSetError` for what is no text: NUL bytes, other encodings, endless lines.
    """

    def __init__(self, source: str, stream: BinaryIO):
        self.source = source
        self._stream = stream
        self._row = 1

    def header_row(self) -> list[str] | None:
        """The fields of the next line, or None at the end of the file."""
        line = self._line_end(self._row)
        if not line:
            return None
        if self._row == 1:
            if line.startswith(_UTF16_BOMS):
                raise DataSetError(f"{self.source} is UTF-16 text; save it as UTF-8.")
            line = line.removeprefix(_UTF8_BOM)
            for sign, name in ((b";", "semicolons"), (b"\t", "tabs"), (b"|", "bars")):
                if sign in line and b"," not in line:
                    raise DataSetError(f"{self.source} separates its fields with {name}; save it with commas.")
        self._row += 1
        return fields(self._cleaned(line, self._row - 1).removesuffix(b"\n"), self._row - 1, self.source)

    def blocks(self, size: int) -> Iterator[Block]:
        """The remaining lines in blocks of about ``size`` bytes; blank lines at the end of the file are left out."""
        blank_row = 0
        while text := self._stream.read(size):
            text += self._line_end(self._row + text.count(b"\n"))
            text = self._cleaned(text, self._row)
            lines = text.rstrip(b"\n")
            next_row = self._row
            if lines:
                if blank_row:
                    raise DataSetError(f"Row {blank_row} of {self.source} is blank; remove it.")
                yield Block(self._row, lines)
                next_row += lines.count(b"\n") + 1
            self._row += text.count(b"\n")
            if self._row > next_row:
                blank_row = blank_row or next_row

    def _line_end(self, row: int) -> bytes:
        line = self._stream.readline(MAX_LINE_BYTES + 1)
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            limit = MAX_LINE_BYTES >> 20
            raise DataSetError(
                f"Row {row} of {self.source} has no line break within {limit} MiB; this is not a data set file."
            )
        return line

    def _cleaned(self, text: bytes, first_row: int) -> bytes:
        r"""With ``\n`` line ends and quotes as CSV has them."""
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").removesuffix(b"\r")
        for byte, name in ((b"\0", "a NUL byte"), (b"\r", "a carriage return")):
            position = text.find(byte)
            if position >= 0:
                row = first_row + text.count(b"\n", 0, position)
                raise DataSetError(f"Row {row} of {self.source} has {name} inside the line; write the file again.")
        if b'"' in text:
            text = _PHP_QUOTE.sub(_CSV_QUOTE, text)
            unquoted = _QUOTED_FIELD.sub(b"", text)
            stray = unquoted.find(b'"')
            if stray >= 0:
                row = first_row + unquoted.count(b"\n", 0, stray)
                raise DataSetError(
                    f"Row {row} of {self.source} has a quotation mark that is not closed or not doubled; correct it."
                )
        return text


def fields(line: bytes, row: int, source: str) -> list[str]:
    """The fields of one CSV line; ``row`` and ``source`` are named when it cannot be split."""
    try:
        return next(csv.reader([line.decode()], strict=True), [])
    except UnicodeDecodeError:
        raise DataSetError(f"Row {row} of {source} is not UTF-8 text; save the file as UTF-8.") from None
    except csv.Error as error:
        if "field limit" in str(error):
            raise DataSetError(
                f"Row {row} of {source} has a field of more than {csv.field_size_limit():,} characters; "
                "shorten it, or close a quotation mark left open earlier."
            ) from None
        raise DataSetError(f"Row {row} of {source} cannot be split into fields ({error}); correct the row.") from None


def quoted(text: str) -> str:
    r"""A field as PHP's ``fputcsv`` writes it.

    Raises :class:`DataSetError` for text that would not come back when read: line ends, NUL, and ``\",``.
    """
    if _UNWRITABLE.search(text):
        raise DataSetError(
            f"{text!r} cannot be written to a data set; remove line breaks, NUL characters and backslash-quote pairs."
        )
    if not _NEEDS_QUOTES.search(text):
        return text
    return '"' + _UNDOUBLED_QUOTE.sub('""', text) + '"'
