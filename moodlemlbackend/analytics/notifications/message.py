"""A notification before anybody has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipient:
    """A user as messages address them; ``email`` is empty for one who gets none."""

    id: int
    first_name: str
    full_name: str
    email: str


@dataclass(frozen=True)
class Message:
    """What one person is told about a context's predictions, or about one prediction.

    ``data`` is what a webhook is told of the predictions, as JSON holds it.
    """

    to: Recipient
    modelid: int
    contextid: int
    courseid: int
    subject: str
    text: str
    html: str
    url: str
    predictionid: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
