"""Import and export of models in the pages, with the functions of the commands.

An upload is kept, one a person, until it is imported, cancelled or replaced by another: what is imported is what was
shown.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.responses import Response

from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.lifecycle import packages
from moodlemlbackend.errors import BackendError, PackageError, UsageError
from moodlemlbackend.server.pages.site.managers import model_for_manager
from moodlemlbackend.server.pages.site.responses import Page, go
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from moodlemlbackend.server.pages.site.forms import PageForm
    from moodlemlbackend.server.pages.site.request_context import RequestContext

FILE = "package"
"""The field of the file."""

KEPT_SECONDS = 86_400
"""How long an upload waits that nobody imports."""


def upload(ctx: RequestContext, error: str = "") -> Page:
    """The form for a package."""
    ctx.require_manager()
    return Page("import.html", {"error": error, "field": FILE})


def receive(ctx: RequestContext, file: Path | None) -> Page:
    """Keep a package that was sent and show what it is, or the form again."""
    ctx.require_manager()
    if file is None or not file.stat().st_size:
        return upload(ctx, say("no package"))
    _forget_old(ctx)
    kept = _kept(ctx)
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.move(file, kept)
    return _shown(ctx, name="", weights=True)


def take(ctx: RequestContext, form: PageForm) -> Page | Response:
    """Import the package that was shown."""
    ctx.require_manager()
    if form.text("action") == "cancel":
        _kept(ctx).unlink(missing_ok=True)
        return go("/analytics")
    if _digest(_kept(ctx)) != form.text("digest"):
        return upload(ctx, say("package gone"))
    name, weights = form.text("name"), form.text("weights") == "yes"
    ignore = form.text("versions") == "yes"
    try:
        imported = packages.import_model(
            ctx.workspace, _kept(ctx), name=name, weights=weights, ignore_versions=ignore
        )  # fmt: skip
    except (PackageError, UsageError) as error:
        return _shown(ctx, name=name, weights=weights, error=str(error))
    except BackendError as error:
        return upload(ctx, ctx.hidden_paths.hide(str(error)))
    _kept(ctx).unlink(missing_ok=True)
    return go(f"/analytics/models/{imported.model.id}?done=import")


def export(ctx: RequestContext, modelid: int, *, weights: bool) -> Response:
    """A model's package."""
    model = model_for_manager(ctx, modelid)
    packages.remember_components(ctx.workspace, ctx.site)
    with tempfile.TemporaryDirectory(prefix="moodlemlbackend-") as scratch:
        archive = Path(scratch) / "package.zip"
        packages.export_model(ctx.workspace, modelid, archive, weights=weights)
        content = archive.read_bytes()
    name = f"{definitions.last_part(model.target) or 'model'}-{modelid}{'' if weights else '-configuration'}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type="application/zip", headers=headers)


def _shown(ctx: RequestContext, *, name: str, weights: bool, error: str = "") -> Page:
    """What the package is that is kept, or the form for another."""
    packages.remember_components(ctx.workspace, ctx.site)
    archive, versions = _kept(ctx), ""
    try:
        try:
            with packages.opened(ctx.workspace, archive) as package:
                pass
        except PackageError as differing:
            versions = str(differing)
            with packages.opened(ctx.workspace, archive, ignore_versions=True) as package:
                pass
    except BackendError as refused:
        archive.unlink(missing_ok=True)
        return upload(ctx, ctx.hidden_paths.hide(str(refused)).replace(str(archive), say("the package")))
    values = {
        "package": package, "name": name, "weights": weights, "error": error, "versions": versions,
        "digest": _digest(archive), "title": definitions.target_name(package.target),
    }  # fmt: skip
    return Page("package.html", values)


def _kept(ctx: RequestContext) -> Path:
    return ctx.workspace.folder / "uploads" / f"{ctx.person.id}.zip"


def _digest(path: Path) -> str:
    """Stands for what is in a file; empty where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def _forget_old(ctx: RequestContext) -> None:
    for path in _kept(ctx).parent.glob("*.zip"):
        if path.stat().st_mtime < time.time() - KEPT_SECONDS:
            path.unlink(missing_ok=True)
