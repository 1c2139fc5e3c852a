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
from moodlemlbackend.server.pages.charts import bars
from moodlemlbackend.server.pages.site import contexts, queries
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
class InsightSection:
    """A model's insights in a context, those at the greatest risk first; ``number`` is that of all pages."""

    model: AnalyticsModel
    insights: Sequence[Insight]
    number: int
    pages: int
    judgements: Sequence[Offered]
    messages: bool
    what: str


def index(ctx: RequestContext) -> Page:
    """The courses of a person that have insights, those at the greatest risk first."""
    with ctx.workspace.store.read() as connection:
        pairs = {(pair.modelid, pair.contextid) for pair in listing.contexts(connection)}
        known = {modelid: models.get(connection, modelid) for modelid in {modelid for modelid, _ in pairs}}
    candidates = contexts.concerning(ctx, {contextid for _, contextid in pairs})
    readable = {
        (modelid, contextid)
        for modelid, contextid in pairs
        if contextid in candidates
        and definitions.has_target(known[modelid].target)
        and listing.readable(ctx.capabilities, ctx.person.id, known[modelid], [contextid])
    }
    with ctx.workspace.store.read() as connection:
        waiting = queries.open_insights(connection, ctx.person.id, {context for _, context in readable})
    waiting_in = {(count.modelid, count.contextid): count for count in waiting}
    rows: dict[int, list[tuple[AnalyticsModel, queries.Open | None]]] = {}
    for modelid, contextid in sorted(readable):
        rows.setdefault(contextid, []).append((known[modelid], waiting_in.get((modelid, contextid))))
    names = contexts.named(ctx, rows)
    shown = sorted(
        ((names[contextid], row) for contextid, row in rows.items() if contextid in names),
        key=lambda entry: (not entry[0].own, -max(_urgency(count) for _, count in entry[1]), entry[0].name.lower()),
    )
    return Page("insights.html", {"rows": shown})


@dataclass(frozen=True)
class InsightsQuery:
    """Which insights are asked for: of a context, all or of one model, and a page of them.

    ``everything`` checks every box; ``done`` and ``number`` say what the form before did.
    """

    context: int
    model: int | None = None
    page: int = 1
    everything: bool = False
    done: str = ""
    number: int = 0


def context(ctx: RequestContext, query: InsightsQuery) -> Page:
    """The insights of a context: of one model, page by page, or the first page of each."""
    named, readable = _readable_context(ctx, query.context)
    if query.model is not None:
        readable = [model for model in readable if model.id == query.model]
        if not readable:
            raise RequestError(say("no insights there"), 404)
    sections = [_insight_section(ctx, model, query.context, query.page) for model in readable]
    with ctx.workspace.store.read() as connection:
        hidden = len(queries.said(connection, ctx.person.id, query.context))
    values = {
        "context": named, "sections": sections, "hidden": hidden, "query": query, "bars": bars,
        "notice": _notice(query.done, query.number), "reasons_shown": REASONS_SHOWN, "field": FIELD,
    }  # fmt: skip
    return Page("context.html", values)


def dealt_with(ctx: RequestContext, contextid: int) -> Page:
    """What a person has judged in a context, to be taken back."""
    named, readable = _readable_context(ctx, contextid)
    with ctx.workspace.store.read() as connection:
        judgements = queries.said(connection, ctx.person.id, contextid)
    modelids = {model.id for model in readable}
    shown: list[Insight] = []
    for modelid in sorted({judgement.modelid for judgement in judgements.values()} & modelids):
        insights = _all_insights(ctx, modelid, contextid, mine=False)
        shown += [insight for insight in insights if insight.id in judgements]
    labels = {action.name: action.label for model in readable for action in actions.judgements(model.target)}
    shown.sort(key=lambda insight: -judgements[insight.id].time)
    values = {"context": named, "insights": shown, "judgements": judgements, "labels": labels}
    return Page("dealt-with.html", values)


def insight(ctx: RequestContext, predictionid: int, done: str = "", number: int = 0) -> Page:
    """One insight in full."""
    shown = _readable_insight(ctx, predictionid)
    named, _ = _readable_context(ctx, shown.contextid)
    with ctx.workspace.store.read() as connection:
        judgement = queries.said(connection, ctx.person.id, shown.contextid).get(predictionid)
    labels = {action.name: action.label for action in shown.judgements}
    values = {
        "context": named, "insight": shown, "judgement": judgement, "labels": labels, "bars": bars,
        "notice": _notice(done, number), "what": definitions.analyser(shown.model.target).origin,
    }  # fmt: skip
    return Page("insight.html", values)


def act(ctx: RequestContext, form: PageForm) -> Page | Response:
    """Do what a form says about insights: all of one context, which the person may read."""
    button = form.text("one")  # beside a single insight: action and id
    name, _, predictionid = button.partition("-") if button else (form.text("action"), "", "")
    predictions = [whole(predictionid)] if button else form.numbers("id")
    back = form.text("back")
    if not predictions:
        raise RequestError(say("nothing selected"), 400)
    if len(predictions) > limits.PAGE_INSIGHTS:
        raise RequestError(say("too many selected", count=limits.PAGE_INSIGHTS), 400)
    contextids = {_readable_in(ctx, predictionid) for predictionid in set(predictions)}
    if len(contextids) != 1:
        raise RequestError(say("several contexts"), 400)
    [contextid] = contextids
    if name == MESSAGE:
        return _message(ctx, contextid, predictions)
    if name == TAKE_BACK:
        actions.take_back(ctx.workspace, predictions)
    else:
        actions.perform(ctx.workspace, name, predictions)
    done = {"done": TAKE_BACK if name == TAKE_BACK else "hidden", "number": len(predictions)}
    if back == "one":
        return go(f"/insights/{predictions[0]}?{urlencode(done)}")
    model = form.number("model")
    address: dict[str, Any] = {"context": contextid, **({"model": model} if model else {}), **done}
    return go(f"/insights?{urlencode(address)}")


def _message(ctx: RequestContext, contextid: int, predictions: Sequence[int]) -> Page:
    """A link that opens the mail program, for students who were chosen."""
    named, _ = _readable_context(ctx, contextid)
    samples = [_readable_insight(ctx, predictionid).sample for predictionid in dict.fromkeys(predictions)]
    students = [sample for sample in samples if sample is not None and sample.email]
    if not students:
        raise RequestError(say("no addresses"), 400)
    actions.perform(ctx.workspace, MESSAGE, predictions)
    return Page("message.html", {"context": named, "students": students, "link": actions.mail_link(students)})


def _readable_context(ctx: RequestContext, contextid: int) -> tuple[contexts.NamedContext, list[AnalyticsModel]]:
    """A context, and the models whose insights in it a person may read; 404 when there are none."""
    with ctx.workspace.store.read() as connection:
        candidates = [models.get(connection, modelid) for modelid in queries.models_in(connection, contextid)]
    readable = [
        model
        for model in candidates
        if definitions.has_target(model.target)
        and listing.readable(ctx.capabilities, ctx.person.id, model, [contextid])
    ]
    named = contexts.named(ctx, [contextid]).get(contextid)
    if named is None or not readable:
        raise RequestError(say("no insights there"), 404)
    return named, sorted(readable, key=lambda model: model.name.lower())


def _readable_insight(ctx: RequestContext, predictionid: int) -> Insight:
    """An insight that a person may read; as :func:`_readable_in`."""
    _readable_in(ctx, predictionid)
    return listing.get(ctx.workspace, ctx.site, predictionid)


def _readable_in(ctx: RequestContext, predictionid: int) -> int:
    """The context of an insight that a person may read, of an enabled model; RequestError of 404 for any other."""
    with ctx.workspace.store.read() as connection:
        origin = queries.place(connection, predictionid)
        model = models.get(connection, origin[0]) if origin else None
    if (
        origin is None
        or model is None
        or not (model.enabled and model.trained and definitions.has_target(model.target))
        or not listing.readable(ctx.capabilities, ctx.person.id, model, [origin[1]])
    ):
        raise RequestError(say("no insight"), 404)
    return origin[1]


def _insight_section(ctx: RequestContext, model: AnalyticsModel, contextid: int, page: int) -> InsightSection:
    insights = _all_insights(ctx, model.id, contextid, mine=True)
    insights.sort(key=_risk, reverse=True)
    first = (page - 1) * limits.PAGE_INSIGHTS
    bulk = definitions.target(model.target).bulk_actions
    return InsightSection(
        model=model,
        insights=insights[first : first + limits.PAGE_INSIGHTS],
        number=len(insights),
        pages=max(1, -(-len(insights) // limits.PAGE_INSIGHTS)),
        judgements=actions.judgements(model.target),
        messages=any(action.name == MESSAGE for action in bulk),
        what=definitions.analyser(model.target).origin,
    )


def _all_insights(ctx: RequestContext, modelid: int, contextid: int, *, mine: bool) -> list[Insight]:
    """All insights of a model in a context; ``mine``: without those that the person has dealt with."""
    insights: list[Insight] = []
    while True:
        part = listing.listed(
            ctx.workspace, ctx.site, modelid=modelid, contextids=[contextid],
            userid=ctx.person.id if mine else None, page=len(insights) // listing.LARGEST_PAGE,
            perpage=listing.LARGEST_PAGE,
        )  # fmt: skip
        insights += part
        if len(part) < listing.LARGEST_PAGE:
            return insights


def _risk(insight: Insight) -> tuple[float, float]:
    return insight.prediction, insight.score if insight.probability is None else insight.probability


def _urgency(waiting: queries.Open | None) -> float:
    return -1.0 if waiting is None else waiting.highest or 0.0


def _notice(done: str, number: int) -> str:
    return say(f"notice {done}", count=number) if done in ("hidden", TAKE_BACK) and number else ""
