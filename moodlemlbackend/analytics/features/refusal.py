"""Why something is not analysed."""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """Why something is not analysed: the identifier of Moodle's message, its component, and a sentence."""

    identifier: str
    component: str
    text: str
