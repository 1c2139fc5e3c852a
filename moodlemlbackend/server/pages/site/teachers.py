"""What teachers see: where they have insights, the insights of a course, and one of them in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import predictions as stored_predictions
from moodlemlbackend.analytics.db.insights import OpenInsights, open_insights
from moodlemlbackend.analytics.db.insights import contexts as contexts_with_insights
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.insights import actions, listing
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site import contexts
from moodlemlbackend.server.pages.site.charts import bars
from moodlemlbackend.server.pages.site.forms import FIELD, whole
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.pages.texts import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi.responses import Response

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.db.predictions import DealtWith
    from moodlemlbackend.analytics.insights.actions import Offered
    from moodlemlbackend.analytics.insights.listing import Insight
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext

MESSAGE = "studentmessage"
TAKE_BACK = "takeback"
REASONS_SHOWN = 3


@dataclass(frozen=True)
class Section:
    """A model's insights in a context, those at the greatest risk first; ``number`` is that of all pages."""

    model: AnalyticsModel
    insights: Sequence[Insight]
    number: int
    pages: int
    judgements: Sequence[Offered]
    messages: bool
    what: str


def index(visit: RequestContext) -> Page:
    """The courses of a person that have insights, those at the greatest risk first."""
    with visit.workspace.store.read() as connection:
        found = contexts_with_insights(connection)
        known = models.by_id(connection, {one.modelid for one in found})
    candidates = contexts.concerning(visit, {one.contextid for one in found})
    by_target = {
        target: listing.readable(visit.capabilities, visit.person.id, target, candidates)
        for target in {model.target for model in known.values()}
    }
    readable = {
        (one.modelid, one.contextid)
        for one in found
        if one.modelid in known and one.contextid in by_target[known[one.modelid].target]
    }
    with visit.workspace.store.read() as connection:
        waiting = open_insights(connection, visit.person.id, {context for _, context in readable}, actions.HIDING)
    counted = {(one.modelid, one.contextid): one for one in waiting}
    rows: dict[int, list[tuple[AnalyticsModel, OpenInsights | None]]] = {}
    for modelid, contextid in sorted(readable):
        rows.setdefault(contextid, []).append((known[modelid], counted.get((modelid, contextid))))
    names = contexts.named(visit, rows)
    shown = sorted(
        ((names[contextid], row) for contextid, row in rows.items() if contextid in names),
        key=lambda one: (not one[0].own, -max(_urgency(waits) for _, waits in one[1]), one[0].name.lower()),
    )
    return Page("insights.html", {"rows": shown})


@dataclass(frozen=True)
class Asked:
    """Which insights are asked for: of a context, all or of one model, and a page of them.

    ``everything`` checks every box; ``done`` and ``number`` say what the form before did.
    """

    context: int
    model: int | None = None
    page: int = 1
    everything: bool = False
    done: str = ""
    number: int = 0


def context(visit: RequestContext, asked: Asked) -> Page:
    """The insights of a context: of one model, page by page, or the first page of each."""
    place, readable = _place(visit, asked.context)
    if asked.model is not None:
        readable = [model for model in readable if model.id == asked.model]
        if not readable:
            raise RequestError(say("no insights there"), 404)
    elsewhere: list[AnalyticsModel] = []
    if len(readable) > limits.PAGE_SECTIONS:
        readable, elsewhere = _most_urgent(visit, readable, asked.context)
    sections = [_section(visit, model, asked.context, asked.page) for model in readable]
    with visit.workspace.store.read() as connection:
        hidden = len(_dealt_with(visit, connection, asked.context))
    values = {
        "place": place, "sections": sections, "elsewhere": elsewhere, "hidden": hidden, "asked": asked, "bars": bars,
        "notice": _notice(asked.done, asked.number), "reasons_shown": REASONS_SHOWN, "field": FIELD,
    }  # fmt: skip
    return Page("context.html", values)


def dealt_with(visit: RequestContext, contextid: int, page: int = 1) -> Page:
    """What a person has done about insights in a context, latest first, to be taken back."""
    place, readable = _place(visit, contextid)
    with visit.workspace.store.read() as connection:
        done = _dealt_with(visit, connection, contextid)
    modelids = {model.id for model in readable}
    wanted = [one.predictionid for one in done.values() if one.modelid in modelids]
    shown, number = listing.several(visit.workspace, visit.site, wanted, page=page - 1, perpage=limits.PAGE_INSIGHTS)
    labels = {action.name: action.label for model in readable for action in actions.judgements(model.target)}
    values = {"place": place, "insights": shown, "done": done, "labels": labels, "page": page, "pages": _pages(number)}
    return Page("dealt-with.html", values)


def insight(visit: RequestContext, predictionid: int, done: str = "", number: int = 0) -> Page:
    """One insight in full."""
    found = _one(visit, predictionid)
    place, _ = _place(visit, found.contextid)
    with visit.workspace.store.read() as connection:
        said = _dealt_with(visit, connection, found.contextid).get(predictionid)
    labels = {action.name: action.label for action in found.judgements}
    values = {
        "place": place, "one": found, "said": said, "labels": labels, "bars": bars, "notice": _notice(done, number),
        "what": definitions.analyser(found.model.target).origin,
    }  # fmt: skip
    return Page("insight.html", values)


def act(visit: RequestContext, form: PageForm) -> Page | Response:
    """Do what a form says about insights: all of one context, which the person may read."""
    one = form.text("one")
    name, _, only = one.partition("-") if one else (form.text("action"), "", "")
    predictions = [whole(only)] if one else form.numbers("id")
    back = form.text("back")
    if not predictions:
        raise RequestError(say("nothing selected"), 400)
    if len(predictions) > limits.PAGE_INSIGHTS:
        raise RequestError(say("too many selected", count=limits.PAGE_INSIGHTS), 400)
    contexts = {_check(visit, predictionid) for predictionid in dict.fromkeys(predictions)}
    if len(contexts) != 1:
        raise RequestError(say("several contexts"), 400)
    [contextid] = contexts
    if name == MESSAGE:
        return _message(visit, contextid, predictions)
    if name == TAKE_BACK:
        actions.take_back(visit.workspace, predictions)
    else:
        actions.perform(visit.workspace, name, predictions)
    told = {"done": TAKE_BACK if name == TAKE_BACK else "hidden", "number": len(predictions)}
    if back == "one":
        return go(f"/insights/{predictions[0]}?{urlencode(told)}")
    model = form.number("model")
    where: dict[str, Any] = {"context": contextid, **({"model": model} if model else {}), **told}
    return go(f"/insights?{urlencode(where)}")


def _message(visit: RequestContext, contextid: int, predictions: Sequence[int]) -> Page:
    """A link that opens the mail program, for students who were chosen."""
    place, _ = _place(visit, contextid)
    chosen, _ = listing.several(visit.workspace, visit.site, [*dict.fromkeys(predictions)], perpage=len(predictions))
    students = [one.sample for one in chosen if one.sample is not None and one.sample.email]
    if not students:
        raise RequestError(say("no addresses"), 400)
    actions.perform(visit.workspace, MESSAGE, predictions)
    return Page("message.html", {"place": place, "students": students, "link": actions.mail_link(students)})


def _place(visit: RequestContext, contextid: int) -> tuple[contexts.Place, list[AnalyticsModel]]:
    """A context, and the models whose insights in it a person may read; 404 when there are none."""
    with visit.workspace.store.read() as connection:
        found = models.by_id(connection, stored_predictions.models_in(connection, contextid)).values()
    readable = [
        model for model in found if listing.readable(visit.capabilities, visit.person.id, model.target, [contextid])
    ]
    place = contexts.named(visit, [contextid]).get(contextid)
    if place is None or not readable:
        raise RequestError(say("no insights there"), 404)
    return place, sorted(readable, key=lambda model: model.name.lower())


def _one(visit: RequestContext, predictionid: int) -> Insight:
    """An insight that a person may read; as :func:`_check`."""
    _check(visit, predictionid)
    return listing.get(visit.workspace, visit.site, predictionid)


def _check(visit: RequestContext, predictionid: int) -> int:
    """The context of an insight that a person may read, of an enabled model; RequestError of 404 for any other."""
    with visit.workspace.store.read() as connection:
        row = stored_predictions.find(connection, predictionid)
        model = models.by_id(connection, [row.modelid]).get(row.modelid) if row else None
    if (
        row is None
        or model is None
        or not (model.enabled and model.trained)
        or not listing.readable(visit.capabilities, visit.person.id, model.target, [row.contextid])
    ):
        raise RequestError(say("no insight"), 404)
    return row.contextid


def _section(visit: RequestContext, model: AnalyticsModel, contextid: int, page: int) -> Section:
    insights, number = listing.section(
        visit.workspace, visit.site, model, contextid,
        userid=visit.person.id, page=page - 1, perpage=limits.PAGE_INSIGHTS,
    )  # fmt: skip
    bulk = definitions.target(model.target).bulk_actions
    return Section(
        model=model,
        insights=insights,
        number=number,
        pages=_pages(number),
        judgements=actions.judgements(model.target),
        messages=any(action.name == MESSAGE for action in bulk),
        what=definitions.analyser(model.target).origin,
    )


def _dealt_with(visit: RequestContext, connection: Connection, contextid: int) -> dict[int, DealtWith]:
    return stored_predictions.dealt_with(connection, visit.person.id, contextid, actions.HIDING)


def _most_urgent(
    visit: RequestContext, readable: Sequence[AnalyticsModel], contextid: int
) -> tuple[list[AnalyticsModel], list[AnalyticsModel]]:
    """The models whose insights a page can show, those that wait with the highest probability, and the others."""
    with visit.workspace.store.read() as connection:
        waiting = open_insights(connection, visit.person.id, [contextid], actions.HIDING)
    urgency = {one.modelid: _urgency(one) for one in waiting}
    ranked = sorted(readable, key=lambda model: -urgency.get(model.id, -1.0))
    return ranked[: limits.PAGE_SECTIONS], sorted(ranked[limits.PAGE_SECTIONS :], key=lambda model: model.name.lower())


def _pages(number: int) -> int:
    return max(1, -(-number // limits.PAGE_INSIGHTS))


def _urgency(waits: OpenInsights | None) -> float:
    return -1.0 if waits is None else waits.highest or 0.0


def _notice(done: str, number: int) -> str:
    return say(f"notice {done}", count=number) if done in ("hidden", TAKE_BACK) and number else ""
