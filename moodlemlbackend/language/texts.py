"""English texts by name, said in the reader's language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodlemlbackend.language import translate
from moodlemlbackend.language.numbers import number

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERY: list[Texts] = []
"""All texts of the modules that are loaded, for the catalogues."""


class Texts:
    """Texts by name; one that counts has a second form, named with ``one`` at its end, for a ``count`` of 1."""

    def __init__(self, english: Mapping[str, str]) -> None:
        self.english = english
        EVERY.append(self)

    def say(self, name: str, variant: str = "", /, **values: object) -> str:
        """Return a text, that of the variant if there is one, with the values filled in."""
        name = f"{name} {variant}" if variant and f"{name} {variant}" in self.english else name
        text, count = self.english[name], values.get("count")
        if not isinstance(count, int):
            return translate(name, text).format(**values)
        singular = self.english.get(f"{name} one")
        text = translate(name, text) if singular is None else translate(name, singular, text, count)
        return text.format(**{**values, "count": number(count)})

    def known(self, name: str) -> bool:
        """Whether there is a text of this name."""
        return name in self.english
