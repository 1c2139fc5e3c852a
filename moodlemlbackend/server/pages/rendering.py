"""Templates: the environment of Jinja2, and what every page has."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from moodlemlbackend import __version__
from moodlemlbackend.analytics.insights.names import indicator_name, interval_name
from moodlemlbackend.dataset.words import percent, probability_range
from moodlemlbackend.language import current
from moodlemlbackend.language.numbers import MISSING, number
from moodlemlbackend.server.middleware import CONTENT_POLICY
from moodlemlbackend.server.pages import assets
from moodlemlbackend.server.texts import counted, say
from moodlemlbackend.storage.archives import size

HEADERS = {"Content-Security-Policy": f"{CONTENT_POLICY}'self'", "Referrer-Policy": "same-origin"}
"""Of a page with forms, which may be sent to this server, and say from where."""

SCRIPTED = HEADERS | {
    "Content-Security-Policy": f"{HEADERS['Content-Security-Policy']}; script-src 'self'; connect-src 'self'"
}
"""Of a page with scripts of ours as well."""

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, code: int = 200, headers: dict[str, str] | None = None, **values: Any) -> HTMLResponse:
    """Make a page of a template; not for the event loop, it takes some milliseconds."""
    text = _environment().get_template(template).render(version=__version__, language=current(), **values)
    return HTMLResponse(text, code, headers)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals.update(
        say=say, counted=counted, indicator_name=indicator_name, interval_name=interval_name,
        probability_range=probability_range, asset=assets.address,
    )  # fmt: skip
    environment.filters["size"] = size
    environment.filters["share"] = lambda value: MISSING if value is None else percent(value)
    environment.filters["points"] = lambda change: number(round(100 * change), "+d") if round(100 * change) else "0"
    for name, form in {"figure": ".3f", "tenths": ".1f", "count": ",.0f"}.items():
        environment.filters[name] = partial(_figure, form)
    return environment


def _figure(form: str, value: float | None) -> str:
    return MISSING if value is None else number(value, form)
