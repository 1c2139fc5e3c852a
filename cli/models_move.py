"""``moodlemlbackend models export|import|export-data``."""

from __future__ import annotations

from pathlib import Path

import click

from ._analytics import MODEL, Session, command, print_json
from .models_manage import facts

_FILE = click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
_WEIGHTS = click.option(
    "--weights/--no-weights", default=True, show_default=True, help="With what the model has learned, or without."
)


@command(MODEL, _FILE, _WEIGHTS, site=True, examples="moodlemlbackend models export 1 dropout.zip")
def export(session: Session, modelid: int, file: Path, weights: bool, as_json: bool) -> None:
    """Write a model package that Moodle and other sites can import.

    Nothing in it says which site it comes from. A site, if named, gives the versions of the components it needs.
    """
    from moodlemlbackend.analytics.lifecycle import packages

    if session.settings.site:
        packages.remember_components(session.workspace, session.site)
    packages.export_model(session.workspace, modelid, file, weights=weights)
    _say(f"Model {modelid} is in {file}.", {"model": modelid, "file": str(file)}, as_json)


@command(
    _FILE, _WEIGHTS,
    click.option("--name", metavar="TEXT", default="", help="What to call it; its target's name unless given."),
    click.option("--ignore-versions", is_flag=True, help="Take it though the site has other versions of components."),
    site=True,
    examples="moodlemlbackend models import dropout.zip",
)  # fmt: skip
def import_(session: Session, file: Path, weights: bool, name: str, ignore_versions: bool, as_json: bool) -> None:
    """Make a model, disabled, from a package."""
    from moodlemlbackend.analytics.lifecycle import packages

    if session.settings.site:
        packages.remember_components(session.workspace, session.site)
    imported = packages.import_model(
        session.workspace, file, name=name, weights=weights, ignore_versions=ignore_versions
    )
    said = [f"Model {imported.model.id} is made: {imported.model.name}.", *imported.notes]
    _say("\n".join(said), {**facts(imported.model), "notes": imported.notes}, as_json)


@command(MODEL, _FILE, examples="moodlemlbackend models export-data 1 training-data.csv")
def export_data(session: Session, modelid: int, file: Path, as_json: bool) -> None:
    """Write what a model was trained with on this site, without anything that identifies the site or a person."""
    from moodlemlbackend.analytics.lifecycle import packages

    rows = packages.export_training_data(session.workspace, modelid, file)
    _say(f"{rows} rows are in {file}.", {"model": modelid, "file": str(file), "rows": rows}, as_json)


def _say(text: str, value: object, as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        click.echo(text)
