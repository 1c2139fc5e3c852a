"""Forms in which managers make a model, or change one: by the rules of :mod:`...analytics.models`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.features import definitions, registry
from moodlemlbackend.analytics.features.analysers import ANALYSERS
from moodlemlbackend.analytics.insights.names import indicator_name
from moodlemlbackend.analytics.lifecycle import losses
from moodlemlbackend.errors import RequestError, UsageError
from moodlemlbackend.processor import processor_names
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site import contexts
from moodlemlbackend.server.pages.site.confirmations import about_loss, ask
from moodlemlbackend.server.pages.site.managers import model_for_manager
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastapi.responses import Response

    from moodlemlbackend.analytics.models import AnalyticsModel, Changes
    from moodlemlbackend.server.pages.site.contexts import NamedContext
    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext

FIND = "find"
"""The button that searches for courses, and keeps what was typed."""

GROUPS = ("cognitive_depth", "social_breadth", "core", "core_course", "core_user", "other")


@dataclass
class ModelForm:
    """What a form holds, as it was typed; ``errors`` are sentences by field."""

    target: str
    name: str = ""
    interval: str = ""
    processor: str = ""
    indicators: list[str] = field(default_factory=list)
    contexts: list[int] = field(default_factory=list)
    search: str = ""
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def sent(cls, target: str, form: PageForm) -> ModelForm:
        """As a browser sent it."""
        return cls(
            target, form.text("name"), form.text("interval"), form.text("processor"), form.texts("indicator"),
            form.numbers("context"), form.text("search"),
        )  # fmt: skip

    @property
    def fields(self) -> list[tuple[str, object]]:
        """All fields, to be sent again."""
        return [
            ("target", self.target), ("name", self.name), ("interval", self.interval), ("processor", self.processor),
            *(("indicator", indicator) for indicator in self.indicators),
            *(("context", contextid) for contextid in self.contexts),
        ]  # fmt: skip

    def check(self, ctx: RequestContext, model: AnalyticsModel | None) -> None:
        """Note what is wrong, field by field."""
        self._try("name", lambda: models.checked_name(self.name))
        if self.processor not in ("", *processor_names()):
            self.errors["processor"] = say("bad processor")
        if self.interval not in ("", *definitions.intervals_for(self.target)):
            self.errors["interval"] = say("bad interval choice")
        elif model and model.enabled and not self.interval:
            self.errors["interval"] = say("interval needed")
        if not self.indicators:
            self.errors["indicators"] = say("indicators needed")
        elif "interval" not in self.errors:
            interval = self.interval or None
            self._try("indicators", lambda: definitions.check_model(self.target, self.indicators, interval))
        if len(contexts.named(ctx, self.contexts)) < len(set(self.contexts)):
            self.errors["contexts"] = say("bad contexts")

    def _try(self, name: str, check: Callable[[], object]) -> None:
        try:
            check()
        except UsageError as error:
            self.errors[name] = str(error)


def new(ctx: RequestContext, target: str) -> Page:
    """The choice of a target, then the form with what its core model has."""
    ctx.require_manager()
    if not target:
        return Page(
            "model-target.html", {"targets": definitions.targets().values(), "target_name": definitions.target_name}
        )
    if not definitions.has_target(target):
        raise RequestError(say("no target"), 404)
    core = [*definitions.core_indicators(target, ctx.site.modules)]
    return _page(ctx, ModelForm(target, indicators=core), None)


def create(ctx: RequestContext, form: PageForm) -> Page | Response:
    """Make a model of what was typed, or show the form again."""
    ctx.require_manager()
    target = form.text("target")
    if not definitions.has_target(target):
        raise RequestError(say("no target"), 404)
    typed = ModelForm.sent(target, form)
    typed.check(ctx, None)
    if typed.errors or form.text(FIND):
        return _page(ctx, typed, None, searches=bool(form.text(FIND)))
    made = models.create(
        ctx.workspace, target, typed.indicators, interval=typed.interval or None, processor=typed.processor or None,
        name=typed.name, contexts=typed.contexts,
    )  # fmt: skip
    return go(f"/analytics/models/{made.id}?done=create")


def edit(ctx: RequestContext, modelid: int) -> Page:
    """The form with what a model has."""
    model = model_for_manager(ctx, modelid)
    typed = ModelForm(
        model.target, model.given_name, model.interval or "", model.processor or "", [*model.indicators],
        [*(model.contexts or ())],
    )  # fmt: skip
    return _page(ctx, typed, model)


def change(ctx: RequestContext, modelid: int, form: PageForm) -> Page | Response:
    """Change a model to what was typed, having asked where that deletes something, or show the form again."""
    model = model_for_manager(ctx, modelid)
    typed = ModelForm.sent(model.target, form)
    if model.static:
        typed.indicators, typed.processor = [*model.indicators], model.processor or ""
    typed.check(ctx, model)
    if typed.errors or form.text(FIND):
        return _page(ctx, typed, model, searches=bool(form.text(FIND)))
    changes: Changes = {
        "name": typed.name, "contexts": typed.contexts, "interval": typed.interval or None,
        "processor": typed.processor or None, "indicators": _in_order(model.indicators, typed.indicators),
    }  # fmt: skip
    here = f"/analytics/models/{modelid}"
    why_not = definitions.cannot_help(model.target, typed.interval) if typed.interval != (model.interval or "") else ""
    lost = losses.if_edited(ctx.workspace, modelid, **changes)
    question = about_loss(model, "edit", lost, [why_not] if why_not and model.enabled else [], typed.fields)
    if asked := ask(form, question):
        return asked
    models.edit(ctx.workspace, modelid, **changes)
    return go(f"{here}?done=edit")


def _page(ctx: RequestContext, typed: ModelForm, model: AnalyticsModel | None, *, searches: bool = False) -> Page:
    results: list[NamedContext] = []
    more = False
    if searches:
        typed.errors = {}
        results = contexts.search(ctx, typed.search.strip(), limits.PAGE_CONTEXTS)
        more = len(results) > limits.PAGE_CONTEXTS
    intervals = definitions.intervals_for(typed.target)
    chosen = contexts.named(ctx, typed.contexts)
    values: dict[str, Any] = {
        "typed": typed, "model": model, "title": definitions.target_name(typed.target),
        "static": definitions.is_static(typed.target), "intervals": intervals,
        "too_late": [interval for interval in intervals if definitions.cannot_help(typed.target, interval)],
        "processors": processor_names(), "groups": _groups(ctx, typed), "chosen": chosen,
        "results": [context for context in results[: limits.PAGE_CONTEXTS] if context.id not in chosen],
        "searches": searches, "more": more,
    }  # fmt: skip
    return Page("model-form.html", values)


def _groups(ctx: RequestContext, typed: ModelForm) -> dict[str, list[tuple[str, str]]]:
    """The indicators that go with a target, and those that are chosen, by group: ids and what people call them."""
    provided = ANALYSERS[definitions.target(typed.target).analyser].provides
    groups: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
    for indicator in registry.list_indicators():
        fits = indicator.requires <= provided and not registry.absent_modules([indicator.id], ctx.site.modules)
        if fits or indicator.id in typed.indicators:
            groups[_group(indicator.id)].append((indicator.id, indicator_name(indicator.id)))
    return {group: sorted(rows, key=lambda row: row[1].lower()) for group, rows in groups.items() if rows}


def _group(indicator: str) -> str:
    component, name = indicator.split("\\")[1], definitions.last_part(indicator)
    if component.startswith("mod_"):
        return name if name in GROUPS else "other"
    return component if component in GROUPS else "other"


def _in_order(before: Iterable[str], now: Iterable[str]) -> list[str]:
    """The indicators of now: those that were there before in their order, so that the same ones are no change."""
    wanted = dict.fromkeys(now)
    kept = [indicator for indicator in before if indicator in wanted]
    return [*kept, *(indicator for indicator in wanted if indicator not in kept)]
