"""``moodlemlbackend insights send``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..session import Session


@make("send", store=True, examples="moodlemlbackend insights send")
def command(session: Session) -> Answer:
    """Send notifications that could not be sent before; the tasks predict and cleanup do this too.

    A notification is not sent if its recipient has since switched it off, here or in Moodle.
    """
    from moodlemlbackend.analytics.lifecycle.sending import send_due

    delivered = send_due(session.workspace, session.site if session.settings.site else None)
    sent = sum(delivered.sent.values())
    text = f"Sent: {sent}, waiting: {delivered.waiting}, given up: {delivered.given_up}"
    text += f", no longer wanted: {delivered.unwanted}." if delivered.unwanted else "."
    sentences = [delivered.switch, *delivered.problems]
    return Answer(vars(delivered), "\n".join([text, *sentences]), info=sentences)
