"""``moodlemlbackend insights send``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..session import Session


@make("send", store=True, examples="moodlemlbackend insights send")
def command(session: Session) -> Answer:
    """Send what could not be sent before; the tasks predict and cleanup do so, too."""
    from moodlemlbackend.analytics.notifications import outbox

    delivered = outbox.deliver(session.workspace)
    sent = sum(delivered.sent.values())
    text = f"Sent: {sent}, waiting: {delivered.waiting}, given up: {delivered.given_up}."
    return Answer(vars(delivered), "\n".join([text, *delivered.problems]), info=delivered.problems)
