"""Every text of the pages that is English, in one place for translation; templates have none of their own.

:func:`say` gives a text by its name. A text that counts has a second form, named with ``one`` at its end, for one. The
oldest pages, of the models of server mode and of the interface, have their text in their templates still; what insights
and models are called is in :mod:`moodlemlbackend.analytics.insights.texts`.
"""

from __future__ import annotations

import re

from moodlemlbackend.server.texts import common, managers, names, teachers

_OF_MODULE = re.compile(r"\\mod_(\w+)\\analytics\\indicator\\(cognitive_depth|social_breadth)", re.ASCII)

ENGLISH = {**common.ENGLISH, **teachers.ENGLISH, **managers.ENGLISH, **names.ENGLISH}


def say(name: str, /, **values: object) -> str:
    """Return a text with the values filled in; that for one when ``count`` is 1 and there is one."""
    text = ENGLISH.get(f"{name} one") if values.get("count") == 1 else None
    return (text or ENGLISH[name]).format(**values)


def counted(figures: dict[str, int]) -> str:
    """What a run has counted, in words; what there is no word for is named as it is."""
    return ", ".join(
        say(f"counted {name}", count=number) if f"counted {name}" in ENGLISH else f"{number} {name}"
        for name, number in figures.items()
    )


def interval_name(interval: str | None) -> str:
    """What people call an analysis interval: the end of its id when there is no text."""
    if not interval:
        return say("no interval")
    return ENGLISH.get(f"interval {interval}") or interval.rpartition("\\")[2].replace("_", " ")


def indicator_name(indicator: str, label: str = "") -> str:
    """What people call an indicator, given its id and what it is called when there is no text."""
    of_module = _OF_MODULE.fullmatch(indicator)
    if of_module and f"module {of_module[1]}" in ENGLISH:
        return say(f"indicator {of_module[2]}", module=say(f"module {of_module[1]}"))
    return ENGLISH.get(f"indicator {indicator}") or label or indicator
