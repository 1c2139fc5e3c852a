"""Every text of the pages, in one place; templates have none of their own.

:func:`say` gives a text by its name, in the reader's language. A text that counts has a second form, named with ``one``
at its end, for one. The oldest pages, of the models of server mode and of the interface, are for administrators and
have their text, in English, in their templates; what insights and models are called is in
:mod:`moodlemlbackend.analytics.insights.texts`, and indicators and intervals in :mod:`...analytics.insights.names`.
"""

from __future__ import annotations

from moodlemlbackend.language.numbers import number
from moodlemlbackend.language.texts import Texts
from moodlemlbackend.server.texts import acting, common, courses, managers, recipients, student, students, teachers

_ROOMS = (common, acting, teachers, students, student, managers, courses, recipients)

ENGLISH = {name: text for room in _ROOMS for name, text in room.ENGLISH.items()}

_TEXTS = Texts(ENGLISH)

say, known = _TEXTS.say, _TEXTS.known


def counted(figures: dict[str, int]) -> str:
    """What a run has counted, in words; what there is no word for is named as it is."""
    return ", ".join(
        say(f"counted {name}", count=figure) if known(f"counted {name}") else f"{number(figure)} {name}"
        for name, figure in figures.items()
    )
