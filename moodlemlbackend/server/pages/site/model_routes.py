"""Addresses of the pages for managers: models, their runs and evaluations, packages, recipients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import Path as InPath
from fastapi import Query, Request
from fastapi.responses import Response

from moodlemlbackend.server.auth.login import AnyLogin
from moodlemlbackend.server.pages.site import courses, managers, model_forms, packages, recipients
from moodlemlbackend.server.pages.site.routing import (
    HIDDEN,
    AskedId,
    Id,
    PageNumber,
    Word,
    answer,
    take_file,
    take_form,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

Text = Annotated[str, Query(max_length=100)]
Target = Annotated[str, Query(max_length=255)]
File = Annotated[str, InPath(pattern=r"^(report\.html|[a-z0-9-]{1,64}\.png)$")]
Part = Literal["backtest", "predictions", "invalid", "log"]
Change = Literal["enable", "disable", "clear", "delete", "evaluate", "backtest", "train", "predict", "stop"]


def add_model_pages(app: FastAPI) -> None:
    """Add the pages that managers of models have."""

    @app.get("/analytics", **HIDDEN)
    async def models(request: Request, user: AnyLogin, done: Word = "") -> Response:
        return await answer(request, user, lambda ctx: managers.index(ctx, done))

    @app.get("/analytics/notifications", **HIDDEN)
    async def list_recipients(request: Request, user: AnyLogin, page: PageNumber = 1) -> Response:
        return await answer(request, user, lambda ctx: recipients.index(ctx, page))

    @app.get("/analytics/courses", **HIDDEN)
    async def list_courses(
        request: Request, user: AnyLogin, model: AskedId = None, q: Text = "", sort: Word = "risk", show: Word = "on",
        page: PageNumber = 1,
    ) -> Response:  # fmt: skip
        query = courses.CoursesQuery(model, q, sort, show, page)
        return await answer(request, user, lambda ctx: courses.index(ctx, query))

    @app.get("/analytics/models/new", **HIDDEN)
    async def new(request: Request, user: AnyLogin, target: Target = "") -> Response:
        return await answer(request, user, lambda ctx: model_forms.new(ctx, target))

    @app.post("/analytics/models/new", **HIDDEN)
    async def create(request: Request, user: AnyLogin) -> Response:
        return await take_form(request, user, model_forms.create)

    @app.get("/analytics/import", **HIDDEN)
    async def upload(request: Request, user: AnyLogin) -> Response:
        return await answer(request, user, packages.upload)

    @app.post("/analytics/import", **HIDDEN)
    async def receive_package(request: Request, user: AnyLogin) -> Response:
        return await take_file(request, user, packages.FILE, packages.receive)

    @app.post("/analytics/import/take", **HIDDEN)
    async def take_package(request: Request, user: AnyLogin) -> Response:
        return await take_form(request, user, packages.take)

    @app.get("/analytics/models/{modelid}/edit", **HIDDEN)
    async def edit(request: Request, user: AnyLogin, modelid: Id) -> Response:
        return await answer(request, user, lambda ctx: model_forms.edit(ctx, modelid))

    @app.post("/analytics/models/{modelid}/edit", **HIDDEN)
    async def change_model(request: Request, user: AnyLogin, modelid: Id) -> Response:
        return await take_form(request, user, lambda ctx, form: model_forms.change(ctx, modelid, form))

    @app.get("/analytics/models/{modelid}/package", **HIDDEN)
    async def export(request: Request, user: AnyLogin, modelid: Id, weights: Word = "") -> Response:
        return await answer(request, user, lambda ctx: packages.export(ctx, modelid, weights=weights == "yes"))

    @app.get("/analytics/models/{modelid}", **HIDDEN)
    async def model(request: Request, user: AnyLogin, modelid: Id, done: Word = "") -> Response:
        return await answer(request, user, lambda ctx: managers.model(ctx, modelid, done))

    @app.get("/analytics/models/{modelid}/run", **HIDDEN)
    async def run(request: Request, user: AnyLogin, modelid: Id, refresh: Word = "on") -> Response:
        return await answer(request, user, lambda ctx: managers.progress(ctx, modelid, refresh=refresh != "off"))

    @app.get("/analytics/models/{modelid}/{part}", **HIDDEN)
    async def about(request: Request, user: AnyLogin, modelid: Id, part: Part, page: PageNumber = 1) -> Response:
        if part == "invalid":
            return await answer(request, user, lambda ctx: managers.invalid(ctx, modelid, page))
        make = {"backtest": managers.backtest, "predictions": managers.predictions, "log": managers.log}[part]
        return await answer(request, user, lambda ctx: make(ctx, modelid))

    @app.get("/analytics/models/{modelid}/evaluations/{logid}", **HIDDEN)
    async def evaluation(request: Request, user: AnyLogin, modelid: Id, logid: Id) -> Response:
        return await answer(request, user, lambda ctx: managers.evaluation(ctx, modelid, logid))

    @app.get("/analytics/models/{modelid}/evaluations/{logid}/{name}", **HIDDEN)
    async def file(request: Request, user: AnyLogin, modelid: Id, logid: Id, name: File) -> Response:
        return await answer(request, user, lambda ctx: managers.evaluation_file(ctx, modelid, logid, name))

    @app.post("/analytics/models/{modelid}/{action}", **HIDDEN)
    async def change(request: Request, user: AnyLogin, modelid: Id, action: Change) -> Response:
        return await take_form(request, user, lambda ctx, form: managers.change(ctx, modelid, action, form))
