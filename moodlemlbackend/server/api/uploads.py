"""Forms with files, written to a scratch folder as they come in: never more than a chunk of them is in memory."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import parse_qsl

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from moodlemlbackend.errors import RequestError
from moodlemlbackend.files import write_all
from moodlemlbackend.server import limits
from moodlemlbackend.settings.server import Limits
from moodlemlbackend.storage.archives import MIB, size

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from starlette.requests import Request
    from starlette.types import Message

FORM_BYTES = limits.FIELDS * (limits.FIELD_BYTES + limits.PART_HEADERS * limits.PART_HEADER_BYTES)
_WRITE_BYTES = MIB


class Scratch:
    """A folder of one request, removed with everything in it."""

    def __init__(self, root: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="request-", dir=root))

    def remove(self) -> None:
        """Remove the folder; links in it are not followed."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class UploadForm:
    """What a request brought: the values of its fields, and the bytes of each file, which lie in the scratch folder."""

    values: dict[str, str] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)


async def receive(request: Request, scratch: Scratch, *, files: Collection[str], allowed: Limits) -> UploadForm:
    """Read the form of a request; each of ``files`` is written to the scratch folder under its field's name.

    Other files are refused. A field that occurs twice is refused, too.

    Raises
    ------
    RequestError
        Of 413 for what is too large, 408 for a client that stops sending, 415 for what is no form, 400 for a form that
        is damaged.
    """
    most = allowed.upload_bytes if files else FORM_BYTES
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(most)
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind == b"application/x-www-form-urlencoded" and not files:
        return await _receive_urlencoded(request, most)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise RequestError("The request is not a form of the type multipart/form-data with a boundary.", 415)
    reader = _Reader(scratch.folder, files)
    try:
        parser = MultipartParser(
            boundary,
            reader.callbacks(),  # type: ignore[arg-type]
            max_header_count=limits.PART_HEADERS,
            max_header_size=limits.PART_HEADER_BYTES,
        )
        async for chunk in _chunks(request, most):
            parser.write(chunk)
            if reader.waiting >= _WRITE_BYTES:
                await asyncio.to_thread(reader.flush)
        await asyncio.to_thread(reader.flush)
        parser.finalize()
    except FormParserError as error:
        raise RequestError("The form is damaged or incomplete; send it again.") from error
    except OSError as error:
        raise RequestError(
            "The server cannot store the upload; its administrator can find out more in the log.", 507
        ) from error
    finally:
        reader.close()
    if not reader.ended:
        raise RequestError("The form is damaged or incomplete; send it again.")
    return reader.form


async def _chunks(request: Request, most: int) -> AsyncIterator[bytes]:
    """Yield the body as it comes; RequestError past ``most`` bytes or when nothing, or too little, comes."""
    total, waited = 0, 0.0
    while True:
        left = limits.IDLE_SECONDS + total / limits.UPLOAD_BYTES_A_SECOND - waited
        began = time.monotonic()
        try:
            message: Message = await asyncio.wait_for(request.receive(), min(limits.IDLE_SECONDS, left))
        except asyncio.TimeoutError:
            if left >= limits.IDLE_SECONDS:
                text = f"The upload stopped for {limits.IDLE_SECONDS:g} seconds."
            else:
                text = f"The upload is too slow; it must send at least {limits.UPLOAD_BYTES_A_SECOND} bytes a second."
            raise RequestError(text, 408) from None
        waited += time.monotonic() - began
        if message["type"] == "http.disconnect":
            raise RequestError("The client has disconnected.", 499)
        chunk = message.get("body", b"")
        total += len(chunk)
        if total > most:
            raise _too_large(most)
        more = message.get("more_body", False)
        request.scope["state"]["body_read"] = not more
        if chunk:
            yield chunk
        if not more:
            return


async def _receive_urlencoded(request: Request, most: int) -> UploadForm:
    body = b"".join([chunk async for chunk in _chunks(request, most)])
    form = UploadForm()
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=limits.FIELDS
        )
    except ValueError as error:
        raise RequestError("The form is damaged; send it again.") from error
    for name, value in pairs:
        _add(form.values, name, value)
    return form


def _add(values: dict[str, str], name: str, value: str) -> None:
    if name in values:
        raise RequestError(f"The field {name[:40]!r} was sent twice; send it once.")
    values[name] = value


def _too_large(most: int) -> RequestError:
    return RequestError(f"The request is larger than {size(most)}, the most this server accepts.", 413)


class _Reader:
    """Takes the parser's parts apart: small values are kept, files are written."""

    def __init__(self, folder: Path, files: Collection[str]) -> None:
        self.form = UploadForm()
        self.ended = False
        self.waiting = 0
        self._folder = folder
        self._files = files
        self._parts = 0
        self._header = [bytearray(), bytearray()]
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._value = bytearray()
        self._file: IO[bytes] | None = None
        self._chunks: list[bytes] = []

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def flush(self) -> None:
        """Write what waits for it."""
        if self._file is not None:
            for chunk in self._chunks:
                write_all(self._file.fileno(), chunk)
        self._chunks, self.waiting = [], 0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > limits.FIELDS:
            raise RequestError(f"The form has more than {limits.FIELDS} parts.", 413)
        self._headers, self._header, self._value = {}, [bytearray(), bytearray()], bytearray()

    def _end_header(self) -> None:
        name, value = (bytes(part) for part in self._header)
        self._headers[name.lower()] = value
        self._header = [bytearray(), bytearray()]

    def _open(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b"").decode("latin-1"))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if kind != b"form-data" or not self._name:
            raise RequestError("A part of the form has no name; send it again.")
        if b"filename" in options and self._name not in self._files:
            raise RequestError(f"The field {self._name[:40]!r} is a file; send it as text.")
        if self._name in self._files:
            _add(self.form.values, self._name, "")
            self._file = (self._folder / self._name).open("xb", buffering=0)
            self.form.files[self._name] = 0

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._chunks.append(data[start:end])
            self.waiting += end - start
            self.form.files[self._name] += end - start
        elif len(self._value) + end - start > limits.FIELD_BYTES:
            raise RequestError(f"The field {self._name[:40]!r} has more than {limits.FIELD_BYTES} bytes.", 413)
        else:
            self._value += data[start:end]

    def _end(self) -> None:
        if self._file is not None:
            self.flush()
            self.close()
            return
        try:
            _add(self.form.values, self._name, self._value.decode("utf-8"))
        except UnicodeDecodeError:
            raise RequestError(f"The field {self._name[:40]!r} is not UTF-8 text.") from None

    def _finish(self) -> None:
        self.ended = True
