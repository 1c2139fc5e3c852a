"""The page that asks before something is done that cannot be taken back, the same for every action.

A form that has not been confirmed is answered with the page, which sends it again. What is confirmed is what was shown:
where that has changed in the meantime, such as the number of predictions that go, the page asks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from moodlemlbackend.server.pages.site.responses import Page
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.analytics.lifecycle.losses import Losses
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.server.pages.site.forms import PageForm

CONFIRMED = "confirmed"
"""The field that says what has been confirmed."""


@dataclass(frozen=True)
class Question:
    """What a person is asked.

    Attributes
    ----------
    goes
        What is deleted for good, in words, one by one.
    address, fields
        Where the form goes, and what it holds.
    cancel
        The address of the page to go back to.
    """

    title: str
    button: str
    address: str
    cancel: str
    sentences: Sequence[str] = ()
    goes: Sequence[str] = ()
    fields: Sequence[tuple[str, object]] = ()

    @property
    def key(self) -> str:
        """Stands for all that is asked."""
        return sha256("\0".join([self.title, *self.sentences, "", *self.goes]).encode()).hexdigest()[:16]


def about_loss(
    model: AnalyticsModel,
    action: str,
    lost: Losses,
    sentences: Sequence[str] = (),
    fields: Sequence[tuple[str, object]] = (),
) -> Question:
    """The question before an action on a model that deletes something; Cancel leads to the page of the model."""
    page = f"/analytics/models/{model.id}"
    title, button = say(f"confirm {action}", model=model.name), say(f"confirm button {action}")
    return Question(title, button, f"{page}/{action}", page, sentences, lost.parts, fields)


def ask(form: PageForm, question: Question) -> Page | None:
    """The page that asks, None where the form says that this was confirmed, or there is nothing to be asked."""
    if not (question.sentences or question.goes) or form.text(CONFIRMED) == question.key:
        return None
    return Page("confirm.html", {"question": question, "confirmed": CONFIRMED})
