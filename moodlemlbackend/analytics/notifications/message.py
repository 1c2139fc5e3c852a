"""A notification before anybody has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.notifications.channels import CHANNELS
from moodlemlbackend.language import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class Recipient:
    """A user as messages address them; ``email`` is empty for one who gets none.

    ``language`` is Moodle's code; ``zone`` names the time zone as :func:`..site.zones.zone_named` reads it.
    """

    id: int
    first_name: str
    full_name: str
    email: str
    language: str = ENGLISH
    zone: str = "UTC"


@dataclass(frozen=True)
class Message:
    """What one person is told about a context's predictions, or about one prediction.

    ``data`` is what a webhook is told of the predictions, as JSON holds it, and what a digest is made of;
    ``channels`` are those through which the person's choice in Moodle lets us tell them.
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
    channels: Collection[str] = CHANNELS
