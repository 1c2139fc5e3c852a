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
from moodlemlbackend.server.pages.charts import bars
from moodlemlbackend.server.pages.site import contexts
from moodlemlbackend.server.pages.site.forms import FIELD, whole
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.texts import say

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
        pairs = {(pair.modelid, pair.contextid) for pair in contexts_with_insights(connection)}
        known = models.by_id(connection, {modelid for modelid, _ in pairs})
    candidates = contexts.concerning(ctx, {contextid for _, contextid in pairs})
    ctx.capabilities.load(candidates)
    by_target = {
        target: listing.readable(ctx.capabilities, ctx.person.id, target, candidates)
        for target in {model.target for model in known.values()}
    }
    readable = {
        (modelid, contextid)
        for modelid, contextid in pairs
        if modelid in known and contextid in by_target[known[modelid].target]
    }
    with ctx.workspace.store.read() as connection:
        waiting = _waiting(ctx, connection, {context for _, context in readable})
    waiting_in = {(count.modelid, count.contextid): count for count in waiting}
    rows: dict[int, list[tuple[AnalyticsModel, OpenInsights | None]]] = {}
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
    elsewhere: list[AnalyticsModel] = []
    if len(readable) > limits.PAGE_SECTIONS:
        readable, elsewhere = _most_urgent(ctx, readable, query.context)
    sections = [_insight_section(ctx, model, query.context, query.page) for model in readable]
    with ctx.workspace.store.read() as connection:
        hidden = len(_dealt_with(ctx, connection, query.context))
    values = {
        "context": named, "sections": sections, "elsewhere": elsewhere, "hidden": hidden, "query": query, "bars": bars,
        "notice": _notice(query.done, query.number), "reasons_shown": REASONS_SHOWN, "field": FIELD,
    }  # fmt: skip
    return Page("context.html", values)


def dealt_with(ctx: RequestContext, contextid: int, page: int = 1) -> Page:
    """What a person has judged in a context, latest first, to be taken back."""
    named, readable = _readable_context(ctx, contextid)
    with ctx.workspace.store.read() as connection:
        judgements = _dealt_with(ctx, connection, contextid)
    targets = {model.id: model.target for model in readable}
    wanted = [
        judgement.predictionid
        for judgement in judgements.values()
        if judgement.modelid in targets
        and ctx.capabilities.sees(ctx.person.id, targets[judgement.modelid], contextid, judgement.sampleid)
    ]
    shown, number = listing.several(ctx.workspace, ctx.site, wanted, page=page - 1, perpage=limits.PAGE_INSIGHTS)
    labels = {action.name: action.label for model in readable for action in actions.judgements(model.target)}
    values = {
        "context": named, "insights": shown, "judgements": judgements, "labels": labels,
        "page": page, "pages": _pages(number),
    }  # fmt: skip
    return Page("dealt-with.html", values)


def insight(ctx: RequestContext, predictionid: int, done: str = "", number: int = 0) -> Page:
    """One insight in full."""
    shown = _readable_insight(ctx, predictionid)
    named, _ = _readable_context(ctx, shown.contextid)
    with ctx.workspace.store.read() as connection:
        judgement = _dealt_with(ctx, connection, shown.contextid).get(predictionid)
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
    chosen, _ = listing.several(ctx.workspace, ctx.site, [*dict.fromkeys(predictions)], perpage=len(predictions))
    students = [insight.sample for insight in chosen if insight.sample is not None and insight.sample.email]
    if not students:
        raise RequestError(say("no addresses"), 400)
    actions.perform(ctx.workspace, MESSAGE, predictions)
    return Page("message.html", {"context": named, "students": students, "link": actions.mail_link(students)})


def _readable_context(ctx: RequestContext, contextid: int) -> tuple[contexts.NamedContext, list[AnalyticsModel]]:
    """A context, and the models whose insights in it a person may read; 404 when there are none."""
    with ctx.workspace.store.read() as connection:
        candidates = models.by_id(connection, stored_predictions.models_in(connection, contextid)).values()
    targets = {model.target for model in candidates}
    seen = {target for target in targets if listing.readable(ctx.capabilities, ctx.person.id, target, [contextid])}
    readable = [model for model in candidates if model.target in seen]
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
        row = stored_predictions.find(connection, predictionid)
        model = models.by_id(connection, [row.modelid]).get(row.modelid) if row else None
    if (
        row is None
        or model is None
        or not (model.enabled and model.trained)
        or not listing.readable(ctx.capabilities, ctx.person.id, model.target, [row.contextid])
        or not ctx.capabilities.sees(ctx.person.id, model.target, row.contextid, row.sampleid)
    ):
        raise RequestError(say("no insight"), 404)
    return row.contextid


def _insight_section(ctx: RequestContext, model: AnalyticsModel, contextid: int, page: int) -> InsightSection:
    insights, number = listing.section(
        ctx.workspace, ctx.site, model, contextid, userid=ctx.person.id, reader=ctx.capabilities,
        page=page - 1, perpage=limits.PAGE_INSIGHTS,
    )  # fmt: skip
    bulk = definitions.target(model.target).bulk_actions
    return InsightSection(
        model=model,
        insights=insights,
        number=number,
        pages=_pages(number),
        judgements=actions.judgements(model.target),
        messages=any(action.name == MESSAGE for action in bulk),
        what=definitions.analyser(model.target).origin,
    )


def _dealt_with(ctx: RequestContext, connection: Connection, contextid: int) -> dict[int, DealtWith]:
    return stored_predictions.dealt_with(connection, ctx.person.id, contextid, actions.HIDING)


def _waiting(ctx: RequestContext, connection: Connection, contextids: set[int]) -> list[OpenInsights]:
    limit = ctx.capabilities.group_limit(ctx.person.id, contextids)
    return open_insights(connection, ctx.person.id, contextids, actions.HIDING, limit)


def _most_urgent(
    ctx: RequestContext, readable: Sequence[AnalyticsModel], contextid: int
) -> tuple[list[AnalyticsModel], list[AnalyticsModel]]:
    """The models whose insights a page can show, those that wait with the highest probability, and the others."""
    with ctx.workspace.store.read() as connection:
        waiting = _waiting(ctx, connection, {contextid})
    urgency = {count.modelid: _urgency(count) for count in waiting}
    ranked = sorted(readable, key=lambda model: -urgency.get(model.id, -1.0))
    return ranked[: limits.PAGE_SECTIONS], sorted(ranked[limits.PAGE_SECTIONS :], key=lambda model: model.name.lower())


def _pages(number: int) -> int:
    return max(1, -(-number // limits.PAGE_INSIGHTS))


def _urgency(waiting: OpenInsights | None) -> float:
    return -1.0 if waiting is None else waiting.highest or 0.0


def _notice(done: str, number: int) -> str:
    return say(f"notice {done}", count=number) if done in ("hidden", TAKE_BACK) and number else ""
