"""Predictions processors: what turns a data set into a trained model, predictions or a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodlemlbackend.errors import UsageError, unknown

if TYPE_CHECKING:
    from moodlemlbackend.processor.processor import Processor

GROUP = "moodlemlbackend.processors"
"""Entry point group under which a third party registers a subclass of ``Processor``."""

OWN = ("neural_network", "logistic_regression")
"""The package's own processors."""


def processor_names() -> list[str]:
    """The names of all processors, the package's own first."""
    from importlib.metadata import entry_points

    return [*OWN, *sorted(entry.name for entry in entry_points(group=GROUP))]


def get_processor(name: str) -> Processor:
    """Make the processor of this name.

    Raises
    ------
    UsageError
        There is none; the sentence names those there are.
    """
    if name == "neural_network":
        from moodlemlbackend.processor.neural_network import NeuralNetwork

        return NeuralNetwork()
    if name == "logistic_regression":
        from moodlemlbackend.processor.logistic_regression import LogisticRegression

        return LogisticRegression()
    from importlib.metadata import entry_points

    from moodlemlbackend.processor.processor import Processor

    registered = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in registered:
        known = processor_names()
        raise unknown("processor", name, known, f"choose one of {', '.join(known)}.")
    try:
        made = registered[name].load()()
    except Exception as error:
        raise UsageError(
            f"The processor {name!r} of the entry point {registered[name].value} cannot be loaded ({error}); "
            "install its package again."
        ) from error
    if not isinstance(made, Processor) or made.name != name:
        raise UsageError(f"The entry point {registered[name].value} is not a processor named {name!r}.")
    return made
