"""The doors that Moodle knocks on: ``python -m moodlemlbackend.training modelid outputdir dataset`` and its like."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from moodlemlbackend.errors import UsageError
from moodlemlbackend.guard import run_command, take_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from moodlemlbackend.guard import Result, Streams

_MODEL = ("modelid", "outputdir", "dataset")


def door(name: str) -> int:
    """Answer one call of Moodle; returns the exit code."""
    return run_command(name, _CALLS[name])


def _train(streams: Streams) -> Result:
    from moodlemlbackend import commands
    from moodlemlbackend.settings import load_settings

    given = take_arguments("training", sys.argv[1:], _MODEL)
    return commands.train(streams, **given, settings=load_settings())


def _predict(streams: Streams) -> Result:
    from moodlemlbackend import commands
    from moodlemlbackend.settings import load_settings

    given = take_arguments("prediction", sys.argv[1:], _MODEL)
    return commands.predict(streams, **given, settings=load_settings())


def _evaluate(streams: Streams) -> Result:
    from moodlemlbackend import commands
    from moodlemlbackend.settings import load_settings

    limits = ("minscore", "accepteddeviation", "iterations")
    given = take_arguments("evaluation", sys.argv[1:], (*_MODEL, *limits), ("trainedmodeldir",))
    return commands.evaluate(
        streams,
        given["modelid"],
        given["outputdir"],
        given["dataset"],
        minscore=_number(given, "minscore"),
        accepted_deviation=_number(given, "accepteddeviation"),
        iterations=int(_number(given, "iterations")),
        trained_model_dir=given.get("trainedmodeldir") or None,
        settings=load_settings(),
    )


def _export(streams: Streams) -> Result:
    from moodlemlbackend import commands
    from moodlemlbackend.settings import load_settings

    given = take_arguments("export", sys.argv[1:], ("modelid", "modeldir", "exportdir"))
    return commands.export(streams, **given, settings=load_settings())


def _import(streams: Streams) -> Result:
    from moodlemlbackend import commands
    from moodlemlbackend.settings import load_settings

    given = take_arguments("import", sys.argv[1:], ("modelid", "modeldir", "importdir"))
    return commands.import_model(streams, **given, settings=load_settings())


def _number(given: dict[str, str], name: str) -> float:
    """Read a finite, non-negative number; UsageError when the argument is none."""
    try:
        number = float(given[name])
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise UsageError(f"The argument {name} is {given[name]!r}; it must be a number of 0 or more.")
    return number


_CALLS: dict[str, Callable[[Streams], Result]] = {
    "training": _train,
    "prediction": _predict,
    "evaluation": _evaluate,
    "export": _export,
    "import": _import,
}
