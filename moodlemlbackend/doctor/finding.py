"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(str, Enum):
    """How bad a finding is; with a problem Moodle gets no predictions."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was found about one topic and, unless all is well, what to do."""

    topic: str
    level: Level
    text: str
    advice: str = ""
