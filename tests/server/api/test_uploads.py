"""An upload is on the disk whole, or it is refused."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

import pytest
from starlette.requests import Request

from fixtures.paths import posix
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server.api.uploads import Scratch, receive
from moodlemlbackend.settings.server import Limits

pytestmark = posix
CONTENT = b"0123456789abcdef" * 65_536
HEAD = b'--b\r\nContent-Disposition: form-data; name="dataset"; filename="d"\r\n\r\n'


def received(folder: Path, chunk: int) -> bytes:
    """What is in the file that a form brings in pieces of so many bytes."""
    body = HEAD + CONTENT + b"\r\n--b--\r\n"
    pieces = [body[start : start + chunk] for start in range(0, len(body), chunk)]

    async def give():
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    request = Request({"type": "http", "method": "POST", "headers": headers, "state": {}}, give)
    scratch = Scratch(folder)
    asyncio.run(receive(request, scratch, files=("dataset",), allowed=Limits()))
    return (scratch.folder / "dataset").read_bytes()


@pytest.fixture
def little_room():
    """Files end where a full disk would end them, in the middle of a piece."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) - 1000, usual[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@pytest.mark.parametrize("chunk", [5000, 1 << 19, 2 << 20])
def test_an_upload_is_stored_whole(tmp_path, chunk):
    assert received(tmp_path, chunk) == CONTENT


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("chunk", [5000, 1 << 19, 2 << 20])
def test_an_upload_that_the_disk_cuts_short_is_refused(tmp_path, chunk):
    with pytest.raises(RequestError, match="The server cannot store the upload") as refused:
        received(tmp_path, chunk)
    assert refused.value.code == 507
