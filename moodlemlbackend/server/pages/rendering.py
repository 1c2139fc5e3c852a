"""Templates: the environment of Jinja2, what every page has, and the style."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from moodlemlbackend import __version__
from moodlemlbackend.server.middleware import CONTENT_POLICY
from moodlemlbackend.server.texts import counted, indicator_name, interval_name, say
from moodlemlbackend.storage.archives import size

HEADERS = {"Content-Security-Policy": f"{CONTENT_POLICY}'self'", "Referrer-Policy": "same-origin"}
"""Of a page with forms, which may be sent to this server, and say from where."""

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, code: int = 200, headers: dict[str, str] | None = None, **values: Any) -> HTMLResponse:
    """Make a page of a template; not for the event loop, it takes some milliseconds."""
    text = _environment().get_template(template).render(version=__version__, **values)
    return HTMLResponse(text, code, headers)


@cache
def style() -> bytes:
    """The style of all pages."""
    return (TEMPLATES / "style.css").read_bytes()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals.update(say=say, counted=counted, indicator_name=indicator_name, interval_name=interval_name)
    environment.filters["size"] = size
    environment.filters["figure"] = lambda value: "–" if value is None else f"{value:.3f}"
    environment.filters["share"] = lambda value: "–" if value is None else f"{100 * value:.0f}\u202f%"
    environment.filters["tenths"] = lambda value: "–" if value is None else f"{value:.1f}"
    environment.filters["count"] = lambda value: f"{value:,.0f}".replace(",", "\u202f")
    return environment
