"""What would be deleted, in numbers, for whoever is asked before it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import belongings
from moodlemlbackend.analytics.insights.texts import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Unpack

    from moodlemlbackend.analytics.models import Changes
    from moodlemlbackend.analytics.workspace import Workspace


@dataclass(frozen=True)
class Losses:
    """What is deleted of a model.

    Attributes
    ----------
    counts
        Numbers above zero by what is counted, as of :func:`.belongings.counts`.
    trained
        Whether something that was learned is.
    model
        The name of the model when it is deleted itself, else empty.
    """

    counts: Mapping[str, int]
    trained: bool = False
    model: str = ""

    @property
    def parts(self) -> list[str]:
        """What is deleted, in words, one by one; empty for nothing."""
        counted = [say(f"loss {name}", count=number) for name, number in self.counts.items()]
        first = [say("loss model", name=self.model)] if self.model else []
        return [*first, *counted, *([say("loss trained")] if self.trained else [])]

    @property
    def text(self) -> str:
        """What is deleted, in words; empty for nothing."""
        *others, last = self.parts or [""]
        return say("loss and", first=", ".join(others), last=last) if others else last

    @property
    def sentence(self) -> str:
        """The same as a sentence."""
        return say("loss", losses=self.text) if self.parts else ""


def if_edited(workspace: Workspace, modelid: int, **changes: Unpack[Changes]) -> Losses:
    """What :func:`.models.edit` would delete; UsageError as of it."""
    with workspace.store.read() as connection:
        model = models.get(connection, modelid)
    kept = models.planned(workspace, model, changes).version == model.version
    return Losses({}) if kept else if_cleared(workspace, modelid)


def if_cleared(workspace: Workspace, modelid: int) -> Losses:
    """What :func:`.models.clear` would delete."""
    return _losses(workspace, modelid, whole=False)


def if_removed(workspace: Workspace, modelid: int) -> Losses:
    """What :func:`.models.remove` would delete."""
    return _losses(workspace, modelid, whole=True)


def _losses(workspace: Workspace, modelid: int, *, whole: bool) -> Losses:
    with workspace.store.read() as connection:
        model = models.get(connection, modelid)
        counts = belongings.counts(connection, modelid)
    gone = {name: number for name, number in counts.items() if number and (whole or name in belongings.OF_VERSION)}
    return Losses(gone, model.trained and not model.static, model.name if whole else "")
