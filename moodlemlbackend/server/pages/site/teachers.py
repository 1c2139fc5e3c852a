"""What teachers see: where they have insights, the insights of a course, and one of them in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from moodlemlbackend.analytics.db import models
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.insights import actions, listing
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site import contexts, queries
from moodlemlbackend.server.pages.site.charts import bars
from moodlemlbackend.server.pages.site.forms import FIELD, whole
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.pages.texts import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi.responses import Response

    from moodlemlbackend.analytics.db.models import AnalyticsModel
    from moodlemlbackend.analytics.insights.actions import Offered
    from moodlemlbackend.analytics.insights.listing import Insight
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
        found = listing.contexts(connection)
        known = {modelid: models.get(connection, modelid) for modelid in {one.modelid for one in found}}
    candidates = contexts.concerning(visit, {one.contextid for one in found})
    readable = {
        (one.modelid, context)
        for one in found
        if one.contextid in candidates and definitions.has_target(known[one.modelid].target)
        for context in listing.readable(visit.capabilities, visit.person.id, known[one.modelid], [one.contextid])
    }
    with visit.workspace.store.read() as connection:
        waiting = queries.open_insights(connection, visit.person.id, {context for _, context in readable})
    counted = {(one.modelid, one.contextid): one for one in waiting}
    rows: dict[int, list[tuple[AnalyticsModel, queries.Open | None]]] = {}
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
    sections = [_section(visit, model, asked.context, asked.page) for model in readable]
    with visit.workspace.store.read() as connection:
        hidden = len(queries.said(connection, visit.person.id, asked.context))
    values = {
        "place": place, "sections": sections, "hidden": hidden, "asked": asked, "bars": bars,
        "notice": _notice(asked.done, asked.number), "reasons_shown": REASONS_SHOWN, "field": FIELD,
    }  # fmt: skip
    return Page("context.html", values)


def dealt_with(visit: RequestContext, contextid: int) -> Page:
    """What a person has said of insights in a context, to be taken back."""
    place, readable = _place(visit, contextid)
    with visit.workspace.store.read() as connection:
        said = queries.said(connection, visit.person.id, contextid)
    modelids = {model.id for model in readable}
    shown = []
    for modelid in sorted({one.modelid for one in said.values()} & modelids):
        shown += [one for one in _every(visit, modelid, contextid, mine=False) if one.id in said]
    labels = {action.name: action.label for model in readable for action in actions.judgements(model.target)}
    shown.sort(key=lambda one: -said[one.id].time)
    return Page("dealt-with.html", {"place": place, "insights": shown, "said": said, "labels": labels})


def insight(visit: RequestContext, predictionid: int, done: str = "", number: int = 0) -> Page:
    """One insight in full."""
    found = _one(visit, predictionid)
    place, _ = _place(visit, found.contextid)
    with visit.workspace.store.read() as connection:
        said = queries.said(connection, visit.person.id, found.contextid).get(predictionid)
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
    samples = [one.sample for one in (_one(visit, predictionid) for predictionid in dict.fromkeys(predictions))]
    students = [sample for sample in samples if sample is not None and sample.email]
    if not students:
        raise RequestError(say("no addresses"), 400)
    actions.perform(visit.workspace, MESSAGE, predictions)
    return Page("message.html", {"place": place, "students": students, "link": actions.mail_link(students)})


def _place(visit: RequestContext, contextid: int) -> tuple[contexts.Place, list[AnalyticsModel]]:
    """A context, and the models whose insights in it a person may read; 404 when there are none."""
    with visit.workspace.store.read() as connection:
        found = [models.get(connection, modelid) for modelid in queries.models_in(connection, contextid)]
    readable = [
        model
        for model in found
        if definitions.has_target(model.target)
        and listing.readable(visit.capabilities, visit.person.id, model, [contextid])
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
        where = queries.place(connection, predictionid)
        model = models.get(connection, where[0]) if where else None
    if (
        where is None
        or model is None
        or not (model.enabled and model.trained and definitions.has_target(model.target))
        or not listing.readable(visit.capabilities, visit.person.id, model, [where[1]])
    ):
        raise RequestError(say("no insight"), 404)
    return where[1]


def _section(visit: RequestContext, model: AnalyticsModel, contextid: int, page: int) -> Section:
    every = _every(visit, model.id, contextid, mine=True)
    every.sort(key=lambda one: (-one.prediction, -(one.score if one.probability is None else one.probability)))
    first = (page - 1) * limits.PAGE_INSIGHTS
    bulk = definitions.target(model.target).bulk_actions
    return Section(
        model=model,
        insights=every[first : first + limits.PAGE_INSIGHTS],
        number=len(every),
        pages=max(1, -(-len(every) // limits.PAGE_INSIGHTS)),
        judgements=actions.judgements(model.target),
        messages=any(action.name == MESSAGE for action in bulk),
        what=definitions.analyser(model.target).origin,
    )


def _every(visit: RequestContext, modelid: int, contextid: int, *, mine: bool) -> list[Insight]:
    """All insights of a model in a context; ``mine``: without those that the person has dealt with."""
    found: list[Insight] = []
    while True:
        part = listing.listed(
            visit.workspace, visit.site, modelid=modelid, contextids=[contextid],
            userid=visit.person.id if mine else None, page=len(found) // listing.LARGEST_PAGE,
            perpage=listing.LARGEST_PAGE,
        )  # fmt: skip
        found += part
        if len(part) < listing.LARGEST_PAGE:
            return found


def _urgency(waits: queries.Open | None) -> float:
    return -1.0 if waits is None else waits.highest or 0.0


def _notice(done: str, number: int) -> str:
    return say(f"notice {done}", count=number) if done in ("hidden", TAKE_BACK) and number else ""
