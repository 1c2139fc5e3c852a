"""The order of a data set's classes, which tells what its figures are of."""

from __future__ import annotations


def class_1_second(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes with class ``1``, if there is one, in second place, whose risks and AUC are given."""
    if "1" not in classes:
        return classes
    others = [name for name in classes if name != "1"]
    return (*others[:1], "1", *others[1:])
