"""The calls of Moodle: ``python -m moodlemlbackend.training modelid outputdir dataset`` and its like."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from moodlemlbackend.errors import UsageError
from moodlemlbackend.runtime.supervisor import run_command, take_arguments

if TYPE_CHECKING:
    from moodlemlbackend.runtime.progress import Reporter
    from moodlemlbackend.runtime.reply import Result

_LINES = {"import": 2}
"""How often the former package wrote the line of a success, where that was not once; its own tests compare it."""


def call_from_moodle(name: str) -> int:
    """Answer one call of Moodle; returns the exit code."""
    calls = {
        "training": _train,
        "prediction": _predict,
        "evaluation": _evaluate,
        "export": _export,
        "import": _import,
    }
    return run_command(name, partial(calls[name], sys.argv[1:]), lines=_LINES.get(name, 1))


def _train(arguments: list[str], reporter: Reporter) -> Result:
    from moodlemlbackend.operations.train import train
    from moodlemlbackend.settings.backend import load_settings

    given = take_arguments("training", arguments, ("modelid", "outputdir", "dataset"))
    return train(reporter, *given.values(), settings=load_settings())


def _predict(arguments: list[str], reporter: Reporter) -> Result:
    from moodlemlbackend.operations.predict import predict
    from moodlemlbackend.settings.backend import load_settings

    given = take_arguments("prediction", arguments, ("modelid", "outputdir", "dataset"))
    return predict(reporter, *given.values(), settings=load_settings())


def _export(arguments: list[str], reporter: Reporter) -> Result:
    from moodlemlbackend.operations.transfer import export_model
    from moodlemlbackend.settings.backend import load_settings

    given = take_arguments("export", arguments, ("modelid", "modeldir", "exportdir"))
    return export_model(reporter, *given.values(), settings=load_settings())


def _import(arguments: list[str], reporter: Reporter) -> Result:
    from moodlemlbackend.operations.transfer import import_model
    from moodlemlbackend.settings.backend import load_settings

    given = take_arguments("import", arguments, ("modelid", "modeldir", "importdir"))
    return import_model(reporter, *given.values(), settings=load_settings())


def _evaluate(arguments: list[str], reporter: Reporter) -> Result:
    from moodlemlbackend.operations.evaluate import evaluate
    from moodlemlbackend.settings.backend import load_settings

    needed = ("modelid", "outputdir", "dataset", "minscore", "accepteddeviation", "iterations")
    given = take_arguments("evaluation", arguments, needed, ("trainedmodeldir",))
    return evaluate(
        reporter,
        given["modelid"],
        given["outputdir"],
        given["dataset"],
        minscore=_number(given, "minscore"),
        accepted_deviation=_number(given, "accepteddeviation"),
        iterations=int(_number(given, "iterations")),
        trained_model_dir=given.get("trainedmodeldir") or None,
        settings=load_settings(),
    )


def _number(given: dict[str, str], name: str) -> float:
    """Read a finite, non-negative number; UsageError when the argument is none."""
    try:
        number = float(given[name])
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise UsageError(f"The argument {name} is {given[name]!r}; use a number of 0 or more.")
    return number
