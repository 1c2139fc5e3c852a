"""The doors that Moodle knocks on: ``python -m moodlemlbackend.training modelid outputdir dataset`` and its like."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from moodlemlbackend.errors import UsageError
from moodlemlbackend.runtime.supervisor import run_command, take_arguments

if TYPE_CHECKING:
    from moodlemlbackend.runtime.reply import Result
    from moodlemlbackend.runtime.supervisor import Streams

_CALLS = {
    "training": ("train", ("modelid", "outputdir", "dataset")),
    "prediction": ("predict", ("modelid", "outputdir", "dataset")),
    "export": ("export", ("modelid", "modeldir", "exportdir")),
    "import": ("import_model", ("modelid", "modeldir", "importdir")),
}
"""The function of :mod:`moodlemlbackend.operations.commands` behind each door, and its arguments."""


def call_from_moodle(name: str) -> int:
    """Answer one call of Moodle; returns the exit code."""
    return run_command(name, _evaluate if name == "evaluation" else partial(_call, name))


def _call(name: str, streams: Streams) -> Result:
    from moodlemlbackend.operations import commands
    from moodlemlbackend.settings.backend import load_settings

    function, arguments = _CALLS[name]
    given = take_arguments(name, sys.argv[1:], arguments)
    result: Result = getattr(commands, function)(streams, **given, settings=load_settings())
    return result


def _evaluate(streams: Streams) -> Result:
    from moodlemlbackend.operations import commands
    from moodlemlbackend.settings.backend import load_settings

    needed = ("modelid", "outputdir", "dataset", "minscore", "accepteddeviation", "iterations")
    given = take_arguments("evaluation", sys.argv[1:], needed, ("trainedmodeldir",))
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


def _number(given: dict[str, str], name: str) -> float:
    """Read a finite, non-negative number; UsageError when the argument is none."""
    try:
        number = float(given[name])
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise UsageError(f"The argument {name} is {given[name]!r}; it must be a number of 0 or more.")
    return number
