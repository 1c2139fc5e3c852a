"""Numbers as the reader writes them."""

from __future__ import annotations

from functools import cache

from moodlemlbackend.language import ENGLISH, current

MISSING = "–"


def number(value: float, form: str = ",.0f") -> str:
    """A number in a form of Python's, with the signs of the reader's language."""
    return f"{value:{form}}".translate(_signs(current().locale if current().code != ENGLISH else ""))


@cache
def _signs(locale: str) -> dict[int, str]:
    if not locale:
        return {ord("-"): "−"}
    from babel.numbers import get_decimal_symbol, get_group_symbol

    return {ord("-"): "−", ord("."): get_decimal_symbol(locale), ord(","): get_group_symbol(locale)}
