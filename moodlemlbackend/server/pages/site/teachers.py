"""What teachers see: where they have insights, the insights of a course, and one of them in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import insights as stored_insights
from moodlemlbackend.analytics.db import predictions as stored_predictions
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.insights import actions, listing
from moodlemlbackend.analytics.insights.reasons import evidence_of, reasons_of
from moodlemlbackend.errors import RequestError
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.charts import bars
from moodlemlbackend.server.pages.site import contexts
from moodlemlbackend.server.pages.site.confirmations import Question, ask
from moodlemlbackend.server.pages.site.forms import FIELD, whole
from moodlemlbackend.server.pages.site.responses import Page, go, number_of_pages
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi.responses import Response

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.insights.actions import Offered
    from moodlemlbackend.analytics.insights.listing import Insight
    from moodlemlbackend.analytics.insights.reasons import PlainReason
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext

MESSAGE = "studentmessage"
TAKE_BACK = "takeback"
"""Undoes what was done: the action in the field ``of``, or all."""


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


@dataclass(frozen=True)
class Notice:
    """What was done about which insights; ``undo`` is the action that can be taken back, if any."""

    text: str
    ids: Sequence[int]
    undo: str


@dataclass(frozen=True)
class ContextRow:
    """A context in the list: its most urgent models, with how many insights wait, and how many other models."""

    context: contexts.NamedContext
    address: str
    models: Sequence[tuple[AnalyticsModel, int]]
    others: int
    urgency: float


def index(ctx: RequestContext) -> Page:
    """The courses of a person that have insights, those at the greatest risk first."""
    with ctx.workspace.store.read() as connection:
        candidates = contexts.concerning(ctx, stored_insights.context_ids(connection))
        ctx.capabilities.load(candidates)
        counts = _waiting(ctx, connection, candidates)
        known = models.by_id(connection, {count.modelid for count in counts})
    readable = {
        target: listing.readable(ctx.capabilities, ctx.person.id, target, candidates)
        for target in {model.target for model in known.values()}
    }
    by_context: dict[int, list[stored_insights.OpenInsights]] = {}
    for count in sorted(counts, key=lambda waiting: (-_urgency(waiting), waiting.modelid)):
        if count.modelid in known and count.contextid in readable[known[count.modelid].target]:
            by_context.setdefault(count.contextid, []).append(count)
    names = contexts.named(ctx, by_context)
    courses = {course.context: course.id for course in ctx.site.courses}

    def address(contextid: int, waiting: Sequence[stored_insights.OpenInsights]) -> str:
        about_students = any(definitions.has_past(known[count.modelid].target) for count in waiting)
        if contextid in courses and about_students:
            return f"/courses/{courses[contextid]}"
        return f"/insights?context={contextid}"

    rows = [
        ContextRow(names[contextid], address(contextid, waiting),
                   [(known[count.modelid], count.number) for count in waiting[: limits.PAGE_SECTIONS]],
                   len(waiting[limits.PAGE_SECTIONS :]), _urgency(waiting[0]))
        for contextid, waiting in by_context.items()
        if contextid in names
    ]  # fmt: skip
    rows.sort(key=lambda row: (not row.context.own, -row.urgency, row.context.name.lower()))
    return Page("insights.html", {"rows": rows})


@dataclass(frozen=True)
class InsightsQuery:
    """Which insights are asked for: of a context, all or of one model, and a page of them.

    ``everything`` checks every box; ``done`` says what the form before did, about the insights ``about``.
    """

    context: int
    model: int | None = None
    page: int = 1
    everything: bool = False
    done: str = ""
    about: Sequence[int] = ()


def context(ctx: RequestContext, query: InsightsQuery) -> Page:
    """The insights of a context: of one model, page by page, or the first page of each."""
    named, readable = _readable_context(ctx, query.context)
    dealable = listing.in_context(readable, query.context, userid=ctx.person.id, reader=ctx.capabilities)
    if query.model is not None:
        readable = [model for model in readable if model.id == query.model]
        if not readable:
            raise RequestError(say("no insights there"), 404)
    with ctx.workspace.store.read() as connection:
        waiting = {count.modelid: count for count in _waiting(ctx, connection, {query.context})}
        hidden = stored_insights.number_dealt_with(connection, dealable)
    ranked, elsewhere = _most_urgent(readable, waiting)
    numbers = {model.id: waiting[model.id].number if model.id in waiting else 0 for model in ranked}
    sections = [_insight_section(ctx, model, query, numbers[model.id]) for model in ranked]
    values = {
        "context": named, "sections": sections, "elsewhere": elsewhere, "hidden": hidden, "query": query,
        "notice": _notice(ctx, query.done, query.about), "field": FIELD,
        "why": {insight.id: _why(ctx, insight) for section in sections for insight in section.insights},
    }  # fmt: skip
    return Page("context.html", values)


def dealt_with(ctx: RequestContext, contextid: int, page: int = 1) -> Page:
    """What a person has judged in a context, latest first, to be taken back."""
    named, readable = _readable_context(ctx, contextid)
    chosen = listing.in_context(readable, contextid, userid=ctx.person.id, reader=ctx.capabilities)
    first = (page - 1) * limits.PAGE_INSIGHTS
    with ctx.workspace.store.read() as connection:
        number = stored_insights.number_dealt_with(connection, chosen)
        latest = stored_insights.dealt_with(connection, chosen, limit=limits.PAGE_INSIGHTS, offset=first)
        judgements = stored_predictions.done_by(connection, ctx.person.id, latest, actions.HIDING)
    shown = listing.several(ctx.workspace, ctx.site, latest)
    labels = {action.name: action.label for model in readable for action in actions.judgements(model.target)}
    values = {
        "context": named, "insights": shown, "judgements": judgements, "labels": labels,
        "page": page, "pages": number_of_pages(number, limits.PAGE_INSIGHTS),
    }  # fmt: skip
    return Page("dealt-with.html", values)


def insight(ctx: RequestContext, predictionid: int, done: str = "") -> Page:
    """One insight in full."""
    shown = _readable_insight(ctx, predictionid)
    named, _ = _readable_context(ctx, shown.contextid)
    with ctx.workspace.store.read() as connection:
        judged = stored_predictions.done_by(connection, ctx.person.id, [predictionid], actions.HIDING)
    labels = {action.name: action.label for action in shown.judgements}
    values = {
        "context": named, "insight": shown, "why": _why(ctx, shown), "bars": bars,
        "judgements": judged.get(predictionid, {}), "labels": labels, "notice": _notice(ctx, done, [predictionid]),
        "what": definitions.analyser(shown.model.target).origin,
    }  # fmt: skip
    return Page("insight.html", values)


def _why(ctx: RequestContext, insight: Insight) -> Sequence[PlainReason]:
    """The reasons for an insight in plain words."""
    return reasons_of(insight, evidence_of(insight, ctx.site, ctx.workspace.clock(), ctx.cache.get))


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
    model = form.number("model")
    query: dict[str, Any] = {} if back == "one" else {"context": contextid, **({"model": model} if model else {})}
    address = f"/insights/{predictions[0]}?" if back == "one" else "/insights?"
    if name == TAKE_BACK:
        actions.take_back(ctx.workspace, predictions, form.text("of"))
    else:
        if actions.changes_a_model_first(ctx.workspace, name, predictions):
            ids = [("id", insight) for insight in predictions]
            fields = [("action", name), ("back", back), ("model", model or ""), *ids]
            question = _about_adjusting(len(predictions), fields, f"{address}{urlencode(query)}")
            if page := ask(form, question):
                return page
        actions.perform(ctx.workspace, name, predictions)
    if name in (TAKE_BACK, *actions.HIDING):
        query |= {"done": name, **({} if back == "one" else {"id": predictions})}
    return go(address + urlencode(query, doseq=True))


def _about_adjusting(number: int, fields: Sequence[tuple[str, Any]], cancel: str) -> Question:
    """The question before somebody has a model learn for the first time."""
    sentences = [say("confirm adjusting means"), say("confirm adjusting once")]
    title = say("confirm adjusting", count=number)
    return Question(title, say("confirm button adjusting"), "/insights/act", cancel, sentences, fields=fields)


def _message(ctx: RequestContext, contextid: int, predictions: Sequence[int]) -> Page:
    """A link that opens the mail program, for students who were chosen."""
    named, _ = _readable_context(ctx, contextid)
    chosen = listing.several(ctx.workspace, ctx.site, [*dict.fromkeys(predictions)])
    students = [insight.sample for insight in chosen if insight.sample is not None and insight.sample.email]
    if not students:
        raise RequestError(say("no addresses"), 400)
    actions.perform(ctx.workspace, MESSAGE, predictions)
    return Page("message.html", {"context": named, "students": students, "link": actions.mail_link(students)})


def _readable_context(ctx: RequestContext, contextid: int) -> tuple[contexts.NamedContext, list[AnalyticsModel]]:
    """A context, and the models whose insights in it a person may read; 404 when there are none."""
    with ctx.workspace.store.read() as connection:
        candidates = models.by_id(connection, stored_insights.models_in(connection, contextid)).values()
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


def _insight_section(ctx: RequestContext, model: AnalyticsModel, query: InsightsQuery, number: int) -> InsightSection:
    insights = listing.section(
        ctx.workspace, ctx.site, model, query.context, userid=ctx.person.id, reader=ctx.capabilities,
        page=query.page - 1, perpage=limits.PAGE_INSIGHTS,
    )  # fmt: skip
    bulk = definitions.target(model.target).bulk_actions
    listed = min(number - (query.page - 1) * limits.PAGE_INSIGHTS, limits.PAGE_INSIGHTS)
    gone = max(listed - len(insights), 0)
    return InsightSection(
        model=model,
        insights=insights,
        number=number - gone,
        pages=number_of_pages(number, limits.PAGE_INSIGHTS),
        judgements=actions.judgements(model.target),
        messages=any(action.name == MESSAGE for action in bulk),
        what=definitions.analyser(model.target).origin,
    )


def _waiting(ctx: RequestContext, connection: Connection, contextids: set[int]) -> list[stored_insights.OpenInsights]:
    limit = ctx.capabilities.group_limit(ctx.person.id, contextids)
    return stored_insights.open_insights(connection, ctx.person.id, contextids, actions.HIDING, limit)


def _most_urgent(
    readable: Sequence[AnalyticsModel], waiting: dict[int, stored_insights.OpenInsights]
) -> tuple[Sequence[AnalyticsModel], Sequence[AnalyticsModel]]:
    """The models whose insights a page can show, those that wait with the highest probability, and the others."""
    if len(readable) <= limits.PAGE_SECTIONS:
        return readable, []
    urgency = {modelid: _urgency(count) for modelid, count in waiting.items()}
    ranked = sorted(readable, key=lambda model: -urgency.get(model.id, -1.0))
    return ranked[: limits.PAGE_SECTIONS], sorted(ranked[limits.PAGE_SECTIONS :], key=lambda model: model.name.lower())


def _urgency(waiting: stored_insights.OpenInsights) -> float:
    return waiting.highest or 0.0 if waiting.number else -1.0


def _notice(ctx: RequestContext, done: str, predictions: Sequence[int]) -> Notice | None:
    """What was done about insights, of those for which it still holds; None for nothing."""
    predictions = predictions[: limits.PAGE_INSIGHTS]
    with ctx.workspace.store.read() as connection:
        judged = stored_predictions.done_by(connection, ctx.person.id, predictions, actions.HIDING)
        current = stored_insights.current_ids(connection, predictions)
    if done == TAKE_BACK:
        open_again = [predictionid for predictionid in predictions if predictionid not in judged]
        listed = [predictionid for predictionid in open_again if predictionid in current]
        text = say("notice takeback", count=len(listed)) if listed else say("done undone")
        return Notice(text, listed, "") if open_again else None
    hidden = [predictionid for predictionid in predictions if done in judged.get(predictionid, ())]
    return Notice(say("notice hidden", count=len(hidden)), hidden, done) if hidden else None
