"""``moodlemlbackend models list|show|create|edit|enable|disable|clear|delete|restore``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ._analytics import MODEL, YES, Session, command, confirm, last, moment, print_facts, print_json, print_table

if TYPE_CHECKING:
    from moodlemlbackend.analytics.models import AnalyticsModel

_TARGET = click.option("--target", metavar="NAME", required=True, help="Target: its class in Moodle, or the last part.")
_INDICATOR = click.option(
    "--indicator", "indicators", metavar="NAME", multiple=True,
    help="Indicator: its class in Moodle, or enough of its end; default: those of the core model. Repeatable.",
)  # fmt: skip
_INTERVAL = click.option("--interval", metavar="NAME", help="Analysis interval: its class in Moodle, or the last part.")
_PROCESSOR = click.option("--processor", metavar="NAME", help="Processor that trains it; the site's unless given.")
_NAME = click.option("--name", metavar="TEXT", help="What to call it; its target's name unless given.")
_CONTEXT = click.option(
    "--context", "contexts", metavar="ID", type=click.IntRange(1), multiple=True,
    help="Context of a course or category that limits what is analysed. Repeatable.",
)  # fmt: skip


def facts(model: AnalyticsModel) -> dict[str, Any]:
    """A model as JSON has it."""
    return {
        "id": model.id,
        "name": model.name,
        "target": model.target,
        "static": model.static,
        "enabled": model.enabled,
        "trained": model.trained,
        "interval": model.interval,
        "indicators": [*model.indicators],
        "processor": model.processor,
        "contexts": [*model.contexts] if model.contexts else None,
        "version": model.version,
        "created": model.created,
        "modified": model.modified,
    }


@command(examples="moodlemlbackend models list\nmoodlemlbackend models list --json")
def list(session: Session, as_json: bool) -> None:  # noqa: A001
    """List the models."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.db.predictions import by_model

    with session.workspace.store.read() as connection:
        found = models.listed(connection)
        predictions = by_model(connection)
    if as_json:
        print_json([{**facts(model), "predictions": predictions.get(model.id, 0)} for model in found])
        return
    rows = [
        (
            model.id, model.name, last(model.interval), "enabled" if model.enabled else "disabled",
            "static" if model.static else "trained" if model.trained else "", predictions.get(model.id, 0),
        )
        for model in found
    ]  # fmt: skip
    print_table("", ("ID", "Name", "Interval", "Status", "Learned", "Predictions"), rows)


@command(MODEL, examples="moodlemlbackend models show 1")
def show(session: Session, modelid: int, as_json: bool) -> None:
    """Show all that is known of a model."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.db import feedback, predictions

    workspace = session.workspace
    with workspace.store.read() as connection:
        model = models.get(connection, modelid)
        marks = feedback.listed(connection, modelid)
        known = {
            **facts(model),
            "trained_locally": models.trained_locally(connection, model),
            "predictions": predictions.count(connection, modelid),
            "marked_not_useful": len(feedback.in_force(marks)),
            "directory": str(workspace.executiondir(model)),
        }
    if as_json:
        print_json(known)
        return
    times = {key: moment(known[key]) for key in ("created", "modified")}
    print_facts([(key, value) for key, value in {**known, **times}.items() if key != "indicators"])
    click.echo("indicators")
    for indicator in model.indicators:
        click.echo(f"  {indicator}")


@command(
    _TARGET, _INDICATOR, _INTERVAL, _PROCESSOR, _NAME, _CONTEXT,
    click.option("--enable", is_flag=True, help="Enable it at once."),
    examples=(
        "moodlemlbackend models create --target course_completion --indicator default --interval quarters --enable\n"
        "moodlemlbackend models create --target course_dropout --indicator read_actions "
        "--indicator any_write_action_in_course --name Short"
    ),
)  # fmt: skip
def create(
    session: Session,
    target: str,
    indicators: tuple[str, ...],
    interval: str | None,
    processor: str | None,
    name: str | None,
    contexts: tuple[int, ...],
    enable: bool,
    as_json: bool,
) -> None:
    """Make a model; without --indicator it gets those of its target's core model."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.features import definitions, registry

    full = registry.get_target(target).id
    made = models.create(
        session.workspace,
        full,
        definitions.full_ids(full, indicators or ("default",)),
        interval=registry.get_time_splitting(interval).id if interval else None,
        processor=processor,
        name=name or "",
        contexts=contexts,
    )
    if enable:
        made = models.enable(session.workspace, made.id)
    _say(made, "made", as_json)


@command(
    MODEL, _INDICATOR, _INTERVAL, _PROCESSOR, _NAME, _CONTEXT,
    click.option("--site-processor", is_flag=True, help="Train it with the site's processor, whichever that is."),
    click.option("--all-contexts", is_flag=True, help="Analyse everything, not only some contexts."),
    YES,
    examples=(
        "moodlemlbackend models edit 1 --interval quarters --yes\n"
        'moodlemlbackend models edit 1 --name "Pilot" --context 27'
    ),
)  # fmt: skip
def edit(
    session: Session,
    modelid: int,
    indicators: tuple[str, ...],
    interval: str | None,
    processor: str | None,
    name: str | None,
    contexts: tuple[int, ...],
    site_processor: bool,
    all_contexts: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Change a model.

    Other indicators, another interval or processor delete its predictions and what it has learned.
    """
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.features import definitions, registry
    from moodlemlbackend.analytics.models import KEEP

    with session.workspace.store.read() as connection:
        model = models.get(connection, modelid)
    if (indicators or interval or processor or site_processor) and model.trained and not model.static:
        confirm(f"Predictions of model {modelid} and what it has learned may be deleted. Go on?", yes=yes)
    edited = models.edit(
        session.workspace,
        modelid,
        indicators=definitions.full_ids(model.target, indicators) if indicators else KEEP,
        interval=registry.get_time_splitting(interval).id if interval else KEEP,
        processor=None if site_processor else processor or KEEP,
        contexts=None if all_contexts else contexts or KEEP,
        name=KEEP if name is None else name,
    )
    _say(edited, "changed" if edited.version == model.version else "changed; it is to be trained anew", as_json)


@command(MODEL, _INTERVAL, examples="moodlemlbackend models enable 1 --interval quarters")
def enable(session: Session, modelid: int, interval: str | None, as_json: bool) -> None:
    """Enable a model: from now on the tasks train it and have it predict."""
    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.features import registry

    chosen = registry.get_time_splitting(interval).id if interval else None
    _say(models.enable(session.workspace, modelid, chosen), "enabled", as_json)


@command(MODEL, examples="moodlemlbackend models disable 1")
def disable(session: Session, modelid: int, as_json: bool) -> None:
    """Disable a model; its insights are not shown until it is enabled again."""
    from moodlemlbackend.analytics import models

    _say(models.edit(session.workspace, modelid, enabled=False), "disabled", as_json)


@command(MODEL, YES, examples="moodlemlbackend models clear 1 --yes")
def clear(session: Session, modelid: int, yes: bool, as_json: bool) -> None:
    """Delete all predictions of a model and what it has learned."""
    from moodlemlbackend.analytics import models

    confirm(f"All predictions of model {modelid} and what it has learned will be deleted. Go on?", yes=yes)
    _say(models.clear(session.workspace, modelid), "cleared", as_json)


@command(MODEL, YES, examples="moodlemlbackend models delete 6 --yes")
def delete(session: Session, modelid: int, yes: bool, as_json: bool) -> None:
    """Delete a model with everything that belongs to it."""
    from moodlemlbackend.analytics import models

    confirm(f"Model {modelid} and everything that belongs to it will be deleted. Go on?", yes=yes)
    models.remove(session.workspace, modelid)
    if as_json:
        print_json({"deleted": modelid})
    else:
        click.echo(f"Model {modelid} is deleted.")


@command(examples="moodlemlbackend models restore")
def restore(session: Session, as_json: bool) -> None:
    """Make the core models again that are missing or have other indicators now."""
    from moodlemlbackend.analytics.lifecycle.core_models import restore_core_models

    made = restore_core_models(session.workspace)
    if as_json:
        print_json([facts(model) for model in made])
    elif made:
        for model in made:
            click.echo(f"Model {model.id} is made: {model.name}.")
    else:
        click.echo("All core models are there.")


def _say(model: AnalyticsModel, done: str, as_json: bool) -> None:
    if as_json:
        print_json(facts(model))
    else:
        click.echo(f"Model {model.id} is {done}: {model.name}.")
