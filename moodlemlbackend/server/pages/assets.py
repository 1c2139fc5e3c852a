"""What browsers keep for good: the style and the scripts, each under an address that changes with its content."""

from __future__ import annotations

import gzip
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import Response

from moodlemlbackend.errors import RequestError

if TYPE_CHECKING:
    from fastapi import FastAPI

HERE = Path(__file__).parent

STYLE = "style.css"
_SCRIPTS = ("htmx.min.js", "students.js")
_TYPES = {".css": "text/css", ".js": "text/javascript"}
_FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


@cache
def address(name: str) -> str:
    """The address of the style or of a script."""
    return f"/static/{sha256(content(name)).hexdigest()[:12]}/{name}"


@cache
def content(name: str) -> bytes:
    """The style, joined of all sheets, ``base.css`` first; or a script."""
    if name != STYLE:
        return (HERE / "static" / name).read_bytes()
    sheets = (HERE / "templates" / "styles").glob("*.css")
    ordered = sorted(sheets, key=lambda sheet: (sheet.name != "base.css", sheet.name))
    return b"".join(sheet.read_bytes() for sheet in ordered)


@cache
def _packed(name: str) -> bytes:
    return gzip.compress(content(name), mtime=0)


def add_assets(app: FastAPI) -> None:
    """Add the addresses."""

    @app.get("/static/{digest}/{name}", include_in_schema=False)
    async def asset(request: Request, digest: str, name: str) -> Response:
        if name not in (STYLE, *_SCRIPTS) or address(name) != f"/static/{digest}/{name}":
            raise RequestError("There is no such file.", 404)
        kind = _TYPES[name[name.rindex(".") :]]
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(_packed(name), media_type=kind, headers={**_FOR_GOOD, "Content-Encoding": "gzip"})
        return Response(content(name), media_type=kind, headers=_FOR_GOOD)
